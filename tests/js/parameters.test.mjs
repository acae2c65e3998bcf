import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { normalise, ownUrl, peerConfiguration, qrPath, roomOfPath, roomPath, shareLink, usableIceServers, warningKey } from "../../rtcd/web/static/parameters.js";

const en = JSON.parse(await readFile(new URL("../../rtcd/web/static/texts-en.json", import.meta.url), "utf8"));
const PAGE = { protocol: "https:", host: "call.example:8443", origin: "https://call.example:8443", search: "?it=relay" };

test("a URL of our own host takes the page's scheme, so that it is never mixed content", () => {
  assert.equal(ownUrl("ws://call.example:8443/ws", PAGE, true), "wss://call.example:8443/ws");
  assert.equal(ownUrl("http://call.example:8443/sig?a=1", PAGE), "https://call.example:8443/sig?a=1");
  assert.equal(ownUrl("/ws", PAGE, true), "wss://call.example:8443/ws");
});

test("a URL of another host keeps host and port and is raised to TLS on a page with TLS", () => {
  assert.equal(ownUrl("ws://other.example:8089/ws", PAGE, true), "wss://other.example:8089/ws");
  const plain = { protocol: "http:", host: "localhost", origin: "http://localhost" };
  assert.equal(ownUrl("ws://other.example:8089/ws", plain, true), "ws://other.example:8089/ws");
});

test("the link to share leads back to the origin that works here", () => {
  const own = { base: "", roomId: "abcde", roomLink: "https://call.example:8443/r/abcde?it=relay&x" };
  assert.equal(shareLink(own, "abcde", PAGE), own.roomLink);
  assert.equal(shareLink({ ...own, roomLink: "http://10.0.0.7/r/abcde" }, "abcde", PAGE), "https://call.example:8443/r/abcde?it=relay");
  assert.equal(shareLink(own, "other", PAGE), "https://call.example:8443/r/other?it=relay");
  assert.equal(shareLink({ ...own, roomLink: "rubbish" }, "abcde", PAGE), "https://call.example:8443/r/abcde?it=relay");
});

test("paths and room names turn into each other, also below a prefix", () => {
  for (const base of ["", "/calls"]) {
    assert.equal(roomOfPath(base, roomPath(base, "a-b_c", "")), "a-b_c");
    assert.equal(roomOfPath(base, `${base}/`), null);
  }
  assert.equal(roomOfPath("/calls", "/r/abcde"), null);
  assert.equal(roomOfPath("", "/r/%zz"), null);
});

test("iceTransports is iceTransportPolicy, and only relay restricts", () => {
  assert.equal(peerConfiguration({ iceTransports: "relay" }).iceTransportPolicy, "relay");
  assert.equal(peerConfiguration({ iceTransports: "none" }).iceTransportPolicy, "all");
  assert.ok(!("iceTransports" in peerConfiguration({ iceTransports: "relay" })));
  assert.equal(peerConfiguration({}).bundlePolicy, "max-bundle");
});

test("tt keeps TURN URLs of that transport and drops STUN and empty servers", () => {
  const servers = [
    { urls: ["turn:h:3478?transport=udp", "turn:h:3478?transport=tcp", "turns:h:443"], username: "u", credential: "c" },
    { urls: ["stun:h:3478"] },
    { urls: [] },
  ];
  assert.deepEqual(usableIceServers(servers, "tcp"), [
    { urls: ["turn:h:3478?transport=tcp", "turns:h:443?transport=tcp"], username: "u", credential: "c" },
  ]);
  assert.equal(usableIceServers(servers, "").length, 2);
});

test("what no browser would make a connection with is left out", () => {
  const given = [{ urls: "turn:h:3478" }, { urls: ["stun:s?transport=udp", "http://h", "turn:"], username: "u", credential: "p" }];
  assert.deepEqual(usableIceServers(given, ""), [{ urls: ["stun:s"], username: "u", credential: "p" }]);
  assert.deepEqual(peerConfiguration({ iceServers: given }).iceServers, [{ urls: ["stun:s"], username: "u", credential: "p" }]);
});

test("a server with one URL as text is taken, rubbish is none", () => {
  assert.deepEqual(usableIceServers([{ urls: "stun:h" }], ""), [{ urls: ["stun:h"] }]);
  assert.deepEqual(usableIceServers([{ urls: [7, ""] }], ""), []);
  assert.deepEqual(usableIceServers(/** @type {any} */ ({}), ""), []);
});

test("an empty object gives a page that still works", () => {
  const parameters = normalise({}, PAGE);
  assert.equal(parameters.wssUrl, "wss://call.example:8443/ws");
  assert.deepEqual(parameters.mediaConstraints, { audio: true, video: true });
  assert.equal(parameters.iceServerRequestUrl, "");
  assert.deepEqual(parameters.warningMessages, []);
});

test("the QR code carries the arguments of the link", () => {
  assert.equal(qrPath("", "a-b_c", ""), "/qr.svg?room=a-b_c");
  assert.equal(qrPath("/calls", "room1", "?it=relay&room=other"), "/calls/qr.svg?it=relay&room=room1");
});

test("the server's warnings are known by what they are about, and have words of ours", () => {
  const warnings = {
    'The "hd" parameter has overridden "video".': "warning.hd",
    'The "minre" and "maxre" parameters are no longer supported. Use "video" instead.': "warning.minre",
    'A link cannot choose a signalling server ("wshpp") here; the own one is used.': "warning.wshpp",
    'The ICE server provider of the link ("ts") is not allowed here; the own one is used.': "warning.ts",
  };
  for (const [text, key] of Object.entries(warnings)) {
    assert.equal(warningKey(text), key);
    assert.ok(key in en, key);
  }
  assert.equal(warningKey("The operator has something to say."), undefined);
});
