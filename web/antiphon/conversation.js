// A session with an Antiphon server, over as many connections as it takes. It shows nothing; what happens comes as events.
// `audio` is an AudioDevice, or anything with its methods. `connect()` gives the next link (see links.js), to be opened.

import { PROTOCOL, backoff, isFinal, mayResume } from "./protocol.js";

/** Seconds in which LiveKit has to answer, and from then to carry a session; then it is WebSocket's turn. */
export const MEDIA_S = 3;

// Events: "status" {status: connecting | open | resuming | closed, reason, code}, "fallback" {reason}, and the server's
// messages by their type.
export class Conversation extends EventTarget {
  /**
   * @param {(way: {fallback: boolean}) => any | Promise<any>} connect  raises what keeps it from connecting at all
   * @param {any} audio
   * @param {Record<string, any>} options  fields of session_start
   */
  constructor(connect, audio, options = {}) {
    super();
    this.makeLink = connect;
    this.audio = audio;
    this.options = options;
    this.session = null;
    this.status = "closed";
    this.listening = false;
    this.link = null;
    this.offset = null; // added to the microphone's own count of samples
    this.attempt = 0;
    this.fallback = false; // LiveKit was tried, in vain
    this.media_s = MEDIA_S;
    this.over = false;
    this.refusal = null; // the fatal error of this connection
    audio.addEventListener("played", ({ detail }) => this.send({ type: "played", turn: detail.turn, samples: detail.samples }));
    audio.addEventListener("frame", ({ detail }) => this.frame(detail));
    audio.addEventListener("microphone", () => this.link?.microphone());
  }

  get transport() {
    return this.link?.kind ?? "";
  }

  start() {
    this.over = false;
    this.attempt = 0;
    return this.connect();
  }

  // Ends the session for good.
  end() {
    this.send({ type: "session_end" });
    this.over = true;
    clearTimeout(this.timer);
    if (this.link) this.link.close(1000);
    else this.closed(1000);
  }

  // Whether it could be sent.
  ask(text) {
    return this.send({ type: "text", text, mode: "ask" });
  }

  say(text) {
    return this.send({ type: "text", text, mode: "say" });
  }

  interrupt() {
    this.send({ type: "interrupt" });
  }

  update(changes) {
    Object.assign(this.options, changes);
    this.send({ type: "session_update", ...changes });
  }

  // "open", "muted", or "released": the push-to-talk key was let go, which also ends what the user says.
  listen(state) {
    this.listening = state === "open";
    this.audio.listen(this.listening);
    this.link?.listen(this.listening);
    this.send({ type: "input", state });
  }

  // Somebody looks again, or the network is back: no use in waiting longer.
  hurry() {
    if (this.status !== "resuming" || this.link) return;
    this.attempt = 0;
    clearTimeout(this.timer);
    this.connect();
  }

  // --- the connection -----------------------------------------------------------------------------------------------

  async connect() {
    this.tellStatus(this.session ? "resuming" : "connecting");
    this.refusal = null;
    const attempt = (this.connecting = {});
    let link;
    try {
      link = await this.makeLink({ fallback: this.fallback });
    } catch (error) {
      if (attempt === this.connecting && !this.over) this.closed(error.code ?? 1006, error.message, error.detail);
      return;
    }
    if (attempt !== this.connecting || this.over) return;
    this.link = link;
    link.onopen = () => link === this.link && link.send(this.greeting());
    link.onmessage = (message) => link === this.link && this.receive(message);
    link.onaudio = ({ turn, sample, pcm }) => link === this.link && this.audio.play(turn, sample, pcm.slice());
    link.onpause = (paused) => link === this.link && this.paused(link, paused);
    link.onclose = (code, reason) => link === this.link && this.closed(code, reason);
    link.onsignal = () => link === this.link && !this.session && this.expectMedia(link);
    if (link.kind === "livekit") this.expectMedia(link);
    link.listen(this.listening);
    link.open();
  }

  expectMedia(link) {
    clearTimeout(this.media);
    this.media = setTimeout(() => this.giveUp(link), this.media_s * 1000);
  }

  // It mends itself, for as long as one waits for media, however often it says so meanwhile.
  paused(link, paused) {
    if (!this.session || paused === (this.status === "resuming")) return;
    if (paused) this.expectMedia(link);
    else clearTimeout(this.media);
    this.tellStatus(paused ? "resuming" : "open");
  }

  // No media: UDP and TCP may be blocked where WebSocket is not. The session, if there is one, goes on there.
  giveUp(link) {
    if (link !== this.link) return;
    this.link = null; // whatever it still says
    link.close(1000);
    this.fallBack(`LiveKit carried no sound within ${this.media_s} seconds`);
    this.connect();
  }

  fallBack(reason) {
    this.fallback = true;
    this.tell("fallback", { reason });
  }

  greeting() {
    const hold = this.link?.kind !== "livekit" || this.audio.keeps;
    const start = { type: "session_start", protocol: PROTOCOL, hold, ...this.options };
    start.input_rate = start.output_rate = this.audio.rate;
    if (this.session) start.resume = this.session.resume;
    return start;
  }

  closed(code, reason, detail) {
    const before = this.link;
    this.link = null;
    clearTimeout(this.media);
    this.audio.order("detach");
    const { refusal } = this;
    const final = this.over || !mayResume(code) || (refusal !== null && isFinal(refusal, this.session !== null));
    reason = refusal?.message || reason; // a close frame has room for less
    if (before?.kind === "livekit" && !final) this.fallBack(reason);
    const patience = this.session ? this.session.grace_s : 0;
    this.lostAt ??= performance.now();
    const gone = (performance.now() - this.lostAt) / 1000;
    const first = !this.session && before?.kind === "livekit"; // it never began: another transport may
    if (final || (!first && gone >= patience)) {
      this.session = null;
      this.lostAt = undefined;
      this.tellStatus("closed", this.over ? "" : reason || WHY[code] || "The server cannot be reached.", detail);
      return;
    }
    this.tellStatus(this.session ? "resuming" : "connecting");
    this.timer = setTimeout(() => this.connect(), this.fallback && first ? 0 : backoff(this.attempt++) * 1000);
  }

  receive(message) {
    if (message.type === "error" && message.fatal) this.refusal = message;
    if (message.type === "session_started") this.opened(message);
    else if (message.type === "hold" || message.type === "resume" || message.type === "clear") {
      this.audio.order(message.type, message.turn, message.sample);
    } else if (message.type === "error" && this.session && this.status !== "open" && this.beginsAnew(message)) return;
    this.tell(message.type, message);
  }

  // The grace time is over, or the server is another one, or cannot go on at our rate. A new conversation is better
  // than none. Whether that is what the error means.
  beginsAnew({ reason, where }) {
    if (reason !== "RESUME_UNKNOWN" && where !== "output_rate") return false;
    this.session = null;
    this.link.send(this.greeting());
    const text = "The server no longer knows this conversation; here is a new one.";
    this.tell("notice", { type: "notice", code: "new_session", message: text });
    return true;
  }

  opened(message) {
    clearTimeout(this.media);
    if (!message.resumed) this.audio.order("reset");
    this.audio.soundRemote();
    this.session = message;
    this.attempt = 0;
    this.lostAt = undefined;
    this.next = message.next_input_sample;
    this.offset = null;
    this.tellStatus("open");
    this.send({ type: "input", state: this.listening ? "open" : "muted" });
  }

  frame({ sample, pcm }) {
    if (!this.listening || this.status !== "open" || !this.link?.sendAudio || this.link.ready === false) return;
    // The first frame of a connection goes where the server said; from there the microphone's own count rules.
    this.offset ??= this.next - sample;
    this.link.sendAudio(sample + this.offset, pcm);
  }

  // Whether there was a connection to send it over.
  send(message) {
    return this.status === "open" && this.link !== null && this.link.send(message);
  }

  tellStatus(status, reason = "", detail = undefined) {
    this.status = status;
    this.tell("status", { status, reason, detail });
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const WHY = {
  1000: "The conversation is over.",
  1001: "The server was stopped.",
  1013: "The server is full. Try again in a moment.",
  4001: "The conversation goes on in another window.",
};
