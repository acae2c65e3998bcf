import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { describe } from "../../rtcd/web/static/statistics.js";

/** Two looks at a real connection, taken a second apart. */
function looks(/** @type {string} */ browser) {
  return JSON.parse(readFileSync(new URL(`data/statistics-${browser}.json`, import.meta.url), "utf-8"));
}

for (const browser of ["chromium", "firefox"]) {
  test(`${browser}: media come by slot, with their rates`, () => {
    const { before, now } = looks(browser);
    const { media } = describe(before, now);
    assert.deepEqual(media.slice(0, 4).map(({ slot, direction }) => `${slot} ${direction}`),
      ["audio receive", "audio send", "video receive", "video send"]);
    assert.ok(media.slice(4).every(({ slot }) => slot.startsWith("screen")));
    const [heard, said, seen, shown] = media;
    assert.equal(heard.codec?.name, "opus");
    assert.equal(heard.codec?.clockRate, 48000);
    assert.equal(seen.codec?.name, "VP8");
    for (const one of [heard, said, seen, shown]) {
      assert.ok(Number(one.packetRate) > 1 && Number(one.packetRate) < 100, String(one.packetRate));
      assert.ok(Number(one.bitrate) > 500 && Number(one.bitrate) < 1e6, String(one.bitrate));
      assert.ok(Number(one.jitter) > 0 && Number(one.jitter) < 200, String(one.jitter));
      assert.equal(one.lost, 0);
    }
    assert.ok(Number(seen.height) >= 240 && seen.fps !== undefined);
    assert.deepEqual([seen.fir, seen.nack, seen.pli, seen.dropped], [0, 0, 0, 0]);
    assert.ok(heard.level !== undefined);
  });

  test(`${browser}: the pair in use has both ends, and candidates are counted`, () => {
    const { before, now } = looks(browser);
    const { pair, candidates } = describe(before, now);
    assert.equal(pair?.local.type, "host");
    assert.equal(pair?.local.protocol, "udp");
    assert.ok(pair?.local.address && pair.local.port && pair.remote.address && pair.remote.port);
    assert.ok(Number(pair?.rtt) >= 0 && Number(pair?.totalRtt) >= Number(pair?.rtt));
    assert.ok(candidates.local.host >= 2);
    assert.equal(Object.values(candidates.remote).length, 1);
  });
}

test("one look alone has no rates, and none at all is no error", () => {
  const { now } = looks("chromium");
  const [first] = describe([], now).media;
  assert.deepEqual([first.bitrate, first.packetRate, first.slot], [undefined, undefined, "audio"]);
  assert.equal(describe(now, now).media[0].bitrate, undefined, "no time has passed");
  assert.deepEqual(describe([], []).media, []);
  assert.equal(describe([], []).pair, null);
});

test("a counter that began again has no rate", () => {
  const { before, now } = looks("chromium");
  const fresh = now.map((/** @type {any} */ report) => ({ ...report, bytesReceived: 0 }));
  assert.equal(describe(before, fresh).media[0].bitrate, undefined);
});

test("a relayed pair says how the relay is spoken to", () => {
  const same = { port: 5, protocol: "udp", relayProtocol: "tls", url: "turns:x" };
  const { pair } = describe([], [
    { id: "P", type: "candidate-pair", selected: true, localCandidateId: "L", currentRoundTripTime: 0.05 },
    { id: "L", type: "local-candidate", ip: "192.0.2.1", candidateType: "relay", ...same },
  ]);
  const { address, type, port, protocol, relayProtocol, url } = pair?.local;
  assert.deepEqual({ address, type, port, protocol, relayProtocol, url }, { address: "192.0.2.1", type: "relay", ...same });
  assert.equal(pair?.remote, undefined);
  assert.equal(pair?.rtt, 50);
});

test("an app's sections have names of their own", () => {
  const { media } = describe([], [
    { id: "I", type: "inbound-rtp", kind: "video", mid: "video" },
    { id: "J", type: "inbound-rtp", kind: "audio", mid: "1" },
  ]);
  assert.deepEqual(media.map(({ slot }) => slot), ["audio", "video"]);
});

test("the states are those of the connection", () => {
  const states = { connection: "connected", signaling: "stable", gathering: "complete", ice: "completed" };
  const connection = /** @type {any} */ ({
    connectionState: "connected", signalingState: "stable", iceGatheringState: "complete", iceConnectionState: "completed",
  });
  assert.deepEqual(describe([], [], connection).states, states);
});
