// @ts-check
/** Keeps the screen on while there is a call to look at. */

/** Asks for a wake lock when it is wanted and the page is to be seen; browsers take it away when the page is hidden. */
export class WakeKeeper {
  #wanted = false;
  /** @type {WakeLockSentinel | null} */
  #lock = null;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#update());
  }

  /** @param {boolean} on */
  keep(on) {
    this.#wanted = on;
    return this.#update();
  }

  async #update() {
    try {
      if (this.#wanted && document.visibilityState === "visible" && this.#lock?.released !== false) {
        const lock = (await navigator.wakeLock?.request("screen")) ?? null;
        this.#lock?.release(); // another call of this method was quicker
        this.#lock = lock;
      }
      if (!this.#wanted && this.#lock) {
        const lock = this.#lock;
        this.#lock = null;
        await lock.release();
      }
    } catch {
      // Not allowed now (low battery): the call goes on.
    }
  }
}
