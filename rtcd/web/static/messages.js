// @ts-check
/**
 * The messages between two peers, as AppRTC's web, Android and iPhone clients write them, and what our pages add for each
 * other.
 *
 * Exactly four types are sent: offer, answer, candidate, bye. A phone app ends the call on any other. Between pages,
 * messages also say which `session` (one RTCPeerConnection of each side) they belong to, and offers after the first and their
 * answers which `round` of it; an app gets no such keys.
 */

/**
 * @typedef {{type: "offer" | "answer", sdp: string, session?: string, first?: boolean, round?: number}} DescriptionMessage
 * @typedef {{type: "candidate", label: number, id: string, candidate: string, session?: string}} CandidateMessage
 * @typedef {{type: "bye"}} ByeMessage
 * @typedef {DescriptionMessage | CandidateMessage | ByeMessage} PeerMessage
 */

export const BYE = JSON.stringify({ type: "bye" });

/**
 * The text of an offer or answer.
 * @param {RTCSdpType} type
 * @param {string} sdp
 * @param {string} [session] none for an app
 * @param {boolean} [first] whether this offer begins the session
 * @param {number} [round] none in the beginning
 * @returns {string}
 */
export function descriptionText(type, sdp, session, first = false, round) {
  return JSON.stringify({ sdp, type, session, first: first || undefined, round });
}

/**
 * The text for a local candidate, or null if the other side should not hear of it.
 *
 * Not told: the end of candidates, TCP candidates (AppRTC never had them), and whatever is not relayed when only relays may
 * be used.
 * @param {{candidate: string, sdpMid: string | null, sdpMLineIndex: number | null}} candidate
 * @param {boolean} relayOnly
 * @param {string} [session] none for an app
 * @returns {string | null}
 */
export function candidateText(candidate, relayOnly, session) {
  const fields = candidate.candidate.split(" ");
  if (fields.length < 8 || fields[2].toLowerCase() !== "udp" || (relayOnly && fields[7] !== "relay")) {
    return null;
  }
  const label = candidate.sdpMLineIndex ?? 0;
  const id = candidate.sdpMid ?? String(label);
  return JSON.stringify({ type: "candidate", label, id, candidate: candidate.candidate, session });
}

/**
 * What the other side said, or null if it is nothing that we know (a phone's `remove-candidates`, or rubbish).
 * @param {string} text
 * @returns {PeerMessage | null}
 */
export function parseMessage(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  const session = typeof message?.session === "string" ? { session: message.session } : {};
  switch (message?.type) {
    case "offer":
    case "answer": {
      const { type, sdp, first, round } = message;
      const more = { ...(first === true && { first }), ...(Number.isInteger(round) && { round }) };
      return typeof sdp === "string" ? { type, sdp, ...session, ...more } : null;
    }
    case "candidate":
      return typeof message.candidate === "string"
        ? { type: "candidate", label: Number(message.label) || 0, id: message.id, candidate: message.candidate, ...session }
        : null;
    case "bye":
      return { type: "bye" };
    default:
      return null;
  }
}

/**
 * Stored messages in the order in which they can be used: the newest offer first, then candidates.
 * @param {string[]} texts
 * @returns {PeerMessage[]}
 */
export function storedMessages(texts) {
  const messages = /** @type {PeerMessage[]} */ (texts.map(parseMessage).filter((message) => message !== null));
  const offer = messages.filter((message) => message.type === "offer").at(-1);
  const candidates = messages.filter((message) => message.type === "candidate");
  return offer ? [offer, ...candidates] : candidates;
}
