// @ts-check
/**
 * What is asked of senders and receivers without changing a description: codecs, rates, sizes, priorities. From the
 * URL arguments `asc`, `vsc`, `arc`, `vrc`, `asbr`, `vsbr`, `dscp`, `ipv6` and from the limits of `budget.js`.
 */

import { isRate } from "./sdp.js";

/** @typedef {{video?: number, height?: number, screen?: number}} Limits bits per second; pixels of the shorter side */

/**
 * What this browser can do.
 * @typedef {object} Abilities
 * @property {boolean} codec choose the codec that it sends, so that the other side's description stays as it is
 * @property {boolean} preferences prefer codecs that it receives, so that its own does
 * @property {boolean} revives restart ICE that has failed. After that Firefox says `connected` but sends nothing any more.
 */

/** @param {URLSearchParams} args @returns {Abilities} */
export function abilities(args) {
  return {
    codec: (args.has("asc") || args.has("vsc")) && choosesCodec(),
    preferences: "setCodecPreferences" in (globalThis.RTCRtpTransceiver?.prototype ?? {}),
    revives: !("mozGetUserMedia" in (globalThis.navigator ?? {})),
  };
}

/** Whether `encodings[].codec` is known: a browser that does not know it does not read it. */
function choosesCodec() {
  let known = false;
  const encoding = /** @type {any} */ ({ get codec() { known = true; return undefined; } });
  const probe = new RTCPeerConnection();
  try {
    probe.addTransceiver("audio", { sendEncodings: [encoding] });
  } catch (error) {
    console.debug("rtcd: no encodings", error);
  }
  probe.close();
  return known;
}

/** @param {{mimeType: string, clockRate: number}} codec @param {string} wanted `name` or `name/rate` in any case */
function isNamed({ mimeType, clockRate }, wanted) {
  const name = mimeType.split("/")[1]?.toLowerCase();
  return [name, `${name}/${clockRate}`].includes(wanted.toLowerCase());
}

/** All codecs, the wanted one first; null if it is not there. @param {RTCRtpCodec[]} codecs @param {string} wanted */
export function preferred(codecs, wanted) {
  const first = codecs.filter((codec) => isNamed(codec, wanted));
  return first.length > 0 ? [...new Set([...first, ...codecs])] : null;
}

/**
 * Change the parameters of a sender to what it is to do. Returns whether that made a difference.
 * @param {RTCRtpSendParameters} parameters as `getParameters` gave them
 * @param {import("./peer.js").Source & {limits: Limits, args: URLSearchParams, codec: boolean}} wanted `codec`: choose it
 */
export function tune(parameters, { slot, track, limits, args, codec }) {
  if (!parameters.encodings?.length) {
    parameters.encodings = [{}]; // Firefox once gave none
  }
  const encoding = /** @type {Record<string, any>} */ (parameters.encodings[0]);
  const audio = slot === "audio" || slot === "screenAudio";
  /** @type {Record<string, any>} */
  const wanted = {
    maxBitrate: lower(args.get(audio ? "asbr" : "vsbr"), audio ? undefined : limits[slot]),
    priority: slot === "audio" ? "high" : "low",
  };
  if (!audio) {
    wanted.scaleResolutionDownBy = slot === "screen" ? 1 : scale(track, limits.height);
  }
  if (/^true$/i.test(args.get("dscp") ?? "")) {
    wanted.networkPriority = "high";
  }
  const name = codec && args.get(audio ? "asc" : "vsc");
  const chosen = name && !encoding.codec && parameters.codecs?.find((one) => isNamed(one, name));
  if (chosen) {
    wanted.codec = chosen;
  }
  const changes = Object.entries(wanted).filter(([key, value]) => encoding[key] !== value);
  for (const [key, value] of changes) {
    value === undefined ? delete encoding[key] : (encoding[key] = value);
  }
  return changes.length > 0;
}

/** @param {string | null} kilobits @param {number} [limit] */
function lower(kilobits, limit = Infinity) {
  const rate = Math.min(isRate(kilobits) ? Number(kilobits) * 1000 : Infinity, limit);
  return rate < Infinity ? rate : undefined;
}

/** @param {MediaStreamTrack | null} track @param {number} [height] */
function scale(track, height = Infinity) {
  const { width = 0, height: own = width } = track?.getSettings?.() ?? {};
  return Math.max(Math.min(width || own, own) / height, 1); // a telephone held upright sends a high picture, not a sharp one
}

/** Whether a candidate may be used: `ipv6=false` keeps IPv6 out. @param {string} text @param {URLSearchParams} args */
export function isAllowed(text, args) {
  return !/^false$/i.test(args.get("ipv6") ?? "") || !text.split(" ")[4]?.includes(":");
}

/** @param {string} text of a candidate */
export function isRelayed(text) {
  return / typ relay( |$)/.test(text);
}
