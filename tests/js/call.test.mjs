import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Call } from "../../rtcd/web/static/call.js";

/** A socket that never opens. */
class DeadSocket {
  static OPEN = 1;
  static CLOSED = 3;
  readyState = 0;
  addEventListener(/** @type {string} */ name, /** @type {() => void} */ handler) {
    if (name === "close") {
      this.gone = handler;
    }
  }
  close() {
    this.readyState = 3;
    this.onclose?.();
    this.gone?.();
  }
}

globalThis.WebSocket = /** @type {any} */ (DeadSocket);
globalThis.addEventListener = () => {};
globalThis.removeEventListener = () => {};
globalThis.location = /** @type {any} */ ({ origin: "https://h", protocol: "https:", host: "h" });

/** @type {string[]} */
let requests;
/** @type {(initiator: boolean, more?: object) => void} */
let seat;

beforeEach(() => {
  requests = [];
  globalThis.fetch = /** @type {any} */ ((/** @type {string} */ url, /** @type {any} */ { method }) => {
    requests.push(`${method} ${url}`);
    return new Promise((resolve) => {
      if (url.startsWith("/join/")) {
        seat = (initiator, more = {}) => {
          const params = { client_id: "me", is_initiator: String(initiator), messages: [], ...more };
          resolve({ ok: true, text: async () => JSON.stringify({ result: "SUCCESS", params }) });
        };
      } else {
        resolve({ ok: true, text: async () => "" });
      }
    });
  });
});

function newCall(iceServerRequestUrl = "") {
  const parameters = { base: "", wssUrl: "wss://h/ws", wssPostUrl: "/sig", iceServerRequestUrl, peerConnectionConfig: {} };
  const media = { open: async () => {}, close: () => {} };
  const nothing = () => {};
  return new Call(
    /** @type {any} */ ({ room: "room1", query: "", parameters, media }),
    { phase: nothing, remoteTrack: nothing, remoteLeft: nothing, failed: nothing, trouble: nothing },
  );
}

test("a seat that comes after hanging up is given back; alone there is nobody to say bye to", async () => {
  const call = newCall();
  call.start();
  const gone = call.hangUp();
  assert.equal(call.phase, "left");
  seat(true);
  await gone;
  assert.deepEqual(requests, ["POST /join/room1", "POST /leave/room1/me", "DELETE /sig/room1/me"]);
});

test("one who was there already is told", async () => {
  const call = newCall();
  call.start();
  const gone = call.hangUp();
  seat(false);
  await gone;
  assert.deepEqual(requests, ["POST /join/room1", "POST /leave/room1/me", "POST /sig/room1/me", "DELETE /sig/room1/me"]);
});

test("ICE servers are asked for with the seat's own URL, as soon as there is a seat and without waiting for the socket", async () => {
  const call = newCall("https://h/v1alpha/iceconfig");
  call.start();
  await settled();
  assert.deepEqual(requests, ["POST /join/room1"]);
  seat(true, { ice_server_url: "http://h/v1alpha/iceconfig?room=room1&client=me" });
  await settled();
  assert.deepEqual(requests, ["POST /join/room1", "POST https://h/v1alpha/iceconfig?room=room1&client=me"]);
  await call.hangUp();
});

test("a join answer that says nothing of ICE servers leaves the page's URL in force, an empty one means none", async () => {
  for (const [more, asked] of [[{}, ["POST https://h/ice"]], [{ ice_server_url: "" }, []]]) {
    requests = [];
    const call = newCall("https://h/ice");
    call.start();
    await settled();
    seat(true, /** @type {any} */ (more));
    await settled();
    assert.deepEqual(requests.slice(1), asked);
    await call.hangUp();
  }
});

/** Let everything that waits for nothing outside happen. */
function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}
