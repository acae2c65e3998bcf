// @ts-check
/** The link to the room: shown, copied, shared; on the waiting screen and among the people. */

import { element, on } from "./elements.js";

const COPIED_MS = 2_500;

/** Keeps every place up to date that shows the link. */
export class Invitation {
  #texts;
  #link = "";
  #copied = 0;

  /**
   * @param {import("./texts.js").Texts} texts
   * @param {(key: string) => void} announce
   */
  constructor(texts, announce) {
    this.#texts = texts;
    for (const [button, field] of [
      ["copy-button", "room-link"],
      ["people-copy-button", "people-link"],
    ]) {
      on(button, "click", () => this.#copy(element(button), element(field), announce));
      on(field, "focus", ({ target }) => target.select());
    }
    for (const id of ["share-button", "people-share-button"]) {
      element(id).hidden = typeof navigator.share !== "function";
      on(id, "click", () => this.#share());
    }
    on("qr", "load", ({ target }) => (target.hidden = false));
  }

  /**
   * @param {string} link
   * @param {string} qrUrl
   */
  show(link, qrUrl) {
    this.#link = link;
    for (const id of ["room-link", "people-link"]) {
      /** @type {HTMLInputElement} */ (element(id)).value = link;
    }
    const qr = /** @type {HTMLImageElement} */ (element("qr"));
    qr.hidden = true;
    qr.src = qrUrl;
  }

  /**
   * @param {HTMLElement} button
   * @param {HTMLInputElement} field
   * @param {(key: string) => void} announce
   */
  async #copy(button, field, announce) {
    const words = /** @type {HTMLElement} */ (button.querySelector("span"));
    try {
      await navigator.clipboard.writeText(this.#link);
    } catch {
      field.select();
      announce("invite.copyFailed"); // no clipboard without https, or not allowed
      return;
    }
    this.#texts.show(words, "invite.copied");
    announce("invite.copied");
    clearTimeout(this.#copied);
    this.#copied = window.setTimeout(() => this.#texts.show(words, "invite.copy"), COPIED_MS);
  }

  async #share() {
    try {
      await navigator.share({ title: this.#texts.get("invite.shareTitle"), url: this.#link });
    } catch {
      // The sheet was closed.
    }
  }
}
