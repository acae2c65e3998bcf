// @ts-check
/**
 * The other side of a call to oneself (`debug=loopback`): a second client of the signalling server, which sends back what
 * it gets.
 *
 * It goes the whole way through the server, so that a call to oneself tells whether a real one would work.
 */

import { candidateText, descriptionText, parseMessage } from "./messages.js";
import { Signaling } from "./signaling.js";

/** The name under which the server lets the second client in. */
const CLIENT = "loopback_client_id";

/** Answers our own offers in one room. */
export class LoopbackPartner {
  #configuration;
  #signaling;
  /** @type {RTCPeerConnection | null} */
  #connection = null;
  /** @type {Promise<unknown>} */
  #work = Promise.resolve();

  /** @param {string} wssUrl @param {() => RTCConfiguration} configuration asked when an offer comes */
  constructor(wssUrl, configuration) {
    this.#configuration = configuration;
    this.#signaling = new Signaling(wssUrl, {
      message: (text) => this.#receive(text),
      lost: () => {},
      restored: () => {},
      refused: (reason) => console.error("rtcd: loopback refused:", reason),
    });
  }

  /** @param {string} room */
  async start(room) {
    await this.#signaling.connect();
    this.#signaling.register(room, CLIENT);
  }

  /** Hang up. */
  close() {
    this.#connection?.close();
    this.#signaling.close();
  }

  /** @param {string} text */
  #receive(text) {
    const message = parseMessage(text);
    this.#work = this.#work
      .then(async () => {
        if (message?.type === "offer") {
          await this.#answer(message.sdp);
        } else if (message?.type === "candidate") {
          const { candidate, id: sdpMid, label: sdpMLineIndex } = message; // a page says them after its description
          await this.#connection?.addIceCandidate({ candidate, sdpMid, sdpMLineIndex });
        } else if (message?.type === "bye") {
          this.#connection?.close();
          this.#connection = null;
        }
      })
      .catch((error) => console.error("rtcd: loopback:", error));
  }

  /** @param {string} sdp */
  async #answer(sdp) {
    const connection = this.#connection ?? this.#open();
    await connection.setRemoteDescription({ type: "offer", sdp });
    for (const transceiver of connection.getTransceivers()) {
      transceiver.direction = "sendrecv";
      await transceiver.sender.replaceTrack(transceiver.receiver.track);
    }
    await connection.setLocalDescription(await connection.createAnswer());
    this.#signaling.send(descriptionText("answer", /** @type {string} */ (connection.localDescription?.sdp)));
  }

  #open() {
    const configuration = this.#configuration();
    const connection = new RTCPeerConnection(configuration);
    connection.onicecandidate = ({ candidate }) => {
      const text = candidate && candidateText(candidate, configuration.iceTransportPolicy === "relay");
      if (text) {
        this.#signaling.send(text);
      }
    };
    this.#connection = connection;
    return connection;
  }
}
