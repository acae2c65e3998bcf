// @ts-check
/**
 * What the browser lets us know of the network, and of having been away: nothing is concluded here.
 *
 * `navigator.connection` also reports each new estimate of speed; only another kind of network is a change to us.
 */

/** Watches until `stop`. */
export class NetworkWatch {
  #changed;
  #woke;
  /** @type {any} */
  #connection = globalThis.navigator && /** @type {any} */ (navigator).connection;
  #type = this.#connection?.type;
  #online = () => this.#changed();
  #other = () => {
    const { type } = this.#connection;
    if (type !== this.#type) {
      this.#type = type;
      if (type !== "none") {
        this.#changed();
      }
    }
  };
  #seen = () => {
    if (globalThis.document?.visibilityState !== "hidden") {
      this.#woke();
    }
  };

  /**
   * @param {() => void} changed we are in another network, or in one again
   * @param {() => void} woke the page was hidden, frozen or asleep: what it believes may be old
   */
  constructor(changed, woke) {
    this.#changed = changed;
    this.#woke = woke;
    this.#listen("addEventListener");
  }

  stop() {
    this.#listen("removeEventListener");
  }

  /** @param {"addEventListener" | "removeEventListener"} how */
  #listen(how) {
    globalThis[how]?.("online", this.#online);
    globalThis[how]?.("pageshow", this.#seen);
    globalThis.document?.[how]("visibilitychange", this.#seen);
    globalThis.document?.[how]("resume", this.#seen);
    this.#connection?.[how]?.("change", this.#other);
  }
}
