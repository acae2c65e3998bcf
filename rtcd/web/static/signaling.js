// @ts-check
/**
 * The WebSocket to the signalling server: open, register, send, and come back after it breaks.
 *
 * The server does not confirm a registration; it refuses one by an error frame followed by closing the socket (a page is
 * also sent
 * its room at once). A socket that breaks without such a frame is opened again, with growing pauses, and the same client
 * registers again;
 * what we meant to send meanwhile waits. Media does not depend on any of this.
 */

/** How long a socket may take to open; twice as long after one that took longer, which is often the load of all who try. */
const OPEN_TIMEOUT_MS = 6_000;
const MAX_DOUBLINGS = 2;
const FIRST_ATTEMPTS = 3;
const PAUSES_MS = [300, 1_000, 2_000, 4_000, 8_000];
/** How often "this client is connected already" is taken for our own dead socket before it is taken for a refusal. */
const DUPLICATES = 6;
/** A registration that is not refused for so long has been accepted. */
const SETTLE_MS = 1_000;
/** A socket that is back before is not worth a word. */
const LOST_MS = 1_500;
/** How long the server may take to answer a probe, and less where there is another sign; how long it may be silent unasked. */
const PROBE_MS = 2_500;
const SURE_MS = 1_500;
const SILENCE_MS = 30_000;
export const MAX_WAITING = 1_024;

/** Refusals of one socket or frame, not of the client: it may register again. */
const PASSING = /later|in time|receive error|queued|missing/i;
/** What a server says to a command that it does not know, and so to a probe. */
const UNKNOWN = /unexpected 'cmd'/i;

/** @typedef {ReturnType<typeof setTimeout> | undefined} Timer */

/**
 * @typedef {object} SignalingListener
 * @property {(text: string) => void} message a peer's message, in AppRTC's frame
 * @property {(event: any) => void} [room] what the server tells a page
 * @property {(again: boolean) => void} [registered] what we say is heard; `again`: what we said before may have been lost
 * @property {() => void} lost the socket broke; we are trying again
 * @property {() => void} restored a new socket is registered
 * @property {(reason: string) => void} refused the server does not know this client any more; a new seat is needed
 */

/** One client's connection to the signalling server. */
export class Signaling {
  #url;
  #listener;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {{room: string, client: string} | null} */
  #identity = null;
  /** Whether this client has been registered before, on another socket. */
  #again = false;
  #registered = false;
  #settled = false;
  #closed = false;
  #lost = false;
  #refusal = "";
  #attempts = 0;
  /** How many sockets in a row did not open in time. */
  #late = 0;
  #duplicates = 0;
  /** @type {object[]} */
  #waiting = [];
  /** @type {Timer} */
  #retryTimer;
  /** @type {Timer} */
  #settleTimer;
  /** @type {Timer} */
  #lostTimer;
  /** @type {Timer} */
  #probeTimer;
  /** @type {Timer} */
  #silenceTimer;

  /** @param {string} url @param {SignalingListener} listener */
  constructor(url, listener) {
    this.#url = url;
    this.#listener = listener;
  }

  /** Whether a message sent now goes straight out. */
  get open() {
    return this.#registered && this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Connect for the first time. Rejects after a few attempts. */
  async connect() {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#open();
        return;
      } catch (error) {
        if (this.#closed || attempt >= FIRST_ATTEMPTS) {
          throw error;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[attempt]));
      if (this.#closed) {
        throw new Error("closed");
      }
    }
  }

  /**
   * Say who we are. On a socket that has been used by another client a new one is opened, since a socket registers once;
   * what that client had still to say is forgotten.
   * @param {string} room
   * @param {string} client
   */
  register(room, client) {
    const other = this.#identity !== null;
    this.#identity = { room, client };
    this.#again = other;
    this.#attempts = 0;
    this.#duplicates = 0;
    if (other) {
      this.#waiting = [];
    }
    if (other || this.#socket?.readyState !== WebSocket.OPEN) {
      this.reconnect();
    } else {
      this.#introduce();
    }
  }

  /** Send a message to the other client of AppRTC; it waits if the socket is not there. @param {string} text */
  send(text) {
    this.command({ cmd: "send", msg: text });
  }

  /** Send any command, likewise. @param {object} command */
  command(command) {
    if (this.open) {
      this.#write(command);
    } else if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push(command);
    }
  }

  /** Make a new socket at once; the one there is, if any, may be dead without knowing it. */
  reconnect() {
    if (this.#identity !== null && !this.#closed) {
      this.#drop();
      this.#retryAtOnce();
    }
  }

  /** Find out at once whether the socket lives, and make another one if not. @param {boolean} [sure] with another sign of it */
  probe(sure = false) {
    if (this.#socket === null) {
      this.#retryAtOnce();
    } else if (this.open && !this.#probeTimer) {
      this.#probeTimer = setTimeout(() => this.reconnect(), sure ? SURE_MS : PROBE_MS);
      this.#write({ cmd: "ping" });
    }
  }

  /** Close for good. Resolves when the server has had all that was sent, or soon after. */
  async close() {
    this.#closed = true;
    this.#clearTimers();
    this.#stopWaiting();
    const socket = this.#socket;
    if (socket && socket.readyState <= WebSocket.OPEN) {
      const gone = new Promise((resolve) => {
        const timer = setTimeout(resolve, 1_000);
        socket.addEventListener("close", () => resolve(clearTimeout(timer)), { once: true });
      });
      socket.close(1000);
      await gone;
    }
  }

  /** @returns {Promise<void>} */
  #open() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.#url);
      this.#socket = socket;
      this.#registered = false;
      this.#refusal = "";
      const timeout = setTimeout(() => {
        reject(new Error("timeout"));
        this.#late += Number(socket === this.#socket);
        socket.onclose = null; // which may take its time
        socket.close();
        over();
      }, OPEN_TIMEOUT_MS << Math.min(this.#late, MAX_DOUBLINGS));
      socket.onopen = () => {
        this.#late = 0;
        clearTimeout(timeout);
        resolve();
      };
      socket.onmessage = (event) => socket === this.#socket && this.#receive(event.data);
      const over = () => {
        clearTimeout(timeout);
        reject(new Error("closed"));
        if (socket === this.#socket && !this.#closed) {
          this.#broken();
        }
      };
      socket.onclose = over;
      // One that the content security policy forbids is closed from the start and has no close event.
      socket.onerror = () => socket.readyState === WebSocket.CLOSED && over();
    });
  }

  #introduce() {
    const { room, client } = /** @type {{room: string, client: string}} */ (this.#identity);
    this.#write({ cmd: "register", roomid: room, clientid: client });
    this.#registered = true;
    this.#settled = false;
    for (const command of this.#waiting.splice(0)) {
      this.#write(command);
    }
    this.#settleTimer = setTimeout(() => this.#settle(), SETTLE_MS);
    this.#heard();
  }

  /** The registration has been accepted. */
  #settle() {
    clearTimeout(this.#settleTimer);
    if (this.#settled || !this.open || this.#refusal) {
      return;
    }
    const again = this.#again;
    this.#settled = this.#again = true;
    this.#attempts = 0;
    this.#duplicates = 0;
    this.#stopWaiting();
    this.#listener.registered?.(again);
    if (this.#lost) {
      this.#lost = false;
      this.#listener.restored();
    }
  }

  /** @param {any} data */
  #receive(data) {
    if (this.#closed) {
      return;
    }
    this.#heard();
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (frame?.error) {
      if (!UNKNOWN.test(frame.error)) {
        console.warn("rtcd: server:", frame.error);
        this.#refusal = String(frame.error);
      }
    } else if (typeof frame?.msg === "string" && frame.msg !== "") {
      this.#listener.message(frame.msg);
    } else if (frame?.room) {
      this.#settle();
      this.#listener.room?.(frame.room);
    }
  }

  /** The server lives; ask again only after a long silence. */
  #heard() {
    clearTimeout(this.#probeTimer);
    this.#probeTimer = undefined;
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => this.probe(), SILENCE_MS);
  }

  #broken() {
    this.#forget();
    if (this.#identity === null) {
      return;
    }
    if (/duplicated registration/i.test(this.#refusal) && this.#duplicates < DUPLICATES) {
      this.#duplicates += 1;
    } else if (this.#refusal && !PASSING.test(this.#refusal)) {
      this.#stopWaiting();
      this.#listener.refused(this.#refusal);
      return;
    }
    const pause = PAUSES_MS[Math.min(this.#attempts, PAUSES_MS.length - 1)];
    this.#attempts += 1;
    this.#retryTimer = setTimeout(() => this.#retryNow(), pause * (0.75 + Math.random() / 2));
  }

  #retryAtOnce() {
    this.#attempts = 0;
    this.#retryNow();
  }

  #retryNow() {
    clearTimeout(this.#retryTimer);
    if (this.#closed || this.#identity === null || this.#socket !== null) {
      return;
    }
    this.#open().then(
      () => this.#introduce(),
      () => {}, // onclose has seen to the next attempt
    );
  }

  #drop() {
    const socket = this.#socket;
    this.#forget();
    if (socket) {
      socket.onopen = socket.onclose = socket.onmessage = socket.onerror = null;
      socket.close(1000);
    }
  }

  /** The socket is no more; say so if none takes its place soon. */
  #forget() {
    this.#socket = null;
    this.#registered = false;
    this.#clearTimers();
    if (!this.#lost && !this.#lostTimer && this.#identity !== null) {
      this.#lostTimer = setTimeout(() => {
        this.#lostTimer = undefined;
        this.#lost = true;
        this.#listener.lost();
      }, LOST_MS);
    }
  }

  /** Nobody need be told that the socket is lost. */
  #stopWaiting() {
    clearTimeout(this.#lostTimer);
    this.#lostTimer = undefined;
  }

  #clearTimers() {
    for (const timer of [this.#retryTimer, this.#settleTimer, this.#probeTimer, this.#silenceTimer]) {
      clearTimeout(timer);
    }
    this.#probeTimer = undefined;
  }

  /** @param {object} command */
  #write(command) {
    this.#socket?.send(JSON.stringify(command));
  }
}
