// @ts-check
/** The bar with the buttons of a call, its menu of everything else, and when it hides. */

import { LIST_OF } from "./devices.js";
import { element, on, ROOT } from "./elements.js";
import { wanted } from "./tilemenu.js";

const IDLE_MS = 4_000;

/** @typedef {import("./menus.js").MenuItem} MenuItem */

/** Shows what is on and off, and offers the rest. */
export class Controls {
  /** Whether the bar may hide: only in a call that is connected, with nothing open. */
  mayRest = () => false;
  #visit;
  #sounds;
  #texts;
  #timer = 0;
  /** Whether the bar was hidden before the finger came down. */
  #wasHidden = false;

  /**
   * @param {import("./texts.js").Texts} texts
   * @param {import("./sound.js").Sounds} sounds
   * @param {import("./stage.js").Current} visit
   * @param {import("./stage.js").Stage} stage
   */
  constructor(texts, sounds, visit, stage) {
    this.#texts = texts;
    this.#sounds = sounds;
    this.#visit = visit;
    /** @type {[string, () => void][]} */
    const buttons = [
      ["mute", () => visit()?.own.toggle("audio")],
      ["camera", () => visit()?.own.toggle("video")],
      ["screen", () => visit()?.share()],
      ["chat", () => stage.panel("chat")],
      ["people", () => stage.panel("people")],
      ["fullscreen", () => stage.toggleFullscreen()],
      ["hangup", () => visit()?.hangUp()],
    ];
    for (const [name, action] of buttons) {
      on(`${name}-button`, "click", action);
    }
    element("fullscreen-button").hidden = !document.fullscreenEnabled;
    stage.menus.attach(element("more-button"), () => this.#more(stage));
    document.addEventListener("fullscreenchange", () => press("fullscreen", document.fullscreenElement !== null));
    for (const event of ["pointermove", "pointerdown", "keydown", "focusin"]) {
      document.addEventListener(event, () => this.stir(event === "pointerdown"), { passive: true });
    }
  }

  /** @param {import("./media.js").LocalMedia} media */
  local(media) {
    for (const [name, kind] of /** @type {const} */ ([["mute", "audio"], ["camera", "video"]])) {
      element(`${name}-button`).hidden = !media.wants(kind);
      press(name, !media.isOn(kind));
    }
    press("screen", media.screen.shared);
    element("screen-button").hidden = !media.screen.possible;
  }

  /**
   * Something moved: show the bar, and hide it again later if a mouse is there to call it back.
   * @param {boolean} [tapped]
   */
  stir(tapped = false) {
    this.#wasHidden = tapped && "idle" in ROOT.dataset;
    delete ROOT.dataset.idle;
    clearTimeout(this.#timer);
    if (this.mayRest() && matchMedia("(hover: hover) and (pointer: fine)").matches) {
      this.#timer = window.setTimeout(() => this.#rest(), IDLE_MS);
    }
  }

  /** By a tap on the pictures: away with the bar, or back again. */
  tap() {
    if (this.mayRest() && !this.#wasHidden) {
      ROOT.dataset.idle = "";
    }
  }

  #rest() {
    const used = ["controls", "top", "notices"].some((id) => element(id).matches(":hover, :has(:focus-visible)"));
    if (used || !this.mayRest()) {
      this.stir();
    } else {
      ROOT.dataset.idle = "";
    }
  }

  /**
   * @param {import("./stage.js").Stage} stage
   * @returns {MenuItem[]}
   */
  #more(stage) {
    const visit = this.#visit();
    if (!visit) {
      return [];
    }
    const { media } = visit.own;
    const sounds = this.#sounds;
    const { tiles } = stage;
    const { main } = tiles;
    const { blur } = media;
    const devices = (/** @type {import("./media.js").DeviceKind} */ kind) => () => this.#devices(visit.own, kind);
    /** @type {(name: string, text: string) => MenuItem | false} a button of the bar for which there is no room */
    const folded = (name, text, icon = name) => {
      const button = element(`${name}-button`);
      return !button.hidden && button.offsetParent === null && { text, icon, action: () => button.click() };
    };
    return wanted([
      folded("screen", media.screen.shared ? "menu.unshare" : "menu.share"),
      folded("people", "control.people.short"),
      media.wants("audio") && { text: "menu.audio", icon: "microphone", items: devices("audio") },
      media.wants("video") && { text: "menu.video", icon: "camera", items: devices("video") },
      "setSinkId" in HTMLMediaElement.prototype && { text: "menu.output", icon: "sound", items: devices("output") },
      media.canFlip && { text: "menu.flip", icon: "flip", action: () => media.flip() },
      blur !== undefined && { text: "menu.blur", icon: "person", checked: blur, action: () => media.setBlur(!blur) },
      media.screen.shared && { text: "menu.hint", icon: "screen", items: () => hints(media) },
      { text: "menu.self", icon: "person", checked: tiles.selfShown, action: () => tiles.toggleSelf(), line: true },
      { text: "menu.sounds", icon: "bell", checked: !sounds.muted, action: () => (sounds.muted = !sounds.muted) },
      document.pictureInPictureEnabled && main?.pictured && { text: "tile.pip", icon: "pip", action: () => main.float() },
      folded("fullscreen", "control.fullscreen.short"),
      { text: "menu.info", icon: "info", action: () => stage.panel("info"), line: true },
      { text: "menu.keys", icon: "keyboard", action: () => stage.help.showModal() },
    ]);
  }

  /**
   * @param {import("./own.js").OwnDevices} own
   * @param {import("./media.js").DeviceKind} kind
   * @returns {Promise<MenuItem[]>}
   */
  async #devices(own, kind) {
    const devices = (await own.media.devices())[LIST_OF[kind]];
    const chosen = own.media.chosen(kind);
    const known = devices.some(({ id }) => id === chosen) ? chosen : devices[0]?.id;
    const items = devices.map(({ id, label }, index) => ({
      words: label || this.#texts.get("menu.device", { number: String(index + 1) }),
      checked: id === known,
      radio: true,
      action: () => own.choose(kind, id),
    }));
    return items.length > 0 ? items : [{ text: "menu.none" }];
  }
}

/**
 * @param {import("./media.js").LocalMedia} media
 * @returns {MenuItem[]}
 */
function hints(media) {
  return /** @type {const} */ (["detail", "motion"]).map((hint) => ({
    text: `share.${hint}`,
    checked: media.screen.hint === hint,
    radio: true,
    action: () => media.screen.setHint(hint),
  }));
}

/**
 * @param {string} name of a button
 * @param {boolean} on
 */
function press(name, on) {
  element(`${name}-button`).setAttribute("aria-pressed", String(on));
}
