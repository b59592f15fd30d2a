// What a reply's caption shows: words that were heard, and words that were not. Pure.
// The server counts Unicode code points; JavaScript strings do not, so the text is kept as an array of them.

export class ReplyCaption {
  constructor(turn) {
    this.turn = turn;
    this.points = [];
    this.marks = []; // by sample: {start, end, sample}
    this.final = null;
  }

  write(text) {
    this.points.push(...text);
  }

  mark({ start, end, sample }) {
    const at = this.marks.findLastIndex((m) => m.sample <= sample) + 1;
    this.marks.splice(at, 0, { start, end, sample });
  }

  // {heard, now, rest}: before the word that sounds at `samples`, that word, and what is still to come.
  at(samples) {
    if (this.final) return { heard: this.final.heard, now: "", rest: "" };
    const current = this.marks.findLast((m) => m.sample <= samples);
    const start = current?.start ?? 0;
    const end = current?.end ?? 0;
    const text = (from, to) => this.points.slice(from, to).join("");
    return { heard: text(0, start), now: text(start, end), rest: text(end) };
  }

  // The server gives both without the white space between them.
  finish({ heard, unheard }) {
    const text = this.points.join("");
    const between = text.startsWith(heard) ? /^\s*/.exec(text.slice(heard.length))[0] : " ";
    this.final = { heard: heard && unheard ? heard + between : heard, unheard };
  }

  // The same for one that nobody will finish: the word at `samples` was not heard to its end.
  cut(samples) {
    const { heard, now, rest } = this.at(samples);
    this.finish({ heard: heard.trimEnd(), unheard: now + rest });
  }

  get unheard() {
    return this.final?.unheard ?? "";
  }
}

// Where playing is between two reports, by the clock. `latency_s`: from the queue to the ear.
export class PlayPosition {
  constructor() {
    this.turn = 0;
    this.samples = 0;
    this.limit = 0;
    this.since = 0;
  }

  report(turn, samples, now_s) {
    this.turn = turn;
    this.samples = samples;
    this.since = now_s;
  }

  at(now_s, rate, latency_s, moving) {
    const on = moving ? Math.min(0.12, now_s - this.since) : latency_s;
    return Math.max(0, this.samples + (on - latency_s) * rate);
  }
}

// Where a reply is that comes as a track, which tells no position: it goes on while the reply is given and has begun to
// sound. An estimate, within what the network buffers.
export class TrackPosition {
  constructor(rate) {
    this.rate = rate;
    this.turns = new Set(); // that were written and are not over
    this.turn = 0;
    this.done_s = 0; // heard of it before it last stood still
    this.since = null; // when it began to move
    this.speaking = false;
  }

  written(turn) {
    this.turns.add(turn);
  }

  state(state, now) {
    this.speaking = state === "speaking";
    if (!this.speaking) this.stand(now);
  }

  sound(level, now) {
    if (!this.speaking || this.since !== null || level < 0.001) return;
    const turn = Math.min(...this.turns);
    if (!Number.isFinite(turn)) return;
    if (turn !== this.turn) this.done_s = 0;
    this.turn = turn;
    this.since = now;
  }

  finished(turn, now) {
    this.turns.delete(turn);
    if (turn === this.turn) this.stand(now);
  }

  stand(now) {
    this.done_s = this.seconds(now);
    this.since = null;
  }

  seconds(now) {
    return this.done_s + (this.since === null ? 0 : now - this.since);
  }

  at(now) {
    return { turn: this.turn, samples: Math.round(this.seconds(now) * this.rate) };
  }
}
