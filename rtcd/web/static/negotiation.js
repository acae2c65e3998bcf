// @ts-check
/**
 * Who offers, and which messages count: the rules of one peer, without any connection.
 *
 * Between pages a *session* is one RTCPeerConnection of each side. A `first` offer begins it and replaces the connection
 * that the other side has. Within a session it is perfect negotiation, of nothing but ICE. Of two offers that cross, that of
 * the impolite side (the greater tag) stands. An offer may have been lost with somebody's socket, so it may be made again
 * before it was answered: each is a *round* of its own, and only the answer to the last one counts. With an app there are no
 * sessions: the initiator offers, alone.
 */

const MAX_SESSION = 32;
/** Offers that cross do so within this time; one that was not answered by then is taken for lost. */
const CROSSING_MS = 1_500;

/**
 * `replace` the connection and answer on another, `rollback` the own offer and answer, `renew`: begin a session of our own,
 * `repeat` the own offer.
 * @typedef {"replace" | "answer" | "rollback" | "renew" | "accept" | "add" | "repeat" | "ignore"} Verdict
 * @typedef {import("./messages.js").PeerMessage} PeerMessage
 */

/** The rules between two pages. */
export class Negotiation {
  /** Empty before there is one. */
  session = "";
  #polite;
  /** Whether the own first offer waits for its answer. */
  #unanswered = false;
  /** Whether ICE is to restart when the answer has come. */
  #again = false;
  /** Whether the other side's last offer was ignored, and so are its candidates. */
  #ignoring = false;
  /** @type {number | undefined} of the own last offer; none for the first */
  #round;
  #offered = 0;

  /** @param {string} me own tag @param {string} id the other side's */
  constructor(me, id) {
    this.#polite = me < id;
  }

  /** Our first offer goes out. @param {string} session @param {number} [now] in milliseconds */
  begin(session, now = 0) {
    this.#enter(session);
    this.#unanswered = true;
    this.#offered = now;
  }

  /** Another offer goes out. Returns its round. @param {number} now in milliseconds */
  offer(now) {
    this.#offered = now;
    this.#round = (this.#round ?? 0) + 1;
    return this.#round;
  }

  /** @param {PeerMessage} message @param {RTCSignalingState} state @param {number} [now] in ms @returns {Verdict} */
  take(message, state, now = 0) {
    if (message.type === "bye" || !message.session || message.session.length > MAX_SESSION) {
      return "ignore";
    }
    if (message.session !== this.session) {
      if (message.type !== "offer" || !message.first) {
        return "ignore";
      }
      if (this.#unanswered && !this.#polite) {
        return now - this.#offered > CROSSING_MS ? "renew" : "ignore"; // ours was lost; the polite side takes the new one
      }
      this.#enter(message.session);
      return "replace";
    }
    if (message.type === "candidate") {
      return this.#ignoring || state === "closed" ? "ignore" : "add";
    }
    if (message.type === "answer") {
      if (state !== "have-local-offer" || message.round !== this.#round) {
        return "ignore";
      }
      this.#unanswered = this.#ignoring = false;
      return "accept";
    }
    if (message.first) {
      return "ignore"; // told twice
    }
    if (state === "closed" || this.#unanswered) {
      return "renew"; // it has failed for good, or their answer was lost
    }
    this.#ignoring = state !== "stable" && !this.#polite;
    if (this.#ignoring) {
      return now - this.#offered > CROSSING_MS ? "repeat" : "ignore";
    }
    if (state === "stable") {
      return "answer";
    }
    this.#again = false; // to answer their restart is to restart
    return "rollback";
  }

  /**
   * Whether to offer a restart now: not before the session is agreed, when it is `due`.
   * @param {RTCSignalingState} state @param {number} [_now]
   */
  restart(state, _now) {
    const agreed = state === "stable" || (state === "have-local-offer" && !this.#unanswered);
    this.#again = this.session !== "" && !agreed;
    return this.session !== "" && agreed;
  }

  /** Whether a restart is due now that nothing is under way. Says so once. */
  due() {
    const due = this.#again;
    this.#again = false;
    return due;
  }

  /** @param {string} session */
  #enter(session) {
    this.session = session;
    this.#round = undefined;
    this.#unanswered = this.#again = this.#ignoring = false;
  }
}

/** The rules between a page and an app, as AppRTC has them. */
export class LegacyNegotiation {
  session = undefined;
  #initiator;
  #again = false;
  #offered = 0;

  /** @param {boolean} initiator */
  constructor(initiator) {
    this.#initiator = initiator;
  }

  /** @param {string} _session @param {number} now in milliseconds */
  begin(_session, now) {
    this.#offered = now;
  }

  /** @param {number} now in milliseconds @returns {number | undefined} */
  offer(now) {
    this.#offered = now;
    return undefined;
  }

  /** @param {PeerMessage} message @param {RTCSignalingState} state @returns {Verdict} */
  take({ type }, state) {
    if (type === "offer") {
      return this.#initiator ? "ignore" : "answer";
    }
    return type === "candidate" ? "add" : type === "answer" && state === "have-local-offer" ? "accept" : "ignore";
  }

  /**
   * An app's answer does not say to which offer: another one waits for it, or until the answer is lost.
   * @param {RTCSignalingState} state @param {number} now in milliseconds
   */
  restart(state, now) {
    this.#again = this.#initiator && state === "have-local-offer" && now - this.#offered <= CROSSING_MS;
    return this.#initiator && !this.#again;
  }

  due() {
    const due = this.#again;
    this.#again = false;
    return due;
  }
}
