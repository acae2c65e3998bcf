// @ts-check
/** Measures the stage once, asks layout.js, and puts the tiles where they belong. */

import { arrange, cornerBox, GAP } from "./layout.js";
import { element } from "./elements.js";

/** Below this the panels cover the stage instead of standing beside it; as in stage.css. */
const NARROW_PX = 700;
/** However low the window is. */
const LEAST_PX = 60;

/**
 * @param {object} what
 * @param {import("./tile.js").Tile[]} what.others all but the own picture
 * @param {import("./tile.js").Tile} what.self
 * @param {boolean} what.together whether there is a call, rather than the own picture alone
 * @param {boolean} what.selfShown
 * @param {string | null} what.pinned
 * @param {import("./corner.js").SelfCorner} what.corner
 * @returns {string | null} key of the tile that is large
 */
export function placeTiles({ others, self, together, selfShown, pinned, corner }) {
  const stage = element("stage");
  const bar = element("controls");
  const panel = /** @type {HTMLElement | null} */ (stage.querySelector(".panel-box:not([hidden])"));
  const { clientWidth: full, clientHeight: height } = stage;
  const width = panel && full >= NARROW_PX ? panel.offsetLeft : full;
  const top = element("brand").getBoundingClientRect().bottom + GAP / 2;
  const barTop = bar.offsetTop - GAP;
  const barRight = bar.offsetLeft + bar.offsetWidth;
  const { upright } = self;
  if (full === 0) {
    return null; // not to be seen now
  }
  const whole = { x: 0, y: 0, width, height };
  const clear = { x: GAP, y: top, width: width - 2 * GAP, height: Math.max(barTop - top, LEAST_PX) };
  const among = together && selfShown && others.length > 1;
  const shown = among ? [...others, self] : together ? others : [];
  const { mode, main, boxes } = arrange(shown, pinned, whole, clear);
  stage.dataset.mode = mode;
  shown.forEach((tile) => tile.place(boxes.get(tile.key) ?? whole));
  corner.loose = together && !among;
  self.element.hidden = together && !selfShown;
  self.element.classList.toggle("loose", corner.loose);
  self.element.tabIndex = corner.loose ? 0 : -1;
  element("tiles").inert = self.element.inert = panel !== null && full < NARROW_PX; // covered, so nothing for the focus
  if (!together) {
    self.place(whole);
  } else if (corner.loose) {
    const area = { x: 2 * GAP, y: top, width: width - 4 * GAP, height: height - top - 2 * GAP };
    const covered = cornerBox("bottom-right", area, upright).x < barRight + GAP;
    corner.area = { ...area, height: covered ? barTop - top : area.height };
    self.place(cornerBox(corner.at, corner.area, upright));
  }
  return main;
}
