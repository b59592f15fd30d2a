// The page's other plain parts: the wire, the microphone's frames, captions, and a conversation's connections.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Conversation } from "../../web/antiphon/conversation.js";
import { PlayPosition, ReplyCaption, TrackPosition } from "../../web/antiphon/captions.js";
import { FrameCutter } from "../../web/antiphon/mic-worklet.js";
import { Latency } from "../../web/antiphon/latency.js";
import { LiveKitLink } from "../../web/antiphon/livekit-link.js";
import { WebSocketLink } from "../../web/antiphon/links.js";
import { backoff, isFinal, mayResume, packAudio, unpackAudio } from "../../web/antiphon/protocol.js";
import { Transcript } from "../../web/antiphon/transcript.js";
import { keyWanted, phase, sentence, tookOver, words } from "../../web/antiphon/words.js";

const hex = (buffer) => Buffer.from(buffer).toString("hex");

test("the header is the documented one", () => {
  assert.equal(hex(packAudio(7, 960, Int16Array.of(0x0201))), "0100000007000000c0030000000000000102");
});

test("binary round trip; what is not known is ignored", () => {
  const { turn, sample, pcm } = unpackAudio(packAudio(3, 2 ** 40, Int16Array.of(1, -2, 32767)));
  assert.deepEqual([turn, sample, [...pcm]], [3, 2 ** 40, [1, -2, 32767]]);
  assert.equal(unpackAudio(new ArrayBuffer(5)), null);
  assert.equal(unpackAudio(new Uint8Array(20).fill(9).buffer), null);
});

test("who may come back", () => {
  assert.deepEqual([1000, 4001, 1001, 1006, 1011].map(mayResume), [false, false, true, true, true]);
  assert.ok(backoff(0) < backoff(3) && backoff(50) <= 4);
});

test("the microphone's frames are 20 ms, clipped, and know their place", () => {
  const frames = [];
  const cutter = new FrameCutter(44100, (sample, pcm, level) => frames.push({ sample, pcm: [...pcm], level }));
  for (let n = 0; n < 30; n++) cutter.push(new Float32Array(128).fill(n < 15 ? 2 : -2));
  assert.deepEqual(frames.map((f) => [f.sample, f.pcm.length]), [[0, 882], [882, 882], [1764, 882], [2646, 882]]);
  assert.equal(frames[0].pcm[0], 32767);
  assert.equal(frames[3].pcm[881], -32768);
  assert.equal(frames[0].level, 1);
});

test("a microphone opened later counts on where the time is", () => {
  const frames = [];
  const cutter = new FrameCutter(48000, (sample, pcm) => frames.push([sample, pcm.length, pcm.indexOf(32767)]));
  for (let at = 1920; at < 3840; at += 128) cutter.push(new Float32Array(128).fill(1), at);
  assert.deepEqual(frames, [[1920, 960, 0], [2880, 960, 0]]);
  for (let at = 9984; at < 11520; at += 128) cutter.push(new Float32Array(128).fill(1), at);
  assert.deepEqual(frames.slice(2), [[9600, 960, 384], [10560, 960, 0]]);
});

test("captions light up by marks, counted in code points", () => {
  const caption = new ReplyCaption(1);
  caption.write("Zwei 🍎🍎 ");
  caption.write("bitte");
  caption.mark({ start: 5, end: 8, sample: 500 });
  caption.mark({ start: 0, end: 5, sample: 0 });
  caption.mark({ start: 8, end: 13, sample: 900 });
  assert.deepEqual(caption.at(-1), { heard: "", now: "", rest: "Zwei 🍎🍎 bitte" });
  assert.deepEqual(caption.at(0), { heard: "", now: "Zwei ", rest: "🍎🍎 bitte" });
  assert.deepEqual(caption.at(899), { heard: "Zwei ", now: "🍎🍎 ", rest: "bitte" });
  caption.finish({ heard: "Zwei", unheard: "🍎🍎 bitte" });
  assert.deepEqual(caption.at(0), { heard: "Zwei ", now: "", rest: "" });
  assert.equal(caption.unheard, "🍎🍎 bitte");
  caption.finish({ heard: "Zwei 🍎", unheard: "🍎 bitte" });
  assert.equal(caption.at(0).heard, "Zwei 🍎", "no space where there was none");
});

test("a reply that nobody finishes was heard up to the word that sounded", () => {
  const caption = new ReplyCaption(1);
  caption.write("Ten nine eight.");
  for (const [start, end] of [[0, 3], [4, 8], [9, 15]]) caption.mark({ start, end, sample: start * 100 });
  caption.cut(500);
  assert.deepEqual(caption.final, { heard: "Ten ", unheard: "nine eight." });
  const silent = new ReplyCaption(2);
  silent.write("Never begun.");
  silent.cut(-1);
  assert.deepEqual(silent.final, { heard: "", unheard: "Never begun." });
});

test("the play position runs on between reports, but not far", () => {
  const position = new PlayPosition();
  position.report(2, 4800, 10);
  assert.equal(Math.round(position.at(10.05, 48000, 0, true)), 4800 + 2400);
  assert.equal(Math.round(position.at(10.05, 48000, 0.02, true)), 4800 + 2400 - 960);
  assert.equal(position.at(99, 48000, 0, true), 4800 + 5760);
  assert.equal(position.at(99, 48000, 0.02, false), 4800);
});

test("a reply that comes as a track goes on while it is given and sounds", () => {
  const track = new TrackPosition(48000);
  track.written(1);
  track.state("speaking", 1);
  assert.deepEqual(track.at(2), { turn: 0, samples: 0 }, "it has not sounded yet");
  track.sound(0.2, 2);
  assert.deepEqual(track.at(2.5), { turn: 1, samples: 24000 });
  track.state("barged_in", 2.5);
  track.sound(0.2, 2.6);
  assert.deepEqual(track.at(9), { turn: 1, samples: 24000 }, "held");
  track.state("speaking", 10);
  track.sound(0.2, 10.1);
  assert.deepEqual(track.at(11.1), { turn: 1, samples: 72000 }, "it went on where it was");
  track.written(2);
  track.finished(1, 11.1);
  track.sound(0.2, 12);
  assert.deepEqual(track.at(12.5), { turn: 2, samples: 24000 }, "the next one begins at its beginning");
});

test("what the user waits for: the end of speech to the answer's first sound, speech over a reply to silence", () => {
  const latency = new Latency();
  const speak = (from, to) => {
    for (let at = from; at < to; at += 0.02) latency.microphone(0.1, at);
  };
  for (let at = 0; at < 1; at += 0.02) latency.microphone(0.001, at);
  speak(1, 2);
  latency.turnEnded(true);
  assert.equal(latency.reply(0, 2.3), null);
  assert.ok(Math.abs(latency.reply(0.1, 2.5).response_s - 0.52) < 0.021);
  assert.equal(latency.reply(0.1, 2.6), null, "told once");
  // Over the reply, which falls silent.
  for (let at = 2.6; at < 4; at += 0.02) latency.reply(0.1, at);
  speak(3.95, 4.5);
  latency.reply(0.1, 4.03);
  latency.reply(0, 4.05);
  assert.ok(Math.abs(latency.turnFinished("barge_in").silence_s - 0.08) < 0.001);
  // A noise that it goes on after, and words that were typed, are neither.
  latency.reply(0.1, 6);
  speak(6.1, 6.3);
  latency.resumed();
  assert.equal(latency.turnFinished("barge_in"), null);
  latency.turnEnded(false);
  assert.equal(latency.reply(0.1, 9), null);
});

test("what is going on, in a word, and in words", () => {
  const facts = { status: "open", state: "listening", microphone: "open", push: false, paused: false, secure: true };
  const told = (changes) => [phase({ ...facts, ...changes }), words({ ...facts, ...changes })];
  assert.deepEqual(told({}), ["listening", "Listening"]);
  assert.deepEqual(told({ state: "barged_in" })[0], "interrupted");
  assert.deepEqual(told({ microphone: "muted" }), ["muted", "Microphone off"]);
  assert.deepEqual(told({ microphone: "muted", push: true }), ["muted", "Hold the button to talk"]);
  assert.deepEqual(told({ status: "closed", secure: false })[0], "insecure");
  assert.deepEqual(told({ paused: true })[0], "paused");
  assert.equal(told({ status: "resuming", state: "speaking" })[0], "reconnecting");
});

test("that WebSocket took over is told in whole sentences, whatever the reason looks like", () => {
  assert.equal(tookOver("It was lost."), "It was lost. The conversation goes on over WebSocket.");
  assert.equal(tookOver("It was lost"), "It was lost. The conversation goes on over WebSocket.");
  assert.equal(tookOver(""), "LiveKit was lost. The conversation goes on over WebSocket.");
});

test("what a server says is shown as a sentence", () => {
  const said = ["the key was revoked; ask for another one", "Wait!", "élan (yes)", "“no”", "", "send it, e.g. …"];
  assert.deepEqual(said.map(sentence), ["The key was revoked; ask for another one.", "Wait!", "Élan (yes).", "“no”.", "", "Send it, e.g. …"]);
});

test("why a key is asked for is told in a person's words", () => {
  for (const said of [["KEY_MISSING", "send it as `key` of session_start"], [undefined, ""]]) {
    assert.match(keyWanted(...said), /^This server asks for an access key\. .*keys pair/);
  }
  assert.equal(keyWanted("KEY_UNKNOWN", "this access key is not one of this server's"), "This access key is not one of this server's.");
});

test("a transcript holds what was heard, and what was taken back is not in it", () => {
  const transcript = new Transcript();
  const at = new Date(2026, 0, 1, 9, 5);
  transcript.take({ type: "turn_ended", transcript: "what is", turn: 1 }, at);
  transcript.take({ type: "turn_finished", turn: 1, heard: "", unheard: "The", reason: "withdrawn" }, at);
  transcript.take({ type: "turn_ended", transcript: "what is the time", turn: 2 }, at);
  assert.equal(transcript.take({ type: "mark" }, at), false);
  transcript.take({ type: "turn_finished", turn: 2, heard: "It is ten", unheard: "past nine.", reason: "barge_in" }, at);
  assert.equal(transcript.text("Ada"), "09:05  You: what is the time\n09:05  Ada: It is ten [not heard: past nine.]\n");
});

// --- a conversation over a socket that the test holds the other end of ---

class FakeSocket {
  static OPEN = 1;
  static made = [];

  constructor(url) {
    Object.assign(this, { url, sent: [], readyState: 0 });
    FakeSocket.made.push(this);
  }

  send(data) {
    this.sent.push(typeof data === "string" ? JSON.parse(data) : unpackAudio(data));
  }

  close(code) {
    this.drop(code);
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  drop(code) {
    this.readyState = 3;
    this.onclose({ code, reason: "" });
  }
}

class FakeAudio extends EventTarget {
  rate = 48000;
  orders = [];
  played = [];

  soundRemote() {}

  order(type, turn, sample) {
    this.orders.push([type, turn, sample]);
  }

  play(turn, sample, pcm) {
    this.played.push([turn, sample, [...pcm]]);
  }

  listen(on) {
    this.listening = on;
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const started = { type: "session_started", resume: "token", resumed: false, grace_s: 30, next_input_sample: 0 };
const until = async (condition) => {
  for (let n = 0; n < 2000 && !condition(); n++) await new Promise((r) => setTimeout(r, 5));
  assert.ok(condition());
};

globalThis.WebSocket = FakeSocket;
let talk;

const settled = () => new Promise((r) => setTimeout(r, 0));

async function begin() {
  FakeSocket.made = [];
  const audio = new FakeAudio();
  talk = new Conversation(() => new WebSocketLink("ws://here"), audio, { voice: "en" });
  const events = [];
  talk.addEventListener("status", ({ detail }) => events.push(detail.status));
  await talk.start();
  const socket = FakeSocket.made[0];
  socket.open();
  socket.say(started);
  return { audio, socket, events };
}

afterEach(() => talk?.end());

test("starts with what it can do and was asked for", async () => {
  const { socket, events } = await begin();
  const { type, hold, voice, input_rate, output_rate, resume } = socket.sent[0];
  assert.deepEqual([type, hold, voice, input_rate, output_rate, resume], ["session_start", true, "en", 48000, 48000, undefined]);
  assert.deepEqual(events, ["connecting", "open"]);
});

test("audio, orders and reports pass between server and loudspeaker", async () => {
  const { audio, socket } = await begin();
  socket.onmessage({ data: packAudio(1, 960, Int16Array.of(5, 6)) });
  socket.say({ type: "hold", turn: 1 });
  socket.say({ type: "resume", turn: 1, sample: 7 });
  socket.say({ type: "clear", turn: 1 });
  assert.deepEqual(audio.played, [[1, 960, [5, 6]]]);
  assert.deepEqual(audio.orders, [["reset", undefined, undefined], ["hold", 1, undefined], ["resume", 1, 7], ["clear", 1, undefined]]);
  audio.tell("played", { turn: 1, samples: 962 });
  assert.deepEqual(socket.sent.at(-1), { type: "played", turn: 1, samples: 962 });
});

test("the microphone is sent only while it is open, numbered from where the server is", async () => {
  const { audio, socket } = await begin();
  const frame = (sample) => audio.tell("frame", { sample, pcm: new Int16Array(960), level: 0 });
  frame(0);
  talk.listen("open");
  frame(960);
  frame(1920);
  talk.listen("released");
  frame(2880);
  assert.deepEqual(socket.sent.filter((m) => m.pcm).map((m) => m.sample), [0, 960]);
  assert.deepEqual(socket.sent.filter((m) => m.type === "input").map((m) => m.state), ["muted", "open", "released"]);
});

test("a lost connection is resumed with the token, and the place in the microphone's time", async () => {
  const { audio, socket, events } = await begin();
  talk.listen("open");
  socket.drop(1006);
  assert.deepEqual(audio.orders.at(-1), ["detach", undefined, undefined]);
  await until(() => FakeSocket.made.length === 2);
  const second = FakeSocket.made[1];
  second.open();
  assert.equal(second.sent[0].resume, "token");
  second.say({ ...started, resumed: true, next_input_sample: 4800 });
  audio.tell("frame", { sample: 99_000, pcm: new Int16Array(960), level: 0 });
  assert.equal(second.sent.at(-1).sample, 4800);
  assert.deepEqual(events, ["connecting", "open", "resuming", "resuming", "open"]);
  assert.ok(!audio.orders.slice(-1).some(([type]) => type === "reset"));
});

test("when the grace time is over it begins anew and says so", async () => {
  const { socket } = await begin();
  const notices = [];
  talk.addEventListener("notice", ({ detail }) => notices.push(detail));
  socket.drop(1006);
  await until(() => FakeSocket.made.length === 2);
  const second = FakeSocket.made[1];
  second.open();
  second.say({ type: "error", code: "not_found", reason: "RESUME_UNKNOWN", fatal: false });
  assert.equal(second.sent.at(-1).type, "session_start");
  assert.equal(second.sent.at(-1).resume, undefined);
  assert.deepEqual(notices.map(({ code }) => code), ["new_session"]);
  // A server that crashed and came back knows nothing either: nobody was away for too long.
  assert.match(notices[0].message, /no longer knows this conversation/);
});

test("what could not be sent is told, and choices hold for the next session as well", async () => {
  const { socket } = await begin();
  assert.equal(talk.ask("are you there"), true);
  talk.update({ voice: "", language: "", rate: 1 });
  assert.deepEqual(socket.sent.at(-1), { type: "session_update", voice: "", language: "", rate: 1 });
  socket.drop(1006);
  assert.equal(talk.ask("and now"), false);
  await until(() => FakeSocket.made.length === 2);
  FakeSocket.made[1].open();
  const { voice, language, rate } = FakeSocket.made[1].sent[0];
  assert.deepEqual([voice, language, rate], ["", "", 1]);
});

for (const code of [1000, 4001]) {
  test(`a close with ${code} is the end`, async () => {
    const { socket, events } = await begin();
    socket.drop(code);
    assert.equal(events.at(-1), "closed");
    assert.equal(FakeSocket.made.length, 1);
  });
}

const revoked = { type: "error", code: "denied", reason: "KEY_REVOKED", message: "the key was revoked", fatal: true };
const full = { type: "error", code: "at_capacity", reason: "TOO_MANY_SESSIONS", message: "it has one already", fatal: true };

test("what ends a session, and what only its connection", () => {
  assert.deepEqual([isFinal(revoked, true), isFinal(revoked, false)], [true, true]);
  assert.deepEqual([isFinal(full, true), isFinal(full, false)], [false, true]);
  assert.ok(!isFinal({ ...revoked, fatal: false }, false) && !isFinal({ ...revoked, reason: "TOKEN_EXPIRED" }, true));
});

test("a key that is revoked is the end, and nobody comes back with it", async () => {
  const { socket } = await begin();
  const why = [];
  talk.addEventListener("status", ({ detail }) => why.push([detail.status, detail.reason]));
  socket.say(revoked);
  socket.drop(1008);
  assert.deepEqual(why, [["closed", "the key was revoked"]]);
  await new Promise((r) => setTimeout(r, 400));
  assert.equal(FakeSocket.made.length, 1);
});

test("a session that is ended for too much is taken up again", async () => {
  const { socket, events } = await begin();
  socket.say({ ...full, reason: "RATE_LIMITED" });
  socket.drop(1008);
  assert.equal(events.at(-1), "resuming");
});

test("ending says so, also while there is no connection", async () => {
  const { socket, events } = await begin();
  talk.end();
  assert.equal(socket.sent.at(-1).type, "session_end");
  assert.equal(events.at(-1), "closed");
  const again = await begin();
  again.socket.drop(1006);
  talk.end();
  assert.equal(again.events.at(-1), "closed");
  await new Promise((r) => setTimeout(r, 400));
  assert.equal(FakeSocket.made.length, 1);
});

// --- another kind of link: one whose media may fail ---

class FakeRoom {
  kind = "livekit";
  sent = [];

  open() {}

  send(message) {
    this.sent.push(message);
    return true;
  }

  listen(on) {
    this.on = on;
  }

  microphone() {}

  close(code) {
    this.closedWith = code;
    this.onclose(code, "");
  }
}

function inRoom() {
  FakeSocket.made = [];
  const audio = new FakeAudio();
  const rooms = [];
  talk = new Conversation(
    ({ fallback }) => (fallback ? new WebSocketLink("ws://here") : (rooms.push(new FakeRoom()), rooms.at(-1))),
    audio,
  );
  const told = [];
  talk.addEventListener("fallback", ({ detail }) => told.push(detail.reason));
  return { audio, rooms, told };
}

test("where LiveKit carries nothing the conversation begins over WebSocket, and says so", async () => {
  const { rooms, told } = inRoom();
  await talk.start();
  talk.giveUp(rooms[0]); // what the timer does after MEDIA_S
  assert.equal(rooms[0].closedWith, 1000);
  await settled();
  FakeSocket.made[0].open();
  assert.equal(FakeSocket.made[0].sent[0].resume, undefined);
  FakeSocket.made[0].say(started);
  assert.deepEqual([talk.status, talk.transport, told.length], ["open", "websocket", 1]);
  assert.match(told[0], /no sound within 3 seconds/);
});

for (const [error, begun] of [[full, false], [revoked, false], [revoked, true]]) {
  test(`over LiveKit ${error.reason} ends it ${begun ? "midway" : "at the start"}: WebSocket would not help`, async () => {
    const { rooms, told } = inRoom();
    const why = [];
    talk.addEventListener("status", ({ detail }) => why.push([detail.status, detail.reason]));
    await talk.start();
    rooms[0].onopen();
    if (begun) rooms[0].onmessage(started);
    rooms[0].onmessage(error);
    rooms[0].onclose(1013, "it has one");
    assert.deepEqual(why.at(-1), ["closed", error.message]);
    await settled();
    assert.deepEqual([told.length, FakeSocket.made.length], [0, 0]);
  });
}

test("a LiveKit that is lost midway is followed by a WebSocket with the same session", async () => {
  const { rooms, told } = inRoom();
  await talk.start();
  rooms[0].onopen();
  assert.equal(rooms[0].sent[0].type, "session_start");
  rooms[0].onmessage(started);
  assert.equal(talk.status, "open");
  rooms[0].onpause(true);
  assert.equal(talk.status, "resuming");
  rooms[0].onpause(false);
  assert.equal(talk.status, "open");
  rooms[0].onclose(1006, "The connection to LiveKit was lost.");
  assert.deepEqual(told, ["The connection to LiveKit was lost."]);
  await until(() => FakeSocket.made.length === 1);
  FakeSocket.made[0].open();
  assert.equal(FakeSocket.made[0].sent[0].resume, "token");
});

// A LiveKitLink in a room that the test plays: `handlers` are what it listens to.
async function inSdkRoom() {
  const handlers = {};
  const room = { state: "connected", remoteParticipants: new Map(), registerTextStreamHandler() {}, left: 0, sent: [] };
  room.disconnect = () => room.left++;
  room.localParticipant = { publishData: async (bytes) => room.sent.push(JSON.parse(new TextDecoder().decode(bytes)).type) };
  room.on = (type, take) => ((handlers[type] = take), room);
  room.connect = () => new Promise(() => {});
  const names = ["SignalConnected", "SignalReconnecting", "Reconnecting", "Reconnected", "TrackSubscribed", "Disconnected", "DataReceived"];
  const RoomEvent = Object.fromEntries(names.map((name) => [name, name]));
  const sdk = { Room: class { constructor() { return room; } }, RoomEvent, Track: { Kind: { Audio: "audio" } } };
  const audio = Object.assign(new FakeAudio(), { stopRemote() {}, playRemote() {} });
  talk = new Conversation(() => new LiveKitLink(sdk, "ws://room", "token", audio), audio);
  await talk.start();
  talk.link.take(JSON.stringify(started));
  talk.link.agent = "agent";
  return { ...handlers, room };
}

test("a room is left when the agent has heard that the session is over, or soon", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  for (const heard of [true, false]) {
    const { room, DataReceived } = await inSdkRoom();
    const why = [];
    talk.addEventListener("status", ({ detail }) => why.push(detail.status));
    talk.end();
    assert.deepEqual([why, room.sent.at(-1), room.left], [["closed"], "session_end", 0]);
    if (heard) DataReceived(new TextEncoder().encode('{"code": 1000, "reason": ""}'), { isAgent: true }, null, "antiphon.closed");
    else t.mock.timers.tick(700);
    assert.deepEqual([why, room.left], [["closed"], 1]);
  }
});

test("in a room hold is promised only where what comes can be kept silent", async () => {
  for (const keeps of [true, false]) {
    await inSdkRoom();
    talk.audio.keeps = keeps;
    assert.equal(talk.greeting().hold, keeps);
    talk.end();
  }
});

test("a LiveKit that was never there is not called lost", async () => {
  const { Disconnected } = await inSdkRoom();
  const told = [];
  talk.addEventListener("fallback", ({ detail }) => told.push(detail.reason));
  Disconnected();
  assert.deepEqual(told, ["LiveKit cannot be reached."]);
  talk.end();
  const again = await inSdkRoom();
  talk.addEventListener("fallback", ({ detail }) => told.push(detail.reason));
  again.SignalConnected();
  again.Disconnected();
  assert.equal(told[1], "The connection to LiveKit was lost.");
});

test("a room that is lost is a pause from the first sign of it, and its limit counts from there", async () => {
  const handlers = await inSdkRoom();
  handlers.SignalReconnecting();
  assert.equal(talk.status, "resuming");
  const { media } = talk;
  handlers.Reconnecting();
  assert.equal(talk.media, media);
  handlers.Reconnected();
  assert.equal(talk.status, "open");
  talk.end();
});

test("a voice whose packets no longer come is a pause, and none when they come again", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const handlers = await inSdkRoom();
  let bytesReceived = 0;
  handlers.TrackSubscribed({ kind: "audio", getReceiverStats: async () => ({ bytesReceived }) }, null, { isAgent: true });
  const looks = async (count, more) => {
    for (; count > 0; count--) {
      bytesReceived += more;
      t.mock.timers.tick(500);
      await settled();
    }
    return talk.status;
  };
  assert.equal(await looks(9, 0), "open"); // nothing was ever said
  assert.equal(await looks(4, 56), "open");
  assert.equal(await looks(2, 0), "open");
  assert.equal(await looks(1, 0), "resuming");
  assert.equal(await looks(1, 56), "open");
  talk.end();
});
