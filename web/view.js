// What the page shows: captions, meters, words about the state. It decides nothing.

import { PlayPosition, ReplyCaption } from "./captions.js";

const $ = (id) => document.getElementById(id);

// Nothing was heard of it, as the user spoke: it may as well not have been.
const NEVER_BEGAN = new Set(["withdrawn", "barge_in"]);

export class Captions {
  constructor() {
    this.list = $("captions");
    this.you = null; // the entry that the user's words go into until the turn ends
    this.last = null; // the one of the turn before
    this.before = ""; // words of a turn that was taken back, as the user went on speaking
    this.utterances = new Map();
    this.replies = new Map(); // turn -> {caption, entry, parts}
    this.position = new PlayPosition();
    this.list.addEventListener("scroll", () => this.follow(), { passive: true });
    $("latest").addEventListener("click", () => this.toEnd());
  }

  add(kind, who) {
    $("welcome").hidden = true;
    const entry = document.createElement("li");
    entry.className = `entry ${kind}`;
    if (who) {
      const name = document.createElement("span");
      name.className = "visually-hidden";
      name.textContent = `${who}: `;
      entry.append(name);
    }
    const near = this.nearEnd();
    this.list.append(entry);
    while (this.list.children.length > 400) this.list.firstChild.remove();
    if (near) this.toEnd();
    return entry;
  }

  note(text) {
    this.add("note").append(text);
  }

  // --- the user's words ---

  transcript({ utterance, text }) {
    if (!text && !this.utterances.has(utterance)) return;
    this.utterances.set(utterance, text);
    this.said([this.before, ...this.utterances.values()].filter(Boolean).join(" "));
  }

  // Typed words are a turn of their own, whatever is being said.
  typed(text) {
    this.add("you", "You").append(text);
    this.toEnd();
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
  }

  // A reply went on after these words: they were no turn ("mhm").
  aside() {
    this.you?.classList.replace("live", "aside");
    this.next();
  }

  // Another session: its turns and utterances count from the start.
  restart() {
    this.aside();
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
      const entry = this.add("it", "Antiphon");
      const parts = ["heard", "now", "rest"].map((name) => {
        const span = document.createElement("span");
        span.className = name;
        entry.append(span);
        return span;
      });
      reply = { caption: new ReplyCaption(turn), entry, parts, shown: "" };
      this.replies.set(turn, reply);
      if (this.replies.size > 50) this.replies.delete(this.replies.keys().next().value);
    }
    return reply;
  }

  write({ turn, text }) {
    this.reply(turn).caption.write(text);
    this.keepUp();
  }

  mark(message) {
    this.reply(message.turn).caption.mark(message);
  }

  finish(message) {
    const reply = this.replies.get(message.turn);
    if (!reply) return;
    if (!message.heard && NEVER_BEGAN.has(message.reason)) {
      reply.entry.remove();
      return message.reason === "withdrawn" ? this.reopen() : undefined;
    }
    reply.caption.finish(message);
    this.light(reply, 0);
    if (message.unheard.trim()) {
      const lost = document.createElement("s");
      lost.className = "unheard";
      const told = document.createElement("span");
      told.className = "visually-hidden";
      told.textContent = " (not heard:) ";
      lost.append(message.unheard);
      reply.entry.append(told, lost);
    }
    if (!message.heard && !message.unheard) reply.entry.remove();
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
    const { heard, now, rest } = reply.caption.at(samples);
    const key = `${heard.length}/${now.length}/${rest.length}`;
    if (key === reply.shown) return;
    reply.shown = key;
    [heard, now, rest].forEach((text, i) => (reply.parts[i].textContent = text));
  }

  // --- scrolling: follow the newest words unless the reader went back ---

  nearEnd() {
    return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 80;
  }

  follow() {
    this.away = !this.nearEnd();
    $("latest").hidden = !this.away;
  }

  keepUp() {
    if (!this.away) this.toEnd();
  }

  toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
  }
}

// A voice's loudness, newest nearest to the button.
export class LevelMeter {
  constructor(canvas, towards) {
    this.canvas = canvas;
    this.towards = towards; // "left": the newest bar is at the right end
    this.bars = new Array(28).fill(0);
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
    pen.fillStyle = getComputedStyle(canvas).color;
    this.bars.forEach((level, i) => {
      const tall = Math.max(2 * ratio, level * height);
      pen.globalAlpha = 0.9 - (0.75 * i) / this.bars.length;
      const x = this.towards === "left" ? width - (i + 1) * step : i * step;
      pen.beginPath();
      pen.roundRect(x + step * 0.22, (height - tall) / 2, step * 0.56, tall, step * 0.28);
      pen.fill();
    });
  }
}

export function showStatus(status, text) {
  $("connection").dataset.status = status;
  $("connection-text").textContent = text;
}

export function showState(text) {
  if ($("state").textContent !== text) $("state").textContent = text;
}

export function announce(text) {
  if ($("announcement").textContent !== text) $("announcement").textContent = text;
}

export function showAlert(text) {
  $("alert").textContent = text;
}

export function showMicrophone(mic, label) {
  const button = $("talk");
  button.dataset.mic = mic;
  $("talk-label").textContent = label;
}
