// @ts-check
/**
 * The room server over HTTP: join, leave, ask for ICE servers, and the signalling server's POST and DELETE for last
 * words.
 *
 * Each call either returns what the server said or throws a `RequestError` that says what kind of trouble it was.
 */

import { ownUrl } from "./parameters.js";
import { readSnapshot } from "./roster.js";

const TIMEOUT_MS = 10_000;
const LEAVE_TIMEOUT_MS = 3_000;

/**
 * A request that got no useful answer. `kind` is offline, unreachable, timeout, busy, name, status, duplicate or garbled.
 */
export class RequestError extends Error {
  /** @param {string} kind @param {string} detail */
  constructor(kind, detail) {
    super(`${kind}: ${detail}`);
    this.kind = kind;
    this.detail = detail;
  }
}

/**
 * @typedef {object} Membership
 * @property {string} room
 * @property {string} client who knows it may act as this client
 * @property {boolean} initiator
 * @property {string[]} messages
 * @property {string} iceUrl where this client's own ICE servers are to be had; empty: there is nothing to ask
 * @property {import("./roster.js").Snapshot | null} snapshot who is in; null in a room that knows no pages
 *
 * @typedef {{reason: string, capacity: number}} Refusal `reason` is full, app, locked, invitation, expired or
 *   password
 * @typedef {{id: string, name: string, password?: string, was?: string}} Introduction how a page declares itself
 */

/** Speaks for one page with the server. */
export class RoomServer {
  #base;
  #query;
  #postUrl;
  #iceUrl;

  /**
   * @param {{base: string, query: string, wssPostUrl: string, iceServerRequestUrl: string}} urls `query` begins with "?" or
   *   is empty
   */
  constructor({ base, query, wssPostUrl, iceServerRequestUrl }) {
    this.#base = base;
    this.#query = query;
    this.#postUrl = wssPostUrl;
    this.#iceUrl = iceServerRequestUrl;
  }

  /**
   * Take a seat. A page whose public name is another's already gets a `RequestError` of kind duplicate.
   * @param {string} room
   * @param {Introduction | null} page null: join as a client of AppRTC
   * @returns {Promise<Membership | Refusal>}
   */
  async join(room, page) {
    const url = `${this.#base}/join/${encodeURIComponent(room)}${this.#query}`;
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#json(url, page ? JSON.stringify({ page }) : undefined);
      const { result, reason, capacity, params, room: seen } = answer;
      if (result === "SUCCESS" && typeof params?.client_id === "string") {
        const { client_id: client, is_initiator: initiator, messages, ice_server_url: given } = params;
        const iceUrl = typeof given === "string" ? given && ownUrl(given, location) : this.#iceUrl;
        const snapshot = page && readSnapshot(seen);
        return { room, client, initiator: String(initiator) === "true", messages: messages ?? [], iceUrl, snapshot };
      }
      if (["FULL", "LOCKED", "PASSWORD"].includes(result)) {
        return { reason: String(reason ?? result).toLowerCase(), capacity: Number(capacity) || 2 };
      }
      if (result !== "DUPLICATE_CLIENT") {
        throw new RequestError("garbled", `join: ${result}`);
      }
      if (page || attempt >= 3) {
        throw new RequestError("duplicate", "join");
      }
    }
  }

  /**
   * Give the seat back. Never throws: there is nothing that the one who leaves could do. Returns whether the server has
   * heard it.
   * @param {Membership} membership
   */
  leave({ room, client }) {
    return this.#quietly(`${this.#base}/leave/${path(room, client)}`, "POST");
  }

  /** Give the seat back while the page is being closed. @param {Membership} membership */
  leaveNow({ room, client }) {
    navigator.sendBeacon(`${this.#base}/leave/${path(room, client)}`);
  }

  /** Tell of our connections (report.js). @param {Membership} membership @param {string} text */
  report({ room, client }, text) {
    return navigator.sendBeacon(`${this.#base}/report/${path(room, client)}`, text);
  }

  /** Send a message when the WebSocket is not open. @param {Membership} membership @param {string} text */
  async signal({ room, client }, text) {
    await this.#quietly(`${this.#postUrl}/${path(room, client)}`, "POST", text);
  }

  /** The same while the page is being closed. @param {Membership} membership @param {string} text */
  signalNow({ room, client }, text) {
    navigator.sendBeacon(`${this.#postUrl}/${path(room, client)}`, text);
  }

  /** Tell the signalling server to forget us. @param {Membership} membership */
  async forget({ room, client }) {
    await this.#quietly(`${this.#postUrl}/${path(room, client)}`, "DELETE");
  }

  /**
   * The ICE servers on offer, with credentials that are good while we have our seat.
   * @param {Membership} membership
   * @returns {Promise<any[]>}
   */
  async iceServers({ iceUrl }) {
    const answer = await this.#json(iceUrl);
    if (!Array.isArray(answer.iceServers)) {
      throw new RequestError("garbled", "iceServers");
    }
    return answer.iceServers;
  }

  /** @param {string} url @param {string} [body] @returns {Promise<any>} */
  async #json(url, body) {
    let response;
    let text;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      response = await fetch(url, { method: "POST", body, cache: "no-store", signal });
      text = await response.text();
    } catch (error) {
      const late = /** @type {any} */ (error)?.name === "TimeoutError";
      throw new RequestError(late ? "timeout" : globalThis.navigator?.onLine === false ? "offline" : "unreachable", url);
    }
    const { ok, status } = response;
    if (!ok) {
      throw new RequestError({ 404: "name", 429: "busy", 503: "busy" }[status] ?? "status", String(status));
    }
    try {
      return Object(JSON.parse(text));
    } catch {
      throw new RequestError("garbled", new URL(url, location.origin).pathname);
    }
  }

  /** @param {string} url @param {string} method @param {string} [body] */
  async #quietly(url, method, body) {
    try {
      return (await fetch(url, { method, body, keepalive: true, signal: AbortSignal.timeout(LEAVE_TIMEOUT_MS) })).ok;
    } catch (error) {
      console.debug("rtcd:", method, url, error);
      return false;
    }
  }
}

/** @param {string} room @param {string} client */
function path(room, client) {
  return `${encodeURIComponent(room)}/${encodeURIComponent(client)}`;
}
