import assert from "node:assert/strict";
import { test } from "node:test";
import { placed } from "../../rtcd/web/static/peer.js";

test("a candidate is placed by its section's name, or by number if there is no section of that name", () => {
  const sdp = "v=0\r\nm=audio 9 x 1\r\na=mid:0\r\nm=video 9 x 2\r\na=mid:1\r\n";
  const named = { candidate: "c", sdpMid: "1", sdpMLineIndex: 1 };
  assert.deepEqual(placed(named, sdp), named);
  assert.deepEqual(placed({ ...named, sdpMid: "video" }, sdp), { ...named, sdpMid: null });
  assert.deepEqual(placed({ ...named, sdpMid: undefined }, sdp), { ...named, sdpMid: null });
});
