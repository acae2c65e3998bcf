// @ts-check
/**
 * The connection to one other member: to a page one RTCPeerConnection after the other, as sessions go, to an app just one.
 *
 * Transceivers are fixed when a session begins and media come and go by `replaceTrack`: nothing but ICE is negotiated again.
 * Messages are taken at any time and worked off one by one; `negotiation.js` says what each of them is good for.
 */

import { abilities, isAllowed, isRelayed, preferred, tune } from "./codecs.js";
import { candidateText, descriptionText } from "./messages.js";
import { randomHex } from "./names.js";
import { LegacyNegotiation, Negotiation } from "./negotiation.js";
import { sampleOf } from "./quality.js";
import { pathOf } from "./report.js";
import { incoming, outgoing, sameRole } from "./sdp.js";

/** @typedef {"audio" | "video" | "screen" | "screenAudio"} Slot microphone, camera, shared screen and its sound */
/** @typedef {"audio" | "video"} Kind */
/** @typedef {{stream: MediaStream, track(slot: Slot): MediaStreamTrack | null, wants(kind: Kind): boolean}} Media */
/** @typedef {{slot: Slot, track: MediaStreamTrack | null}} Source what is sent */
/** @typedef {import("./messages.js").PeerMessage} PeerMessage */

/**
 * Tags of both sides; `legacy` for an app only; `args` of the page's URL.
 * @typedef {{me: string, id: string, legacy?: {initiator: boolean} | null, configuration: RTCConfiguration, media: Media,
 *   args: URLSearchParams, clock?: {now(): number}}} Setup
 * @typedef {object} PeerListener
 * @property {(text: string) => void} send a message for the other side, in this order
 * @property {(slot: Slot, track: MediaStreamTrack) => void} track muted until something comes; a new one in each session
 * @property {(state: RTCPeerConnectionState) => void} state `new` when a connection takes the place of another
 * @property {(channel: RTCDataChannel) => void} [channel] has opened, in each session
 * @property {(channel: RTCDataChannel) => void} [incoming] made by the other side
 * @property {(error: {url: string, code: number, text: string}) => void} [candidateError]
 */

/** In the order of their sections. */
const SLOTS = /** @type {Slot[]} */ (["audio", "video", "screen", "screenAudio"]);
/** Messages that may wait, and candidates of either side; an app may come with a burst of 1024. */
export const MAX_WAITING = 1_100;
/** So long after the last packet, silence is silence. */
const SILENT_MS = 500;
/** What takes so long will never end: a browser has forgotten a promise. */
const STUCK_MS = 10_000;

/** From the first message to `close`. */
export class Peer {
  /** @type {RTCPeerConnection} */
  connection;
  /** @type {RTCDataChannel | null} between pages; from the beginning of the session, so it may not be open yet */
  channel = null;
  #listener;
  #media;
  #args;
  #clock;
  #able;
  #rules;
  #legacy;
  #base;
  #configuration;
  /** Whether candidates have to be passed over here, for the browser cannot be told to use relays only. */
  #filter = false;
  /** Whether the connection is unused. */
  #fresh = true;
  /** @type {MediaStream | undefined} keeps the screen and its sound together */
  #screen;
  /** @type {import("./codecs.js").Limits} */
  #limits = {};
  /** @type {Promise<unknown>} */
  #work = Promise.resolve();
  #waiting = 0;
  /** How often what was under way has been given up. */
  #given = 0;
  /** @type {number | null} since when another connection is due */
  #due = null;
  /** @type {RTCIceCandidateInit[]} that came before the description */
  #early = [];
  /** @type {string[] | null} candidates that wait until the description they belong to has been sent */
  #unsent = [];
  /** @type {any[]} the statistics at the last look */
  #before = [];
  #heard = { stamp: 0, at: 0 };
  #closed = false;

  /** @param {Setup} setup @param {PeerListener} listener */
  constructor({ me, id, legacy = null, configuration, media, args, clock = performance }, listener) {
    this.#listener = listener;
    this.#media = media;
    this.#args = args;
    this.#clock = clock;
    this.#able = abilities(args);
    this.#legacy = legacy !== null;
    this.#rules = legacy ? new LegacyNegotiation(legacy.initiator) : new Negotiation(me, id);
    this.#base = this.#configuration = configuration;
    this.connection = this.#open();
  }

  /** Undefined with an app, empty before there is one. */
  get session() {
    return this.#rules.session;
  }

  /** Make the first offer, unless one has come by then. */
  start() {
    this.#next(async () => this.#fresh && (await this.#begin()));
  }

  /** @param {PeerMessage} message of the other side */
  receive(message) {
    if (this.#waiting < MAX_WAITING) {
      this.#waiting += 1;
      this.#next(() => this.#take(message).finally(() => (this.#waiting -= 1)));
    }
  }

  /** Which paths later connections may take, whoever begins them. @param {RTCIceTransportPolicy} iceTransportPolicy */
  allow(iceTransportPolicy) {
    this.#base = { ...this.#base, iceTransportPolicy };
  }

  /** Look for another path, as soon as may be; not if an app is initiator. @param {RTCConfiguration} configuration */
  restart(configuration) {
    this.#next(async () => {
      const { connection } = this;
      const { signalingState } = connection;
      this.#configuration = { ...this.#base, ...configuration };
      if (signalingState === "closed") {
        return this.#renew();
      }
      this.#configure();
      if (this.#rules.restart(signalingState, this.#clock.now())) {
        await this.#offer();
      }
    });
  }

  /** Have other servers for what comes next, by the same paths. @param {Promise<RTCConfiguration>} configuration */
  refresh(configuration) {
    this.#next(async () => {
      const { iceServers } = await configuration;
      this.#configuration = { ...this.#configuration, iceServers };
      this.#configure();
    });
  }

  #configure() {
    try {
      this.connection.setConfiguration(this.#configuration);
      this.#filter = false;
    } catch (error) {
      console.debug("rtcd: configuration not changed", error);
      this.#filter = this.#relayOnly;
    }
  }

  /**
   * Begin with another connection, unless by then there is one or this one has connected; not with an app. If that was due
   * long ago, what is under way is not waited for: it ends with its connection.
   * @param {RTCConfiguration} configuration
   */
  renew(configuration) {
    const { connection } = this;
    const { connectionState } = connection;
    const now = this.#clock.now();
    this.#due ??= now;
    if (now - this.#due > STUCK_MS) {
      this.#given += 1;
      this.#waiting = 0;
      this.#work = Promise.resolve();
    }
    this.#next(async () => {
      this.#due = null;
      const connects = connection.connectionState === "connected" && connectionState !== "connected";
      if (this.connection === connection && !connects && !this.#legacy) {
        this.#configuration = { ...this.#base, ...configuration };
        await this.#renew();
      }
    });
  }

  /** @param {Slot} slot whose own track has changed */
  update(slot) {
    this.#next(async () => {
      const place = this.#legacy && slot === "screen" ? "video" : slot;
      await this.#attach(place);
      await this.#tune([place]);
    });
  }

  /** @param {import("./codecs.js").Limits} limits of what is sent; what has none is left to the browser */
  limit(limits) {
    this.#limits = limits;
    this.#next(() => this.#tune());
  }

  /** How loud the other side's microphone is now, 0 to 1. */
  level() {
    const [source] = this.#transceiver("audio")?.receiver.getSynchronizationSources?.() ?? [];
    const now = this.#clock.now();
    if (source && source.timestamp !== this.#heard.stamp) {
      this.#heard = { stamp: source.timestamp, at: now }; // browsers differ in what they count from
    }
    return source && now - this.#heard.at < SILENT_MS ? source.audioLevel ?? 0 : 0;
  }

  /** How it went since the last call. */
  async sample() {
    const { connection } = this;
    const now = [...(await connection.getStats()).values()];
    const same = this.connection === connection;
    const before = same ? this.#before : [];
    this.#before = same ? now : [];
    return { ...sampleOf(before, now), ...pathOf(before, now) };
  }

  /** End it; nothing is said any more. */
  close() {
    this.#closed = true;
    this.connection.close();
  }

  get #relayOnly() {
    return this.#configuration.iceTransportPolicy === "relay";
  }

  get #slots() {
    return this.#legacy ? SLOTS.slice(0, 2) : SLOTS;
  }

  #make() {
    try {
      return new RTCPeerConnection(this.#configuration);
    } catch (error) {
      console.error("rtcd: ICE servers not usable", error);
      return new RTCPeerConnection({ ...this.#configuration, iceServers: [] });
    }
  }

  /** A connection whose events count as long as it is the one of this peer. */
  #open() {
    const connection = this.#make();
    const listener = this.#listener;
    /** @type {<T>(tell: (event: T) => unknown) => (event: T) => void} */
    const current = (tell) => (event) => {
      if (this.connection === connection && !this.#closed) {
        tell(event);
      }
    };
    connection.onicecandidate = current(({ candidate }) => candidate && this.#announce(candidate));
    connection.onicecandidateerror = current(({ url, errorCode, errorText }) =>
      listener.candidateError?.({ url, code: errorCode, text: errorText }));
    connection.ontrack = current(({ track, transceiver }) => {
      const slot = this.#slots.find((one) => this.#transceiver(one) === transceiver);
      slot && listener.track(slot, track);
    });
    connection.onconnectionstatechange = current(() => {
      listener.state(connection.connectionState);
      if (connection.connectionState === "failed" && !this.#legacy && !this.#able.revives) {
        this.#next(() => this.#die(connection));
      }
    });
    connection.ondatachannel = current(({ channel }) => listener.incoming?.(channel));
    if (!this.#legacy) {
      const channel = connection.createDataChannel("rtcd", { negotiated: true, id: 0 });
      channel.onopen = current(() => listener.channel?.(channel));
      this.channel = channel;
    }
    return connection;
  }

  /** From now on a restart is a new session. @param {RTCPeerConnection} connection that will not come back */
  async #die(connection) {
    const restarting = this.#rules.due() || connection.signalingState === "have-local-offer";
    connection.close();
    if (this.connection === connection && restarting) {
      await this.#renew();
    }
  }

  /** Another connection in place of the one in use. */
  #replace() {
    if (!this.#fresh) {
      const old = this.connection;
      this.#early = [];
      this.#unsent = [];
      this.#before = [];
      this.#filter = false;
      this.connection = this.#open();
      old.close();
      this.#listener.state("new");
    }
  }

  async #renew() {
    this.#replace();
    await this.#begin();
  }

  async #begin() {
    this.#fresh = false;
    this.#rules.begin(randomHex(), this.#clock.now());
    for (const slot of this.#slots) {
      const direction = this.#sends(slot) ? "sendrecv" : "recvonly";
      const streams = [this.#stream(slot)];
      this.#prefer(this.connection.addTransceiver(this.#source(slot).track ?? kindOf(slot), { direction, streams }));
    }
    await this.#describe(await this.connection.createOffer(), !this.#legacy);
  }

  async #offer() {
    this.#unsent ??= [];
    const offer = await this.connection.createOffer({ iceRestart: true });
    await this.#describe(offer, false, this.#rules.offer(this.#clock.now()));
  }

  /** @param {PeerMessage} message */
  async #take(message) {
    const { connection } = this;
    const verdict = this.#rules.take(message, connection.signalingState, this.#clock.now());
    if (verdict === "ignore" || message.type === "bye") {
      console.debug("rtcd: not expected now:", message.type, connection.signalingState);
    } else if (message.type === "candidate") {
      await this.#candidate(message);
    } else if (verdict === "accept") {
      await this.#apply(message);
      await this.#settle();
      if (this.#rules.due()) {
        await this.#offer();
      }
    } else if (verdict === "repeat") {
      await this.#offer();
    } else {
      if (verdict === "replace" || verdict === "renew") {
        this.#configuration = { ...this.#configuration, iceTransportPolicy: this.#base.iceTransportPolicy };
        this.#replace();
      } else if (verdict === "rollback") {
        await connection.setLocalDescription({ type: "rollback" });
      }
      await (verdict === "renew" ? this.#begin() : this.#answer(message));
    }
  }

  /** @param {import("./messages.js").DescriptionMessage} message */
  async #answer(message) {
    this.#fresh = false;
    this.#unsent ??= [];
    await this.#apply(message);
    for (const slot of this.#slots) {
      const transceiver = this.#transceiver(slot);
      if (transceiver) {
        this.#prefer(transceiver);
      }
      if (transceiver && this.#sends(slot)) {
        transceiver.direction = "sendrecv";
        transceiver.sender.setStreams?.(this.#stream(slot));
        await this.#attach(slot);
      }
    }
    await this.#describe(await this.connection.createAnswer(), false, message.round);
    await this.#settle();
  }

  /** @param {import("./messages.js").DescriptionMessage} message */
  #apply({ type, sdp }) {
    return this.connection.setRemoteDescription({ type, sdp: incoming(sdp, this.#args, this.#able) });
  }

  /** Both descriptions are there. */
  async #settle() {
    for (const init of this.#early.splice(0)) {
      await this.#add(init);
    }
    await this.#tune();
  }

  /** @param {RTCSessionDescriptionInit} own @param {boolean} [first] @param {number} [round] */
  async #describe(own, first, round) {
    await this.connection.setLocalDescription(own);
    const sdp = round && own.type === "offer" ? sameRole(own.sdp ?? "", this.connection) : (own.sdp ?? "");
    this.#say(descriptionText(own.type, outgoing(sdp, this.#args, this.#able), this.session, first, round));
    const held = this.#unsent ?? [];
    this.#unsent = null;
    held.forEach((text) => this.#say(text));
  }

  /** @param {RTCIceCandidate} own */
  #announce(own) {
    const text = isAllowed(own.candidate, this.#args) && candidateText(own, this.#relayOnly, this.session);
    if (text && !this.#unsent) {
      this.#say(text);
    } else if (text && this.#unsent && this.#unsent.length < MAX_WAITING) {
      this.#unsent.push(text);
    }
  }

  /** @param {string} text */
  #say(text) {
    if (!this.#closed) {
      this.#listener.send(text);
    }
  }

  /** @param {import("./messages.js").CandidateMessage} message */
  async #candidate({ candidate, id, label }) {
    const init = { candidate, sdpMid: id, sdpMLineIndex: label };
    if (!isAllowed(candidate, this.#args) || (this.#filter && !isRelayed(candidate))) {
      return;
    }
    if (this.connection.remoteDescription) {
      await this.#add(init);
    } else if (this.#early.length < MAX_WAITING) {
      this.#early.push(init);
    }
  }

  /** @param {RTCIceCandidateInit} init */
  async #add(init) {
    try {
      await this.connection.addIceCandidate(placed(init, this.connection.remoteDescription?.sdp ?? ""));
    } catch (error) {
      console.debug("rtcd: candidate not usable", init.candidate, error);
    }
  }

  /** By order within their kind: an app's sections come as it likes. @param {Slot} slot */
  #transceiver(slot) {
    const all = this.connection.signalingState === "closed" ? [] : this.connection.getTransceivers();
    return all.filter(({ receiver }) => receiver.track.kind === kindOf(slot))[slot.startsWith("screen") ? 1 : 0];
  }

  /** What goes in it: to an app the screen in place of the camera. @param {Slot} slot @returns {Source} */
  #source(slot) {
    const screen = this.#legacy && slot === "video" ? this.#media.track("screen") : null;
    return screen ? { slot: "screen", track: screen } : { slot, track: this.#media.track(slot) };
  }

  /** To a page everything can be sent later on; to an app, what the link asks for. @param {Slot} slot */
  #sends(slot) {
    return !this.#legacy || this.#media.wants(kindOf(slot));
  }

  /** @param {Slot} slot */
  #stream(slot) {
    return slot.startsWith("screen") ? (this.#screen ??= new MediaStream()) : this.#media.stream;
  }

  /** @param {Slot} slot */
  async #attach(slot) {
    const sender = this.#transceiver(slot)?.sender;
    const { track } = this.#source(slot);
    if (sender && sender.track !== track) {
      await sender.replaceTrack(track);
    }
  }

  /** @param {RTCRtpTransceiver} transceiver */
  #prefer(transceiver) {
    const { kind } = transceiver.receiver.track;
    const wanted = this.#able.preferences && this.#args.get(kind === "audio" ? "arc" : "vrc");
    const codecs = wanted && preferred(RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [], wanted);
    if (codecs) {
      transceiver.setCodecPreferences(codecs);
    }
  }

  async #tune(slots = this.#slots) {
    for (const slot of slots) {
      const sender = this.#transceiver(slot)?.sender;
      // A codec that was negotiated may yet not be one that can be sent: then the rest has to be done without.
      for (const codec of sender ? [this.#able.codec, false] : []) {
        const parameters = /** @type {RTCRtpSender} */ (sender).getParameters();
        try {
          if (tune(parameters, { ...this.#source(slot), limits: this.#limits, args: this.#args, codec })) {
            await sender?.setParameters(parameters);
          }
          break;
        } catch (error) {
          console.debug("rtcd: parameters not set", slot, error);
        }
      }
    }
  }

  /** @param {() => Promise<unknown>} step */
  #next(step) {
    const given = this.#given;
    this.#work = this.#work.then(() => this.#closed || given !== this.#given || step()).catch((error) => {
      if (!this.#closed) {
        console.error("rtcd: peer:", error);
      }
    });
  }
}

/** @param {Slot} slot @returns {Kind} */
function kindOf(slot) {
  return slot === "audio" || slot === "screenAudio" ? "audio" : "video";
}

/**
 * A candidate for a section that no `mid` of the description names is meant by its number; browsers would refuse it.
 * @param {RTCIceCandidateInit} init @param {string} sdp @returns {RTCIceCandidateInit}
 */
export function placed(init, sdp) {
  const names = [...sdp.matchAll(/^a=mid:(\S+)/gm)].map((match) => match[1]);
  return typeof init.sdpMid === "string" && names.includes(init.sdpMid) ? init : { ...init, sdpMid: null };
}
