import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { MAX_WAITING, Signaling } from "../../rtcd/web/static/signaling.js";

/** A WebSocket whose server is the test. */
class FakeSocket {
  static OPEN = 1;
  static CLOSED = 3;
  /** @type {FakeSocket[]} */
  static all = [];
  readyState = 0;
  /** @type {any[]} */
  sent = [];
  /** @type {(() => void) | undefined} */
  onopen;
  /** @type {((event: any) => void) | undefined} */
  onmessage;
  /** @type {((event: any) => void) | undefined} */
  onclose;

  constructor() {
    FakeSocket.all.push(this);
  }
  send(/** @type {string} */ text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = 3;
  }
  addEventListener() {}
  opens() {
    this.readyState = 1;
    this.onopen?.();
  }
  says(/** @type {object} */ frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  breaks() {
    this.readyState = 3;
    this.onclose?.({ code: 1006 });
  }
}

globalThis.WebSocket = /** @type {any} */ (FakeSocket);

const REGISTER = { cmd: "register", roomid: "room1", clientid: "me" };
/** @type {string[]} */
let heard;
/** @type {Signaling} */
let signaling;
const newest = () => /** @type {FakeSocket} */ (FakeSocket.all.at(-1));
const settle = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(async () => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  mock.method(console, "warn", () => {});
  FakeSocket.all = [];
  heard = [];
  signaling = new Signaling("wss://h/ws", {
    message: (text) => heard.push(text),
    room: ({ event }) => heard.push(event),
    registered: (again) => heard.push(again ? "(again)" : "(registered)"),
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
  signaling.command({ cmd: "direct", to: "b", msg: "y" });
  assert.deepEqual(newest().sent, [REGISTER, { cmd: "send", msg: "x" }, { cmd: "direct", to: "b", msg: "y" }]);
});

test("what was said before the registration follows it", async () => {
  const early = new Signaling("wss://h/ws", /** @type {any} */ ({}));
  const connected = early.connect();
  early.send("x");
  newest().opens();
  await connected;
  early.register("room1", "me");
  assert.deepEqual(newest().sent, [REGISTER, { cmd: "send", msg: "x" }]);
});

test("only so much waits for a socket", async () => {
  newest().breaks();
  for (let count = 0; count < MAX_WAITING + 10; count += 1) {
    signaling.send(String(count));
  }
  mock.timers.tick(400);
  newest().opens();
  await settle();
  assert.equal(newest().sent.length, 1 + MAX_WAITING);
});

test("peers' messages and what the server tells pages are passed on, nothing else", () => {
  newest().says({ msg: "hello", error: "" });
  newest().says({ msg: "", error: "", room: { event: "room" } });
  newest().says({ msg: "", error: "no" });
  newest().onmessage?.({ data: "rubbish" });
  newest().onmessage?.({ data: "null" });
  assert.deepEqual(heard, ["hello", "(registered)", "room"]);
});

test("a socket that breaks is opened again as the same client, and what was said meanwhile follows", async () => {
  mock.timers.tick(1_000);
  newest().breaks();
  signaling.send("later");
  assert.equal(signaling.open, false);
  mock.timers.tick(400);
  newest().opens();
  await settle();
  assert.equal(FakeSocket.all.length, 2);
  assert.deepEqual(newest().sent, [REGISTER, { cmd: "send", msg: "later" }]);
  newest().says({ msg: "", error: "", room: { event: "room" } });
  assert.deepEqual(heard, ["(registered)", "(again)", "room"], "too short to speak of");
});

test("as another client of the room, all that was said as the one before may have been lost", async () => {
  mock.timers.tick(1_000);
  signaling.register("room", "another");
  newest().opens();
  await settle();
  newest().says({ msg: "", error: "", room: { event: "room" } });
  assert.deepEqual(heard, ["(registered)", "(again)", "room"]);
});

test("one that is away for longer is spoken of, and so is its return", async () => {
  mock.timers.tick(1_000);
  newest().breaks();
  mock.timers.tick(1_600);
  newest().breaks();
  mock.timers.tick(1_600);
  newest().opens();
  await settle();
  mock.timers.tick(1_000);
  assert.deepEqual(heard, ["(registered)", "(lost)", "(again)", "(restored)"]);
});

test("being taken for one's own dead socket is tried again; an unknown client needs a new seat", async () => {
  mock.timers.tick(1_000);
  newest().breaks();
  for (const error of ["Duplicated registration", "Duplicated registration", "Unknown client"]) {
    mock.timers.tick(6_000);
    newest().opens();
    await settle();
    newest().says({ msg: "", error });
    newest().breaks();
  }
  assert.deepEqual(heard, ["(registered)", "(lost)", "(refused)"]);
  mock.timers.tick(60_000);
  assert.equal(FakeSocket.all.length, 4, "a refused client does not knock again by itself");
});

test("a refusal that will pass does not cost the seat", async () => {
  newest().says({ msg: "", error: "Too many registrations from this address; try again later" });
  newest().breaks();
  mock.timers.tick(400);
  newest().opens();
  await settle();
  assert.deepEqual(newest().sent, [REGISTER]);
  assert.equal(heard.includes("(refused)"), false);
});

test("a new seat gets a new socket and none of the old seat's words", async () => {
  newest().breaks();
  signaling.send("for the old seat");
  signaling.register("room1", "again");
  newest().opens();
  await settle();
  assert.deepEqual(newest().sent, [{ ...REGISTER, clientid: "again" }]);
});

test("once closed it stays closed", () => {
  const socket = newest();
  signaling.close();
  socket.says({ msg: "too late", error: "" });
  socket.breaks();
  mock.timers.tick(60_000);
  signaling.reconnect();
  signaling.probe();
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

test("in another network a socket that only seems open is replaced at once", async () => {
  mock.timers.tick(1_000);
  const old = newest();
  signaling.reconnect();
  signaling.send("later");
  assert.equal(FakeSocket.all.length, 2);
  assert.equal(old.readyState, 3);
  newest().opens();
  await settle();
  assert.deepEqual(newest().sent, [REGISTER, { cmd: "send", msg: "later" }]);
});

test("a socket that answers a probe stays, by whatever it says", () => {
  signaling.probe();
  signaling.probe();
  assert.deepEqual(newest().sent, [REGISTER, { cmd: "ping" }]);
  newest().says({ msg: "", error: "Invalid message: unexpected 'cmd'" });
  mock.timers.tick(10_000);
  assert.equal(FakeSocket.all.length, 1);
  newest().breaks();
  assert.deepEqual(heard, ["(registered)"], "that is no refusal");
});

test("one that does not is replaced within three seconds, and one that is silent for long is asked", () => {
  signaling.probe();
  mock.timers.tick(2_500);
  assert.equal(FakeSocket.all.length, 2);
  newest().opens();
  return settle().then(() => {
    mock.timers.tick(30_000);
    assert.deepEqual(newest().sent, [REGISTER, { cmd: "ping" }]);
    mock.timers.tick(2_500);
    assert.equal(FakeSocket.all.length, 3);
  });
});

test("with another sign that the path is gone a probe waits less", () => {
  signaling.probe(true);
  mock.timers.tick(1_499);
  assert.equal(FakeSocket.all.length, 1);
  mock.timers.tick(1);
  assert.equal(FakeSocket.all.length, 2);
});

test("a probe does not wait for the next try of a socket that is gone", () => {
  for (let times = 0; times < 5; times += 1) {
    newest().breaks();
    mock.timers.tick(10_000);
  }
  newest().breaks();
  const before = FakeSocket.all.length;
  signaling.probe();
  assert.equal(FakeSocket.all.length, before + 1);
});

test("a socket that does not open is given up and another one tried", async () => {
  newest().breaks();
  mock.timers.tick(400);
  assert.equal(FakeSocket.all.length, 2);
  mock.timers.tick(6_000);
  mock.timers.tick(1_300);
  assert.equal(FakeSocket.all.length, 3);
  FakeSocket.all[1].opens();
  newest().opens();
  await settle();
  assert.deepEqual(FakeSocket.all[1].sent, []);
  assert.equal(newest().sent[0].cmd, "register");
});

/** Nothing opens: after each pause the newest socket is given up when so much has passed, and not before. */
function givesUp(/** @type {[number, number][]} */ ...rounds) {
  for (const [pause, waited] of rounds) {
    mock.timers.tick(pause);
    const opening = newest();
    mock.timers.tick(waited - 1);
    assert.equal(opening.readyState, 0, `given up before ${waited}`);
    mock.timers.tick(1);
    assert.equal(opening.readyState, 3, `not given up after ${waited}`);
  }
}

test("one that does not open in time is waited for longer the next time, and anew when one has opened", async (context) => {
  context.mock.method(Math, "random", () => 0.5);
  newest().breaks();
  givesUp([300, 6_000], [1_000, 12_000], [2_000, 24_000], [4_000, 24_000]);
  mock.timers.tick(8_000);
  newest().opens();
  await settle();
  mock.timers.tick(1_000);
  newest().breaks();
  givesUp([300, 6_000], [1_000, 12_000]);
});

test("one that is dropped before it opens, or breaks, was not late", (context) => {
  context.mock.method(Math, "random", () => 0.5);
  newest().breaks();
  mock.timers.tick(300);
  signaling.reconnect();
  newest().breaks();
  givesUp([300, 6_000], [1_000, 12_000]);
});

test("the first socket is waited for longer each time, too", async () => {
  const fresh = new Signaling("wss://h/ws", /** @type {any} */ ({}));
  const connected = assert.rejects(fresh.connect(), /timeout/);
  for (const [pause, waited] of /** @type {[number, number][]} */ ([[0, 6_000], [1_000, 12_000], [2_000, 24_000]])) {
    mock.timers.tick(pause);
    await settle();
    givesUp([0, waited]);
    await settle();
  }
  await connected;
});
