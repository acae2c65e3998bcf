import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Call } from "../../rtcd/web/static/call.js";
import { MAX_STRANGE } from "../../rtcd/web/static/company.js";
import { MAX_EARLY } from "../../rtcd/web/static/member.js";

const OFFER = JSON.stringify({ type: "offer", sdp: "v=0", session: "s", first: true });
const LEGACY_OFFER = JSON.stringify({ type: "offer", sdp: "v=0" });

/** A WebSocket whose server is the test; it opens when it is told to. */
class FakeSocket {
  static OPEN = 1;
  static CLOSED = 3;
  /** @type {FakeSocket[]} */
  static all = [];
  readyState = 0;
  /** @type {any[]} */
  sent = [];
  /** @type {any} */
  onopen;
  /** @type {any} */
  onmessage;
  /** @type {any} */
  onclose;
  /** @type {() => void} */
  gone = () => {};
  constructor() {
    FakeSocket.all.push(this);
  }
  send(/** @type {string} */ text) {
    this.sent.push(JSON.parse(text));
  }
  addEventListener(/** @type {string} */ _name, /** @type {() => void} */ handler) {
    this.gone = handler;
  }
  close() {
    this.readyState = 3;
    this.gone();
  }
  opens() {
    this.readyState = 1;
    this.onopen?.();
  }
  breaks() {
    this.readyState = 3;
    this.onclose?.();
  }
  event(/** @type {object} */ room) {
    this.onmessage?.({ data: JSON.stringify({ msg: "", error: "", room }) });
  }
  peer(/** @type {string} */ msg) {
    this.onmessage?.({ data: JSON.stringify({ msg, error: "" }) });
  }
  fails(/** @type {string} */ error) {
    this.onmessage?.({ data: JSON.stringify({ msg: "", error }) });
    this.breaks();
  }
}

class FakePeer {
  /** @type {FakePeer[]} */
  static all = [];
  connection = { connectionState: "new", createDataChannel: () => null };
  /** @type {string[]} what was asked of it */
  did = [];
  /** @type {any[]} */
  received = [];
  /** @type {any} */
  restarted;
  constructor(/** @type {any} */ setup, /** @type {any} */ listener) {
    this.setup = setup;
    this.listener = listener;
    FakePeer.all.push(this);
  }
  start() {
    this.did.push("start");
    this.listener.send(this.setup.legacy ? LEGACY_OFFER : OFFER);
  }
  receive(/** @type {any} */ message) {
    this.received.push(message.sdp ?? message.candidate);
  }
  restart(/** @type {any} */ configuration) {
    this.did.push(configuration.iceTransportPolicy === "relay" ? "relay" : "restart");
    this.restarted = configuration;
  }
  renew() {
    this.did.push("renew");
  }
  refresh(/** @type {Promise<any>} */ configuration) {
    this.did.push("refresh");
    this.refreshed = configuration;
  }
  allow(/** @type {string} */ policy) {
    this.did.push(`allow ${policy}`);
  }
  update(/** @type {string} */ slot) {
    this.did.push(`update ${slot}`);
  }
  limit(/** @type {any} */ { video }) {
    this.did.push(`limit ${video}`);
  }
  sample() {
    return Promise.resolve({ sending: 0.5, receiving: null, rtt: 20, silent: false, pair: null, kbps: [8, 9] });
  }
  close() {
    this.did.push("close");
  }
  becomes(/** @type {string} */ state) {
    this.connection.connectionState = state;
    this.listener.state(state);
  }
}

class FakeChannel {
  /** @type {FakeChannel[]} */
  static all = [];
  /** @type {any[]} */
  said = [];
  constructor(/** @type {any} */ listener) {
    this.listener = listener;
    FakeChannel.all.push(this);
  }
  attach() {}
  detach() {}
  state(/** @type {any} */ state) {
    this.said.push(state);
  }
  say(/** @type {string} */ text) {
    return this.said.push(text) > 0;
  }
  bye() {
    this.said.push("bye");
  }
}

class FakeQuality {
  /** @type {any} */
  static verdict = null;
  add() {
    return FakeQuality.verdict;
  }
}

const PARTS = /** @type {any} */ ({
  Peer: FakePeer,
  Channel: FakeChannel,
  Quality: FakeQuality,
  budget: (/** @type {number} */ people, /** @type {any} */ { screen }) => ({ video: screen ? 1 : 1000 * people, height: 0, screen: 0 }),
});

globalThis.WebSocket = /** @type {any} */ (FakeSocket);
globalThis.location = /** @type {any} */ ({ origin: "https://h", protocol: "https:", host: "h" });
/** @type {Map<string, () => void>} */
const handlers = new Map();
globalThis.addEventListener = (/** @type {string} */ name, /** @type {any} */ handler) => handlers.set(name, handler);
globalThis.removeEventListener = (/** @type {string} */ name) => handlers.delete(name);
/** @type {Map<string, string>} */
let stored;
globalThis.sessionStorage = /** @type {any} */ ({
  getItem: (/** @type {string} */ key) => stored.get(key) ?? null,
  setItem: (/** @type {string} */ key, /** @type {string} */ value) => stored.set(key, value),
});

/** @type {string[]} */
let requests;
/** @type {[string, any][]} what was sent while nobody waited for an answer */
let beacons;
/** @type {any[]} what pages said of themselves */
let pages;
/** @type {(answer: any) => void} answers the join that waits */
let answer;
/** @type {any[]} what happened, as the listener was told */
let heard;
/** @type {Call[]} */
let calls = [];
/** @type {boolean | "late"} */
let iceWorks;
/** @type {any} */
let media;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  mock.method(performance, "now", () => Date.now());
  for (const level of /** @type {const} */ (["warn", "error", "debug"])) {
    mock.method(console, level, () => {});
  }
  [requests, pages, heard, calls, stored, beacons] = [[], [], [], [], new Map(), []];
  FakeSocket.all = [];
  FakePeer.all = [];
  FakeChannel.all = [];
  FakeQuality.verdict = null;
  iceWorks = true;
  media = { isOn: () => true, screen: { shared: false, hint: "motion" }, problems: [] };
  const sendBeacon = (/** @type {string} */ url, /** @type {string} */ body) => beacons.push([url, body && JSON.parse(body)]) > 0;
  Object.defineProperty(globalThis, "navigator", { value: { sendBeacon }, configurable: true });
  globalThis.fetch = /** @type {any} */ ((/** @type {string} */ url, /** @type {any} */ { method, body }) => {
    requests.push(`${method} ${url}`);
    return new Promise((resolve) => {
      const reply = (/** @type {any} */ given) => resolve({ ok: true, text: async () => JSON.stringify(given) });
      if (url.startsWith("/join/")) {
        pages.push(body && JSON.parse(body).page);
        answer = reply;
      } else if (url.startsWith("https://h/ice")) {
        iceWorks === "late" || reply(iceWorks ? { iceServers: [{ urls: ["turn:h"], username: "u", credential: "c" }] } : {});
      } else {
        reply("");
      }
    });
  });
});

afterEach(async () => {
  for (const call of calls) {
    const gone = call.hangUp();
    answer({ result: "FULL" });
    await settled();
    mock.timers.tick(5_000);
    await gone;
  }
});

/** @param {object} [more] parameters @param {object} [setup] */
function newCall(more = {}, setup = {}) {
  const parameters = { base: "", wssUrl: "wss://h/ws", wssPostUrl: "/sig", iceServerRequestUrl: "", peerConnectionConfig: {}, ...more };
  const call = new Call(
    /** @type {any} */ ({ room: "room1", query: "", parameters, media, name: "Ann", ...setup }),
    {
      phase: (phase, reason) => heard.push(reason ? `${phase} ${reason}` : phase),
      room: () => {},
      member: ({ id, trouble }) => heard.push(`${id} ${trouble}`),
      track: (id, slot) => heard.push(`${id} sends ${slot}`),
      left: ({ id }, why) => heard.push(`${id} left: ${why}`),
      chat: ({ from, text }) => heard.push(`${from}: ${text}`),
      file: ({ from, id }) => heard.push(`${from} file ${id}`),
      mute: (kind, name) => heard.push(`mute ${kind} for ${name}`),
      refused: (command, why) => heard.push(`no ${command}: ${why}`),
      trouble: (kind, present, detail) => heard.push(`${present ? "" : "no "}trouble ${kind}${detail ? ` ${detail.code}` : ""}`),
      failed: (kind) => heard.push(`failed: ${kind}`),
    },
    PARTS,
  );
  calls.push(call);
  return call;
}

/** @param {Call} call @param {string} ids in the order of their seats, "me" among them; in capitals: without a socket */
function roomOf(call, ids, more = {}) {
  const members = ids.split(" ").map((id) => ({
    id: id === "me" ? call.me : id.toLowerCase(), name: id, page: id.toLowerCase() !== "app", here: id === id.toLowerCase(),
  }));
  return { members, host: "", locked: false, password: false, capacity: 6, gone: {}, ...more };
}

/** Take a seat in a room of these. @param {Call} call @param {string} ids */
function seat(call, ids, more = {}, params = {}) {
  const given = { client_id: "secret", is_initiator: "true", messages: [], ...params };
  answer({ result: "SUCCESS", params: given, room: roomOf(call, ids, more) });
}

/** A call that has come so far. @param {string} ids @param {object} [params] of the join answer */
async function entered(ids, params = {}, more = {}) {
  const call = newCall(more);
  call.start();
  seat(call, ids, {}, params);
  await settled();
  socket().opens();
  await settled();
  socket().event({ event: "room", ...roomOf(call, ids) });
  return call;
}

const socket = () => /** @type {FakeSocket} */ (FakeSocket.all.at(-1));
const peer = (index = -1) => /** @type {FakePeer} */ (FakePeer.all.at(index));
const directs = () => socket().sent.filter(({ cmd }) => cmd === "direct").map(({ to, msg }) => [to, msg]);
/** Let everything that waits for nothing outside happen. */
async function settled() {
  for (let times = 0; times < 3; times += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a seat that comes after hanging up is given back; pages there need no bye, an app does", async () => {
  for (const [ids, posts] of /** @type {[string, string[]][]} */ ([["b me", []], ["app me", ["POST /sig/room1/secret"]]])) {
    requests = [];
    const call = newCall();
    call.start();
    const gone = call.hangUp();
    assert.equal(call.phase, "left");
    seat(call, ids);
    await gone;
    assert.deepEqual(requests, ["POST /join/room1", "POST /leave/room1/secret", ...posts, "DELETE /sig/room1/secret"]);
  }
});

test("ICE servers are asked for with the seat's own URL, as soon as there is a seat and without waiting for the socket", async () => {
  const call = newCall({ iceServerRequestUrl: "https://h/ice" });
  call.start();
  await settled();
  assert.deepEqual(requests, ["POST /join/room1"]);
  seat(call, "me", {}, { ice_server_url: "http://h/ice?client=me" });
  await settled();
  assert.deepEqual(requests, ["POST /join/room1", "POST https://h/ice?client=me"]);
});

test("a join answer that says nothing of ICE servers leaves the page's URL in force, an empty one means none", async () => {
  for (const [params, asked] of /** @type {[object, string[]][]} */ ([[{}, ["POST https://h/ice"]], [{ ice_server_url: "" }, []]])) {
    requests = [];
    const call = newCall({ iceServerRequestUrl: "https://h/ice" });
    call.start();
    seat(call, "me", {}, params);
    await settled();
    assert.deepEqual(requests.slice(1), asked);
  }
});

test("alone one waits; who comes is offered to at once, before its socket is open; then it stays connected while anybody is here", async () => {
  const call = await entered("me");
  assert.deepEqual(heard, ["joining", "waiting"]);
  socket().event({ event: "room", ...roomOf(call, "me B") });
  await settled();
  assert.deepEqual(directs(), [["b", OFFER]]);
  assert.equal(call.phase, "connecting");
  peer().becomes("connected");
  assert.equal(call.phase, "connected");
  socket().event({ event: "room", ...roomOf(call, "me b c") });
  await settled();
  peer(0).becomes("failed");
  assert.equal(call.phase, "connected");
  socket().event({ event: "room", ...roomOf(call, "me", { gone: { b: "left", c: "left" } }) });
  assert.equal(call.phase, "waiting");
});

test("the newcomer has its connection ready when the socket opens, and takes the offer", async () => {
  const call = newCall();
  call.start();
  seat(call, "b me");
  await settled();
  assert.deepEqual(peer().did.filter((did) => did === "start"), []);
  socket().opens();
  await settled();
  assert.equal(call.phase, "connecting");
  socket().event({ event: "message", from: "b", msg: OFFER });
  assert.deepEqual(peer().received, ["v=0"]);
  assert.equal(peer().setup.legacy, null);
});

test("no connection waits longer than three seconds for its ICE servers; messages wait with it", async () => {
  iceWorks = "late";
  await entered("b me", {}, { iceServerRequestUrl: "https://h/ice" });
  for (let count = 0; count < MAX_EARLY + 10; count += 1) {
    socket().event({ event: "message", from: "b", msg: OFFER });
  }
  mock.timers.tick(2_900);
  await settled();
  assert.equal(FakePeer.all.length, 0);
  mock.timers.tick(200);
  await settled();
  assert.equal(peer().received.length, MAX_EARLY);
});

test("servers are fresh for the next one who comes, without a wait", async () => {
  const call = await entered("me", {}, { iceServerRequestUrl: "https://h/ice" });
  for (let minutes = 0; minutes < 12; minutes += 1) {
    mock.timers.tick(60_000);
    await settled();
  }
  assert.equal(requests.filter((one) => one.endsWith("/ice")).length, 3);
  iceWorks = "late";
  socket().event({ event: "room", ...roomOf(call, "me b") });
  await settled();
  assert.deepEqual(peer().setup.configuration.iceServers[0].urls, ["turn:h"]);
});

test("a connection in trouble has its servers anew, unless they are not to be had at once", async () => {
  const asked = () => requests.filter((one) => one.endsWith("/ice")).length;
  const call = await entered("me b", {}, { iceServerRequestUrl: "https://h/ice" });
  peer().becomes("connected");
  socket().event({ event: "message", from: "b", msg: OFFER });
  mock.timers.tick(60_000);
  assert.equal(asked(), 1);
  peer().becomes("failed");
  mock.timers.tick(0);
  await settled();
  assert.deepEqual([asked(), peer().did.at(-1)], [2, "restart"]);
  socket().event({ event: "room", ...roomOf(call, "me b") });
  mock.timers.tick(4_000);
  socket().event({ event: "message", from: "b", msg: OFFER });
  assert.deepEqual([asked(), peer().did.at(-1)], [2, "refresh"], "these are of now");
  iceWorks = "late";
  mock.timers.tick(4_000);
  await settled();
  assert.deepEqual([asked(), peer().did.at(-1)], [3, "refresh"]);
  mock.timers.tick(1_000);
  await settled();
  assert.equal(peer().did.at(-1), "relay");
  assert.deepEqual(peer().restarted.iceServers[0].urls, ["turn:h"]);
  assert.deepEqual((await peer().refreshed).iceServers[0].urls, ["turn:h"]);
});

test("no ICE servers is a trouble of the page, and ends when there are some", async () => {
  iceWorks = false;
  const call = await entered("me", {}, { iceServerRequestUrl: "https://h/ice" });
  assert.ok(heard.includes("trouble ice"));
  iceWorks = true;
  mock.timers.tick(280_000);
  await settled();
  assert.equal(heard.at(-1), "no trouble ice");
  await call.hangUp();
  assert.deepEqual(beacons[0][1].news.map((/** @type {any} */ { what, value }) => [what, value]), [["server", "none"]]);
});

test("a refused join says why and gives nothing back", async () => {
  const call = newCall();
  call.start();
  answer({ result: "FULL", reason: "full", capacity: 4 });
  await settled();
  assert.deepEqual(heard, ["joining", "refused full"]);
  assert.equal(call.room?.capacity, 4);
  await call.hangUp();
  assert.deepEqual(requests, ["POST /join/room1"]);
});

test("the tab's earlier seat is named, and forgotten on hanging up; a page that goes away keeps it for its return", async () => {
  stored.set("rtcd.was:room1", "before");
  const call = await entered("me");
  assert.deepEqual(pages, [{ id: call.me, name: "Ann", was: "before" }]);
  assert.match(call.me, /^[0-9a-f]{16}$/);
  assert.equal(stored.get("rtcd.was:room1"), "secret");
  await call.hangUp();
  assert.equal([...stored.values()].join(""), "");
  mock.method(globalThis, "fetch", globalThis.fetch);
  const other = await entered("me");
  beacons = [];
  other.leaveNow();
  assert.deepEqual(beacons.map(([url]) => url), ["/leave/room1/secret", "/report/room1/secret"]);
  assert.equal(beacons[1][1].end, "closed");
  assert.equal(stored.get("rtcd.was:room1"), "secret");
});

test("a public name that is taken already is changed before anybody knows it", async () => {
  const call = newCall();
  const before = call.me;
  call.start();
  answer({ result: "DUPLICATE_CLIENT" });
  await settled();
  assert.notEqual(call.me, before);
  assert.equal(pages[1].id, call.me);
});

test("an app that comes is offered to with AppRTC's own messages, and its bye ends it", async () => {
  const call = await entered("me");
  socket().event({ event: "room", ...roomOf(call, "me app") });
  await settled();
  assert.deepEqual(peer().setup.legacy, { initiator: true });
  assert.deepEqual(socket().sent.at(-1), { cmd: "send", msg: LEGACY_OFFER });
  socket().peer('{"type":"answer","sdp":"theirs"}');
  assert.deepEqual(peer().received, ["theirs"]);
  assert.equal(call.room?.app, true);
  socket().peer('{"type": "bye"}');
  assert.equal(heard.at(-2), "app left: left");
  assert.equal(call.phase, "waiting");
  socket().event({ event: "room", ...roomOf(call, "me app") });
  await settled();
  assert.equal(FakePeer.all.length, 1, "the server has not heard yet that it has gone");
  socket().event({ event: "room", ...roomOf(call, "me") });
  socket().event({ event: "room", ...roomOf(call, "me app") });
  await settled();
  assert.equal(FakePeer.all.length, 2, "another one");
});

test("of an app that was first the stored messages are taken, the offer before the candidates", async () => {
  const candidate = JSON.stringify({ type: "candidate", label: 0, id: "0", candidate: "c" });
  const call = await entered("app me", { is_initiator: "false", messages: [candidate, LEGACY_OFFER] });
  assert.deepEqual(peer().setup.legacy, { initiator: false });
  assert.deepEqual(peer().received, ["v=0", "c"]);
  requests = [];
  const gone = call.hangUp();
  await settled();
  assert.deepEqual(socket().sent.at(-1), { cmd: "send", msg: '{"type":"bye"}' });
  await gone;
  assert.deepEqual(requests, ["POST /leave/room1/secret"]);
});

test("messages before the snapshot that explains them wait for it, a bounded number; those of nobody are dropped", async () => {
  const call = await entered("me");
  for (let count = 0; count < MAX_STRANGE + 10; count += 1) {
    socket().event({ event: "message", from: count ? "b" : "nobody", msg: OFFER });
  }
  socket().event({ event: "room", ...roomOf(call, "b me") });
  await settled();
  assert.equal(peer().received.length, MAX_STRANGE - 1);
  socket().event({ event: "room", ...roomOf(call, "b me nobody") });
  await settled();
  assert.deepEqual(peer().received, []);
});

test("one who comes back under another tag is somebody else; who said bye is gone before the server knows", async () => {
  const call = await entered("me b");
  peer().becomes("connected");
  socket().event({ event: "room", ...roomOf(call, "me b2", { gone: { b: "returned" } }) });
  await settled();
  assert.deepEqual([...call.members.keys()], ["b2"]);
  assert.ok(heard.includes("b left: returned"));
  assert.equal(peer(0).did.at(-1), "close");
  /** @type {FakeChannel} */ (FakeChannel.all.at(-1)).listener.bye();
  socket().event({ event: "room", ...roomOf(call, "me b2") });
  assert.deepEqual([...call.members.keys()], []);
});

test("media outlive a lost seat for half a minute, or until they end; other reasons end them at once", async () => {
  const call = await entered("me b c d");
  FakePeer.all.forEach((one) => one.becomes("connected"));
  socket().event({ event: "room", ...roomOf(call, "me", { gone: { b: "lost", c: "lost", d: "kicked" } }) });
  assert.deepEqual([...call.members.keys()], ["b", "c"]);
  assert.equal(call.members.get("b")?.trouble, "away");
  peer(1).becomes("disconnected");
  assert.deepEqual([...call.members.keys()], ["b"]);
  socket().event({ event: "room", ...roomOf(call, "me b") });
  mock.timers.tick(31_000);
  assert.deepEqual([...call.members.keys()], ["b"], "it is back");
  socket().event({ event: "room", ...roomOf(call, "me") });
  mock.timers.tick(31_000);
  assert.deepEqual([...call.members.keys()], []);
  assert.equal(FakePeer.all.length, 3);
  assert.equal(call.phase, "waiting");
});

test("when the server has lost our seat another one is taken under the same name, and media that work go on", async () => {
  const call = await entered("me b c", {}, { iceServerRequestUrl: "https://h/ice" });
  call.password("open sesame");
  socket().event({ event: "room", ...roomOf(call, "me b c", { host: call.me, locked: true, password: true }) });
  peer(0).becomes("connected");
  peer(1).becomes("failed");
  socket().fails("Client not joined: POST /join first");
  await settled();
  assert.deepEqual(pages[1], { id: call.me, name: "Ann", password: "open sesame", was: "secret" });
  seat(call, "me", { host: call.me }, { client_id: "secret2" });
  await settled();
  assert.deepEqual([...call.members.keys()], ["b"]);
  assert.equal(call.phase, "connected");
  socket().opens();
  await settled();
  const [register, ...commands] = socket().sent;
  assert.equal(register.clientid, "secret2");
  assert.deepEqual(commands, [], "the others would be refused");
  socket().event({ event: "room", ...roomOf(call, "me b", { host: call.me }) });
  await settled();
  assert.deepEqual(socket().sent.slice(1), []);
  assert.equal(FakePeer.all.length, 2);
  socket().event({ event: "room", ...roomOf(call, "me b c", { host: call.me }) });
  await settled();
  const guards = [{ cmd: "lock", on: true }, { cmd: "password", password: "open sesame" }];
  assert.deepEqual(socket().sent.slice(1).filter(({ cmd }) => cmd === "lock" || cmd === "password"), guards);
  assert.deepEqual(heard.slice(-2), ["no trouble signaling", "b null"]);
});

/** We, b and c in a locked room with a password, when the server forgets all of it and we are back in a new one. */
async function forgotten(/** @type {string} */ host) {
  const call = await entered("me b c");
  call.password("open sesame");
  const before = { host: host === "me" ? call.me : host, locked: true, password: true };
  socket().event({ event: "room", ...roomOf(call, "me b c", before) });
  peer(0).becomes("connected");
  peer(1).becomes("connected");
  socket().fails("Client not joined: POST /join first");
  await settled();
  seat(call, "me", { host: call.me }, { client_id: "secret2" });
  await settled();
  socket().opens();
  await settled();
  const guards = () => socket().sent.map(({ cmd }) => cmd).filter((cmd) => ["lock", "password", "host"].includes(cmd));
  return { call, guards };
}

test("a room that was forgotten is guarded again by whoever is host, when those who do not come have had the time", async () => {
  const { call, guards } = await forgotten("b");
  socket().event({ event: "room", ...roomOf(call, "me b", { host: call.me }) });
  mock.timers.tick(29_999);
  await settled();
  assert.deepEqual(guards(), []);
  mock.timers.tick(1);
  await settled();
  assert.deepEqual(guards(), ["lock", "host"]);
  socket().event({ event: "room", ...roomOf(call, "me b c", { host: call.me }) });
  assert.deepEqual(guards(), ["lock", "host"], "once");
});

test("who was host is so again and knows the password; if that one does not come, a guest's has to do", async () => {
  const was = await forgotten("me");
  socket().event({ event: "room", ...roomOf(was.call, "me b c", { host: "b", locked: true }) });
  assert.deepEqual(was.guards(), []);
  socket().event({ event: "room", ...roomOf(was.call, "me b c", { host: was.call.me, locked: true }) });
  assert.deepEqual(was.guards(), ["password"]);
  const left = await forgotten("c");
  socket().event({ event: "room", ...roomOf(left.call, "me b", { host: left.call.me }) });
  mock.timers.tick(30_000);
  assert.deepEqual(left.guards(), ["lock", "password"]);
});

test("a guard waits for a socket, over one more loss too", async () => {
  const { call, guards } = await forgotten("me");
  socket().event({ event: "room", ...roomOf(call, "me b", { host: call.me }) });
  socket().fails("Client not joined: POST /join first");
  await settled();
  mock.timers.tick(30_000);
  seat(call, "me b", { host: call.me }, { client_id: "secret3" });
  await settled();
  socket().opens();
  await settled();
  assert.deepEqual(guards(), []);
  socket().event({ event: "room", ...roomOf(call, "me b c", { host: call.me }) });
  assert.deepEqual(guards(), ["lock", "password"]);
});

test("it is not for a guest to guard it, and a guard that is there is not given again", async () => {
  for (const now of [{ host: "b" }, { locked: true, password: true }]) {
    const { call, guards } = await forgotten("me");
    socket().event({ event: "room", ...roomOf(call, "me b c", { host: call.me, ...now }) });
    mock.timers.tick(60_000);
    await settled();
    assert.deepEqual(guards(), []);
  }
});

test("who says bye and stays is found again", async () => {
  const call = await entered("me b");
  /** @type {FakeChannel} */ (FakeChannel.all.at(-1)).listener.bye();
  assert.deepEqual([...call.members.keys()], []);
  mock.timers.tick(5_000);
  await settled();
  assert.deepEqual([...call.members.keys()], ["b"]);
});

test("a room that was not forgotten needs no guard, also when its host opens it and goes", async () => {
  const { call, guards } = await forgotten("b");
  socket().event({ event: "room", ...roomOf(call, "me b", { host: "b", locked: true, password: true }) });
  socket().event({ event: "room", ...roomOf(call, "me", { host: call.me }) });
  mock.timers.tick(30_000);
  await settled();
  assert.deepEqual(guards(), []);
});

test("who said bye is not taken back from an old snapshot while we hear nothing of the room", async () => {
  const call = await entered("me b");
  /** @type {FakeChannel} */ (FakeChannel.all.at(-1)).listener.bye();
  socket().breaks();
  mock.timers.tick(5_000);
  await settled();
  assert.deepEqual([...call.members.keys()], []);
});

test("a rejoin is tried until it is answered, and a refusal then ends the call", async () => {
  const call = await entered("me");
  socket().fails("Client not joined: POST /join first");
  await settled();
  answer("rubbish");
  await settled();
  mock.timers.tick(500);
  await settled();
  answer({ result: "LOCKED", reason: "locked" });
  await settled();
  assert.equal(call.phase, "refused");
  assert.equal(heard.at(-1), "refused locked");
});

test("our own name missing in a snapshot means another seat, unless it says that we were sent out or are elsewhere", async () => {
  const ends = { kicked: "refused kicked", returned: "refused elsewhere", lost: "" };
  for (const [gone, phase] of Object.entries(ends)) {
    const call = await entered("me b");
    socket().event({ event: "room", ...roomOf(call, "b", { gone: { [call.me]: gone } }) });
    await settled();
    if (phase) {
      assert.equal(heard.at(-1), phase);
    } else {
      assert.equal(pages.at(-1).was, "secret");
      assert.deepEqual([...call.members.keys()], ["b"]);
    }
  }
});

test("a host's wishes are passed on; being sent out ends it", async () => {
  const call = await entered("b me");
  socket().event({ event: "mute", kind: "audio", from: "b" });
  socket().event({ event: "refused", cmd: "kick", why: "host" });
  socket().event({ event: "refused", cmd: "direct", why: "full" });
  socket().event({ event: "kicked" });
  assert.deepEqual(heard.slice(-3), ["mute audio for b", "no kick: host", "refused kicked"]);
  assert.equal([...stored.values()].join(""), "");
  socket().breaks();
  await settled();
  assert.equal(FakeSocket.all.length, 1);
  assert.equal(call.members.size, 0);
});

test("after hanging up nothing more is heard", async () => {
  const call = await entered("b me");
  const [before, { listener }] = [socket(), peer()];
  call.hangUp();
  const count = heard.length;
  before.event({ event: "room", ...roomOf(call, "c me") });
  before.event({ event: "kicked" });
  before.peer('{"type":"bye"}');
  listener.state("connected");
  listener.track("audio", null);
  handlers.get("online")?.();
  await settled();
  mock.timers.tick(60_000);
  await settled();
  assert.equal(heard.length, count);
  assert.equal(FakePeer.all.length, 1);
  assert.equal(/** @type {FakeChannel} */ (FakeChannel.all.at(-1)).said.at(-1), "bye");
});

test("a broken path is looked for again: at once in another network, then by relays, then anew, with fresh servers", async () => {
  const call = await entered("me b", {}, { iceServerRequestUrl: "https://h/ice" });
  peer().becomes("connected");
  heard = [];
  peer().becomes("disconnected");
  assert.deepEqual(heard, ["b interrupted"]);
  assert.deepEqual(socket().sent.at(-1), { cmd: "ping" }, "the socket may be dead too");
  socket().event({ event: "room", ...roomOf(call, "me b") });
  for (const seconds of [2, 8, 20]) {
    mock.timers.tick(seconds * 1000 - Date.now());
    await settled();
  }
  assert.deepEqual(peer().did.filter((did) => /^re/.test(did)), ["restart", "relay", "renew"]);
  assert.deepEqual(heard.slice(1), ["b relay", "b renewing"]);
  peer().becomes("connected");
  handlers.get("online")?.();
  mock.timers.tick(1);
  await settled();
  assert.equal(peer().did.at(-1), "restart");
  assert.equal(FakeSocket.all.length, 2);
});

test("a room that goes by relays alone is believed at once, in connections that there are and that come", async () => {
  const call = await entered("me b");
  peer().becomes("connected");
  socket().event({ event: "room", ...roomOf(call, "me b c", { relay: true }) });
  await settled();
  assert.deepEqual(peer(0).did.filter((did) => /^(re|allow)/.test(did)), ["allow relay", "renew"]);
  assert.equal(peer(1).setup.configuration.iceTransportPolicy, "relay");
  socket().event({ event: "room", ...roomOf(call, "me b c", { relay: true, locked: true }) });
  socket().event({ event: "room", ...roomOf(call, "me b c") });
  await settled();
  assert.deepEqual(peer(0).did.filter((did) => /^re/.test(did)), ["renew", "restart"], "and no more often than it changes");
  assert.ok(peer(0).did.includes("allow all"));
});

test("who does not offer waits for the other one to begin a connection by relays", async () => {
  const call = await entered("b me");
  peer().becomes("connected");
  socket().event({ event: "room", ...roomOf(call, "b me", { relay: true }) });
  await settled();
  assert.deepEqual(peer().did.filter((did) => /^(re|allow)/.test(did)), ["allow relay"]);
});

test("without relays there is nothing to restrict a path to", async () => {
  await entered("me b");
  peer().becomes("connecting");
  mock.timers.tick(8_000);
  await settled();
  assert.deepEqual(peer().did.filter((did) => /^re/.test(did)), ["restart"]);
});

test("to one who does not hear us we speak again when it does", async () => {
  const call = await entered("me b");
  peer().becomes("connected");
  socket().event({ event: "room", ...roomOf(call, "me B") });
  assert.equal(heard.at(-1), "b away");
  peer().becomes("failed");
  mock.timers.tick(1);
  await settled();
  mock.timers.tick(25_000);
  await settled();
  assert.deepEqual(peer().did.filter((did) => /^re/.test(did)), ["restart"]);
  socket().event({ event: "room", ...roomOf(call, "me b") });
  mock.timers.tick(1);
  await settled();
  assert.deepEqual(peer().did.filter((did) => /^re/.test(did)), ["restart", "restart"]);
});

test("a first socket that comes late does not keep us from looking for a path then", async () => {
  const call = newCall();
  call.start();
  seat(call, "b me");
  await settled();
  mock.timers.tick(5_000);
  socket().breaks();
  await settled();
  mock.timers.tick(4_500); // the first look whether there is a path was in vain: nobody would have heard
  await settled();
  assert.equal(FakeSocket.all.length, 2);
  socket().opens();
  await settled();
  socket().event({ event: "room", ...roomOf(call, "b me") });
  for (const wait of [9_500, 12_000]) {
    mock.timers.tick(wait);
    await settled();
  }
  assert.ok(peer().did.includes("renew"));
});

test("no path to somebody is a trouble of the page; so is a server that refuses us, and one that is silent if it matters", async () => {
  await entered("me b");
  const { listener } = peer();
  listener.candidateError({ url: "turn:a", code: 701, text: "unreachable" });
  listener.candidateError({ url: "turn:b", code: 401, text: "Unauthorized" });
  listener.candidateError({ url: "turn:b", code: 401, text: "Unauthorized" });
  assert.deepEqual(heard.filter((one) => /trouble/.test(one)), ["trouble candidate 401"]);
  peer().becomes("failed");
  assert.deepEqual(heard.filter((one) => /trouble/.test(one)), ["trouble candidate 401", "trouble path", "trouble candidate 701"]);
  peer().becomes("connected");
  assert.ok(heard.includes("no trouble path"));
});

test("the server is told how connections do while it hears us, and that we go", async () => {
  media.problems = [{ name: "NotAllowedError", kinds: ["audio", "video"] }];
  const call = await entered("me b");
  peer().listener.candidateError({ url: "turn:[2001:db8::1]:3478?transport=udp", code: 701, text: "unreachable" });
  peer().becomes("connected");
  mock.timers.tick(2_000);
  await settled();
  socket().readyState = 3;
  mock.timers.tick(2_000);
  await settled();
  mock.timers.tick(2_000);
  await settled();
  assert.equal(beacons.length, 0);
  socket().readyState = 1;
  mock.timers.tick(2_000);
  await settled();
  assert.equal(beacons[0][0], "/report/room1/secret");
  const [{ looks, news }] = beacons.map(([, told]) => told);
  assert.deepEqual(looks, [{ to: "b", pair: null, rtt: 20, lost: [0.5, null], kbps: [8, 9] }]);
  assert.deepEqual(news.map((/** @type {any} */ { what, value, to }) => [what, value, to]), [
    ["state", "new", "b"], ["server", "701 turn 2001 db8 1 3478 transport udp", undefined], ["state", "connected", "b"],
    ["device", "NotAllowedError audio video", undefined],
  ]);
  await call.hangUp();
  assert.deepEqual(beacons.map(([, told]) => told.end), ["", "hangup"]);
});

test("the more people, and the more is shown, the less each gets; all are told what we send", async () => {
  const call = await entered("me b");
  const limits = () => peer(0).did.filter((did) => did.startsWith("limit"));
  socket().event({ event: "room", ...roomOf(call, "me b c") });
  await settled();
  media.screen.shared = true;
  call.mediaChanged("screen");
  mock.timers.tick(10_000);
  await settled();
  assert.deepEqual(limits(), ["limit 2000", "limit 3000", "limit 1"]);
  assert.ok(peer(0).did.includes("update screen"));
  assert.deepEqual(FakeChannel.all[1].said.at(-1), { audio: true, video: true, screen: true, hint: "motion" });
  assert.deepEqual(call.say("hello"), { reached: 0, missed: [...call.members.values()] }, "not yet connected");
  peer(0).becomes("connected");
  peer(1).becomes("connected");
  assert.deepEqual(call.say("hello"), { reached: 2, missed: [] });
  peer(1).becomes("disconnected");
  mock.timers.tick(2_500);
  await settled();
  assert.deepEqual(call.say("again"), { reached: 1, missed: [call.members.get("c")] });
});

test("quality is looked at every two seconds while connected", async () => {
  const call = await entered("me b");
  peer().becomes("connected");
  FakeQuality.verdict = { grade: "poor", side: "sending" };
  heard = [];
  mock.timers.tick(2_000);
  await settled();
  assert.deepEqual(call.members.get("b")?.quality, FakeQuality.verdict);
  mock.timers.tick(2_000);
  await settled();
  assert.equal(heard.length, 1);
});

test("members are in the order of the room, and the host is known", async () => {
  const call = await entered("me b");
  socket().event({ event: "room", ...roomOf(call, "c b me", { host: "b" }) });
  assert.deepEqual(call.room?.members.map(({ id, host }) => [id, host]), [["c", false], ["b", true]]);
  assert.deepEqual(call.room?.me, { id: call.me, name: "me", host: false });
});

test("a call to oneself joins without a word about pages and offers when the other end is there", async () => {
  const call = newCall({ isLoopback: true });
  call.start();
  answer({ result: "SUCCESS", params: { client_id: "secret", is_initiator: "true", messages: [] } });
  assert.deepEqual(pages, [undefined]);
  while (FakeSocket.all.length < 2) {
    await settled();
  }
  assert.equal(FakePeer.all.length, 0);
  FakeSocket.all.forEach((one) => one.opens());
  await settled();
  assert.deepEqual(FakeSocket.all.map(({ sent }) => sent[0].clientid).sort(), ["loopback_client_id", "secret"]);
  assert.deepEqual(peer().setup.legacy, { initiator: true });
  assert.equal(call.room?.members.length, 1);
  assert.equal([...stored.values()].join(""), "");
});

test("a server that cannot be reached is a failure of its kind", async () => {
  const call = newCall();
  call.start();
  seat(call, "me");
  await settled();
  for (let attempt = 0; attempt < 3; attempt += 1) {
    socket().breaks();
    await settled();
    mock.timers.tick(3_000);
    await settled();
  }
  assert.deepEqual(heard.slice(-2), ["failed", "failed: socket"]);
});
