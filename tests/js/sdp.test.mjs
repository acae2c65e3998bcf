import assert from "node:assert/strict";
import { test } from "node:test";
import { incoming, outgoing, sameRole } from "../../rtcd/web/static/sdp.js";

const SDP = [
  "v=0", "s=-", "t=0 0",
  "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 9", "c=IN IP4 0.0.0.0", "a=mid:0",
  "a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:0 PCMU/8000", "a=rtpmap:9 G722/8000",
  "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 101", "c=IN IP4 0.0.0.0", "a=mid:1",
  "a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96", "a=rtpmap:98 VP9/90000",
  "a=rtpmap:99 red/90000", "a=rtpmap:100 rtx/90000", "a=fmtp:100 apt=99", "a=rtpmap:101 ulpfec/90000", "a=rtcp-fb:99 nack",
  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:2", "",
].join("\r\n");

const args = (/** @type {string} */ query) => new URLSearchParams(query);
const lines = (/** @type {string} */ sdp) => sdp.split("\r\n");

test("without arguments a description stays as it is, byte for byte", () => {
  assert.equal(outgoing(SDP, args("")), SDP);
  assert.equal(incoming(SDP, args("")), SDP);
});

test("a preferred codec comes first, with or without its rate, in any case", () => {
  assert.ok(lines(outgoing(SDP, args("vrc=vp9"))).includes("m=video 9 UDP/TLS/RTP/SAVPF 98 96 97 99 100 101"));
  assert.ok(lines(incoming(SDP, args("asc=PCMU/8000"))).includes("m=audio 9 UDP/TLS/RTP/SAVPF 0 111 9"));
  assert.equal(incoming(SDP, args("asc=nonesuch")), SDP);
});

test("a browser that chooses codecs itself gets descriptions as they are", () => {
  assert.equal(outgoing(SDP, args("vrc=VP9&arc=PCMU"), { preferences: true }), SDP);
  assert.equal(incoming(SDP, args("vsc=VP9&asc=PCMU"), { codec: true }), SDP);
  assert.notEqual(incoming(SDP, args("vsc=VP9"), { preferences: true }), SDP);
});

test("bit rates stand after the connection line of their own medium", () => {
  const edited = lines(outgoing(SDP, args("asbr=1&vsbr=2&arbr=32&vrbr=800")));
  assert.equal(edited[edited.indexOf("b=AS:32") - 1], "c=IN IP4 0.0.0.0");
  assert.ok(edited.indexOf("b=AS:32") < edited.indexOf("b=AS:800"));
  assert.ok(!edited.includes("b=AS:1"));
  const limits = args("arbr=32&vrbr=8");
  assert.equal(outgoing(SDP.replaceAll("c=IN", "b=AS:7\r\nc=IN"), limits), outgoing(SDP, limits), "one that was there goes");
  assert.equal(incoming(SDP, args("asbr=20&vsbr=30")), SDP, "which senders are told");
  assert.equal(outgoing(SDP, args("arbr=-1&vrbr=many")), SDP);
});

test("the initial video rate does not exceed the limit", () => {
  const edited = lines(incoming(SDP, args("vsibr=900&vsbr=500")));
  assert.ok(edited.includes("a=fmtp:96 x-google-min-bitrate=500;x-google-max-bitrate=500"));
  assert.ok(lines(incoming(SDP, args("vsibr=300&vsc=VP9"), { codec: true }))
    .includes("a=fmtp:98 x-google-min-bitrate=300;x-google-max-bitrate=300"), "on the codec that is sent");
});

test("options of Opus are set and removed", () => {
  const edited = lines(incoming(SDP, args("stereo=true&opusfec=false&opusdtx=true&opusmaxpbr=16000")));
  assert.ok(edited.includes("a=fmtp:111 minptime=10;stereo=1;usedtx=1;maxplaybackrate=16000"));
});

test("videofec=false takes RED, ULPFEC and their retransmission out", () => {
  const edited = outgoing(SDP, args("videofec=false"));
  assert.ok(lines(edited).includes("m=video 9 UDP/TLS/RTP/SAVPF 96 97 98"));
  assert.ok(!/red|ulpfec|:100 |:99 /.test(edited));
  assert.ok(lines(edited).includes("a=fmtp:97 apt=96"));
});

test("a later offer keeps the roles in DTLS", () => {
  const [offer, active, passive] = ["actpass", "active", "passive"].map((role) => `v=0\r\na=setup:${role}\r\n`);
  const agreed = (/** @type {any} */ type, /** @type {string} */ local, /** @type {string} */ remote) => /** @type {any} */ ({
    currentLocalDescription: { type, sdp: local }, currentRemoteDescription: { sdp: remote } });
  assert.equal(sameRole(offer, agreed("answer", active, offer)), active);
  assert.equal(sameRole(offer, agreed("answer", passive, active)), passive);
  assert.equal(sameRole(offer, agreed("offer", offer, active)), passive);
  assert.equal(sameRole(offer, agreed("offer", active, passive)), active);
  assert.equal(sameRole(offer, { currentLocalDescription: null, currentRemoteDescription: null }), offer);
});
