// @ts-check
/**
 * Where the tiles go: rules only, no DOM. Lengths are CSS pixels from the stage's upper left corner.
 *
 * One tile fills the stage; several share it as equals; what is pinned, or a screen, takes it and the others make a strip.
 */

/**
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 * @typedef {{key: string, kind: "camera" | "screen", own?: boolean}} Item in the order in which they came
 * @typedef {"top-left" | "top-right" | "bottom-left" | "bottom-right"} Corner
 * @typedef {{mode: "single" | "grid" | "spotlight", main: string | null, boxes: Map<string, Box>}} Arrangement
 */

export const GAP = 8;
/** The shapes that a tile among equals may have; what is upright is wanted on a stage that is upright itself. */
const WIDEST = 16 / 9;
const TALLEST = { landscape: 1.2, portrait: 0.7 };
/** A picture is cut down to fill its tile if its shape differs from the tile's by no more than this factor. */
const COVER_RATIO = 1.65;
const STRIP = { least: 104, most: 640 };
/** @type {Corner[]} clockwise */
export const CORNERS = ["top-left", "top-right", "bottom-right", "bottom-left"];

/**
 * Equal tiles, as large as can be; a last row that is not full stands in the middle.
 * @param {number} count
 * @param {Box} area
 * @param {number} [tallest] the most upright shape that a tile may have
 * @returns {Box[]}
 */
export function grid(count, area, tallest = tallestIn(area)) {
  let best = { width: 0, height: 0, columns: 1 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const tile = shape((area.width - GAP * (columns - 1)) / columns, (area.height - GAP * (rows - 1)) / rows, tallest);
    if (tile.width * tile.height > best.width * best.height) {
      best = { ...tile, columns };
    }
  }
  const { width, height, columns } = best;
  const rows = Math.ceil(count / columns);
  const top = area.y + (area.height - rows * (height + GAP) + GAP) / 2;
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / columns);
    const inRow = row === rows - 1 ? count - row * columns : columns;
    const left = area.x + (area.width - inRow * (width + GAP) + GAP) / 2;
    return { x: left + (index % columns) * (width + GAP), y: top + row * (height + GAP), width, height };
  });
}

/**
 * One large tile and a strip of small ones, beside it where there is width, below it where there is height.
 * @param {number} count of the strip
 * @param {Box} area
 * @returns {{main: Box, strip: Box[]}}
 */
export function spotlight(count, area) {
  if (count === 0) {
    return { main: area, strip: [] };
  }
  const beside = area.width > area.height * 1.1;
  const [side, from] = beside ? /** @type {const} */ (["width", "x"]) : /** @type {const} */ (["height", "y"]);
  const long = area[side];
  const thick = Math.min(STRIP.most, Math.max(STRIP.least, long * (beside && count > 3 ? 0.24 : 0.2)), long / 2);
  const strip = { ...area, [side]: thick, [from]: area[from] + long - thick };
  return { main: { ...area, [side]: long - thick - GAP }, strip: grid(count, strip, tallestIn(area)) };
}

/**
 * @param {Item[]} items
 * @param {string | null} pinned key of a tile
 * @param {Box} whole all of the stage that no panel covers
 * @param {Box} clear what the bars leave of it
 * @returns {Arrangement}
 */
export function arrange(items, pinned, whole, clear) {
  const main = mainOf(items, pinned);
  if (items.length <= 1) {
    const [only] = items;
    const box = only?.kind === "screen" ? clear : whole;
    return { mode: "single", main: only?.key ?? null, boxes: new Map(only ? [[only.key, box]] : []) };
  }
  const others = items.filter(({ key }) => key !== main);
  const { main: large, strip } = main === null ? { main: null, strip: grid(items.length, clear) } : spotlight(others.length, clear);
  const boxes = new Map(others.map(({ key }, index) => [key, strip[index]]));
  if (main !== null && large) {
    boxes.set(main, large);
  }
  return { mode: main === null ? "grid" : "spotlight", main, boxes };
}

/**
 * What is pinned; else the newest screen of somebody; else, while we show a screen of our own, the only other one.
 * @param {Item[]} items
 * @param {string | null} pinned
 * @returns {string | null}
 */
function mainOf(items, pinned) {
  if (items.some(({ key }) => key === pinned)) {
    return pinned;
  }
  const screen = items.filter(({ kind, own }) => kind === "screen" && !own).at(-1);
  if (screen) {
    return screen.key;
  }
  const others = items.filter(({ own }) => !own);
  return others.length === 1 && items.some(({ kind }) => kind === "screen") ? others[0].key : null;
}

/**
 * The place of the own picture while it stands in a corner.
 * @param {Corner} corner
 * @param {Box} area
 * @param {boolean} upright
 * @returns {Box}
 */
export function cornerBox(corner, area, upright) {
  const long = Math.max(112, Math.min(area.width * 0.2, area.height * 0.42, 640));
  const [width, height] = upright ? [long * 0.75, long] : [long, long * 0.75];
  return {
    x: corner.endsWith("left") ? area.x : area.x + area.width - width,
    y: corner.startsWith("top") ? area.y : area.y + area.height - height,
    width,
    height,
  };
}

/**
 * The corner that a point is nearest to.
 * @param {number} x
 * @param {number} y
 * @param {Box} area
 * @returns {Corner}
 */
export function nearestCorner(x, y, area) {
  return `${y < area.y + area.height / 2 ? "top" : "bottom"}-${x < area.x + area.width / 2 ? "left" : "right"}`;
}

/**
 * The corner on the other side in the direction of an arrow key, or null if the key is none.
 * @param {Corner} corner
 * @param {string} key
 * @returns {Corner | null}
 */
export function cornerTowards(corner, key) {
  const [row, column] = corner.split("-");
  const to = {
    ArrowUp: `top-${column}`,
    ArrowDown: `bottom-${column}`,
    ArrowLeft: `${row}-left`,
    ArrowRight: `${row}-right`,
  }[key];
  return /** @type {Corner | null} */ (to ?? null);
}

/**
 * Whether a picture should be shown whole: screens always, faces if filling the tile would cut off too much.
 * @param {{width: number, height: number}} picture
 * @param {{width: number, height: number}} tile
 * @param {boolean} screen
 */
export function shownWhole(picture, tile, screen) {
  const ratio = (picture.width * tile.height) / (picture.height * tile.width);
  return screen || Math.max(ratio, 1 / ratio) > COVER_RATIO;
}

/** @param {Box} area */
function tallestIn({ width, height }) {
  return height > width ? TALLEST.portrait : TALLEST.landscape;
}

/**
 * @param {number} width of the cell
 * @param {number} height of it
 * @param {number} tallest
 */
function shape(width, height, tallest) {
  return { width: Math.max(0, Math.min(width, height * WIDEST)), height: Math.max(0, Math.min(height, width / tallest)) };
}
