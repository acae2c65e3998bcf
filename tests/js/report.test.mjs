import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Reporter, pathOf } from "../../rtcd/web/static/report.js";

const PAIR = { local: "relay", remote: "host", protocol: "udp", relay: "tls" };
const look = (/** @type {any} */ { at = 0, sent = 0, received = 0 } = {}) => [
  { id: "T", type: "transport", selectedCandidatePairId: "P" },
  { id: "P", type: "candidate-pair", localCandidateId: "L", remoteCandidateId: "R", timestamp: at, bytesSent: sent,
    bytesReceived: received },
  { id: "L", type: "local-candidate", candidateType: "relay", protocol: "udp", relayProtocol: "tls", address: "192.0.2.1" },
  { id: "R", type: "remote-candidate", candidateType: "host", protocol: "udp", address: "192.0.2.2" },
];
const sample = (/** @type {any} */ more = {}) =>
  ({ sending: 0, receiving: null, rtt: 10, silent: false, pair: PAIR, kbps: [100, null], ...more });

/** @type {any[]} */
let sent = [];
/** @type {boolean} */
let works;
/** @type {Reporter} */
let reporter;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"] });
  mock.method(performance, "now", () => Date.now());
  sent = [];
  works = true;
  reporter = new Reporter((text) => works && sent.push(JSON.parse(text)));
});

test("a path is types and rates, without an address", () => {
  assert.deepEqual(pathOf(look(), look({ at: 2_000, sent: 50_000, received: 25_000 })), { pair: PAIR, kbps: [200, 100] });
  assert.deepEqual(pathOf([], look()), { pair: PAIR, kbps: [null, null] });
  assert.deepEqual(pathOf([], []), { pair: null, kbps: [null, null] });
});

test("looks are told as means, twice a minute", () => {
  reporter.look("a", sample({ rtt: 10, sending: 0.1 }));
  reporter.look("a", sample({ rtt: 30, sending: null, kbps: [300, 8] }));
  mock.timers.tick(29_999);
  reporter.flush();
  assert.equal(sent.length, 0);
  mock.timers.tick(1);
  reporter.flush();
  assert.deepEqual(sent, [{ looks: [{ to: "a", pair: PAIR, rtt: 20, lost: [0.1, null], kbps: [200, 8] }], news: [], end: "" }]);
  mock.timers.tick(30_000);
  reporter.flush();
  assert.deepEqual(sent[1].looks, []);
});

test("news are told after five seconds, with their age, and only what is another", () => {
  reporter.note("state", "connected", "a");
  reporter.note("state", "connected", "a");
  reporter.note("state", "connected", "b");
  reporter.note("step", null, "a");
  mock.timers.tick(5_000);
  reporter.flush();
  const news = [{ what: "state", value: "connected", to: "a", ago: 5 }, { what: "state", value: "connected", to: "b", ago: 5 }];
  assert.deepEqual(sent[0].news, news);
  reporter.note("step", "interrupted", "a");
  reporter.note("step", null, "a");
  reporter.note("step", "interrupted", "a");
  reporter.note("device", "NotFoundError video");
  reporter.note("device", "NotFoundError video");
  reporter.flush("hangup");
  assert.deepEqual(sent[1].news.map((/** @type {any} */ one) => one.value), ["interrupted", "interrupted", "NotFoundError video"]);
  assert.equal(sent[1].end, "hangup");
});

test("what could not be sent waits, and not without bounds", () => {
  works = false;
  for (let number = 0; number < 50; number += 1) {
    reporter.note("server", `701 ${number}`);
    reporter.look("a", sample({ rtt: number }));
  }
  mock.timers.tick(30_000);
  reporter.flush();
  works = true;
  reporter.flush();
  assert.equal(sent.length, 1);
  assert.equal(sent[0].news.length, 32);
  assert.equal(sent[0].looks[0].rtt, 34.5); // of the last thirty
});
