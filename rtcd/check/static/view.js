/**
 * What the page shows of a check: headline, progress, and a line for each path.
 *
 * @import { Path, Seen } from "./tries.js"
 * @typedef {{ id: string, outcome: string, ms: number | null, title: string, meaning: string, mend: string }} Finding
 * @typedef {{ number: number, level: string, title: string, text: string, paths: Finding[] }} Verdict As the server says it.
 */

const TEXTS = /** @type {Record<string, string>} */ (JSON.parse(document.getElementById("texts")?.textContent ?? "{}"));

/** Code that fits into a line of the smallest screen is not broken. */
const SHORT_CHARS = 19;

/**
 * A text of ours with its values.
 *
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function text(key, values = {}) {
  return (TEXTS[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** @param {string} id */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found;
}

/** @type {Map<string, HTMLElement>} */
const lines = new Map();

/** Begin anew. */
export function begin() {
  lines.clear();
  element("paths").replaceChildren();
  element("listed").hidden = true;
  element("hero").hidden = false;
  element("actions").hidden = true;
  element("bar").hidden = false;
  say("running", text("running"), text("running_lead"));
  progress(0, 1);
}

/** @param {Path[]} paths */
export function list(paths) {
  const template = /** @type {HTMLTemplateElement} */ (element("path"));
  for (const one of paths) {
    const line = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    inside(line, ".name").textContent = one.name;
    lines.set(one.id, line);
    element("paths").append(line);
  }
  element("listed").hidden = false;
}

/** @param {string} id */
export function trying(id) {
  state(id, "trying", text("trying"));
}

/** @param {Seen} seen */
export function seen({ id, ok, ms, codes = [] }) {
  if (ok) state(id, "works", ms === null ? text("works") : text("works_ms", { ms }));
  else state(id, "fails", text(codes.some((one) => one !== 701) ? "fails" : "silent"));
}

/**
 * @param {number} done
 * @param {number} all
 */
export function progress(done, all) {
  element("done").style.width = `${(100 * done) / all}%`;
  element("status").textContent = done ? text(done === all ? "joining" : "progress", { done, all }) : "";
}

/** @param {Verdict} verdict */
export function judged(verdict) {
  for (const { id, outcome, ms, title, meaning, mend } of verdict.paths) {
    if (outcome === "ok") {
      seen({ id, ok: true, ms });
      continue;
    }
    state(id, "fails", text("fails"));
    const line = lines.get(id);
    if (!line) continue;
    inside(line, ".found").textContent = title;
    inside(line, ".meaning").replaceChildren(...words(meaning));
    inside(line, ".meaning").hidden = !meaning;
    inside(line, ".mend p").replaceChildren(...words(mend));
    inside(line, ".mend").hidden = !mend;
    inside(line, ".more").hidden = false;
  }
  end(verdict.level, verdict.title, verdict.text);
  element("status").textContent = text("number", { number: verdict.number });
}

/**
 * It is over.
 *
 * @param {string} level
 * @param {string} title
 * @param {string} lead
 */
export function end(level, title, lead) {
  element("bar").hidden = true;
  element("status").textContent = "";
  element("actions").hidden = false;
  say(level, title, lead);
  element("headline").focus({ preventScroll: true });
}

/** All that is shown, as plain text for somebody else. */
export function plain() {
  const shown = [element("headline"), element("lead"), ...lines.values()].map((one) => one.innerText.replace(/\s*\n\s*/g, ": "));
  return [location.href, ...shown].join("\n");
}

/**
 * @param {string} level
 * @param {string} title
 * @param {string} lead
 */
function say(level, title, lead) {
  element("hero").dataset.level = level;
  element("headline").textContent = title;
  element("lead").replaceChildren(...words(lead));
}

/**
 * @param {string} id
 * @param {string} name
 * @param {string} shown
 */
function state(id, name, shown) {
  const line = lines.get(id);
  if (!line) return;
  line.dataset.state = name;
  inside(line, ".state").textContent = shown;
}

/**
 * A sentence, in which what stands in backquotes is code. Short code is not broken, nor parted from the mark behind it.
 *
 * @param {string} sentence
 * @returns {(string | HTMLElement)[]}
 */
function words(sentence) {
  return sentence.split(/(`[^`]*`[,.;:，。；：]?)/).map((part) => {
    const [, inside, mark] = /^`([^`]*)`(.?)$/.exec(part) ?? [];
    if (inside === undefined) return part;
    const code = document.createElement("code"), both = document.createElement("span");
    code.textContent = inside;
    both.classList.toggle("short", inside.length <= SHORT_CHARS);
    both.append(code, mark);
    return both;
  });
}

/**
 * @param {HTMLElement} line
 * @param {string} selector
 */
function inside(line, selector) {
  const found = line.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`a line has no ${selector}`);
  return found;
}
