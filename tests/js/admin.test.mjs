// @ts-check
/** What the page of the administration makes of the API's answers, and what it says. */

import assert from "node:assert/strict";
import test from "node:test";

import { Refused } from "../../rtcd/admin/static/api.js";
import { belonging, lengthOf, linksOf, sizeOf, verdictOf } from "../../rtcd/admin/static/facts.js";
import { languageOf, say, TEXTS, trouble } from "../../rtcd/admin/static/texts.js";

const relay = (/** @type {number} */ id, /** @type {string} */ user) =>
  ({ id, user, transport: "udp", peers: 1, sent_bytes: 1, received_bytes: 1 });
const client = (/** @type {string} */ id) => ({ id, name: "", page: true, here: true, host: false });

test("relays belong to the client whose tag they have; the others are told apart", () => {
  const relays = [relay(1, "a"), relay(2, "x"), relay(3, "a")];
  const { of, others } = belonging([client("a"), client("b")], relays);
  assert.deepEqual([of.get("a"), of.get("b"), others], [[relays[0], relays[2]], [], [relays[1]]]);
});

test("a link is direct, through NAT, relayed or none, by what either side uses", () => {
  const pair = (/** @type {string} */ local, /** @type {string} */ remote, more = {}) => ({ who: "A", to: "B", pair: { local, remote, ...more } });
  const links = [pair("host", "host"), pair("host", "prflx"), pair("srflx", "host"), pair("host", "relay"),
    pair("relay", "srflx", { relay: "tls" }), { who: "A", to: "B" }];
  const found = linksOf({ record: { links } });
  assert.deepEqual(found.map(({ way }) => way), ["direct", "stun", "stun", "relay", "relay", "none"]);
  assert.deepEqual(found.slice(3, 5).map(({ transport }) => transport), ["udp", "tls"]);
});

test("figures are the last ones; what was never looked at is not known, and nothing is left out of the record", () => {
  const [one, other] = linksOf({ record: { links: [
    { who: "A", to: "B", rtt_ms: { looks: 2, last: 40 }, loss_out: { looks: 2 }, loss_in: { looks: 2, last: 0.02 }, kbps_in: { looks: 1, last: 900 } },
    { who: "B", to: "A", rtt_ms: {}, kbps_in: { looks: 1, last: "x" } }] } });
  assert.deepEqual([one.rtt, one.loss, one.rate], [40, 0.02, 900]);
  assert.deepEqual([other.rtt, other.loss, other.rate], [null, null, null]);
});

test("what became of a call is said in the language of the page", () => {
  const call = { verdict: { text: { en: "It went well.", zh: "正常。" } }, ending: { text: { en: "B hung up.", zh: "B 挂断了。" } } };
  assert.deepEqual(["en", "zh-CN"].map((one) => verdictOf(call, one)), ["It went well. B hung up.", "正常。 B 挂断了。"]);
  assert.equal(verdictOf({ verdict: null }, "en"), "");
});

test("a record of another shape says nothing", () => {
  for (const wrong of [null, undefined, {}, { record: null }, { record: { links: "x" } }]) {
    assert.deepEqual(linksOf(wrong), []);
  }
});

test("sizes and lengths of time are short", () => {
  assert.deepEqual([0, 999, 1000, 23_456_789, 1e13].map(sizeOf), ["0 B", "999 B", "1.0 kB", "23.5 MB", "10.0 TB"]);
  assert.deepEqual([0, 59, 3600, 93_600].map(lengthOf), ["0 min", "0 min", "1 h 0 min", "1 d 2 h"]);
});

test("both languages say the same, with the same values", () => {
  assert.deepEqual(Object.keys(TEXTS["zh-CN"]), Object.keys(TEXTS.en));
  const values = (/** @type {string} */ text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  for (const [key, text] of Object.entries(TEXTS.en)) {
    assert.deepEqual(values(TEXTS["zh-CN"][key]), values(text), key);
  }
  assert.equal(say("en", "rooms", { count: 3 }), "Rooms (3)");
  assert.equal(say("xx", "people", { count: 1, capacity: 2 }), "1 of 2");
});

test("the language is the chosen one, else the first of ours that is wanted", () => {
  const found = [languageOf(["de", "zh-TW", "en"], null), languageOf(["de"], null), languageOf(["en-GB", "zh"], "x"),
    languageOf(["en"], "zh-CN")];
  assert.deepEqual(found, ["zh-CN", "en", "en", "zh-CN"]);
});

test("what the server says is shown, and only a server that says nothing is away", () => {
  const keys = { 401: "login.wrong" };
  const found = [new Refused(401, "x"), new Refused(403, "This is for HTTPS alone."), new TypeError("Failed to fetch")];
  assert.deepEqual(found.map((one) => trouble("en", one, keys)),
    ["The password is wrong.", "That did not work: This is for HTTPS alone.", "The server does not answer. Trying again…"]);
});
