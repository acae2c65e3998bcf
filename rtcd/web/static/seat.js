// @ts-check
/**
 * Our seat in the room: taking it, taking it again after the server lost it, and the ICE servers that come with it.
 *
 * The server knows us by a client id that is nobody else's business; the others know us by `me`, which stays the same over
 * all seats of
 * one call. The client id is kept for this tab while it is in the call, so that after a reload or a crash it gets its seat
 * back.
 */

import { BYE } from "./messages.js";
import { randomHex, seatKey } from "./names.js";
import { usableIceServers } from "./parameters.js";
import { RequestError } from "./room.js";
import { recall, remember } from "./storage.js";

const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000];
/** A seat of ours that the server still holds is free after its grace time; so long a full room may be our own ghost. */
const FULL_MS = 40_000;
const ICE_FRESH_MS = 300_000;
/** Servers are asked for a little before they are stale, so that who comes next need not wait for the answer. */
const ICE_AHEAD_MS = 20_000;
/** No connection waits longer for its servers. */
const ICE_WAIT_MS = 3_000;
/** Nor so long if it has some that may still do. */
const ICE_ANEW_MS = 1_000;
const MAX_NAMES = 3;

/** @typedef {import("./room.js").Membership} Membership */

/** One call's seat. */
export class Seat {
  /** Our public name. */
  me = randomHex() + randomHex();
  /** @type {Membership | null} */
  membership = null;
  /** Whether the room wants media to go by relays alone. */
  relayOnly = false;
  name;
  password;
  #room;
  #parameters;
  #server;
  #onIce;
  #store;
  #given = false;
  /** @type {Promise<unknown>} the last try to take a seat */
  #taking = Promise.resolve();
  /** @type {{servers: RTCIceServer[], at: number, client: string} | null} */
  #ice = null;
  /** @type {Promise<void> | null} */
  #asking = null;
  /** @type {import("./signaling.js").Timer} */
  #timer;

  /**
   * @param {object} setup
   * @param {string} setup.room
   * @param {import("./parameters.js").Parameters} setup.parameters
   * @param {import("./room.js").RoomServer} setup.server
   * @param {string} setup.name
   * @param {string} setup.password
   * @param {(missing: boolean) => void} onIce whether the ICE servers could not be had
   * @param {import("./storage.js").Store} [store]
   */
  constructor({ room, parameters, server, name, password }, onIce, store = () => sessionStorage) {
    this.#room = room;
    this.#parameters = parameters;
    this.#server = server;
    this.name = name;
    this.password = password;
    this.#onIce = onIce;
    this.#store = store;
  }

  /**
   * Take a seat, for the first time or another one; asks for its ICE servers at once.
   * @param {boolean} [fresh] whether nobody knows us yet by our public name, so that we may change it
   * @returns {Promise<Membership | import("./room.js").Refusal>}
   */
  take(fresh = true) {
    const taking = this.#take(fresh);
    this.#taking = taking.catch(() => {});
    return taking;
  }

  /**
   * Take a seat again, however long it takes; only a refusal ends that, or `given`. Null: it has been given up.
   * @returns {Promise<Membership | import("./room.js").Refusal | null>}
   */
  async takeAgain() {
    const until = Date.now() + FULL_MS;
    for (let attempt = 0; !this.#given; attempt += 1) {
      try {
        const answer = await this.take(false);
        if ("client" in answer || answer.reason !== "full" || Date.now() > until) {
          return answer;
        }
      } catch (error) {
        if (error instanceof RequestError && error.kind === "name") {
          throw error;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)]));
    }
    return null;
  }

  /** @param {boolean} fresh */
  async #take(fresh) {
    for (let attempt = 1; ; attempt += 1) {
      const { me: id, name, password } = this;
      const was = this.membership?.client ?? recall(seatKey(this.#room), this.#store);
      const page = { id, name, ...(password ? { password } : {}), ...(was ? { was } : {}) };
      try {
        const answer = await this.#server.join(this.#room, this.#parameters.isLoopback ? null : page);
        if ("client" in answer) {
          this.membership = answer;
          this.#parameters.isLoopback || remember(seatKey(this.#room), answer.client, this.#store);
          this.#refresh();
        }
        return answer;
      } catch (error) {
        if (!fresh || attempt >= MAX_NAMES || !(error instanceof RequestError) || error.kind !== "duplicate") {
          throw error;
        }
        this.me = randomHex() + randomHex(); // an earlier try of ours may have got a seat without our hearing of it
      }
    }
  }

  /**
   * Give it back; one that is yet on its way to us too. The seat first, then bye to an app, then the socket. Resolves
   * when the server knows.
   * @param {boolean} app whether one has to be told
   * @param {boolean} entered whether that is known
   * @param {import("./signaling.js").Signaling} signaling
   */
  async give(app, entered, signaling) {
    this.#given = true;
    clearTimeout(this.#timer);
    await this.#taking;
    clearTimeout(this.#timer);
    const { membership } = this;
    const heard = membership && (await this.#server.leave(membership));
    const open = signaling.open;
    if (membership && (app || (!entered && isAppIn(membership)))) {
      open ? signaling.send(BYE) : await this.#server.signal(membership, BYE);
    }
    await signaling.close();
    if (membership && !(open && heard)) {
      await this.#server.forget(membership);
    }
  }

  /** Do not come back to this seat after a reload. */
  forget() {
    remember(seatKey(this.#room), "", this.#store);
  }

  /**
   * The configuration for a peer connection, as soon as the ICE servers are there, or none came in time. Never throws.
   * @param {number} [age] milliseconds; servers that we were given longer ago may be dead by now
   * @returns {Promise<RTCConfiguration>}
   */
  async configuration(age) {
    /** @type {import("./signaling.js").Timer} */
    let timer;
    const asking = this.#lookUp(age);
    const late = new Promise((resolve) => (timer = setTimeout(resolve, this.#ice ? ICE_ANEW_MS : ICE_WAIT_MS)));
    await Promise.race([asking, late]);
    clearTimeout(timer);
    return this.configurationNow();
  }

  /** @returns {RTCConfiguration} the same with the servers that we have */
  configurationNow() {
    const config = { ...this.#parameters.peerConnectionConfig };
    if (this.#ice) {
      config.iceServers = this.#ice.servers;
    }
    return this.relayOnly ? { ...config, iceTransportPolicy: "relay" } : config;
  }

  /** Ask for the ICE servers now, and again before they are stale. */
  #refresh() {
    clearTimeout(this.#timer);
    if (!this.#given) {
      this.#lookUp(ICE_FRESH_MS - ICE_AHEAD_MS);
      this.#timer = setTimeout(() => this.#refresh(), ICE_FRESH_MS - ICE_AHEAD_MS);
    }
  }

  /**
   * Ask for the ICE servers of our seat, unless the page came with some or those that we have are fresh. Those of a seat
   * that we have no longer are good for nothing. Never throws.
   * @param {number} [age] milliseconds that they are fresh
   */
  #lookUp(age = ICE_FRESH_MS) {
    const client = this.membership?.client;
    if (!this.membership?.iceUrl || this.#parameters.peerConnectionConfig.iceServers?.length) {
      return Promise.resolve();
    }
    if (this.#ice?.client !== client) {
      this.#ice = null;
    } else if (this.#ice && Date.now() - this.#ice.at < age) {
      return Promise.resolve();
    }
    this.#asking ??= this.#ask(this.membership).finally(() => (this.#asking = null));
    return this.#asking;
  }

  /** @param {Membership} membership */
  async #ask(membership) {
    try {
      const given = await this.#server.iceServers(membership);
      if (this.membership === membership) {
        const servers = usableIceServers(given, this.#parameters.iceServerTransports);
        this.#ice = { servers, at: Date.now(), client: membership.client };
        this.#onIce(false);
      }
    } catch (error) {
      console.warn("rtcd: no ICE servers", error);
      if (this.membership === membership) {
        this.#onIce(true);
      }
    }
  }
}

/** Whether an app was there when we took our seat. @param {Membership} membership */
function isAppIn({ snapshot, initiator }) {
  return snapshot ? snapshot.members.some(({ page }) => !page) : !initiator;
}
