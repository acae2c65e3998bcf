import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { PAUSE_MS, Sounds } from "../../rtcd/web/static/sound.js";

let tones = /** @type {number[]} */ ([]);
let loudest = 0;
let contexts = /** @type {FakeContext[]} */ ([]);
class FakeContext {
  state = "running";
  currentTime = 5;
  destination = {};
  sink = "";
  constructor() {
    contexts.push(this);
  }
  createGain() {
    const ramp = (/** @type {number} */ value) => (loudest = Math.max(loudest, value));
    const gain = { setValueAtTime: ramp, linearRampToValueAtTime: ramp, exponentialRampToValueAtTime: ramp };
    return { gain, connect() {} };
  }
  async resume() {
    this.state = "running";
  }
  async setSinkId(/** @type {string} */ id) {
    this.sink = id;
  }
}

class FakeOscillator {
  #frequency;
  constructor(/** @type {any} */ _context, /** @type {{frequency: number}} */ { frequency }) {
    this.#frequency = frequency;
  }
  connect(/** @type {any} */ node) {
    return node;
  }
  start() {
    tones.push(this.#frequency);
  }
  stop() {}
}

let now = 1e12;
mock.method(Date, "now", () => now);
afterEach(() => (now += PAUSE_MS));
beforeEach(() => {
  tones = [];
  loudest = 0;
  contexts = [];
  globalThis.AudioContext = /** @type {any} */ (FakeContext);
  globalThis.OscillatorNode = /** @type {any} */ (FakeOscillator);
});

test("coming rises, going falls, a message is one tone, and all of it is soft", async () => {
  const sounds = new Sounds();
  await sounds.join();
  const [low, high] = tones.splice(0);
  assert.ok(low < high);
  now += PAUSE_MS;
  await sounds.leave();
  const [first, second] = tones.splice(0);
  assert.ok(first > second);
  now += PAUSE_MS;
  await sounds.chat();
  assert.equal(tones.length, 1);
  assert.ok(loudest > 0 && loudest <= 0.1);
  assert.equal(contexts.length, 1);
});

test("many at once sound once", async () => {
  const sounds = new Sounds();
  await Promise.all([sounds.chat(), sounds.chat(), sounds.join()]);
  assert.equal(tones.length, 1);
  now += PAUSE_MS;
  await sounds.chat();
  assert.equal(tones.length, 2);
});

test("muted means silent", async () => {
  const sounds = new Sounds();
  sounds.muted = true;
  await sounds.join();
  assert.deepEqual([tones, contexts], [[], []]);
});

test("what the browser held back until somebody clicked is not made up for later", async () => {
  const sounds = new Sounds();
  await sounds.chat();
  tones = [];
  now += PAUSE_MS;
  contexts[0].state = "suspended";
  contexts[0].resume = async () => void (now += 1_500);
  await sounds.chat();
  assert.deepEqual(tones, []);
});

test("sounds go where the voices go", async () => {
  const sounds = new Sounds();
  sounds.output = "hall";
  await sounds.join();
  assert.equal(contexts[0].sink, "hall");
  assert.equal(tones.length, 2);
});

test("a speaker that is gone, and one that is only tried, are heard", async () => {
  const sounds = new Sounds();
  sounds.muted = true;
  await sounds.join();
  assert.deepEqual(tones, []);
  await sounds.join(true);
  assert.equal(tones.length, 2);
  now += PAUSE_MS;
  contexts[0].setSinkId = async () => Promise.reject(new DOMException("", "NotFoundError"));
  await sounds.join(true);
  assert.equal(tones.length, 4);
});

test("without WebAudio, or with a broken one, nothing is thrown", async () => {
  globalThis.AudioContext = /** @type {any} */ (undefined);
  await new Sounds().join();
  globalThis.AudioContext = /** @type {any} */ (class {
    constructor() {
      throw new DOMException("", "NotSupportedError");
    }
  });
  await new Sounds().join();
});
