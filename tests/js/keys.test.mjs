import assert from "node:assert/strict";
import { test } from "node:test";
import { keyAction } from "../../rtcd/web/static/keys.js";

/** An element that matches a selector if one of its alternatives is this tag. @param {string} tag @returns {any} */
const target = (tag) => ({
  matches: (/** @type {string} */ selector) =>
    selector.split(/[,\s]+/).some((/** @type {string} */ one) => one.replace(/[:[].*/, "") === tag),
});
const press = (/** @type {string} */ key, more = {}) =>
  keyAction(/** @type {any} */ ({ key, target: target("body"), ...more }));

test("the keys of AppRTC and those of our own", () => {
  const keys = {
    " ": "mute",
    m: "mute",
    M: "mute",
    c: "camera",
    f: "fullscreen",
    i: "info",
    q: "hangup",
    l: "self",
    s: "screen",
    p: "people",
    t: "chat",
    "?": "help",
    Escape: "close",
  };
  for (const [key, action] of Object.entries(keys)) {
    assert.equal(press(key), action, key);
  }
  assert.equal(press("x"), null);
  assert.equal(press("Enter"), null);
});

test("shortcuts of the browser, and a key held down, are left alone", () => {
  for (const more of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }, { repeat: true }, { isComposing: true }]) {
    assert.equal(press("c", more), null);
  }
});

test("keys that write a character can be switched off", () => {
  const plain = (/** @type {string} */ key) => keyAction(/** @type {any} */ ({ key, target: target("body") }), false);
  assert.deepEqual(["q", "m", " ", "?", "Escape"].map(plain), [null, null, null, null, "close"]);
});

test("nobody hangs up by typing a q, but Escape closes the panel", () => {
  for (const tag of ["input", "textarea", "select"]) {
    assert.equal(press("q", { target: target(tag) }), null);
    assert.equal(press("Escape", { target: target(tag) }), "close");
  }
});

test("space presses the button that has the focus", () => {
  assert.equal(press(" ", { target: target("button") }), null);
  assert.equal(press("m", { target: target("button") }), "mute");
});
