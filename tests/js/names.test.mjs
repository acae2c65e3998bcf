import assert from "node:assert/strict";
import { test } from "node:test";
import { invitedName, isNumberName, isRoomName, MAX_OWN, MAX_RECENT, ownName, randomRoomName, RecentRooms, rememberOwnName } from "../../rtcd/web/static/names.js";

/** @param {Record<string, string>} values */
function storage(values = {}) {
  return {
    getItem: (/** @type {string} */ key) => values[key] ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => void (values[key] = value),
  };
}

test("a room name has five or more letters, digits, underscores or hyphens", () => {
  for (const good of ["abcde", "A-b_9", "123456789"]) {
    assert.ok(isRoomName(good), good);
  }
  for (const bad of ["", "abcd", "ab cde", "a/bcde", "räume", "abcde\n"]) {
    assert.ok(!isRoomName(bad), JSON.stringify(bad));
  }
});

test("made-up names keep the rule, also the iPhone app's, and differ", () => {
  const names = new Set(Array.from({ length: 200 }, () => randomRoomName()));
  assert.equal(names.size, 200);
  for (const name of names) {
    assert.match(name, /^([a-z]{4}_){3}\d{3}$/);
    assert.ok(isRoomName(name));
  }
});

test("a name is made of what the random source says and nothing else", () => {
  assert.equal(randomRoomName(() => 0), "baba_baba_baba_000");
  assert.equal(randomRoomName((limit) => limit - 1), "zuzu_zuzu_zuzu_999");
});

test("only nine digits are a number name", () => {
  assert.ok(isNumberName("123456789"));
  assert.ok(!isNumberName("1234567890"));
});

test("recent rooms are the last ten, newest first, each once", () => {
  const recent = new RecentRooms(() => kept);
  const kept = storage();
  for (let number = 10; number < 25; number += 1) {
    recent.add(`room${number}`);
  }
  recent.add("room20");
  assert.equal(recent.list().length, MAX_RECENT);
  assert.deepEqual(recent.list().slice(0, 3), ["room20", "room24", "room23"]);
  recent.clear();
  assert.deepEqual(recent.list(), []);
});

test("storage that is forbidden or holds rubbish is no list, and no error", () => {
  const forbidden = new RecentRooms(() => {
    throw new Error("SecurityError");
  });
  forbidden.add("abcde");
  assert.deepEqual(forbidden.list(), []);
  for (const rubbish of ["{", "7", '{"a":1}', '[1,"ok"]', "null"]) {
    assert.deepEqual(new RecentRooms(() => storage({ recentRooms: rubbish })).list(), []);
  }
});

test("our own name is remembered, not longer than names may be, where that is allowed", () => {
  const kept = storage();
  assert.equal(ownName(() => kept), "");
  rememberOwnName("Anna", () => kept);
  assert.equal(ownName(() => kept), "Anna");
  rememberOwnName("a".repeat(MAX_OWN + 1), () => kept);
  assert.equal(ownName(() => kept).length, MAX_OWN);
  const forbidden = () => {
    throw new Error("SecurityError");
  };
  rememberOwnName("Anna", forbidden);
  assert.equal(ownName(forbidden), "");
});

test("the name in an invitation is proposed, whatever else is in the link is none", () => {
  const made = "1700000000.6bKN5YuDIMOW.Ga0xAtTcIUGf1SfDx1wVUpB7ZzoJ5BDWhiyKWZx3bZE";
  assert.equal(invitedName(`?hd=true&invitation=${made}`), "鲍勃 Ö");
  for (const none of ["", "?invitation", "?invitation=x", "?invitation=1..x", "?invitation=1.%21.x"]) {
    assert.equal(invitedName(none), "", none);
  }
  assert.equal(invitedName(`?invitation=1.${"QUFB".repeat(20)}.x`).length, MAX_OWN);
});
