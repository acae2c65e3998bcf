// @ts-check
/** Which devices there are, which were chosen, and what to do when one goes or comes back. `LocalMedia` asks the browser. */

import { recall, remember } from "./storage.js";

/**
 * @typedef {"audio" | "video" | "output"} DeviceKind
 * @typedef {{id: string, label: string, group: string}} Device `group`: the piece of hardware that it belongs to
 * @typedef {Record<"audioinput" | "videoinput" | "audiooutput", Device[]>} DeviceLists
 */

export const LIST_OF = /** @type {const} */ ({ audio: "audioinput", video: "videoinput", output: "audiooutput" });

/**
 * Sort what the browser tells. It hides ids until a device was allowed; "communications" is Windows' second name for one.
 * @param {Pick<MediaDeviceInfo, "deviceId" | "groupId" | "kind" | "label">[]} infos
 */
export function sortDevices(infos) {
  /** @type {DeviceLists} */
  const lists = { audioinput: [], videoinput: [], audiooutput: [] };
  for (const { deviceId, groupId, kind, label } of infos) {
    if (!["", "communications"].includes(deviceId)) {
      lists[kind]?.push({ id: deviceId, label, group: groupId });
    }
  }
  return lists;
}

/**
 * What becomes of a medium whose device went away in use.
 * @param {Device[]} list what there is now
 * @param {{id: string, group: string, absent: boolean}} lost `absent`: it was missing since; else the user took it back
 * @param {string | null} used the id in use now, if any
 * @returns {{absent: boolean, take: string | null}} `take`: the device to go over to, "" for the default one, null for none
 */
export function afterLoss(list, lost, used) {
  // "default" is the same device only while it stands for the same hardware.
  if (!list.some(({ id, group }) => id === lost.id && (!group || !lost.group || group === lost.group))) {
    return { absent: true, take: used === null && list.length > 0 ? "" : null };
  }
  return { absent: lost.absent, take: lost.absent && used !== lost.id ? lost.id : null };
}

/** The devices chosen in this browser. */
export class Choices {
  #store;
  /** @type {Record<string, string>} */
  #ids = {};

  /** @param {import("./storage.js").Store} [store] */
  constructor(store) {
    this.#store = store;
  }

  /**
   * @param {DeviceKind} kind
   * @returns {string} "" for the default one
   */
  get(kind) {
    return this.#ids[kind] ?? recall(`device.${kind}`, this.#store);
  }

  /**
   * @param {DeviceKind} kind
   * @param {string} id
   */
  set(kind, id) {
    this.#ids[kind] = id;
    remember(`device.${kind}`, id, this.#store);
  }
}

/** Whether this page may ask for devices at all. */
export function isSecure() {
  return globalThis.isSecureContext && navigator.mediaDevices !== undefined;
}
