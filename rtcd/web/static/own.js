// @ts-check
/** Our own devices from the green room to the end of a call: opened, switched and shared as the user wants it. */

import { LocalMedia } from "./media.js";

/** A browser that answers within this time has not asked the user. */
const PROMPT_MS = 900;

/** @typedef {"audio" | "video"} Kind */
const KINDS = /** @type {Kind[]} */ (["audio", "video"]);

/**
 * @typedef {object} Viewer where they are shown: the green room, then the call
 * @property {() => void} local they are others, or switched
 * @property {() => void} devices others could be chosen
 * @property {(problems: import("./media.js").Problem[]) => void} problems those that could not be had
 * @property {(able: boolean) => void} switches whether they can be switched: not before the first question about them is answered
 * @property {(open: boolean) => void} prompt whether the browser's question about them waits for an answer
 * @property {(slot: import("./media.js").Slot) => void} [changed]
 * @property {(key: string) => void} [say] what became of them
 */

/** Belongs to one visit of a room. */
export class OwnDevices {
  media;
  /** @type {Viewer} */
  #viewer;
  #opened = false;
  #asking = false;
  #closed = false;
  /** @type {Kind[]} */
  #off = [];

  /**
   * @param {import("./parameters.js").Parameters} parameters
   * @param {import("./sound.js").Sounds} sounds
   * @param {Viewer} viewer
   */
  constructor({ mediaConstraints }, sounds, viewer) {
    this.#viewer = viewer;
    this.media = new LocalMedia(mediaConstraints);
    this.media.onChange = (slot) => {
      this.#viewer.local();
      this.#viewer.changed?.(slot);
    };
    this.media.onProblems = (lost) => {
      this.#viewer.problems(this.media.problems);
      if (lost) {
        this.#viewer.say?.(lost === "video" ? "status.cameraOff" : "status.muted");
      }
    };
    this.media.onDevices = () => {
      sounds.output = this.media.output;
      this.#viewer.devices();
    };
  }

  /** What the user has switched off, also after the end. */
  get off() {
    const lost = this.media.problems.flatMap(({ kinds }) => kinds);
    return this.#closed || !this.#opened
      ? this.#off
      : KINDS.filter((kind) => this.media.wants(kind) && !this.media.isOn(kind) && !lost.includes(kind));
  }

  /** @param {Viewer} viewer */
  showIn(viewer) {
    this.#viewer = viewer;
    viewer.switches(this.#opened);
    viewer.prompt(this.#asking);
    viewer.local();
    viewer.problems(this.media.problems);
    viewer.devices();
  }

  /**
   * Ask for the devices. Never throws.
   * @param {Kind[]} [off] those that are to stay off
   */
  async open(off = []) {
    const { media } = this;
    this.#off = off;
    setTimeout(async () => (await media.isAsking()) && !this.#opened && !this.#closed && this.#prompt(true), PROMPT_MS);
    await media.open(off);
    if (!this.#closed) {
      this.#opened = true;
      this.#prompt(false);
      this.#viewer.switches(true);
      this.#viewer.local();
    }
  }

  /** @param {Kind} kind */
  async toggle(kind) {
    const { media } = this;
    if (this.#opened && media.wants(kind)) {
      const on = await this.switch(kind, !media.isOn(kind));
      this.#viewer.say?.(kind === "audio" ? (on ? "status.unmuted" : "status.muted") : on ? "status.cameraOn" : "status.cameraOff");
    }
  }

  /**
   * Returns whether it is on afterwards.
   * @param {Kind} kind
   * @param {boolean} on
   */
  switch(kind, on) {
    return kind === "audio" ? this.media.setMicrophone(on) : this.media.setCamera(on);
  }

  /**
   * @param {import("./media.js").DeviceKind} kind
   * @param {string} id
   */
  choose(kind, id) {
    return this.media.choose(kind, id);
  }

  /** Ask again for the devices that could not be had. */
  retry() {
    this.media.problems.flatMap(({ kinds }) => kinds).forEach((kind) => this.switch(kind, true));
  }

  /** Let go of them. */
  close() {
    this.#off = this.off;
    this.#closed = true;
    this.media.close();
  }

  /** @param {boolean} open */
  #prompt(open) {
    this.#asking = open;
    this.#viewer.prompt(open);
  }
}
