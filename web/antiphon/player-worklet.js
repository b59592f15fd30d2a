// The loudspeaker's queue, on the audio thread: it is what stops at once, keeps its place, and knows what was heard.
// `PlayQueue` is plain (tests/web runs it in node); the processor below wraps it where there is an audio thread.
// No imports: not every browser has them in worklets.

const GLIDE_S = 0.004; // a sound that stops or goes on in its middle glides this long, as a click would be heard
const REPORT_S = 0.1;

export class PlayQueue {
  // `report(turn, samples)` is called every 100 ms of playing, and at once on hold, on clear and when nothing is left.
  constructor(rate, report) {
    this.report = report;
    this.held = false; // playout of turn `heldTurn` is to stand still; a later turn's audio ends that
    this.heldTurn = 0;
    this.turn = 0;
    this.position = 0; // samples of `turn` that were heard
    this.queue = []; // {turn, sample, pcm, at}: `at` samples of it are done
    this.ends = new Map(); // turn -> the sample up to which it was queued or heard
    this.glide = Math.round(GLIDE_S * rate);
    this.every = Math.round(REPORT_S * rate);
    this.unreported = 0;
    this.last = 0; // the last value that was played, and how far it has glided to zero
    this.fallen = this.glide;
    this.risen = this.glide;
  }

  get queued() {
    return this.queue.reduce((sum, s) => sum + s.pcm.length - s.at, 0);
  }

  push(turn, sample, pcm) {
    if (turn < this.turn) return;
    if (this.held && turn > this.heldTurn) this.letGo();
    // What was there before is cut off: after a reconnection the server may send a little twice.
    const cut = Math.max(0, (this.ends.get(turn) ?? 0) - sample);
    if (cut >= pcm.length) return;
    this.queue.push({ turn, sample, pcm, at: cut });
    this.ends.set(turn, sample + pcm.length);
    if (this.ends.size > 8) this.ends.delete(this.ends.keys().next().value);
  }

  hold(turn) {
    if (turn >= Math.max(this.turn, this.queue.at(-1)?.turn ?? 0)) {
      this.held = true;
      this.heldTurn = turn;
    }
    this.tell(turn);
  }

  // The held turn is over: what is left of it is not to be heard, and its hold does not concern the next.
  letGo() {
    this.held = false;
    this.queue = this.queue.filter((s) => s.turn > this.heldTurn);
    this.risen = 0;
  }

  resume(turn, sample) {
    this.held = false;
    this.risen = 0;
    for (const s of this.queue) {
      if (s.turn === turn) s.at = Math.min(s.pcm.length, Math.max(s.at, sample - s.sample));
    }
    this.queue = this.queue.filter((s) => s.at < s.pcm.length);
  }

  clear(turn) {
    this.held = false;
    this.queue = this.queue.filter((s) => s.turn !== turn);
    this.ends.set(turn, this.heard(turn));
    this.risen = 0;
    this.tell(turn);
  }

  // The connection is gone: silence, and the place is kept. What comes after a reconnection goes on from here.
  detach() {
    this.queue = [];
    this.held = false;
    this.risen = 0;
    this.ends = new Map([[this.turn, this.position]]);
  }

  // A session that has nothing to do with the last one.
  reset() {
    this.detach();
    this.turn = this.position = this.unreported = 0;
    this.ends.clear();
  }

  heard(turn) {
    return turn === this.turn ? this.position : turn < this.turn ? (this.ends.get(turn) ?? 0) : 0;
  }

  // Fills `out` (Float32Array) with what is to be heard next.
  read(out) {
    let n = 0;
    while (n < out.length && !this.held && this.queue.length) {
      const s = this.queue[0];
      if (s.turn !== this.turn) this.begin(s.turn);
      this.position = s.sample + s.at;
      const count = Math.min(out.length - n, s.pcm.length - s.at);
      for (let i = 0; i < count; i++) {
        let value = s.pcm[s.at + i] / 32768;
        if (this.risen < this.glide) value *= ++this.risen / this.glide;
        out[n + i] = value;
      }
      n += count;
      s.at += count;
      this.position += count;
      this.unreported += count;
      if (s.at === s.pcm.length) this.queue.shift();
    }
    if (n) {
      this.last = out[n - 1];
      this.fallen = 0;
    }
    if (n < out.length) this.fall(out, n);
    if (this.unreported >= this.every || (this.unreported && !this.queue.length)) this.tell(this.turn);
  }

  begin(turn) {
    if (this.unreported) this.tell(this.turn);
    this.ends.set(this.turn, this.position);
    this.turn = turn;
    this.position = 0;
  }

  fall(out, from) {
    for (let i = from; i < out.length; i++) {
      out[i] = this.fallen < this.glide ? this.last * (1 - ++this.fallen / this.glide) : 0;
    }
  }

  tell(turn) {
    this.unreported = 0;
    this.report(turn, this.heard(turn));
  }
}

// What the page posts to the queue; the same with and without an audio thread.
export function obey(queue, message) {
  if (message.type === "audio") queue.push(message.turn, message.sample, message.pcm);
  else queue[message.type]?.(message.turn, message.sample);
}

// Loudness of what passes, told 50 times a second while there is any.
export class Meter {
  constructor(rate, tell) {
    this.every = Math.round(rate / 50);
    this.tell = tell;
    this.sum = this.count = 0;
    this.silent = true;
  }

  add(samples) {
    for (let i = 0; i < samples.length; i++) this.sum += samples[i] * samples[i];
    this.count += samples.length;
    if (this.count < this.every) return;
    const rms = Math.sqrt(this.sum / this.count);
    if (rms || !this.silent) this.tell(rms);
    this.silent = !rms;
    this.sum = this.count = 0;
  }
}

const STILL = 0.001; // RMS of a block in which nothing sounds
const GAP_S = 0.02; // so long nothing sounds between a reply that was cleared and the next
const PAUSE_S = 0.06; // of a pause as much is kept while we are behind
const LATE_S = 0.3; // what was cleared has come by then
const KEPT_S = 2;

// A track whose reply is held. The server has stopped sending, but some of it is on its way still: it is kept, and comes
// before what goes on after. While there is any, the track sounds from here, a little late; its pauses make up for that.
// `caughtUp(order)` is called when it may sound by itself again, with the number of the last order.
export class OnTheWay {
  constructor(rate, caughtUp) {
    this.rate = rate;
    this.caughtUp = caughtUp;
    this.glide = Math.round(GLIDE_S * rate);
    this.order = 0;
    this.live();
  }

  hold(order) {
    this.begin(order);
    this.held = true;
    this.late = 0;
  }

  resume(order) {
    this.begin(order);
    this.held = false;
  }

  // What is on its way belongs to a reply that is over.
  clear(order) {
    this.begin(order);
    this.held = false;
    this.queue = [];
    this.size = 0;
    this.late = LATE_S * this.rate;
  }

  begin(order) {
    this.order = order;
    this.apart = true;
    this.told = false;
    this.quiet = 0;
  }

  // The track sounds by itself from now on.
  live() {
    this.apart = this.held = this.told = false;
    this.queue = []; // blocks; the first is played from `at` on
    this.at = this.size = this.quiet = this.late = 0;
    this.last = 0;
    this.fallen = this.risen = this.glide;
  }

  // `block` came; fills `out`, of the same length, with what is to sound from here.
  pass(block, out) {
    if (!this.apart) return out.fill(0);
    const still = rms(block) < STILL;
    this.quiet = still ? this.quiet + block.length : 0;
    if (this.late > 0) this.late = this.quiet >= GAP_S * this.rate ? 0 : this.late - block.length;
    else if (!still || (this.queue.length && !this.held && this.quiet <= PAUSE_S * this.rate)) this.keep(block);
    this.read(out);
    if (this.told || this.held || this.queue.length || this.late > 0 || this.quiet < GAP_S * this.rate) return;
    this.told = true;
    this.caughtUp(this.order);
  }

  keep(block) {
    this.queue.push(block.slice());
    this.size += block.length;
    if (this.size > KEPT_S * this.rate) this.size -= this.queue.shift().length;
  }

  read(out) {
    let n = 0;
    while (n < out.length && !this.held && this.queue.length) {
      out[n] = this.last = this.queue[0][this.at++] * (this.risen < this.glide ? ++this.risen / this.glide : 1);
      n++;
      if (this.at < this.queue[0].length) continue;
      this.at = 0;
      this.size -= this.queue.shift().length;
    }
    if (n) this.fallen = 0;
    if (n < out.length) this.risen = 0;
    for (; n < out.length; n++) out[n] = this.fallen < this.glide ? this.last * (1 - ++this.fallen / this.glide) : 0;
  }
}

function rms(block) {
  let sum = 0;
  for (let i = 0; i < block.length; i++) sum += block[i] * block[i];
  return Math.sqrt(sum / block.length);
}

if (globalThis.AudioWorkletProcessor) {
  class Player extends globalThis.AudioWorkletProcessor {
    constructor() {
      super();
      const rate = globalThis.sampleRate;
      this.queue = new PlayQueue(rate, (turn, samples) => this.port.postMessage({ type: "played", turn, samples }));
      this.meter = new Meter(rate, (level) => this.port.postMessage({ type: "level", level, at: globalThis.currentTime }));
      this.port.onmessage = (event) => obey(this.queue, event.data);
    }

    process(_inputs, outputs) {
      const [first, ...others] = outputs[0];
      this.queue.read(first);
      for (const channel of others) channel.set(first);
      this.meter.add(first);
      return true;
    }
  }
  globalThis.registerProcessor("antiphon-player", Player);

  // Of a track that the browser's own element plays, but for what was held.
  class Track extends globalThis.AudioWorkletProcessor {
    constructor() {
      super();
      const rate = globalThis.sampleRate;
      this.meter = new Meter(rate, (level) => this.port.postMessage({ type: "level", level, at: globalThis.currentTime }));
      this.held = new OnTheWay(rate, (order) => this.port.postMessage({ type: "live", order }));
      this.closed = false;
      this.port.onmessage = ({ data: { type, order } }) => {
        if (type === "close") this.closed = true;
        else this.held[type](order);
      };
    }

    process(inputs, [[out]]) {
      if (!inputs[0].length) return !this.closed;
      const [block] = inputs[0];
      this.held.pass(block, out);
      this.meter.add(this.held.apart ? out : block);
      return !this.closed;
    }
  }
  globalThis.registerProcessor("antiphon-track", Track);
}
