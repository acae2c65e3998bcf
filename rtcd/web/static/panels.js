// @ts-check
/** The panels beside the pictures (people, chat, connection): one at a time, each opened by a button of its own. */

import { element } from "./elements.js";

/** @typedef {"people" | "chat" | "info"} PanelName */

/** Opens and closes them; they are not modal, the call goes on beside them. */
export class Panels {
  /** @type {PanelName | null} */
  open = null;
  /** @type {HTMLElement | null} */
  #from = null;
  #onChange;

  /** @param {(open: PanelName | null) => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    for (const button of document.querySelectorAll("#stage .panel-close")) {
      button.addEventListener("click", () => this.show(null));
    }
  }

  /** @param {PanelName} name */
  toggle(name) {
    this.show(this.open === name ? null : name);
  }

  /** @param {PanelName | null} name */
  show(name) {
    const before = this.open;
    if (name === before) {
      return;
    }
    const inside = before !== null && element(before).contains(document.activeElement);
    const from = this.#from;
    this.open = name;
    for (const other of /** @type {PanelName[]} */ (["people", "chat", "info"])) {
      element(other).hidden = other !== name;
      document.getElementById(`${other}-button`)?.setAttribute("aria-expanded", String(other === name));
    }
    element("stage").classList.toggle("with-panel", name !== null);
    this.#onChange(name);
    if (name !== null) {
      this.#from = inside ? from : /** @type {HTMLElement | null} */ (document.activeElement);
      const first = matchMedia("(pointer: fine)").matches ? element(name).querySelector("[data-first]:enabled") : null;
      /** @type {HTMLElement | null} */ (first ?? element(name).querySelector("h2"))?.focus();
    } else if (inside) {
      const ways = [from, document.getElementById(`${before}-button`), element("more-button")];
      ways.find((way) => way?.isConnected && way.offsetParent !== null && way.matches("button, #stage *"))?.focus();
    }
  }
}
