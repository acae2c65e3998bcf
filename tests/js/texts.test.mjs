import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { afterEach, test } from "node:test";
import { browserOf, explain, TROUBLES } from "../../rtcd/web/static/problems.js";
import { LANGUAGES, languageCookie, Texts } from "../../rtcd/web/static/texts.js";

const STATIC = new URL("../../rtcd/web/static/", import.meta.url);
const catalogue = async (/** @type {string} */ language) => JSON.parse(await readFile(new URL(`texts-${language}.json`, STATIC), "utf8"));
const en = await catalogue("en");
const zh = await catalogue("zh-CN");
const AREAS = [...new Set(Object.keys(en).map((key) => key.split(".")[0]))].join("|");
const sources = /** @type {[string, string][]} */ ([]);
for (const file of await readdir(STATIC)) {
  if (file.endsWith(".js") && file !== "sw.js") {
    sources.push([file, await readFile(new URL(file, STATIC), "utf8")]);
  }
}
const html = (await readFile(new URL("index.html", STATIC), "utf8")) + (await readFile(new URL("../pages.py", STATIC), "utf8"));
const ownFetch = globalThis.fetch;
afterEach(() => (globalThis.fetch = ownFetch));

/** Keys that the scripts put together from parts: what stands before the `${`. */
function beginnings() {
  const pattern = new RegExp("`((?:" + AREAS + ")\\.[A-Za-z.]*)\\$\\{", "g");
  return sources.flatMap(([, source]) => [...source.matchAll(pattern)].map((match) => match[1]));
}

/** Keys that stand in the page or its scripts as they are. */
function keysUsed() {
  const used = [...html.matchAll(/data-(?:text|label|placeholder)="([^"]+)"/g)].map((match) => ["index.html", match[1]]);
  const pattern = new RegExp(`"((?:${AREAS})\\.[A-Za-z.0-9]+)"`, "g");
  for (const [file, source] of sources) {
    for (const [, key] of source.matchAll(pattern)) {
      if (!/\.(js|json|css|svg|png|html)$/.test(key)) {
        used.push([file, key]);
      }
    }
  }
  return used;
}

test("every text is there in both languages, with the same values to fill in", () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  const values = (/** @type {string} */ text) => [...new Set([...text.matchAll(/\{\w+\}/g)].map(String))].sort();
  for (const key of Object.keys(en)) {
    assert.equal(typeof en[key], "string", key);
    assert.deepEqual(values(zh[key]), values(en[key]), key);
    assert.notEqual(zh[key], "", key);
  }
});

test("no key stands in a catalogue twice", async () => {
  for (const language of LANGUAGES) {
    const keys = [...(await readFile(new URL(`texts-${language}.json`, STATIC), "utf8")).matchAll(/^\s*"([^"]+)":/gm)].map((match) => match[1]);
    assert.deepEqual(keys.filter((key, index) => keys.indexOf(key) !== index), [], language);
  }
});

test("every text that the page names is in the catalogue", () => {
  const used = keysUsed();
  assert.ok(used.length > 100);
  for (const [file, key] of used) {
    assert.ok(key in en, `${file}: ${key}`);
  }
  for (const beginning of beginnings()) {
    assert.ok(Object.keys(en).some((key) => key.startsWith(beginning)), beginning);
  }
});

test("no text is there in vain", () => {
  const used = new Set(keysUsed().map(([, key]) => key));
  const begun = beginnings();
  for (const key of Object.keys(en)) {
    assert.ok(used.has(key) || key.startsWith("error.") || begun.some((one) => key.startsWith(one)), key);
  }
});

test("each kind of error, refusal and trouble has its words", () => {
  for (const kind of ["insecure", "webrtc", "offline", "unreachable", "timeout", "busy", "name", "address", "status", "garbled", "socket"]) {
    assert.ok(`error.${kind}.title` in en && `error.${kind}.text` in en, kind);
  }
  for (const reason of ["full", "app", "locked", "kicked", "elsewhere"]) {
    assert.ok(`refused.${reason}.title` in en && `refused.${reason}.text` in en, reason);
  }
  for (const why of ["host", "unknown", "full", "invalid"]) {
    assert.ok(`refusal.${why}` in en, why);
  }
  for (const why of ["left", "lost", "kicked"]) {
    assert.ok(`status.${why}` in en, why);
  }
});

test("what is the matter with a device is said in words that there are, and what to do in this browser", () => {
  const agents = {
    app: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.50",
    ios: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
    iosOther: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/124.0 Mobile/15E148 Safari/604.1",
    android: "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36",
    firefox: "Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0",
    safari: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
    chrome: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 Edg/124.0",
  };
  for (const [browser, agent] of Object.entries(agents)) {
    assert.equal(browserOf(agent), browser, agent);
    assert.ok(`allow.${browser}` in en, browser);
    assert.equal(explain({ kinds: ["audio", "video"], name: "NotAllowedError" }, agent).how, `allow.${browser}`);
  }
  assert.equal(browserOf("something new"), "chrome");
  for (const name of [...TROUBLES, "SecurityError", "AbortError", "OverconstrainedError", "NewError"]) {
    for (const kinds of /** @type {("audio" | "video")[][]} */ ([["audio"], ["video"], ["audio", "video"]])) {
      const { what, how } = explain({ kinds, name }, agents.chrome);
      assert.ok(what in en, what);
      assert.ok(how === "" || how in en, how);
    }
  }
  assert.deepEqual(explain({ kinds: ["video"], name: "NewError" }, ""), { what: "device.other", how: "", values: { name: "NewError" }, which: "video" });
});

test("the language chosen is told to the server by a cookie of this site", () => {
  assert.equal(languageCookie("zh-CN", ""), "language=zh-CN; path=/; max-age=31536000; samesite=lax");
  assert.match(languageCookie("en", "/calls"), /path=\/calls\/;/);
});

test("values are filled in, an unknown key or value stays as it is, and a language that cannot be had changes nothing", async () => {
  const page = /** @type {any} */ ({ documentElement: { lang: "" }, querySelectorAll: () => [] });
  const texts = new Texts();
  globalThis.fetch = /** @type {any} */ (async () => ({ json: async () => ({ "status.joined": "{name} is {what}" }) }));
  await texts.use("zh-CN", page);
  assert.equal(page.documentElement.lang, "zh-CN");
  assert.equal(texts.other, "en");
  assert.equal(texts.get("status.joined", { name: "$& {what}" }), "$& {what} is {what}");
  assert.equal(texts.get("no.such"), "no.such");
  globalThis.fetch = async () => {
    throw new TypeError("network");
  };
  await texts.use("en", page);
  assert.equal(texts.language, "zh-CN");
  globalThis.fetch = /** @type {any} */ (async () => ({ json: async () => ({}) }));
  await texts.use("xx", page);
  assert.equal(texts.language, "en");
});
