// @ts-check
/** How much of our pictures each of the others gets: the more there are, the less for each. Sound is never touched. */

/** For two people, three and so on to six. */
const VIDEO = [2_500_000, 1_200_000, 800_000, 500_000, 500_000];
const SCREEN = [1_500_000, 1_200_000, 800_000, 600_000, 600_000];
const HEIGHT = [720, 720, 720, 360, 360];
/** The camera beside a shared screen. */
const BESIDE = { video: 300_000, height: 270 };
const LEAST = 100_000;
/** So many looks at the quality from one step to the next, for the last one to show. */
const LOOKS = 3;

/** @typedef {{video: number, height: number, screen: number, steps: number, looks: number}} Budget in bits/s and pixels */

/**
 * What to send to one of the others. Given what was said last and whether this is another look at the quality, it halves
 * the picture step by step while too little of it arrives, and brings it back when all does. A long way alone is no reason:
 * less is not faster.
 * @param {number} people with ourselves
 * @param {object} now
 * @param {boolean} now.screen whether we share a screen
 * @param {import("./quality.js").Verdict | null} [now.quality]
 * @param {Budget | null} [now.before]
 * @param {boolean} [now.look]
 * @returns {Budget}
 */
export function budget(people, { screen, quality, before, look = true }) {
  const row = Math.min(Math.max(people, 2), 6) - 2;
  const full = screen ? BESIDE.video : VIDEO[row];
  let { steps, looks } = before ?? { steps: 0, looks: LOOKS };
  looks += Number(look);
  if (look && (looks > LOOKS || !before)) {
    const arrives = quality?.arrives;
    const change = arrives === "poor" && full / 2 ** steps > LEAST ? 1 : arrives === "good" && steps > 0 ? -1 : 0;
    steps += change;
    looks = change ? 1 : LOOKS;
  }
  const video = Math.max(Math.round(full / 2 ** steps), LEAST);
  const sharp = video > 600_000 ? 720 : video > 300_000 ? 360 : video > 150_000 ? 270 : 180;
  return { video, height: Math.min(screen ? BESIDE.height : HEIGHT[row], sharp), screen: SCREEN[row], steps, looks };
}
