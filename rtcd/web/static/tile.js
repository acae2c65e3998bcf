// @ts-check
/** One tile: a picture, or initials where there is none, and what must be known about the one who is seen in it. */

import { avatar, icon, make } from "./elements.js";
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
  #parts;
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
    this.video = make("video", { autoplay: true, playsinline: true });
    this.video.muted = own;
    this.#parts = {
      face: make("span", { class: "face" }),
      words: make("p", { class: "words" }),
      quality: make("p", { class: "quality" }),
      muted: icon("microphone-off"),
      crown: icon("crown"),
      name: make("span", { class: "name" }),
      label: make("span", { class: "visually-hidden" }),
    };
    const { face, words, quality, muted, crown, name, label } = this.#parts;
    this.button = make("button", { class: "icon-button tile-menu" }, icon("more"), label);
    this.element = make(
      "div",
      { class: `tile${own ? " own" : ""}`, role: "group", "data-member": id, "data-kind": kind },
      this.video,
      face,
      make("div", { class: "over" }, words, quality),
      make("p", { class: "plate" }, crown, muted, name),
      this.button,
    );
    for (const event of ["resize", "loadeddata", "emptied"]) {
      this.video.addEventListener(event, () => this.#draw());
    }
  }

  /** Whether there is a picture now. */
  get pictured() {
    return this.#pictured();
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
      this.#parts.name.textContent = state.name;
      this.#parts.face.replaceChildren(avatar(this.id, face));
      this.element.setAttribute("aria-label", state.name);
    }
    this.#texts.show(this.#parts.label, "tile.menu", { name: state.name });
    this.#draw();
  }

  /**
   * @param {"audio" | "video"} kind
   * @param {MediaStreamTrack | null} track
   */
  track(kind, track) {
    const old = this.#stream.getTracks().filter((other) => other.kind === kind);
    if (track && old.includes(track)) {
      return;
    }
    old.forEach((other) => this.#stream.removeTrack(other));
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
    for (const [property, value] of Object.entries({ left: box.x, top: box.y, width: box.width, height: box.height })) {
      this.element.style.setProperty(property, `${Math.round(value * 10) / 10}px`);
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
    } catch (error) {
      console.debug("rtcd: no picture in picture", error);
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

  #pictured() {
    const { camera } = this.#state;
    return (camera ?? this.#arriving) && this.video.videoWidth > 0 && this.#stream.getVideoTracks().length > 0;
  }

  #draw() {
    const { muted, host, trouble, quality } = this.#state;
    const { words, quality: grade, muted: mark, crown } = this.#parts;
    this.element.classList.toggle("empty", !this.#pictured());
    this.element.classList.toggle("troubled", Boolean(trouble));
    mark.toggleAttribute("hidden", !muted);
    crown.toggleAttribute("hidden", !host);
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
