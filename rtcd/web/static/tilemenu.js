// @ts-check
/** What the menus of tiles and of people offer. */

/** @typedef {import("./menus.js").MenuItem} MenuItem */
/** @typedef {import("./tile.js").Tile} Tile */

/**
 * What the host can do about a member.
 * @param {import("./call.js").Member} member
 * @param {string} name
 * @param {import("./call.js").Call} call
 * @returns {MenuItem[]}
 */
export function hostItems({ id, page, state }, name, call) {
  const sure = { text: "people.kick.sure", values: { name }, danger: true, action: () => call.kick(id) };
  return wanted([
    page && state?.audio !== false && { text: "people.askMute", icon: "microphone-off", action: () => call.askMute(id, "audio") },
    page && state?.video !== false && { text: "people.askHide", icon: "camera-off", action: () => call.askMute(id, "video") },
    page && { text: "people.makeHost", icon: "crown", action: () => call.makeHost(id) },
    { text: "people.kick", icon: "door", items: () => [sure] },
  ]);
}

/**
 * What anybody can do with a tile.
 * @param {Tile} tile
 * @param {{pinned: boolean, pin: (() => void) | null, share: () => void}} how `pin`: null where it is the only one
 * @returns {MenuItem[]}
 */
export function tileItems(tile, { pinned, pin, share }) {
  const { own, kind, pictured } = tile;
  return wanted([
    pin && { text: pinned ? "tile.unpin" : "tile.pin", icon: "pin", action: pin },
    pictured && tile.canFill && { text: "tile.fullscreen", icon: "fullscreen", action: () => tile.fill() },
    pictured && document.pictureInPictureEnabled && { text: "tile.pip", icon: "pip", action: () => tile.float() },
    own && kind === "screen" && { text: "menu.unshare", icon: "screen", action: share },
  ]);
}

/**
 * What can be done with the own picture besides.
 * @param {{corner: (() => void) | null, hide: () => void}} how `corner`: null where it stands among the others
 * @returns {MenuItem[]}
 */
export function selfItems({ corner, hide }) {
  return wanted([
    corner && { text: "tile.corner", icon: "flip", action: corner },
    { text: "tile.self.hide", icon: "close", action: hide },
  ]);
}

/** @param {(MenuItem | false | null | undefined)[]} items */
export function wanted(items) {
  return /** @type {MenuItem[]} */ (items.filter(Boolean));
}
