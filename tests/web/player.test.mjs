// The player's queue: what is heard is what was sent, whatever happens between.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Meter, OnTheWay, PlayQueue, obey } from "../../web/antiphon/player-worklet.js";

const RATE = 48000;
const QUANTUM = 128;
const FRAME = 960;
const GLIDE = Math.round(RATE * 0.004);

// Never zero, never the same twice in a row: a lost or repeated sample shows.
const voice = (from, count) => Int16Array.from({ length: count }, (_, i) => 1000 + ((from + i) * 37) % 20000);

class Rig {
  constructor() {
    this.reports = [];
    this.queue = new PlayQueue(RATE, (turn, samples) => this.reports.push([turn, samples]));
  }

  send(turn, from, frames) {
    for (let n = 0; n < frames; n++) this.queue.push(turn, from + n * FRAME, voice(from + n * FRAME, FRAME));
  }

  // Plays `quanta` and returns what came out, as integers.
  play(quanta) {
    const heard = [];
    for (let n = 0; n < quanta; n++) {
      const out = new Float32Array(QUANTUM);
      this.queue.read(out);
      heard.push(...out.map((v) => v * 32768));
    }
    return heard;
  }
}

const same = (heard, from) => assert.deepEqual(heard.map(Math.round), [...voice(from, heard.length)]);

// From a sound's first 4 ms on: they rise.
const afterRise = (heard, from) => same(heard.slice(GLIDE), from + GLIDE);

test("plays a turn whole and says how much of it", () => {
  const rig = new Rig();
  rig.send(1, 0, 4);
  const heard = rig.play(31);
  same(heard.slice(0, 4 * FRAME), 0);
  assert.deepEqual(rig.reports.at(-1), [1, 4 * FRAME]);
});

test("reports every 100 ms of playing", () => {
  const rig = new Rig();
  rig.send(1, 0, 50);
  rig.play(375 / 2);
  const steps = rig.reports.map(([, s], i) => s - (i ? rig.reports[i - 1][1] : 0));
  assert.ok(rig.reports.length >= 4);
  assert.ok(steps.every((s) => s >= RATE / 10 && s < RATE / 10 + QUANTUM), `${steps}`);
});

test("a hold is silent within 5 ms, tells where, and a resume goes on at the very sample", () => {
  const rig = new Rig();
  rig.send(1, 0, 10);
  same(rig.play(10), 0);
  rig.queue.hold(1);
  assert.deepEqual(rig.reports.at(-1), [1, 10 * QUANTUM]);
  const after = rig.play(20);
  assert.ok(after.slice(GLIDE).every((v) => v === 0));
  assert.ok(Math.abs(after[0]) > 0, "it glides, as a click would be heard");
  rig.queue.resume(1, 10 * QUANTUM);
  afterRise(rig.play(10), 10 * QUANTUM);
  assert.equal(rig.queue.position, 20 * QUANTUM);
});

test("what comes during a hold is kept", () => {
  const rig = new Rig();
  rig.send(1, 0, 2);
  rig.play(5);
  rig.queue.hold(1);
  rig.send(1, 2 * FRAME, 2);
  assert.equal(rig.queue.queued, 4 * FRAME - 5 * QUANTUM);
  rig.queue.resume(1, 5 * QUANTUM);
  afterRise(rig.play(20), 5 * QUANTUM);
});

test("a resume further on skips to there", () => {
  const rig = new Rig();
  rig.send(1, 0, 3);
  rig.queue.hold(1);
  rig.queue.resume(1, 1000);
  afterRise(rig.play(5), 1000);
});

test("clear drops the turn, tells what was heard of it, and the next one plays", () => {
  const rig = new Rig();
  rig.send(1, 0, 5);
  rig.play(7);
  rig.queue.hold(1);
  rig.queue.clear(1);
  assert.deepEqual(rig.reports.at(-1), [1, 7 * QUANTUM]);
  assert.equal(rig.queue.queued, 0);
  rig.send(2, 0, 2);
  afterRise(rig.play(10), 0);
  assert.deepEqual(rig.reports.at(-1)[0], 1);
  rig.play(10);
  assert.deepEqual(rig.reports.at(-1), [2, 2 * FRAME]);
});

test("a hold ends with its turn: a later one is heard", () => {
  const rig = new Rig();
  rig.send(1, 0, 5);
  rig.play(7);
  rig.queue.hold(1);
  rig.send(2, 0, 2);
  afterRise(rig.play(10), 0);
  rig.queue.hold(1);
  assert.equal(rig.queue.held, false, "a turn that is over holds nothing");
  rig.queue.hold(3);
  rig.send(3, 0, 1);
  assert.ok(rig.play(10).slice(GLIDE).every((v) => v === 0), "it may come before the turn's first audio");
});

test("clear of a turn that has not begun tells zero, of one that is over its length", () => {
  const rig = new Rig();
  rig.send(1, 0, 1);
  rig.send(2, 0, 1);
  rig.queue.clear(2);
  assert.deepEqual(rig.reports.at(-1), [2, 0]);
  rig.send(2, 0, 1);
  rig.play(16);
  rig.queue.clear(1);
  assert.deepEqual(rig.reports.at(-1), [1, FRAME]);
});

test("running dry is reported at once and does not click", () => {
  const rig = new Rig();
  rig.send(1, 0, 1);
  const heard = rig.play(10);
  assert.deepEqual(rig.reports.at(-1), [1, FRAME]);
  const steps = heard.slice(FRAME, FRAME + GLIDE + 10).map((v, i) => Math.abs(v - heard[FRAME + i - 1]));
  assert.ok(Math.max(...steps) < 200, `a step of ${Math.max(...steps)}`);
});

test("after a lost connection the place is kept and nothing is heard twice", () => {
  const rig = new Rig();
  rig.send(1, 0, 5);
  rig.play(10);
  rig.queue.detach();
  assert.ok(rig.play(3).slice(GLIDE).every((v) => v === 0));
  rig.send(1, 960, 5); // the server knew of 960 samples; 1280 were heard
  afterRise(rig.play(10), 1280);
});

test("late audio of an older turn is not played", () => {
  const rig = new Rig();
  rig.send(2, 0, 1);
  rig.play(1);
  rig.send(1, 0, 3);
  assert.equal(rig.queue.queued, FRAME - QUANTUM);
});

test("many false alarms lose and repeat nothing", () => {
  const rig = new Rig();
  rig.send(1, 0, 40);
  let at = 0;
  for (let n = 1; n < 12; n++) {
    const heard = rig.play(n);
    (at ? afterRise : same)(heard, at);
    at += n * QUANTUM;
    rig.queue.hold(1);
    assert.deepEqual(rig.reports.at(-1), [1, at]);
    rig.play(3);
    rig.queue.resume(1, at);
    if (n * QUANTUM < GLIDE) rig.queue.risen = GLIDE;
  }
});

test("orders come as messages", () => {
  const rig = new Rig();
  obey(rig.queue, { type: "audio", turn: 1, sample: 0, pcm: voice(0, FRAME) });
  obey(rig.queue, { type: "hold", turn: 1 });
  assert.equal(rig.queue.held, true);
  obey(rig.queue, { type: "resume", turn: 1, sample: 0 });
  assert.equal(rig.queue.held, false);
  obey(rig.queue, { type: "something new" });
});

test("the meter tells loudness, and silence once", () => {
  const told = [];
  const meter = new Meter(RATE, (level) => told.push(level));
  for (let n = 0; n < 30; n++) meter.add(new Float32Array(128).fill(0.5));
  for (let n = 0; n < 90; n++) meter.add(new Float32Array(128));
  assert.ok(Math.abs(told[0] - 0.5) < 1e-6);
  assert.equal(told.filter((v) => v === 0).length, 1);
});

// A track of WebRTC: what the server sent is heard `way` blocks later, and silence where it sent none.
class Way {
  constructor(way = 24) {
    this.caughtUp = [];
    this.held = new OnTheWay(RATE, (order) => this.caughtUp.push(order));
    this.way = Array.from({ length: way }, () => new Float32Array(QUANTUM));
    this.sent = 0;
    this.heard = [];
    this.element = true; // it sounds by itself
  }

  order(type, number) {
    this.element = false;
    this.held[type](number);
  }

  live() {
    this.element = true;
    this.held.live();
  }

  // The server sends `blocks` of voice, or sends nothing.
  pass(blocks, sends = true) {
    for (let n = 0; n < blocks; n++) {
      this.way.push(sends ? Float32Array.from(voice(this.sent, QUANTUM), (v) => v / 32768) : new Float32Array(QUANTUM));
      if (sends) this.sent += QUANTUM;
      const block = this.way.shift();
      const out = new Float32Array(QUANTUM);
      this.held.pass(block, out);
      const sounds = this.element ? block : out;
      this.heard.push(...Array.from(sounds, (v) => Math.round(v * 32768)));
    }
  }

  sounds() {
    return this.heard.filter((v) => v !== 0);
  }
}

test("of a track that is held nothing sounds, and what was on its way comes before what goes on", () => {
  const way = new Way();
  way.pass(100);
  way.order("hold", 1);
  const at = way.heard.length;
  way.pass(150, false);
  assert.ok(way.heard.slice(at).every((v) => v === 0));
  way.order("resume", 2);
  way.pass(200);
  assert.deepEqual(way.caughtUp, [], "what goes on has come, behind what was kept");
  way.pass(24, false);
  way.pass(60, false);
  assert.deepEqual(way.caughtUp, [2]);
  way.live();
  const sounds = way.sounds();
  const all = [...voice(0, 300 * QUANTUM)];
  // It rises for 4 ms where it goes on, and falls at its end; all else is what was sent, and all of it.
  const kept = (100 - 24) * QUANTUM;
  assert.deepEqual(sounds.slice(0, kept), all.slice(0, kept));
  assert.deepEqual(sounds.slice(kept + GLIDE, all.length), all.slice(kept + GLIDE));
  assert.ok(sounds.length <= all.length + GLIDE);
});

test("a track that was held in silence sounds by itself again at once", () => {
  const way = new Way();
  way.pass(50, false);
  way.order("hold", 1);
  way.pass(50, false);
  assert.deepEqual(way.caughtUp, [], "it is held");
  way.order("resume", 2);
  way.pass(8, false);
  assert.deepEqual(way.caughtUp, [2]);
});

test("of a reply that is over nothing more sounds, and all of the next", () => {
  const way = new Way();
  way.pass(100);
  const before = way.sounds().length;
  way.order("clear", 1);
  way.pass(24 + 8, false);
  assert.equal(way.sounds().length, before, "what was on its way is dropped");
  assert.deepEqual(way.caughtUp, [1]);
  const from = way.sent;
  way.pass(60);
  way.pass(24, false);
  assert.ok(Math.abs(way.sounds().length - before - (way.sent - from)) <= GLIDE, "told late, it sounds from here");
});

test("what never falls silent is no longer taken for a reply that is over", () => {
  const way = new Way();
  way.pass(100);
  const before = way.sounds().length;
  way.order("clear", 1);
  way.pass(200);
  assert.ok(way.sounds().length > before);
});

test("a track that is held before anything of a reply came sounds from its first sample when it goes on", () => {
  const way = new Way();
  way.pass(50, false);
  way.order("hold", 1);
  way.pass(20); // it sets out
  way.pass(10); // and comes, up to here
  assert.deepEqual(way.sounds(), [], "it is not to be heard yet");
  way.order("resume", 2);
  way.pass(100);
  way.pass(24, false);
  way.pass(60, false);
  assert.deepEqual(way.caughtUp, [2]);
  const sounds = way.sounds();
  const all = [...voice(0, way.sent)];
  assert.ok(sounds.length >= all.length && sounds.length <= all.length + GLIDE, `${sounds.length} of ${all.length}`);
  assert.deepEqual(sounds.slice(GLIDE, all.length), all.slice(GLIDE), "whole, but that it rises for 4 ms");
});

test("of a reply that never was nothing sounds, though it was on its way, and all of the next", () => {
  const way = new Way();
  way.pass(50, false);
  way.order("hold", 1);
  way.pass(40);
  way.order("clear", 2);
  way.pass(24 + 8, false);
  assert.deepEqual(way.sounds(), []);
  assert.deepEqual(way.caughtUp, [2]);
  way.live();
  const from = way.sent;
  way.pass(20, false);
  way.order("hold", 3);
  way.pass(30);
  way.order("resume", 4);
  way.pass(50);
  way.pass(24 + 60, false);
  const sounds = way.sounds();
  assert.deepEqual(sounds.slice(GLIDE, way.sent - from), [...voice(from, way.sent - from)].slice(GLIDE));
});

test("a second hold while the kept sound still plays loses none of it", () => {
  const way = new Way();
  way.pass(100);
  way.order("hold", 1);
  way.pass(60, false);
  way.order("resume", 2);
  way.pass(10);
  way.order("hold", 3);
  way.pass(60, false);
  way.order("resume", 4);
  way.pass(50);
  way.pass(120, false);
  assert.deepEqual(way.caughtUp, [4]);
  assert.ok(Math.abs(way.sounds().length - way.sent) <= 4 * GLIDE, `${way.sounds().length} of ${way.sent}`);
});

test("after a hold a long pause is shortened, until nothing is late any more", () => {
  const way = new Way();
  way.pass(100);
  way.order("hold", 1);
  way.pass(60, false);
  way.order("resume", 2);
  way.pass(30);
  way.pass(40, false); // 107 ms
  way.pass(30);
  const queued = way.held.size;
  assert.ok(queued < 24 * QUANTUM, `${queued}`);
});
