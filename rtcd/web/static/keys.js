// @ts-check
/** The keys of a call, and the overlay that tells them. */

import { make } from "./elements.js";

/**
 * @typedef {"mute" | "camera" | "fullscreen" | "info" | "hangup" | "self" | "screen" | "people" | "chat" | "help"
 *   | "close"} KeyAction
 */

/** @type {Record<string, KeyAction>} */
const ACTIONS = {
  " ": "mute",
  m: "mute",
  c: "camera",
  s: "screen",
  t: "chat",
  p: "people",
  l: "self",
  f: "fullscreen",
  i: "info",
  q: "hangup",
  "?": "help",
  Escape: "close",
};
/** Fields in which letters are letters. */
const TYPING = "input:not([readonly], [type=checkbox]), textarea, select, [contenteditable]";
/** What space itself presses. */
const PRESSED = "button, a, summary, input, [role^=menuitem]";

/**
 * What a key pressed in a call means.
 * @param {KeyboardEvent} event
 * @returns {KeyAction | null}
 */
export function keyAction(event) {
  const target = /** @type {Element | null} */ (event.target);
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) {
    return null;
  }
  if (key !== "Escape" && target?.matches?.(TYPING)) {
    return null;
  }
  return key === " " && target?.matches?.(PRESSED) ? null : (ACTIONS[key] ?? null);
}

/**
 * The list of keys for the overlay.
 * @param {import("./texts.js").Texts} texts
 * @returns {HTMLElement}
 */
export function keyList(texts) {
  const list = make("dl", { class: "keys" });
  const rows = Object.entries(ACTIONS).filter(([key]) => key !== " ");
  for (const [key, action] of rows) {
    const caps = [key === "Escape" ? "Esc" : key.toUpperCase()].map((cap) => make("kbd", {}, cap));
    if (action === "mute") {
      caps.push(make("kbd", { "data-text": "help.space" }));
    }
    list.append(make("div", {}, make("dt", {}, ...caps), make("dd", { "data-text": `help.${action}` })));
  }
  list.append(
    make(
      "div",
      {},
      make("dt", {}, ...["←", "↑", "↓", "→"].map((cap) => make("kbd", {}, cap))),
      make("dd", { "data-text": "help.corner" }),
    ),
  );
  texts.apply(list);
  return list;
}
