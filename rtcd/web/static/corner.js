// @ts-check
/** The own picture's corner: dragged there, or sent there with the arrow keys; remembered for the next call. */

import { cornerTowards, CORNERS, nearestCorner } from "./layout.js";
import { recall, remember } from "./storage.js";

const STORED = "selfCorner";
/** Less than this is a tap, not a drag. */
const DRAG_PX = 6;

/** Where the own picture stands; says when that changed. */
export class SelfCorner {
  /** @type {import("./layout.js").Corner} */
  at = "bottom-right";
  /** The box in which corners are, set by the one who lays out. */
  area = { x: 0, y: 0, width: 0, height: 0 };
  /** Whether it stands in a corner at all, rather than among the others. */
  loose = false;
  #element;
  #onChange;

  /**
   * @param {HTMLElement} element
   * @param {() => void} onChange
   */
  constructor(element, onChange) {
    this.#element = element;
    this.#onChange = onChange;
    this.at = CORNERS.find((corner) => corner === recall(STORED)) ?? this.at;
    element.tabIndex = 0;
    element.addEventListener("keydown", (event) => {
      const to = event.target === element && this.loose && cornerTowards(this.at, event.key);
      if (to) {
        event.preventDefault();
        this.#move(to);
      }
    });
    element.addEventListener("pointerdown", (event) => this.#grab(event));
  }

  /** Clockwise, for those who have neither keys nor a mouse to drag with. */
  next() {
    this.#move(CORNERS[(CORNERS.indexOf(this.at) + 1) % CORNERS.length]);
  }

  /** @param {import("./layout.js").Corner} corner */
  #move(corner) {
    this.at = corner;
    remember(STORED, corner);
    this.#onChange();
  }

  /** @param {PointerEvent} down */
  #grab(down) {
    if (!this.loose || down.button !== 0 || /** @type {Element} */ (down.target).closest(".menu")) {
      return;
    }
    const element = this.#element;
    const from = element.getBoundingClientRect();
    const drag = new AbortController(); // whose signal is an option of its listeners
    let dragged = false;
    const move = (/** @type {PointerEvent} */ event) => {
      const [x, y] = [event.clientX - down.clientX, event.clientY - down.clientY];
      if (event.pointerId === down.pointerId && (dragged || Math.hypot(x, y) > DRAG_PX)) {
        dragged = true;
        element.classList.add("dragged");
        element.style.translate = `${x}px ${y}px`;
      }
    };
    const end = (/** @type {PointerEvent} */ event) => {
      if (event.pointerId !== down.pointerId) {
        return;
      }
      drag.abort();
      element.classList.remove("dragged");
      element.style.translate = "";
      if (dragged) {
        const swallow = (/** @type {Event} */ click) => click.stopPropagation(); // it was no click
        element.addEventListener("click", swallow, true);
        setTimeout(() => element.removeEventListener("click", swallow, true));
      }
      if (dragged && event.type === "pointerup") {
        const x = from.x + from.width / 2 + event.clientX - down.clientX;
        this.#move(nearestCorner(x, from.y + from.height / 2 + event.clientY - down.clientY, this.area));
      }
    };
    addEventListener("pointermove", move, drag);
    addEventListener("pointerup", end, drag);
    addEventListener("pointercancel", end, drag);
  }
}
