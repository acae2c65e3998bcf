import assert from "node:assert/strict";
import { test } from "node:test";
import { APP, compare, readSnapshot, roomOfTwo } from "../../rtcd/web/static/roster.js";

/**
 * @param {string} ids in the order of their seats; one in capitals has no socket
 * @param {Record<string, string>} [gone]
 */
function room(ids, gone = {}) {
  const members = ids.split(" ").map((id) => ({ id: id.toLowerCase(), name: "", page: id !== APP, here: id === id.toLowerCase() }));
  return /** @type {import("../../rtcd/web/static/roster.js").Snapshot} */ (readSnapshot({ members, gone, capacity: 6 }));
}

/** @param {Record<string, boolean>} working */
function known(working) {
  return Object.entries(working).map(([id, one]) => ({ id, working: one }));
}

const NOBODY = new Set();
const ids = (/** @type {{id: string}[]} */ list) => list.map(({ id }) => id);

test("who came before us offers to us, and we to those who came after us", () => {
  const { arrived, seated } = compare(room("a me b"), "me", [], NOBODY);
  assert.equal(seated, true);
  assert.deepEqual(arrived.map(({ id, offers }) => [id, offers]), [["a", false], ["b", true]]);
});

test("those whom we have stay, with what is new of them", () => {
  const { arrived, stayed } = compare(room("a me B"), "me", known({ a: true, b: true }), NOBODY);
  assert.deepEqual(ids(arrived), []);
  assert.deepEqual(stayed.map(({ id, here }) => [id, here]), [["a", true], ["b", false]]);
});

test("one who is lost, or of whom nothing is known, is kept while media flow; all others go, each for its reason", () => {
  const gone = { a: "left", b: "lost", c: "kicked", d: "returned", e: "lost" };
  const news = compare(room("me", gone), "me", known({ a: true, b: true, c: true, d: true, e: false, f: true, g: false }), NOBODY);
  assert.deepEqual(news.kept, ["b", "f"]);
  assert.deepEqual(news.gone.map(({ id, why }) => `${id} ${why}`), ["a left", "c kicked", "d returned", "e lost", "g lost"]);
});

test("an app is never kept: it leaves with its seat", () => {
  assert.deepEqual(ids(compare(room("me"), "me", known({ app: true }), NOBODY).gone), [APP]);
});

test("one who comes back under another tag is a newcomer, and the old one goes", () => {
  const news = compare(room("me b2", { b: "returned" }), "me", known({ b: true }), NOBODY);
  assert.deepEqual([ids(news.arrived), ids(news.gone)], [["b2"], ["b"]]);
});

test("who has said bye is nobody, though the server still has it seated", () => {
  const news = compare(room("me app"), "me", [], new Set([APP]));
  assert.deepEqual([news.arrived, news.stayed], [[], []]);
});

test("a snapshot without us says so, and why, and nothing of the others", () => {
  const news = compare(room("a b", { me: "kicked" }), "me", known({ c: true }), NOBODY);
  assert.deepEqual([news.seated, news.why, news.arrived, news.gone], [false, "kicked", [], []]);
  assert.equal(compare(room("a"), "me", [], NOBODY).why, "");
});

test("what is no snapshot is none, and what is missing in one is filled in", () => {
  for (const wrong of [undefined, null, 7, {}, { members: "a" }]) {
    assert.equal(readSnapshot(wrong), null);
  }
  assert.deepEqual(readSnapshot({ members: [{ id: "a" }, null, {}, { id: "" }, { id: 3 }], gone: null, host: null }), {
    members: [{ id: "a", name: "", page: false, here: false }], host: "", locked: false, password: false, capacity: 2,
    relay: false, gone: {},
  });
});

test("more members than a room can have are not taken", () => {
  const members = Array.from({ length: 100 }, (_, index) => ({ id: `m${index}` }));
  assert.equal(readSnapshot({ members })?.members.length, 16);
});

test("a room that knows no pages is us and the other one, in the order that says who offers", () => {
  for (const first of [true, false]) {
    const [one] = compare(roomOfTwo("me", "Ann", first), "me", [], NOBODY).arrived;
    assert.deepEqual([one.id, one.page, one.offers], [APP, false, first]);
  }
});
