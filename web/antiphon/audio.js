// Microphone and loudspeaker of this browser. The two live in one AudioContext, so that both count the same samples.

import { RATES } from "./protocol.js";
import { Meter, PlayQueue, obey } from "./player-worklet.js";

/** LiveKit's. A session keeps its rate: one that began there goes on over WebSocket in a context of this rate only. */
const RATE = 48000;

// Firefox takes no microphone into a context of another rate than the microphone's own.
const takesAnyMicrophone = () => !navigator.userAgent?.includes("Firefox/");

// Firefox that plays through PulseAudio may wait for ever when it is asked this as sound starts: the page for PulseAudio,
// PulseAudio for the page.
const maySayLatency = () => !/Linux.*Firefox\//.test(navigator.userAgent ?? "");
const USUAL_LATENCY_S = 0.04;

/** Why there is no microphone, in words for its owner. `code` is a constant: insecure, denied, missing, busy, … */
export class MicrophoneError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// Events: "frame" {sample, pcm, level} of the microphone, "playing" {level, at (s)} by the same clock and "played" {turn, samples} of the
// loudspeaker, "microphone" {label} another one is open, "unplugged", "silenced" {silenced} by the system (a call),
// "context" {state}, "devices" the list changed.
export class AudioDevice extends EventTarget {
  // Call inside a tap or key press, before the first await: only then do browsers let a page sound.
  constructor() {
    super();
    const Context = globalThis.AudioContext ?? globalThis.webkitAudioContext;
    this.context = new Context({ latencyHint: "interactive", ...(takesAnyMicrophone() && { sampleRate: RATE }) });
    if (!RATES.includes(this.context.sampleRate)) {
      this.context.close();
      this.context = new Context({ latencyHint: "interactive", sampleRate: RATE });
    }
    this.context.resume();
    this.context.onstatechange = () => this.tell("context", { state: this.context.state });
    this.rate = this.context.sampleRate;
    this.stream = null;
    this.microphoneId = "";
    this.speakerId = "";
    this.listening = false;
    this.closed = false;
    this.input = null; // the open microphone: {source, node}
    this.remote = null; // a reply that comes as a track: {track, element, source, node}
    this.changed = () => this.tell("devices", {});
    navigator.mediaDevices?.addEventListener?.("devicechange", this.changed);
    this.ready = this.prepare();
  }

  async prepare() {
    /** What is heard of the replies passes through here, on its way to the loudspeaker. @type {GainNode} */
    this.output = this.context.createGain();
    this.output.connect(this.context.destination);
    // Worklets exist on secure addresses only. Without one the page still speaks, from its main thread.
    if (!this.context.audioWorklet) return this.playWithoutWorklet();
    const files = ["player-worklet.js", "mic-worklet.js"];
    await Promise.all(files.map((f) => this.context.audioWorklet.addModule(new URL(f, import.meta.url))));
    const node = new AudioWorkletNode(this.context, "antiphon-player", { numberOfInputs: 0, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) =>
      data.type === "level" ? this.remote || this.tell("playing", data) : this.tell("played", data);
    node.connect(this.output);
    this.post = (message, transfer) => node.port.postMessage(message, transfer);
  }

  playWithoutWorklet() {
    const queue = new PlayQueue(this.rate, (turn, samples) => this.tell("played", { turn, samples }));
    const tell = (level) => this.remote || this.tell("playing", { level, at: this.context.currentTime });
    const meter = new Meter(this.rate, tell);
    const node = this.context.createScriptProcessor(512, 0, 1);
    node.onaudioprocess = ({ outputBuffer }) => {
      queue.read(outputBuffer.getChannelData(0));
      meter.add(outputBuffer.getChannelData(0));
    };
    node.connect(this.output);
    this.node = node; // a ScriptProcessor nobody holds is collected, and falls silent
    this.post = (message) => obey(queue, message);
  }

  // --- the loudspeaker --------------------------------------------------------------------------------------------------

  // Seconds between a sample's leaving the queue and its leaving the loudspeaker.
  get latency() {
    if (!maySayLatency()) return USUAL_LATENCY_S;
    return this.context.outputLatency || this.context.baseLatency || 0;
  }

  play(turn, sample, pcm) {
    this.post({ type: "audio", turn, sample, pcm }, [pcm.buffer]);
  }

  // Whether what comes on a track can be kept silent, and sound later.
  get keeps() {
    return Boolean(this.context.audioWorklet);
  }

  // "hold", "resume", "clear", "detach", "reset"
  order(type, turn, sample) {
    this.post?.({ type, turn, sample });
    const { remote } = this;
    if (!remote?.node || !["hold", "resume", "clear"].includes(type)) return;
    // While the context stands still nothing would sound from here, nor would it ever be caught up: the element must.
    if (type !== "hold" && this.context.state !== "running") return this.soundRemote();
    this.muteRemote(true);
    remote.node.port.postMessage({ type, order: ++remote.order });
  }

  // Plays a LiveKit track: the browser's own element sounds, so that its echo is cancelled; we watch how loud. Of a reply
  // that is held, what was on its way sounds from here, when it goes on.
  playRemote(track) {
    this.stopRemote();
    const element = track.attach();
    if (this.speakerId) element.setSinkId?.(this.speakerId).catch(() => {});
    const source = this.context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack]));
    const [direct, output] = [this.context.createGain(), this.context.createGain()];
    source.connect(direct).connect(output);
    const remote = (this.remote = { track, element, source, direct, output, order: 0 });
    if (!this.context.audioWorklet) return;
    const node = new AudioWorkletNode(this.context, "antiphon-track", { channelCount: 1, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) => {
      if (data.type === "level") this.tell("playing", data);
      else if (data.order === remote.order) this.soundRemote(); // no order came since
    };
    source.connect(node);
    node.connect(output);
    node.connect(this.context.destination);
    remote.node = node;
  }

  // The element sounds again, as when a session begins or goes on.
  soundRemote() {
    if (!this.remote?.node) return;
    this.muteRemote(false);
    this.remote.node.port.postMessage({ type: "live" });
  }

  muteRemote(on) {
    this.remote.element.muted = on;
    this.remote.direct.gain.value = on ? 0 : 1;
  }

  // `track`: only if it is this one.
  stopRemote(track) {
    if (!this.remote || (track && track !== this.remote.track)) return;
    const { element, source, direct, output, node } = this.remote;
    this.remote.track.detach(element);
    for (const each of [source, direct, output, node]) each?.disconnect();
    node?.port.postMessage({ type: "close" });
    if (node) node.port.onmessage = null;
    this.remote = null;
    this.tell("playing", { level: 0, at: this.context.currentTime });
  }

  // "" is the system's own choice. False where the browser leaves it to the system.
  async chooseSpeaker(id) {
    this.speakerId = id;
    this.remote?.element.setSinkId?.(id).catch(() => {});
    if (!this.context.setSinkId) return id === "";
    await this.context.setSinkId(id);
    return true;
  }

  // What a tap, or coming back to the page, makes good again.
  wake() {
    if (!this.closed && this.context.state !== "running") this.context.resume().catch(() => {});
    this.remote?.element.play().catch(() => {});
  }

  // --- the microphone ----------------------------------------------------------------------------------------------------

  // Opens the microphone; its frames come as "frame" events. Raises MicrophoneError.
  async openMicrophone(id = this.microphoneId) {
    if (!navigator.mediaDevices?.getUserMedia) throw isSecureContext ? absent() : insecure();
    const constraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
    const open = (deviceId) => navigator.mediaDevices.getUserMedia({ audio: { ...constraints, ...deviceId } });
    this.closeMicrophone();
    let stream;
    try {
      // An `ideal` one is not what Chromium opens. For one that is not there any more the system chooses.
      stream = await (id ? open({ deviceId: { exact: id } }).catch((e) => (ABSENT.includes(e.name) ? open() : Promise.reject(e))) : open());
    } catch (error) {
      const [code, text] = REASONS[error.name] ?? ["failed", `The microphone could not be opened (${error.name}). Typing works.`];
      throw new MicrophoneError(code, text);
    }
    await this.ready;
    this.microphoneId = id;
    this.stream = stream;
    if (this.closed) return this.closeMicrophone(); // while the browser asked
    for (const track of stream.getAudioTracks()) {
      track.enabled = this.listening;
      track.onended = () => {
        this.closeMicrophone();
        this.tell("unplugged", {});
      };
      track.onmute = () => this.tell("silenced", { silenced: true });
      track.onunmute = () => this.tell("silenced", { silenced: false });
    }
    const node = new AudioWorkletNode(this.context, "antiphon-microphone", { numberOfOutputs: 0, channelCount: 1 });
    node.port.onmessage = ({ data }) => this.tell("frame", data);
    const source = this.context.createMediaStreamSource(stream);
    source.connect(node);
    this.input = { source, node };
    this.tell("microphone", { label: this.track?.label ?? "" });
  }

  // No frame of it comes any more. Another one may be opened, whose frames are counted on.
  closeMicrophone() {
    if (this.input) {
      this.input.source.disconnect();
      this.input.node.port.onmessage = null;
      this.input.node.port.postMessage("close");
    }
    for (const track of this.stream?.getTracks() ?? []) {
      track.onended = track.onmute = track.onunmute = null;
      track.stop();
    }
    this.input = this.stream = null;
  }

  /** The track that is recorded, or null. */
  get track() {
    return this.stream?.getAudioTracks().find((t) => t.readyState === "live") ?? null;
  }

  get microphone() {
    return this.track !== null;
  }

  // A muted microphone gives silence to nobody: the track itself is switched off.
  listen(on) {
    this.listening = on;
    for (const track of this.stream?.getAudioTracks() ?? []) track.enabled = on;
  }

  close() {
    this.closed = true;
    this.closeMicrophone();
    this.stopRemote();
    navigator.mediaDevices?.removeEventListener?.("devicechange", this.changed);
    this.context.onstatechange = null;
    this.context.close();
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Microphones and loudspeakers, as the browser names them: names are empty until a microphone was allowed. */
export async function devices() {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const of = (kind) => all.filter((d) => d.kind === kind && d.deviceId).map(({ deviceId, label }) => ({ id: deviceId, label }));
  return { microphones: of("audioinput"), speakers: of("audiooutput") };
}

export const INSECURE =
  "Browsers keep the microphone shut on a page that came over plain http. " +
  "Open it on https, or on localhost. Typing works here as well.";

const insecure = () => new MicrophoneError("insecure", INSECURE);
const absent = () => new MicrophoneError("absent", "This browser has no microphone to offer. You can type instead.");

const ABSENT = ["OverconstrainedError", "NotFoundError"];
const REASONS = {
  NotAllowedError: [
    "denied",
    "This page may not use the microphone. Allow it beside the address, then tap the button again. You can type meanwhile.",
  ],
  NotFoundError: ["missing", "No microphone was found. Plug one in and tap the button again. You can type meanwhile."],
  NotReadableError: [
    "busy",
    "Another program holds the microphone. Close it and tap the button again. You can type meanwhile.",
  ],
  OverconstrainedError: ["unfit", "This microphone does not fit. Try another one. You can type meanwhile."],
};
