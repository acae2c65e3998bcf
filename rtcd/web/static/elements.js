// @ts-check
/** Finds the elements that the page has, and makes those that it has not. Text from others only ever becomes text. */

/** Of the page; there is none where there is no document. */
export const ROOT = globalThis.document?.documentElement;
const CJK = /^[\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af]/;

/**
 * The element with this id, which the page has.
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
export function element(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/**
 * Listen to the element with this id.
 * @param {string} id
 * @param {string} event
 * @param {(event: any) => unknown} action
 */
export function on(id, event, action) {
  element(id).addEventListener(event, action);
}

/**
 * Listen to a button.
 * @param {string} id without `-button`
 * @param {(event: any) => unknown} action
 */
export function onPress(id, action) {
  on(`${id}-button`, "click", action);
}

/**
 * The submission of a form, which is ours to act on.
 * @param {string} id
 * @param {() => unknown} action
 */
export function onSubmit(id, action) {
  on(id, "submit", (event) => {
    event.preventDefault();
    action();
  });
}

/**
 * A picture of the sprite; for the eye only.
 * @param {string} name without `icon-`
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/**
 * @param {string} name of a tag
 * @param {Record<string, any>} [attributes] a function listens (`onclick`), true is an empty attribute, false none
 * @param {...(Node | string | null)} children
 * @returns {any} an element of that kind
 */
export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  if (name === "button") {
    made.setAttribute("type", "button");
  }
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      made.addEventListener(key.slice(2), value);
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(key, value === true ? "" : String(value));
    }
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/**
 * A copy of what a template of the page holds, and a way to its parts.
 * @param {string} id
 * @returns {{copy: HTMLElement, part: (selector: string) => any}}
 */
export function copyOf(id) {
  const copy = /** @type {any} */ (element(id)).content.firstElementChild.cloneNode(true);
  return { copy, part: (selector) => copy.querySelector(selector) };
}

/**
 * A button that is an icon alone; its name is a text of ours.
 * @param {string} picture
 * @param {string} label key of the text
 * @param {() => void} action
 */
export function iconButton(picture, label, action) {
  return make("button", { class: "quiet icon-button", "data-label": label, onclick: action }, icon(picture));
}

/**
 * One or two letters: of a Chinese name the last two characters, else the first ones of the first and the last word.
 * @param {string} name
 */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  if (CJK.test(words[0] ?? "")) {
    return Array.from(words[0]).slice(-2).join("");
  }
  const ends = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return ends
    .map((word) => Array.from(word)[0])
    .join("")
    .toUpperCase();
}

/**
 * A colour of one's own, as an angle: anything that names somebody gives the same each time.
 * @param {string} id
 */
export function hue(id) {
  let sum = 7;
  for (const letter of id) {
    sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 360;
  }
  return sum;
}

/**
 * A round picture with initials.
 * @param {string} id
 * @param {string} name
 */
export function avatar(id, name) {
  const made = make("span", { class: "avatar tinted", "aria-hidden": "true" }, initials(name) || icon("person"));
  made.style.setProperty("--hue", String(hue(id)));
  return made;
}
