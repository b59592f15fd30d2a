// The microphone on the audio thread: cuts what it hears into 20 ms frames, each with its place in time.
// Places are counted by the context's clock, so that a microphone opened later goes on where the time is.
// `FrameCutter` is plain (tests/web runs it in node). No imports: not every browser has them in worklets.

export class FrameCutter {
  // `emit(sample, Int16Array, level)`: `sample` is the frame's place, a multiple of 20 ms.
  constructor(rate, emit) {
    this.frame = Math.round(rate / 50);
    this.emit = emit;
    this.sample = 0;
    this.pcm = new Int16Array(this.frame);
    this.filled = 0;
    this.power = 0;
  }

  // `at`: place of the first of `samples`. It may jump ahead: the frame that it lies in begins with silence then.
  push(samples, at = this.sample + this.filled) {
    if (at !== this.sample + this.filled) this.jump(at);
    for (let i = 0; i < samples.length; i++) {
      const value = Math.max(-1, Math.min(1, samples[i]));
      this.pcm[this.filled++] = Math.round(value * (value < 0 ? 32768 : 32767));
      this.power += value * value;
      if (this.filled === this.frame) this.finish();
    }
  }

  jump(at) {
    this.filled = at % this.frame;
    this.sample = at - this.filled;
    this.pcm.fill(0);
    this.power = 0;
  }

  finish() {
    this.emit(this.sample, this.pcm, Math.sqrt(this.power / this.frame));
    this.sample += this.frame;
    this.pcm = new Int16Array(this.frame);
    this.filled = this.power = 0;
  }
}

if (globalThis.AudioWorkletProcessor) {
  class Microphone extends globalThis.AudioWorkletProcessor {
    constructor() {
      super();
      this.cutter = new FrameCutter(globalThis.sampleRate, (sample, pcm, level) =>
        this.port.postMessage({ sample, pcm, level }, [pcm.buffer]),
      );
      this.closed = false;
      this.port.onmessage = () => (this.closed = true);
    }

    process(inputs) {
      if (inputs[0].length) this.cutter.push(inputs[0][0], globalThis.currentFrame);
      return !this.closed;
    }
  }
  globalThis.registerProcessor("antiphon-microphone", Microphone);
}
