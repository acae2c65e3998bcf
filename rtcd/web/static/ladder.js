// @ts-check
/**
 * The recovery ladder of one peer connection: what to try next, and when. Pure: told events and `now` in milliseconds, it
 * says what to do; its owner keeps the timer.
 *
 * Rungs, counted from when the trouble began: another path by ICE restart (disconnected for 2 s, or at once when it failed,
 * fell silent, or the network changed), after 8 s by relays only, after 20 s a connection all anew, and so again after 15 s,
 * after 30, then every 45. These pauses grow, and begin anew when the other side begins anew or it has been agreed upon, since
 * two machines that are slow would else undo forever what each other has begun.
 * Of two pages the later one in the room climbs a little behind, so that mostly one alone acts. While nobody would hear us
 * the ladder waits, save for its first rung: those words are the first to be said once we are heard again.
 */

const DISCONNECTED_MS = 2_000;
const RELAY_MS = 8_000;
const RENEW_MS = 20_000;
/** A connection that was begun anew in trouble, by either side, has so long; the second one twice as long, and so on. */
const AGAIN_MS = 15_000;
const MOST = 3;
/** A rung that came late gets this long before the next. */
const LEAST_MS = 5_000;
/** `online` and a change of the connection come together; they are one change of network. */
const SAME_CHANGE_MS = 1_500;

/**
 * @typedef {"restart" | "relay" | "renew"} Action
 * @typedef {"connecting" | "interrupted" | "relay" | "renewing"} Step what is to be seen of it
 */

/** Tells one connection's way back. */
export class Ladder {
  /** @type {Step | null} null while all is well */
  trouble = "connecting";
  /** @type {number | null} when `advance` has something to do */
  due;
  #lag;
  #renews;
  /** @type {RTCPeerConnectionState} */
  #state = "new";
  #since;
  #rung = 1;
  #tried = false;
  #blocked = false;
  #ever = false;
  /** How often either side has begun anew in this trouble. */
  #begun = 0;
  #changed = -Infinity;
  /** @type {number | null} looks in a row without a packet; null before there was one */
  #silences = null;

  /**
   * @param {number} now
   * @param {{lag?: number, renews?: boolean}} [how] `lag`: milliseconds behind the other side · `renews`: false if only
   *   restarts may be
   */
  constructor(now, { lag = 0, renews = true } = {}) {
    this.#lag = lag;
    this.#renews = renews;
    this.#since = now;
    this.due = now + RELAY_MS + lag;
  }

  /** The connection is in another state. @param {RTCPeerConnectionState} state @param {number} now */
  state(state, now) {
    const before = this.#state;
    this.#state = state;
    if (state === "connected") {
      this.#ever = true;
      this.#mended();
    } else if (state === "new" && this.trouble === null) {
      this.#begin(now, 0); // the other side has begun anew
      this.trouble = "renewing";
      this.#rung = 1;
      this.#later(now);
    } else if (state === "new" || (state === "connecting" && before === "new" && this.#begun > 0)) {
      this.#begun += Number(state === "new");
      if (this.due !== null) {
        this.#rung = 2;
        this.due = now + AGAIN_MS * Math.min(this.#begun, MOST) + this.#lag;
      }
    } else if (state === "disconnected" && this.trouble === null) {
      this.#begin(now, DISCONNECTED_MS + this.#lag);
    } else if (state === "failed" && !this.#tried && !this.#blocked) {
      this.trouble === null ? this.#begin(now, this.#lag) : this.#soon(now + this.#lag);
    } else if (state === "connecting" && before === "disconnected" && this.#rung === 0) {
      this.#rung = 1; // the other side has begun
      this.due = this.#since + RELAY_MS + this.#lag;
    } else if (state === "closed") {
      this.due = null;
    }
  }

  /** We are in another network: the path is likely dead, whatever the connection still believes. @param {number} now */
  changed(now) {
    if (now - this.#changed >= SAME_CHANGE_MS || now < this.#changed) {
      this.#changed = now;
      this.#tried = this.#blocked = false;
      this.#since = now;
      this.#soon(now);
    }
  }

  /**
   * A path that is dead is silent long before the browser says so, if it ever does.
   * @param {boolean | null} silent whether nothing came since the last look; null if nothing need come
   * @param {number} now
   */
  received(silent, now) {
    if (!silent) {
      if (this.trouble !== null && this.#state === "connected") {
        this.#mended();
      }
      this.#silences = silent === null ? null : 0;
    } else if (this.#silences !== null && ++this.#silences >= (this.#lag ? 2 : 1) && this.trouble === null) {
      this.#begin(now, 0);
    }
  }

  /**
   * What we say is heard (again).
   * @param {number} now
   * @param {boolean} lost whether what we said before may never have arrived
   * @param {boolean} [waiting] whether an answer to it is waited for
   */
  heard(now, lost, waiting = false) {
    if (this.#state === "new" && this.trouble !== null && (lost || this.#blocked)) {
      this.#since = now;
      lost ? this.#soon(now) : this.#later(now);
    } else if (this.#blocked || (lost && this.#renews && (waiting || this.trouble !== null))) {
      this.#since = now;
      this.#soon(now);
    }
    this.#blocked = false;
  }

  /**
   * Climb, if it is time. Returns what to do, or null.
   * @param {number} now
   * @param {boolean} audible whether the other side would hear us now
   * @returns {Action | null}
   */
  advance(now, audible) {
    if (this.due === null || now < this.due) {
      return null;
    }
    if (!audible && (this.#tried || !this.#ever)) {
      this.#blocked = true;
      this.due = null;
      return null;
    }
    const rung = this.#rung;
    const waiting = this.#state === "new"; // nothing has been agreed: a restart would be an answer to nothing
    if (rung === 0 && this.trouble === null) {
      this.due = null; // to be on the safe side, on a path that may well be alive
      return "restart";
    }
    this.#rung += 1;
    if (rung === 1 && waiting) {
      this.#later(now);
      return null;
    }
    this.#tried = true;
    this.#later(now);
    if (rung === 1) {
      this.trouble = "relay";
      return "relay";
    }
    if (!this.#renews || (rung === 0 && !waiting)) {
      return "restart";
    }
    this.trouble = "renewing";
    this.#state = "new";
    return "renew";
  }

  #mended() {
    this.#blocked = this.#tried = false;
    this.trouble = this.due = this.#silences = null;
    this.#begun = 0;
  }

  /** @param {number} now @param {number} wait */
  #begin(now, wait) {
    this.trouble = "interrupted";
    this.#tried = false;
    this.#since = now;
    this.#soon(now + wait);
  }

  /** @param {number} due */
  #soon(due) {
    this.trouble &&= this.#ever ? "interrupted" : "connecting";
    this.#rung = 0;
    this.due = due;
  }

  /** @param {number} now */
  #later(now) {
    const { [this.#rung]: after = null } = { 1: RELAY_MS, 2: RENEW_MS };
    this.due = after === null ? now + AGAIN_MS : Math.max(this.#since + after + this.#lag, now + LEAST_MS);
  }
}
