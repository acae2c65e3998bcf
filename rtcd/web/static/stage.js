// @ts-check
/**
 * The call on the screen: the two pictures, the invitation while alone, and the controls.
 */

import { element } from "./view.js";

const IDLE_MS = 4_000;
/** Aspect ratios further apart than this are shown whole instead of filling the stage. */
const COVER_RATIO = 1.4;

/** Draws one call. */
export class Stage {
  #texts;
  #remote = /** @type {HTMLVideoElement} */ (element("remote-video"));
  #local = /** @type {HTMLVideoElement} */ (element("local-video"));
  #idleTimer = 0;
  #idleAllowed = false;
  #copied = 0;

  /** @param {import("./texts.js").Texts} texts */
  constructor(texts) {
    this.#texts = texts;
    this.#remote.addEventListener("resize", () => this.#fit());
    this.#local.addEventListener("resize", () => this.#shapeSelf());
    new ResizeObserver(() => this.#fit()).observe(element("remote"));
    const notices = element("notices");
    const room = () => document.documentElement.style.setProperty("--notices", `${notices.offsetHeight}px`);
    new ResizeObserver(room).observe(notices);
    element("hear-button").addEventListener("click", () => this.#play());
    element("copy-button").addEventListener("click", () => this.#copy());
    element("share-button").addEventListener("click", () => this.#share());
    element("room-link").addEventListener("focus", (event) => /** @type {HTMLInputElement} */ (event.target).select());
    const qr = /** @type {HTMLImageElement} */ (element("qr"));
    qr.addEventListener("load", () => (qr.hidden = false));
    qr.addEventListener("error", () => (qr.hidden = true));
    element("share-button").hidden = typeof navigator.share !== "function";
    element("fullscreen-button").hidden = !document.fullscreenEnabled;
    document.addEventListener("fullscreenchange", () => {
      element("fullscreen-button").setAttribute("aria-pressed", String(document.fullscreenElement !== null));
    });
    for (const event of ["pointermove", "pointerdown", "keydown", "focusin"]) {
      document.addEventListener(event, () => this.#stir(), { passive: true });
    }
  }

  /**
   * @param {string} link
   * @param {string} qrUrl
   */
  invite(link, qrUrl) {
    /** @type {HTMLInputElement} */ (element("room-link")).value = link;
    const qr = /** @type {HTMLImageElement} */ (element("qr"));
    qr.hidden = true;
    qr.src = qrUrl;
  }

  /**
   * What belongs to this moment of the call.
   * @param {import("./call.js").Phase} phase
   */
  phase(phase) {
    element("invitation").hidden = phase !== "waiting";
    this.#idleAllowed = phase === "connected";
    if (phase !== "joining") {
      this.prompt(false);
    }
    if (phase !== "connected") {
      element("hear-button").hidden = true;
    }
    this.#stir();
  }

  /**
   * Say that the browser's question about devices is waiting for an answer.
   * @param {boolean} open
   */
  prompt(open) {
    element("prompt").hidden = !open;
  }

  /**
   * Show our own devices as they are.
   * @param {import("./media.js").LocalMedia} media
   */
  local(media) {
    if (this.#local.srcObject !== media.stream) {
      this.#local.srcObject = media.stream;
      this.#local.play().catch(() => {});
    }
    const button = { audio: element("mute-button"), video: element("camera-button") };
    for (const kind of /** @type {("audio" | "video")[]} */ (["audio", "video"])) {
      button[kind].hidden = !media.wants(kind);
      button[kind].setAttribute("aria-pressed", String(!media.isOn(kind)));
    }
    element("self-off").hidden = media.isOn("video");
    element("self-muted").hidden = media.isOn("audio") || !media.wants("audio");
    element("self").classList.toggle("empty", !media.isOn("video"));
    this.#shapeSelf();
  }

  /**
   * Show the other side.
   * @param {MediaStreamTrack} track
   */
  remoteTrack(track) {
    const stream = this.#remote.srcObject instanceof MediaStream ? this.#remote.srcObject : new MediaStream();
    for (const old of stream.getTracks().filter((other) => other.kind === track.kind)) {
      stream.removeTrack(old);
    }
    stream.addTrack(track);
    this.#remote.srcObject = stream;
    this.#play();
  }

  /** The other side is gone. */
  clearRemote() {
    this.#remote.srcObject = null;
    element("remote-off").hidden = true;
    element("remote").classList.remove("empty");
  }

  /**
   * Whether microphone and camera can be switched: not while the first question about them is open.
   * @param {boolean} able
   */
  switches(able) {
    for (const id of ["mute-button", "camera-button"]) {
      /** @type {HTMLButtonElement} */ (element(id)).disabled = !able;
    }
  }

  /**
   * Whether pictures of the other side arrive.
   * @param {boolean} arriving
   */
  remotePictures(arriving) {
    element("remote-off").hidden = arriving;
    element("remote").classList.toggle("empty", !arriving);
  }

  /** Into full screen, or out of it. */
  toggleFullscreen() {
    if (document.fullscreenElement) {
      document.exitFullscreen();
    } else {
      document.documentElement.requestFullscreen?.().catch(() => {});
    }
  }

  async #play() {
    const hear = element("hear-button");
    try {
      await this.#remote.play();
      hear.hidden = true;
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError") {
        hear.hidden = false; // the browser wants a gesture before there may be sound
      }
    }
  }

  /** Fill the stage if not much is cut off by that, else show all of the picture. */
  #fit() {
    const { videoWidth, videoHeight, clientWidth, clientHeight } = this.#remote;
    if (videoWidth && clientHeight) {
      const ratio = videoWidth / videoHeight / (clientWidth / clientHeight);
      this.#remote.classList.toggle("whole", Math.max(ratio, 1 / ratio) > COVER_RATIO);
    }
  }

  #shapeSelf() {
    const { videoWidth, videoHeight } = this.#local;
    element("self").classList.toggle("upright", videoHeight > videoWidth);
  }

  /** Something moved: show the controls, and hide them again later, if a mouse is there to call them back. */
  #stir() {
    delete document.documentElement.dataset.idle;
    clearTimeout(this.#idleTimer);
    if (this.#idleAllowed && matchMedia("(hover: hover) and (pointer: fine)").matches) {
      this.#idleTimer = setTimeout(() => this.#rest(), IDLE_MS);
    }
  }

  #rest() {
    const used = ["controls", "top", "notices"].some((id) => element(id).matches(":hover, :has(:focus-visible)"));
    if (used) {
      this.#stir();
    } else {
      document.documentElement.dataset.idle = "";
    }
  }

  async #copy() {
    const field = /** @type {HTMLInputElement} */ (element("room-link"));
    const words = /** @type {HTMLElement} */ (element("copy-button").querySelector("span"));
    let key = "invite.copied";
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      field.select();
      key = "invite.copyFailed"; // no clipboard without https, or not allowed
    }
    this.#texts.show(key === "invite.copied" ? words : element("status"), key);
    clearTimeout(this.#copied);
    this.#copied = setTimeout(() => this.#texts.show(words, "invite.copy"), 2_500);
  }

  async #share() {
    const { value: url } = /** @type {HTMLInputElement} */ (element("room-link"));
    try {
      await navigator.share({ title: this.#texts.get("invite.shareTitle"), url });
    } catch {
      // The sheet was closed.
    }
  }
}
