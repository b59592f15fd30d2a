// The page: what a tap, a key and a message do.

import { Conversation } from "./antiphon.js";
import { AudioDevice, MicrophoneError } from "./audio.js";
import { Captions, LevelMeter, announce, showAlert, showMicrophone, showState, showStatus } from "./view.js";

const $ = (id) => document.getElementById(id);
const captions = new Captions();
const meters = { you: new LevelMeter($("meter-you"), "left"), it: new LevelMeter($("meter-it"), "right") };
const kept = load();

let audio = null;
let conversation = null;
let microphone = "none"; // none | waiting | open | muted | refused
let state = "idle";
let speaking = false; // its voice is being heard
let waiting = []; // {text, entry}: typed before the session was there
let pressed = false;

// --- starting and ending -----------------------------------------------------------------------------------------------

// Call inside a tap or key press. Opens sound, connection and, with `talk`, the microphone.
function start({ talk }) {
  showAlert("");
  if (conversation) return talk ? openMicrophone() : undefined;
  audio = new AudioDevice();
  const url = new URL("v1/converse", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  conversation = new Conversation(url.href, audio, { greeting: talk, ...choices() });
  listenTo(audio, conversation);
  requestAnimationFrame(draw);
  // Its greeting shall not be spoken into the browser's question for the microphone.
  return Promise.all([audio.ready, talk ? openMicrophone() : null]).then(
    () => conversation?.start(),
    (error) => closed(`This browser cannot play sound here (${error.message}).`),
  );
}

function stop() {
  conversation?.end();
}

function closed(reason) {
  audio?.close();
  audio = conversation = null;
  takeBack();
  state = "idle";
  speaking = false;
  setMicrophone("none");
  captions.restart();
  for (const meter of Object.values(meters)) meter.clear();
  $("talk").style.setProperty("--level", "0");
  if (reason) fail(reason);
  show();
}

// What nobody was asked goes back to where it was typed.
function takeBack() {
  const unsent = waiting.splice(0);
  for (const { entry } of unsent) entry.remove();
  $("text").value = [...unsent.map(({ text }) => text), $("text").value].filter(Boolean).join(" ");
}

function fail(text) {
  showAlert(text);
}

// --- microphone -----------------------------------------------------------------------------------------------------------

async function openMicrophone() {
  if (microphone === "waiting") return;
  if (!audio.microphone) {
    setMicrophone("waiting");
    const device = audio;
    try {
      await device.openMicrophone();
      if (device !== audio) return; // ended meanwhile
    } catch (error) {
      if (device !== audio) return;
      if (!(error instanceof MicrophoneError)) throw error;
      fail(error.message);
      setMicrophone("refused");
      conversation?.listen("muted");
      return;
    }
  }
  setMicrophone(holdToTalk() && !pressed ? "muted" : "open");
  conversation?.listen(microphone);
}

function mute(how = "muted") {
  setMicrophone("muted");
  conversation?.listen(how);
}

function setMicrophone(now) {
  microphone = now;
  meters.you.level = 0;
  show();
}

const holdToTalk = () => $("push").checked;

function talkPressed() {
  pressed = true;
  showAlert("");
  if (!conversation || !audio.microphone) return start({ talk: true });
  if (audio.context.state !== "running") audio.context.resume();
  if (holdToTalk() || microphone === "muted") return openMicrophone();
  return mute();
}

function talkReleased() {
  if (!pressed) return;
  pressed = false;
  if (holdToTalk() && microphone === "open") mute("released");
}

// --- what the server and the devices say -----------------------------------------------------------------------------------

function listenTo(device, talk) {
  const on = (type, take) => talk.addEventListener(type, ({ detail }) => take(detail));
  on("status", ({ status, reason }) => {
    if (talk !== conversation) return;
    if (status === "closed") closed(reason);
    if (status !== "open") speaking = false;
    show();
  });
  on("session_started", (message) => {
    if (!message.resumed) {
      captions.restart();
      state = "idle";
    }
    for (const { text } of waiting.splice(0)) talk.ask(text);
  });
  on("state", (message) => {
    if (state === "barged_in" && message.state === "speaking") captions.aside();
    state = message.state;
    if (state !== "speaking") speaking = false;
    show();
  });
  on("transcript", (message) => captions.transcript(message));
  on("turn_ended", (message) => captions.ended(message));
  on("reply", (message) => captions.write(message));
  on("mark", (message) => captions.mark(message));
  on("turn_finished", (message) => captions.finish(message));
  on("notice", (message) => captions.note(message.message));
  on("error", (message) => fail(message.message));
  on("explain", (message) => $("timings").checked && captions.facts(message));

  const heard = (type, take) => device.addEventListener(type, ({ detail }) => take(detail));
  heard("frame", ({ level }) => {
    if (microphone === "open") meters.you.set(level);
    $("talk").style.setProperty("--level", microphone === "open" ? meters.you.level.toFixed(2) : "0");
  });
  heard("playing", ({ level }) => {
    meters.it.set(level);
    speaking = level > 0;
  });
  heard("played", ({ turn, samples }) => captions.position.report(turn, samples, performance.now() / 1000));
  heard("unplugged", () => {
    fail("The microphone went away. Tap the button to open another one.");
    setMicrophone("refused");
    talk.listen("muted");
  });
  heard("context", ({ state: now }) => {
    if (now !== "running" && talk.status === "open") fail(PAUSED);
    else if ($("alert").textContent === PAUSED) showAlert("");
  });
}

// --- showing ------------------------------------------------------------------------------------------------------------

const PAUSED = "The browser paused the sound. Tap the button to go on.";
const CONNECTION = { closed: "Not connected", connecting: "Connecting…", resuming: "Reconnecting…", open: "Connected" };

function show() {
  const status = conversation?.status ?? "closed";
  const text = microphone === "waiting" && status === "closed" ? "" : CONNECTION[status];
  showStatus(status, text);
  $("end").hidden = !conversation;
  $("stop").hidden = status !== "open" || state !== "speaking";
  showMicrophone(microphone === "none" || microphone === "refused" ? "none" : microphone, label());
  showState(words(status));
  announce(announcement(status));
}

function announcement(status) {
  if (status === "resuming") return "Connection lost, coming back";
  if (!conversation || status !== "open") return "";
  return microphone === "open" ? "Microphone on" : "Microphone off";
}

function label() {
  if (microphone === "open" && !holdToTalk()) return "Mute the microphone";
  if (holdToTalk() && conversation) return "Hold to talk";
  return microphone === "muted" ? "Unmute the microphone" : "Start talking";
}

function words(status) {
  if (microphone === "waiting") return "Your browser asks for the microphone";
  if (!conversation) return "Tap to talk";
  if (status === "resuming") return "Connection lost, coming back…";
  if (status !== "open") return "Connecting…";
  if (state === "thinking") return "Thinking…";
  if (state === "speaking") return microphone === "open" ? "Speaking. Talk over it any time" : "Speaking";
  if (state === "barged_in") return "Listening…";
  if (microphone === "open") return "Listening";
  if (holdToTalk() && audio.microphone) return "Hold the button to talk";
  return microphone === "muted" ? "Microphone off" : "Type, or tap to talk";
}

function draw() {
  if (!audio) return;
  captions.draw(performance.now() / 1000, audio.rate, audio.latency, speaking);
  for (const meter of Object.values(meters)) meter.draw();
  requestAnimationFrame(draw);
}

// --- hands --------------------------------------------------------------------------------------------------------------

const talk = $("talk");
talk.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  talk.setPointerCapture(event.pointerId);
  // A finger counts as a tap only once it is lifted; sound that is opened before would stay shut.
  if (event.pointerType === "mouse" || audio?.microphone) talkPressed();
});
talk.addEventListener("pointerup", () => {
  if (!pressed) talkPressed();
  talkReleased();
});
for (const type of ["pointercancel", "lostpointercapture"]) talk.addEventListener(type, talkReleased);
// Assistive technology clicks without a pointer: `detail` is 0 then. Keys are handled below.
talk.addEventListener("click", (event) => {
  if (event.detail === 0 && !keyed) {
    talkPressed();
    if (!holdToTalk()) talkReleased();
  }
});

let keyed = false;
const typingSomewhere = (target) => target.closest("input, select, textarea, dialog, button:not(#talk), a");
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("settings").open) conversation?.interrupt();
  const onTalk = event.target === talk && event.key === "Enter";
  if ((event.key !== " " && !onTalk) || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typingSomewhere(event.target)) return;
  event.preventDefault();
  keyed = true;
  talkPressed();
});
document.addEventListener("keyup", (event) => {
  if (!keyed || (event.key !== " " && event.key !== "Enter")) return;
  event.preventDefault();
  keyed = false;
  talkReleased();
});

// A key let go in another window is never told here.
function letGo() {
  keyed = false;
  talkReleased();
}
addEventListener("blur", letGo);
document.addEventListener("visibilitychange", () => document.hidden && letGo());

$("typing").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  showAlert("");
  const entry = captions.typed(text);
  if (conversation?.ask(text)) return;
  waiting.push({ text, entry });
  start({ talk: false });
});

$("end").addEventListener("click", stop);
$("stop").addEventListener("click", () => conversation?.interrupt());
addEventListener("pagehide", stop);

// --- settings -----------------------------------------------------------------------------------------------------------

// Empty: as the server likes. That is said as well, as a session keeps what it is not told.
function choices() {
  const { value, lang } = $("voice").selectedOptions[0];
  return { voice: value, language: lang, rate: Number($("rate").value) };
}

const names = new Intl.DisplayNames(undefined, { type: "language", fallback: "code" });

function called(code) {
  try {
    return names.of(code);
  } catch {
    return "Other"; // "*", "piqd" and the like: it takes two, three or five letters and more
  }
}

async function offerVoices() {
  try {
    const answer = await fetch("v1/voices");
    if (!answer.ok) return;
    const voices = await answer.json();
    const groups = new Map();
    for (const { id, name, languages } of voices) {
      const option = new Option(name || id, id, false, id === kept.voice);
      option.lang = languages.includes("*") ? "" : (languages[0] ?? ""); // "*": whatever is spoken
      const group = called(option.lang.split("-")[0]);
      groups.set(group, [...(groups.get(group) ?? []), option]);
    }
    for (const [name, options] of [...groups].sort(([a], [b]) => a.localeCompare(b))) {
      const group = document.createElement("optgroup");
      group.label = name;
      group.append(...options);
      $("voice").append(group);
    }
  } catch {
    // The picker offers the default only; the conversation says itself what is wrong.
  }
}

function load() {
  try {
    return JSON.parse(localStorage.getItem("antiphon")) ?? {};
  } catch {
    return {};
  }
}

function save() {
  const now = { voice: $("voice").value, rate: $("rate").value, push: $("push").checked, timings: $("timings").checked };
  try {
    localStorage.setItem("antiphon", JSON.stringify(now));
  } catch {
    // Private windows forget; that is what they are for.
  }
}

function showRate() {
  $("rate-shown").value = `${Number($("rate").value).toFixed(1)}×`;
}

$("settings-button").addEventListener("click", () => $("settings").showModal());
$("rate").addEventListener("input", showRate);
$("settings").addEventListener("change", (event) => {
  save();
  if (event.target.id === "voice" || event.target.id === "rate") conversation?.update(choices());
  if (event.target.id === "push" && audio?.microphone) holdToTalk() ? mute() : openMicrophone();
  show();
});

$("rate").value = kept.rate ?? "1";
$("push").checked = kept.push ?? false;
$("timings").checked = kept.timings ?? false;
showRate();
offerVoices();
for (const meter of Object.values(meters)) meter.draw();
show();
