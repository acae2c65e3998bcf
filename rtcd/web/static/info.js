// @ts-check
/** AppRTC's info box: how each connection does, looked at once a second, and what has been complained about. */

import { element, make } from "./elements.js";
import { describe } from "./statistics.js";
import { clockTime } from "./view.js";

/** @typedef {[key: string, value: string | number | undefined | null | false]} Row a row without a value is left out */

const EVERY_MS = 1_000;
/** So many messages are kept, the newest. */
const MAX_MESSAGES = 30;

/** Draws it while it is open. */
export class Info {
  #texts;
  #visit;
  #nameOf;
  #timer = 0;
  /** @type {Map<string, any[]>} the reports before, by member */
  #before = new Map();
  /** @type {{text: string, error: boolean}[]} */
  #messages = [];
  /** When we began to join and when there was a connection, in milliseconds. */
  #times = { joining: 0, connected: 0 };

  /**
   * @param {import("./texts.js").Texts} texts
   * @param {import("./stage.js").Current} visit
   * @param {(id: string) => string} nameOf
   */
  constructor(texts, visit, nameOf) {
    this.#texts = texts;
    this.#visit = visit;
    this.#nameOf = nameOf;
    // What the page has told its user is told here again, also after it was dismissed.
    new MutationObserver((changes) => {
      for (const notice of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
        if (notice instanceof HTMLElement && !notice.classList.contains("plain")) {
          this.#messages.push({
            text: notice.querySelector("p")?.textContent ?? "",
            error: notice.classList.contains("error"),
          });
          this.#messages.splice(0, this.#messages.length - MAX_MESSAGES);
        }
      }
    }).observe(element("notices"), { childList: true });
  }

  /** @param {string} phase of the call */
  phase(phase) {
    if (phase === "joining" || (phase === "connected" && this.#times.connected === 0)) {
      this.#times = { ...this.#times, [phase]: Date.now() };
    }
  }

  /** @param {boolean} on */
  run(on) {
    clearInterval(this.#timer);
    this.#before.clear();
    if (on) {
      this.#timer = window.setInterval(() => this.#look(), EVERY_MS);
      this.#look();
    }
  }

  clear() {
    this.run(false);
    this.#messages = [];
    this.#times = { joining: 0, connected: 0 };
  }

  async #look() {
    const members = [...(this.#visit()?.call?.members.values() ?? [])];
    const peers = await Promise.all(members.map((member) => this.#peer(member)));
    const { joining, connected } = this.#times;
    const body = element("info-body");
    body.replaceChildren(
      ...this.#messages.map(({ text, error }) => make("p", { class: error ? "error" : "" }, text)),
      ...peers.flat(),
      make("h3", { "data-text": "info.call" }),
      rows([
        ["info.time", connected && clockTime((Date.now() - connected) / 1000)],
        ["info.setup", connected && ms(connected - joining)],
        ["info.version", element("version").textContent],
      ]),
    );
    this.#texts.apply(body);
  }

  /**
   * @param {import("./call.js").Member} member
   * @returns {Promise<Node[]>}
   */
  async #peer({ id, peer }) {
    const connection = peer?.connection;
    if (!connection) {
      return [];
    }
    const now = [...(await connection.getStats()).values()];
    const { states, candidates, pair, media } = describe(this.#before.get(id) ?? [], now, connection);
    this.#before.set(id, now);
    return [
      make("h3", {}, this.#nameOf(id)),
      rows([
        ["info.states", Object.values(states).join(" · ")],
        ["info.local", counts(candidates.local)],
        ["info.remote", counts(candidates.remote)],
        ["info.from", pair && place(pair.local)],
        ["info.to", pair && place(pair.remote)],
        ["info.rtt", pair && `${ms(pair.rtt)} (Σ ${ms(pair.totalRtt)})`],
      ]),
      ...media.flatMap((one) => [
        make("h4", {}, one.direction === "send" ? "↑ " : "↓ ", make("span", { "data-text": `info.${one.slot ?? one.kind}` })),
        rows([
          ["info.codec", one.codec && `${one.codec.name} / ${one.codec.payloadType} / ${one.codec.clockRate}`],
          [
            "info.rate",
            one.bitrate !== undefined &&
              `${Math.round(one.bitrate / 1000)} kbit/s · ${Math.round(one.packetRate ?? 0)} pkt/s`,
          ],
          ["info.picture", one.height && `${one.width} × ${one.height} · ${Math.round(one.fps ?? 0)} fps`],
          ["info.level", one.level?.toFixed(3)],
          ["info.lost", one.lost !== undefined && `${one.lost} · ${ms(one.jitter)}`],
          ["info.repair", one.kind === "video" && [one.fir, one.pli, one.nack].map((count) => count ?? 0).join(" · ")],
          ["info.dropped", one.dropped],
          ["info.limit", one.limitation !== "none" && one.limitation],
        ]),
      ]),
    ];
  }
}

/** @param {Row[]} list */
function rows(list) {
  const shown = list.filter(([, value]) => value);
  return make("dl", {},
    ...shown.map(([key, value]) => make("div", {}, make("dt", { "data-text": key }), make("dd", {}, String(value)))));
}

/** @param {number} [time] */
function ms(time) {
  return time === undefined ? "–" : `${Math.round(time)} ms`;
}

/** @param {Record<string, number>} types */
function counts(types) {
  return Object.entries(types)
    .map(([type, count]) => `${type} ${count}`)
    .join(" · ");
}

/** @param {any} candidate */
function place(candidate) {
  if (!candidate) {
    return "";
  }
  const { address, port, type, protocol, relayProtocol } = candidate;
  const host = address?.includes(":") ? `[${address}]` : (address ?? "…");
  return `${host}:${port} ${type} ${relayProtocol ? `${relayProtocol} → ` : ""}${protocol}`;
}
