// The client that other programs see: see docs/web.md.

import { AudioDevice, MicrophoneError, devices } from "./audio.js";
import { TrackPosition } from "./captions.js";
import { Conversation } from "./conversation.js";
import { Latency } from "./latency.js";
import { LiveKitLink } from "./livekit-link.js";
import { WebSocketLink } from "./links.js";
import { NeedsKey, mint, socketUrl } from "./token.js";
import { Transcript } from "./transcript.js";
import { keyWanted, phase, tookOver } from "./words.js";

const VENDORED = new URL("../vendor/livekit-client.esm.mjs", import.meta.url);
const CHOICES = ["voice", "language", "ear", "responder", "rate", "pitch", "instructions", "endpointing"];
const WISHES = [...CHOICES, "model", "greeting", "history", "phrases", "interruptible", "turn_detection"];

/**
 * @typedef {object} AntiphonOptions
 * @property {string} [server]  address of the server, as https://talk.example/; else the one that this module came from
 * @property {string | (() => Token | Promise<Token>)} [token]  where POST mints a token, or who gives one; else the server's own
 * @property {string} [key]  an access key. It is a secret: a page for others has a `token` instead
 * @property {"auto" | "livekit" | "websocket"} [transport]
 * @property {string | (() => Promise<any>)} [livekit]  address of the module livekit-client, or who loads it
 * @property {number} [media_s]  how long LiveKit may take to answer, and then to carry sound; 3
 * @property {"open" | "push"} [mode]  an open microphone, or one that is open while `press` holds it
 * @property {string} [microphone]  a device's id
 * @property {string} [speaker]     a device's id
 * @property {string} [voice]
 * @property {string} [language]
 * @property {string} [ear]         the model that listens
 * @property {string} [model]       the model that speaks
 * @property {string} [responder]   who answers
 * @property {number} [rate]
 * @property {number} [pitch]
 * @property {string} [instructions]
 * @property {boolean | string} [greeting]
 * @property {string[]} [phrases]
 * @property {{role: "user" | "assistant", text: string}[]} [history]
 * @property {object} [endpointing]
 * @property {boolean} [interruptible]
 * @property {"auto" | "manual"} [turn_detection]
 *
 * @typedef {import("./token.js").Token} Token
 */

/**
 * A spoken conversation: one microphone, one voice, one session at a time.
 *
 * Events (CustomEvent, `detail` in braces): `status` {status, reason, transport}, `state` {state}, `microphone`
 * {microphone, label, code, reason}, `level` {side, level}, `played` {turn, samples}, `latency` {response_s} or {silence_s},
 * `transcription` {lines}, `key` (an access key is wanted), `devices`, `silenced` {silenced}, `change` (anything that is
 * shown), and each message of the server by its type: `session_started`, `transcript`, `turn_ended`, `reply`, `mark`,
 * `turn_finished`, `notice`, `error`, `explain`.
 */
export class Antiphon extends EventTarget {
  /** @param {AntiphonOptions} [options] */
  constructor(options = {}) {
    super();
    this.options = { transport: "auto", mode: "open", ...options };
    /** closed, connecting, open or resuming */
    this.status = "closed";
    /** idle, listening, thinking, speaking or barged_in */
    this.state = "idle";
    /** none, waiting (for the user's permission), open, muted or refused */
    this.microphone = "none";
    /** Of the reply: it is being heard. */
    this.speaking = false;
    /** livekit, websocket, or "" */
    this.transport = "";
    /** The last session_started. */
    this.session = null;
    this.log = new Transcript();
    this.audio = null;
    this.pressed = false;
    this.talk = null;
    this.token = null;
    this.unlocked = true; // no key is wanted that nobody gave
    this.told = ""; // the last fatal error
  }

  /** The server's address. */
  get server() {
    return new URL(this.options.server || new URL("..", import.meta.url), globalThis.location?.href);
  }

  // --- what is going on -----------------------------------------------------------------------------------------------

  /** One word for the looks: see words.js. */
  get phase() {
    return phase(this.facts);
  }

  get facts() {
    const { status, state, microphone, push } = this;
    const context = this.audio?.context.state;
    return { status, state, microphone, push, paused: Boolean(context) && context !== "running", secure: isSecureContext };
  }

  get push() {
    return this.options.mode === "push";
  }

  /** What was said, as it was heard. */
  get transcript() {
    return this.log.lines;
  }

  /** Samples a second in which positions in a reply are counted. */
  get rate() {
    return this.session?.output_rate ?? this.audio?.rate ?? 48000;
  }

  /** The AudioNode through which replies go to the loudspeaker, for meters and recorders; null while there is none. */
  get output() {
    return this.audio?.remote?.output ?? this.audio?.output ?? null;
  }

  /** @param {string} [name] what the voice is called */
  transcriptText(name) {
    return this.log.text(name);
  }

  // --- starting and ending ------------------------------------------------------------------------------------------------

  /**
   * Opens sound, connection and, unless told otherwise, the microphone. Call it in a tap or a key press, before any
   * `await`: only there does a browser let a page sound. Resolves when the connection is being made; never rejects: what
   * goes wrong is told by events.
   * @param {{microphone?: boolean}} [how]
   */
  async start({ microphone = true } = {}) {
    if (this.talk) {
      this.audio.wake();
      return microphone ? this.openMicrophone() : undefined;
    }
    let audio;
    try {
      audio = this.audio = new AudioDevice();
    } catch (error) {
      return this.failed(`This browser cannot play sound (${error.message}).`);
    }
    this.unlocked = true;
    this.told = "";
    audio.microphoneId = this.options.microphone ?? "";
    const wishes = Object.fromEntries(WISHES.filter((w) => this.options[w] !== undefined).map((w) => [w, this.options[w]]));
    const talk = (this.talk = new Conversation((way) => this.link(way), audio, { greeting: microphone, ...wishes }));
    if (this.options.media_s) talk.media_s = this.options.media_s;
    this.listenTo(audio, talk);
    this.attend();
    this.shown({ status: "connecting" });
    // Its greeting shall not be spoken into the browser's question for the microphone.
    const [ready] = await Promise.allSettled([audio.ready, microphone ? this.openMicrophone() : null]);
    if (talk !== this.talk) return;
    if (ready.status === "rejected") return this.closed(`This browser cannot play sound here (${ready.reason.message}).`);
    if (this.options.speaker) audio.chooseSpeaker(this.options.speaker).catch(() => {});
    await talk.start();
  }

  /** Ends the session for good. */
  end() {
    this.talk?.end();
  }

  failed(reason) {
    this.tell("error", { type: "error", code: "unavailable", message: reason, fatal: true, where: "", reason: "CLIENT" });
  }

  closed(reason, detail) {
    this.unattend?.();
    this.audio?.close();
    this.audio = this.talk = this.session = this.token = null;
    this.speaking = false;
    this.transport = "";
    this.shown({ status: "closed", state: "idle", microphone: "none" });
    this.tell("status", { status: "closed", reason, transport: "" });
    if (detail === "key" && !this.options.token) this.tell("key", { reason });
    else if (reason && this.unlocked && reason !== this.told) this.failed(reason);
  }

  // --- the connection -------------------------------------------------------------------------------------------------------

  async link({ fallback }) {
    const { talk } = this;
    // A session is resumed with the token that began it, however old that is by now.
    const token = (this.token ??= await mint(this.options.token || new URL("v1/token", this.server), this.options.key));
    if (this.options.transport !== "websocket" && token.server_url && !fallback) {
      const sdk = await this.sdk();
      if (sdk) return this.by(new LiveKitLink(sdk, token.server_url, token.participant_token, this.audio));
    }
    if (this.options.transport === "livekit" && !fallback) {
      throw new NeedsKey("This server has no LiveKit, or this page no LiveKit client.", "");
    }
    const key = token.participant_token || this.options.key;
    if (key) talk.options.key = key;
    return this.by(new WebSocketLink(socketUrl(token.websocket_url, this.server)));
  }

  by(link) {
    this.transport = link.kind;
    this.track = link.kind === "livekit" ? new TrackPosition(this.audio.rate) : null;
    return link;
  }

  // Where there is no npm there is none; the page talks over WebSocket then, and that is no fault.
  async sdk() {
    const { livekit = String(VENDORED) } = this.options;
    if (!globalThis.RTCPeerConnection) return null;
    try {
      return await (typeof livekit === "function" ? livekit() : import(livekit));
    } catch {
      return null;
    }
  }

  // --- the microphone ---------------------------------------------------------------------------------------------------------

  /** Opens the microphone, or unmutes it. */
  async openMicrophone() {
    const { audio } = this;
    if (!audio || this.microphone === "waiting") return;
    if (!audio.microphone) {
      this.shown({ microphone: "waiting" });
      try {
        await audio.openMicrophone();
        if (audio !== this.audio) return; // ended meanwhile
      } catch (error) {
        if (audio !== this.audio) return;
        this.refused(error);
        return;
      }
    }
    const open = !this.push || this.pressed;
    this.shown({ microphone: open ? "open" : "muted" });
    this.talk?.listen(this.microphone);
    this.tellMicrophone();
  }

  refused(error) {
    const [code, reason] = error instanceof MicrophoneError ? [error.code, error.message] : ["failed", String(error)];
    this.shown({ microphone: "refused" });
    this.talk?.listen("muted");
    this.tellMicrophone(code, reason);
  }

  tellMicrophone(code = "", reason = "") {
    this.tell("microphone", { microphone: this.microphone, label: this.audio?.track?.label ?? "", code, reason });
  }

  /** Shuts it; `released` also ends what the user says. @param {"muted" | "released"} [how] */
  mute(how = "muted") {
    if (!this.talk || !this.audio.microphone) return;
    this.shown({ microphone: "muted" });
    this.talk.listen(how);
    this.tellMicrophone();
  }

  /** The talk button, or its key, goes down: starts, unmutes, mutes; with mode "push" it is open until `release`. */
  press() {
    this.pressed = true;
    if (!this.talk || !this.audio.microphone) return this.start();
    const paused = this.audio.context.state !== "running";
    this.audio.wake();
    if (this.push || this.microphone === "muted" || paused) return this.openMicrophone();
    return this.mute();
  }

  release() {
    if (!this.pressed) return;
    this.pressed = false;
    if (this.push && this.microphone === "open") this.mute("released");
  }

  /** @param {"open" | "push"} mode */
  setMode(mode) {
    this.options.mode = mode;
    if (this.talk && this.audio.microphone) this.push ? this.mute() : this.openMicrophone();
    this.tell("change", {});
  }

  /** Microphones and loudspeakers: {microphones: [{id, label}], speakers: […]}. Unnamed until a microphone was allowed. */
  devices() {
    return devices();
  }

  /** @param {string} id  "": the system's choice */
  async chooseMicrophone(id) {
    this.options.microphone = id;
    if (!this.audio) return;
    this.audio.microphoneId = id;
    if (!this.audio.microphone) return;
    const open = this.microphone;
    try {
      await this.audio.openMicrophone(id);
      this.audio.listen(open === "open");
      this.tellMicrophone();
    } catch (error) {
      this.refused(error);
    }
  }

  /** @param {string} id  "": the system's choice. False where this browser leaves it to the system. */
  async chooseSpeaker(id) {
    this.options.speaker = id;
    return (await this.audio?.chooseSpeaker(id)) ?? true;
  }

  // A headset was unplugged: another microphone, if there is one, goes on.
  async unplugged() {
    const before = this.microphone;
    this.shown({ microphone: "none" });
    this.talk?.listen("muted");
    this.tellMicrophone("unplugged", "The microphone went away.");
    if (before !== "open" && before !== "muted") return;
    this.audio.microphoneId = "";
    this.pressed = false;
    await this.openMicrophone();
    if (before === "muted" && this.microphone === "open") this.mute();
    const label = this.audio?.track?.label;
    if (this.audio?.microphone) this.notice("microphone_changed", `The microphone went away. Now it is ${label || "another one"}.`);
  }

  // --- the conversation ---------------------------------------------------------------------------------------------------------

  /** Asks it. Returns whether there was a connection to send it over. @param {string} text */
  ask(text) {
    return this.talk?.ask(text) ?? false;
  }

  /** Lets it speak this, behind the current reply. @param {string} text */
  say(text) {
    return this.talk?.say(text) ?? false;
  }

  /** Stops the reply. */
  interrupt() {
    this.talk?.interrupt();
  }

  /** Changes voice, language, rate, … from the next turn on, for this session and later ones. @param {AntiphonOptions} changes */
  update(changes) {
    Object.assign(this.options, changes);
    const told = Object.fromEntries(Object.entries(changes).filter(([name]) => CHOICES.includes(name)));
    if (this.talk && Object.keys(told).length) this.talk.update(told);
  }

  // --- what comes -----------------------------------------------------------------------------------------------------------------

  listenTo(audio, talk) {
    const latency = (this.latency = new Latency());
    const clock = () => performance.now() / 1000;
    const on = (type, take) => talk.addEventListener(type, ({ detail }) => talk === this.talk && take(detail));
    const pass = (message) => {
      if (this.log.take(message, new Date())) this.tell("transcription", { lines: this.log.lines });
      this.tell(message.type, message);
    };
    on("status", ({ status, reason, detail }) => {
      if (status === "closed") return this.closed(reason, detail);
      this.shown({ status });
      this.tell("status", { status, reason, transport: this.transport });
    });
    on("fallback", ({ reason }) => this.notice("fallback", tookOver(reason)));
    on("session_started", (message) => {
      this.session = message;
      if (this.track) this.track.rate = message.output_rate;
      if (!message.resumed) this.shown({ state: "idle" });
      pass(message);
    });
    on("state", (message) => {
      if (this.state === "barged_in" && message.state === "speaking") latency.resumed();
      this.track?.state(message.state, clock());
      this.shown({ state: message.state });
      pass(message);
    });
    on("turn_ended", (message) => {
      latency.turnEnded(message.reason !== "asked");
      pass(message);
    });
    on("turn_finished", (message) => {
      this.track?.finished(message.turn, clock());
      this.measured(latency.turnFinished(message.reason));
      pass(message);
    });
    on("reply", (message) => {
      this.track?.written(message.turn);
      pass(message);
    });
    on("error", (message) => {
      // A token is short-lived, and a server that was started anew knows none of its own: another one may do.
      if (message.code === "denied" && /^TOKEN_/.test(message.reason)) {
        this.token = null;
        if (this.session) return; // the connection is tried again
      }
      const locked = message.code === "denied" && /^KEY_/.test(message.reason);
      // A site's visitors have no key: theirs is the site's, which gets the tokens.
      this.unlocked = !locked || Boolean(this.options.token);
      if (message.fatal) this.told = message.message;
      if (this.unlocked) pass(message);
      else this.tell("key", { reason: keyWanted(message.reason, message.message) });
    });
    for (const type of ["transcript", "mark", "notice", "explain"]) on(type, pass);

    const heard = (type, take) => audio.addEventListener(type, ({ detail }) => audio === this.audio && take(detail));
    // Times of sound are those of the audio thread: a busy page does not falsify them.
    heard("frame", ({ level, sample }) => {
      const open = this.microphone === "open";
      if (open) latency.microphone(level, sample / audio.rate);
      this.tell("level", { side: "you", level: open ? level : 0 });
    });
    heard("playing", ({ level, at }) => {
      const now = clock();
      this.speaking = level > 0.001;
      this.measured(latency.reply(level, at));
      this.tell("level", { side: "it", level });
      if (!this.track) return;
      this.track.sound(level, now);
      this.tell("played", this.track.at(now));
    });
    heard("played", (detail) => this.tell("played", detail));
    heard("unplugged", () => this.unplugged());
    heard("silenced", ({ silenced }) => {
      const text = silenced ? "The system muted the microphone. A call may have it." : "The microphone is back.";
      this.notice("microphone_silenced", text);
    });
    heard("context", () => this.shown({}));
    heard("devices", () => this.tell("devices", {}));
  }

  measured(found) {
    if (found) this.tell("latency", found);
  }

  notice(code, message) {
    this.tell("notice", { type: "notice", code, message });
  }

  // Looks after what happens to a page: it is hidden and seen again (a lock screen, a call), the network comes back.
  attend() {
    const seen = () => {
      if (document.hidden) return this.release();
      this.audio?.wake();
      this.talk?.hurry();
      this.keepAwake();
      if (this.audio?.stream && !this.audio.microphone) this.unplugged(); // taken away while nobody looked
    };
    const hurry = () => this.talk?.hurry();
    const leave = () => this.end();
    document.addEventListener("visibilitychange", seen);
    addEventListener("online", hurry);
    addEventListener("pagehide", leave);
    this.keepAwake();
    this.unattend = () => {
      document.removeEventListener("visibilitychange", seen);
      removeEventListener("online", hurry);
      removeEventListener("pagehide", leave);
      this.awake?.then((lock) => lock?.release()).catch(() => {});
      this.awake = null;
    };
  }

  // A phone that locks itself in mid-sentence ends the conversation.
  keepAwake() {
    this.awake = navigator.wakeLock?.request("screen").catch(() => null) ?? null;
  }

  shown(changes) {
    Object.assign(this, changes);
    this.tell("change", {});
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
