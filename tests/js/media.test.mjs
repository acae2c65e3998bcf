import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { LocalMedia, modernConstraints } from "../../rtcd/web/static/media.js";

test("plain true and false are what they say", () => {
  assert.equal(modernConstraints(true, "audio"), true);
  assert.equal(modernConstraints(false, "video"), false);
  assert.deepEqual(modernConstraints(true, "video"), { facingMode: "user" });
});

test("mandatory limits stay limits, optional ones become wishes, texts become numbers", () => {
  const given = { mandatory: { minWidth: "1280", maxWidth: "1920" }, optional: [{ maxFrameRate: "15" }] };
  assert.deepEqual(modernConstraints(given, "video"), {
    facingMode: "user", width: { min: 1280, max: 1920 }, frameRate: { ideal: 15 },
  });
});

test("the old names of audio processing are known, other goog names have no effect", () => {
  const given = { mandatory: { echoCancellation: "false" }, optional: [{ googNoiseSuppression: "true" }, { googHighpassFilter: "true" }] };
  assert.deepEqual(modernConstraints(given, "audio"), { echoCancellation: { exact: false }, noiseSuppression: { ideal: true } });
});

test("rubbish constrains nothing", () => {
  assert.equal(modernConstraints({ mandatory: { minWidth: "wide" }, optional: [] }, "audio"), true);
  assert.equal(modernConstraints(undefined, "audio"), true);
});

/** As much of a MediaStreamTrack as there is to see. */
class FakeTrack {
  enabled = true;
  readyState = "live";
  onended = null;
  constructor(/** @type {string} */ kind) {
    this.kind = kind;
  }
  stop() {
    this.readyState = "ended";
  }
}

class FakeStream {
  #tracks = new Set();
  getTracks() {
    return [...this.#tracks];
  }
  addTrack(/** @type {FakeTrack} */ track) {
    this.#tracks.add(track);
  }
  removeTrack(/** @type {FakeTrack} */ track) {
    this.#tracks.delete(track);
  }
}

globalThis.MediaStream = /** @type {any} */ (FakeStream);
globalThis.isSecureContext = true;
const ownNavigator = Object.getOwnPropertyDescriptor(globalThis, "navigator");
afterEach(() => ownNavigator && Object.defineProperty(globalThis, "navigator", ownNavigator));

/**
 * Devices whose question to the user is answered by the test.
 * @returns {{made: FakeTrack[], answers: (() => void)[]}}
 */
function devices() {
  const made = /** @type {FakeTrack[]} */ ([]);
  const answers = /** @type {(() => void)[]} */ ([]);
  const getUserMedia = (/** @type {any} */ wanted) =>
    new Promise((resolve) => {
      answers.push(() => {
        const tracks = ["audio", "video"].filter((kind) => wanted[kind]).map((kind) => new FakeTrack(kind));
        made.push(...tracks);
        resolve({ getTracks: () => tracks });
      });
    });
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { mediaDevices: { getUserMedia } } });
  return { made, answers };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test("a switch pressed while the first question is open waits for its answer and opens nothing again", async () => {
  const { made, answers } = devices();
  const media = new LocalMedia({ audio: true, video: true });
  const opened = media.open();
  const switched = media.setCamera(true);
  await settle();
  assert.equal(answers.length, 1);
  answers[0]();
  await opened;
  assert.equal(await switched, true);
  assert.equal(answers.length, 1);
  assert.equal(await media.setCamera(false), false);
  assert.deepEqual(made.filter((track) => track.kind === "video").map((track) => track.readyState), ["ended"]);
});

test("a device that goes away by itself is a problem of its own kind only", async () => {
  const { made, answers } = devices();
  const media = new LocalMedia({ audio: true, video: true });
  const told = /** @type {any[]} */ ([]);
  media.onProblems = (kind) => told.push(kind);
  const opened = media.open();
  await settle();
  answers[0]();
  await opened;
  made.find((track) => track.kind === "video")?.onended?.();
  assert.deepEqual(media.problems, [{ kinds: ["video"], name: "Ended" }]);
  assert.deepEqual(told, [null, "video"]);
  assert.equal(media.isOn("audio"), true);
});

test("what comes after the end of the call is stopped at once", async () => {
  const { made, answers } = devices();
  const media = new LocalMedia({ audio: true, video: true });
  const opened = media.open();
  const switched = media.setCamera(true);
  await settle();
  media.close();
  answers[0]();
  await opened;
  await switched;
  assert.equal(answers.length, 1);
  assert.deepEqual(made.map((track) => track.readyState), ["ended", "ended"]);
});
