// The microphone of a browser that the test plays: opened, unplugged, opened again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AudioDevice } from "../../web/antiphon/audio.js";

class Port {
  posted = [];
  onmessage = null;

  postMessage(message) {
    this.posted.push(message);
  }
}

const nodes = [];
globalThis.AudioWorkletNode = class {
  constructor(context, name) {
    Object.assign(this, { name, port: new Port(), sources: 0 });
    nodes.push(this);
  }

  connect() {}

  // What its processor would post, were anything connected to it.
  hears(sample) {
    if (this.sources) this.port.onmessage?.({ data: { sample, level: 0 } });
  }
};

globalThis.AudioContext = class {
  audioWorklet = { addModule: async () => {} };

  constructor({ sampleRate = 44100 }) {
    this.sampleRate = sampleRate;
  }

  async resume() {}

  async close() {
    assert.ok(!this.over, "closed twice");
    this.over = true;
  }

  createGain() {
    return { connect() {} };
  }

  createMediaStreamSource() {
    assert.ok(!this.over, "closed");
    return { connect: (to) => (this.to = to).sources++, disconnect: () => this.to.sources-- };
  }
};

class Track {
  readyState = "live";
  enabled = true;

  stop() {
    this.readyState = "ended";
  }

  unplug() {
    this.stop();
    this.onended?.();
  }
}

globalThis.MediaStream ??= class {};

const tracks = [];
async function getUserMedia({ audio: { deviceId } }) {
  if (deviceId?.exact === "gone") throw Object.assign(new Error("no such device"), { name: "OverconstrainedError" });
  const track = new Track();
  track.asked = deviceId;
  tracks.push(track);
  return { getTracks: () => [track], getAudioTracks: () => [track] };
}
Object.defineProperty(globalThis, "navigator", { value: { mediaDevices: { getUserMedia } }, configurable: true });

const microphones = () => nodes.filter((n) => n.name === "antiphon-microphone");

test("Firefox on Linux is never asked for its latency: it may wait for PulseAudio, which waits for it", () => {
  const device = new AudioDevice();
  let asked = 0;
  Object.defineProperty(device.context, "outputLatency", { get: () => (asked++, 0.02) });
  assert.equal(device.latency, 0.02);
  const { mediaDevices } = navigator;
  const userAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices, userAgent }, configurable: true });
  try {
    assert.ok(device.latency > 0);
  } finally {
    Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });
  }
  assert.equal(asked, 1);
});

test("of a microphone that went away nothing comes any more, whatever is opened after it", async () => {
  const device = new AudioDevice();
  const heard = [];
  device.addEventListener("frame", ({ detail }) => heard.push(detail.sample));
  let unplugged = 0;
  device.addEventListener("unplugged", () => unplugged++);
  await device.openMicrophone();
  const [first] = microphones();
  first.hears(0);
  tracks.at(-1).unplug();
  assert.deepEqual([unplugged, device.microphone, first.sources], [1, false, 0]);
  await device.openMicrophone();
  const second = microphones()[1];
  first.port.onmessage?.({ data: { sample: 960 } }); // was on its way
  second.hears(4800);
  assert.deepEqual(heard, [0, 4800]);
  assert.deepEqual(first.port.posted, ["close"]);
  device.close();
  assert.deepEqual([second.sources, tracks.at(-1).readyState], [0, "ended"]);
});

// A track of a room, as its device plays it: by an element, and beside that a node that can keep it silent.
function remote(state) {
  const device = new AudioDevice();
  const element = { muted: false };
  const gain = { gain: { value: 1 }, connect: (to) => to, disconnect() {} };
  const source = { connect: (to) => to, disconnect() {} };
  Object.assign(device.context, { state, createGain: () => gain, createMediaStreamSource: () => source });
  device.playRemote({ attach: () => element, mediaStreamTrack: {}, detach() {} });
  const { posted } = nodes.at(-1).port;
  return { device, element, orders: () => posted.map(({ type }) => type) };
}

test("what a track brings while it is held is kept silent, and sounds from the node when it goes on", () => {
  const { device, element, orders } = remote("running");
  assert.ok(device.keeps);
  device.order("hold", 2);
  assert.ok(element.muted);
  device.order("resume", 2, 0);
  assert.ok(element.muted, "until the node has caught up");
  assert.deepEqual(orders(), ["hold", "resume"]);
  device.soundRemote();
  assert.ok(!element.muted);
});

test("a context that stands still silences no reply: the element sounds when it goes on, or is over", () => {
  for (const order of ["resume", "clear"]) {
    const { device, element, orders } = remote("suspended");
    device.order("hold", 2);
    assert.ok(element.muted);
    device.order(order, 2, 0);
    assert.ok(!element.muted);
    assert.deepEqual(orders(), ["hold", "live"]);
  }
});

test("a microphone that was allowed when all is over is shut at once", async () => {
  const device = new AudioDevice();
  const opening = device.openMicrophone();
  device.close();
  await opening;
  assert.deepEqual([device.microphone, tracks.at(-1).readyState], [false, "ended"]);
});

test("sound has LiveKit's rate, so that its sessions can go on over WebSocket; but for Firefox, whose microphone decides", () => {
  assert.equal(new AudioDevice().rate, 48000);
  navigator.userAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
  assert.equal(new AudioDevice().rate, 44100);
  delete navigator.userAgent;
});

test("the microphone that was chosen is the one that is opened, and the system's where that is gone", async () => {
  const device = new AudioDevice();
  await device.openMicrophone("headset");
  assert.deepEqual(tracks.at(-1).asked, { exact: "headset" });
  await device.openMicrophone("gone");
  assert.deepEqual([device.microphone, tracks.at(-1).asked], [true, undefined]);
  device.close();
});
