// @ts-check
/**
 * Everybody else in the room: a `Member` for each, as snapshots and messages come; and what concerns all of them: bit
 * rates, quality, own state, and why there is no path.
 *
 * The seat, the socket and the call's phases are in call.js; what a snapshot means is in roster.js.
 */

import { Member } from "./member.js";
import { parseMessage, storedMessages } from "./messages.js";
import { Reporter } from "./report.js";
import { APP, compare } from "./roster.js";

const SAMPLE_MS = 2_000;
/** So long media may outlive a seat. */
export const KEPT_MS = 30_000;
/** Time for a goodbye over a data channel to leave. */
const BYE_MS = 100;
/** Messages of those who are not in the room yet, as far as we know. */
export const MAX_STRANGE = 256;
/** The ways of TURN servers to say that these credentials are no good. */
const CREDENTIAL_CODES = [401, 403, 441];
const MAX_ERRORS = 32;
/** Who said bye and is seated after this has not gone. */
const OVER_MS = 5_000;

/** @typedef {import("./member.js").Slot} Slot */

/**
 * @typedef {object} RoomView
 * @property {Member[]} members without us
 * @property {{id: string, name: string, host: boolean}} me
 * @property {string} host
 * @property {boolean} locked
 * @property {boolean} password
 * @property {number} capacity
 * @property {boolean} alone
 * @property {boolean} app whether a client of AppRTC is here
 *
 * @typedef {object} CallListener
 * @property {(phase: import("./call.js").Phase, reason?: string) => void} phase refused: full, app, locked, password, kicked
 *   or elsewhere
 * @property {(room: RoomView) => void} room after every change
 * @property {(member: Member) => void} member state, trouble, quality or name of one changed
 * @property {(id: string, slot: Slot, track: MediaStreamTrack | null) => void} track
 * @property {(member: Member, why: import("./roster.js").Why) => void} left its tile goes now
 * @property {(message: {from: string, name: string, text: string, at: number}) => void} chat
 * @property {(event: import("./files.js").FileEvent & {from: string}) => void} file
 * @property {(kind: "audio" | "video", name: string) => void} mute the host asks us to
 * @property {(command: string, why: string) => void} refused
 * @property {(trouble: "signaling" | "ice" | "candidate" | "path", present: boolean, detail?: any) => void} trouble
 * @property {(kind: string, detail: string) => void} failed the call cannot be: kinds of `RequestError`, or "socket"
 */

/**
 * `changed`: who is here, or how the connections are · `alone`: an app has said bye
 * @typedef {CallListener & {changed: () => void, alone: () => void}} CompanyListener
 */

/** The others, until `close`. */
export class Company {
  /** @type {Map<string, Member>} */
  members = new Map();
  #seat;
  #signaling;
  #media;
  #args;
  #listener;
  #parts;
  #reporter;
  /** @type {Set<string>} who said bye while the server still has them seated */
  #over = new Set();
  /** @type {import("./roster.js").Snapshot | null} */
  #snapshot = null;
  /** @type {Map<string, import("./signaling.js").Timer>} timers of those whose media outlive their seats */
  #kept = new Map();
  /** @type {[string, import("./messages.js").PeerMessage][]} messages that came before the snapshot that explains them */
  #strange = [];
  /**
   * @type {Map<string, {url: string, code: number, text: string} | null>} why a server gave no candidate; null once it is
   *   told
   */
  #candidateErrors = new Map();
  /** @type {import("./signaling.js").Timer} */
  #timer;

  /**
   * @param {object} setup
   * @param {import("./seat.js").Seat} setup.seat
   * @param {import("./signaling.js").Signaling} setup.signaling
   * @param {import("./media.js").LocalMedia} setup.media
   * @param {URLSearchParams} setup.args the page's URL arguments
   * @param {(text: string) => unknown} setup.report tells the server; false if it cannot be told now
   * @param {CompanyListener} listener
   * @param {typeof import("./member.js").PARTS} parts
   */
  constructor({ seat, signaling, media, args, report }, listener, parts) {
    this.#reporter = new Reporter(report);
    this.#seat = seat;
    this.#signaling = signaling;
    this.#media = media;
    this.#args = args;
    this.#listener = listener;
    this.#parts = parts;
  }

  /** @param {import("./roster.js").Snapshot} snapshot @returns {RoomView} */
  view({ members: seated, gone: _, ...room }) {
    const { me: id, name } = this.#seat;
    const me = { id, name: seated.find((one) => one.id === id)?.name ?? name, host: room.host === id };
    const members = this.#all;
    return { ...room, members, me, alone: members.length === 0, app: this.app };
  }

  get #all() {
    return [...this.members.values()];
  }

  /** Whether a client of AppRTC is here. */
  get app() {
    return this.members.has(APP);
  }

  /** Make it as a snapshot says, unless we are not in it ourselves. @param {import("./roster.js").Snapshot} snapshot */
  take(snapshot) {
    const news = compare(snapshot, this.#seat.me, this.members.values(), this.#over);
    if (!news.seated) {
      return news;
    }
    const reroutes = snapshot.relay !== this.#seat.relayOnly;
    this.#seat.relayOnly = snapshot.relay;
    this.#snapshot = snapshot;
    const ids = snapshot.members.map(({ id }) => id);
    this.#over = new Set(ids.filter((id) => this.#over.has(id)));
    news.gone.forEach(({ id, why }) => this.#drop(id, why));
    news.kept.forEach((id) => this.#keep(id));
    for (const one of news.stayed) {
      clearTimeout(this.#kept.get(one.id));
      this.#kept.delete(one.id);
      this.members.get(one.id)?.seen(one);
      reroutes && this.members.get(one.id)?.reroute(this.#seat.configurationNow().iceTransportPolicy ?? "all");
    }
    news.arrived.forEach((one) => this.#add(one));
    this.#order([...ids, ...news.kept], snapshot.host);
    for (const [id, message] of this.#strange.splice(0)) {
      this.members.get(id)?.receive(message);
    }
    this.#changed();
    return news;
  }

  /** A page speaks to us. @param {string} from @param {string} text */
  heard(from, text) {
    const message = parseMessage(text);
    if (message && message.type !== "bye") {
      this.#give(from, message);
    }
  }

  /** A client of AppRTC speaks. @param {string} text */
  heardApp(text) {
    const message = parseMessage(text);
    if (message && message.type !== "bye") {
      this.#give(APP, message);
    } else if (message && this.app) {
      this.#goodbye(APP);
      this.#listener.alone();
    }
  }

  /** What a client of AppRTC said before we came. @param {string[]} texts */
  stored(texts) {
    storedMessages(texts).forEach((message) => this.#give(APP, message));
  }

  /** What we say is heard (again). @param {boolean} lost whether what we said before may never have arrived */
  registered(lost) {
    lost && this.#over.delete(APP); // the next snapshot may mean another app
    this.members.forEach((member) => member.heard(lost));
  }

  /** We have no seat any more: to an app, which has no other way, we are gone. */
  unseated() {
    this.#snapshot = null;
    this.#drop(APP, "lost");
    this.#changed();
  }

  /** The ICE servers could not be had. */
  unserved() {
    this.#reporter.note("server", "none");
  }

  networkChanged() {
    this.members.forEach((member) => member.networkChanged());
  }

  /** @param {Slot} slot of our own media that is another now */
  mediaChanged(slot) {
    this.members.forEach((member) => {
      member.peer?.update(slot);
      member.announce(this.#state);
    });
    this.#limit();
  }

  /** @param {string} text @returns {{reached: number, missed: Member[]}} the pages that it went to, and those it did not */
  say(text) {
    const pages = this.#all.filter(({ page }) => page);
    const missed = pages.filter((member) => !member.say(text));
    return { reached: pages.length - missed.length, missed };
  }

  /** @param {File} file @returns {string | null} its id, the same for all; null if nobody was there to be offered it */
  offer(file) {
    /** @type {string | null} */
    let id = null;
    for (const { page, files } of this.members.values()) {
      id = (page && files.offer(file, id ?? undefined)) || id;
    }
    return id;
  }

  /**
   * Leave them.
   * @param {boolean} now whether there is no time for a goodbye
   * @param {string} [phase] that the call is in then
   */
  close(now, phase) {
    this.#devices();
    this.#reporter.flush(now ? "closed" : phase === "failed" ? phase : "hangup");
    this.#snapshot = null;
    clearTimeout(this.#timer);
    this.#kept.forEach((timer) => clearTimeout(timer));
    for (const member of this.members.values()) {
      member.bye();
      member.close(now ? 0 : BYE_MS);
    }
    this.members.clear();
  }

  /** @param {import("./roster.js").Seated & {offers: boolean}} one */
  #add(one) {
    const { id, page } = one;
    const listener = this.#listener;
    const setup = { me: this.#seat.me, media: this.#media, args: this.#args };
    /** @type {Member} */
    const member = new Member(one, setup, {
      send: (msg) => (page ? this.#signaling.command({ cmd: "direct", to: id, msg }) : this.#signaling.send(msg)),
      audible: () => this.#signaling.open,
      configuration: (age) => this.#seat.configuration(age),
      changed: () => {
        this.#reporter.note("step", member.trouble, id);
        this.members.get(id) === member && listener.member(member);
      },
      silent: () => this.#signaling.probe(true), // what took the media may have taken the socket
      connection: () => this.members.get(id) === member && this.#connectionChanged(member),
      track: (slot, track) => listener.track(id, slot, track),
      chat: (text) => listener.chat({ from: id, name: member.name, text, at: Date.now() }),
      file: (event) => listener.file({ ...event, from: id }),
      bye: () => this.#goodbye(id),
      candidateError: (error) => this.#candidateError(error),
    }, this.#parts);
    this.members.set(id, member);
    member.announce(this.#state);
    member.open().catch((error) => console.error("rtcd: no connection", error));
  }

  /** In the order of the room, and who is host. @param {string[]} ids @param {string} host */
  #order(ids, host) {
    for (const id of ids) {
      const member = this.members.get(id);
      if (member) {
        member.host = id === host;
        this.members.delete(id);
        this.members.set(id, member);
      }
    }
  }

  /** @param {string} id @param {import("./messages.js").PeerMessage} message */
  #give(id, message) {
    const member = this.members.get(id);
    if (member) {
      member.receive(message);
    } else if (this.#strange.length < MAX_STRANGE) {
      this.#strange.push([id, message]);
    }
  }

  /** Its seat is lost, its media are not. @param {string} id */
  #keep(id) {
    const member = this.members.get(id);
    if (member && !this.#kept.has(id)) {
      member.seen({ name: member.name, here: false });
      this.#kept.set(id, setTimeout(() => {
        this.#drop(id, "lost");
        this.#changed();
      }, KEPT_MS));
    }
  }

  /** Somebody says that it leaves; the server will say so too. @param {string} id */
  #goodbye(id) {
    this.#over.add(id);
    this.#drop(id, "left");
    this.#changed();
    if (id !== APP) {
      this.#recheck(id);
    }
  }

  /** While we hear nothing of the room, nobody is missed. @param {string} id who said bye */
  #recheck(id) {
    setTimeout(() => {
      if (this.#snapshot && !this.#signaling.open) {
        this.#recheck(id);
      } else if (this.#over.delete(id) && this.#snapshot) {
        this.take(this.#snapshot);
      }
    }, OVER_MS);
  }

  /** @param {string} id @param {import("./roster.js").Why} why */
  #drop(id, why) {
    const member = this.members.get(id);
    clearTimeout(this.#kept.get(id));
    this.#kept.delete(id);
    if (member) {
      this.members.delete(id);
      member.close();
      this.#listener.left(member, why);
    }
  }

  /** @param {Member} member */
  #connectionChanged(member) {
    this.#reporter.note("state", member.connectionState, member.id);
    if (this.#kept.has(member.id) && !member.working) {
      this.#drop(member.id, "lost");
    } else if (member.connectionState === "disconnected") {
      this.#signaling.probe();
    }
    this.#changed();
  }

  #changed() {
    if (this.members.size > 0) {
      this.#timer ||= setTimeout(() => this.#sample(), SAMPLE_MS);
    } else {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    this.#limit();
    this.#listener.trouble("path", this.#stuck);
    this.#explain();
    this.#listener.changed();
  }

  async #sample() {
    this.#timer = setTimeout(() => this.#sample(), SAMPLE_MS); // never two looks close together, which would be silence
    await Promise.all(this.#all.map(async (member) => {
      const sample = await member.sample();
      sample && this.#reporter.look(member.id, sample);
    }));
    this.#devices();
    this.#reporter.flush();
    this.#limit(true);
  }

  /** @param {boolean} [look] */
  #limit(look) {
    this.members.forEach((member) => member.limit(this.members.size + 1, this.#media.screen.shared, look));
  }

  get #state() {
    const media = this.#media;
    return { audio: media.isOn("audio"), video: media.isOn("video"), screen: media.screen.shared, hint: media.screen.hint };
  }

  /** Tell what could not be opened. */
  #devices() {
    this.#media.problems.forEach(({ name, kinds }) => this.#reporter.note("device", [name, ...kinds].join(" ")));
  }

  /** @param {{url: string, code: number, text: string}} error */
  #candidateError(error) {
    const { url } = error;
    this.#reporter.note("server", `${error.code} ${url}`.replace(/[^a-z0-9.-]+/gi, " ").slice(0, 64));
    if (!this.#candidateErrors.has(url) && this.#candidateErrors.size < MAX_ERRORS) {
      this.#candidateErrors.set(url, error);
      this.#explain();
    }
  }

  /** Whether there is somebody whom we do not reach. */
  get #stuck() {
    return this.#all.some((member) => member.stuck);
  }

  /** Tell of servers that gave no candidates: of refused credentials always, of all else only where it matters. */
  #explain() {
    for (const [url, error] of this.#candidateErrors) {
      if (error && (this.#stuck || CREDENTIAL_CODES.includes(error.code))) {
        this.#candidateErrors.set(url, null);
        this.#listener.trouble("candidate", true, error);
      }
    }
  }
}
