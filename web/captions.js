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
