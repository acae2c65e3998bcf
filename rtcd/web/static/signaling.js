// @ts-check
/**
 * The WebSocket to the signalling server: open, register, send, and come back after it breaks.
 *
 * The server does not confirm a registration; it only refuses one, by an error frame followed by closing the socket. A socket that
 * breaks without such a frame is opened again, with growing pauses, and the same client registers again; what we meant to send
 * meanwhile waits. Media does not depend on any of this.
 */

const OPEN_TIMEOUT_MS = 6_000;
const FIRST_ATTEMPTS = 3;
const PAUSES_MS = [300, 1_000, 2_000, 4_000, 8_000];
/** How often "this client is connected already" is taken for our own dead socket before it is taken for a refusal. */
const DUPLICATES = 6;
const MAX_WAITING = 1_024;

/**
 * @typedef {object} SignalingListener
 * @property {(text: string) => void} message a peer's message
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
  #registered = false;
  #closed = false;
  #lost = false;
  #refusal = "";
  #attempts = 0;
  #duplicates = 0;
  /** @type {string[]} */
  #waiting = [];
  #timer = 0;
  /** The network is back: a socket from before may be dead without knowing it. */
  #wake = () => {
    if (this.#identity !== null && !this.#closed) {
      this.#attempts = 0;
      this.#drop();
      this.#retryNow();
    }
  };

  /**
   * @param {string} url
   * @param {SignalingListener} listener
   */
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
    globalThis.addEventListener("online", this.#wake);
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
   * Say who we are. On a socket that has been used by another client a new one is opened, since a socket registers once.
   * @param {string} room
   * @param {string} client
   */
  register(room, client) {
    const again = this.#identity !== null;
    this.#identity = { room, client };
    this.#waiting = [];
    this.#attempts = 0;
    this.#duplicates = 0;
    if (again || this.#socket?.readyState !== WebSocket.OPEN) {
      this.#drop();
      this.#retryNow();
    } else {
      this.#introduce();
    }
  }

  /**
   * Send a peer message; it waits if the socket is not there.
   * @param {string} text
   */
  send(text) {
    if (this.open) {
      this.#write({ cmd: "send", msg: text });
    } else if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push(text);
    }
  }

  /** Close for good. Resolves when the server has had all that was sent, or soon after. */
  async close() {
    this.#closed = true;
    globalThis.removeEventListener("online", this.#wake);
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket && socket.readyState <= WebSocket.OPEN) {
      const gone = new Promise((resolve) => {
        socket.addEventListener("close", resolve, { once: true });
        setTimeout(resolve, 1_000);
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
        socket.close();
      }, OPEN_TIMEOUT_MS);
      socket.onopen = () => {
        clearTimeout(timeout);
        resolve();
      };
      socket.onmessage = (event) => this.#receive(event.data);
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
    for (const text of this.#waiting.splice(0)) {
      this.#write({ cmd: "send", msg: text });
    }
  }

  /** @param {any} data */
  #receive(data) {
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (frame.error) {
      console.warn("rtcd: signalling server:", frame.error);
      this.#refusal = String(frame.error);
    } else if (typeof frame.msg === "string" && frame.msg !== "") {
      this.#listener.message(frame.msg);
    }
  }

  #broken() {
    this.#socket = null;
    this.#registered = false;
    if (this.#identity === null) {
      return;
    }
    if (/duplicated registration/i.test(this.#refusal) && this.#duplicates < DUPLICATES) {
      this.#duplicates += 1;
    } else if (this.#refusal) {
      this.#listener.refused(this.#refusal);
      return;
    }
    if (!this.#lost) {
      this.#lost = true;
      this.#listener.lost();
    }
    const pause = PAUSES_MS[Math.min(this.#attempts, PAUSES_MS.length - 1)];
    this.#attempts += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#retryNow(), pause * (0.75 + Math.random() / 2));
  }

  #retryNow() {
    clearTimeout(this.#timer);
    if (this.#closed || this.#identity === null || this.#socket !== null) {
      return;
    }
    this.#open().then(
      () => {
        this.#introduce();
        this.#settle();
      },
      () => {}, // onclose has seen to the next attempt
    );
  }

  /** A registration that is not refused within a moment has been accepted. */
  #settle() {
    const socket = this.#socket;
    setTimeout(() => {
      if (socket === this.#socket && socket?.readyState === WebSocket.OPEN && !this.#refusal) {
        this.#attempts = 0;
        this.#duplicates = 0;
        if (this.#lost) {
          this.#lost = false;
          this.#listener.restored();
        }
      }
    }, 1_000);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#registered = false;
    if (socket) {
      socket.onclose = null;
      socket.onmessage = null;
      socket.onerror = null;
      socket.close(1000);
    }
  }

  /** @param {object} command */
  #write(command) {
    this.#socket?.send(JSON.stringify(command));
  }
}
