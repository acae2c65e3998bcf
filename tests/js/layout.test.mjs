import assert from "node:assert/strict";
import { test } from "node:test";
import {
  arrange,
  cornerBox,
  cornerTowards,
  CORNERS,
  grid,
  nearestCorner,
  shownWhole,
  spotlight,
} from "../../rtcd/web/static/layout.js";

const STAGES = {
  desktop: [1280, 800],
  phone: [390, 844],
  sideways: [844, 390],
  small: [320, 568],
  wide: [3840, 2160],
  sliver: [200, 60],
};
const area = (/** @type {number[]} */ [width, height]) => ({
  x: 8,
  y: 60,
  width: width - 16,
  height: Math.max(height - 150, 60),
});

/** @typedef {import("../../rtcd/web/static/layout.js").Box} Box */
/** @typedef {import("../../rtcd/web/static/layout.js").Item} Item */

/** @type {(box: Box, outer: Box) => boolean} */
function inside(box, outer) {
  const near = 0.01;
  return (
    box.width >= 0 &&
    box.height >= 0 &&
    box.x >= outer.x - near &&
    box.y >= outer.y - near &&
    box.x + box.width <= outer.x + outer.width + near &&
    box.y + box.height <= outer.y + outer.height + near
  );
}

/** @type {(one: Box, other: Box) => boolean} */
function apart(one, other) {
  return (
    one.x + one.width <= other.x + 0.01 ||
    other.x + other.width <= one.x + 0.01 ||
    one.y + one.height <= other.y + 0.01 ||
    other.y + other.height <= one.y + 0.01
  );
}

test("tiles are inside the stage and do not cover each other, whatever its shape and their number", () => {
  for (const [name, size] of Object.entries(STAGES)) {
    const outer = area(size);
    for (let count = 1; count <= 12; count++) {
      const { main, strip } = spotlight(count, outer);
      for (const boxes of [grid(count, outer), [main, ...strip]]) {
        boxes.forEach((box, at) => {
          assert.ok(inside(box, outer), `${name} ${count} ${at}`);
          boxes.slice(at + 1).forEach((other) => assert.ok(apart(box, other), `${name} ${count} ${at}`));
        });
      }
    }
  }
});

test("equals have the same size, and a last row that is not full stands in the middle", () => {
  const outer = area(STAGES.desktop);
  const boxes = grid(3, outer);
  assert.equal(new Set(boxes.map(({ width, height }) => `${width} ${height}`)).size, 1);
  assert.equal(boxes[2].x + boxes[2].width / 2, outer.x + outer.width / 2);
});

test("two tiles stand side by side on a wide stage and above each other on an upright one", () => {
  const [left, right] = grid(2, area(STAGES.desktop));
  assert.equal(left.y, right.y);
  const [upper, lower] = grid(2, area(STAGES.phone));
  assert.equal(upper.x, lower.x);
});

test("six tiles use most of the stage on a desktop and on a phone", () => {
  for (const size of [STAGES.desktop, STAGES.phone]) {
    const outer = area(size);
    const used = grid(6, outer).reduce((sum, { width, height }) => sum + width * height, 0);
    assert.ok(used > outer.width * outer.height * 0.85, String(used / outer.width / outer.height));
  }
});

test("what is in the spotlight is much larger than the strip", () => {
  for (const size of [STAGES.desktop, STAGES.phone, STAGES.sideways, STAGES.wide]) {
    const { main, strip } = spotlight(5, area(size));
    assert.ok(strip.every(({ width, height }) => width * height * 4 < main.width * main.height));
    assert.ok(
      strip.every(({ width, height }) => width >= 56 && height >= 56),
      JSON.stringify(strip),
    );
  }
});

const whole = { x: 0, y: 0, width: 1280, height: 800 };
const clear = { x: 8, y: 60, width: 1264, height: 640 };
/** @type {Item} */
const anna = { key: "camera:a", kind: "camera" };
/** @type {Item} */
const bob = { key: "camera:b", kind: "camera" };
/** @type {Item} */
const screen = { key: "screen:a", kind: "screen" };
/** @type {Item} */
const me = { key: "camera:me", kind: "camera", own: true };
/** @type {Item} */
const mine = { key: "screen:me", kind: "screen", own: true };

test("the only other one fills the stage, but a screen is not covered by the bars", () => {
  assert.deepEqual(arrange([anna], null, whole, clear).boxes.get(anna.key), whole);
  assert.deepEqual(arrange([screen], null, whole, clear).boxes.get(screen.key), clear);
  assert.equal(arrange([], null, whole, clear).boxes.size, 0);
});

test("a screen is shown large, the newest if there are several, unless something is pinned", () => {
  /** @type {Item} */
  const other = { key: "screen:b", kind: "screen" };
  assert.equal(arrange([anna, bob, me], null, whole, clear).mode, "grid");
  assert.equal(arrange([anna, screen, bob, me], null, whole, clear).main, screen.key);
  assert.equal(arrange([anna, screen, bob, other, me], null, whole, clear).main, other.key);
  assert.equal(arrange([anna, screen, bob, other, me], bob.key, whole, clear).main, bob.key);
  assert.equal(arrange([anna, bob], "camera:gone", whole, clear).mode, "grid");
});

test("our own screen never takes the stage by itself", () => {
  assert.equal(arrange([anna, mine, me], null, whole, clear).main, anna.key);
  assert.equal(arrange([anna, bob, mine, me], null, whole, clear).mode, "grid");
  assert.equal(arrange([anna, mine, me], mine.key, whole, clear).main, mine.key);
});

test("each item has a box, in every mode", () => {
  for (const items of [[anna], [anna, bob], [anna, screen], [anna, bob, screen, mine, me]]) {
    assert.deepEqual([...arrange(items, null, whole, clear).boxes.keys()].sort(), items.map(({ key }) => key).sort());
  }
});

test("the own picture stands in each of the four corners", () => {
  for (const corner of CORNERS) {
    for (const upright of [true, false]) {
      const box = cornerBox(corner, clear, upright);
      assert.ok(inside(box, clear));
      assert.equal(box.height > box.width, upright);
      assert.equal(nearestCorner(box.x + box.width / 2, box.y + box.height / 2, clear), corner);
    }
  }
});

test("arrow keys lead to the corner on that side", () => {
  assert.equal(cornerTowards("bottom-right", "ArrowUp"), "top-right");
  assert.equal(cornerTowards("bottom-right", "ArrowLeft"), "bottom-left");
  assert.equal(cornerTowards("top-left", "ArrowUp"), "top-left");
  assert.equal(cornerTowards("top-left", "m"), null);
});

test("faces fill their tile unless too much would be cut off; screens are always shown whole", () => {
  assert.equal(shownWhole({ width: 640, height: 480 }, { width: 1280, height: 720 }, false), false);
  assert.equal(shownWhole({ width: 480, height: 640 }, { width: 1280, height: 720 }, false), true);
  assert.equal(shownWhole({ width: 1280, height: 720 }, { width: 390, height: 844 }, false), true);
  assert.equal(shownWhole({ width: 1280, height: 720 }, { width: 1280, height: 700 }, true), true);
});
