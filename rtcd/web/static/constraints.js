// @ts-check
/** What is asked of devices: AppRTC's constraints as browsers want them today, and some of our own. */

/** @typedef {import("./media.js").Kind} Kind */

const PROCESSING = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/**
 * AppRTC's constraints (`{"mandatory": {"minWidth": "1280"}, "optional": [{…}]}`) as today's browsers want them.
 * @param {any} given
 * @param {Kind} kind
 * @returns {false | Record<string, any>}
 */
export function modernConstraints(given, kind) {
  /** @type {Record<string, any>} */
  const constraints = kind === "video" ? { facingMode: "user" } : { ...PROCESSING };
  for (const item of [given?.optional ?? [], given?.mandatory ?? {}].flat()) {
    for (const [name, value] of Object.entries(item)) {
      constrain(constraints, name, value, item === given.mandatory);
    }
  }
  return given !== false && constraints;
}

/**
 * @param {Record<string, any>} constraints
 * @param {string} name
 * @param {any} value
 * @param {boolean} mandatory
 */
function constrain(constraints, name, value, mandatory) {
  const lower = (/** @type {string} */ word) => word[0].toLowerCase() + word.slice(1);
  const [, bound, size] = /^(min|max)(Width|Height|FrameRate|AspectRatio)$/.exec(name) ?? [];
  if (bound && Number.isFinite(Number(value))) {
    const property = lower(size);
    constraints[property] = { ...constraints[property], [mandatory ? bound : "ideal"]: Number(value) };
  }
  const property = name === "sourceId" ? "deviceId" : lower(name.replace(/^goog/, ""));
  if ([...Object.keys(PROCESSING), "facingMode", "deviceId"].includes(property)) {
    constraints[property] = { [mandatory ? "exact" : "ideal"]: value === "true" || (value !== "false" && value) };
  }
}

/** For one device alone. @param {string | undefined} id any if there is none */
export function named(id) {
  return id ? { deviceId: { exact: id } } : {};
}

/**
 * Ask for more of a track than it was opened with. Never throws: what cannot be is not.
 * @param {MediaStreamTrack} track
 * @param {Record<string, any>} more
 */
export async function constrainMore(track, more) {
  try {
    await track.applyConstraints({ ...track.getConstraints(), ...more });
  } catch (error) {
    console.debug("rtcd: not applied", more, error);
  }
}
