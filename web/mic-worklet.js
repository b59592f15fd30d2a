// The microphone on the audio thread: cuts what it hears into 20 ms frames, each with its place in time.
// `FrameCutter` is plain (tests/web runs it in node). No imports: not every browser has them in worklets.

export class FrameCutter {
  // `emit(sample, Int16Array, level)`: `sample` is the frame's offset since the microphone was opened.
  constructor(rate, emit) {
    this.frame = Math.round(rate / 50);
    this.emit = emit;
    this.sample = 0;
    this.pcm = new Int16Array(this.frame);
    this.filled = 0;
    this.power = 0;
  }

  push(samples) {
    for (let i = 0; i < samples.length; i++) {
      const value = Math.max(-1, Math.min(1, samples[i]));
      this.pcm[this.filled++] = Math.round(value * (value < 0 ? 32768 : 32767));
      this.power += value * value;
      if (this.filled === this.frame) this.finish();
    }
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
    }

    process(inputs) {
      if (inputs[0].length) this.cutter.push(inputs[0][0]);
      return true;
    }
  }
  globalThis.registerProcessor("antiphon-microphone", Microphone);
}
