import assert from "node:assert/strict";
import { test } from "node:test";
import { Channel } from "../../rtcd/web/static/channel.js";
import {
  CHUNK_BYTES, cleanName, MAX_BUFFERED_BYTES, MAX_FILE_BYTES, MAX_NAME, MAX_OFFERS, MAX_OPEN,
} from "../../rtcd/web/static/files.js";

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** One end of a data channel; what is sent leaves at `flow` bytes a turn. */
class FakeChannel extends EventTarget {
  readyState = "open";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  highest = 0;
  flow = 400_000;
  /** @type {FakeChannel | null} */
  other = null;
  onopen = /** @type {any} */ (null);
  onmessage = /** @type {any} */ (null);
  onclose = /** @type {any} */ (null);
  onbufferedamountlow = /** @type {any} */ (null);
  #waiting = /** @type {any[]} */ ([]);
  constructor(/** @type {string} */ label) {
    super();
    this.label = label;
  }
  /** @param {string | Uint8Array} data */
  send(data) {
    assert.equal(this.readyState, "open");
    this.#waiting.push(typeof data === "string" ? data : data.slice().buffer);
    this.bufferedAmount += data.length;
    this.highest = Math.max(this.highest, this.bufferedAmount);
    if (this.#waiting.length === 1) {
      setImmediate(() => this.#drain());
    }
  }
  #drain() {
    const before = this.bufferedAmount;
    for (let gone = 0; this.#waiting.length && gone < this.flow && this.readyState === "open"; ) {
      const data = this.#waiting.shift();
      gone += data.length ?? data.byteLength;
      this.bufferedAmount -= data.length ?? data.byteLength;
      this.other?.arrive(data);
    }
    if (before > this.bufferedAmountLowThreshold && this.bufferedAmount <= this.bufferedAmountLowThreshold) {
      this.onbufferedamountlow?.();
    }
    if (this.#waiting.length && this.readyState === "open") {
      setImmediate(() => this.#drain());
    }
  }
  /** @param {any} data */
  arrive(data) {
    this.onmessage?.({ data });
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }
  close() {
    for (const end of [this, this.other]) {
      if (end && end.readyState !== "closed") {
        end.readyState = "closed";
        setImmediate(() => end.onclose?.());
      }
    }
  }
}

/** @param {string} label */
function wire(label) {
  const ends = [new FakeChannel(label), new FakeChannel(label)];
  [ends[0].other, ends[1].other] = [ends[1], ends[0]];
  return ends;
}

/** Two pages that talk; `made` are the senders' ends of channels for files. */
function pages() {
  const made = /** @type {FakeChannel[]} */ ([]);
  const events = [/** @type {any[]} */ ([]), /** @type {any[]} */ ([])];
  const channels = [0, 1].map((side) => new Channel({
    state: () => {}, chat: () => {}, bye: () => {},
    file: (event) => events[side].push(event),
    make: (label) => {
      const [near, far] = wire(label);
      made.push(near);
      setImmediate(() => channels[1 - side].incoming(/** @type {any} */ (far)));
      return /** @type {any} */ (near);
    },
  }));
  const connect = () => {
    const ends = wire("rtcd");
    channels.forEach((channel, side) => channel.attach(/** @type {any} */ (ends[side])));
    return ends;
  };
  const control = connect();
  const last = (/** @type {number} */ side, /** @type {string} */ id) => events[side].filter((event) => event.id === id).at(-1);
  return { a: channels[0], b: channels[1], events, made, control, connect, last };
}

/** @param {() => unknown} condition */
async function until(condition) {
  for (let turns = 0; turns < 5_000; turns += 1) {
    if (condition()) {
      return;
    }
    await turn();
  }
  assert.fail("it never came to that");
}

const pattern = new Uint8Array(5_000_001).map((_, index) => (index * 7) % 251);
const bytesOf = (/** @type {number} */ size) => pattern.subarray(0, size);
const fileOf = (/** @type {number} */ size, name = "a.bin", type = "image/png") => new File([bytesOf(size)], name, { type });

test("a file that is taken arrives as it was", async () => {
  const { a, b, events, last, made } = pages();
  const size = 5_000_001;
  const id = String(a.files.offer(fileOf(size)));
  await until(() => last(1, id));
  const offer = { id, name: "a.bin", size, type: "image/png" };
  assert.deepEqual(last(1, id), { ...offer, direction: "in", status: "offered", bytes: 0 });
  assert.equal(b.files.take(id), true);
  await until(() => last(0, id).status === "done");
  const { blob, bytes, status } = last(1, id);
  assert.deepEqual([status, bytes, blob.size, blob.type], ["done", size, size, "image/png"]);
  assert.ok(Buffer.from(await blob.arrayBuffer()).equals(Buffer.from(bytesOf(size))));
  assert.ok(events[0].length > 10 && events[0].length < 110, String(events[0].length));
  assert.equal(made[0].label, `file:${id}`);
});

test("a slow receiver holds the sender back", async () => {
  const { a, b, last, made } = pages();
  const id = String(a.files.offer(fileOf(4_000_000)));
  await until(() => last(1, id));
  b.files.take(id);
  await until(() => made[0]);
  made[0].flow = CHUNK_BYTES;
  await until(() => last(0, id).status === "done");
  assert.ok(made[0].highest <= MAX_BUFFERED_BYTES && made[0].highest > MAX_BUFFERED_BYTES / 2, String(made[0].highest));
});

test("a file of nothing is done when it is taken", async () => {
  const { a, b, last, made } = pages();
  const id = String(a.files.offer(fileOf(0)));
  await until(() => last(1, id));
  b.files.take(id);
  await until(() => last(0, id).status === "done");
  assert.deepEqual([last(1, id).blob.size, made.length], [0, 0]);
});

test("what is refused is not sent", async () => {
  const { a, b, last, made } = pages();
  const id = String(a.files.offer(fileOf(10)));
  await until(() => last(1, id));
  b.files.refuse(id);
  await until(() => last(0, id).status === "refused");
  assert.deepEqual([last(1, id).status, b.files.take(id), made.length], ["refused", false, 0]);
});

test("either side stops what is offered or running", async () => {
  for (const stopper of [0, 1]) {
    for (const running of [false, true]) {
      const { a, b, last, made } = pages();
      const id = String(a.files.offer(fileOf(3_000_000)));
      await until(() => last(1, id));
      if (running) {
        b.files.take(id);
        await until(() => last(1, id).bytes > 0);
      }
      [a, b][stopper].files.stop(id);
      await until(() => last(0, id).status === "stopped" && last(1, id).status === "stopped");
      assert.ok(made.every(({ readyState }) => readyState === "closed"));
      assert.equal(last(1, id).blob, undefined);
    }
  }
});

test("a channel that closes midway is a failure on both sides", async () => {
  const { a, b, last, made } = pages();
  const id = String(a.files.offer(fileOf(3_000_000)));
  await until(() => last(1, id));
  b.files.take(id);
  await until(() => last(1, id).bytes > 0);
  made[0].close();
  await until(() => last(0, id).status === "failed" && last(1, id).status === "failed");
});

test("everything sent is not yet everything received: without the connection it has failed", async () => {
  const { a, b, last, made, control } = pages();
  const id = String(a.files.offer(fileOf(100)));
  await until(() => last(1, id));
  b.files.take(id);
  await until(() => made[0]);
  /** @type {any} */ (made[0]).other.arrive = () => {};
  await until(() => made[0].bufferedAmount === 0);
  control.forEach((end) => end.close());
  made[0].close();
  await until(() => last(0, id).status === "failed");
});

test("a new connection fails what runs and keeps what is offered; the end of the member fails all", async () => {
  const { a, b, last, connect } = pages();
  const [running, offered] = [String(a.files.offer(fileOf(3_000_000))), String(a.files.offer(fileOf(20)))];
  await until(() => last(1, offered));
  b.files.take(running);
  await until(() => last(1, running).bytes > 0);
  connect();
  await until(() => last(0, running).status === "failed" && last(1, running).status === "failed");
  b.files.take(offered);
  await until(() => last(0, offered).status === "done");
  const late = String(a.files.offer(fileOf(20)));
  a.detach();
  assert.equal(last(0, late).status, "failed");
});

test("nothing is received that was not taken", async () => {
  const { b, last, control } = pages();
  control[0].send('{"t":"file","id":"0123abcd","name":"a","size":4}');
  await until(() => last(1, "0123abcd"));
  for (const label of ["file:0123abcd", "file:ffffffff", "file:", "other"]) {
    const [near, far] = wire(label);
    b.incoming(/** @type {any} */ (far));
    assert.equal(near.readyState, "closed");
  }
  assert.equal(b.ignored, 4);
  assert.equal(last(1, "0123abcd").status, "offered");
});

test("more than was said, text, or a second channel ends it", async () => {
  for (const send of [new Uint8Array(5), "text", new Uint8Array(0)]) {
    const { b, last, control } = pages();
    control[0].send('{"t":"file","id":"0123abcd","name":"a","size":4}');
    await until(() => last(1, "0123abcd"));
    b.files.take("0123abcd");
    const [near, far] = wire("file:0123abcd");
    const [, second] = wire("file:0123abcd");
    b.incoming(/** @type {any} */ (far));
    b.incoming(/** @type {any} */ (second));
    assert.equal(second.readyState, "closed");
    near.send(send);
    await until(() => last(1, "0123abcd").status === "failed");
    assert.equal(near.readyState, "closed");
  }
});

test("a file that becomes shorter or cannot be read fails for both", async () => {
  const unreadable = { arrayBuffer: () => Promise.reject(new DOMException("", "NotReadableError")) };
  for (const slice of [() => new Blob(["x"]), () => unreadable]) {
    const { a, b, last } = pages();
    const id = String(a.files.offer(/** @type {any} */ ({ name: "a", size: 100, type: "", slice })));
    await until(() => last(1, id));
    b.files.take(id);
    await until(() => last(0, id).status === "failed" && !["offered", "running"].includes(last(1, id).status));
  }
});

test("offers that are too large or wrong are not taken in, and none larger is made", async () => {
  const { a, b, events, control } = pages();
  assert.equal(a.files.offer(/** @type {any} */ ({ name: "a", size: MAX_FILE_BYTES + 1, type: "" })), null);
  const sizes = [MAX_FILE_BYTES + 1, -1, 1.5, "1", null, 1e300];
  sizes.forEach((size, index) => control[0].send(JSON.stringify({ t: "file", id: `0000000${index}`, name: "a", size })));
  control[0].send('{"t":"file","id":"0123ABCD","name":"a","size":4}');
  control[0].send('{"t":"file","id":"0123abcd","name":7,"size":4}');
  await until(() => b.ignored === sizes.length + 2);
  assert.deepEqual(events, [[], []]);
  assert.ok(a.files.offer(/** @type {any} */ ({ name: "a", size: MAX_FILE_BYTES, type: "" })));
});

test("an offer beyond the limit is not made, and refused when it comes", async () => {
  const { a, b, events, control, last } = pages();
  const ids = Array.from({ length: MAX_OPEN + 1 }, () => a.files.offer(fileOf(10)));
  assert.equal(ids.filter((id) => id === null).length, 1);
  await until(() => events[1].length === MAX_OPEN);
  const answers = /** @type {any[]} */ ([]);
  control[0].addEventListener("message", (event) => answers.push(JSON.parse(/** @type {any} */ (event).data)));
  control[0].send('{"t":"file","id":"0123abcd","name":"a","size":4}');
  await until(() => answers.length);
  assert.deepEqual([answers, last(1, "0123abcd"), b.ignored], [[{ t: "refuse", id: "0123abcd" }], undefined, 1]);
});

test("what the other side may not say is ignored", async () => {
  const { a, b, control, last } = pages();
  const id = String(a.files.offer(fileOf(10)));
  await until(() => last(1, id));
  control[0].send(JSON.stringify({ t: "take", id })); // their own offer
  control[0].send(JSON.stringify({ t: "refuse", id }));
  control[0].send(JSON.stringify({ t: "file", id, name: "again", size: 4 }));
  await until(() => b.ignored === 3);
  control[0].send(JSON.stringify({ t: "stop", id: "ffffffff" })); // ended here meanwhile: no mistake
  await turn();
  assert.deepEqual([b.ignored, last(1, id).status], [3, "offered"]);
  assert.equal(a.files.offer(fileOf(10), id), null);
});

test("an id is not offered again, whatever became of it, and not without end", async () => {
  const { b, control, last } = pages();
  const say = (/** @type {object} */ frame) => control[1].arrive(JSON.stringify(frame));
  say({ t: "file", id: "0123abcd", name: "holiday.jpg", size: 12 });
  say({ t: "stop", id: "0123abcd" });
  say({ t: "file", id: "0123abcd", name: "invoice.exe", size: 99 });
  assert.deepEqual([last(1, "0123abcd").name, last(1, "0123abcd").status, b.ignored], ["holiday.jpg", "stopped", 1]);
  for (let offer = 1; offer <= MAX_OFFERS; offer += 1) {
    const id = offer.toString(16).padStart(8, "0");
    b.files.receive("file", { id, name: "a", size: 1 });
    b.files.receive("stop", { id });
  }
  assert.ok(last(1, (MAX_OFFERS - 1).toString(16).padStart(8, "0")));
  assert.equal(last(1, MAX_OFFERS.toString(16).padStart(8, "0")), undefined);
});

test("nobody to offer it to: no id", () => {
  const { a, control, events } = pages();
  control[0].readyState = "closed";
  assert.equal(a.files.offer(fileOf(10)), null);
  assert.deepEqual(events[0], []);
});

test("names are only names", () => {
  const cases = [
    ["a.txt", "a.txt"], ["../../etc/passwd", ".._.._etc_passwd"], ["C:\\a\\b.exe", "C:_a_b.exe"], ["a\u0000\n\u0085b", "ab"],
    ["photo\u202Egpj.exe", "photogpj.exe"], ["", "file"], ["..", "file"], [" . ", "file"],
    ["照片 1.png", "照片 1.png"], ["a\uD800b", "ab"],
  ];
  for (const [given, expected] of cases) {
    assert.equal(cleanName(given), expected);
  }
  assert.equal(cleanName(`${"x".repeat(300)}.tar`), `${"x".repeat(MAX_NAME - 4)}.tar`);
  assert.equal(cleanName("x".repeat(300)).length, MAX_NAME);
  const faces = cleanName(`x${"😀".repeat(100)}`);
  assert.ok(faces.length <= MAX_NAME);
  encodeURIComponent(faces); // throws if a character was cut in two
});

test("what could run when it is opened comes out as plain bytes", async () => {
  const plain = "application/octet-stream";
  const cases = [["text/html", plain], ["image/svg+xml", plain], ["<b>", plain], ["video/mp4", "video/mp4"]];
  for (const [type, expected] of cases) {
    const { a, b, last } = pages();
    const id = String(a.files.offer(/** @type {any} */ (new File(["abc"], "a", { type }))));
    await until(() => last(1, id));
    b.files.take(id);
    await until(() => last(1, id).status === "done");
    assert.equal(last(1, id).blob.type, expected);
  }
});
