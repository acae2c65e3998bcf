import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Signaling } from "../../rtcd/web/static/signaling.js";

/** A WebSocket whose server is the test. */
class FakeSocket {
  static OPEN = 1;
  static CLOSED = 3;
  static all = [];
  readyState = 0;
  sent = [];

  constructor() {
    FakeSocket.all.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = 3;
  }
  addEventListener() {}
  opens() {
    this.readyState = 1;
    this.onopen();
  }
  says(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }
  breaks() {
    this.readyState = 3;
    this.onclose({ code: 1006 });
  }
}

globalThis.WebSocket = /** @type {any} */ (FakeSocket);
/** @type {Map<string, () => void>} */
const handlers = new Map();
globalThis.addEventListener = (/** @type {string} */ name, /** @type {any} */ handler) => handlers.set(name, handler);
globalThis.removeEventListener = (/** @type {string} */ name) => handlers.delete(name);

/** @type {string[]} */
let heard;
/** @type {Signaling} */
let signaling;
const newest = () => FakeSocket.all.at(-1);
const settle = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(async () => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  mock.method(console, "warn", () => {});
  FakeSocket.all = [];
  heard = [];
  signaling = new Signaling("wss://h/ws", {
    message: (text) => heard.push(text),
    lost: () => heard.push("(lost)"),
    restored: () => heard.push("(restored)"),
    refused: () => heard.push("(refused)"),
  });
  const connected = signaling.connect();
  newest().opens();
  await connected;
  signaling.register("room1", "me");
});

test("a client registers first and then sends", () => {
  signaling.send("x");
  assert.deepEqual(newest().sent, [{ cmd: "register", roomid: "room1", clientid: "me" }, { cmd: "send", msg: "x" }]);
});

test("only messages of the peer are passed on", () => {
  newest().says({ msg: "hello", error: "" });
  newest().says({ msg: "", error: "no" });
  newest().onmessage({ data: "rubbish" });
  assert.deepEqual(heard, ["hello"]);
});

test("a broken socket is opened again as the same client, and what was said meanwhile follows", async () => {
  newest().breaks();
  signaling.send("later");
  assert.equal(signaling.open, false);
  mock.timers.tick(400);
  newest().opens();
  await settle();
  assert.equal(FakeSocket.all.length, 2);
  assert.deepEqual(newest().sent, [{ cmd: "register", roomid: "room1", clientid: "me" }, { cmd: "send", msg: "later" }]);
  mock.timers.tick(1_000);
  assert.deepEqual(heard, ["(lost)", "(restored)"]);
});

test("being taken for one's own dead socket is tried again; an unknown client needs a new seat", async () => {
  newest().breaks();
  for (const error of ["Duplicated registration", "Duplicated registration", "Unknown client"]) {
    mock.timers.tick(6_000);
    newest().opens();
    await settle();
    newest().says({ msg: "", error });
    newest().breaks();
  }
  assert.deepEqual(heard, ["(lost)", "(refused)"]);
  mock.timers.tick(60_000);
  assert.equal(FakeSocket.all.length, 4, "a refused client does not knock again by itself");
});

test("a new seat gets a new socket and none of the old seat's words", async () => {
  newest().breaks();
  signaling.send("for the old seat");
  signaling.register("room1", "again");
  newest().opens();
  await settle();
  assert.deepEqual(newest().sent, [{ cmd: "register", roomid: "room1", clientid: "again" }]);
});

test("once closed it stays closed", () => {
  const socket = newest();
  signaling.close();
  socket.breaks();
  mock.timers.tick(60_000);
  assert.deepEqual(heard, []);
  assert.equal(FakeSocket.all.length, 1);
});

test("closed between two attempts to connect, it does not try again", async () => {
  const fresh = new Signaling("wss://h/ws", /** @type {any} */ ({}));
  const connected = assert.rejects(fresh.connect(), /closed/);
  newest().breaks();
  await settle();
  const before = FakeSocket.all.length;
  fresh.close();
  mock.timers.tick(60_000);
  await connected;
  assert.equal(FakeSocket.all.length, before);
});

test("when the network is back, a socket that only seems open is replaced", async () => {
  const old = newest();
  handlers.get("online")?.();
  signaling.send("later");
  assert.equal(FakeSocket.all.length, 2);
  assert.equal(old.readyState, 3);
  newest().opens();
  await settle();
  assert.deepEqual(newest().sent, [{ cmd: "register", roomid: "room1", clientid: "me" }, { cmd: "send", msg: "later" }]);
});
