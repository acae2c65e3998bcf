// @ts-check
/** Who is speaking: the loudest, with some patience, so that the mark does not jump at each breath. No I/O. */

/** Levels from 0 to 1 below this are the noise of a room. */
const QUIET = 0.015;
/** Who has fallen silent keeps the mark this long, unless another one speaks clearly louder. */
const HOLD_MS = 1_200;

/** Remembers who had the mark last. */
export class Speaker {
  /** @type {string | null} */
  #who = null;
  #until = 0;

  /**
   * @param {Map<string, number>} levels by member
   * @param {number} now milliseconds
   * @returns {string | null} the one who has the mark now
   */
  add(levels, now) {
    const own = levels.get(this.#who ?? "") ?? 0;
    const [loudest, level] = [...levels].reduce((best, next) => (next[1] > best[1] ? next : best), ["", 0]);
    if (own > QUIET && level < own * 2) {
      this.#until = now + HOLD_MS;
    } else if (level > QUIET && (now >= this.#until || level > own * 2)) {
      this.#who = loudest;
      this.#until = now + HOLD_MS;
    } else if (now >= this.#until || !levels.has(this.#who ?? "")) {
      this.#who = null;
    }
    return this.#who;
  }
}
