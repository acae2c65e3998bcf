// @ts-check
/** Messages and files between the people in the room. What they write is shown as text, whatever it looks like. */

import { copyOf, element, iconButton, make, on, onPress, onSubmit } from "./elements.js";
import { MAX_FILE_BYTES } from "./files.js";

/**
 * @typedef {{from: string, name: string, text: string, at: number}} ChatMessage `at` in milliseconds
 * @typedef {import("./files.js").FileEvent & {from: string}} FileEvent
 */

/** More than this is forgotten, the oldest first. */
export const MAX_ENTRIES = 500;
/** Messages of one person within this time stand together under one name. */
const TOGETHER_MS = 120_000;
/** Who spoke last, when nobody did. */
const NOBODY = { from: "", at: 0 };
const LINK = /https?:\/\/[^\s<>"'\u3000-\u303f\uff00-\uff60]+/gi;
const UNITS = ["B", "kB", "MB", "GB"];

/**
 * A text in pieces, with its web addresses apart; the stop at the end of a sentence is no part of an address.
 * @param {string} text
 * @returns {{text: string, link: boolean}[]}
 */
export function pieces(text) {
  const found = [];
  let done = 0;
  for (const match of text.matchAll(LINK)) {
    const closing = match[0].includes("(") ? /[.,;:!?\]}*_]+$/ : /[.,;:!?)\]}*_]+$/;
    const address = match[0].replace(closing, "");
    if (URL.canParse?.(address) ?? true) {
      found.push({ text: text.slice(done, match.index), link: false }, { text: address, link: true });
      done = match.index + address.length;
    }
  }
  return [...found, { text: text.slice(done), link: false }].filter((piece) => piece.text !== "");
}

/**
 * @param {number} bytes
 * @param {string} [language]
 */
export function sizeText(bytes, language) {
  const unit = Math.min(UNITS.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const digits = { maximumFractionDigits: unit > 1 ? 1 : 0 };
  return `${(bytes / 1000 ** unit).toLocaleString(language, digits)} ${UNITS[unit]}`;
}

/** The chat's panel. */
export class Chat {
  #texts;
  #visit;
  #nameOf;
  #onNew;
  #log = element("chat-log");
  #field = /** @type {HTMLTextAreaElement} */ (element("chat-text"));
  /** @type {Map<string, ReturnType<typeof copyOf> & {url: string, status: string}>} */
  #files = new Map();
  /** @type {{from: string, at: number}} */
  #last = NOBODY;
  /** Whether anybody is there who can read. */
  open = false;
  /** @type {string | null} the text that says why not, as it was shown last */
  #why = null;

  /**
   * @param {import("./texts.js").Texts} texts
   * @param {import("./stage.js").Current} visit
   * @param {(id: string) => string} nameOf a member, for files
   * @param {(name: string, text: string) => void} onNew something came from somebody else
   */
  constructor(texts, visit, nameOf, onNew) {
    this.#texts = texts;
    this.#visit = visit;
    this.#nameOf = nameOf;
    this.#onNew = onNew;
    const chooser = /** @type {HTMLInputElement} */ (element("chat-file"));
    onSubmit("chat-form", () => this.#say());
    on("chat-text", "keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.#say();
      }
    });
    on("chat-text", "paste", (event) => this.offer(event.clipboardData?.files));
    onPress("chat-file", () => chooser.click());
    on("chat-file", "change", () => {
      this.offer(chooser.files);
      chooser.value = "";
    });
  }

  /**
   * Offer files to everybody.
   * @param {FileList | null | undefined} files
   */
  offer(files) {
    for (const file of files ?? []) {
      const large = file.size > MAX_FILE_BYTES;
      if (large || !this.#visit()?.call?.sendFile(file)) {
        const size = sizeText(MAX_FILE_BYTES, this.#texts.language);
        this.#visit()?.warn(large ? "file.large" : "file.unsent", { name: file.name, size });
      }
    }
  }

  /**
   * Whether anybody is there who can read: a phone app cannot, and nobody cannot.
   * @param {string} key of a text that says why not; empty: somebody is
   */
  reachable(key) {
    if (key === this.#why) {
      return; // what was not delivered stays to be read
    }
    this.#why = key;
    this.open = key === "";
    element("chat-nobody").hidden = this.open;
    this.#texts.show(element("chat-nobody"), key);
    for (const id of ["chat-text", "chat-send-button", "chat-file-button"]) {
      /** @type {HTMLButtonElement} */ (element(id)).disabled = !this.open;
    }
  }

  /**
   * @param {ChatMessage} message
   * @param {boolean} [own]
   */
  message({ from, name, text, at }, own = false) {
    const words = make("p", { class: "bubble" });
    for (const piece of pieces(text)) {
      words.append(
        piece.link ? make("a", { href: piece.text, target: "_blank", rel: "noopener noreferrer" }, piece.text) : piece.text,
      );
    }
    const entry = make("div", { class: `entry${own ? " own" : ""}` }, this.#heading(from, name, at, own), words);
    this.#add(entry);
    if (!own) {
      this.#onNew(name, text);
    }
  }

  /** @param {FileEvent} event */
  file(event) {
    const { from, id, name, size, direction, status } = event;
    const key = `${direction}:${from}:${id}`;
    const known = this.#files.get(key);
    const file = known ?? { ...copyOf("file-template"), url: "", status: "" };
    const { copy: entry, part } = file;
    if (!known) {
      const who = this.#nameOf(from);
      this.#texts.show(part(".hint"), direction === "out" ? "file.to" : "file.from", { name: who });
      entry.classList.toggle("own", direction === "out");
      part("span").textContent = name;
      part("small").textContent = sizeText(size, this.#texts.language);
      this.#files.set(key, file);
      this.#add(entry, key);
      if (direction === "in") {
        this.#onNew(who, name);
      }
    }
    const progress = part("progress");
    if (status === "running" && progress) {
      progress.value = event.bytes;
      return;
    }
    if (status !== file.status) {
      file.status = status;
      part(".file-state").replaceChildren(...this.#fileState(event, file));
      this.#texts.apply(entry);
      this.#last = NOBODY;
    }
  }

  /** The panel was opened: the newest is what is wanted. */
  shown() {
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** Another call: nothing of the one before is kept. */
  clear() {
    this.#cut(0);
    this.#last = NOBODY;
    this.#why = null;
    this.#field.value = "";
  }

  /**
   * @param {FileEvent} event
   * @param {{url: string}} file
   * @returns {Node[]}
   */
  #fileState({ from, id, name, size, direction, status, bytes, blob }, file) {
    const call = this.#visit()?.call;
    const files = call?.members.get(from)?.files;
    const stop = () => files?.stop(id);
    const words = make("span", { "data-text": `file.${status}.${direction}` });
    const act = (/** @type {string} */ key, /** @type {() => void} */ action, primary = false) =>
      make("button", { class: `small${primary ? " primary" : ""}`, "data-text": key, onclick: action });
    if (status === "offered") {
      return direction === "in"
        ? [act("file.take", () => files?.take(id), true), act("file.refuse", () => files?.refuse(id))]
        : [words, act("file.stop", stop)];
    }
    if (status === "running") {
      const bar = make("progress", { max: size || 1, "aria-label": name });
      bar.value = bytes;
      return [bar, iconButton("close", "file.stop", stop)];
    }
    if (status === "done" && blob) {
      file.url = URL.createObjectURL(blob);
      return [make("a", { class: "button small primary", href: file.url, download: name, "data-text": "file.save" })];
    }
    return [words];
  }

  #say() {
    const text = this.#field.value.trim();
    if (text !== "") {
      const { reached = 0, missed = [] } = this.#visit()?.call?.say(text) ?? {};
      const hint = element("chat-nobody");
      hint.hidden = reached > 0 && missed.length === 0;
      const names = missed.map(({ id }) => this.#nameOf(id)).join(", ");
      this.#texts.show(hint, reached ? "chat.missed" : "chat.failed", { names });
      if (reached) {
        this.message({ from: "me", name: "", text, at: Date.now() }, true);
        this.#field.value = "";
      }
    }
  }

  /**
   * Name and time, unless they stand just above.
   * @param {string} from
   * @param {string} name
   * @param {number} at
   * @param {boolean} own
   */
  #heading(from, name, at, own) {
    const together = this.#last.from === from && at - this.#last.at < TOGETHER_MS;
    this.#last = { from, at };
    const time = new Date(at).toLocaleTimeString(this.#texts.language, { hour: "2-digit", minute: "2-digit" });
    return together ? null : make("p", { class: "hint" }, own ? time : `${name} · ${time}`);
  }

  /**
   * @param {HTMLElement} entry
   * @param {string} [key] of a file
   */
  #add(entry, key) {
    const log = this.#log;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    if (key) {
      entry.dataset.file = key;
    }
    log.append(entry);
    this.#cut(MAX_ENTRIES);
    if (atEnd || entry.classList.contains("own")) {
      this.shown();
    }
  }

  /** Forget the oldest. @param {number} most that may stay */
  #cut(most) {
    while (this.#log.childElementCount > most) {
      const oldest = /** @type {HTMLElement} */ (this.#log.firstElementChild);
      const key = oldest.dataset.file ?? "";
      URL.revokeObjectURL(this.#files.get(key)?.url ?? "");
      this.#files.delete(key);
      oldest.remove();
    }
  }
}
