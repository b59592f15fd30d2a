// Microphone and loudspeaker of this browser. The two live in one AudioContext, so that both count the same samples.

import { RATES } from "./protocol.js";
import { Meter, PlayQueue, obey } from "./player-worklet.js";

// Why there is no microphone, in words for its owner.
export class MicrophoneError extends Error {}

export class AudioDevice extends EventTarget {
  // Call inside a tap or key press, before the first await: only then do browsers let a page sound.
  constructor() {
    super();
    const Context = globalThis.AudioContext ?? globalThis.webkitAudioContext;
    this.context = new Context({ latencyHint: "interactive" });
    if (!RATES.includes(this.context.sampleRate)) {
      this.context.close();
      this.context = new Context({ latencyHint: "interactive", sampleRate: 48000 });
    }
    this.context.resume();
    this.context.onstatechange = () => this.tell("context", { state: this.context.state });
    this.rate = this.context.sampleRate;
    this.stream = null;
    this.closed = false;
    this.input = null; // the open microphone: {source, node}
    this.ready = this.prepare();
  }

  async prepare() {
    // Worklets exist on secure addresses only. Without one the page still speaks, from its main thread.
    if (!this.context.audioWorklet) return this.playWithoutWorklet();
    await Promise.all(["player-worklet.js", "mic-worklet.js"].map((f) => this.context.audioWorklet.addModule(f)));
    const node = new AudioWorkletNode(this.context, "antiphon-player", { numberOfInputs: 0, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) =>
      data.type === "level" ? this.tell("playing", { level: data.level }) : this.tell("played", data);
    node.connect(this.context.destination);
    this.post = (message, transfer) => node.port.postMessage(message, transfer);
  }

  playWithoutWorklet() {
    const queue = new PlayQueue(this.rate, (turn, samples) => this.tell("played", { turn, samples }));
    const meter = new Meter(this.rate, (level) => this.tell("playing", { level }));
    const node = this.context.createScriptProcessor(512, 0, 1);
    node.onaudioprocess = ({ outputBuffer }) => {
      queue.read(outputBuffer.getChannelData(0));
      meter.add(outputBuffer.getChannelData(0));
    };
    node.connect(this.context.destination);
    this.node = node; // a ScriptProcessor nobody holds is collected, and falls silent
    this.post = (message) => obey(queue, message);
  }

  // Seconds between a sample's leaving the queue and its leaving the loudspeaker.
  get latency() {
    return this.context.outputLatency || this.context.baseLatency || 0;
  }

  play(turn, sample, pcm) {
    this.post({ type: "audio", turn, sample, pcm }, [pcm.buffer]);
  }

  // "hold", "resume", "clear", "detach", "reset"
  order(type, turn, sample) {
    this.post({ type, turn, sample });
  }

  // Opens the microphone; its frames come as "frame" events. Raises MicrophoneError.
  async openMicrophone() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new MicrophoneError(
        isSecureContext
          ? "This browser has no microphone to offer. You can type instead."
          : "This page came over plain http, and browsers keep the microphone shut there. " +
            "Open it on localhost or over https. You can type meanwhile.",
      );
    }
    const constraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
    this.closeMicrophone();
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: constraints });
    } catch (error) {
      throw new MicrophoneError(REASONS[error.name] ?? `The microphone could not be opened (${error.name}). Typing works.`);
    }
    await this.ready;
    this.stream = stream;
    if (this.closed) return this.closeMicrophone(); // while the browser asked
    for (const track of stream.getAudioTracks()) {
      track.onended = () => {
        this.closeMicrophone();
        this.tell("unplugged", {});
      };
    }
    const node = new AudioWorkletNode(this.context, "antiphon-microphone", { numberOfOutputs: 0, channelCount: 1 });
    node.port.onmessage = ({ data }) => this.tell("frame", data);
    const source = this.context.createMediaStreamSource(stream);
    source.connect(node);
    this.input = { source, node };
  }

  // No frame of it comes any more. Another one may be opened, whose frames are counted on.
  closeMicrophone() {
    if (this.input) {
      this.input.source.disconnect();
      this.input.node.port.onmessage = null;
      this.input.node.port.postMessage("close");
    }
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.input = this.stream = null;
  }

  get microphone() {
    return this.stream?.getAudioTracks().some((t) => t.readyState === "live") ?? false;
  }

  // A muted microphone gives silence to nobody: the track itself is switched off.
  listen(on) {
    for (const track of this.stream?.getAudioTracks() ?? []) track.enabled = on;
  }

  close() {
    this.closed = true;
    this.closeMicrophone();
    this.context.onstatechange = null;
    this.context.close();
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const REASONS = {
  NotAllowedError:
    "This page may not use the microphone. Allow it beside the address, then tap the button again. You can type meanwhile.",
  NotFoundError: "No microphone was found. Plug one in and tap the button again. You can type meanwhile.",
  NotReadableError: "Another program holds the microphone. Close it and tap the button again. You can type meanwhile.",
  OverconstrainedError: "This microphone does not fit. Try another one. You can type meanwhile.",
};
