// @ts-check
/**
 * Room names: the rule that they keep, names made up by us, and the list of rooms used recently in this browser. And what we are
 * called ourselves.
 *
 * Nothing here knows the page or the server.
 */

import { recall, remember } from "./storage.js";

/** @typedef {import("./storage.js").Store} Store */

const RULE = /^[A-Za-z0-9_-]{5,}$/;
const CONSONANTS = "bdglmnprstvz";
const VOWELS = "aeiou";
const RECENT = "recentRooms";
const OWN_KEY = "name";
/** How many rooms are remembered. */
export const MAX_RECENT = 10;
/** Under which `sessionStorage` holds the seat of this tab. @param {string} room */
export const seatKey = (room) => `rtcd.was:${room}`;
/** Longest name of a person, in characters. */
export const MAX_OWN = 40;

/**
 * Whether a room of this name may be joined from the page.
 * @param {string} name
 * @returns {boolean}
 */
export function isRoomName(name) {
  return RULE.test(name);
}

/**
 * Whether the server lets a room of this name be: links may be shorter than what the page asks for.
 * @param {string} name
 * @returns {boolean}
 */
export function isPossibleName(name) {
  return /^[A-Za-z0-9_-]{1,1024}$/.test(name);
}

/**
 * Whether a name is one of the nine-digit kind, which nobody wants to read.
 * @param {string} name
 * @returns {boolean}
 */
export function isNumberName(name) {
  return /^[0-9]{9}$/.test(name);
}

/**
 * A new name that can be read aloud and is hard to guess (45 random bits), like `mira_tobu_selo_417`.
 *
 * It has no hyphen: the iPhone app of AppRTC does not take one.
 * @param {(limit: number) => number} [below] returns a random whole number from 0 to limit - 1
 * @returns {string}
 */
export function randomRoomName(below = randomBelow) {
  const syllable = () => CONSONANTS[below(CONSONANTS.length)] + VOWELS[below(VOWELS.length)];
  const word = () => syllable() + syllable();
  return [word(), word(), word(), String(below(1000)).padStart(3, "0")].join("_");
}

/** Eight hex digits. */
export function randomHex() {
  return randomBelow(2 ** 32).toString(16).padStart(8, "0");
}

/** @param {number} limit */
function randomBelow(limit) {
  const fair = Math.floor(2 ** 32 / limit) * limit;
  const word = new Uint32Array(1);
  do {
    crypto.getRandomValues(word);
  } while (word[0] >= fair);
  return word[0] % limit;
}

/** The rooms used last, newest first. */
export class RecentRooms {
  #store;

  /** @param {Store} [store] */
  constructor(store) {
    this.#store = store;
  }

  /** @returns {string[]} */
  list() {
    try {
      const names = JSON.parse(recall(RECENT, this.#store) || "[]");
      return names.filter((/** @type {unknown} */ name) => typeof name === "string" && isRoomName(name)).slice(0, MAX_RECENT);
    } catch {
      return []; // somebody else wrote there
    }
  }

  /**
   * Put a room on top of the list.
   * @param {string} name
   */
  add(name) {
    const names = [name, ...this.list().filter((other) => other !== name)].slice(0, MAX_RECENT);
    remember(RECENT, JSON.stringify(names), this.#store);
  }

  /** Forget all of them. */
  clear() {
    remember(RECENT, "", this.#store);
  }
}

/**
 * What we were called last, or nothing.
 * @param {Store} [store]
 */
export function ownName(store) {
  return recall(OWN_KEY, store).slice(0, MAX_OWN);
}

/**
 * The name in the invitation that a link carries, or nothing. It is a proposal; only the server can tell what the invitation is
 * worth.
 * @param {string} query of the link
 */
export function invitedName(query) {
  const [, label = ""] = (new URLSearchParams(query).get("invitation") ?? "").split(".");
  try {
    const bytes = Uint8Array.from(atob(label.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
    return new TextDecoder().decode(bytes).slice(0, MAX_OWN);
  } catch {
    return "";
  }
}

/**
 * @param {string} name
 * @param {Store} [store]
 */
export function rememberOwnName(name, store) {
  remember(OWN_KEY, name.slice(0, MAX_OWN), store);
}
