// @ts-check
/**
 * The room server over HTTP: join, send a message, leave, ask for ICE servers, and the signalling server's POST and DELETE.
 *
 * Each call either returns what the server said or throws a `RequestError` that says what kind of trouble it was.
 */

import { ownUrl } from "./parameters.js";

const REQUEST_TIMEOUT_MS = 10_000;
const LEAVE_TIMEOUT_MS = 3_000;

/** A request that got no useful answer. `kind` is offline, unreachable, timeout, busy, name, status or garbled. */
export class RequestError extends Error {
  /**
   * @param {string} kind
   * @param {string} detail
   */
  constructor(kind, detail) {
    super(`${kind}: ${detail}`);
    this.kind = kind;
    this.detail = detail;
  }
}

/**
 * @typedef {object} Membership
 * @property {string} room
 * @property {string} client
 * @property {boolean} initiator
 * @property {string[]} messages
 * @property {string} iceUrl where this client's own ICE servers are to be had; empty: there is nothing to ask
 */

/** Speaks for one page with the server. */
export class RoomServer {
  #base;
  #query;
  #postUrl;
  #iceUrl;

  /** @param {{base: string, query: string, wssPostUrl: string, iceServerRequestUrl: string}} urls `query` begins with "?" or is empty */
  constructor({ base, query, wssPostUrl, iceServerRequestUrl }) {
    this.#base = base;
    this.#query = query;
    this.#postUrl = wssPostUrl;
    this.#iceUrl = iceServerRequestUrl;
  }

  /**
   * Take a seat. Returns null if the room is full.
   * @param {string} room
   * @returns {Promise<Membership | null>}
   */
  async join(room) {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#json(`${this.#base}/join/${encodeURIComponent(room)}${this.#query}`);
      if (answer.result === "SUCCESS" && typeof answer.params?.client_id === "string") {
        const { client_id: client, is_initiator: initiator, messages } = answer.params;
        const given = answer.params.ice_server_url;
        const iceUrl = typeof given === "string" ? given && ownUrl(given, location) : this.#iceUrl;
        return { room, client, initiator: String(initiator) === "true", messages: messages ?? [], iceUrl };
      }
      if (answer.result === "FULL") {
        return null;
      }
      if (answer.result !== "DUPLICATE_CLIENT" || attempt >= 3) {
        throw new RequestError("garbled", `join: ${answer.result}`);
      }
    }
  }

  /**
   * Send a peer message through the room. Returns the server's result, `SUCCESS` if all is well.
   * @param {Membership} membership
   * @param {string} text
   * @returns {Promise<string>}
   */
  async message({ room, client }, text) {
    const answer = await this.#json(`${this.#base}/message/${path(room, client)}${this.#query}`, text);
    return String(answer.result);
  }

  /**
   * Give the seat back. Never throws: there is nothing that the one who leaves could do.
   * @param {Membership} membership
   */
  async leave({ room, client }) {
    await this.#quietly(`${this.#base}/leave/${path(room, client)}`, "POST");
  }

  /**
   * Give the seat back while the page is being closed.
   * @param {Membership} membership
   */
  leaveNow({ room, client }) {
    navigator.sendBeacon(`${this.#base}/leave/${path(room, client)}`);
  }

  /**
   * Send a message when the WebSocket is not open.
   * @param {Membership} membership
   * @param {string} text
   */
  async signal({ room, client }, text) {
    await this.#quietly(`${this.#postUrl}/${path(room, client)}`, "POST", text);
  }

  /**
   * The same while the page is being closed.
   * @param {Membership} membership
   * @param {string} text
   */
  signalNow({ room, client }, text) {
    navigator.sendBeacon(`${this.#postUrl}/${path(room, client)}`, text);
  }

  /**
   * Tell the signalling server to forget us.
   * @param {Membership} membership
   */
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

  /**
   * @param {string} url
   * @param {string} [body]
   * @returns {Promise<any>}
   */
  async #json(url, body) {
    let response;
    let text;
    try {
      response = await fetch(url, { method: "POST", body, cache: "no-store", signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
      text = await response.text();
    } catch (error) {
      throw networkError(error, url);
    }
    if (!response.ok) {
      throw statusError(response.status);
    }
    try {
      return JSON.parse(text);
    } catch {
      throw new RequestError("garbled", new URL(url, location.origin).pathname);
    }
  }

  /**
   * @param {string} url
   * @param {string} method
   * @param {string} [body]
   */
  async #quietly(url, method, body) {
    try {
      await fetch(url, { method, body, keepalive: true, signal: AbortSignal.timeout(LEAVE_TIMEOUT_MS) });
    } catch (error) {
      console.debug("rtcd:", method, url, error);
    }
  }
}

/**
 * @param {string} room
 * @param {string} client
 */
function path(room, client) {
  return `${encodeURIComponent(room)}/${encodeURIComponent(client)}`;
}

/**
 * @param {any} error
 * @param {string} url
 */
function networkError(error, url) {
  if (error?.name === "TimeoutError") {
    return new RequestError("timeout", url);
  }
  return new RequestError(navigator.onLine === false ? "offline" : "unreachable", url);
}

/** @param {number} status */
function statusError(status) {
  if (status === 429 || status === 503) {
    return new RequestError("busy", String(status));
  }
  return new RequestError(status === 404 ? "name" : "status", String(status));
}
