import assert from "node:assert/strict";
import { test } from "node:test";
import { Ladder } from "../../rtcd/web/static/ladder.js";

/**
 * What a ladder does of itself until a time, as [milliseconds, action].
 * @param {Ladder} ladder
 * @param {number} until
 */
function climb(ladder, until, audible = true) {
  /** @type {[number, string][]} */
  const actions = [];
  while (ladder.due !== null && ladder.due <= until) {
    const now = ladder.due;
    const action = ladder.advance(now, audible);
    if (action) {
      actions.push([now, action]);
    }
  }
  return actions;
}

/** @param {ConstructorParameters<typeof Ladder>[1]} [how] */
function connected(how) {
  const ladder = new Ladder(0, how);
  ladder.state("connecting", 100);
  ladder.state("connected", 500);
  assert.equal(ladder.trouble, null);
  assert.equal(ladder.due, null);
  return ladder;
}

test("disconnected for two seconds another path is looked for, after eight by relays, after twenty all anew, and again after fifteen", () => {
  const ladder = connected();
  ladder.state("disconnected", 10_000);
  assert.equal(ladder.trouble, "interrupted");
  assert.deepEqual(climb(ladder, 29_999), [[12_000, "restart"], [18_000, "relay"]]);
  assert.deepEqual(climb(ladder, 61_000), [[30_000, "renew"], [45_000, "renew"], [60_000, "renew"]]);
  assert.equal(ladder.trouble, "renewing");
  ladder.state("connected", 62_000);
  assert.equal(ladder.trouble, null);
  assert.deepEqual(climb(ladder, 999_000), []);
});

test("an interruption of less than two seconds is left to itself", () => {
  const ladder = connected();
  ladder.state("disconnected", 10_000);
  ladder.state("connected", 11_900);
  assert.deepEqual(climb(ladder, 60_000), []);
});

test("a failed connection is not waited for; that it fails again does not hurry the next rung", () => {
  const ladder = connected();
  ladder.state("failed", 10_000);
  assert.deepEqual(climb(ladder, 10_000), [[10_000, "restart"]]);
  ladder.state("connecting", 10_100);
  ladder.state("failed", 12_000);
  assert.deepEqual(climb(ladder, 20_000), [[18_000, "relay"]]);
  assert.equal(ladder.trouble, "relay");
});

test("a first connection has eight seconds before relays alone are tried, and is begun anew if nothing was agreed in twenty", () => {
  const slow = new Ladder(0);
  slow.state("connecting", 1_000);
  assert.equal(slow.trouble, "connecting");
  assert.deepEqual(climb(slow, 20_000), [[8_000, "relay"], [20_000, "renew"]]);
  assert.deepEqual(climb(new Ladder(0), 36_000), [[20_000, "renew"], [35_000, "renew"]]);
});

test("the later one in the room is a little behind, and leaves the first rung to the other if that has begun", () => {
  const ladder = connected({ lag: 1_500 });
  ladder.state("disconnected", 10_000);
  assert.deepEqual(climb(ladder, 12_000), []);
  ladder.state("connecting", 12_100);
  assert.deepEqual(climb(ladder, 31_500), [[19_500, "relay"], [31_500, "renew"]]);
});

test("a connection that either side has begun anew has its time, and each one more than the last", () => {
  const ladder = connected({ lag: 1_500 });
  ladder.state("failed", 10_000);
  ladder.state("new", 11_000); // the other side was quicker
  assert.deepEqual(climb(ladder, 27_499), []);
  assert.deepEqual(climb(ladder, 27_500), [[27_500, "renew"]]);
  ladder.state("new", 28_000);
  ladder.state("connecting", 50_000);
  assert.deepEqual(climb(ladder, 81_500), [[81_500, "renew"]]);
  ladder.state("new", 82_000);
  ladder.state("new", 90_000);
  assert.equal(ladder.due, 136_500, "but not more and more for ever");
  ladder.state("connected", 91_000);
  ladder.state("failed", 100_000);
  ladder.state("new", 101_000);
  assert.equal(ladder.due, 117_500);
});

test("that the other side begins anew is no reason to say something that nobody hears", () => {
  const ladder = connected();
  ladder.state("failed", 10_000);
  climb(ladder, 10_000);
  assert.deepEqual(climb(ladder, 18_000, false), []);
  ladder.state("new", 19_000);
  assert.equal(ladder.due, null);
});

test("to an app nothing is ever made anew", () => {
  const ladder = connected({ renews: false });
  ladder.state("disconnected", 0);
  assert.deepEqual(climb(ladder, 50_000).map(([, action]) => action), ["restart", "relay", "restart", "restart", "restart"]);
});

test("in another network a path is looked for at once, even while the old one seems to live, and once for two events", () => {
  const ladder = connected();
  ladder.changed(10_000);
  ladder.changed(10_200);
  assert.deepEqual(climb(ladder, 60_000), [[10_000, "restart"]]);
  assert.equal(ladder.trouble, null);
  ladder.state("disconnected", 70_000);
  climb(ladder, 79_000);
  assert.equal(ladder.trouble, "relay");
  ladder.changed(80_000);
  assert.deepEqual(climb(ladder, 88_000), [[80_000, "restart"], [88_000, "relay"]]);
});

test("while nobody hears us only the first rung is climbed; heard again, it is climbed from the bottom", () => {
  const ladder = connected();
  ladder.state("disconnected", 10_000);
  assert.deepEqual(climb(ladder, 90_000, false), [[12_000, "restart"]]);
  assert.equal(ladder.due, null);
  ladder.heard(100_000, false);
  assert.deepEqual(climb(ladder, 120_000), [[100_000, "restart"], [108_000, "relay"], [120_000, "renew"]]);
});

test("an offer that may have been lost on the way is made anew as soon as we are heard; one that waits for its reader is not", () => {
  const lost = new Ladder(0);
  lost.heard(3_000, true);
  assert.deepEqual(climb(lost, 3_000), [[3_000, "renew"]]);
  const waiting = new Ladder(0);
  assert.deepEqual(climb(waiting, 30_000, false), []);
  waiting.heard(31_000, false);
  assert.deepEqual(climb(waiting, 50_000), []);
  const well = connected();
  well.heard(1_000, true);
  assert.equal(well.due, null);
});

test("a connection that the other side has made anew has its time, and then its turn", () => {
  const ladder = connected();
  ladder.state("new", 10_000);
  assert.equal(ladder.trouble, "renewing");
  ladder.state("connecting", 10_100);
  assert.deepEqual(climb(ladder, 30_000), [[18_000, "relay"], [30_000, "renew"]]);
});

test("a clock that goes back does no harm", () => {
  const ladder = connected();
  ladder.changed(10_000);
  ladder.changed(5_000);
  assert.equal(ladder.advance(ladder.due ?? 0, true), "restart");
  ladder.state("disconnected", 4_000);
  assert.equal(ladder.advance(3_000, true), null);
  assert.deepEqual(climb(ladder, 6_000), [[6_000, "restart"]]);
});

test("silence is trouble: another path is looked for at once, and the climb goes on until something comes", () => {
  const ladder = connected();
  ladder.received(false, 2_000);
  assert.equal(ladder.trouble, null);
  ladder.received(true, 4_000);
  assert.equal(ladder.trouble, "interrupted");
  ladder.received(true, 6_000);
  assert.deepEqual(climb(ladder, 13_000), [[4_000, "restart"], [12_000, "relay"]]);
  ladder.received(false, 14_000);
  assert.equal(ladder.trouble, null);
  assert.equal(ladder.due, null);
  ladder.received(true, 16_000);
  assert.deepEqual(climb(ladder, 16_000), [[16_000, "restart"]]);
  ladder.state("disconnected", 17_000);
  ladder.state("connected", 18_000);
  assert.equal(ladder.trouble, null);
});

test("silence before anything was heard, or where nothing need come, is none", () => {
  const ladder = connected();
  for (const silent of [true, true, null, true, false, null, true, true]) {
    ladder.received(silent, 2_000);
    assert.equal(ladder.due, null);
  }
});

test("the later one in the room listens for longer, and what disconnects is not mended by what came before", () => {
  const ladder = connected({ lag: 1_000 });
  for (const silent of [false, true]) {
    ladder.received(silent, 2_000);
    assert.equal(ladder.due, null);
  }
  ladder.received(true, 4_000);
  assert.deepEqual(climb(ladder, 4_000), [[4_000, "restart"]]);
  ladder.state("disconnected", 6_000);
  ladder.received(false, 6_100);
  assert.equal(ladder.trouble, "interrupted");
});

test("what was said to nobody is said again as soon as we are heard", () => {
  const ladder = connected();
  ladder.state("disconnected", 10_000);
  assert.deepEqual(climb(ladder, 12_000), [[12_000, "restart"]]);
  ladder.heard(13_000, false);
  assert.deepEqual(climb(ladder, 13_000), []);
  ladder.heard(14_000, true);
  assert.deepEqual(climb(ladder, 22_000), [[14_000, "restart"], [22_000, "relay"]]);
});

test("an offer that may have been lost is made again, however well the path seems to be", () => {
  const ladder = connected();
  ladder.heard(14_000, true, false);
  ladder.heard(14_000, false, true);
  assert.equal(ladder.due, null);
  ladder.heard(14_000, true, true);
  assert.deepEqual(climb(ladder, 30_000), [[14_000, "restart"]]);
  assert.equal(ladder.trouble, null);
  const app = connected({ renews: false });
  app.heard(14_000, true, true);
  assert.equal(app.due, null, "an app does not tell which of two offers it answers");
});
