// @ts-check
/** What the API's answers mean for a reader. Pure: no page, no clock. */

/**
 * @typedef {{id: string, name: string, page: boolean, here: boolean, host: boolean}} Client
 * @typedef {{id: number, user: string, transport: string, peers: number, sent_bytes: number, received_bytes: number}} Relay
 * @typedef {{who: string, to: string, way: string, transport: string, rtt: number | null, loss: number | null,
 *   rate: number | null}} Link `way` is direct, stun, relay or none; `loss` is a share, `rate` in kbit/s
 */

/**
 * The relays of each client, and those that are nobody's who is in a room.
 * @param {Client[]} clients
 * @param {Relay[]} relays
 */
export function belonging(clients, relays) {
  /** @type {Map<string, Relay[]>} */
  const of = new Map(clients.map(({ id }) => [id, []]));
  const others = relays.filter((one) => !of.get(one.user)?.push(one));
  return { of, others };
}

/**
 * How the people of a call are connected, by its record; empty where nothing is known.
 * @param {any} call
 * @returns {Link[]}
 */
export function linksOf(call) {
  const links = call?.record?.links;
  return (Array.isArray(links) ? links : []).map(({ who, to, pair, rtt_ms: rtt, loss_out: out, loss_in: back, kbps_in: rate }) => {
    const losses = [latest(out), latest(back)].filter((one) => one !== null);
    return {
      who: String(who), to: String(to), way: wayOf(pair), transport: String(pair?.relay || "udp"), rtt: latest(rtt),
      loss: losses.length > 0 ? Math.max(...losses) : null, rate: latest(rate),
    };
  });
}

/** @param {any} pair of candidates that media take */
function wayOf(pair) {
  if (!pair) {
    return "none";
  }
  const types = [pair.local, pair.remote];
  return types.includes("relay") ? "relay" : types.some((one) => one === "srflx" || one === "prflx") ? "stun" : "direct";
}

/** @param {any} figure over many looks, in which what is nothing is left out @returns {number | null} the last one */
function latest(figure) {
  const found = figure?.looks > 0 ? figure.last ?? 0 : null;
  return typeof found === "number" && Number.isFinite(found) ? found : null;
}

/**
 * The sentences of a call's record in the language of the page.
 * @param {any} call an entry of the list
 * @param {string} language
 */
export function verdictOf(call, language) {
  const code = language.startsWith("zh") ? "zh" : "en";
  const texts = [call.verdict, call.ending].map((one) => String(one?.text?.[code] ?? ""));
  return texts.filter((one) => one !== "").join(" ");
}

/** @param {number} bytes */
export function sizeOf(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, bytes > 0 ? Math.floor(Math.log10(bytes) / 3) : 0);
  return `${(bytes / 1000 ** power).toFixed(power > 0 ? 1 : 0)} ${units[power]}`;
}

/** A length of time, in words that need none: `3 d 4 h`, `5 h 6 min`, `7 min`. @param {number} seconds */
export function lengthOf(seconds) {
  const minutes = Math.floor(seconds / 60);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
  return days > 0 ? `${days} d ${hours} h` : hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}
