import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import en from "../../rtcd/web/static/texts-en.js";
import zh from "../../rtcd/web/static/texts-zh-CN.js";
import { chooseLanguage } from "../../rtcd/web/static/texts.js";

const STATIC = new URL("../../rtcd/web/static/", import.meta.url);
const nothing = () => ({ getItem: () => null });

test("every text is there in both languages, with the same values to fill in", () => {
  assert.deepEqual(Object.keys(zh), Object.keys(en));
  const values = (/** @type {string} */ text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  for (const key of Object.keys(en)) {
    assert.deepEqual(values(zh[key]), values(en[key]), key);
    assert.notEqual(zh[key], "", key);
  }
});

test("every text that the page names is in the catalogue", async () => {
  const html = await readFile(new URL("index.html", STATIC), "utf8");
  const keys = [...html.matchAll(/data-(?:text|label)="([^"]+)"/g)].map((match) => match[1]);
  for (const file of await readdir(STATIC)) {
    if (file.endsWith(".js") && !file.startsWith("texts")) {
      const source = await readFile(new URL(file, STATIC), "utf8");
      keys.push(...[...source.matchAll(/"((?:status|invite|left|confirm|call|notice)\.[A-Za-z.]+)"/g)].map((match) => match[1]));
    }
  }
  assert.ok(keys.length > 60);
  for (const key of keys) {
    assert.ok(key in en, key);
  }
});

test("each kind of error and trouble has its words", () => {
  for (const kind of ["insecure", "webrtc", "offline", "unreachable", "timeout", "busy", "name", "address", "status", "garbled", "socket"]) {
    assert.ok(`error.${kind}.title` in en && `error.${kind}.text` in en, kind);
  }
  for (const name of ["NotAllowedError", "NotFoundError", "NotReadableError", "Insecure"]) {
    for (const which of ["both", "audio", "video"]) {
      assert.ok(`device.${name}.${which}` in en, name);
    }
  }
  assert.ok("device.Ended.audio" in en && "device.Ended.video" in en);
});

test("the language is the one chosen, else the browser's first that we have, else English", () => {
  assert.equal(chooseLanguage(["de-DE", "zh-TW", "en"], nothing), "zh-CN");
  assert.equal(chooseLanguage(["en-GB", "zh"], nothing), "en");
  assert.equal(chooseLanguage(["de"], nothing), "en");
  assert.equal(chooseLanguage(["en"], () => ({ getItem: () => "zh-CN" })), "zh-CN");
  assert.equal(chooseLanguage(["zh"], () => ({ getItem: () => "xx" })), "zh-CN");
  assert.equal(chooseLanguage(["zh"], () => { throw new Error("SecurityError"); }), "zh-CN");
});
