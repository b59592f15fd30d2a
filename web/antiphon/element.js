// <antiphon-talk>: a conversation, ready to be put into a page. See docs/web.md.

import { INSECURE } from "./audio.js";
import { Antiphon } from "./client.js";
import { STYLE, TEMPLATE } from "./element-parts.js";
import { hands } from "./hands.js";
import { Captions, LevelMeter } from "./view.js";
import { action, announcement, seconds, sentence, words } from "./words.js";

const TEXTS = ["server", "token", "key", "transport", "livekit", "mode", "microphone", "speaker"];
const LIVE = ["voice", "language", "ear", "responder"];
const TOLD = [
  ...["status", "state", "microphone", "latency", "transcription", "devices", "silenced", "session_started", "transcript"],
  ...["turn_ended", "reply", "turn_finished", "notice", "error", "explain"],
];
const FACTS_SHOWN = "timings";

// In node, whose tests import this module, there are no elements.
const Base = globalThis.HTMLElement ?? class {};

/**
 * Attributes: server, token, key, transport, voice, language, ear, model, responder, rate, greeting, phrases, mode, name,
 * captions="off", typing="off", keys="page", timings, theme. What happens is told by events "antiphon-…" that bubble.
 */
export class AntiphonTalk extends Base {
  static observedAttributes = [...LIVE, "rate", "mode", "name"];

  constructor() {
    super();
    /** What attributes cannot say, such as a function for `token`. @type {import("./client.js").AntiphonOptions} */
    this.options = {};
    /** @type {Antiphon} */
    this.client = new Antiphon();
    this.waiting = []; // {text, entry}: typed before the session was there
    this.build();
    this.listen();
  }

  // --- for the page --------------------------------------------------------------------------------------------------------

  /** See Antiphon.start; call it in a tap. @param {{microphone?: boolean}} [how] */
  start(how) {
    this.alert("");
    this.how = how; // for a start after a key was given
    this.configure();
    return this.client.start(how);
  }

  end() {
    this.client.end();
  }

  interrupt() {
    this.client.interrupt();
  }

  /** Asks it, as typing does; starts the conversation where there is none. @param {string} text */
  ask(text) {
    this.alert("");
    const entry = this.captions.typed(text);
    if (this.client.ask(text)) return;
    this.waiting.push({ text, entry });
    this.start({ microphone: false });
  }

  /** @param {import("./client.js").AntiphonOptions} changes */
  update(changes) {
    Object.assign(this.options, changes);
    this.client.update(changes);
  }

  transcriptText() {
    return this.client.transcriptText(this.called);
  }

  // --- the life of an element -------------------------------------------------------------------------------------------------

  connectedCallback() {
    this.configure();
    const keys = this.getAttribute("keys") === "page" ? document : this.shadowRoot;
    this.letGo ??= hands({ button: this.$.talk, client: this.client, keys, before: () => (this.alert(""), this.configure()) });
    for (const meter of Object.values(this.meters)) meter.draw();
    this.show();
  }

  disconnectedCallback() {
    // Moved within the page it is connected again at once.
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.letGo?.();
      this.letGo = null;
      this.client.end();
    });
  }

  attributeChangedCallback(name, before, now) {
    if (before === now || !this.isConnected) return;
    if (name === "mode") this.client.setMode(now === "push" ? "push" : "open");
    else if (name !== "name") this.client.update({ [name]: name === "rate" ? Number(now ?? 1) : (now ?? "") });
    this.show();
  }

  get called() {
    return this.getAttribute("name") || "Antiphon";
  }

  // What is to be from the next start on.
  configure() {
    const told = {};
    for (const name of [...TEXTS, ...LIVE, "model"]) if (this.hasAttribute(name)) told[name] = this.getAttribute(name);
    if (told.server) told.server = new URL(told.server, document.baseURI).href;
    if (told.token) told.token = new URL(told.token, document.baseURI).href;
    if (this.hasAttribute("rate")) told.rate = Number(this.getAttribute("rate"));
    if (this.hasAttribute("phrases")) told.phrases = this.getAttribute("phrases").split(",").map((p) => p.trim());
    if (this.hasAttribute("greeting")) {
      const text = this.getAttribute("greeting");
      told.greeting = text === "" || text === "true" ? true : text === "false" ? false : text;
    }
    Object.assign(this.client.options, told, this.options);
  }

  // --- building ---------------------------------------------------------------------------------------------------------------

  build() {
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    const template = document.createElement("template");
    template.innerHTML = TEMPLATE;
    root.append(template.content);
    const named = [...root.querySelectorAll("[id]")].map((e) => [e.id.replace(/-./g, (d) => d[1].toUpperCase()), e]);
    /** @type {Record<string, any>} */
    this.$ = Object.fromEntries(named);
    this.captions = new Captions({
      list: this.$.captions,
      latest: this.$.latest,
      welcome: this.$.welcome,
      name: () => this.called,
    });
    this.meters = { you: new LevelMeter(this.$.meterYou, "left"), it: new LevelMeter(this.$.meterIt, "right") };
  }

  listen() {
    const { $, client, captions } = this;
    const on = (type, take) => client.addEventListener(type, ({ detail }) => take(detail));
    on("change", () => this.show());
    on("status", ({ status, reason }) => this.status(status, reason));
    on("session_started", (message) => {
      if (!message.resumed) captions.restart();
      for (const { text } of this.waiting.splice(0)) client.ask(text);
    });
    let before = "";
    on("state", ({ state }) => {
      if (before === "barged_in" && state === "speaking") captions.aside();
      before = state;
    });
    on("transcript", (message) => captions.transcript(message));
    on("turn_ended", (message) => captions.ended(message));
    on("reply", (message) => captions.write(message));
    on("mark", (message) => captions.mark(message));
    on("turn_finished", (message) => captions.finish(message));
    on("played", ({ turn, samples }) => captions.position.report(turn, samples, performance.now() / 1000));
    on("explain", (message) => this.hasAttribute(FACTS_SHOWN) && captions.facts(message));
    on("notice", ({ message }) => this.notice(message));
    on("error", ({ message }) => this.alert(message));
    on("microphone", ({ reason, code }) => reason && code !== "unplugged" && this.alert(reason));
    on("level", ({ side, level }) => this.meters[side].set(level));
    on("latency", (found) => this.latency(found));
    on("key", ({ reason }) => this.askKey(reason));
    for (const type of TOLD) on(type, (detail) => this.tell(type, detail));

    $.typing.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = $.text.value.trim();
      $.text.value = "";
      if (text) this.ask(text);
    });
    $.stop.addEventListener("click", () => client.interrupt());
    $.dismiss.addEventListener("click", () => this.alert(""));
    for (const mode of ["open", "push"]) $[mode].addEventListener("change", () => this.chooseMode(mode));
    $.keyForm.addEventListener("submit", (event) => {
      event.preventDefault();
      this.takeKey($.keyText.value.trim());
    });
  }

  chooseMode(mode) {
    this.client.setMode(mode);
    this.options.mode = mode;
    this.tell("mode", { mode });
  }

  // --- what happens -----------------------------------------------------------------------------------------------------------

  status(status) {
    if (status === "connecting" && !this.drawing) {
      this.drawing = true;
      requestAnimationFrame(() => this.draw());
    }
    if (status !== "closed") return;
    this.takeBack();
    this.captions.restart();
    for (const meter of Object.values(this.meters)) meter.clear();
  }

  // What nobody was asked goes back to where it was typed.
  takeBack() {
    const unsent = this.waiting.splice(0);
    for (const { entry } of unsent) entry.remove();
    const { text } = this.$;
    text.value = [...unsent.map((u) => u.text), text.value].filter(Boolean).join(" ");
  }

  askKey(reason) {
    const { keyForm, keyReason, keyText } = this.$;
    keyForm.hidden = false;
    keyReason.textContent = sentence(reason);
    keyText.focus();
    this.tell("key-wanted", { reason });
  }

  takeKey(key) {
    if (!key) return;
    this.$.keyForm.hidden = true;
    this.$.keyText.value = "";
    this.options.key = key;
    this.tell("key", { key });
    this.start(this.how);
  }

  latency({ response_s, silence_s }) {
    if (response_s !== undefined) this.$.response.textContent = `answered in ${seconds(response_s)}`;
    if (silence_s !== undefined) this.$.silence.textContent = `silent in ${seconds(silence_s)}`;
  }

  alert(text) {
    this.$.alertText.textContent = sentence(text);
    this.$.alert.hidden = !text;
  }

  /** Says something beside the conversation. @param {string} text */
  notice(text) {
    this.captions.note(sentence(text));
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(`antiphon-${type}`, { detail, bubbles: true, composed: true }));
  }

  // --- showing ------------------------------------------------------------------------------------------------------------------

  show() {
    const { $, client } = this;
    const { facts, phase } = client;
    if ($.base.dataset.phase !== phase) {
      $.base.dataset.phase = phase;
      this.tell("phase", { phase });
    }
    $.talk.dataset.microphone = facts.microphone;
    if (facts.microphone !== "open") this.meters.you.level = 0;
    $.stop.hidden = phase !== "speaking";
    $[facts.push ? "push" : "open"].checked = true;
    set($.talkLabel, action(facts));
    set($.state, phase === "insecure" && !client.talk ? INSECURE : words(facts));
    set($.announcement, announcement(facts));
    set($.itName, this.called);
    $.captions.setAttribute("aria-label", `Conversation with ${this.called}`);
  }

  draw() {
    const { audio, speaking, microphone } = this.client;
    const look = this.$.base.style;
    look.setProperty("--mic", microphone === "open" ? this.meters.you.level.toFixed(2) : "0");
    look.setProperty("--voice", this.meters.it.level.toFixed(2));
    if (!audio) {
      this.drawing = false;
      return;
    }
    // A track's loudness is what is heard now; a queue's is on its way to the loudspeaker.
    this.captions.draw(performance.now() / 1000, this.client.rate, audio.remote ? 0 : audio.latency, speaking);
    for (const meter of Object.values(this.meters)) meter.draw();
    requestAnimationFrame(() => this.draw());
  }
}

// Text that does not change is not told again.
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

globalThis.customElements?.define("antiphon-talk", AntiphonTalk);
