// @ts-check
/** The notices over the page: what went wrong or should be known, until it is dismissed, withdrawn or has had its time. */

import { element, iconButton, make } from "./elements.js";
import { explain } from "./problems.js";

/** No more than these at a time: the oldest go, so that a page with many troubles stays usable. */
export const MAX_NOTICES = 5;

/**
 * @typedef {object} Words
 * @property {string} [key] a text of ours
 * @property {string} [more] a second one
 * @property {string} [text] or somebody else's own words
 * @property {Record<string, string>} [values]
 */

/** Shows notices; the same id replaces itself. */
export class Notices {
  #texts;
  #box = element("notices");

  /** @param {import("./texts.js").Texts} texts */
  constructor(texts) {
    this.#texts = texts;
  }

  /**
   * @param {string} id
   * @param {"error" | "warning" | "plain"} gravity
   * @param {Words} words
   * @param {number} [seconds] after which it goes by itself
   */
  show(id, gravity, { key, more, text, values }, seconds) {
    this.withdraw(id);
    const words = make("p", {}, key ? "" : (text ?? ""));
    for (const one of [key, more]) {
      if (one) {
        const part = make("span");
        this.#texts.show(part, one, values);
        words.append(part, " ");
      }
    }
    const notice = make(
      "div",
      { class: `notice ${gravity}`, role: gravity === "error" ? "alert" : "status", "data-notice": id },
      words,
      iconButton("close", "notice.dismiss", () => notice.remove()),
    );
    this.#box.append(notice);
    this.#texts.apply(notice);
    while (this.#box.children.length > MAX_NOTICES) {
      this.#box.firstElementChild?.remove();
    }
    if (seconds) {
      setTimeout(() => notice.remove(), seconds * 1000);
    }
  }

  /**
   * Explain the devices that could not be had, and those alone.
   * @param {import("./media.js").Problem[]} problems
   */
  problems(problems) {
    this.withdraw("device-both", "device-audio", "device-video");
    for (const problem of problems) {
      const { what, how, values, which } = explain(problem, navigator.userAgent);
      this.show(`device-${which}`, "error", { key: what, more: how, values });
    }
  }

  /** @param {...string} ids */
  withdraw(...ids) {
    for (const id of ids) {
      this.#box.querySelector(`[data-notice="${id}"]`)?.remove();
    }
  }
}
