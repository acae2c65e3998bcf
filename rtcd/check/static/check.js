/** A check from its beginning to the server's verdict. Begins by itself: whoever opens the page wants to know. */

import { attempt, hasWebRtc } from "./tries.js";
import * as view from "./view.js";

/**
 * @import { Credential, Path, Seen } from "./tries.js"
 * @typedef {Credential & { id: string, paths: Path[] }} Begun the credential is there if a relay is among the paths
 */

/** So many paths are tried at once: each relay is two connections, and phones have small processors. */
const AT_ONCE = 3;
/** So often a report is sent, and how long each may take, in milliseconds. */
const TIMES = 3, ANSWER_MS = 6000, PAUSE_MS = 1000;

/** @param {string} path Below the page's own. */
function post(path, body = {}) {
  const address = `check/${path}?lang=${document.documentElement.lang.slice(0, 2)}`;
  return fetch(address, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), cache: "no-store",
    signal: AbortSignal.timeout?.(ANSWER_MS),
  });
}

async function check() {
  view.begin();
  /** @type {Begun} */
  let begun;
  try {
    const answer = await post("start");
    if (answer.status === 429) {
      view.end("fair", view.text("busy"), view.text("busy_lead"));
      return;
    }
    if (!answer.ok) throw new Error(`${answer.status}`);
    begun = await answer.json();
  } catch (error) {
    console.warn("start", error);
    view.end("broken", view.text("unstarted"), view.text("unstarted_lead"));
    return;
  }
  view.list(begun.paths);
  const webrtc = hasWebRtc();
  await join(begun.id, { paths: await all(begun, webrtc), webrtc });
}

/**
 * Try all paths, a few at a time.
 *
 * @param {Begun} begun
 * @param {boolean} webrtc
 */
async function all({ paths, username, credential }, webrtc) {
  const waiting = paths.filter((one) => webrtc || !["stun", "turn"].includes(one.kind));
  const seen = /** @type {Seen[]} */ ([]), count = waiting.length;
  const work = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) {
      view.trying(one.id);
      const found = await attempt(one, { username, credential });
      seen.push(found);
      view.seen(found);
      view.progress(seen.length, count);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return seen;
}

/**
 * Tell the server what was seen, and show what it makes of it together with what it saw.
 *
 * @param {string} id
 * @param {{ paths: Seen[], webrtc: boolean }} report
 */
async function join(id, report) {
  for (let left = TIMES; left; left -= 1) {
    try {
      const answer = await post(`report/${id}`, report);
      if (answer.ok) {
        view.judged(await answer.json());
        return;
      }
      if (answer.status < 500) break;
    } catch (error) {
      console.warn("report", error);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  view.end("fair", view.text("untold"), view.text("untold_lead"));
}

view.element("again").addEventListener("click", () => void check());
const copy = view.element("copy");
copy.hidden = !navigator.clipboard;
copy.addEventListener("click", async () => {
  await navigator.clipboard.writeText(view.plain());
  view.element("status").textContent = view.text("copied");
});
void check();
