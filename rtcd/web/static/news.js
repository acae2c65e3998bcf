// @ts-check
/** What came into the chat while it was closed: counted on its button, and shown for a moment. */

import { element, on } from "./elements.js";

const TOAST_MS = 6_000;
const MAX_SHOWN = 120;

/** Counts until the chat is opened. */
export class News {
  #texts;
  #count = 0;
  #timer = 0;

  /**
   * @param {import("./texts.js").Texts} texts
   * @param {() => void} open the chat
   */
  constructor(texts, open) {
    this.#texts = texts;
    on("toast", "click", open);
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  add(name, text) {
    this.#count += 1;
    showCount("chat-count", this.#count);
    const toast = element("toast");
    toast.hidden = false;
    this.#texts.show(toast, "chat.new", { name, text: text.slice(0, MAX_SHOWN) });
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => (toast.hidden = true), TOAST_MS);
  }

  /** All of it was read. */
  clear() {
    this.#count = 0;
    showCount("chat-count", 0);
    clearTimeout(this.#timer);
    element("toast").hidden = true;
  }
}

/**
 * A number on a button, or none.
 * @param {string} id
 * @param {number} count
 */
export function showCount(id, count) {
  const mark = element(id);
  mark.hidden = count === 0;
  mark.dataset.count = count > 99 ? "99+" : String(count); // drawn by the stylesheet: the button's name stays what it is
  mark.parentElement?.setAttribute("aria-description", count === 0 ? "" : mark.dataset.count);
}
