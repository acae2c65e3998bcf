// @ts-check
/** The call on the screen: tiles, bar, panels and invitation put together. What its buttons do, they do to the visit that is on. */

import { Chat } from "./chat.js";
import { Controls } from "./controls.js";
import { element, on, onPress, ROOT } from "./elements.js";
import { Info } from "./info.js";
import { Invitation } from "./invite.js";
import { keyAction } from "./keys.js";
import { Menus } from "./menus.js";
import { News, showCount } from "./news.js";
import { Panels } from "./panels.js";
import { People } from "./people.js";
import { recall, remember } from "./storage.js";
import { Tiles } from "./tiles.js";
import { WakeKeeper } from "./wake.js";

/**
 * @typedef {import("./call.js").Member} Member
 * @typedef {import("./call.js").RoomView} RoomView
 *
 * @typedef {() => import("./visit.js").Visit | null} Current the visit that is on
 */

/** Phases in which there are others. */
const TOGETHER = ["connecting", "connected"];

/** Draws one call after the other. */
export class Stage {
  texts;
  menus;
  tiles;
  #controls;
  #chat;
  #people;
  #info;
  #panels;
  #invitation;
  #news;
  #wake = new WakeKeeper();
  #keys = /** @type {HTMLInputElement} */ (element("keys-switch"));
  #phase = "";
  /** @type {RoomView | null} */
  #room = null;

  /**
   * @param {import("./texts.js").Texts} texts
   * @param {import("./sound.js").Sounds} sounds
   * @param {Current} visit
   */
  constructor(texts, sounds, visit) {
    this.texts = texts;
    this.menus = new Menus(texts);
    this.tiles = new Tiles(texts, visit, this.menus, () => (element("hear-button").hidden = false));
    this.#panels = new Panels((open) => this.#panelChanged(open));
    this.#controls = new Controls(texts, sounds, visit, this);
    this.#controls.mayRest = () => this.#phase === "connected" && !this.#panels.open && !this.menus.open;
    this.#invitation = new Invitation(texts, (key) => visit()?.announce(key));
    this.#people = new People(texts, visit, (button, id) => this.menus.attach(button, () => this.tiles.hostItems(id)));
    this.#news = new News(texts, () => this.panel("chat", true));
    const tell = (/** @type {string} */ name, /** @type {string} */ text) =>
      this.#panels.open !== "chat" && this.#news.add(name, text);
    this.#chat = new Chat(texts, visit, (id) => this.tiles.nameOf(id), tell);
    this.#info = new Info(texts, visit, (id) => this.tiles.nameOf(id));
    onPress("hear", () => {
      element("hear-button").hidden = true;
      this.tiles.play();
    });
    on("tiles", "click", () => matchMedia("(hover: none)").matches && this.#controls.tap());
    on("help", "click", ({ target }) => target === this.help && this.help.close()); // beside it
    this.#keys.checked = recall("keys") !== "off";
    on("keys-switch", "change", () => remember("keys", this.#keys.checked ? "" : "off"));
    this.#drops();
    document.addEventListener("keydown", (event) => visit()?.live && this.#key(event));
    // Names like "You" and "Guest" are no texts of elements, so a change of language shows everything again.
    new MutationObserver(() => this.#show()).observe(ROOT, { attributeFilter: ["lang"] });
    const notices = element("notices");
    const room = () => ROOT.style.setProperty("--notices", `${notices.offsetHeight}px`);
    new ResizeObserver(room).observe(notices);
    visualViewport?.addEventListener("resize", () => {
      const hidden = innerHeight - (visualViewport?.height ?? innerHeight) * (visualViewport?.scale ?? 1);
      element("stage").style.setProperty("--keyboard", `${Math.max(0, Math.round(hidden))}px`);
    });
  }

  /** @param {string} link @param {string} qrUrl */
  invite(link, qrUrl) {
    this.#invitation.show(link, qrUrl);
  }

  /** What belongs to this moment of the call. @param {import("./call.js").Phase} phase */
  phase(phase) {
    this.#phase = phase;
    this.#wake.keep(phase === "connected");
    this.#info.phase(phase);
    element("invitation").hidden = phase !== "waiting";
    if (phase !== "joining") {
      this.prompt(false);
    }
    if (phase !== "connected") {
      element("hear-button").hidden = true;
    }
    this.tiles.begin(phase === "connected");
    this.#reachable();
    this.#controls.stir();
  }

  /** Show our own devices as they are. @param {import("./media.js").LocalMedia} media */
  local(media) {
    this.#controls.local(media);
    this.tiles.local(media);
  }

  /** Whether our own devices can be switched. @param {boolean} able */
  switches(able) {
    for (const id of ["mute-button", "camera-button", "screen-button"]) {
      /** @type {HTMLButtonElement} */ (element(id)).disabled = !able;
    }
  }

  /** @param {boolean} open whether the browser's question about devices is waiting for an answer */
  prompt(open) {
    element("prompt").hidden = !open;
  }

  /** @param {RoomView} view */
  room(view) {
    this.#room = view;
    for (const member of view.members) {
      this.tiles.member(member);
    }
    this.#show();
  }

  /** @param {Member} member */
  member(member) {
    this.tiles.member(member);
    this.#show();
  }

  /** @param {string} id @param {import("./media.js").Slot} slot @param {MediaStreamTrack | null} track */
  track(id, slot, track) {
    this.tiles.track(id, slot, track);
  }

  /** @param {string} id */
  left(id) {
    this.tiles.left(id);
    this.#show();
  }

  /** @param {import("./chat.js").ChatMessage} message */
  chat(message) {
    this.#chat.message({ ...message, name: this.tiles.nameOf(message.from) });
  }

  /** @param {import("./chat.js").FileEvent} event */
  file(event) {
    this.#chat.file(event);
  }

  /** Nothing is left of the call before. */
  clear() {
    this.#room = null;
    this.#phase = "";
    this.#wake.keep(false);
    this.help.close();
    this.#controls.stir();
    this.menus.close(false);
    this.#panels.show(null);
    this.tiles.clear();
    this.#chat.clear();
    this.#info.clear();
    this.#show();
    this.#news.clear();
    element("hear-button").hidden = true;
  }

  /** Into full screen, or out of it. */
  toggleFullscreen() {
    if (document.fullscreenElement) {
      document.exitFullscreen().catch(() => {});
    } else {
      ROOT.requestFullscreen?.().catch(() => {});
    }
  }

  /** Open a panel, or close it unless it is to `stay`. @param {import("./panels.js").PanelName} name @param {boolean} [stay] */
  panel(name, stay = false) {
    stay ? this.#panels.show(name) : this.#panels.toggle(name);
  }

  /** The keys. @returns {HTMLDialogElement} */
  get help() {
    return element("help");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const action = this.help.open ? null : keyAction(event, this.#keys.checked);
    if (action === null || (action === "close" && !this.menus.open && !this.#panels.open)) {
      return;
    }
    event.preventDefault();
    if (action === "close") {
      this.menus.open ? this.menus.close() : this.#panels.show(null);
    } else if (action === "help") {
      this.help.showModal();
    } else if (action === "self") {
      this.tiles.toggleSelf();
    } else if (action === "info") {
      this.panel("info");
    } else if (!element(`${action}-button`).hidden) {
      element(`${action}-button`).click(); // which does nothing while it is disabled
    }
  }

  #show() {
    const view = this.#room;
    this.tiles.me(view?.me ?? null);
    if (view) {
      this.#people.show(view, this.tiles.people());
    }
    showCount("people-count", view?.members.length ? view.members.length + 1 : 0);
    this.#reachable();
  }

  #reachable() {
    const members = this.#room?.members ?? [];
    const pages = members.some(({ page }) => page);
    this.#chat.reachable(
      pages && TOGETHER.includes(this.#phase) ? "" : this.#room?.app ? "chat.app" : "chat.nobody",
    );
  }

  /** @param {import("./panels.js").PanelName | null} open */
  #panelChanged(open) {
    if (open === "chat") {
      this.#news.clear();
      this.#chat.shown();
    }
    this.#info.run(open === "info");
    this.tiles.move();
    this.#controls.stir();
  }

  /** Files dropped on the stage are offered. */
  #drops() {
    const over = (/** @type {boolean} */ on) => (element("drop").hidden = !on);
    on("stage", "dragover", (event) => {
      if (event.dataTransfer?.types.includes("Files")) {
        event.preventDefault();
        over(this.#chat.open);
      }
    });
    on("stage", "dragleave", (event) => event.relatedTarget === null && over(false));
    on("stage", "drop", (event) => {
      event.preventDefault();
      over(false);
      if (this.#chat.open && event.dataTransfer?.files.length) {
        this.#chat.offer(event.dataTransfer.files);
        this.panel("chat", true);
      }
    });
  }
}
