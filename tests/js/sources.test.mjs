import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

const STATIC = new URL("../../rtcd/web/static/", import.meta.url);

test("nothing is written that loses its effect when the wheel's scripts are shortened", async () => {
  for (const file of await readdir(STATIC)) {
    if (file.endsWith(".js")) {
      // tdewolff-minify 2.24 takes `void (a && b())` for a constant, and leaves out the call.
      assert.doesNotMatch(await readFile(new URL(file, STATIC), "utf8"), /\bvoid\s*\(/, file);
    }
  }
});
