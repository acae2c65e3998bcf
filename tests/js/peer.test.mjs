import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { parseMessage } from "../../rtcd/web/static/messages.js";
import { MAX_WAITING, Peer, placed } from "../../rtcd/web/static/peer.js";

/** As much of an RTCPeerConnection as a peer touches; it negotiates like one, but nothing flows. */
class Connection {
  /** @type {Connection[]} */
  static all = [];
  static refuses = "";
  signalingState = "stable";
  connectionState = "new";
  /** @type {any} */
  localDescription = null;
  /** @type {any} */
  remoteDescription = null;
  /** @type {any[]} */
  transceivers = [];
  /** @type {any[]} */
  candidates = [];
  /** @type {any[]} */
  channels = [];
  /** @type {string[]} */
  calls = [];
  closed = false;
  /** @type {any} */ onicecandidate;
  /** @type {any} */ onicecandidateerror;
  /** @type {any} */ ontrack;
  /** @type {any} */ onconnectionstatechange;
  /** @type {any} */ ondatachannel;

  constructor(/** @type {any} */ configuration) {
    this.configuration = configuration;
    Connection.all.push(this);
  }
  createDataChannel(/** @type {string} */ label, /** @type {any} */ init) {
    const channel = { label, ...init };
    this.channels.push(channel);
    return channel;
  }
  addTransceiver(/** @type {any} */ what, /** @type {any} */ init = {}) {
    const kind = typeof what === "string" ? what : what.kind;
    const transceiver = {
      direction: init.direction,
      streams: init.streams,
      receiver: { track: { kind }, getSynchronizationSources: () => /** @type {any[]} */ ([]) },
      sender: {
        track: typeof what === "string" ? null : what,
        parameters: { encodings: [{}], codecs: [] },
        getParameters: () => structuredClone(transceiver.sender.parameters),
        setParameters: async (/** @type {any} */ parameters) => void (transceiver.sender.parameters = parameters),
        replaceTrack: async (/** @type {any} */ track) => void (transceiver.sender.track = track),
        setStreams: (/** @type {any[]} */ ...streams) => void (transceiver.streams = streams),
      },
    };
    this.transceivers.push(transceiver);
    return transceiver;
  }
  getTransceivers() {
    return this.transceivers;
  }
  setConfiguration(/** @type {any} */ configuration) {
    if (Connection.refuses === "setConfiguration") {
      throw new Error("NotSupportedError");
    }
    this.configuration = configuration;
  }
  async createOffer(/** @type {any} */ options) {
    this.calls.push(options?.iceRestart ? "restart" : "offer");
    return { type: "offer", sdp: this.#sdp() };
  }
  async createAnswer() {
    assert.equal(this.signalingState, "have-remote-offer");
    return { type: "answer", sdp: this.#sdp() };
  }
  #sdp() {
    const sections = this.transceivers.map(({ receiver }, mid) => `m=${receiver.track.kind} 9 x 0\r\na=mid:${mid}\r\n`);
    return ["v=0\r\n", ...sections].join("");
  }
  async setLocalDescription(/** @type {any} */ description) {
    this.calls.push(`local ${description.type}`);
    this.signalingState = description.type === "offer" ? "have-local-offer" : "stable";
    if (description.type !== "rollback") {
      this.localDescription = description;
      this.gather(); // the first candidate is always quicker than we are
    }
  }
  async setRemoteDescription(/** @type {any} */ description) {
    assert.equal(this.signalingState, description.type === "offer" ? "stable" : "have-local-offer");
    this.signalingState = description.type === "offer" ? "have-remote-offer" : "stable";
    const known = this.transceivers.length;
    for (const [, kind] of [...description.sdp.matchAll(/^m=(\w+)/gm)].slice(known)) {
      this.addTransceiver(kind, { direction: "recvonly" });
    }
    if (this.remoteDescription === null) {
      this.transceivers.forEach((transceiver) => this.ontrack({ track: transceiver.receiver.track, transceiver }));
    }
    this.remoteDescription = description;
  }
  async addIceCandidate(/** @type {any} */ init) {
    if (init.candidate.includes("bad")) {
      throw new Error("OperationError");
    }
    this.candidates.push(init.candidate);
  }
  async getStats() {
    return new Map([["I", { id: "I", type: "inbound-rtp", packetsReceived: 100 * ++this.looks }]]);
  }
  looks = 0;
  gather(line = "candidate:1 1 udp 1 192.0.2.1 5000 typ host") {
    this.onicecandidate?.({ candidate: { candidate: line, sdpMid: "0", sdpMLineIndex: 0 } });
  }
  become(/** @type {string} */ state) {
    this.connectionState = state;
    this.onconnectionstatechange?.({});
  }
  close() {
    this.closed = true;
    this.signalingState = "closed";
  }
}

Object.assign(globalThis, { RTCPeerConnection: Connection, MediaStream: class {} });
/** @type {RTCConfiguration} */
const CONFIGURATION = { iceServers: [], bundlePolicy: "max-bundle", iceTransportPolicy: "all" };

beforeEach(() => {
  Connection.all = [];
  Connection.refuses = "";
});

/** Everything that is under way is done. */
async function settle() {
  for (let turn = 0; turn < 60; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What somebody has to send. */
function devices(/** @type {any} */ tracks = { audio: { kind: "audio" }, video: { kind: "video" } }, camera = true) {
  const track = (/** @type {string} */ slot) => tracks[slot] ?? null;
  return { tracks, stream: {}, track, wants: (/** @type {string} */ kind) => kind === "audio" || camera };
}

/** One side, and what it says. */
function side(/** @type {any} */ more = {}) {
  const media = more.media ?? devices();
  /** @type {any} */
  const told = { sent: [], tracks: {}, states: [], channels: [], errors: [], incoming: [], media, now: 0 };
  const clock = { now: () => told.now };
  told.peer = new Peer(
    { me: "a", id: "b", configuration: CONFIGURATION, args: new URLSearchParams(), ...more, clock, media },
    {
      send: (text) => {
        told.sent.push(JSON.parse(text));
        told.to?.peer.receive(parseMessage(text));
      },
      track: (slot, track) => (told.tracks[slot] = track),
      state: (state) => told.states.push(state),
      channel: (channel) => told.channels.push(channel),
      incoming: (channel) => told.incoming.push(channel),
      candidateError: (error) => told.errors.push(error),
    },
  );
  return told;
}

/** Two sides that hear each other. */
function two(/** @type {any} */ one = {}, /** @type {any} */ other = {}) {
  const [a, b] = [side({ me: "a", id: "b", ...one }), side({ me: "b", id: "a", ...other })];
  [a.to, b.to] = [b, a];
  return [a, b];
}

const types = (/** @type {any} */ { sent }) => sent.map((/** @type {any} */ { type }) => type);
/** @returns {any[]} */
const transceivers = (/** @type {any} */ { peer }) => peer.connection.transceivers;
const kinds = (/** @type {any} */ one) => transceivers(one).map(({ receiver }) => receiver.track.kind);
const directions = (/** @type {any} */ one) => transceivers(one).map(({ direction }) => direction);
const candidate = (/** @type {string} */ text, /** @type {string} */ session = "") =>
  ({ type: "candidate", label: 0, id: "0", candidate: text, session });

test("a candidate is placed by its section's name, or by number if there is no section of that name", () => {
  const sdp = "v=0\r\nm=audio 9 x 1\r\na=mid:0\r\nm=video 9 x 2\r\na=mid:1\r\n";
  const named = { candidate: "c", sdpMid: "1", sdpMLineIndex: 1 };
  assert.deepEqual(placed(named, sdp), named);
  assert.deepEqual(placed({ ...named, sdpMid: "video" }, sdp), { ...named, sdpMid: null });
  assert.deepEqual(placed({ ...named, sdpMid: undefined }, sdp), { ...named, sdpMid: null });
});

test("two pages have four media, one channel and one session, and candidates come after their description", async () => {
  const [a, b] = two();
  a.peer.start();
  await settle();
  for (const one of [a, b]) {
    assert.deepEqual(kinds(one), ["audio", "video", "video", "audio"]);
    assert.deepEqual(directions(one), Array(4).fill("sendrecv"));
    const { onopen } = one.peer.channel;
    assert.deepEqual(one.peer.connection.channels, [{ label: "rtcd", negotiated: true, id: 0, onopen }]);
    assert.deepEqual(Object.keys(one.tracks), ["audio", "video", "screen", "screenAudio"]);
    const [audio, video, screen, sound] = one.peer.connection.transceivers;
    assert.equal(audio.streams[0], video.streams[0]);
    assert.equal(screen.streams[0], sound.streams[0]);
    assert.notEqual(audio.streams[0], screen.streams[0]);
    assert.deepEqual([audio.sender.track, screen.sender.track], [one.media.tracks.audio, null]);
    assert.deepEqual(one.peer.connection.candidates.length, 1);
  }
  assert.equal(Connection.all.length, 2);
  assert.match(a.peer.session, /^[0-9a-f]{8}$/);
  assert.deepEqual([types(a), types(b)], [["offer", "candidate"], ["answer", "candidate"]]);
  assert.deepEqual([...a.sent, ...b.sent].map(({ first, session }) => [first, session === a.peer.session]),
    [[true, true], [undefined, true], [undefined, true], [undefined, true]]);
});

test("of two first offers that cross one session comes about", async () => {
  const [a, b] = two();
  a.peer.start();
  b.peer.start();
  await settle();
  assert.equal(a.peer.session, b.peer.session);
  assert.equal(a.peer.session, b.sent[0].session);
  assert.deepEqual([a.states, b.states], [["new"], []]);
  assert.deepEqual(Connection.all.map(({ closed }) => closed), [true, false, false]);
  assert.equal(a.peer.channel, a.peer.connection.channels[0]);
});

test("an offer that came first makes an own one needless", async () => {
  const [a, b] = two();
  a.peer.start();
  await settle();
  b.peer.start();
  await settle();
  assert.deepEqual(types(b), ["answer", "candidate"]);
});

test("restarts of both sides at once are one, within the session", async () => {
  const [a, b] = two();
  a.peer.start();
  await settle();
  const session = a.peer.session;
  a.peer.restart(CONFIGURATION);
  b.peer.restart(CONFIGURATION);
  await settle();
  assert.deepEqual([a.peer.connection.calls.at(-2), a.peer.connection.calls.at(-1)], ["local rollback", "local answer"]);
  assert.deepEqual([a.peer.connection.signalingState, b.peer.connection.signalingState], ["stable", "stable"]);
  assert.equal(b.peer.connection.calls.filter((/** @type {string} */ call) => call === "restart").length, 1);
  assert.deepEqual([Connection.all.length, a.peer.session], [2, session]);
});

test("who answers a restart can have other servers by then, by the paths that were allowed", async () => {
  const [a, b] = two();
  a.peer.start();
  await settle();
  b.peer.restart({ ...CONFIGURATION, iceTransportPolicy: "relay" });
  await settle();
  const connection = b.peer.connection;
  const servers = [{ urls: "turn:other" }];
  /** @type {(configuration: any) => void} */
  let come = () => {};
  b.peer.refresh(new Promise((resolve) => (come = resolve)));
  a.peer.restart(CONFIGURATION);
  await settle();
  assert.notEqual(a.peer.connection.signalingState, "stable", "the answer waits for them");
  come({ iceServers: servers, iceTransportPolicy: "all" });
  await settle();
  assert.equal(a.peer.connection.signalingState, "stable");
  assert.deepEqual([connection.configuration.iceServers, connection.configuration.iceTransportPolicy], [servers, "relay"]);
});

test("a restart asked for while an answer is due is offered after it", async () => {
  const [a, b] = two();
  a.to = null;
  a.peer.start();
  a.peer.restart(CONFIGURATION);
  a.peer.restart(CONFIGURATION);
  await settle();
  assert.deepEqual(a.peer.connection.calls, ["offer", "local offer"]);
  a.to = b;
  a.sent.forEach((/** @type {any} */ message) => b.peer.receive(message));
  await settle();
  assert.deepEqual(a.peer.connection.calls, ["offer", "local offer", "restart", "local offer"]);
  assert.equal(a.peer.connection.signalingState, "stable");
});

test("renewing from both sides at once leads to one new session, and the old connections say nothing more", async () => {
  const [a, b] = two();
  a.peer.start();
  await settle();
  const [oldA, session] = [a.peer.connection, a.peer.session];
  a.peer.renew(CONFIGURATION);
  a.peer.renew(CONFIGURATION);
  b.peer.renew(CONFIGURATION);
  await settle();
  assert.equal(a.peer.session, b.peer.session);
  assert.notEqual(a.peer.session, session);
  const [states, sent] = [a.states.length, a.sent.length];
  oldA.become("failed");
  oldA.gather();
  oldA.ontrack({ track: {}, transceiver: oldA.transceivers[0] });
  oldA.channels[0].onopen();
  assert.deepEqual([a.states.length, a.sent.length, a.channels.length], [states, sent, 0]);
  a.peer.connection.become("connected");
  assert.equal(a.states.at(-1), "connected");
});

test("a connection that has come about by the time its end is due is left alone, one that was there before is not", async () => {
  const [a, b] = two();
  a.peer.start();
  await settle();
  const { session } = a.peer;
  a.peer.connection.become("connecting");
  a.peer.renew(CONFIGURATION);
  a.peer.connection.become("connected");
  await settle();
  assert.equal(a.peer.session, session);
  a.peer.renew(CONFIGURATION);
  await settle();
  assert.notEqual(a.peer.session, session);
  assert.equal(a.peer.session, b.peer.session);
});

test("what a browser never finishes is given up with its connection, when another one is asked for again", async () => {
  const [a, b] = two();
  a.peer.start();
  await settle();
  const { session } = a.peer;
  /** @type {(value?: unknown) => void} */
  let late = () => {};
  a.peer.connection.transceivers[1].sender.setParameters = () => new Promise((resolve) => (late = resolve));
  a.peer.limit({ video: 1 });
  b.peer.renew(CONFIGURATION);
  await settle();
  for (let number = 0; number < MAX_WAITING; number += 1) {
    a.peer.receive(candidate("candidate:1 1 udp 1 192.0.2.1 5 typ host", session));
  }
  for (const [now, renewed] of /** @type {[number, boolean][]} */ ([[0, false], [9_000, false], [15_000, true]])) {
    a.now = b.now = now;
    a.peer.renew(CONFIGURATION);
    await settle();
    assert.equal(a.peer.session !== session, renewed);
  }
  assert.equal(a.peer.session, b.peer.session);
  assert.equal(a.peer.connection.signalingState, "stable");
  const { connection } = a.peer;
  late();
  await settle();
  assert.equal(a.peer.connection, connection, "what waited behind it is void");
});

test("where ICE that has failed cannot be restarted, a restart of either side is a new session", async () => {
  const own = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { mozGetUserMedia() {} } });
  try {
    for (const restarts of ["a", "b"]) {
      const [a, b] = two();
      a.peer.start();
      await settle();
      const session = a.peer.session;
      a.peer.connection.become("failed");
      await settle();
      assert.equal(a.peer.connection.closed, true);
      a.peer.limit({ video: 1 });
      a.peer.update("video");
      (restarts === "a" ? a : b).peer.restart(CONFIGURATION);
      await settle();
      assert.equal(a.peer.session, b.peer.session);
      assert.notEqual(a.peer.session, session);
      assert.deepEqual(a.states, ["failed", "new"]);
      assert.deepEqual([a.peer.connection.signalingState, b.peer.connection.signalingState], ["stable", "stable"]);
    }
    const [a, b] = two();
    a.peer.start();
    await settle();
    a.to = null;
    a.peer.restart(CONFIGURATION);
    a.peer.restart(CONFIGURATION);
    await settle();
    a.to = b;
    a.peer.connection.become("failed");
    await settle();
    assert.deepEqual(a.states, ["failed", "new"], "one that was under way need not be asked for again");
    assert.equal(a.peer.session, b.peer.session);
    const [app] = two({ legacy: { initiator: true } }, { legacy: { initiator: false } });
    app.peer.start();
    await settle();
    app.peer.connection.become("failed");
    await settle();
    assert.equal(app.peer.connection.closed, false, "an app would not understand");
  } finally {
    own ? Object.defineProperty(globalThis, "navigator", own) : delete (/** @type {any} */ (globalThis).navigator);
  }
});

test("the policy of a restart does not outlive its session, the servers do", async () => {
  const [a, b] = two();
  a.peer.start();
  await settle();
  a.peer.restart({ iceServers: [{ urls: "stun:x" }], iceTransportPolicy: "relay" });
  await settle();
  const { configuration } = a.peer.connection;
  assert.deepEqual(configuration, { ...CONFIGURATION, iceServers: [{ urls: "stun:x" }], iceTransportPolicy: "relay" });
  const sent = a.sent.length;
  a.peer.connection.gather();
  assert.equal(a.sent.length, sent, "not a relayed candidate");
  b.peer.renew(CONFIGURATION);
  await settle();
  assert.deepEqual(a.peer.connection.configuration.iceServers, [{ urls: "stun:x" }]);
  assert.equal(a.peer.connection.configuration.iceTransportPolicy, "all");
});

test("where the browser cannot be told to use relays only, other candidates are passed over", async () => {
  const [a] = two();
  a.peer.start();
  await settle();
  Connection.refuses = "setConfiguration";
  const known = a.peer.connection.candidates.length;
  a.peer.restart({ ...CONFIGURATION, iceTransportPolicy: "relay" });
  await settle();
  a.peer.receive(candidate("candidate:1 1 udp 1 192.0.2.1 1 typ relay", a.peer.session));
  a.peer.receive(candidate("candidate:1 1 udp 1 192.0.2.1 1 typ host", a.peer.session));
  await settle();
  assert.deepEqual(a.peer.connection.candidates.slice(known), ["candidate:1 1 udp 1 192.0.2.1 1 typ relay"]);
});

test("with an app there are two media and AppRTC's messages, and only the initiator offers", async () => {
  const media = devices({}, false);
  const [a, b] = two({ legacy: { initiator: true } }, { legacy: { initiator: false }, media });
  a.peer.start();
  await settle();
  b.peer.restart(CONFIGURATION);
  b.peer.renew(CONFIGURATION);
  a.peer.renew(CONFIGURATION);
  a.peer.restart(CONFIGURATION);
  await settle();
  assert.deepEqual(kinds(a), ["audio", "video"]);
  assert.deepEqual(directions(b), ["sendrecv", "recvonly"]);
  assert.deepEqual([Connection.all.length, a.peer.channel, a.peer.session], [2, null, undefined]);
  assert.deepEqual(Object.keys(a.sent[0]), ["sdp", "type"]);
  assert.deepEqual(Object.keys(a.sent[1]), ["type", "label", "id", "candidate"]);
  assert.deepEqual(types(b).filter((/** @type {string} */ type) => type !== "candidate"), ["answer", "answer"]);
});

test("to an app the screen goes in place of the camera", async () => {
  const [a] = two({ legacy: { initiator: true } }, { legacy: { initiator: false } });
  a.peer.start();
  a.peer.limit({ video: 1, screen: 2, height: 100 });
  await settle();
  const { sender } = a.peer.connection.transceivers[1];
  a.media.tracks.screen = { kind: "video", screen: true };
  a.peer.update("screen");
  a.peer.update("screenAudio");
  await settle();
  assert.deepEqual([sender.track, sender.parameters.encodings[0].maxBitrate], [a.media.tracks.screen, 2]);
  delete a.media.tracks.screen;
  a.peer.update("screen");
  await settle();
  assert.deepEqual([sender.track, sender.parameters.encodings[0].maxBitrate], [a.media.tracks.video, 1]);
});

test("to a page a screen comes and goes without a word", async () => {
  const [a] = two();
  a.peer.start();
  await settle();
  const said = a.sent.length;
  const { sender } = a.peer.connection.transceivers[2];
  a.media.tracks.screen = { kind: "video" };
  a.peer.update("screen");
  await settle();
  assert.equal(sender.track, a.media.tracks.screen);
  delete a.media.tracks.screen;
  a.peer.update("screen");
  await settle();
  assert.deepEqual([sender.track, a.sent.length], [null, said]);
});

test("limits are set when both descriptions are there, and again in the next session", async () => {
  const [a] = two();
  a.peer.limit({ video: 1000 });
  a.peer.start();
  await settle();
  const rate = () => a.peer.connection.transceivers[1].sender.parameters.encodings[0].maxBitrate;
  assert.equal(rate(), 1000);
  a.peer.renew(CONFIGURATION);
  await settle();
  assert.equal(rate(), 1000);
  const { sender } = a.peer.connection.transceivers[1];
  sender.setParameters = async () => Promise.reject(new Error("InvalidModificationError"));
  a.peer.limit({ video: 5 });
  a.peer.restart(CONFIGURATION);
  await settle();
  assert.deepEqual([rate(), a.peer.connection.calls.at(-2)], [1000, "restart"], "it goes on without");
});

test("candidates before their description wait, bad ones do no harm, and of either there are so many", async () => {
  const [a, b] = two({ legacy: { initiator: true } }, { legacy: { initiator: false } });
  for (let batch = 0; batch < 2; batch += 1) {
    for (let number = 0; number < MAX_WAITING - 1; number += 1) {
      b.peer.receive(candidate(`${batch}:${number}`));
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  b.peer.receive(candidate("bad"));
  a.peer.start();
  await settle();
  assert.equal(b.peer.connection.candidates.length, MAX_WAITING + 1, "and that of the offer");
  assert.equal(b.peer.connection.candidates[0], "0:0");
  const waiting = side({ legacy: { initiator: true } });
  for (let number = 0; number < MAX_WAITING + 5; number += 1) {
    waiting.peer.connection.gather();
  }
  waiting.peer.start();
  await settle();
  assert.equal(waiting.sent.length, MAX_WAITING + 1);
});

test("messages that come quicker than they can be worked off are dropped at a limit", async () => {
  const { peer } = side({ legacy: { initiator: false } });
  let reads = 0;
  const message = { get type() { reads += 1; return "bye"; } };
  for (let number = 0; number < MAX_WAITING + 10; number += 1) {
    peer.receive(message);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  const each = reads / MAX_WAITING;
  assert.equal(Math.round(each), each);
  peer.receive(message);
  await settle();
  assert.equal(reads, each * (MAX_WAITING + 1), "and taken again when there is room");
});

test("IPv6 is kept out both ways on request", async () => {
  const [a] = two({ args: new URLSearchParams("ipv6=false") });
  a.peer.start();
  await settle();
  const [said, known] = [a.sent.length, a.peer.connection.candidates.length];
  a.peer.connection.gather("candidate:1 1 udp 1 2001:db8::1 5000 typ host");
  a.peer.receive(candidate("candidate:1 1 udp 1 2001:db8::2 5 typ host", a.peer.session));
  await settle();
  assert.deepEqual([a.sent.length, a.peer.connection.candidates.length], [said, known]);
});

test("what the connection tells is told", () => {
  const a = side();
  const { connection } = a.peer;
  /** @type {any} */ (connection).onicecandidateerror({ url: "turn:x", errorCode: 701, errorText: "no" });
  /** @type {any} */ (connection).ondatachannel({ channel: { label: "file:1" } });
  a.peer.channel.onopen();
  assert.deepEqual(a.errors, [{ url: "turn:x", code: 701, text: "no" }]);
  assert.deepEqual([a.incoming, a.channels], [[{ label: "file:1" }], [a.peer.channel]]);
});

test("a closed peer says nothing, whenever it is closed", async () => {
  for (let turns = 0; turns < 12; turns += 1) {
    const [a, b] = two();
    a.peer.start();
    for (let turn = 0; turn < turns; turn += 1) {
      await Promise.resolve();
    }
    const { connection } = a.peer;
    a.peer.close();
    const said = a.sent.length;
    a.peer.restart(CONFIGURATION);
    a.peer.renew(CONFIGURATION);
    a.peer.update("video");
    b.peer.restart(CONFIGURATION);
    await settle();
    connection.become("closed");
    assert.deepEqual([a.sent.length, a.states, connection.closed, a.peer.connection], [said, [], true, connection]);
  }
});

test("the level is that of the last packet, until packets stop coming", async () => {
  const [a] = two();
  assert.equal(a.peer.level(), 0);
  a.peer.start();
  await settle();
  const source = { audioLevel: 0.5, timestamp: 10 };
  a.peer.connection.transceivers[0].receiver.getSynchronizationSources = () => [source];
  assert.equal(a.peer.level(), 0.5);
  a.now = 400;
  assert.equal(a.peer.level(), 0.5);
  a.now = 600;
  assert.equal(a.peer.level(), 0);
  source.timestamp = 20;
  assert.equal(a.peer.level(), 0.5);
});

test("samples begin anew with each session", async () => {
  const [a, b] = two();
  a.peer.start();
  await settle();
  assert.equal((await a.peer.sample()).receiving, null);
  assert.equal((await a.peer.sample()).receiving, 0);
  b.peer.renew(CONFIGURATION);
  await settle();
  assert.equal((await a.peer.sample()).receiving, null);
});
