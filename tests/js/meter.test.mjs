import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { LevelMeter, levelOf } from "../../rtcd/web/static/meter.js";

test("silence is 0, a loud voice is 1, what is between grows as ears have it", () => {
  const level = (/** @type {number} */ amplitude) => levelOf(new Float32Array(64).fill(amplitude));
  assert.deepEqual([level(0), level(0.0005), level(1)], [0, 0, 1]);
  assert.equal(levelOf([]), 0);
  assert.ok(Math.abs(level(10 ** (-35 / 20)) - 0.5) < 0.001);
  assert.ok(level(0.01) < level(0.02) && level(0.02) < level(0.1));
});

let contexts = /** @type {FakeContext[]} */ ([]);
class FakeContext {
  state = "suspended";
  amplitude = 0.5;
  resumed = 0;
  sources = /** @type {any[]} */ ([]);
  constructor() {
    contexts.push(this);
  }
  createAnalyser() {
    return { getFloatTimeDomainData: (/** @type {Float32Array} */ samples) => void samples.fill(this.amplitude) };
  }
  createMediaStreamSource(/** @type {any} */ stream) {
    const source = {
      track: stream.tracks[0],
      connected: false,
      connect: () => (source.connected = true),
      disconnect: () => (source.connected = false),
    };
    this.sources.push(source);
    return source;
  }
  async resume() {
    this.resumed += 1;
  }
  async suspend() {
    this.state = "suspended";
  }
  async close() {
    this.state = "closed";
  }
}

/** @param {...any} tracks */
const streamOf = (...tracks) => /** @type {any} */ ({ getTracks: () => tracks });

beforeEach(() => {
  contexts = [];
  globalThis.AudioContext = /** @type {any} */ (FakeContext);
  globalThis.MediaStream = /** @type {any} */ (class {
    constructor(/** @type {any[]} */ tracks) {
      this.tracks = tracks;
    }
  });
  mock.timers.enable({ apis: ["setInterval"] });
});
afterEach(() => mock.timers.reset());

test("the level is told about 15 times a second, from one context", () => {
  const levels = /** @type {number[]} */ ([]);
  const meter = new LevelMeter((level) => levels.push(level));
  meter.watch(streamOf({ kind: "video" }, { kind: "audio", id: 1 }));
  mock.timers.tick(1_000);
  assert.ok(levels.length >= 15 && levels.length <= 17, String(levels.length));
  assert.ok(levels.every((level) => level > 0.9));
  meter.watch(streamOf({ kind: "audio", id: 2 }));
  assert.equal(contexts.length, 1);
  assert.deepEqual(contexts[0].sources.map(({ track, connected }) => [track.id, connected]), [[1, false], [2, true]]);
});

test("a context that the browser holds back is asked again, once a second", () => {
  const meter = new LevelMeter(() => {});
  meter.watch(streamOf({ kind: "audio" }));
  mock.timers.tick(3_000);
  assert.ok(contexts[0].resumed >= 3 && contexts[0].resumed <= 5, String(contexts[0].resumed));
});

test("it stops at zero, cleanly and for good", () => {
  const levels = /** @type {number[]} */ ([]);
  const meter = new LevelMeter((level) => levels.push(level));
  meter.watch(streamOf({ kind: "audio" }));
  meter.watch(null);
  assert.equal(levels.at(-1), 0);
  const told = levels.length;
  meter.close();
  meter.close();
  mock.timers.tick(1_000);
  assert.equal(levels.length, told);
  assert.deepEqual([contexts[0].state, contexts[0].sources[0].connected], ["closed", false]);
});

test("without a microphone, without WebAudio and with a broken one nothing happens", () => {
  const meter = new LevelMeter(() => assert.fail());
  meter.watch(streamOf({ kind: "video" }));
  meter.watch(null);
  globalThis.AudioContext = /** @type {any} */ (class {
    constructor() {
      throw new DOMException("", "NotSupportedError");
    }
  });
  meter.watch(streamOf({ kind: "audio" }));
  globalThis.AudioContext = /** @type {any} */ (undefined);
  meter.watch(streamOf({ kind: "audio" }));
  meter.close();
});
