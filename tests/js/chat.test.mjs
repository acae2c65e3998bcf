import assert from "node:assert/strict";
import { test } from "node:test";
import { pieces, sizeText } from "../../rtcd/web/static/chat.js";

const links = (/** @type {string} */ text) =>
  pieces(text)
    .filter(({ link }) => link)
    .map((piece) => piece.text);

test("a text comes out as it went in", () => {
  for (const text of [
    "",
    "plain",
    "<b>x</b>",
    "see https://a.example/x, ok",
    "https://a.example",
    "a\nhttp://b.example\nc",
  ]) {
    assert.equal(
      pieces(text)
        .map((piece) => piece.text)
        .join(""),
      text,
    );
  }
});

test("the stop at the end of a sentence is no part of the address", () => {
  assert.deepEqual(links("See https://a.example/x?y=1&z=(2), and http://b.example."), [
    "https://a.example/x?y=1&z=(2)",
    "http://b.example",
  ]);
  assert.deepEqual(links("(https://a.example/x)"), ["https://a.example/x"]);
  assert.deepEqual(links("看 https://a.example/文档。谢谢"), ["https://a.example/文档"]);
});

test("only http and https become links", () => {
  assert.deepEqual(links("javascript:alert(1) data:text/html,x ftp://a.example file:///etc https://"), []);
});

test("sizes are readable", () => {
  assert.equal(sizeText(0, "en"), "0 B");
  assert.equal(sizeText(999, "en"), "999 B");
  assert.equal(sizeText(22_000, "en"), "22 kB");
  assert.equal(sizeText(4_250_000, "en"), "4.3 MB");
  assert.equal(sizeText(200_000_000, "en"), "200 MB");
});
