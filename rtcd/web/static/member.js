// @ts-check
/**
 * One other person in the room: its peer connection, what is said beside it, how well it goes and what is done when it
 * does not.
 *
 * A page is spoken to directly, an app of AppRTC with AppRTC's own messages. Messages are taken before there is a
 * connection, and kept.
 */

import { budget } from "./budget.js";
import { Channel } from "./channel.js";
import { Ladder } from "./ladder.js";
import { Peer } from "./peer.js";
import { Quality } from "./quality.js";

/** A phone with many interfaces sends many candidates before we have our ICE servers. */
export const MAX_EARLY = 1_100;
/** In trouble, what we were given longer ago may name a TURN server that has died since. */
const ANEW_MS = 5_000;
/** How far behind the other page the later one climbs the ladder. */
const LAG_MS = 1_500;

/** @typedef {"audio" | "video" | "screen" | "screenAudio"} Slot */
/** @typedef {import("./channel.js").MemberState} MemberState */
/** @typedef {"connecting" | "interrupted" | "relay" | "renewing" | "away"} Trouble */

/**
 * @typedef {object} MemberListener
 * @property {(text: string) => void} send a message for it
 * @property {() => boolean} audible whether it would hear us now
 * @property {(age?: number) => Promise<RTCConfiguration>} configuration with fresh ICE servers, not older than so many ms
 * @property {() => void} changed trouble, state or quality is another
 * @property {() => void} connection the connection's state is another
 * @property {() => void} silent nothing comes from it any more
 * @property {(slot: Slot, track: MediaStreamTrack | null) => void} track
 * @property {(text: string) => void} chat
 * @property {(event: import("./files.js").FileEvent) => void} file
 * @property {() => void} bye it leaves on purpose
 * @property {(error: {url: string, code: number, text: string}) => void} candidateError
 */

const now = () => performance.now();

/** What a member is made with; tests give their own. */
export const PARTS = { Peer, Channel, Quality, budget };

/** A member, until `close`. */
export class Member {
  id;
  name;
  page;
  here;
  host = false;
  /** @type {Peer | null} */
  peer = null;
  /** @type {MemberState | null} */
  state = null;
  /** @type {import("./quality.js").Verdict | null} */
  quality = null;
  /** Whether no path has been found yet, and not for want of looking. */
  stuck = false;
  #ever = false;
  #offers;
  #setup;
  #parts;
  #listener;
  /** @type {Ladder | null} */
  #ladder = null;
  /** @type {import("./signaling.js").Timer} */
  #timer;
  #channel;
  #quality;
  #sampling = false;
  /** @type {import("./budget.js").Budget | null} */
  #budget = null;
  #limited = "";
  #closed = false;
  /** @type {import("./messages.js").PeerMessage[]} */
  #early = [];
  /** @type {Trouble | null} */
  #told = "connecting";

  /**
   * @param {import("./roster.js").Seated & {offers: boolean}} seated
   * @param {{me: string, media: import("./media.js").LocalMedia, args: URLSearchParams}} setup
   * @param {MemberListener} listener
   * @param {typeof PARTS} parts
   */
  constructor({ id, name, page, here, offers }, setup, listener, parts) {
    this.id = id;
    this.name = name;
    this.page = page;
    this.here = here;
    this.#offers = offers;
    this.#setup = setup;
    this.#listener = listener;
    this.#parts = parts;
    this.#quality = new parts.Quality();
    this.#channel = new parts.Channel({
      state: (state) => {
        this.state = state;
        this.#closed || listener.changed();
      },
      chat: (text) => this.#closed || listener.chat(text),
      bye: () => this.#closed || listener.bye(),
      file: (event) => listener.file(event),
      make: (label) => this.peer?.connection.createDataChannel(label),
    });
  }

  /** @returns {Trouble | null} */
  get trouble() {
    const step = this.#ladder ? this.#ladder.trouble : "connecting";
    return step ?? (this.here ? null : "away");
  }

  /** @returns {RTCPeerConnectionState} */
  get connectionState() {
    return this.peer?.connection.connectionState ?? "new";
  }

  get working() {
    return this.connectionState === "connected";
  }

  /** Make the connection, and the first offer if that is ours to make. */
  async open() {
    const configuration = await this.#listener.configuration();
    if (this.#closed) {
      return;
    }
    const { id, page } = this;
    const listener = this.#listener;
    const live = () => !this.#closed;
    const peer = new this.#parts.Peer(
      { ...this.#setup, id, legacy: page ? null : { initiator: this.#offers }, configuration },
      {
        send: (text) => live() && listener.send(text),
        track: (slot, track) => live() && listener.track(slot, track),
        state: (state) => live() && this.#stateChanged(state),
        channel: (channel) => live() && this.#channel.attach(channel),
        candidateError: (error) => live() && listener.candidateError(error),
        incoming: (channel) => live() && this.#channel.incoming(channel),
      },
    );
    this.peer = peer;
    this.#ladder = new Ladder(now(), { lag: page && !this.#offers ? LAG_MS : 0, renews: page });
    this.#wind();
    if (this.#offers) {
      peer.start();
    }
    for (const message of this.#early.splice(0)) {
      peer.receive(message);
    }
    listener.connection();
  }

  /** @param {import("./messages.js").PeerMessage} message */
  receive(message) {
    if (this.peer) {
      if (message.type === "offer" && this.#ever && this.#ladder?.trouble) {
        this.peer.refresh(this.#listener.configuration(ANEW_MS)); // our relay may be the one that died
      }
      this.peer.receive(message);
    } else if (this.#early.length < MAX_EARLY) {
      this.#early.push(message);
    }
  }

  /** What the room says of it now. @param {{name: string, here: boolean}} seated */
  seen({ name, here }) {
    const came = here && !this.here;
    const other = name !== this.name;
    this.name = name;
    this.here = here;
    if (came) {
      this.heard(false);
    }
    this.#tell(other);
  }

  /** It hears us (again). @param {boolean} lost whether what we said before may never have arrived */
  heard(lost) {
    this.#ladder?.heard(now(), lost, this.peer?.connection.signalingState === "have-local-offer");
    this.#wind();
  }

  /** We are in another network. */
  networkChanged() {
    this.#ladder?.changed(now());
    this.#wind();
  }

  /** @param {MemberState} state ours */
  announce(state) {
    this.#channel.state(state);
  }

  /**
   * Send no more than is good for so many people, and for how well it goes.
   * @param {number} people with ourselves
   * @param {boolean} screen whether we share one
   * @param {boolean} [look] whether the quality has been looked at since the last time
   */
  limit(people, screen, look = false) {
    this.#budget = this.#parts.budget(people, { screen, quality: this.quality, before: this.#budget, look });
    const { video, height, screen: shown } = this.#budget;
    const limits = JSON.stringify({ video, height, screen: shown });
    if (this.peer && limits !== this.#limited) {
      this.#limited = limits;
      this.peer.limit(JSON.parse(limits));
    }
  }

  /** @param {string} text */
  say(text) {
    const { trouble } = this; // a connection that is about to be replaced takes along what waits in it
    return this.page && (trouble === null || trouble === "away") && this.#channel.say(text);
  }

  /** Files, by the channel's own rules. */
  get files() {
    return this.#channel.files;
  }

  /** Look how well it goes. Returns what was seen, if anything was. */
  async sample() {
    if (!this.peer || !this.working || this.#sampling) {
      return null;
    }
    this.#sampling = true;
    try {
      const sample = await this.peer.sample();
      const { audio, video, screen } = this.state ?? {};
      const silent = audio || video || screen ? sample.silent : null;
      this.#ladder?.received(silent, now());
      this.#wind();
      this.#tell(false);
      silent && this.#listener.silent();
      const quality = this.#quality.add(sample);
      const before = this.quality;
      this.quality = quality;
      if (!this.#closed && (quality?.grade !== before?.grade || quality?.side !== before?.side)) {
        this.#listener.changed();
      }
      return sample;
    } catch (error) {
      console.debug("rtcd: no statistics", error); // the connection has just been replaced
      return null;
    } finally {
      this.#sampling = false;
    }
  }

  /** Say that we leave. */
  bye() {
    if (this.page) {
      this.#channel.bye();
    }
  }

  /**
   * Hear nothing of it any more.
   * @param {number} [after] milliseconds until the connection ends too, for what was said last
   */
  close(after = 0) {
    if (!this.#closed) {
      this.#closed = true;
      clearTimeout(this.#timer);
      this.#channel.detach();
      const { peer } = this;
      after ? setTimeout(() => peer?.close(), after) : peer?.close();
    }
  }

  /** @param {RTCPeerConnectionState} state */
  #stateChanged(state) {
    if (state === "failed") {
      this.stuck = !this.#ever;
    } else if (state === "connected") {
      this.#ever = true;
      this.stuck = false;
      this.#quality = new this.#parts.Quality();
    }
    this.#ladder?.state(state, now());
    this.#wind();
    this.#tell(false);
    this.#listener.connection();
  }

  /** Set the one timer to what the ladder waits for. */
  #wind() {
    clearTimeout(this.#timer);
    const due = this.#ladder?.due ?? null;
    if (due !== null && !this.#closed) {
      this.#timer = setTimeout(() => this.#climb(), Math.max(0, due - now()));
    }
  }

  /**
   * It is laid down anew which paths media may take. A connection that has a good one keeps it, so that it takes another
   * connection to leave it; one of the two begins that. Never throws.
   * @param {RTCIceTransportPolicy} policy
   */
  async reroute(policy) {
    this.peer?.allow(policy);
    const configuration = await this.#listener.configuration();
    if (this.#closed || !this.peer) {
      return;
    }
    if (policy !== "relay" || !this.page) {
      this.peer.restart(configuration);
    } else if (this.#offers) {
      this.peer.renew(configuration);
    }
  }

  async #climb() {
    const action = this.#ladder?.advance(now(), this.#listener.audible() && this.here) ?? null;
    this.#wind();
    this.#tell(false);
    if (action === null) {
      return;
    }
    const configuration = await this.#listener.configuration(ANEW_MS);
    if (this.#closed || !this.peer || (action !== "restart" && !this.#ladder?.trouble)) {
      return;
    }
    if (action === "renew") {
      this.peer.renew(configuration);
    } else {
      const relay = action === "relay" && hasRelay(configuration);
      this.peer.restart(relay ? { ...configuration, iceTransportPolicy: "relay" } : configuration);
    }
  }

  /** @param {boolean} anyway */
  #tell(anyway) {
    const { trouble } = this;
    if (!this.#closed && (anyway || trouble !== this.#told)) {
      this.#told = trouble;
      this.#listener.changed();
    }
  }
}

/** @param {RTCConfiguration} configuration */
function hasRelay({ iceServers = [] }) {
  return iceServers.some(({ urls }) => [urls].flat().some((url) => /^turns?:/i.test(url)));
}
