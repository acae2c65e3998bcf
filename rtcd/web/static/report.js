// @ts-check
/**
 * What the server is told of our connections, so that whoever runs it can be told why a call failed: paths, rates, losses
 * and states. No address, no name, and nothing that was said. It goes out seldom, and is lost if it cannot.
 */

import { selectedPair } from "./quality.js";

const EVERY_MS = 30_000;
/** If something has happened. */
const SOON_MS = 5_000;
const MAX_NEWS = 32;
const MAX_LOOKS = 30;

/** @typedef {{pair: {local: string, remote: string, protocol: string, relay: string} | null, kbps: (number | null)[]}} Path */

/**
 * The pair in use, and how much went out and came in since the last look.
 * @param {any[]} before reports of getStats @param {any[]} now @returns {Path}
 */
export function pathOf(before, now) {
  const pair = selectedPair(now);
  const [last] = before.filter(({ id }) => id === pair?.id);
  const [local, remote] = [pair?.localCandidateId, pair?.remoteCandidateId].map((key) => now.find(({ id }) => id === key));
  return {
    pair: local && remote ? {
      local: local.candidateType, remote: remote.candidateType, protocol: local.protocol, relay: local.relayProtocol ?? "",
    } : null,
    kbps: ["bytesSent", "bytesReceived"].map((key) =>
      last ? Math.max(0, pair[key] - last[key]) * 8 / (pair.timestamp - last.timestamp) : null),
  };
}

/** Of those that are known. @param {(number | null)[]} values */
function mean(values) {
  const known = values.filter((one) => one !== null);
  return known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : null;
}

/** Gathers, and sends. */
export class Reporter {
  #send;
  #at = performance.now();
  /** @type {{at: number, what: string, value: string, to?: string}[]} */
  #news = [];
  /** @type {Map<string, (import("./quality.js").Sample & Path)[]>} */
  #looks = new Map();
  /** @type {Map<string, string | null>} */
  #last = new Map();

  /** @param {(text: string) => unknown} send false if it cannot be sent now */
  constructor(send) {
    this.#send = send;
  }

  /**
   * Something has happened, unless it is as it was.
   * @param {"state" | "step" | "server" | "device"} what
   * @param {string | null} value null: nothing to tell
   * @param {string} [to] the other one's public name
   */
  note(what, value, to) {
    const key = what + (to ?? value);
    if (this.#last.get(key) !== value) {
      this.#last.set(key, value);
      value && this.#news.length < MAX_NEWS && this.#news.push({ at: performance.now(), what, value, to });
    }
  }

  /** @param {string} to @param {import("./quality.js").Sample & Path} sample */
  look(to, sample) {
    this.#looks.set(to, [...(this.#looks.get(to) ?? []), sample].slice(-MAX_LOOKS));
  }

  /** Send what there is, if it is time. @param {string} [end] why it is the last time */
  flush(end = "") {
    const now = performance.now();
    if (!end && now - this.#at < (this.#news.length ? SOON_MS : EVERY_MS)) {
      return;
    }
    const looks = [...this.#looks].map(([to, all]) => ({
      to, pair: all.at(-1)?.pair, rtt: mean(all.map(({ rtt }) => rtt)),
      lost: [mean(all.map(({ sending }) => sending)), mean(all.map(({ receiving }) => receiving))],
      kbps: [0, 1].map((way) => mean(all.map(({ kbps }) => kbps[way]))),
    }));
    const news = this.#news.map(({ at, ...one }) => ({ ...one, ago: (now - at) / 1000 }));
    if (this.#send(JSON.stringify({ looks, news, end }))) {
      this.#at = now;
      this.#news = [];
      this.#looks.clear();
    }
  }
}
