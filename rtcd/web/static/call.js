// @ts-check
/**
 * One person's call in one room, from joining to hanging up: joins the room, keeps the signalling connection, and makes one peer
 * connection after the other as people come and go. Knows no HTML; tells a listener what happens.
 */

import { BYE, parseMessage, storedMessages } from "./messages.js";
import { usableIceServers } from "./parameters.js";
import { Peer } from "./peer.js";
import { RequestError, RoomServer } from "./room.js";
import { Signaling } from "./signaling.js";

const DISCONNECTED_MS = 2_000;
const RESTART_EVERY_MS = 8_000;
const REJOIN_PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000];
/** A seat of ours that the server still holds is free after its grace time; so long a full room may be our own ghost. */
const REJOIN_FULL_MS = 40_000;
const ICE_FRESH_MS = 300_000;
const RESEND_PAUSES_MS = [500, 2_000, 4_000];
const MAX_EARLY = 1_100;

/**
 * @typedef {"idle" | "joining" | "waiting" | "connecting" | "connected" | "full" | "failed" | "left"} Phase
 *
 * waiting: nobody else is in the room · connecting: somebody is, media is on its way · failed: see the `failed` event.
 */

/**
 * @typedef {object} CallListener
 * @property {(phase: Phase) => void} phase
 * @property {(track: MediaStreamTrack) => void} remoteTrack
 * @property {() => void} remoteLeft
 * @property {(kind: string, detail: string) => void} failed the call cannot be: kinds of `RequestError`, or "socket"
 * @property {(trouble: "media" | "signaling" | "ice" | "path", present: boolean) => void} trouble
 */

/** A call. Use it once. */
export class Call {
  /** @type {Phase} */
  phase = "idle";
  /** @type {Peer | null} */
  peer = null;
  #room;
  #parameters;
  #args;
  #media;
  #listener;
  #server;
  #signaling;
  /** @type {import("./loopback.js").LoopbackPartner | null} */
  #partner = null;
  /** @type {import("./room.js").Membership | null} */
  #membership = null;
  /** @type {Promise<unknown>} the last try to take a seat */
  #joining = Promise.resolve();
  #initiator = false;
  #ended = false;
  /** @type {Promise<void>} resolves when the server knows that we have gone */
  #leaving = Promise.resolve();
  #rejoining = false;
  /** @type {import("./messages.js").PeerMessage[] | null} messages that came before there is a peer connection to take them */
  #early = [];
  /** @type {{servers: RTCIceServer[], at: number, client: string} | null} */
  #ice = null;
  #restartTimer = 0;
  #restarts = 0;
  /** @type {Promise<unknown>} the last message that must not be overtaken */
  #urgent = Promise.resolve();
  /** @type {Promise<unknown>[]} */
  #sending = [];

  /**
   * @param {object} setup
   * @param {string} setup.room
   * @param {string} setup.query the page's query string, with "?"
   * @param {import("./parameters.js").Parameters} setup.parameters
   * @param {import("./media.js").LocalMedia} setup.media
   * @param {CallListener} listener
   */
  constructor({ room, query, parameters, media }, listener) {
    this.#room = room;
    this.#parameters = parameters;
    this.#args = new URLSearchParams(query);
    this.#media = media;
    this.#listener = listener;
    this.#server = new RoomServer({ ...parameters, query });
    this.#signaling = new Signaling(parameters.wssUrl, {
      message: (text) => this.#receive(text),
      lost: () => this.#ended || listener.trouble("signaling", true),
      restored: () => this.#ended || listener.trouble("signaling", false),
      refused: () => this.#rejoin(),
    });
  }

  /**
   * Join and begin. Devices, the WebSocket and the seat are asked for at once, the ICE servers as soon as there is a seat, whose
   * they are: mostly that is done before the WebSocket, which takes more round trips than both. Never throws.
   */
  async start() {
    this.#setPhase("joining");
    const media = this.#media.open();
    const socket = this.#signaling.connect().catch(() => {
      throw new RequestError("socket", this.#parameters.wssUrl);
    });
    try {
      const joined = this.#join();
      const prepared = Promise.all([media, joined.then((membership) => membership && this.#lookUpIce())]);
      prepared.catch(() => {}); // what is wrong with the seat is told below
      const [membership] = await Promise.all([joined, socket]);
      if (this.#ended) {
        return;
      }
      if (membership === null) {
        this.#end("full");
        return;
      }
      this.#signaling.register(this.#room, membership.client);
      await this.#startPartner();
      await prepared;
      if (!this.#ended && this.#membership === membership) {
        this.#begin(storedMessages(membership.messages));
      }
    } catch (error) {
      if (!this.#ended) {
        this.#fail(error);
      }
    }
  }

  /**
   * Leave the room: the seat first, then bye to the other side, then the signalling server. Resolves when the server knows.
   * @returns {Promise<void>}
   */
  async hangUp() {
    if (!this.#ended) {
      this.#end("left");
    }
    await this.#leaving;
  }

  /** The page is going away: the same with whatever the browser still lets through. */
  leaveNow() {
    if (this.#ended || this.#membership === null) {
      return;
    }
    this.#ended = true;
    this.#server.leaveNow(this.#membership);
    if (this.#signaling.open) {
      this.#signaling.send(BYE);
    } else if (!this.#isAlone(this.phase)) {
      this.#server.signalNow(this.#membership, BYE);
    }
    this.#signaling.close();
    this.#partner?.close();
    this.#media.close();
    this.peer?.close();
    this.#setPhase("left");
  }

  /** Tell the peer connection that own tracks of this kind changed. */
  mediaChanged(/** @type {"audio" | "video"} */ kind) {
    this.peer?.update(kind);
  }

  /** Take a seat; if the call ends meanwhile, `#leave` waits for it and gives it back. */
  #join() {
    const joining = this.#server.join(this.#room).then((membership) => {
      this.#membership = membership;
      this.#initiator = membership?.initiator ?? false;
      return membership;
    });
    this.#joining = joining;
    return joining;
  }

  /** In a call to oneself, the other side; a new one after the server lost our seats. */
  async #startPartner() {
    if (this.#parameters.isLoopback) {
      const { LoopbackPartner } = await import("./loopback.js");
      this.#partner?.close();
      if (!this.#ended) {
        this.#partner = new LoopbackPartner(this.#parameters.wssUrl, () => this.#configuration());
        await this.#partner.start(this.#room);
      }
    }
  }

  /**
   * Whether nobody else was there to be told that we go.
   * @param {Phase} phase
   */
  #isAlone(phase) {
    return this.#initiator && (phase === "joining" || phase === "waiting");
  }

  /** @param {import("./messages.js").PeerMessage[]} stored */
  #begin(stored) {
    const peer = new Peer(
      { configuration: this.#configuration(), initiator: this.#initiator, media: this.#media, args: this.#args },
      {
        send: (text, urgent) => this.peer === peer && this.#send(peer, text, urgent),
        track: (track) => this.peer === peer && this.#listener.remoteTrack(track),
        state: (state) => this.peer === peer && this.#connectionState(state),
      },
    );
    this.peer = peer;
    const early = this.#early ?? [];
    this.#early = null;
    if (this.#initiator) {
      this.#setPhase("waiting");
      peer.offer();
    } else {
      this.#setPhase("connecting");
    }
    for (const message of [...stored, ...early]) {
      this.#take(message);
    }
  }

  /** @param {string} text */
  #receive(text) {
    const message = parseMessage(text);
    if (message === null || this.#ended) {
      return;
    }
    if (message.type === "bye") {
      this.#remoteLeft();
    } else if (this.#early) {
      if (this.#early.length < MAX_EARLY) {
        this.#early.push(message);
      }
    } else {
      this.#take(message);
    }
  }

  /** @param {import("./messages.js").PeerMessage} message */
  #take(message) {
    if (message.type === "answer" && this.phase === "waiting") {
      this.#setPhase("connecting");
    }
    this.peer?.receive(message);
  }

  /** The one left is initiator and puts a new offer into the room for whoever comes next. */
  async #remoteLeft() {
    this.#initiator = true;
    if (this.#membership) {
      this.#membership.messages = [];
    }
    if (this.peer === null) {
      this.#early = []; // we have not begun; what the other one said is void
      return;
    }
    this.#closePeer();
    this.#listener.remoteLeft();
    this.#setPhase("waiting");
    await this.#lookUpIce();
    if (!this.#ended && !this.#rejoining && this.peer === null) {
      this.#begin([]);
    }
  }

  /** @param {RTCPeerConnectionState} state */
  #connectionState(state) {
    clearTimeout(this.#restartTimer);
    if (state === "connected") {
      this.#restarts = 0;
      this.#listener.trouble("media", false);
      this.#listener.trouble("path", false);
      this.#setPhase("connected");
    } else if (state === "disconnected" || state === "failed") {
      if (this.phase === "connected") {
        this.#listener.trouble("media", true);
      } else if (state === "failed") {
        this.#listener.trouble("path", true);
      }
      this.#restartTimer = setTimeout(() => this.#restart(), state === "failed" ? 0 : DISCONNECTED_MS);
    }
  }

  /** A new path, again and again while there is none. The callee may not offer and waits for the other side. */
  async #restart() {
    const peer = this.peer;
    if (peer === null || !this.#initiator || this.#ended) {
      return;
    }
    this.#restarts += 1;
    this.#restartTimer = setTimeout(() => this.#restart(), RESTART_EVERY_MS * Math.min(this.#restarts, 4));
    await this.#lookUpIce();
    if (this.peer === peer && peer.connection.connectionState !== "connected") {
      peer.restart(this.#configuration());
    }
  }

  /** The server has lost our seat: take another one and begin anew. */
  async #rejoin() {
    if (this.#rejoining || this.#ended) {
      return;
    }
    this.#rejoining = true;
    this.#closePeer();
    this.#setPhase("joining");
    const old = this.#membership;
    if (old) {
      await this.#server.leave(old);
    }
    const membership = await this.#joinAgain();
    this.#rejoining = false;
    if (membership && !this.#ended) {
      this.#signaling.register(this.#room, membership.client);
      await this.#startPartner().catch((error) => console.warn("rtcd: no loopback partner", error));
      await this.#lookUpIce();
      if (!this.#ended && this.#membership === membership) {
        this.#begin(storedMessages(membership.messages));
      }
    }
  }

  /** @returns {Promise<import("./room.js").Membership | null>} */
  async #joinAgain() {
    const until = Date.now() + REJOIN_FULL_MS;
    for (let attempt = 0; !this.#ended; attempt += 1) {
      try {
        const membership = await this.#join();
        if (membership) {
          return membership;
        }
        if (Date.now() > until) {
          this.#end("full");
          return null;
        }
      } catch (error) {
        if (error instanceof RequestError && error.kind === "name") {
          this.#fail(error);
          return null;
        }
      }
      await pause(REJOIN_PAUSES_MS[Math.min(attempt, REJOIN_PAUSES_MS.length - 1)]);
    }
    return null;
  }

  /**
   * The initiator speaks through the room, the callee over the WebSocket.
   * @param {Peer} peer the connection that it is said for; when that has ended nothing is said
   * @param {string} text
   * @param {boolean} urgent
   */
  #send(peer, text, urgent) {
    if (!this.#initiator) {
      this.#signaling.send(text);
      return;
    }
    const sent = (urgent ? Promise.all([this.#urgent, ...this.#sending]) : this.#urgent).then(() => this.#post(peer, text));
    if (urgent) {
      this.#urgent = sent;
      this.#sending = [];
    } else {
      this.#sending.push(sent);
    }
  }

  /**
   * @param {Peer} peer
   * @param {string} text
   */
  async #post(peer, text) {
    const membership = this.#membership;
    const current = () => !this.#ended && this.peer === peer && this.#membership === membership;
    for (const wait of [...RESEND_PAUSES_MS, 0]) {
      if (!membership || !current()) {
        return;
      }
      try {
        const result = await this.#server.message(membership, text);
        if (current() && (result === "UNKNOWN_ROOM" || result === "UNKNOWN_CLIENT")) {
          this.#rejoin();
        }
        return;
      } catch (error) {
        console.warn("rtcd: message not sent", error);
      }
      await pause(wait);
    }
    if (current()) {
      this.#rejoin();
    }
  }

  /** @returns {RTCConfiguration} */
  #configuration() {
    const { peerConnectionConfig } = this.#parameters;
    return this.#ice ? { ...peerConnectionConfig, iceServers: this.#ice.servers } : peerConnectionConfig;
  }

  /**
   * Ask for the ICE servers of our seat, unless the page came with some or those that we have are fresh. Those of a seat that we
   * have no longer are good for nothing. Never throws.
   */
  async #lookUpIce() {
    const { peerConnectionConfig, iceServerTransports } = this.#parameters;
    const membership = this.#membership;
    if (!membership?.iceUrl || peerConnectionConfig.iceServers?.length) {
      return;
    }
    const { client } = membership;
    if (this.#ice?.client !== client) {
      this.#ice = null;
    } else if (Date.now() - this.#ice.at < ICE_FRESH_MS) {
      return;
    }
    try {
      const servers = usableIceServers(await this.#server.iceServers(membership), iceServerTransports);
      if (this.#membership === membership) {
        this.#ice = { servers, at: Date.now(), client };
        this.#listener.trouble("ice", false);
      }
    } catch (error) {
      console.warn("rtcd: no ICE servers", error);
      if (this.#membership === membership && !this.#ended) {
        this.#listener.trouble("ice", true);
      }
    }
  }

  #closePeer() {
    clearTimeout(this.#restartTimer);
    this.#restarts = 0;
    this.peer?.close();
    this.peer = null;
    this.#early = [];
    this.#listener.trouble("media", false);
    this.#listener.trouble("path", false);
  }

  /** @param {unknown} error */
  #fail(error) {
    const { kind, detail } = error instanceof RequestError ? error : { kind: "garbled", detail: String(error) };
    console.error("rtcd: call failed", error);
    this.#end("failed");
    this.#listener.failed(kind, detail);
  }

  /** @param {Phase} phase */
  #end(phase) {
    this.#ended = true;
    this.#closePeer();
    this.#media.close();
    this.#leaving = this.#leave(this.phase);
    this.#setPhase(phase);
  }

  /** @param {Phase} phase the one that ended */
  async #leave(phase) {
    await this.#joining.catch(() => {}); // a seat may yet be on its way to us
    const membership = this.#membership;
    if (membership) {
      await this.#server.leave(membership);
      if (this.#signaling.open) {
        this.#signaling.send(BYE);
      } else if (!this.#isAlone(phase)) {
        await this.#server.signal(membership, BYE);
      }
    }
    this.#partner?.close();
    await this.#signaling.close();
    if (membership) {
      await this.#server.forget(membership);
    }
  }

  /** @param {Phase} phase */
  #setPhase(phase) {
    if (this.phase !== phase) {
      this.phase = phase;
      this.#listener.phase(phase);
    }
  }
}

/** @param {number} milliseconds */
function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
