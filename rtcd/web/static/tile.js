// @ts-check
/** One tile: a picture, or initials where there is none, and what must be known about the one who is seen in it. */

import { avatar, copyOf } from "./elements.js";
import { shownWhole } from "./layout.js";

/**
 * @typedef {object} TileState
 * @property {string} name as shown; never empty
 * @property {boolean} [muted]
 * @property {boolean} [camera] false: its camera is off; undefined: not told, so look whether pictures come
 * @property {boolean} [host]
 * @property {string | null} [trouble] key of a text
 * @property {{grade: string, side: string | null} | null} [quality]
 */

/** Draws one member's camera, or screen. */
export class Tile {
  /** @type {HTMLElement} */
  element;
  /** @type {HTMLVideoElement} */
  video;
  /** @type {HTMLButtonElement} */
  button;
  /** @type {TileState} */
  #state = { name: "" };
  #shown = "";
  #texts;
  #part;
  #stream = new MediaStream();
  #blocked;
  #box = { width: 0, height: 0 };
  /** Whether pictures come, as far as looking tells. */
  #arriving = false;
  #asked = false;
  #seen = false;

  /**
   * @param {{id: string, kind: "camera" | "screen", own: boolean}} what
   * @param {import("./texts.js").Texts} texts
   * @param {() => void} blocked called when the browser wants a gesture before there may be sound
   */
  constructor({ id, kind, own }, texts, blocked) {
    this.id = id;
    this.kind = kind;
    this.own = own;
    this.key = `${kind}:${id}`;
    this.#texts = texts;
    this.#blocked = blocked;
    const { copy, part } = copyOf("tile-template");
    this.element = copy;
    copy.classList.toggle("own", own);
    Object.assign(copy.dataset, { member: id, kind });
    this.video = part("video");
    this.video.muted = own;
    this.button = part("button");
    this.#part = part;
    for (const event of ["resize", "loadeddata", "emptied"]) {
      this.video.addEventListener(event, () => this.#draw());
    }
  }

  /** Whether there is a picture now. */
  get pictured() {
    const { camera } = this.#state;
    return (camera ?? this.#arriving) && this.video.videoWidth > 0 && this.#stream.getVideoTracks().length > 0;
  }

  /** Whether the picture is higher than wide. */
  get upright() {
    return this.video.videoHeight > this.video.videoWidth;
  }

  /**
   * @param {TileState} state all of it
   * @param {string} [face] name for the initials, if another one
   */
  show(state, face = state.name) {
    this.#state = state;
    if (face + state.name !== this.#shown) {
      this.#shown = face + state.name;
      this.#part(".name").textContent = state.name;
      this.#part(".face").replaceChildren(avatar(this.id, face));
      this.element.setAttribute("aria-label", state.name);
    }
    this.#texts.show(this.#part("button span"), "tile.menu", { name: state.name });
    this.#draw();
  }

  /**
   * @param {"audio" | "video"} kind
   * @param {MediaStreamTrack | null} track
   */
  track(kind, track) {
    const old = this.#stream.getTracks().find((other) => other.kind === kind) ?? null;
    if (track === old) {
      return;
    }
    if (old) {
      this.#stream.removeTrack(old);
    }
    if (track) {
      this.#stream.addTrack(track);
    }
    this.#arriving = kind === "video" ? track !== null : this.#arriving;
    if (this.video.srcObject !== this.#stream) {
      this.video.srcObject = this.#stream;
    }
    this.play();
    this.#draw();
  }

  /** Play, also after the gesture that the browser wanted. */
  async play() {
    try {
      await this.video.play();
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError") {
        this.#blocked();
      }
    }
  }

  /** Look whether pictures have come since the last look; for members who cannot tell that their camera is off. */
  look() {
    if (this.#state.camera !== undefined || document.hidden || !("requestVideoFrameCallback" in this.video)) {
      return;
    }
    if (this.#asked) {
      this.#arriving = this.#seen;
      this.#draw();
    }
    this.#seen = false;
    if (!this.#asked || this.#arriving) {
      this.video.requestVideoFrameCallback(() => this.#came());
    }
    this.#asked = true;
  }

  /** @param {import("./layout.js").Box} box */
  place(box) {
    this.#box = box;
    const { x: left, y: top, width, height } = box;
    for (const [property, value] of Object.entries({ left, top, width, height })) {
      this.element.style.setProperty(property, `${value.toFixed(1)}px`);
    }
    this.#fit();
  }

  /** Whether it can be shown in full screen. */
  get canFill() {
    return document.fullscreenEnabled || "webkitEnterFullscreen" in this.video;
  }

  /** Into full screen: with its words, except on iPhones, where Safari shows nothing but videos so. */
  fill() {
    if (document.fullscreenEnabled) {
      this.element.requestFullscreen().catch(() => {});
    } else {
      /** @type {any} */ (this.video).webkitEnterFullscreen();
    }
  }

  /** Into a little window above all others, or out of it. */
  async float() {
    try {
      const floats = document.pictureInPictureElement === this.video;
      await (floats ? document.exitPictureInPicture() : this.video.requestPictureInPicture());
    } catch {
      // The browser does not want to.
    }
  }

  /** @param {boolean} on whether it has the mark of the one who speaks */
  speaking(on) {
    this.element.classList.toggle("speaking", on);
  }

  /** It goes, softly. */
  remove() {
    this.video.srcObject = null;
    this.element.classList.add("gone");
    setTimeout(() => this.element.remove(), 250);
  }

  #came() {
    this.#seen = true;
    if (!this.#arriving) {
      this.#arriving = true;
      this.#draw();
    }
  }

  #draw() {
    const { muted, host, trouble, quality } = this.#state;
    const [words, grade] = [this.#part(".words"), this.#part(".quality")];
    this.element.classList.toggle("empty", !this.pictured);
    this.element.classList.toggle("troubled", Boolean(trouble));
    this.#part(".muted").toggleAttribute("hidden", !muted);
    this.#part(".host").toggleAttribute("hidden", !host);
    words.hidden = !trouble;
    this.#texts.show(words, trouble ?? "");
    const weak = trouble || !quality || quality.grade === "good" ? null : quality;
    grade.hidden = weak === null;
    grade.dataset.grade = weak?.grade ?? "";
    this.#texts.show(grade, weak ? `quality.${weak.grade}${weak.side ? `.${weak.side}` : ""}` : "");
    this.#fit();
  }

  #fit() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (width && this.#box.height) {
      this.video.classList.toggle("whole", shownWhole({ width, height }, this.#box, this.kind === "screen"));
    }
  }
}
