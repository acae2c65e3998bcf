// @ts-check
/**
 * Why a device could not be had, as texts: what is the matter, and what to do about it in the browser at hand.
 *
 * Everything here is a pure function of its arguments.
 */

/**
 * @typedef {object} Explanation
 * @property {string} what text key
 * @property {string} how text key, or empty
 * @property {Record<string, string>} values
 * @property {"both" | "audio" | "video"} which
 */

/** Names that browsers give to the same trouble. */
const SAME = /** @type {Record<string, string>} */ ({
  SecurityError: "NotAllowedError",
  AbortError: "NotReadableError",
  OverconstrainedError: "NotFoundError",
});

/** Troubles that there are words for; `device.{name}.{which}`. */
export const TROUBLES = ["NotAllowedError", "NotFoundError", "NotReadableError", "Ended", "Insecure"];

/** @type {[RegExp, string][]} the first that fits; browsers claim to be others, so that the order matters */
const BROWSERS = [
  [/MicroMessenger|QQ\/|DingTalk|Weibo|FBA[NV]|Instagram|Line\/|; wv\)/i, "app"],
  [/(CriOS|FxiOS|EdgiOS)\//, "iosOther"],
  [/iPhone|iPad|iPod/, "ios"],
  [/Android/, "android"],
  [/Firefox\//, "firefox"],
  [/Chrome\//, "chrome"],
  [/Safari\//, "safari"],
];

/**
 * The browser, as far as the place of its permissions goes.
 * @param {string} agent User-Agent
 * @returns {string} of the texts `allow.{browser}`
 */
export function browserOf(agent) {
  return BROWSERS.find(([pattern]) => pattern.test(agent))?.[1] ?? "chrome";
}

/**
 * @param {import("./media.js").Problem} problem
 * @param {string} agent
 * @returns {Explanation}
 */
export function explain({ kinds, name }, agent) {
  const which = kinds.length > 1 ? "both" : kinds[0];
  const same = SAME[name] ?? name;
  if (!TROUBLES.includes(same) || (same === "Ended" && which === "both")) {
    return { what: "device.other", how: "", values: { name }, which };
  }
  return { what: `device.${same}.${which}`, how: same === "NotAllowedError" ? `allow.${browserOf(agent)}` : "", values: {}, which };
}
