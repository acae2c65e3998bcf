// @ts-check
/**
 * The panels around a call (landing page, farewell, refusals, errors), title and status, and which of them is to be seen.
 *
 * The green room is drawn by green.js, the call by stage.js. What buttons do is decided in app.js.
 */

import { element, icon, make, on, ROOT } from "./elements.js";
import { isRoomName } from "./names.js";

/**
 * @typedef {"landing" | "green" | "joining" | "waiting" | "connected" | "left" | "refused" | "error"} State
 *
 * It is kept in `document.documentElement.dataset.state`, for the stylesheet (which shows the panel) and for tests.
 */

const STAGE_STATES = ["joining", "waiting", "connected"];
/** Kinds of error after which trying again is of no use. */
const HOPELESS = ["insecure", "webrtc", "name", "address"];
/** Why one may not come in, and its symbol. */
const REFUSALS = /** @type {Record<string, string>} */ ({
  full: "people", app: "phone", locked: "lock", invitation: "lock", expired: "lock", kicked: "door", elsewhere: "window",
});

/**
 * A length of time as on a clock: `4:07`, `1:02:03`.
 * @param {number} seconds
 * @returns {string}
 */
export function clockTime(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}

/** Shows one state at a time. */
export class View {
  #texts;
  #room = "";
  #loading = true;

  /** @param {import("./texts.js").Texts} texts */
  constructor(texts) {
    this.#texts = texts;
    on("room-name", "input", () => this.#checkName());
    document.addEventListener("visibilitychange", () => document.hidden || this.title(this.#room));
  }

  /** @returns {State} */
  get state() {
    return /** @type {State} */ (ROOT.dataset.state);
  }

  /** Whether a call is to be seen. */
  get inCall() {
    return STAGE_STATES.includes(this.state);
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
    ROOT.dataset.state = state;
    ROOT.classList.toggle("in-call", this.inCall);
    if (this.inCall ? !STAGE_STATES.includes(before) : state !== before || this.#loading) {
      scrollTo(0, 0);
      this.#focus(state);
    }
    this.#loading = false;
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
      ...rooms.map((room) => make("li", {}, make("a", { href: href(room), "data-room": room }, room))),
    );
  }

  /**
   * @param {string} room
   * @param {number} seconds that one was connected; 0: nobody came
   */
  left(room, seconds) {
    this.#say("left-room", seconds > 0 ? "left.room.time" : "left.room", { room, time: clockTime(seconds) });
    this.show("left");
  }

  /**
   * Say why one may not come in. `document.documentElement.dataset.refused` holds the reason.
   * @param {string} reason "full", "app", "locked", "invitation", "expired", "kicked" or "elsewhere"
   * @param {number} capacity of the room; 0: not known
   */
  refused(reason, capacity) {
    const known = REFUSALS[reason] ? reason : "full";
    const out = known === "kicked"; // then there is little to be hoped of trying again
    ROOT.dataset.refused = known;
    for (const part of ["title", "text"]) {
      this.#say(`refused-${part}`, `refused.${known}.${part}`);
    }
    this.#say("refused-count", known === "full" && capacity > 0 ? "refused.full.count" : "", { capacity: String(capacity) });
    this.#say("refused-retry-button", `refused.${out || known === "elsewhere" ? known : "full"}.retry`);
    element("refused-emblem").replaceChildren(icon(REFUSALS[known]));
    element("refused-retry-button").classList.toggle("primary", !out);
    element("refused-new-room-button").classList.toggle("primary", out);
    this.show("refused");
  }

  /**
   * Say why there is no call. `document.documentElement.dataset.error` holds the kind.
   * @param {string} kind one of the `error.{kind}.title` texts
   * @param {string} detail shown small; may be empty
   * @param {string | null} [link] where it would work
   */
  error(kind, detail, link = null) {
    ROOT.dataset.error = kind;
    this.#say("error-title", `error.${kind}.title`);
    this.#say("error-text", `error.${kind}.text`);
    element("error-detail").textContent = link ?? detail;
    const insecure = kind === "insecure";
    const anchor = /** @type {HTMLAnchorElement} */ (element("error-link"));
    anchor.hidden = link === null;
    anchor.href = link ?? "";
    element("error-continue-button").hidden = !insecure;
    const hopeless = HOPELESS.includes(kind);
    element("error-retry-button").hidden = hopeless;
    element("error-new-room-button").classList.toggle("primary", hopeless);
    element("error-new-room-button").hidden = insecure || kind === "webrtc";
    this.show("error");
  }

  /**
   * What the room is called, at the top of a call and in the window's title.
   * @param {string} room may be empty
   */
  title(room) {
    const site = element("brand").querySelector("span")?.textContent ?? ""; // as the server has it
    this.#room = room;
    element("room-title").textContent = room || site;
    document.title = room ? `${room} · ${site}` : site;
  }

  /**
   * Something happened that is to be seen among the tabs of a browser, until the page itself is seen again.
   * @param {string} words
   */
  call(words) {
    if (document.hidden) {
      document.title = `● ${words}`;
    }
  }

  /**
   * The one line that says how the call stands; it is read out.
   * @param {string} key
   * @param {Record<string, string>} [values]
   */
  status(key, values) {
    if (element("status").dataset.text !== key || values) {
      this.#say("status", key, values);
    }
  }

  /**
   * @param {string} id
   * @param {string} key
   * @param {Record<string, string>} [values]
   */
  #say(id, key, values) {
    this.#texts.show(element(id), key, values);
  }

  /**
   * Put the focus where a keyboard goes on: into the panel's field or main button, on a touch screen (where a field would call up
   * its keyboard) on the heading. A page just loaded leaves it alone, except for the field to type in and the button to join with.
   * @param {State} state
   */
  #focus(state) {
    const mouse = matchMedia("(pointer: fine)").matches;
    if (this.#loading && (!mouse || !["landing", "green"].includes(state))) {
      return;
    }
    const panel = element(this.inCall ? "stage" : state);
    const wanted = mouse && !this.inCall ? "#room-name, #own-name:placeholder-shown, .primary:not([hidden])" : "h1";
    /** @type {HTMLElement | null} */ (panel.querySelector(wanted))?.focus({ preventScroll: true });
  }

  #checkName() {
    const good = isRoomName(this.input.value);
    /** @type {HTMLButtonElement} */ (element("join-button")).disabled = !good;
    this.input.setAttribute("aria-invalid", String(!good));
  }
}
