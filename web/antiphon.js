// A conversation with an Antiphon server: one session, over as many connections as it takes.
// It shows nothing; what happens comes as events. `audio` is an AudioDevice, or anything with its methods.

import { PROTOCOL, backoff, mayResume, packAudio, unpackAudio } from "./protocol.js";

// Events: "status" {status: connecting | open | resuming | closed, reason}, and the server's messages by their type.
export class Conversation extends EventTarget {
  constructor(url, audio, options = {}) {
    super();
    this.url = url;
    this.audio = audio;
    this.options = options;
    this.session = null;
    this.status = "closed";
    this.listening = false;
    this.socket = null;
    this.offset = 0; // added to the microphone's own count of samples
    this.attempt = 0;
    this.over = false;
    audio.addEventListener("played", ({ detail }) => this.send({ type: "played", turn: detail.turn, samples: detail.samples }));
    audio.addEventListener("frame", ({ detail }) => this.frame(detail));
  }

  start() {
    this.over = false;
    this.attempt = 0;
    this.connect();
  }

  // Ends the session for good.
  end() {
    this.send({ type: "session_end" });
    this.over = true;
    clearTimeout(this.timer);
    if (this.socket) this.socket.close(1000);
    else this.closed(1000);
  }

  // Whether it could be sent.
  ask(text) {
    return this.send({ type: "text", text, mode: "ask" });
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
    this.send({ type: "input", state });
  }

  // --- the connection -----------------------------------------------------------------------------------------------

  connect() {
    this.tellStatus(this.session ? "resuming" : "connecting");
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => socket.send(JSON.stringify(this.greeting()));
    socket.onmessage = ({ data }) => socket === this.socket && this.receive(data);
    socket.onclose = ({ code, reason }) => socket === this.socket && this.closed(code, reason);
  }

  greeting() {
    const start = { type: "session_start", protocol: PROTOCOL, hold: true, ...this.options };
    start.input_rate = start.output_rate = this.audio.rate;
    if (this.session) start.resume = this.session.resume;
    return start;
  }

  closed(code, reason) {
    this.socket = null;
    this.audio.order("detach");
    const patience = this.session ? this.session.grace_s : 0;
    if (this.lostAt === undefined) this.lostAt = performance.now();
    const gone = (performance.now() - this.lostAt) / 1000;
    if (this.over || !this.session || !mayResume(code) || gone > patience) {
      this.session = null;
      this.lostAt = undefined;
      this.tellStatus("closed", this.over ? "" : reason || WHY[code] || "The server cannot be reached.");
      return;
    }
    this.tellStatus("resuming");
    this.timer = setTimeout(() => this.connect(), backoff(this.attempt++) * 1000);
  }

  receive(data) {
    if (typeof data !== "string") {
      const audio = unpackAudio(data);
      if (audio) this.audio.play(audio.turn, audio.sample, audio.pcm.slice());
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "session_started") this.opened(message);
    else if (message.type === "hold" || message.type === "resume" || message.type === "clear") {
      this.audio.order(message.type, message.turn, message.sample);
    } else if (message.type === "error" && message.reason === "RESUME_UNKNOWN") {
      // The grace time is over, or the server is another one. A new conversation is better than none.
      this.session = null;
      this.send(this.greeting(), true);
      this.tell("notice", { code: "new_session", message: "The server no longer knows this conversation; here is a new one." });
      return;
    }
    this.tell(message.type, message);
  }

  opened(message) {
    if (!message.resumed) this.audio.order("reset");
    this.session = message;
    this.attempt = 0;
    this.lostAt = undefined;
    this.next = message.next_input_sample;
    this.offset = null;
    this.tellStatus("open");
    this.send({ type: "input", state: this.listening ? "open" : "muted" });
  }

  frame({ sample, pcm }) {
    if (!this.listening || this.status !== "open" || this.socket?.readyState !== WebSocket.OPEN) return;
    // The first frame of a connection goes where the server said; from there the microphone's own count rules.
    this.offset ??= this.next - sample;
    this.socket.send(packAudio(0, sample + this.offset, pcm));
  }

  // Whether there was a connection to send it over.
  send(message, early = false) {
    if (this.socket?.readyState !== WebSocket.OPEN || !(early || this.status === "open")) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  tellStatus(status, reason = "") {
    this.status = status;
    this.tell("status", { status, reason });
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
