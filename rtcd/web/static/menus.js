// @ts-check
/** Menus that open from a button: arrow keys, Home, End, first letters, Escape; the focus goes back where it came from. */

import { icon, make } from "./elements.js";

/**
 * @typedef {object} MenuItem
 * @property {string} [text] key of a text
 * @property {Record<string, string>} [values]
 * @property {string} [words] instead of a text of ours: the name of a device
 * @property {string} [icon]
 * @property {boolean} [checked] makes it one that can be on or off
 * @property {boolean} [radio] one of several, of which one is on
 * @property {boolean} [danger]
 * @property {() => MenuItem[] | Promise<MenuItem[]>} [items] opens these in its place
 * @property {() => void} [action]
 * @property {boolean} [line] a line above it
 */

const MARGIN = 8;

/** One menu at a time. */
export class Menus {
  #texts;
  /** @type {HTMLElement | null} */
  #menu = null;
  /** @type {HTMLElement | null} */
  #button = null;

  /** @param {import("./texts.js").Texts} texts */
  constructor(texts) {
    this.#texts = texts;
    document.addEventListener("pointerdown", (event) => {
      const at = /** @type {Node} */ (event.target);
      if (this.#menu && !this.#menu.contains(at) && !this.#button?.contains(at)) {
        this.close(false);
      }
    });
    addEventListener("resize", () => this.#place());
  }

  get open() {
    return this.#menu !== null;
  }

  /**
   * Let a button open a menu.
   * @param {HTMLElement} button
   * @param {() => MenuItem[]} items asked each time
   */
  attach(button, items) {
    button.setAttribute("aria-haspopup", "menu");
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => (this.#button === button ? this.close() : this.#show(button, items())));
    button.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        this.#show(button, items(), event.key === "ArrowUp" ? -1 : 0);
      }
    });
  }

  /** @param {boolean} [back] whether the focus returns to the button */
  close(back = true) {
    const button = this.#button;
    this.#menu?.remove();
    this.#menu = this.#button = null;
    button?.setAttribute("aria-expanded", "false");
    if (back && button?.isConnected) {
      button.focus();
    }
  }

  /**
   * @param {HTMLElement} button
   * @param {MenuItem[]} items
   * @param {number} [at] index of the item to focus
   */
  #show(button, items, at = 0) {
    this.close(false);
    if (items.length === 0) {
      return;
    }
    this.#button = button;
    button.setAttribute("aria-expanded", "true");
    const menu = make("div", {
      class: "menu",
      role: "menu",
      popover: "manual",
      "aria-label": button.getAttribute("aria-label") ?? button.textContent,
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      onfocusout: (/** @type {any} */ { relatedTarget: to }) => to && to !== button && !menu.contains(to) && this.close(false),
    });
    button.after(menu);
    this.#menu = menu;
    this.#fill(items, null);
    menu.showPopover?.(); // above everything, a tile in full screen too
    this.#place();
    this.#buttons().at(at)?.focus();
  }

  /**
   * @param {MenuItem[]} items
   * @param {MenuItem[] | null} before the items to go back to
   */
  #fill(items, before) {
    const back = { text: "menu.back", icon: "back", items: () => before ?? [] };
    this.#menu?.replaceChildren(
      ...[...(before ? [back] : []), ...items].flatMap((/** @type {MenuItem} */ item) => {
        const { text, values, words, checked, danger, line, icon: picture } = item;
        const name = make("span", { class: "words" }, words ?? "");
        if (text) {
          this.#texts.show(name, text, values);
        }
        const deeper = item.items && item !== back;
        const button = make(
          "button",
          {
            role: checked === undefined ? "menuitem" : item.radio ? "menuitemradio" : "menuitemcheckbox",
            tabindex: -1,
            class: danger && "danger",
            "aria-checked": checked === undefined ? null : String(checked),
            "aria-haspopup": deeper && "menu",
            onclick: () => this.#choose(item, item === back ? null : (before ?? items)),
          },
          picture ? icon(picture) : null,
          name,
          checked ? icon("check") : null,
          deeper ? icon("next") : null,
        );
        return line ? [make("hr", { role: "separator" }), button] : [button];
      }),
    );
  }

  /**
   * @param {MenuItem} item
   * @param {MenuItem[] | null} before
   */
  async #choose(item, before) {
    if (item.items) {
      const menu = this.#menu;
      const items = await item.items();
      if (menu === this.#menu) {
        this.#fill(items, before);
        this.#place();
        this.#buttons()[0]?.focus();
      }
    } else {
      this.close();
      item.action?.();
    }
  }

  /** @returns {HTMLElement[]} */
  #buttons() {
    return [...(this.#menu?.querySelectorAll("button") ?? [])];
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const buttons = this.#buttons();
    const at = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const letter =
      event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey ? event.key.toLowerCase() : null;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") {
      this.close();
      if (event.key === "Tab") {
        return; // goes on from the button
      }
    } else if (to !== undefined) {
      buttons.at(to % buttons.length)?.focus();
    } else if (letter) {
      const next = [...buttons.slice(at + 1), ...buttons].find((button) =>
        button.textContent?.trim().toLowerCase().startsWith(letter),
      );
      next?.focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  /** Above the button or below it, where there is more room, and inside the window. */
  #place() {
    const menu = this.#menu;
    const from = this.#button?.getBoundingClientRect();
    if (!menu || !from) {
      return;
    }
    const below = innerHeight - from.bottom;
    const up = from.top > below;
    menu.style.maxHeight = `${Math.max(from.top, below) - 2 * MARGIN}px`;
    const { width, height } = menu.getBoundingClientRect();
    const left = from.left + from.width / 2 < innerWidth / 2 ? from.left : from.right - width;
    menu.style.left = `${Math.max(MARGIN, Math.min(left, innerWidth - width - MARGIN))}px`;
    menu.style.top = `${up ? from.top - height - MARGIN : from.bottom + MARGIN}px`;
  }
}
