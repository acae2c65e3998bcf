// @ts-check
/** The screen, window or tab that we share, and its sound. */

import { constrainMore } from "./constraints.js";
import { isSecure } from "./devices.js";

/** @typedef {"detail" | "motion"} Hint what matters in the picture */
/** @typedef {"screen" | "screenAudio"} Slot */

/** Pictures a second. */
const RATE = { detail: 15, motion: 30 };

/** One at a time. */
export class Screen {
  /** @type {Hint} */
  hint = "detail";
  /** Why it could not be shared, if not because the user did not want to: the name of the DOMException. */
  problem = "";
  #onChange;
  #closed = false;
  /** @type {MediaStreamTrack[]} */
  #tracks = [];
  /** @type {Promise<boolean> | null} */
  #asking = null;

  /** @param {(slot: Slot) => void} onChange called when a track came, went or got another hint */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  get possible() {
    return isSecure() && "getDisplayMedia" in navigator.mediaDevices;
  }

  get shared() {
    return this.track("screen") !== null;
  }

  /** @param {Slot} slot */
  track(slot) {
    return this.#tracks.find((track) => slotOf(track) === slot) ?? null;
  }

  /** Ask which one to share, while a click is being handled. Returns whether one is shared. */
  share() {
    this.#asking ??= this.#share().finally(() => (this.#asking = null));
    return this.#asking;
  }

  stop() {
    this.#tracks.forEach((track) => this.#remove(track));
  }

  /** @param {Hint} hint */
  setHint(hint) {
    this.hint = hint;
    const track = this.track("screen");
    if (track) {
      this.#mark(track);
      constrainMore(track, { frameRate: { max: RATE[hint] } });
      this.#onChange("screen");
    }
  }

  /** Stop it, also what a prompt still open may bring; nothing is told any more. */
  close() {
    this.#closed = true;
    this.#onChange = () => {};
    this.stop();
  }

  async #share() {
    this.problem = "";
    if (this.shared || !this.possible) {
      return this.shared;
    }
    // The system's sound holds the voices of the others, who would hear themselves unless the browser takes our page's out.
    const clean = "restrictOwnAudio" in (navigator.mediaDevices.getSupportedConstraints?.() ?? {});
    const options = {
      video: { frameRate: { max: RATE[this.hint] } },
      audio: clean ? { restrictOwnAudio: true } : true,
      systemAudio: clean ? "include" : "exclude",
      selfBrowserSurface: "exclude",
      surfaceSwitching: "include",
    };
    try {
      const opened = await navigator.mediaDevices.getDisplayMedia(/** @type {any} */ (options));
      opened.getTracks().forEach((track) => this.#add(track));
    } catch (error) {
      console.debug("rtcd: getDisplayMedia", error);
      const { name } = /** @type {DOMException} */ (error);
      this.problem = name === "NotAllowedError" ? "" : name;
    }
    return this.shared;
  }

  /** @param {MediaStreamTrack} track */
  #add(track) {
    const video = track.kind === "video";
    if (this.#closed) {
      track.stop();
    } else {
      track.onended = () => (video ? this.stop() : this.#remove(track));
      video ? this.#mark(track) : (track.contentHint = "music");
      this.#tracks.push(track);
      this.#onChange(slotOf(track));
    }
  }

  /** @param {MediaStreamTrack} track */
  #remove(track) {
    this.#tracks = this.#tracks.filter((one) => one !== track);
    this.#onChange(slotOf(track));
    track.onended = null;
    track.stop();
  }

  /** @param {MediaStreamTrack} track */
  #mark(track) {
    track.contentHint = this.hint;
    if (this.hint === "detail") {
      track.contentHint = "text"; // most screens; a browser that does not know the word keeps the one before
    }
  }
}

/** @param {MediaStreamTrack} track @returns {Slot} */
function slotOf({ kind }) {
  return kind === "video" ? "screen" : "screenAudio";
}
