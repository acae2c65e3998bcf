import assert from "node:assert/strict";
import { test } from "node:test";
import { LegacyNegotiation, Negotiation } from "../../rtcd/web/static/negotiation.js";

const first = (/** @type {string} */ session) => /** @type {any} */ ({ type: "offer", sdp: "", session, first: true });
const offer = (/** @type {string} */ session) => /** @type {any} */ ({ type: "offer", sdp: "", session });
const answer = (/** @type {string} */ session) => /** @type {any} */ ({ type: "answer", sdp: "", session });
const candidate = (/** @type {string} */ session) => /** @type {any} */ ({ type: "candidate", candidate: "c", session });
const polite = () => new Negotiation("a", "b");
const impolite = () => new Negotiation("b", "a");

/** A session that both sides have agreed on. */
function settled(/** @type {Negotiation} */ rules) {
  rules.begin("one");
  assert.equal(rules.take(answer("one"), "have-local-offer"), "accept");
  return rules;
}

test("a first offer of another session replaces the connection, and its candidates are taken from then on", () => {
  for (const rules of [polite(), impolite(), settled(polite()), settled(impolite())]) {
    assert.equal(rules.take(candidate("two"), "stable"), "ignore");
    assert.equal(rules.take(first("two"), "stable"), "replace");
    assert.equal(rules.session, "two");
    assert.equal(rules.take(candidate("two"), "stable"), "add");
    assert.equal(rules.take(candidate("one"), "stable"), "ignore");
  }
});

test("of two first offers that cross, that of the greater tag stands", () => {
  const [a, b] = [polite(), impolite()];
  a.begin("one");
  b.begin("two");
  assert.equal(b.take(first("one"), "have-local-offer"), "ignore");
  assert.equal(b.take(candidate("one"), "have-local-offer"), "ignore");
  assert.equal(a.take(first("two"), "have-local-offer"), "replace");
  assert.equal(a.session, "two");
  assert.equal(b.take(answer("two"), "have-local-offer"), "accept");
  assert.equal(b.take(first("three"), "stable"), "replace");
});

test("what belongs to no session of ours is stale", () => {
  const rules = settled(impolite());
  const none = { ...first(""), session: undefined };
  for (const message of [offer("two"), answer("two"), candidate("two"), { type: "bye" }, none]) {
    assert.equal(rules.take(message, "stable"), "ignore");
  }
  assert.equal(rules.take(first("x".repeat(33)), "stable"), "ignore");
  assert.equal(rules.take(first("one"), "stable"), "ignore", "told twice");
  assert.equal(rules.take(answer("one"), "stable"), "ignore", "answered already");
  assert.equal(rules.session, "one");
});

test("of two restarts that cross, the impolite side's stands, and the candidates of the other are passed over", () => {
  const [a, b] = [settled(polite()), settled(impolite())];
  assert.ok(a.restart("stable"));
  assert.ok(b.restart("stable"));
  assert.equal(b.take(offer("one"), "have-local-offer"), "ignore");
  assert.equal(b.take(candidate("one"), "have-local-offer"), "ignore");
  assert.equal(a.take(offer("one"), "have-local-offer"), "rollback");
  assert.equal(b.take(answer("one"), "have-local-offer"), "accept");
  assert.equal(b.take(candidate("one"), "stable"), "add");
  assert.equal(a.due() || b.due(), false);
  assert.equal(b.take(offer("one"), "stable"), "answer");
});

test("a restart that cannot be offered now is due once, when the answer has come", () => {
  const rules = polite();
  assert.equal(rules.restart("stable"), false, "nothing to restart");
  assert.equal(rules.due(), false);
  rules.begin("one");
  assert.equal(rules.restart("have-local-offer"), false);
  assert.equal(rules.take(answer("one"), "have-local-offer"), "accept");
  assert.equal(rules.due(), true);
  assert.equal(rules.due(), false);
  assert.equal(rules.restart("have-remote-offer"), false);
  assert.equal(rules.take(offer("one"), "have-local-offer"), "rollback");
  assert.equal(rules.due(), false, "to answer a restart is a restart");
});

test("an offer that was not answered may be made again, and only the answer to the last one counts", () => {
  for (const rules of [settled(polite()), settled(impolite())]) {
    for (const round of [1, 2]) {
      assert.ok(rules.restart(round === 1 ? "stable" : "have-local-offer"));
      assert.equal(rules.offer(1_000), round);
    }
    for (const round of [undefined, 1, 3]) {
      assert.equal(rules.take({ ...answer("one"), round }, "have-local-offer"), "ignore");
    }
    assert.equal(rules.take({ ...answer("one"), round: 2 }, "have-local-offer"), "accept");
    rules.begin("two");
    assert.equal(rules.take(answer("two"), "have-local-offer"), "accept", "each session counts from the start");
  }
});

test("an offer that comes long after the impolite side's own tells that this one was lost", () => {
  const rules = settled(impolite());
  rules.offer(10_000);
  assert.equal(rules.take(offer("one"), "have-local-offer", 10_500), "ignore");
  assert.equal(rules.take(offer("one"), "have-local-offer", 12_000), "repeat");
  assert.equal(rules.take(candidate("one"), "have-local-offer", 12_000), "ignore");
  const other = settled(polite());
  other.offer(10_000);
  assert.equal(other.take(offer("one"), "have-local-offer", 12_000), "rollback");
});

test("who offers again within our first session has answered it in vain: we begin anew", () => {
  for (const rules of [polite(), impolite()]) {
    rules.begin("one");
    assert.equal(rules.take({ ...offer("one"), round: 1 }, "have-local-offer"), "renew");
    rules.begin("two");
    assert.equal(rules.take(answer("two"), "have-local-offer"), "accept");
  }
});

test("a first offer that comes long after the impolite side's own tells that this one was lost", () => {
  const rules = impolite();
  rules.begin("one", 10_000);
  assert.equal(rules.take(first("two"), "have-local-offer", 11_000), "ignore");
  assert.equal(rules.take(first("two"), "have-local-offer", 12_000), "renew");
});

test("a connection that has failed for good answers a restart with a session of its own", () => {
  for (const rules of [settled(polite()), settled(impolite())]) {
    assert.equal(rules.restart("closed"), false);
    assert.equal(rules.take(offer("one"), "closed"), "renew");
    assert.equal(rules.take(answer("one"), "closed"), "ignore");
    assert.equal(rules.take(candidate("one"), "closed"), "ignore");
    assert.equal(rules.take(first("two"), "closed"), "replace");
  }
});

test("with an app only the initiator offers, and there are no sessions", () => {
  const caller = new LegacyNegotiation(true);
  const callee = new LegacyNegotiation(false);
  const restarts = [caller.restart("stable", 0), callee.restart("stable", 0), caller.due()];
  assert.deepEqual([caller.session, ...restarts], [undefined, true, false, false]);
  assert.equal(caller.take(offer("x"), "stable"), "ignore");
  assert.equal(callee.take(offer("x"), "stable"), "answer");
  assert.equal(callee.take(answer("x"), "stable"), "ignore");
  assert.equal(caller.take(answer("x"), "have-local-offer"), "accept");
  assert.equal(callee.take(candidate("x"), "stable"), "add");
  assert.equal(callee.take({ type: "bye" }, "stable"), "ignore");
});

test("an app that has not answered is offered nothing else until it has, or its answer is lost", () => {
  const caller = new LegacyNegotiation(true);
  caller.begin("", 1_000);
  assert.equal(caller.restart("have-local-offer", 2_000), false);
  assert.deepEqual([caller.due(), caller.due()], [true, false]);
  assert.equal(caller.restart("have-local-offer", 3_000), true);
  caller.offer(3_000);
  assert.equal(caller.restart("have-local-offer", 4_000), false);
  assert.equal(caller.restart("stable", 4_100), true);
  assert.equal(caller.due(), false);
});
