import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Choices } from "../../rtcd/web/static/devices.js";
import { modernConstraints } from "../../rtcd/web/static/constraints.js";
import { LocalMedia } from "../../rtcd/web/static/media.js";

const PROCESSING = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

test("plain true and false are what they say, with the processing that a voice needs", () => {
  assert.deepEqual(modernConstraints(true, "audio"), PROCESSING);
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
  const optional = [{ googNoiseSuppression: "true" }, { googHighpassFilter: "true" }];
  const given = { mandatory: { echoCancellation: "false" }, optional };
  assert.deepEqual(modernConstraints(given, "audio"), {
    ...PROCESSING, echoCancellation: { exact: false }, noiseSuppression: { ideal: true },
  });
});

test("rubbish constrains nothing", () => {
  assert.deepEqual(modernConstraints({ mandatory: { minWidth: "wide" }, optional: [] }, "audio"), PROCESSING);
  assert.deepEqual(modernConstraints(undefined, "audio"), PROCESSING);
});

/** As much of a MediaStreamTrack as there is to see. */
class FakeTrack {
  enabled = true;
  readyState = "live";
  contentHint = "";
  /** @type {(() => void) | null} */
  onended = null;
  applied = /** @type {any[]} */ ([]);
  constructor(/** @type {string} */ kind, /** @type {any} */ settings = {}, /** @type {any} */ capabilities = {}) {
    this.kind = kind;
    this.settings = settings;
    this.capabilities = capabilities;
  }
  get isLive() {
    return this.readyState === "live";
  }
  getSettings() {
    return this.settings;
  }
  getCapabilities() {
    return this.capabilities;
  }
  getConstraints() {
    return { width: 640 };
  }
  async applyConstraints(/** @type {any} */ constraints) {
    this.applied.push(constraints);
    if ("backgroundBlur" in constraints) {
      this.settings = { ...this.settings, backgroundBlur: constraints.backgroundBlur };
    }
  }
  stop() {
    this.readyState = "ended";
  }
  /** The device goes away. */
  unplug() {
    this.readyState = "ended";
    this.onended?.();
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

/** @param {any} value */
function setNavigator(value) {
  Object.defineProperty(globalThis, "navigator", { configurable: true, value });
}

/** A browser that remembers nothing. */
const forgetful = () => new Choices(() => ({ getItem: () => null, setItem: () => {} }));

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
  setNavigator({ mediaDevices: { getUserMedia } });
  return { made, answers };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

test("a switch pressed while the first question is open waits for its answer and opens nothing again", async () => {
  const { made, answers } = devices();
  const media = new LocalMedia({ audio: true, video: true }, forgetful());
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
  const media = new LocalMedia({ audio: true, video: true }, forgetful());
  const told = /** @type {any[]} */ ([]);
  media.onProblems = (kind) => told.push(kind);
  const opened = media.open();
  await settle();
  answers[0]();
  await opened;
  made.find((track) => track.kind === "video")?.unplug();
  await settle();
  assert.deepEqual(media.problems, [{ kinds: ["video"], name: "Ended" }]);
  assert.deepEqual(told, [null, "video"]);
  assert.equal(media.isOn("audio"), true);
});

test("what comes after the end of the call is stopped at once", async () => {
  const { made, answers } = devices();
  const media = new LocalMedia({ audio: true, video: true }, forgetful());
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

/** A desk with hardware that can be plugged in and out, and a user who allows everything. */
class Desk {
  asked = /** @type {any[]} */ ([]);
  made = /** @type {FakeTrack[]} */ ([]);
  shown = /** @type {any[]} */ ([]);
  stored = /** @type {Record<string, string>} */ ({});
  /** A phone can have one camera open at a time. */
  oneCamera = false;
  permission = "granted";
  deaf = false;
  hidden = false;
  #changed = new Set();

  /** @param {[kind: string, id: string, more?: any][]} hardware `more`: settings and capabilities of its tracks */
  constructor(hardware) {
    this.hardware = hardware;
    setNavigator({
      permissions: { query: async () => ({ state: this.permission }) },
      mediaDevices: {
        addEventListener: (/** @type {string} */ _name, /** @type {any} */ listener) => this.#changed.add(listener),
        removeEventListener: (/** @type {string} */ _name, /** @type {any} */ listener) => this.#changed.delete(listener),
        enumerateDevices: async () => this.#list(),
        getUserMedia: async (/** @type {any} */ wanted) => this.#open(wanted),
        getDisplayMedia: async (/** @type {any} */ wanted) => this.#show(wanted),
      },
    });
  }

  #list() {
    const list = this.hidden ? [] : this.hardware;
    return list.map(([kind, id]) => ({ kind: `${kind}input`, deviceId: id, groupId: `g-${id}`, label: id }));
  }

  get listeners() {
    return this.#changed.size;
  }

  choices() {
    const getItem = (/** @type {string} */ key) => this.stored[key] ?? null;
    return new Choices(() => ({ getItem, setItem: (key, text) => void (this.stored[key] = text) }));
  }

  /** @param {string} id */
  async unplug(id) {
    this.hardware = this.hardware.filter(([, other]) => other !== id);
    this.made.filter((track) => track.settings.deviceId === id && track.isLive).forEach((track) => track.unplug());
    await this.changed();
  }

  async changed() {
    this.#changed.forEach((listener) => listener());
    await settle();
  }

  /** @param {any} wanted */
  #open(wanted) {
    this.asked.push(wanted);
    this.hidden = false;
    const tracks = ["audio", "video"].filter((kind) => wanted[kind]).map((kind) => {
      const { deviceId, facingMode } = wanted[kind];
      const all = this.hardware.filter(([other]) => other === kind);
      const fits = (/** @type {any} */ demand, /** @type {any} */ value) => demand === undefined || demand === value;
      const exact = all.find(([, id, more]) => fits(deviceId?.exact, id) && fits(facingMode?.exact, more?.facingMode));
      const wished = all.find(([, id]) => id === deviceId && !this.deaf) ?? all[0];
      const found = deviceId?.exact || facingMode?.exact ? exact : wished;
      if (!found) {
        throw new DOMException("", all.length ? "OverconstrainedError" : "NotFoundError");
      }
      if (kind === "video" && this.oneCamera && this.made.some((track) => track.kind === kind && track.isLive)) {
        throw new DOMException("", "NotReadableError");
      }
      const [, id, more] = found;
      return new FakeTrack(kind, { deviceId: id, groupId: `g-${id}`, ...more }, more?.capabilities);
    });
    this.made.push(...tracks);
    return { getTracks: () => tracks };
  }

  /** @param {any} wanted */
  #show(wanted) {
    this.shown.push(wanted);
    if (this.permission !== "granted") {
      throw new DOMException(this.permission, "NotAllowedError");
    }
    const tracks = [new FakeTrack("video"), new FakeTrack("audio")];
    this.made.push(...tracks);
    return { getTracks: () => tracks };
  }
}

/** @param {LocalMedia} media */
const inUse = (media) => Object.fromEntries(["audio", "video"].map((kind) => [kind, settingsOf(media, kind).deviceId]));
const settingsOf = (/** @type {LocalMedia} */ media, /** @type {any} */ kind) => media.track(kind)?.getSettings() ?? {};

/** @param {Desk} desk */
async function opened(desk, wanted = { audio: true, video: true }) {
  const media = new LocalMedia(wanted, desk.choices());
  await media.open();
  return media;
}

/** @returns {[string, string][]} */
const twoOfEach = () => [["audio", "built-in"], ["audio", "headset"], ["video", "front"], ["video", "desk"]];

test("a chosen device is used at once, and the next time, and a link's own device is not overruled", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  assert.deepEqual(inUse(media), { audio: "built-in", video: "front" });
  assert.equal(await media.choose("video", "desk"), true);
  assert.equal(await media.choose("audio", "headset"), true);
  assert.deepEqual(inUse(media), { audio: "headset", video: "desk" });
  assert.equal(media.chosen("video"), "desk");
  assert.deepEqual(inUse(await opened(desk)), { audio: "headset", video: "desk" });
  const bound = await opened(desk, { audio: /** @type {any} */ ({ mandatory: { sourceId: "built-in" } }), video: true });
  assert.equal(inUse(bound).audio, "built-in");
});

test("choosing goes over in one step, the old device is let go, and a muted microphone stays muted", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  await media.setMicrophone(false);
  const slots = /** @type {any[]} */ ([]);
  media.onChange = (slot) => slots.push([slot, media.track(slot)?.readyState]);
  await media.choose("audio", "headset");
  assert.deepEqual(slots, [["audio", "live"]]);
  assert.deepEqual(desk.made.filter(({ isLive }) => !isLive).map(({ settings }) => settings.deviceId), ["built-in"]);
  assert.equal(media.isOn("audio"), false);
  assert.equal(await media.setMicrophone(true), true);
});

test("a camera that is off stays off when another one is chosen", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  await media.setCamera(false);
  assert.equal(await media.choose("video", "desk"), true);
  assert.equal(media.track("video"), null);
  assert.equal(await media.setCamera(true), true);
  assert.equal(inUse(media).video, "desk");
});

test("a chosen device whose name is hidden before the first question is taken after it", async () => {
  const desk = new Desk(twoOfEach());
  desk.deaf = true; // Chromium heeds no wish for a device, only a demand
  desk.hidden = true;
  desk.choices().set("video", "desk");
  const media = await opened(desk);
  assert.deepEqual([inUse(media), desk.asked.length], [{ audio: "built-in", video: "desk" }, 2]);
  await media.setCamera(false);
  await media.setCamera(true);
  assert.deepEqual([inUse(media).video, desk.asked.length], ["desk", 3]);
});

test("what cannot be had leaves all as it was", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  await media.choose("video", "desk");
  assert.equal(await media.choose("video", "gone"), false);
  assert.deepEqual([inUse(media).video, media.chosen("video"), media.isOn("video")], ["desk", "desk", true]);
  assert.equal(settingsOf(media, "video").deviceId, "desk");
  assert.deepEqual(media.problems, []);
});

test("a vanished device gives way to the default one, muted as before, and is taken again when it comes back", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  await media.choose("audio", "headset");
  await media.setMicrophone(false);
  await desk.unplug("headset");
  assert.deepEqual([inUse(media).audio, media.isOn("audio"), media.chosen("audio")], ["built-in", false, "headset"]);
  assert.deepEqual(media.problems, []);
  desk.hardware.push(["audio", "headset"]);
  await desk.changed();
  assert.deepEqual([inUse(media).audio, media.isOn("audio")], ["headset", false]);
  const questions = desk.asked.length;
  await desk.changed();
  assert.equal(desk.asked.length, questions);
});

test("the only camera is missed, and taken again when it comes back", async () => {
  const desk = new Desk([["audio", "built-in"], ["video", "front"]]);
  const media = await opened(desk);
  await desk.unplug("front");
  assert.deepEqual(media.problems, [{ kinds: ["video"], name: "Ended" }]);
  desk.hardware.push(["video", "front"]);
  await desk.changed();
  assert.deepEqual([inUse(media).video, media.problems], ["front", []]);
});

test("a device that was not in use is left alone when it comes, as is one whose medium was switched off", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  await media.choose("video", "desk");
  await desk.unplug("desk");
  await media.setCamera(false);
  desk.hardware.push(["video", "desk"], ["audio", "new"]);
  await desk.changed();
  assert.deepEqual(inUse(media), { audio: "built-in", video: undefined });
});

test("what the user took back in the browser is not asked for again", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  const questions = desk.asked.length;
  desk.permission = "prompt";
  desk.made.forEach((track) => track.unplug());
  await desk.changed();
  desk.hardware = [];
  await desk.changed();
  desk.hardware = twoOfEach();
  await desk.changed();
  assert.equal(desk.asked.length, questions);
  assert.deepEqual(media.problems.map(({ name }) => name), ["Ended", "Ended"]);
});

test("the hot-plug listener goes with the call", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  assert.equal(desk.listeners, 1);
  media.close();
  assert.equal(desk.listeners, 0);
  assert.ok(desk.made.every(({ readyState }) => readyState === "ended"));
});

test("a phone flips though it opens one camera at a time, and stays there after an off and on", async () => {
  const desk = new Desk([["video", "front", { facingMode: "user" }], ["video", "rear", { facingMode: "environment" }]]);
  desk.oneCamera = true;
  const media = await opened(desk);
  assert.equal(media.canFlip, true);
  assert.equal(await media.flip(), true);
  assert.equal(inUse(media).video, "rear");
  await media.setCamera(false);
  await media.setCamera(true);
  assert.deepEqual(desk.asked.at(-1).video, { facingMode: "environment" });
  assert.equal(media.chosen("video"), "");
});

test("cameras that face nowhere are not flipped", async () => {
  const media = await opened(new Desk(twoOfEach()));
  assert.deepEqual([media.canFlip, await media.flip(), inUse(media).video], [false, false, "front"]);
});

test("blur is there where the camera has it, and stays on over an off and on", async () => {
  const plain = await opened(new Desk(twoOfEach()));
  assert.equal(plain.blur, undefined);
  assert.equal(await plain.setBlur(true), false);
  const able = { backgroundBlur: false, capabilities: { backgroundBlur: [false, true] } };
  const media = await opened(new Desk([["audio", "built-in"], ["video", "front", able]]));
  assert.equal(media.blur, false);
  assert.equal(await media.setBlur(true), true);
  await media.setCamera(false);
  await media.setCamera(true);
  assert.equal(media.blur, true);
  assert.deepEqual(/** @type {any} */ (media.track("video")).applied, [{ width: 640, backgroundBlur: true }]);
});

test("camera and screen say what matters in their pictures", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  assert.equal(media.track("video")?.contentHint, "motion");
  await media.screen.share();
  assert.equal(media.track("screen")?.contentHint, "text");
  assert.deepEqual(desk.shown[0].video, { frameRate: { max: 15 } });
  media.screen.setHint("motion");
  assert.equal(media.track("screen")?.contentHint, "motion");
  assert.deepEqual(/** @type {any} */ (media.track("screen")).applied[0].frameRate, { max: 30 });
});

test("a shared screen is another pair of tracks, asked for once, and its end in the browser is noticed", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  const slots = /** @type {string[]} */ ([]);
  media.onChange = (slot) => slots.push(slot);
  assert.deepEqual(await Promise.all([media.screen.share(), media.screen.share()]), [true, true]);
  assert.equal(desk.shown.length, 1);
  assert.deepEqual(slots.splice(0), ["screen", "screenAudio"]);
  assert.equal(media.stream.getTracks().length, 2);
  assert.equal(media.screen.shared, true);
  /** @type {any} */ (media.track("screen")).unplug();
  assert.deepEqual([media.screen.shared, media.track("screenAudio"), slots], [false, null, ["screen", "screenAudio"]]);
});

test("who thinks better of sharing has no problem", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  desk.permission = "denied";
  assert.deepEqual([await media.screen.share(), media.screen.problem], [false, ""]);
  navigator.mediaDevices.getDisplayMedia = () => Promise.reject(new DOMException("", "NotReadableError"));
  assert.deepEqual([await media.screen.share(), media.screen.problem], [false, "NotReadableError"]);
});

test("a screen that comes after the end of the call is stopped at once", async () => {
  const desk = new Desk(twoOfEach());
  const media = await opened(desk);
  const sharing = media.screen.share();
  media.close();
  assert.equal(await sharing, false);
  assert.ok(desk.made.every(({ readyState }) => readyState === "ended"));
});

test("sound comes out of the chosen device only while it is there", async () => {
  const desk = new Desk(twoOfEach());
  navigator.mediaDevices.enumerateDevices = async () => /** @type {any} */ (speakers);
  let speakers = [{ kind: "audiooutput", deviceId: "hall", groupId: "", label: "Hall" }];
  const media = await opened(desk);
  let told = 0;
  media.onDevices = () => (told += 1);
  assert.equal(await media.choose("output", "hall"), true);
  assert.deepEqual([media.output, told], ["hall", 1]);
  speakers = [];
  await desk.changed();
  assert.deepEqual([media.output, media.chosen("output"), told], ["", "hall", 2]);
});
