// The page around <antiphon-talk>: settings, the connection's state, the transcript, keys and pairing.

import { pair } from "./antiphon.js";
import { offerDevices, offerOptions } from "./settings.js";
import { kept, keep } from "./kept.js";

const $ = (id) => document.getElementById(id);
const talk = $("antiphon");
const { client } = talk;
const CHOICES = ["voice", "language", "ear", "responder", "rate"];
const CONNECTION = { closed: "", connecting: "Connecting…", resuming: "Reconnecting…", open: "Connected" };
const BY = { livekit: "WebRTC", websocket: "WebSocket" };

// --- the connection -----------------------------------------------------------------------------------------------------

function showStatus(status = "closed") {
  $("connection").dataset.status = status;
  $("connection").dataset.transport = client.transport;
  $("connection-text").textContent = status === "open" ? `${CONNECTION.open} · ${BY[client.transport]}` : CONNECTION[status];
  $("end").hidden = status === "closed";
}

talk.addEventListener("antiphon-status", ({ detail }) => showStatus(detail.status));
talk.addEventListener("antiphon-transcription", ({ detail }) => ($("save").hidden = !detail.lines.length));
talk.addEventListener("antiphon-microphone", () => offerDevices(client));
talk.addEventListener("antiphon-devices", () => offerDevices(client));
talk.addEventListener("antiphon-mode", ({ detail }) => keep({ mode: detail.mode }));
$("end").addEventListener("click", () => talk.end());

$("save").addEventListener("click", () => {
  const now = new Date();
  const text = `Antiphon, ${now.toLocaleString()}\n\n${talk.transcriptText()}`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = `antiphon-${now.toISOString().slice(0, 16).replace(/[:T]/g, "-")}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});

// --- keys ---------------------------------------------------------------------------------------------------------------

talk.addEventListener("antiphon-key", ({ detail }) => useKey(detail.key));
talk.addEventListener("antiphon-key-wanted", () => useKey("")); // the one that is kept is worth nothing

function useKey(key) {
  keep({ key });
  talk.options.key = key || undefined;
  $("forget").hidden = !key;
  return offerOptions(key).catch(() => {}); // the conversation says itself what is wrong
}

$("forget").addEventListener("click", () => useKey(""));

// A pairing code comes in the fragment, which no server sees; it leaves the address before anything else.
async function paired() {
  const code = new URLSearchParams(location.hash.slice(1)).get("pair");
  if (!code) return kept().key;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    const key = await pair(code, document.baseURI);
    talk.notice("This device is paired. It stays so until its key is revoked.");
    return key;
  } catch (error) {
    talk.alert(error.message);
    return kept().key;
  }
}

// --- settings -----------------------------------------------------------------------------------------------------------

// Empty: as the server likes. That is said as well, as a session keeps what it is not told.
function choices() {
  const voice = $("voice").selectedOptions[0];
  return {
    voice: voice.value,
    language: $("language").value || voice.lang,
    ear: $("ear").value,
    responder: $("responder").value,
    rate: Number($("rate").value),
  };
}

function showRate() {
  $("rate-shown").value = `${Number($("rate").value).toFixed(1)}×`;
}

function showTimings() {
  talk.toggleAttribute("timings", $("timings").checked);
}

$("settings-button").addEventListener("click", () => {
  offerDevices(client);
  $("settings").showModal();
});
$("settings").addEventListener("click", (event) => {
  if (event.target === $("settings")) $("settings").close(); // beside it
});
$("rate").addEventListener("input", showRate);
$("settings").addEventListener("change", ({ target }) => {
  keep({ [target.id]: target.type === "checkbox" ? target.checked : target.value });
  if (CHOICES.includes(target.id)) talk.update(choices());
  else if (target.id === "microphone") client.chooseMicrophone(target.value);
  else if (target.id === "speaker") client.chooseSpeaker(target.value).catch((error) => talk.alert(error.message));
  else if (target.id === "transport") talk.options.transport = target.value;
  else if (target.id === "timings") showTimings();
});

const before = kept();
$("rate").value = before.rate ?? "1";
$("timings").checked = before.timings ?? false;
$("transport").value = before.transport === "websocket" ? "websocket" : "auto";
Object.assign(talk.options, { transport: $("transport").value, mode: before.mode ?? "open" });
Object.assign(talk.options, { microphone: before.microphone ?? "", speaker: before.speaker ?? "" });
client.setMode(talk.options.mode);
showRate();
showTimings();
showStatus();
await useKey(await paired());
Object.assign(talk.options, choices());
document.documentElement.dataset.ready = "";
