import assert from "node:assert/strict";
import { test } from "node:test";
import { BYE, candidateText, descriptionText, parseMessage, storedMessages } from "../../rtcd/web/static/messages.js";

const HOST = "candidate:1 1 udp 2122260223 192.0.2.1 54321 typ host generation 0";
const TCP = "candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active";
const RELAY = "candidate:3 1 UDP 41885695 203.0.113.9 50000 typ relay raddr 0.0.0.0 rport 0";

test("messages have exactly the fields that the phone apps read", () => {
  assert.deepEqual(JSON.parse(BYE), { type: "bye" });
  assert.deepEqual(JSON.parse(descriptionText("offer", "v=0")), { type: "offer", sdp: "v=0" });
  const text = candidateText({ candidate: HOST, sdpMid: "0", sdpMLineIndex: 0 }, false);
  assert.deepEqual(JSON.parse(/** @type {string} */ (text)), { type: "candidate", label: 0, id: "0", candidate: HOST });
});

test("TCP candidates and the end of candidates are not told", () => {
  assert.equal(candidateText({ candidate: TCP, sdpMid: "0", sdpMLineIndex: 0 }, false), null);
  assert.equal(candidateText({ candidate: "", sdpMid: "0", sdpMLineIndex: 0 }, false), null);
});

test("with relays only, nothing else is told", () => {
  assert.equal(candidateText({ candidate: HOST, sdpMid: "0", sdpMLineIndex: 0 }, true), null);
  assert.notEqual(candidateText({ candidate: RELAY, sdpMid: "0", sdpMLineIndex: 0 }, true), null);
});

test("a phone's own spacing is read, unknown types and rubbish are passed over", () => {
  assert.deepEqual(parseMessage('{\n  "type" : "bye"\n}'), { type: "bye" });
  for (const text of ['{"type":"remove-candidates","candidates":[]}', "", "null", "[]", '{"type":"offer"}', '{"type":"candidate"}']) {
    assert.equal(parseMessage(text), null, text);
  }
});

test("of stored messages the newest offer comes first, then all candidates", () => {
  const candidate = JSON.stringify({ type: "candidate", label: 0, id: "0", candidate: HOST });
  const messages = storedMessages([candidate, descriptionText("offer", "old"), descriptionText("offer", "new"), candidate, BYE]);
  assert.deepEqual(messages.map(({ type }) => type), ["offer", "candidate", "candidate"]);
  assert.equal(/** @type {any} */ (messages[0]).sdp, "new");
});

test("between pages a message names its session, and the offer that begins one says so; an app gets no such key", () => {
  const offer = parseMessage(descriptionText("offer", "v=0", "0badcafe", true));
  assert.deepEqual(offer, { type: "offer", sdp: "v=0", session: "0badcafe", first: true });
  assert.deepEqual(JSON.parse(descriptionText("answer", "v=0", "0badcafe")), { type: "answer", sdp: "v=0", session: "0badcafe" });
  const candidate = candidateText({ candidate: HOST, sdpMid: "0", sdpMLineIndex: 0 }, false, "0badcafe");
  assert.equal(/** @type {any} */ (parseMessage(/** @type {string} */ (candidate))).session, "0badcafe");
  assert.deepEqual(Object.keys(JSON.parse(descriptionText("offer", "v=0"))), ["sdp", "type"]);
});

test("keys of the wrong kind are as if they were not there", () => {
  assert.deepEqual(parseMessage('{"type":"offer","sdp":"v=0","session":7,"first":"yes"}'), { type: "offer", sdp: "v=0" });
});
