import assert from "node:assert/strict";
import { test } from "node:test";
import { Speaker } from "../../rtcd/web/static/speaker.js";
import { hue, initials } from "../../rtcd/web/static/elements.js";

test("initials are those of first and last name, in any script", () => {
  assert.equal(initials("Anna Bergström"), "AB");
  assert.equal(initials("anna maria de la cruz"), "AC");
  assert.equal(initials("Tomás"), "T");
  assert.equal(initials("王小明"), "小明");
  assert.equal(initials("  "), "");
  assert.equal(initials("😀 zoo"), "😀Z");
});

test("everybody has a colour that stays", () => {
  assert.equal(hue("0123456789abcdef"), hue("0123456789abcdef"));
  assert.notEqual(hue("0123456789abcdef"), hue("0123456789abcdee"));
  assert.ok(hue("") >= 0 && hue("ffffffffffffffff") < 360);
});

test("the mark of the one who speaks outlasts a pause and passes to who is clearly louder", () => {
  const speaker = new Speaker();
  const say = (/** @type {number} */ a, /** @type {number} */ b, /** @type {number} */ now) =>
    speaker.add(
      new Map([
        ["a", a],
        ["b", b],
      ]),
      now,
    );
  assert.equal(say(0, 0, 0), null);
  assert.equal(say(0.1, 0, 300), "a");
  assert.equal(say(0, 0, 600), "a");
  assert.equal(say(0.1, 0.12, 900), "a");
  assert.equal(say(0.1, 0.3, 1_200), "b");
  assert.equal(say(0, 0, 2_000), "b");
  assert.equal(say(0, 0, 2_500), null);
});

test("who has left loses the mark at once", () => {
  const speaker = new Speaker();
  assert.equal(speaker.add(new Map([["a", 0.5]]), 0), "a");
  assert.equal(speaker.add(new Map([["b", 0]]), 100), null);
});
