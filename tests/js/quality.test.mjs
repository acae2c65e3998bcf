import assert from "node:assert/strict";
import { test } from "node:test";
import { Quality, sampleOf, selectedPair } from "../../rtcd/web/static/quality.js";

/** A look at a connection. */
const look = (/** @type {any} */ { received = 0, missed = 0, sent = 0, share, lost = 0, rtt }) => [
  { id: "I", type: "inbound-rtp", packetsReceived: received, packetsLost: missed },
  { id: "O", type: "outbound-rtp", packetsSent: sent },
  { id: "R", type: "remote-inbound-rtp", localId: "O", fractionLost: share, packetsLost: lost, roundTripTime: 0.5 },
  { id: "P", type: "candidate-pair", currentRoundTripTime: rtt, nominated: true, state: "succeeded" },
];
const sample = (/** @type {any} */ given) => ({ sending: 0, receiving: 0, rtt: 50, ...given });

/** The last verdict on these samples. */
function judged(/** @type {any[]} */ ...samples) {
  const quality = new Quality();
  return samples.map((one) => quality.add(sample(one))).at(-1);
}

test("losses are counted from look to look, both ways", () => {
  const before = look({ received: 1000, missed: 500, sent: 1000, lost: 500 });
  const now = look({ received: 1090, missed: 510, sent: 1200, share: 0.05, rtt: 0.12 });
  assert.deepEqual(sampleOf(before, now), { sending: 0.05, receiving: 0.1, rtt: 120, silent: false });
  assert.equal(sampleOf(before, look({ sent: 1200, lost: 520 })).sending, 0.1, "a browser that gives no share");
});

test("the first look, or too few packets, say nothing about losses", () => {
  assert.deepEqual(sampleOf([], look({ received: 1000, missed: 500, sent: 1000, share: 0.5, rtt: 0 })),
    { sending: null, receiving: null, rtt: 0, silent: null });
  assert.equal(sampleOf(look({}), look({ received: 5, missed: 5 })).receiving, null);
  assert.deepEqual(sampleOf([], []), { sending: null, receiving: null, rtt: null, silent: null });
});

test("packets that come late do not make losses negative, and counters that begin again do no harm", () => {
  assert.equal(sampleOf(look({ received: 100, missed: 50 }), look({ received: 200, missed: 40 })).receiving, 0);
  assert.equal(sampleOf(look({ received: 1000 }), look({ received: 10 })).receiving, null);
});

test("the round trip is that of the pair in use, else what the other side reports", () => {
  assert.equal(sampleOf([], look({})).rtt, 500);
  const pairs = ["A", "B", "C"].map((id) => ({ id, type: "candidate-pair", nominated: true, state: "succeeded" }));
  assert.equal(selectedPair([...pairs, { id: "T", type: "transport", selectedCandidatePairId: "B" }])?.id, "B");
  assert.equal(selectedPair(pairs.map((pair) => ({ ...pair, selected: pair.id === "C" })))?.id, "C");
  assert.equal(selectedPair(pairs)?.id, "A");
  assert.equal(selectedPair([]), undefined);
});

test("grades have their limits", () => {
  const grade = (/** @type {any} */ one) => judged(one, one, one)?.grade;
  assert.deepEqual([{}, { rtt: 199 }, { sending: 0.019 }].map(grade), ["good", "good", "good"]);
  assert.deepEqual([{ rtt: 200 }, { sending: 0.02 }, { receiving: 0.049 }].map(grade), ["fair", "fair", "fair"]);
  assert.deepEqual([{ rtt: 400 }, { sending: 0.05 }, { receiving: 1 }].map(grade), ["poor", "poor", "poor"]);
});

test("the side is the one that suffers more", () => {
  const side = (/** @type {any} */ one) => judged(one, one, one)?.side;
  assert.equal(side({ sending: 0.1, receiving: 0.03 }), "sending");
  assert.equal(side({ sending: null, receiving: 0.03 }), "receiving");
  assert.equal(side({ sending: 0.1, receiving: 0.1 }), null);
  assert.equal(side({ rtt: 900, receiving: null }), null);
});

test("how much of ours arrives is a grade of its own, which a long way does not change", () => {
  const far = { rtt: 900, receiving: 0.2 };
  assert.deepEqual(judged(far, far, far), { grade: "poor", side: "receiving", arrives: "good" });
  const lossy = { sending: 0.03 };
  assert.equal(judged(lossy, lossy, lossy)?.arrives, "fair");
  assert.equal(judged(far, far, far, lossy, lossy)?.arrives, "good");
  assert.equal(judged(lossy, lossy, lossy, { sending: null })?.arrives, null, "nothing is sent any more");
  const unknown = { sending: null };
  assert.equal(judged(unknown, unknown, unknown)?.arrives, null);
});

test("three looks have to agree", () => {
  const bad = { sending: 0.2 };
  assert.equal(judged({}, {}), null);
  assert.equal(judged({}, {}, {}, bad, bad)?.grade, "good");
  assert.equal(judged({}, {}, {}, bad, bad, {}, bad, bad)?.grade, "good");
  assert.equal(judged({}, {}, {}, bad, bad, bad)?.grade, "poor");
  const nothing = { sending: null, receiving: null, rtt: null, silent: null };
  assert.equal(judged({}, {}, {}, nothing, nothing, nothing)?.grade, "good", "a look that says nothing changes nothing");
  assert.equal(judged(nothing, nothing, nothing), null);
});

test("silence is when neither media nor anything else came", () => {
  const [before, heard] = [look({ received: 100 }), look({ received: 101 })];
  assert.equal(sampleOf([], heard).silent, null);
  assert.equal(sampleOf(before, heard).silent, false);
  assert.equal(sampleOf(before, before).silent, true);
  const with_ = (/** @type {number} */ bytesReceived) => before.map((one) => (one.id === "P" ? { ...one, bytesReceived } : one));
  assert.equal(sampleOf(with_(5), with_(6)).silent, false);
  assert.equal(sampleOf(with_(6), with_(6)).silent, true);
});
