import assert from "node:assert/strict";
import { test } from "node:test";
import { modernConstraints } from "../../rtcd/web/static/media.js";

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
