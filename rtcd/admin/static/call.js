// @ts-check
/** The page of one call: what became of it and its time line, as the API tells them; anew as long as the call is on. */

import { ask, Refused } from "./api.js";
import { fill, make } from "./elements.js";
import { CHOSEN, languageOf, say, trouble } from "./texts.js";

const EVERY_MS = 5000;
const ID = location.pathname.slice(location.pathname.lastIndexOf("/") + 1);

/** @type {(id: string) => any} */
const element = (id) => document.getElementById(id);
let language = languageOf(navigator.languages, localStorage.getItem(CHOSEN));
/** @type {any} the last answer */
let seen = null;

/** @param {string} key */
const text = (key) => say(language, key);

async function look() {
  try {
    seen = await ask("GET", ID);
    element("notice").hidden = true;
  } catch (error) {
    const status = error instanceof Refused ? error.status : 0;
    if (status === 401) {
      location.replace(`../#call=${ID}`);
      return;
    }
    element("notice").hidden = false;
    element("notice").textContent = trouble(language, error, { 404: "call.none", 501: "call.none" });
    if (status === 404 || status === 501) {
      return;
    }
  }
  show();
  if (seen === null || seen.ended_at === null) {
    setTimeout(look, EVERY_MS);
  }
}

function show() {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-text]")) {
    one.textContent = text(/** @type {HTMLElement} */ (one).dataset.text ?? "");
  }
  element("language").lang = language === "en" ? "zh-CN" : "en";
  element("call").hidden = seen === null;
  if (seen === null) {
    return;
  }
  const { title, span, said, parts } = seen.view[language === "en" ? "en" : "zh"];
  document.title = title;
  element("call-title").textContent = title;
  element("span").textContent = span;
  const [verdict, ...more] = said;
  fill(element("said"), make("p", { class: "verdict" }, verdict),
    ...more.map((/** @type {string} */ one) => make("p", {}, one)));
  fill(element("parts"), ...parts.map((/** @type {any} */ part) =>
    make("section", { class: "card" }, make("h2", {}, part.title), make("ul", { class: "rows" }, ...part.rows.map(row)))));
}

/** @param {[string, string, string[]]} told when, what, and more about it */
function row([when, what, more]) {
  return make("li", {}, ...(when ? [make("span", { class: "when" }, when)] : []),
    make("span", { class: "what" }, what, ...more.map((one) => make("small", {}, one))));
}

element("language").addEventListener("click", () => {
  language = language === "en" ? "zh-CN" : "en";
  localStorage.setItem(CHOSEN, language);
  show();
});
show();
look();
