import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { RequestError, RoomServer } from "../../rtcd/web/static/room.js";

globalThis.location = /** @type {any} */ ({ origin: "https://h", protocol: "https:", host: "h" });
const PAGE = { id: "0123456789abcdef", name: "Ann", password: "open" };
const SEATED = { client_id: "me", is_initiator: "true", messages: [] };

/** @type {{url: string, method: string, body: any}[]} */
let requests;
/** @type {any[]} what the server answers, one after the other; a number is a status */
let answers;
const server = new RoomServer({ base: "", query: "?it=relay", wssPostUrl: "https://h/sig", iceServerRequestUrl: "https://h/ice" });

beforeEach(() => {
  requests = [];
  globalThis.fetch = /** @type {any} */ (async (/** @type {string} */ url, /** @type {any} */ { method, body }) => {
    requests.push({ url, method, body });
    const answer = answers.shift();
    if (answer instanceof Error) {
      throw answer;
    }
    const status = typeof answer === "number" ? answer : 200;
    return { ok: status === 200, status, text: async () => (typeof answer === "string" ? answer : JSON.stringify(answer)) };
  });
});

/** @param {any} error */
function kind(error) {
  assert.ok(error instanceof RequestError);
  return error.kind;
}

test("a page declares itself in the body, and learns who is in", async () => {
  const members = [{ id: PAGE.id, name: "Ann", page: true, here: false }];
  const room = { members, host: PAGE.id, locked: true, password: false, capacity: 6, gone: {} };
  answers = [{ result: "SUCCESS", params: SEATED, room }];
  const membership = /** @type {any} */ (await server.join("room1", PAGE));
  assert.deepEqual(requests, [{ url: "/join/room1?it=relay", method: "POST", body: JSON.stringify({ page: PAGE }) }]);
  assert.deepEqual([membership.client, membership.initiator, membership.iceUrl], ["me", true, "https://h/ice"]);
  assert.deepEqual(membership.snapshot.members, members);
  assert.equal(membership.snapshot.locked, true);
});

test("without a declaration it is a join of AppRTC, and nothing is known of pages", async () => {
  answers = [{ result: "SUCCESS", params: SEATED, room: { members: [] } }];
  const membership = /** @type {any} */ (await server.join("room1", null));
  assert.equal(requests[0].body, undefined);
  assert.equal(membership.snapshot, null);
});

test("a refusal says why", async () => {
  const params = { messages: [] };
  for (const [answer, expected] of /** @type {[any, any][]} */ ([
    [{ result: "FULL", reason: "full", capacity: 6, params }, { reason: "full", capacity: 6 }],
    [{ result: "FULL", reason: "app", params }, { reason: "app", capacity: 2 }],
    [{ result: "LOCKED", reason: "locked", params }, { reason: "locked", capacity: 2 }],
    [{ result: "PASSWORD", reason: "password", params }, { reason: "password", capacity: 2 }],
    [{ result: "FULL", params }, { reason: "full", capacity: 2 }],
  ])) {
    answers = [answer];
    assert.deepEqual(await server.join("room1", PAGE), expected);
  }
});

test("a name of a page that is taken is for the page to change; AppRTC's own are made by the server and tried again", async () => {
  answers = [{ result: "DUPLICATE_CLIENT" }];
  assert.equal(await server.join("room1", PAGE).catch(kind), "duplicate");
  answers = [{ result: "DUPLICATE_CLIENT" }, { result: "SUCCESS", params: SEATED }];
  assert.equal(/** @type {any} */ (await server.join("room1", null)).client, "me");
  answers = Array.from({ length: 9 }, () => ({ result: "DUPLICATE_CLIENT" }));
  assert.equal(await server.join("room1", null).catch(kind), "duplicate");
  assert.equal(answers.length, 5);
});

test("what is wrong with a request has a kind", async () => {
  for (const [answer, expected] of /** @type {[any, string][]} */ ([
    [429, "busy"], [503, "busy"], [404, "name"], [500, "status"],
    ["<html>", "garbled"], [{ result: "ERROR" }, "garbled"], [null, "garbled"],
    [new TypeError("no network"), "unreachable"], [Object.assign(new Error(), { name: "TimeoutError" }), "timeout"],
  ])) {
    answers = [answer];
    assert.equal(await server.join("room1", PAGE).catch(kind), expected, String(answer));
  }
});

test("leaving never throws, and says whether the server has heard", async () => {
  const membership = { room: "room 1", client: "a/b", initiator: true, messages: [], iceUrl: "", snapshot: null };
  answers = ["", new TypeError("no network"), 500];
  for (const heard of [true, false, false]) {
    assert.equal(await server.leave(membership), heard);
  }
  assert.equal(requests[0].url, "/leave/room%201/a%2Fb");
});

test("ICE servers are a list, or there are none", async () => {
  const seat = { room: "r", client: "c", initiator: true, messages: [], iceUrl: "https://h/ice?c", snapshot: null };
  answers = [{ iceServers: [{ urls: ["stun:h"] }] }, {}];
  assert.deepEqual(await server.iceServers(seat), [{ urls: ["stun:h"] }]);
  assert.equal(await server.iceServers(seat).catch(kind), "garbled");
});
