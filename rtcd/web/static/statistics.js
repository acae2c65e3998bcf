// @ts-check
/** The statistics of one connection as people read them, from two looks: rates are per second, times are ms. */

import { selectedPair } from "./quality.js";

/** The slots of a page's sections; an app has names of its own for them. */
const SLOTS = ["audio", "video", "screen", "screenAudio"];

/**
 * @param {any[]} before reports of getStats; none: no rates
 * @param {any[]} now
 * @param {Partial<RTCPeerConnection>} [connection] for its states
 */
export function describe(before, now, connection = {}) {
  const old = new Map(before.map((report) => [report.id, report]));
  const reports = new Map(now.map((report) => [report.id, report]));
  const pair = selectedPair(now);
  return {
    states: {
      connection: connection.connectionState,
      signaling: connection.signalingState,
      gathering: connection.iceGatheringState,
      ice: connection.iceConnectionState,
    },
    candidates: { local: types(now, "local-candidate"), remote: types(now, "remote-candidate") },
    pair: pair
      ? {
          local: place(reports.get(pair.localCandidateId)),
          remote: place(reports.get(pair.remoteCandidateId)),
          rtt: ms(pair.currentRoundTripTime),
          totalRtt: ms(pair.totalRoundTripTime),
          available: pair.availableOutgoingBitrate,
        }
      : null,
    media: now
      .filter(({ type }) => type === "inbound-rtp" || type === "outbound-rtp")
      .map((report) => medium(report, old.get(report.id), reports))
      .sort((one, other) => SLOTS.indexOf(one.slot) - SLOTS.indexOf(other.slot)),
  };
}

/** One medium in one direction. @param {any} report @param {any} last the same before @param {Map<string, any>} reports */
function medium(report, last, reports) {
  const sent = report.type === "outbound-rtp";
  const codec = reports.get(report.codecId);
  const far = sent ? [...reports.values()].find(({ localId }) => localId === report.id) : report;
  /** @param {string} key */
  const rate = (key) => {
    const seconds = (report.timestamp - last?.timestamp) / 1000;
    return seconds > 0 && report[key] >= last[key] ? (report[key] - last[key]) / seconds : undefined;
  };
  const bytes = rate(sent ? "bytesSent" : "bytesReceived");
  return {
    slot: SLOTS[report.mid]?.startsWith("screen") ? SLOTS[report.mid] : report.kind,
    kind: report.kind,
    direction: sent ? "send" : "receive",
    codec: codec && { name: codec.mimeType?.split("/")[1], payloadType: codec.payloadType, clockRate: codec.clockRate },
    bitrate: bytes && bytes * 8,
    packetRate: rate(sent ? "packetsSent" : "packetsReceived"),
    jitter: ms(far?.jitter),
    lost: far?.packetsLost,
    level: (reports.get(report.mediaSourceId) ?? report).audioLevel,
    width: report.frameWidth,
    height: report.frameHeight,
    fps: report.framesPerSecond,
    fir: report.firCount,
    pli: report.pliCount,
    nack: report.nackCount,
    dropped: report.framesDropped,
    limitation: report.qualityLimitationReason,
  };
}

/** How many candidates there are of each type. @param {any[]} reports @param {string} side */
function types(reports, side) {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const { type, candidateType } of reports) {
    if (type === side) {
      counts[candidateType] = (counts[candidateType] ?? 0) + 1;
    }
  }
  return counts;
}

/** `relayProtocol`: how we speak to the TURN server. @param {any} candidate */
function place(candidate) {
  return candidate && { ...candidate, address: candidate.address ?? candidate.ip, type: candidate.candidateType };
}

/** @param {number} [seconds] */
function ms(seconds) {
  return seconds === undefined ? undefined : seconds * 1000;
}
