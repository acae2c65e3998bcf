// @ts-check
/** The panel with who is here, and what the host may do about it. */

import { avatar, copyOf, element, icon, make, on, onSubmit } from "./elements.js";
import { rememberOwnName } from "./names.js";

/** @typedef {import("./tiles.js").Person} Person */

/** Draws the list and the room's door. */
export class People {
  #texts;
  #menu;
  #list = element("people-list");
  #name = /** @type {HTMLInputElement} */ (element("people-name"));
  #lock = /** @type {HTMLInputElement} */ (element("lock-switch"));
  #password = /** @type {HTMLInputElement} */ (element("people-password"));
  #protected = false;
  /** @type {Map<string, {row: HTMLElement, button: HTMLElement}>} */
  #rows = new Map();

  /**
   * @param {import("./texts.js").Texts} texts
   * @param {import("./stage.js").Current} visit
   * @param {(button: HTMLElement, id: string) => void} menu lets a button open what can be done with a member
   */
  constructor(texts, visit, menu) {
    this.#texts = texts;
    this.#menu = menu;
    on("people-name", "change", () => {
      const name = this.#name.value.trim();
      /** @type {HTMLInputElement} */ (element("own-name")).value = name; // for the next green room
      rememberOwnName(name);
      visit()?.call?.rename(name);
    });
    on("people-name", "keydown", (event) => event.key === "Enter" && this.#name.blur());
    on("lock-switch", "change", () => visit()?.call?.lock(this.#lock.checked));
    on("people-password", "input", () => this.#door());
    onSubmit("password-form", () => {
      visit()?.call?.password(this.#password.value);
      this.#password.value = "";
    });
  }

  /**
   * @param {import("./call.js").RoomView} room
   * @param {Person[]} people without us
   */
  show(room, people) {
    if (document.activeElement !== this.#name) {
      this.#name.value = room.me.name;
    }
    element("own-crown").toggleAttribute("hidden", !room.me.host);
    element("door").hidden = !room.me.host;
    this.#lock.checked = room.locked;
    this.#protected = room.password;
    this.#door();
    const standing = room.me.host ? "" : room.locked ? "people.locked" : room.password ? "people.protected" : "";
    this.#texts.show(element("door-standing"), standing);
    for (const [id, { row }] of this.#rows) {
      if (!people.some((person) => person.id === id)) {
        row.remove();
        this.#rows.delete(id);
      }
    }
    for (const person of people) {
      this.#row(person, room.me.host);
    }
  }

  /**
   * @param {Person} person
   * @param {boolean} mayAct
   */
  #row({ id, name, host, muted, camera, trouble }, mayAct) {
    let known = this.#rows.get(id);
    if (!known) {
      const { copy, part } = copyOf("person-template");
      known = { row: copy, button: part("button") };
      copy.dataset.member = id;
      this.#menu(known.button, id);
      this.#rows.set(id, known);
      this.#list.append(known.row);
    }
    const words = make("small", {});
    this.#texts.show(words, trouble ?? (host ? "people.host" : ""));
    known.row.firstElementChild?.replaceChildren(
      avatar(id, name),
      make("span", { class: "name" }, name, words),
      ...(host ? [icon("crown")] : []),
      ...(muted ? [icon("microphone-off")] : []),
      ...(camera === false ? [icon("camera-off")] : []),
    );
    known.button.hidden = !mayAct;
    this.#texts.show(/** @type {HTMLElement} */ (known.button.lastElementChild), "tile.menu", { name });
  }

  /** The button says what it would do. */
  #door() {
    const button = /** @type {HTMLButtonElement} */ (element("password-button"));
    const empty = this.#password.value === "";
    this.#texts.show(button, empty && this.#protected ? "people.password.remove" : "people.password.set");
    button.disabled = empty && !this.#protected;
    this.#texts.show(element("password-hint"), this.#protected ? "people.protected" : "people.password.hint");
  }
}
