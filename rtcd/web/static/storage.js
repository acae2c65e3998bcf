// @ts-check
/** What this browser keeps for us: a convenience, so that nothing here throws where that is forbidden or full. */

/** @typedef {() => Pick<Storage, "getItem" | "setItem">} Store asked each time: reading `localStorage` itself may throw */

/**
 * @param {string} key
 * @param {Store} [store]
 * @returns {string} "" for nothing
 */
export function recall(key, store = () => localStorage) {
  try {
    return store().getItem(key) ?? "";
  } catch {
    return "";
  }
}

/**
 * @param {string} key
 * @param {string} value "" for nothing
 * @param {Store} [store]
 */
export function remember(key, value, store = () => localStorage) {
  try {
    store().setItem(key, value);
  } catch {
    // It holds for this page, then.
  }
}
