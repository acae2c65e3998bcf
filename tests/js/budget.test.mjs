import assert from "node:assert/strict";
import { test } from "node:test";
import { budget } from "../../rtcd/web/static/budget.js";

const POOR = /** @type {const} */ ({ grade: "poor", side: "sending", arrives: "poor" });
const GOOD = /** @type {const} */ ({ grade: "good", side: null, arrives: "good" });
const brief = ({ video = 0, height = 0, screen = 0 }) => [video, height, screen];

/** What is said at so many looks one after the other. */
function looks(/** @type {number} */ count, /** @type {any} */ quality, /** @type {any} */ before = null, screen = false) {
  const said = [];
  for (let look = 0; look < count; look += 1) {
    before = budget(2, { screen, quality, before });
    said.push(before);
  }
  return said;
}

test("the more people, the less for each", () => {
  const said = [1, 2, 3, 4, 5, 6, 7].map((people) => brief(budget(people, { screen: false })));
  assert.deepEqual(said, [
    [2_500_000, 720, 1_500_000], [2_500_000, 720, 1_500_000], [1_200_000, 720, 1_200_000], [800_000, 720, 800_000],
    [500_000, 360, 600_000], [500_000, 360, 600_000], [500_000, 360, 600_000],
  ]);
});

test("beside a screen the camera is small, whoever is there", () => {
  for (const people of [2, 4, 6]) {
    assert.deepEqual(brief(budget(people, { screen: true })).slice(0, 2), [300_000, 270]);
  }
});

test("a poor connection halves the picture step by step down to the least, and a good one brings it back", () => {
  const down = looks(30, POOR);
  const rates = [...new Set(down.map(({ video }) => video))];
  assert.deepEqual(rates, [1_250_000, 625_000, 312_500, 156_250, 100_000]);
  assert.deepEqual([...new Set(down.map(({ height }) => height))], [720, 360, 270, 180]);
  assert.ok(down.every(({ screen }) => screen === 1_500_000));
  assert.deepEqual(down.slice(0, 7).map(({ video }) => video / 1000), [1250, 1250, 1250, 625, 625, 625, 312.5]);
  const up = looks(30, GOOD, down.at(-1));
  assert.deepEqual([...new Set(up.map(({ video }) => video))], [156_250, 312_500, 625_000, 1_250_000, 2_500_000]);
  assert.deepEqual([up.at(-1)?.video, up.at(-1)?.height], [2_500_000, 720]);
});

test("it waits where it is while what arrives is fair or unknown", () => {
  const [low] = looks(1, POOR);
  for (const quality of [null, { ...POOR, arrives: "fair" }, { ...POOR, arrives: null }]) {
    assert.deepEqual(looks(9, quality, low).map(({ video }) => video), Array(9).fill(1_250_000));
  }
});

test("what only the other direction suffers from is not for us to mend", () => {
  assert.equal(looks(9, { grade: "poor", side: "receiving", arrives: "good" }).at(-1)?.video, 2_500_000);
  assert.equal(looks(1, { grade: "poor", side: null, arrives: "poor" })[0].video, 1_250_000);
});

test("a long way makes nothing less, and does not keep down what was", () => {
  const far = { grade: "poor", side: null, arrives: "good" };
  assert.equal(looks(30, far).at(-1)?.video, 2_500_000);
  assert.equal(looks(30, far, looks(30, POOR).at(-1)).at(-1)?.video, 2_500_000);
});

test("only another look at the quality makes a step", () => {
  const [low] = looks(1, POOR);
  let before = low;
  for (let change = 0; change < 9; change += 1) {
    before = budget(2, { screen: false, quality: POOR, before, look: false });
  }
  assert.deepEqual(before, low);
});

test("a step that was made for one size of room counts in the next", () => {
  const [low] = looks(1, POOR);
  assert.equal(budget(3, { screen: false, quality: POOR, before: low }).video, 600_000);
  assert.equal(budget(3, { screen: true, quality: POOR, before: low }).video, 150_000);
});
