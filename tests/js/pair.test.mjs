import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { Member } from "../../rtcd/web/static/member.js";
import { parseMessage } from "../../rtcd/web/static/messages.js";
import { Peer } from "../../rtcd/web/static/peer.js";

/**
 * Two pages on slow machines with a slow network between them, in fake time: whatever the delays, they find each other.
 * A world says, in milliseconds, how long a message and a step of a connection may take (anything up to it, in an order that
 * the seed makes), how long ICE and DTLS do, and which part of all steps never end. A step of a connection that is closed
 * never ends, as the standard says.
 */

/** @typedef {{message: number, step: number, connect: [number, number], forgets?: number}} World */

const MEDIA = { stream: {}, track: () => null, wants: () => true };
const LINE = "candidate:1 1 udp 1 192.0.2.1 5000 typ host";
const UNTIL_MS = 180_000;
const TURN_MS = 50;
/** From now on all goes well. */
const CALM_MS = 60_000;

/** @type {World} */
let world;
/** @type {() => number} */
let random;

/** Mulberry32: the same numbers below 1 for the same seed. @param {number} seed */
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @param {any} description @returns {[number, number]} whose it is, and of which ICE generation */
const source = ({ sdp }) => JSON.parse(sdp.match(/^s=(.*)$/m)[1]);

class Connection {
  /** @type {Connection[]} */
  static all = [];
  signalingState = "stable";
  connectionState = "new";
  /** @type {any} */ own = null;
  /** @type {any} */ remoteDescription = null;
  /** @type {any[]} */ transceivers = [];
  generation = 0;
  agreed = "";
  /** @type {any} */ onicecandidate;
  /** @type {any} */ onconnectionstatechange;
  index = Connection.all.push(this) - 1;

  createDataChannel() {
    return {};
  }
  addTransceiver(/** @type {any} */ kind) {
    const sender = {
      track: null,
      getParameters: () => ({ encodings: [{}], codecs: [] }),
      setParameters: () => this.#step(() => {}),
    };
    this.transceivers.push({ receiver: { track: { kind } }, sender });
    return this.transceivers.at(-1);
  }
  getTransceivers() {
    return this.transceivers;
  }
  setConfiguration() {}
  addIceCandidate() {
    return this.#step(() => {});
  }
  createOffer(/** @type {any} */ options) {
    return this.#step(() => this.#describe("offer", this.generation += Number(options?.iceRestart ?? false)));
  }
  createAnswer() {
    return this.#step(() => {
      const restarts = this.agreed && source(this.remoteDescription)[1] !== JSON.parse(this.agreed)[1][1];
      return this.#describe("answer", this.generation += Number(restarts));
    });
  }
  setLocalDescription(/** @type {any} */ own) {
    return this.#step(() => {
      const { type } = own;
      assert.ok(type === "offer" ? /stable|local/.test(this.signalingState) : type === "rollback" || /remote/.test(this.signalingState));
      this.signalingState = type === "offer" ? "have-local-offer" : "stable";
      if (type !== "rollback") {
        this.own = own;
        type === "answer" && this.#agree();
        this.onicecandidate({ candidate: { candidate: LINE, sdpMid: "0", sdpMLineIndex: 0 } });
      }
    });
  }
  setRemoteDescription(/** @type {any} */ theirs) {
    return this.#step(() => {
      assert.equal(this.signalingState, theirs.type === "offer" ? "stable" : "have-local-offer");
      this.signalingState = theirs.type === "offer" ? "have-remote-offer" : "stable";
      this.remoteDescription = theirs;
      for (const [, kind] of [...theirs.sdp.matchAll(/^m=(\w+)/gm)].slice(this.transceivers.length)) {
        this.addTransceiver(kind);
      }
      theirs.type === "answer" && this.#agree();
    });
  }
  close() {
    this.signalingState = this.connectionState = "closed";
    const other = this.#other;
    setTimeout(() => other?.become("disconnected"), 5_000);
    setTimeout(() => other?.become("failed"), 20_000);
  }
  become(/** @type {string} */ state) {
    if (this.connectionState !== "closed" && this.connectionState !== state) {
      this.connectionState = state;
      this.onconnectionstatechange();
    }
  }
  /** Which says that it is connected, or would be, to us. */
  get #other() {
    const [, [theirs]] = this.agreed ? JSON.parse(this.agreed) : [0, [-1]];
    return Connection.all[theirs];
  }
  #describe(/** @type {string} */ type, /** @type {number} */ generation) {
    const sections = this.transceivers.map(({ receiver }, mid) => `m=${receiver.track.kind} 9 x 0\r\na=mid:${mid}\r\n`);
    return { type, sdp: [`v=0\r\ns=${JSON.stringify([this.index, generation])}\r\n`, ...sections].join("") };
  }
  #agree() {
    this.agreed = JSON.stringify([source(this.own), source(this.remoteDescription)]);
    this.connectionState === "connected" || this.become("connecting");
    const [other, agreed] = [this.#other, this.agreed];
    if (other.agreed === JSON.stringify(JSON.parse(agreed).reverse())) {
      const [least, most] = world.connect;
      setTimeout(() => {
        const both = [this, other];
        if (this.agreed === agreed && both.every((one) => one.connectionState !== "closed")) {
          both.forEach((one) => one.become("connected"));
        }
      }, least + random() * (most - least));
    }
  }
  /** @template T @param {() => T} work @returns {Promise<T>} */
  #step(work) {
    return new Promise((resolve, reject) => {
      const forgotten = random() < (world.forgets ?? 0) && Date.now() < CALM_MS;
      forgotten || setTimeout(() => {
        try {
          this.signalingState === "closed" || resolve(work());
        } catch (error) {
          reject(error);
        }
      }, random() * world.step);
    });
  }
}

class Channel {
  files = {};
  attach() {}
  detach() {}
}

/** When two pages are connected for good, or null. @param {World} given @param {number} seed */
async function meet(given, seed) {
  [world, random, Connection.all] = [given, generator(seed), []];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  /** @type {Member[]} */
  const members = ["b", "a"].map((id, index) => {
    let last = 0;
    const nothing = () => {};
    return new Member({ id, name: "", page: true, here: true, offers: index === seed % 2 }, /** @type {any} */ (
      { me: "ab"[index], media: MEDIA, args: new URLSearchParams() }), {
      send: (text) => {
        last = Math.max(last, Date.now() + random() * world.message);
        setTimeout(() => members[1 - index].receive(/** @type {any} */ (parseMessage(text))), last - Date.now());
      },
      audible: () => true,
      configuration: async () => ({ iceServers: [] }),
      changed: nothing, connection: nothing, silent: nothing, track: nothing, chat: nothing, file: nothing, bye: nothing,
      candidateError: nothing,
    }, /** @type {any} */ ({ Peer, Channel, Quality: class {} }));
  });
  members.forEach((member) => member.open());
  let since = Infinity;
  while (Date.now() < UNTIL_MS && Date.now() - since < 2_000) {
    mock.timers.tick(TURN_MS);
    for (let turn = 0; turn < 5; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    since = members.every(({ working, trouble }) => working && trouble === null) ? Math.min(since, Date.now()) : Infinity;
  }
  members.forEach((member) => member.close());
  return since < Infinity ? since : null;
}

/** @param {World} given @param {number} most milliseconds that any pair may need */
async function all(given, most) {
  Object.assign(globalThis, { RTCPeerConnection: Connection, MediaStream: class {} });
  mock.method(performance, "now", () => Date.now());
  mock.method(console, "debug", () => {});
  for (let seed = 1; seed <= 20; seed += 1) {
    const time = await meet(given, seed);
    assert.ok(time !== null && time <= most, `${time} with seed ${seed}`);
  }
}

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

test("pages that hear each other late do not begin anew against each other forever", () =>
  all({ message: 10_000, step: 500, connect: [100, 8_000] }, 90_000));

test("nor those whose every step is slow, and that connect slowly", () =>
  all({ message: 6_000, step: 3_000, connect: [8_000, 20_000] }, 150_000));

test("nor those that are only just slower than the other's patience", () =>
  all({ message: 300, step: 50, connect: [8_000, 14_000] }, 45_000));

test("what a browser never finishes ends with its connection", () =>
  all({ message: 1_000, step: 100, connect: [100, 5_000], forgets: 0.05 }, 120_000));
