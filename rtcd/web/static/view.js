// @ts-check
/**
 * The panels around a call (landing page, questions, farewells, errors), the notices, and which of them is to be seen.
 *
 * The call itself is drawn by stage.js. What buttons do is decided in app.js.
 */

import { isRoomName } from "./names.js";

/**
 * @typedef {"landing" | "confirm" | "joining" | "waiting" | "connected" | "left" | "full" | "error"} State
 *
 * It is kept in `document.documentElement.dataset.state`, for the stylesheet and for tests.
 */

const STAGE_STATES = ["joining", "waiting", "connected"];

/**
 * The element with this id, which the page has.
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
export function element(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/** Shows one state at a time. */
export class View {
  #texts;
  /** @type {State | "loading"} */
  state = "loading";

  /** @param {import("./texts.js").Texts} texts */
  constructor(texts) {
    this.#texts = texts;
    this.input.addEventListener("input", () => this.#checkName());
  }

  /** The field for the room name. @returns {HTMLInputElement} */
  get input() {
    return element("room-name");
  }

  /**
   * Show a state, and put the focus where it is wanted next.
   * @param {State} state
   */
  show(state) {
    const before = this.state;
    this.state = state;
    document.documentElement.dataset.state = state;
    const panel = STAGE_STATES.includes(state) ? "stage" : state;
    document.documentElement.classList.toggle("in-call", panel === "stage");
    for (const section of document.querySelectorAll("[data-panel]")) {
      /** @type {HTMLElement} */ (section).hidden = /** @type {HTMLElement} */ (section).dataset.panel !== panel;
    }
    if (state !== before && panel !== "stage") {
      this.#focus(element(panel), before === "loading");
    }
  }

  /**
   * Put a name into the field.
   * @param {string} name
   */
  suggest(name) {
    this.input.value = name;
    this.#checkName();
  }

  /**
   * @param {string[]} rooms
   * @param {(room: string) => string} href
   */
  recent(rooms, href) {
    element("recent").hidden = rooms.length === 0;
    element("recent-rooms").replaceChildren(
      ...rooms.map((room) => {
        const link = document.createElement("a");
        link.href = href(room);
        link.dataset.room = room;
        link.textContent = room;
        const item = document.createElement("li");
        item.append(link);
        return item;
      }),
    );
  }

  /**
   * @param {string} room
   * @param {boolean} named whether the name is worth reading
   */
  confirm(room, named) {
    this.#texts.show(element("confirm-title"), named ? "confirm.title" : "confirm.title.plain", { room });
    this.show("confirm");
  }

  /** @param {string} room */
  left(room) {
    this.#texts.show(element("left-room"), "left.room", { room });
    this.show("left");
  }

  /**
   * Say why there is no call. `document.documentElement.dataset.error` holds the kind.
   * @param {string} kind one of the `error.{kind}.title` texts
   * @param {string} detail shown small; may be empty
   * @param {string | null} [link] where it would work
   */
  error(kind, detail, link = null) {
    document.documentElement.dataset.error = kind;
    this.#texts.show(element("error-title"), `error.${kind}.title`);
    this.#texts.show(element("error-text"), `error.${kind}.text`);
    element("error-detail").textContent = link ?? detail;
    const insecure = kind === "insecure";
    const anchor = /** @type {HTMLAnchorElement} */ (element("error-link"));
    anchor.hidden = link === null;
    anchor.href = link ?? "";
    element("error-continue-button").hidden = !insecure;
    const hopeless = insecure || ["webrtc", "name", "address"].includes(kind);
    element("error-retry-button").hidden = hopeless;
    element("error-new-room-button").classList.toggle("primary", hopeless);
    element("error-new-room-button").hidden = insecure || kind === "webrtc";
    this.show("error");
  }

  /**
   * Show what the room is called at the top, or nothing.
   * @param {string | null} room
   */
  title(room) {
    const title = element("room-title");
    title.hidden = room === null;
    title.textContent = room ?? "";
    document.title = room === null ? "rtcd" : `${room} · rtcd`;
  }

  /**
   * The one line that says how the call stands; it is read out.
   * @param {string} key
   */
  status(key) {
    const status = element("status");
    if (status.dataset.text !== key) {
      this.#texts.show(status, key);
    }
  }

  /**
   * Show a notice until it is dismissed or withdrawn; the same id replaces itself.
   * @param {string} id
   * @param {"error" | "warning" | "plain"} gravity
   * @param {{key?: string, text?: string, values?: Record<string, string>}} what a text of ours, or the server's own words
   */
  notice(id, gravity, { key, text, values }) {
    this.withdraw(id);
    const notice = document.createElement("div");
    notice.className = `notice ${gravity}`;
    notice.dataset.notice = id;
    notice.setAttribute("role", gravity === "error" ? "alert" : "status");
    const words = document.createElement("p");
    if (key) {
      this.#texts.show(words, key, values);
    } else {
      words.textContent = text ?? "";
    }
    const dismiss = document.createElement("button");
    dismiss.type = "button";
    dismiss.className = "quiet dismiss";
    dismiss.dataset.label = "notice.dismiss";
    dismiss.append(icon("close"));
    dismiss.addEventListener("click", () => notice.remove());
    notice.append(words, dismiss);
    element("notices").append(notice);
    this.#texts.apply(notice);
  }

  /** @param {string} id */
  withdraw(id) {
    document.querySelector(`[data-notice="${id}"]`)?.remove();
  }

  /**
   * Put the focus where a keyboard goes on: into the panel's field or main button, on a touch screen (where a field would call up
   * its keyboard) on the heading. A page just loaded leaves it alone, except for the field to type in and the button to join with.
   * @param {HTMLElement} panel
   * @param {boolean} loading
   */
  #focus(panel, loading) {
    const mouse = matchMedia("(pointer: fine)").matches;
    const selector = !mouse ? "h1" : loading ? "input, #confirm-button" : ":is(input, .primary):not([hidden])";
    const target = loading && !mouse ? null : /** @type {HTMLElement | null} */ (panel.querySelector(selector));
    if (target?.matches("h1")) {
      target.tabIndex = -1;
    }
    target?.focus();
  }

  #checkName() {
    const good = isRoomName(this.input.value);
    /** @type {HTMLButtonElement} */ (element("join-button")).disabled = !good;
    this.input.setAttribute("aria-invalid", String(!good));
  }
}

/** @param {string} name */
function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("class", "icon");
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}
