// @ts-check
/**
 * The connection to the other side: one RTCPeerConnection and the legacy offer and answer of AppRTC.
 *
 * Whoever is initiator offers, always and alone; the other one answers. Transceivers are fixed: microphone and camera come and go by
 * `replaceTrack`, so that nothing is negotiated again. Messages are taken at any time and in any order; they are worked off one by one.
 */

import { candidateText, descriptionText } from "./messages.js";
import { incoming, outgoing } from "./sdp.js";

/** @typedef {"audio" | "video"} Kind */

/**
 * @typedef {object} PeerListener
 * @property {(text: string, urgent: boolean) => void} send a message for the other side; `urgent` ones must not be overtaken
 * @property {(track: MediaStreamTrack) => void} track a medium of the other side
 * @property {(state: RTCPeerConnectionState) => void} state
 */

/** One peer connection, from the first message to `close`. */
export class Peer {
  /** The connection itself, for statistics. */
  connection;
  #listener;
  #initiator;
  #media;
  #args;
  #relayOnly;
  /** @type {Promise<unknown>} */
  #work = Promise.resolve();
  /** @type {RTCIceCandidateInit[]} */
  #early = [];
  /** @type {string[] | null} candidates that wait until the description they belong to has been sent */
  #unsent = [];
  #closed = false;

  /**
   * @param {object} setup
   * @param {RTCConfiguration} setup.configuration
   * @param {boolean} setup.initiator
   * @param {import("./media.js").LocalMedia} setup.media
   * @param {URLSearchParams} setup.args the page's URL arguments
   * @param {PeerListener} listener
   */
  constructor({ configuration, initiator, media, args }, listener) {
    this.#listener = listener;
    this.#initiator = initiator;
    this.#media = media;
    this.#args = args;
    this.#relayOnly = configuration.iceTransportPolicy === "relay";
    const connection = new RTCPeerConnection(configuration);
    this.connection = connection;
    connection.onicecandidate = ({ candidate }) => candidate && this.#announce(candidate);
    connection.ontrack = ({ track }) => listener.track(track);
    connection.onconnectionstatechange = () => this.#closed || listener.state(connection.connectionState);
  }

  /** Make the first offer; only the initiator may. */
  offer() {
    this.#next(async () => {
      for (const kind of /** @type {Kind[]} */ (["audio", "video"])) {
        this.connection.addTransceiver(this.#media.track(kind) ?? kind, {
          direction: this.#media.wants(kind) ? "sendrecv" : "recvonly",
          streams: [this.#media.stream],
        });
      }
      await this.#offer({});
    });
  }

  /**
   * Look for a new path with these ICE servers. Only the initiator can.
   * @param {RTCConfiguration} configuration
   */
  restart(configuration) {
    this.#next(async () => {
      this.connection.setConfiguration(configuration);
      await this.#offer({ iceRestart: true });
    });
  }

  /**
   * Take a message of the other side.
   * @param {import("./messages.js").PeerMessage} message
   */
  receive(message) {
    this.#next(async () => {
      if (message.type === "candidate") {
        await this.#candidate(message);
      } else if (message.type === "offer" && !this.#initiator) {
        await this.#answer(message);
      } else if (message.type === "answer" && this.connection.signalingState === "have-local-offer") {
        await this.connection.setRemoteDescription({ type: "answer", sdp: incoming(message.sdp, this.#args) });
        await this.#flush();
      } else {
        console.debug("rtcd: not expected now:", message.type, this.connection.signalingState);
      }
    });
  }

  /**
   * Send what the own media has now for this kind.
   * @param {Kind} kind
   */
  update(kind) {
    this.#next(async () => {
      const track = this.#media.track(kind);
      for (const { sender, receiver } of this.#transceivers(kind).slice(0, 1)) {
        if (sender.track !== track && receiver.track.kind === kind) {
          await sender.replaceTrack(track);
        }
      }
    });
  }

  /** End it; nothing is reported any more. */
  close() {
    this.#closed = true;
    this.connection.onicecandidate = null;
    this.connection.ontrack = null;
    this.connection.close();
  }

  /** @param {RTCOfferOptions} options */
  async #offer(options) {
    this.#unsent ??= [];
    const offer = await this.connection.createOffer(options);
    await this.connection.setLocalDescription(offer);
    this.#described("offer", /** @type {string} */ (offer.sdp));
  }

  /** @param {import("./messages.js").DescriptionMessage} message */
  async #answer(message) {
    this.#unsent ??= [];
    await this.connection.setRemoteDescription({ type: "offer", sdp: incoming(message.sdp, this.#args) });
    for (const kind of /** @type {Kind[]} */ (["audio", "video"])) {
      const [transceiver] = this.#transceivers(kind);
      if (transceiver && this.#media.wants(kind)) {
        transceiver.direction = "sendrecv";
        transceiver.sender.setStreams?.(this.#media.stream);
        await transceiver.sender.replaceTrack(this.#media.track(kind));
      }
    }
    const answer = await this.connection.createAnswer();
    await this.connection.setLocalDescription(answer);
    this.#described("answer", /** @type {string} */ (answer.sdp));
    await this.#flush();
  }

  /**
   * @param {RTCSdpType} type
   * @param {string} sdp
   */
  #described(type, sdp) {
    this.#listener.send(descriptionText(type, outgoing(sdp, this.#args)), true);
    const held = this.#unsent ?? [];
    this.#unsent = null;
    for (const text of held) {
      this.#listener.send(text, false);
    }
  }

  /** @param {RTCIceCandidate} candidate */
  #announce(candidate) {
    const text = candidateText(candidate, this.#relayOnly);
    if (text !== null && !this.#closed) {
      this.#unsent ? this.#unsent.push(text) : this.#listener.send(text, false);
    }
  }

  /** @param {import("./messages.js").CandidateMessage} message */
  async #candidate({ candidate, id, label }) {
    const init = { candidate, sdpMid: id, sdpMLineIndex: label };
    if (this.connection.remoteDescription === null) {
      this.#early.push(init);
    } else {
      await this.#add(init);
    }
  }

  async #flush() {
    for (const init of this.#early.splice(0)) {
      await this.#add(init);
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

  /** @param {Kind} kind */
  #transceivers(kind) {
    return this.connection.getTransceivers().filter(({ receiver }) => receiver.track.kind === kind);
  }

  /** @param {() => Promise<void>} step */
  #next(step) {
    this.#work = this.#work.then(() => (this.#closed ? undefined : step())).catch((error) => {
      if (!this.#closed) {
        console.error("rtcd: peer connection:", error);
      }
    });
  }
}

/**
 * A candidate whose section is no `mid` of the description is meant by its number; browsers would refuse it for the name.
 * @param {RTCIceCandidateInit} init
 * @param {string} sdp the description that it belongs to
 * @returns {RTCIceCandidateInit}
 */
export function placed(init, sdp) {
  const names = [...sdp.matchAll(/^a=mid:(\S+)/gm)].map((match) => match[1]);
  return typeof init.sdpMid === "string" && names.includes(init.sdpMid) ? init : { ...init, sdpMid: null };
}
