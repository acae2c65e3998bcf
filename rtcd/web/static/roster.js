// @ts-check
/**
 * Who is in the room: the server's snapshots, and what one means against the members that we have. Pure: no sockets, no
 * clock.
 *
 * The order of `members` is that in which they took their seats; of two, the earlier one makes the first offer.
 */

/** The public name of a client of AppRTC, which has none. */
export const APP = "app";
/** More members than a room can have are not believed. */
const MAX_MEMBERS = 16;

/** @typedef {"left" | "lost" | "kicked" | "returned"} Why somebody parted */

/**
 * @typedef {{id: string, name: string, page: boolean, here: boolean}} Seated `here`: it has a live WebSocket
 *
 * @typedef {object} Snapshot
 * @property {Seated[]} members
 * @property {string} host public name of the host, or empty
 * @property {boolean} locked
 * @property {boolean} password
 * @property {number} capacity
 * @property {boolean} relay whether media are to go by relays alone
 * @property {Record<string, Why>} gone the last ones who parted
 *
 * @typedef {object} News
 * @property {boolean} seated whether we are in it ourselves; if not, nothing else is said
 * @property {Why | ""} why what became of us if we are not
 * @property {(Seated & {offers: boolean})[]} arrived `offers`: the first offer is ours
 * @property {Seated[]} stayed
 * @property {string[]} kept not in it any more, but nobody meant that: their media may go on for a while
 * @property {{id: string, why: Why}[]} gone
 */

/** A snapshot in full, or null for anything else. @param {any} given @returns {Snapshot | null} */
export function readSnapshot(given) {
  if (!Array.isArray(given?.members)) {
    return null;
  }
  const members = given.members
    .filter((/** @type {any} */ one) => typeof one?.id === "string" && one.id !== "")
    .slice(0, MAX_MEMBERS)
    .map((/** @type {any} */ { id, name, page, here }) =>
      ({ id, name: String(name ?? ""), page: page === true, here: here === true }));
  return {
    members,
    host: String(given.host ?? ""),
    locked: given.locked === true,
    password: given.password === true,
    capacity: Number(given.capacity) || 2,
    relay: given.relay === true,
    gone: typeof given.gone === "object" && given.gone !== null ? given.gone : {},
  };
}

/**
 * The view of a room that knows no pages: we, and the other one whether it is there yet or not, since what we say to it
 * waits.
 * @param {string} me
 * @param {string} name
 * @param {boolean} first whether we were there first
 * @returns {Snapshot}
 */
export function roomOfTwo(me, name, first) {
  const own = { id: me, name, page: true, here: true };
  const other = { id: APP, name: "", page: false, here: true };
  const members = first ? [own, other] : [other, own];
  return { members, host: "", locked: false, password: false, capacity: 2, relay: false, gone: {} };
}

/**
 * What a snapshot means.
 * @param {Snapshot} snapshot
 * @param {string} me
 * @param {Iterable<{id: string, working: boolean}>} known the members that we have; `working`: media flow
 * @param {ReadonlySet<string>} over who has said bye to us, whatever the server still believes
 * @returns {News}
 */
export function compare({ members, gone }, me, known, over) {
  const own = members.findIndex(({ id }) => id === me);
  /** @type {News} */
  const news = { seated: own >= 0, why: gone[me] ?? "", arrived: [], stayed: [], kept: [], gone: [] };
  if (own < 0) {
    return news;
  }
  const mine = new Map([...known].map((one) => [one.id, one.working]));
  members.forEach((one, index) => {
    if (index !== own && !over.has(one.id)) {
      mine.has(one.id) ? news.stayed.push(one) : news.arrived.push({ ...one, offers: own < index });
    }
  });
  const seated = new Set(members.map(({ id }) => id));
  for (const [id, working] of mine) {
    if (!seated.has(id)) {
      const why = gone[id] ?? "lost";
      why === "lost" && working && id !== APP ? news.kept.push(id) : news.gone.push({ id, why });
    }
  }
  return news;
}
