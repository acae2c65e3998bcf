// @ts-check
/**
 * What pages say to each other over the data channel `rtcd`: state, chat, goodbye, files. Outlives the connection: `attach`
 * takes the next one's channel. What comes in wrong is ignored and counted; nothing throws.
 */

import { Files } from "./files.js";

/** The longest frame taken, in characters. */
export const MAX_FRAME = 16_384;
/** Nothing more is said while this much waits unsent. */
export const MAX_WAITING_BYTES = 1_000_000;
export const MAX_CHAT = 2_000;
/** So many frames a second are taken over time, and so many at once. */
export const FRAMES_PER_S = 20;
export const MAX_BURST = 100;

/**
 * @typedef {{audio: boolean, video: boolean, screen: boolean, hint: "detail" | "motion"}} MemberState
 *
 * @typedef {object} ChannelListener
 * @property {(state: MemberState) => void} state
 * @property {(text: string) => void} chat
 * @property {() => void} bye
 * @property {(event: import("./files.js").FileEvent) => void} file
 * @property {(label: string) => RTCDataChannel | null | undefined} make a channel on the current connection
 */

/** Our side of the talk with one page. */
export class Channel {
  /** How many frames and channels were wrong. */
  ignored = 0;
  #listener;
  /** @type {RTCDataChannel | null} */
  #dc = null;
  /** @type {MemberState | null} */
  #state = null;

  /** What they said last of their state. */
  #theirs = "";
  #allowed = MAX_BURST;
  #counted = 0;
  #now;

  /** @param {ChannelListener} listener @param {() => number} [now] in milliseconds */
  constructor(listener, now = () => performance.now()) {
    this.#now = now;
    this.#listener = listener;
    const send = (/** @type {object} */ frame) => this.#send(frame);
    this.files = new Files({ send, make: listener.make, event: listener.file, isOpen: () => this.isOpen });
  }

  get isOpen() {
    return this.#dc?.readyState === "open";
  }

  /**
   * Talk over this channel from now on. Files that ran over another one have failed; offers stand.
   * @param {RTCDataChannel} dc open, or about to open
   */
  attach(dc) {
    if (dc === this.#dc) {
      return;
    }
    this.#dc?.removeEventListener("message", this.#heard);
    this.#dc = dc;
    dc.addEventListener("message", this.#heard);
    dc.addEventListener("open", () => this.#announce());
    this.files.fail(false);
    this.#announce();
  }

  /** The other page is gone: files that have not come to an end have failed. */
  detach() {
    this.files.fail(true);
    this.#dc?.removeEventListener("message", this.#heard);
    this.#dc = null;
  }

  /** @param {MemberState} state ours; said again on each new channel */
  state(state) {
    this.#state = state;
    this.#announce();
  }

  /** @param {string} text cut after `MAX_CHAT` characters; false: it could not be said */
  say(text) {
    const plain = cleanText(text).slice(0, MAX_CHAT);
    return plain !== "" && this.#send({ t: "chat", text: plain });
  }

  bye() {
    return this.#send({ t: "bye" });
  }

  /** @param {RTCDataChannel} dc made by the other side, in the very event that brings it */
  incoming(dc) {
    this.ignored += Number(!this.files.incoming(dc));
  }

  #announce() {
    if (this.#state) {
      this.#send({ t: "state", ...this.#state });
    }
  }

  /** @param {object} frame */
  #send(frame) {
    try {
      if (this.#dc?.readyState === "open" && this.#dc.bufferedAmount < MAX_WAITING_BYTES) {
        this.#dc.send(JSON.stringify(frame));
        return true;
      }
    } catch (error) {
      console.debug("rtcd: not said", error);
    }
    return false;
  }

  #heard = (/** @type {MessageEvent} */ { data }) => {
    const now = this.#now();
    this.#allowed = Math.min(MAX_BURST, this.#allowed + ((now - this.#counted) * FRAMES_PER_S) / 1000);
    this.#counted = now;
    if (this.#allowed >= 1) {
      this.#allowed -= 1;
      this.ignored += Number(!this.#receive(parseFrame(data)));
    } else {
      this.ignored += 1;
    }
  };

  /** @param {Record<string, any>} frame */
  #receive({ t, ...frame }) {
    if (t === "state") {
      const { audio, video, screen, hint } = frame;
      const valid = [audio, video, screen].every((value) => typeof value === "boolean");
      const state = { audio, video, screen, hint: hint === "detail" ? hint : "motion" };
      const text = JSON.stringify(state);
      if (valid && text !== this.#theirs) {
        this.#theirs = text;
        this.#listener.state(/** @type {MemberState} */ (state));
      }
      return valid;
    }
    if (t === "chat") {
      const text = typeof frame.text === "string" && frame.text.length <= MAX_CHAT ? cleanText(frame.text) : "";
      text && this.#listener.chat(text);
      return text !== "";
    }
    if (t === "bye") {
      this.#listener.bye();
      return true;
    }
    return this.files.receive(t, frame);
  }
}

/**
 * @param {unknown} data
 * @returns {Record<string, any>} without anything in it if it is no frame
 */
export function parseFrame(data) {
  try {
    return (typeof data === "string" && data.length <= MAX_FRAME && JSON.parse(data)) || {};
  } catch {
    return {};
  }
}

/** @param {string} text of which control characters other than tabs and ends of lines are taken out */
function cleanText(text) {
  return text.replace(/\r\n?/g, "\n").replace(/[^\P{Cc}\n\t]/gu, "").trim();
}
