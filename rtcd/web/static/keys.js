// @ts-check
/** The keys of a call, as the overlay `#help` tells them. */

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
 * @param {boolean} [single] whether keys that write a character act too
 * @returns {KeyAction | null}
 */
export function keyAction(event, single = true) {
  const target = /** @type {Element | null} */ (event.target);
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if ((!single && key.length === 1) || event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) {
    return null;
  }
  if (key !== "Escape" && target?.matches?.(TYPING)) {
    return null;
  }
  return key === " " && target?.matches?.(PRESSED) ? null : (ACTIONS[key] ?? null);
}
