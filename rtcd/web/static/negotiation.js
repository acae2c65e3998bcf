// @ts-check
/**
 * Who offers, and which messages count: the rules of one peer, without any connection.
 *
 * Between pages a *session* is one RTCPeerConnection of each side. A `first` offer begins it and replaces the connection
 * that the other side has. Within a session it is perfect negotiation, of nothing but ICE. Of two offers that cross, that of
 * the impolite side (the greater tag) stands. With an app there are no sessions: the initiator offers, alone.
 */

const MAX_SESSION_LENGTH = 32;

/**
 * `replace` the connection and answer on another, `rollback` the own offer and answer, `renew`: begin a session of our own.
 * @typedef {"replace" | "answer" | "rollback" | "renew" | "accept" | "add" | "ignore"} Verdict
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

  /** @param {string} me own tag @param {string} id the other side's */
  constructor(me, id) {
    this.#polite = me < id;
  }

  /** Our first offer goes out. @param {string} session */
  begin(session) {
    this.#enter(session);
    this.#unanswered = true;
  }

  /** @param {PeerMessage} message @param {RTCSignalingState} state @returns {Verdict} */
  take(message, state) {
    if (message.type === "bye" || !message.session || message.session.length > MAX_SESSION_LENGTH) {
      return "ignore";
    }
    if (message.session !== this.session) {
      if (message.type !== "offer" || !message.first || (this.#unanswered && !this.#polite)) {
        return "ignore";
      }
      this.#enter(message.session);
      return "replace";
    }
    if (message.type === "candidate") {
      return this.#ignoring || state === "closed" ? "ignore" : "add";
    }
    if (message.type === "answer") {
      if (state !== "have-local-offer") {
        return "ignore";
      }
      this.#unanswered = this.#ignoring = false;
      return "accept";
    }
    if (message.first) {
      return "ignore"; // told twice
    }
    if (state === "closed") {
      return "renew"; // it has failed for good
    }
    this.#ignoring = state !== "stable" && !this.#polite;
    if (this.#ignoring || state === "stable") {
      return this.#ignoring ? "ignore" : "answer";
    }
    this.#again = false; // to answer their restart is to restart
    return "rollback";
  }

  /** Whether to offer a restart now: not before the last answer, when it is `due`. @param {RTCSignalingState} state */
  restart(state) {
    this.#again = this.session !== "" && state !== "stable";
    return this.session !== "" && state === "stable";
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
    this.#unanswered = this.#again = this.#ignoring = false;
  }
}

/** The rules between a page and an app, as AppRTC has them. */
export class LegacyNegotiation {
  session = undefined;
  #initiator;

  /** @param {boolean} initiator */
  constructor(initiator) {
    this.#initiator = initiator;
  }

  begin() {}

  /** @param {PeerMessage} message @param {RTCSignalingState} state @returns {Verdict} */
  take({ type }, state) {
    if (type === "offer") {
      return this.#initiator ? "ignore" : "answer";
    }
    return type === "candidate" ? "add" : type === "answer" && state === "have-local-offer" ? "accept" : "ignore";
  }

  restart() {
    return this.#initiator;
  }

  due() {
    return false;
  }
}
