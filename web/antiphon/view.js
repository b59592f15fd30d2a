// What is shown of a conversation: captions that light up, and how loud both sides are. It decides nothing.

import { PlayPosition, ReplyCaption } from "./captions.js";

// Nothing was heard of it, as the user spoke: it may as well not have been.
const NEVER_BEGAN = new Set(["withdrawn", "barge_in"]);
// Pixels that a word is kept away from the edges of the list: about a line.
const MARGIN = 32;

export class Captions {
  // `list` is the <ol>, `latest` the button that leads back to its end, `welcome` what is there before the first word.
  constructor({ list, latest, welcome, name = () => "Antiphon" }) {
    this.list = list;
    this.latest = latest;
    this.welcome = welcome;
    this.name = name;
    this.you = null; // the entry that the user's words go into until the turn ends
    this.last = null; // the one of the turn before
    this.before = ""; // words of a turn that was taken back, as the user went on speaking
    this.utterances = new Map();
    this.replies = new Map(); // turn -> {caption, entry, parts}
    this.position = new PlayPosition();
    this.away = false; // the reader went back
    this.kept = { top: 0, size: "" }; // where we scrolled to last, and how big the list was
    this.list.addEventListener("scroll", () => this.follow(), { passive: true });
    new ResizeObserver(() => this.keepUp()).observe(this.list);
    this.latest.addEventListener("click", () => this.comeBack());
  }

  add(kind, who) {
    this.welcome.hidden = true;
    const entry = document.createElement("li");
    entry.className = `entry ${kind}`;
    entry.part.add("entry", `entry-${kind.split(" ")[0]}`);
    if (who) {
      const name = document.createElement("span");
      name.className = "visually-hidden";
      name.textContent = `${who}: `;
      entry.append(name);
    }
    this.list.append(entry);
    while (this.list.children.length > 400) this.list.firstChild.remove();
    this.keepUp();
    return entry;
  }

  note(text) {
    this.add("note").append(text);
    this.keepUp();
  }

  // --- the user's words ---

  transcript({ utterance, text }) {
    if (!text && !this.utterances.has(utterance)) return;
    this.utterances.set(utterance, text);
    this.said([this.before, ...this.utterances.values()].filter(Boolean).join(" "));
  }

  // Typed words are a turn of their own, whatever is being said.
  typed(text) {
    const entry = this.add("you", "You");
    entry.append(text);
    this.comeBack();
    return entry;
  }

  said(text) {
    if (!text) return this.forget();
    if (!this.you) {
      this.you = this.add("you live", "You");
      this.you.append("");
    }
    this.you.lastChild.data = text;
    this.keepUp();
  }

  // The user's turn is over; `transcript` is what it was.
  ended({ transcript, reason }) {
    if (reason === "asked") return; // typed: it stands there already
    this.said(transcript);
    this.you?.classList.remove("live");
    this.last = this.you;
    this.next();
  }

  // The turn was answered too soon: it goes on.
  reopen() {
    this.before = this.last?.lastChild.data ?? "";
    this.last?.remove();
    this.said([this.before, ...this.utterances.values()].filter(Boolean).join(" "));
  }

  next() {
    this.you = null;
    this.before = "";
    this.utterances.clear();
    this.keepUp();
  }

  // A reply went on after these words: they were no turn ("mhm").
  aside() {
    this.you?.classList.replace("live", "aside");
    this.next();
  }

  // The session is over, and with it what was being said. The next one's turns and utterances count from the start.
  restart() {
    this.aside();
    for (const reply of this.replies.values()) {
      if (reply.caption.final) continue;
      reply.caption.cut(reply.samples);
      this.close(reply);
    }
    this.replies.clear();
    this.position = new PlayPosition();
  }

  forget() {
    this.you?.remove();
    this.next();
  }

  // --- its words ---

  reply(turn) {
    let reply = this.replies.get(turn);
    if (!reply) {
      const entry = this.add("it", this.name());
      const parts = ["heard", "now", "rest"].map((name) => {
        const span = document.createElement("span");
        span.className = name;
        span.part.add(`word-${name}`);
        entry.append(span);
        return span;
      });
      reply = { caption: new ReplyCaption(turn), entry, parts, samples: -1, shown: "" };
      this.replies.set(turn, reply);
      if (this.replies.size > 50) this.replies.delete(this.replies.keys().next().value);
    }
    return reply;
  }

  write({ turn, text }) {
    const reply = this.reply(turn);
    reply.caption.write(text);
    this.light(reply, reply.samples);
  }

  mark(message) {
    this.reply(message.turn).caption.mark(message);
  }

  finish(message) {
    const reply = this.replies.get(message.turn);
    if (!reply) return;
    if (!message.heard && NEVER_BEGAN.has(message.reason)) {
      reply.entry.remove();
      this.keepUp();
      return message.reason === "withdrawn" ? this.reopen() : undefined;
    }
    reply.caption.finish(message);
    this.close(reply);
  }

  // It is final: what was not heard is struck out.
  close(reply) {
    if (this.nearEnd()) this.away = false; // there was a word to follow; now there is the end
    const { heard, unheard } = reply.caption.final;
    this.light(reply, 0);
    if (unheard.trim()) {
      const lost = document.createElement("s");
      lost.className = "unheard";
      lost.part.add("word-unheard");
      const told = document.createElement("span");
      told.className = "visually-hidden";
      told.textContent = " (not heard:) ";
      lost.append(unheard);
      reply.entry.append(told, lost);
    }
    if (!heard && !unheard) reply.entry.remove();
    this.keepUp();
  }

  facts({ turn, facts }) {
    const line = document.createElement("small");
    line.className = "facts";
    line.textContent = Object.entries(facts)
      .filter(([, value]) => value !== null && value !== "")
      .map(([name, value]) => `${name} ${typeof value === "number" ? Math.round(value * 1000) / 1000 : value}`)
      .join(" · ");
    (this.replies.get(turn)?.entry ?? this.add("note")).append(line);
    this.keepUp();
  }

  // Lights up what is heard by now. Call once a frame.
  draw(now_s, rate, latency_s, moving) {
    const reply = this.replies.get(this.position.turn);
    if (reply) this.light(reply, this.position.at(now_s, rate, latency_s, moving));
  }

  light(reply, samples) {
    reply.samples = samples;
    const { heard, now, rest } = reply.caption.at(samples);
    const key = `${heard.length}/${now.length}/${rest.length}`;
    if (key === reply.shown) return;
    reply.shown = key;
    [heard, now, rest].forEach((text, i) => (reply.parts[i].textContent = text));
    this.keepUp();
  }

  // --- scrolling: follow what is being said, the user's words or the reply's, unless the reader went back ---

  // The word at which the newest reply is, while it is given and nobody talks over it.
  word() {
    const reply = this.you ? null : [...this.replies.values()].at(-1);
    return reply && !reply.caption.final && reply.entry.isConnected ? reply.parts[1] : null;
  }

  // Where a word stands in what is seen of the list: {above, below} its edges, negative beyond them.
  room(word) {
    const [seen, box] = [this.list.getBoundingClientRect(), word.getBoundingClientRect()];
    return { above: box.top - seen.top, below: seen.bottom - box.bottom };
  }

  size() {
    return `${this.list.clientWidth}x${this.list.clientHeight}`;
  }

  nearEnd() {
    return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 80;
  }

  follow() {
    if (!this.away && Math.abs(this.list.scrollTop - this.kept.top) < 1) return; // that was us
    if (this.size() !== this.kept.size) return this.keepUp(); // that was the window
    const word = this.word();
    const room = word && this.room(word);
    this.away = room ? room.above < 0 || room.below < 0 : !this.nearEnd();
    this.latest.hidden = !this.away;
  }

  comeBack() {
    this.away = false;
    this.keepUp();
  }

  // A reply may be taller than the list: its word is kept in view then, rather than its end.
  keepUp() {
    this.latest.hidden = !this.away;
    this.kept.size = this.size();
    if (this.away) return;
    const before = this.list.scrollTop;
    this.list.scrollTop = this.list.scrollHeight;
    const word = this.word();
    if (word && this.room(word).above < MARGIN) this.keepWord(word, before);
    this.kept.top = this.list.scrollTop;
  }

  // Not a line at a time: the list stands still while the word wanders through it.
  keepWord(word, before) {
    this.list.scrollTop = before;
    const { above, below } = this.room(word);
    if (above < MARGIN || below < MARGIN) this.list.scrollTop += above - MARGIN;
  }
}

// A voice's loudness, newest nearest to the button.
export class LevelMeter {
  constructor(canvas, towards) {
    this.canvas = canvas;
    this.towards = towards; // "left": the newest bar is at the right end
    this.bars = new Array(24).fill(0);
    this.level = 0;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
  }

  // `rms` 0 to 1; shown on a scale of decibels.
  set(rms) {
    const shown = rms > 0 ? Math.max(0, Math.min(1, 1 + (20 * Math.log10(rms)) / 54)) : 0;
    this.level = Math.max(this.level, shown);
  }

  clear() {
    this.level = 0;
    this.bars.fill(0);
    this.draw();
  }

  draw() {
    if (this.still.matches) this.bars.fill(this.level);
    else this.bars = [this.level, ...this.bars.slice(0, -1)];
    this.level *= 0.6;
    const { canvas } = this;
    const ratio = devicePixelRatio;
    const width = (canvas.width = canvas.clientWidth * ratio);
    const height = (canvas.height = canvas.clientHeight * ratio);
    const pen = canvas.getContext("2d");
    const step = width / this.bars.length;
    const wide = Math.min(step * 0.5, 4 * ratio);
    const { color, borderTopColor } = getComputedStyle(canvas); // of what sounds, and of what does not
    this.bars.forEach((level, i) => {
      const tall = Math.max(wide, level * height);
      pen.fillStyle = level > 0.04 ? color : borderTopColor;
      pen.globalAlpha = 1 - (0.8 * i) / this.bars.length;
      const x = this.towards === "left" ? width - (i + 0.5) * step : (i + 0.5) * step;
      pen.beginPath();
      pen.roundRect(x - wide / 2, (height - tall) / 2, wide, tall, wide / 2);
      pen.fill();
    });
  }
}
