// @ts-check
/** The line that says how the call stands, and for a moment what has just happened; it is read out. */

const SLOW_MS = 10_000;
const SAID_MS = 2_500;

/** What the line says in each phase of a call that has not ended. */
export const STANDING = /** @type {Record<string, string>} */ ({
  joining: "status.joining", waiting: "status.waiting", connecting: "status.connecting", connected: "status.connected",
});
/** Troubles of a member in which nothing comes from it. */
const BROKEN = ["interrupted", "relay", "renewing"];

/**
 * Whether nothing comes any more from anybody.
 * @param {{phase: string, members: Map<string, {trouble: string | null}>} | null} call
 */
export function interrupted(call) {
  const members = [...(call?.members.values() ?? [])];
  return call?.phase === "connected" && members.length > 0 && members.every(({ trouble }) => BROKEN.includes(trouble ?? ""));
}

/** Writes the line for one call after the other. */
export class StatusLine {
  #view;
  #call;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #slowTimer;
  #saying = false;

  /**
   * @param {import("./view.js").View} view
   * @param {() => import("./call.js").Call | null} call the one that is on
   */
  constructor(view, call) {
    this.#view = view;
    this.#call = call;
  }

  /**
   * Say what happened, and a little later how the call stands again. An interruption is more important.
   * @param {string} key
   * @param {Record<string, string>} [values]
   * @param {number} [milliseconds]
   */
  say(key, values = {}, milliseconds = SAID_MS) {
    if (!interrupted(this.#call())) {
      this.#view.status(key, values);
      this.#saying = true;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        this.#saying = false;
        this.stand();
      }, milliseconds);
    }
  }

  /** Say how the call stands, unless something else was just said. */
  stand() {
    const call = this.#call();
    const key = interrupted(call) ? "status.reconnecting" : STANDING[call?.phase ?? ""];
    if (key && (!this.#saying || key === "status.reconnecting")) {
      this.#view.status(key);
    }
  }

  /** The call is in another phase; says so if connecting takes long. */
  phase() {
    clearTimeout(this.#slowTimer);
    if (this.#call()?.phase === "connecting") {
      this.#slowTimer = setTimeout(() => this.#view.status("status.slow"), SLOW_MS);
    }
    this.stand();
  }

  /** Say nothing. */
  clear() {
    clearTimeout(this.#timer);
    clearTimeout(this.#slowTimer);
    this.#saying = false;
    this.#view.status("");
  }
}
