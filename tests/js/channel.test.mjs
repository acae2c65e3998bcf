import assert from "node:assert/strict";
import { test } from "node:test";
import { Channel, FRAMES_PER_S, MAX_BURST, MAX_CHAT, MAX_FRAME, MAX_WAITING_BYTES, parseFrame } from "../../rtcd/web/static/channel.js";

/** A data channel that keeps what is sent. */
class FakeChannel extends EventTarget {
  readyState = "open";
  bufferedAmount = 0;
  sent = /** @type {any[]} */ ([]);
  send(/** @type {string} */ text) {
    this.sent.push(JSON.parse(text));
  }
  /** @param {any} data */
  arrive(data) {
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }
  open() {
    this.readyState = "open";
    this.dispatchEvent(new Event("open"));
  }
}

function make(now = () => 0) {
  const heard = /** @type {any[]} */ ([]);
  const channel = new Channel({
    state: (state) => heard.push(["state", state]),
    chat: (text) => heard.push(["chat", text]),
    bye: () => heard.push(["bye"]),
    file: ({ id, status }) => heard.push(["file", id, status]),
    make: () => null,
  }, now);
  const dc = /** @type {any} */ (new FakeChannel());
  channel.attach(dc);
  return { channel, dc, heard };
}

const STATE = /** @type {const} */ ({ audio: true, video: false, screen: false, hint: "detail" });

test("our state is said when the channel opens, at each change, and again on the next channel", () => {
  const { channel } = make();
  const dc = /** @type {any} */ (new FakeChannel());
  dc.readyState = "connecting";
  channel.attach(dc);
  channel.state(STATE);
  assert.deepEqual(dc.sent, []);
  dc.open();
  channel.state({ ...STATE, audio: false });
  assert.deepEqual(dc.sent, [{ t: "state", ...STATE }, { t: "state", ...STATE, audio: false }]);
  const next = /** @type {any} */ (new FakeChannel());
  channel.attach(next);
  dc.arrive('{"t":"bye"}');
  assert.deepEqual(next.sent, [{ t: "state", ...STATE, audio: false }]);
});

test("what the other page says is told", () => {
  const { channel, dc, heard } = make();
  dc.arrive(JSON.stringify({ t: "state", ...STATE, more: 1 }));
  dc.arrive(JSON.stringify({ t: "state", audio: true, video: true, screen: true, hint: "loud" }));
  dc.arrive(JSON.stringify({ t: "chat", text: " a\u0000\u0007b\r\nc\t \u0085" }));
  dc.arrive('{"t":"bye"}');
  dc.arrive('{"t":"file","id":"0123abcd","name":"a.txt","size":3,"type":"text/plain"}');
  assert.deepEqual(heard, [
    ["state", STATE], ["state", { audio: true, video: true, screen: true, hint: "motion" }], ["chat", "ab\nc"], ["bye"],
    ["file", "0123abcd", "offered"],
  ]);
  assert.equal(channel.ignored, 0);
});

test("what is wrong is ignored and counted", () => {
  const { channel, dc, heard } = make();
  const wrong = [
    "", "{", "null", "[]", "1", '"bye"', "{}", '{"t":"dance"}', '{"t":"__proto__"}', '{"t":["bye"]}', new ArrayBuffer(3),
    undefined,
    '{"t":"state"}', '{"t":"state","audio":1,"video":true,"screen":true,"hint":"detail"}',
    '{"t":"chat"}', '{"t":"chat","text":""}', '{"t":"chat","text":" \\n"}', '{"t":"chat","text":{}}',
    JSON.stringify({ t: "chat", text: "x".repeat(MAX_CHAT + 1) }), JSON.stringify({ t: "bye", x: "x".repeat(MAX_FRAME) }),
    '{"t":"take"}', '{"t":"take","id":"no"}', '{"t":"file","id":"0123abcd"}',
    '{"t":"file","id":"../../..","name":"a","size":1}',
  ];
  wrong.forEach((data) => dc.arrive(data));
  assert.deepEqual(heard, []);
  assert.equal(channel.ignored, wrong.length);
});

test("who says more than anybody would is heard no faster", () => {
  let now = 0;
  const { channel, dc, heard } = make(() => now);
  const said = (/** @type {number} */ count) => {
    for (let frame = 0; frame < count; frame += 1) {
      dc.arrive('{"t":"chat","text":"x"}');
    }
    return heard.length;
  };
  assert.equal(said(MAX_BURST + 50), MAX_BURST);
  assert.equal(channel.ignored, 50);
  now += 1_000;
  assert.equal(said(50), MAX_BURST + FRAMES_PER_S);
  now += 1_000_000;
  assert.equal(said(MAX_BURST + 1), 2 * MAX_BURST + FRAMES_PER_S);
});

test("a state that is no other one is told once, also on another channel", () => {
  const { channel, dc, heard } = make();
  const next = /** @type {any} */ (new FakeChannel());
  dc.arrive(JSON.stringify({ t: "state", ...STATE }));
  dc.arrive(JSON.stringify({ t: "state", ...STATE }));
  channel.attach(next);
  next.arrive(JSON.stringify({ t: "state", ...STATE }));
  next.arrive(JSON.stringify({ t: "state", ...STATE, audio: false }));
  assert.deepEqual(heard, [["state", STATE], ["state", { ...STATE, audio: false }]]);
});

test("a frame of the largest size is taken, one more is not", () => {
  const frame = (/** @type {number} */ length) => `{"t":"bye"}`.padEnd(length);
  assert.deepEqual(parseFrame(frame(MAX_FRAME)), { t: "bye" });
  assert.deepEqual(parseFrame(frame(MAX_FRAME + 1)), {});
});

test("chat is cut to what may be said, and nothing is not said", () => {
  const { channel, dc } = make();
  assert.equal(channel.say("x".repeat(MAX_CHAT + 50)), true);
  assert.equal(channel.say(" hello\n"), true);
  assert.equal(channel.say(" \n "), false);
  assert.deepEqual(dc.sent.map((/** @type {any} */ { text }) => text.length), [MAX_CHAT, 5]);
  assert.ok(JSON.stringify({ t: "chat", text: "\u2028".repeat(MAX_CHAT) }).length <= MAX_FRAME);
});

test("nothing is said where nobody hears it, where too much waits, or where the browser refuses", () => {
  const { channel, dc } = make();
  dc.bufferedAmount = MAX_WAITING_BYTES;
  assert.equal(channel.say("a"), false);
  dc.bufferedAmount = 0;
  dc.send = () => {
    throw new DOMException("", "OperationError");
  };
  assert.equal(channel.bye(), false);
  dc.readyState = "closed";
  assert.equal(channel.say("a"), false);
  channel.detach();
  channel.state(STATE);
  assert.deepEqual([channel.say("a"), channel.bye(), channel.isOpen], [false, false, false]);
  assert.equal(new Channel(/** @type {any} */ ({})).say("a"), false);
});
