// @ts-check
/** How well one connection does, counted from one look at the statistics to the next: old losses are forgotten. */

/**
 * Shares of packets lost, 0 to 1, milliseconds, and whether nothing at all came; null for what is not known.
 * @typedef {{sending: number | null, receiving: number | null, rtt: number | null, silent: boolean | null}} Sample
 * @typedef {"good" | "fair" | "poor"} Grade
 * @typedef {{grade: Grade, side: "sending" | "receiving" | null, arrives: Grade | null}} Verdict `side`: which suffers more;
 *   `arrives`: how much of what we send does, however long it takes
 */

/** Fewer packets say nothing about losses. */
const MIN_PACKETS = 20;
/** So many looks have to agree before the grade changes. */
const AGREE = 3;
const GRADES = /** @type {const} */ (["good", "fair", "poor"]);

/**
 * @param {any[]} before reports of getStats; none at the first look
 * @param {any[]} now
 * @returns {Sample}
 */
export function sampleOf(before, now) {
  const old = new Map(before.map((report) => [report.id, report]));
  let [received, missed, sent, lost] = [0, 0, 0, 0];
  /** @param {any} report @param {string} key */
  const delta = (report, key) => Math.max(0, (report?.[key] ?? 0) - (old.get(report?.id)?.[key] ?? Infinity));
  for (const report of now) {
    if (report.type === "inbound-rtp") {
      received += delta(report, "packetsReceived");
      missed += delta(report, "packetsLost"); // one that was only late makes them fewer
    } else if (report.type === "remote-inbound-rtp") {
      const packets = delta(now.find(({ id }) => id === report.localId), "packetsSent");
      const { fractionLost } = report;
      sent += packets;
      lost += Math.min(packets, fractionLost === undefined ? delta(report, "packetsLost") : packets * fractionLost);
    }
  }
  const silent = before.length ? !received && !delta(selectedPair(now), "bytesReceived") : null;
  return { sending: share(lost, sent), receiving: share(missed, received + missed), rtt: roundTrip(now), silent };
}

/** @param {number} part @param {number} whole */
function share(part, whole) {
  return whole < MIN_PACKETS ? null : part / whole;
}

/** @param {any[]} reports */
function roundTrip(reports) {
  const times = reports.filter(({ type }) => type === "remote-inbound-rtp").map(({ roundTripTime }) => roundTripTime ?? -1);
  const seconds = selectedPair(reports)?.currentRoundTripTime ?? Math.max(-1, ...times);
  return seconds < 0 ? null : seconds * 1000;
}

/**
 * The candidate pair in use. Firefox has no report of the transport but marks the pair.
 * @param {any[]} reports
 */
export function selectedPair(reports) {
  const pairs = reports.filter(({ type }) => type === "candidate-pair");
  const ids = reports.map(({ selectedCandidatePairId }) => selectedCandidatePairId);
  return pairs.find(({ id, selected }) => selected || ids.includes(id))
    ?? pairs.find(({ nominated, state }) => nominated && state === "succeeded");
}

/** A level over time: the last one on which enough looks agreed. */
class Steady {
  level = -1;
  #newest = -1;
  #agreed = 0;

  /** @param {number} level -1: nothing is known @returns {boolean} whether looks agree on this one */
  add(level) {
    if (level < 0) {
      return false;
    }
    this.#agreed = level === this.#newest ? this.#agreed + 1 : 1;
    this.#newest = level;
    const agreed = this.#agreed >= AGREE;
    this.level = agreed ? level : this.level;
    return agreed;
  }
}

/** The grade of one connection over time. */
export class Quality {
  /** @type {Verdict | null} none before enough looks agree */
  #verdict = null;
  #all = new Steady();
  #sending = new Steady();

  /** @param {Omit<Sample, "silent">} sample */
  add({ sending, receiving, rtt }) {
    const [out, back] = [level(sending, 0.02, 0.05), level(receiving, 0.02, 0.05)];
    const grade = Math.max(out, back, level(rtt, 200, 400));
    this.#sending.add(out);
    if (this.#all.add(grade)) {
      const side = out > Math.max(back, 0) ? "sending" : back > Math.max(out, 0) ? "receiving" : null;
      this.#verdict = { grade: GRADES[grade], side, arrives: null };
    }
    return this.#verdict && { ...this.#verdict, arrives: out < 0 ? null : (GRADES[this.#sending.level] ?? null) };
  }
}

/** @param {number | null} value @param {number} fair @param {number} poor */
function level(value, fair, poor) {
  return value === null ? -1 : value < fair ? 0 : value < poor ? 1 : 2;
}
