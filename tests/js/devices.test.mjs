import assert from "node:assert/strict";
import { test } from "node:test";
import { afterLoss, Choices, sortDevices } from "../../rtcd/web/static/devices.js";

test("devices are sorted by kind; hidden ones and second names are left out", () => {
  const infos = [
    { deviceId: "default", groupId: "g", kind: "audioinput", label: "Default" },
    { deviceId: "communications", groupId: "g", kind: "audioinput", label: "Communications" },
    { deviceId: "", groupId: "", kind: "videoinput", label: "" },
    { deviceId: "cam", groupId: "h", kind: "videoinput", label: "Camera" },
    { deviceId: "hall", groupId: "", kind: "audiooutput", label: "Hall" },
    { deviceId: "odd", groupId: "", kind: "smell", label: "" },
  ];
  assert.deepEqual(sortDevices(/** @type {any} */ (infos)), {
    audioinput: [{ id: "default", label: "Default", group: "g" }],
    videoinput: [{ id: "cam", label: "Camera", group: "h" }],
    audiooutput: [{ id: "hall", label: "Hall", group: "" }],
  });
});

const device = (/** @type {string} */ id, group = `g-${id}`) => ({ id, label: id, group });

test("the default device is another one when other hardware stands behind it", () => {
  const isAbsent = (/** @type {string} */ now, /** @type {string} */ before) =>
    afterLoss([device("default", now)], { id: "default", group: before, absent: false }, null).absent;
  assert.deepEqual([isAbsent("desk", "headset"), isAbsent("desk", "desk"), isAbsent("", "headset")], [true, false, false]);
});

test("what went away in use gives way to the default one, and is taken again when it is back", () => {
  const lost = { id: "a", group: "g-a", absent: false };
  const cases = /** @type {[any[], boolean, string | null, any][]} */ ([
    // present, was absent, in use -> what to do
    [[device("b")], false, null, { absent: true, take: "" }],
    [[], false, null, { absent: true, take: null }],
    [[device("b")], true, "b", { absent: true, take: null }],
    [[device("a"), device("b")], true, "b", { absent: true, take: "a" }],
    [[device("a")], true, null, { absent: true, take: "a" }],
    [[device("a")], true, "a", { absent: true, take: null }],
    [[device("a")], false, null, { absent: false, take: null }], // never missing: the user took it back
  ]);
  for (const [list, absent, used, expected] of cases) {
    assert.deepEqual(afterLoss(list, { ...lost, absent }, used), expected);
  }
});

test("choices are remembered by kind", () => {
  const stored = /** @type {Record<string, string>} */ ({});
  const getItem = (/** @type {string} */ key) => stored[key] ?? null;
  const setItem = (/** @type {string} */ key, /** @type {string} */ text) => void (stored[key] = text);
  const storage = () => ({ getItem, setItem });
  const choices = new Choices(storage);
  assert.equal(choices.get("audio"), "");
  choices.set("audio", "headset");
  choices.set("output", "hall");
  const next = new Choices(storage);
  assert.deepEqual([next.get("audio"), next.get("video"), next.get("output")], ["headset", "", "hall"]);
});

test("without storage the page remembers by itself", () => {
  const forbidden = new Choices(() => {
    throw new DOMException("", "SecurityError");
  });
  assert.equal(forbidden.get("video"), "");
  forbidden.set("video", "desk");
  assert.equal(forbidden.get("video"), "desk");
});
