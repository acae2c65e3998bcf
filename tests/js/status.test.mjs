import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { interrupted, StatusLine } from "../../rtcd/web/static/status.js";
import { clockTime } from "../../rtcd/web/static/view.js";

/** @param {string} phase @param {(string | null)[]} troubles */
const calling = (phase, ...troubles) => /** @type {any} */ ({
  phase, members: new Map(troubles.map((trouble, index) => [String(index), { trouble }])),
});

/** @param {any} call */
function line(call) {
  const said = /** @type {string[]} */ ([]);
  return { said, status: new StatusLine(/** @type {any} */ ({ status: (/** @type {string} */ key) => said.push(key) }), () => call) };
}

test("a call is interrupted when nothing comes from anybody", () => {
  assert.equal(interrupted(null), false);
  assert.equal(interrupted(calling("connected")), false);
  assert.equal(interrupted(calling("connected", null, "interrupted")), false);
  assert.equal(interrupted(calling("connected", "relay", "interrupted")), true);
  assert.equal(interrupted(calling("connected", "connecting", "away")), false);
  assert.equal(interrupted(calling("connecting", "interrupted")), false);
});

test("what happened is said for a while, then how the call stands", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { said, status } = line(calling("connected", null));
  status.say("status.muted");
  status.stand();
  assert.deepEqual(said, ["status.muted"]);
  mock.timers.tick(3_000);
  assert.deepEqual(said, ["status.muted", "status.connected"]);
  mock.timers.reset();
});

test("an interruption is more important than anything that happened", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const call = calling("connected", null);
  const { said, status } = line(call);
  status.say("status.muted");
  call.members.get("0").trouble = "interrupted";
  status.stand();
  status.say("status.unmuted");
  assert.deepEqual(said, ["status.muted", "status.reconnecting"]);
  mock.timers.reset();
});

test("connecting that takes long is said, and no more once it has an end", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const call = calling("connecting", "connecting");
  const { said, status } = line(call);
  status.phase();
  mock.timers.tick(11_000);
  assert.deepEqual(said, ["status.connecting", "status.slow"]);
  status.phase();
  status.clear();
  mock.timers.tick(60_000);
  assert.equal(said.at(-1), "");
  mock.timers.reset();
});

test("lengths of time are as on a clock", () => {
  assert.deepEqual([0, 7.9, 247, 3723, -1].map(clockTime), ["0:00", "0:07", "4:07", "1:02:03", "0:00"]);
});
