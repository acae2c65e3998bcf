import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { abilities, isAllowed, isRelayed, preferred, tune } from "../../rtcd/web/static/codecs.js";

const args = (/** @type {string} */ query) => new URLSearchParams(query);
const VP8 = { mimeType: "video/VP8", clockRate: 90000 };
const VP9 = { mimeType: "video/VP9", clockRate: 90000 };
const OPUS = { mimeType: "audio/opus", clockRate: 48000, channels: 2 };

/** @returns {any} */
const parameters = (/** @type {any} */ encoding = {}) => ({ encodings: [encoding], codecs: [VP8, VP9, OPUS] });
/** @returns {any} */
const camera = (/** @type {number} */ width, /** @type {number} */ height) => ({ getSettings: () => ({ width, height }) });
const usual = { slot: "video", track: null, limits: {}, args: args(""), codec: false };
const wanted = (/** @type {any} */ more) => ({ ...usual, ...more });

/** What becomes of an encoding. */
function tuned(/** @type {any} */ more, /** @type {any} */ encoding = {}) {
  const given = parameters({ ...encoding });
  tune(given, wanted(more));
  return given.encodings[0];
}

afterEach(() => {
  for (const name of ["RTCPeerConnection", "RTCRtpTransceiver"]) {
    delete (/** @type {any} */ (globalThis)[name]);
  }
});

test("a browser chooses codecs itself if it looks for what it is told", () => {
  assert.deepEqual(abilities(args("")), { codec: false, preferences: false, revives: true });
  let reads = true;
  let closed = 0;
  class Connection {
    addTransceiver(/** @type {string} */ _kind, /** @type {any} */ init) {
      return reads ? init.sendEncodings[0].codec : null;
    }
    close() {
      closed += 1;
    }
  }
  class Transceiver {
    setCodecPreferences() {}
  }
  Object.assign(globalThis, { RTCPeerConnection: Connection, RTCRtpTransceiver: Transceiver });
  assert.deepEqual(abilities(args("vsc=VP9")), { codec: true, preferences: true, revives: true });
  reads = false;
  assert.deepEqual(abilities(args("asc=opus")), { codec: false, preferences: true, revives: true });
  assert.equal(closed, 2);
  assert.equal(abilities(args("")).codec, false);
  assert.equal(closed, 2, "nobody asked");
});

test("the preferred codec comes first, with or without its rate, in any case", () => {
  assert.deepEqual(preferred([VP8, VP9], "vp9"), [VP9, VP8]);
  assert.deepEqual(preferred([VP8, VP9], "VP9/90000"), [VP9, VP8]);
  assert.equal(preferred([VP8], "VP9"), null);
});

test("the lower of the link's rate and the limit counts, for sound only the link's", () => {
  assert.equal(tuned({ limits: { video: 500_000 } }).maxBitrate, 500_000);
  assert.equal(tuned({ limits: { video: 500_000 }, args: args("vsbr=200") }).maxBitrate, 200_000);
  assert.equal(tuned({ limits: { video: 500_000 }, args: args("vsbr=900") }).maxBitrate, 500_000);
  assert.equal(tuned({ slot: "screen", limits: { video: 1, screen: 700_000 } }).maxBitrate, 700_000);
  assert.equal(tuned({ slot: "audio", limits: { video: 1 }, args: args("asbr=20&vsbr=1") }).maxBitrate, 20_000);
  assert.ok(!("maxBitrate" in tuned({}, { maxBitrate: 1 })), "a limit that is lifted goes");
  assert.equal(tuned({ args: args("vsbr=many") }).maxBitrate, undefined);
});

test("a picture is made smaller by its shorter side, never larger, and a screen not at all", () => {
  const limits = { height: 360 };
  const scale = (/** @type {any} */ track, slot = "video") => tuned({ slot, track, limits }).scaleResolutionDownBy;
  assert.equal(scale(camera(1280, 720)), 2);
  assert.equal(scale(camera(720, 1280)), 2);
  assert.equal(scale(camera(320, 240)), 1);
  assert.equal(scale(camera(3840, 2160), "screen"), 1);
  assert.equal(scale(null), 1);
  assert.equal(tuned({ track: camera(1280, 720) }).scaleResolutionDownBy, 1);
  assert.ok(!("scaleResolutionDownBy" in tuned({ slot: "audio" })));
});

test("the microphone goes first, and dscp marks everything", () => {
  assert.equal(tuned({ slot: "audio" }).priority, "high");
  assert.equal(tuned({ slot: "screenAudio" }).priority, "low");
  assert.equal(tuned({}).networkPriority, undefined);
  assert.equal(tuned({ args: args("dscp=true") }).networkPriority, "high");
});

test("the codec to send is one that was negotiated, and is chosen once", () => {
  assert.equal(tuned({ args: args("vsc=vp9"), codec: true }).codec, VP9);
  assert.equal(tuned({ slot: "audio", args: args("asc=opus/48000&vsc=VP9"), codec: true }).codec, OPUS);
  assert.equal(tuned({ args: args("vsc=AV1"), codec: true }).codec, undefined);
  assert.equal(tuned({ args: args("vsc=vp9") }).codec, undefined);
  const given = parameters();
  const asked = wanted({ args: args("vsc=vp9"), codec: true, limits: { video: 1000 } });
  assert.equal(tune(given, asked), true);
  assert.equal(tune(given, asked), false, "nothing left to change");
});

test("a sender without encodings gets one", () => {
  const given = /** @type {any} */ ({ encodings: [] });
  assert.equal(tune(given, wanted({ limits: { video: 1000 } })), true);
  assert.equal(given.encodings[0].maxBitrate, 1000);
});

test("candidates are told apart by address and type", () => {
  const six = "candidate:1 1 udp 1 2001:db8::1 5000 typ host";
  const four = "candidate:1 1 udp 1 192.0.2.1 5000 typ relay raddr 0.0.0.0 rport 0";
  assert.equal(isAllowed(six, args("")), true);
  assert.equal(isAllowed(six, args("ipv6=false")), false);
  assert.equal(isAllowed(four, args("ipv6=false")), true);
  assert.deepEqual([isRelayed(six), isRelayed(four), isRelayed("x typ relay")], [false, true, true]);
});
