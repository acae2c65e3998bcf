// @ts-check
/** A way into the call for tests and for the browser's console: `rtcdCall`. */

/** @param {() => import("./call.js").Call | null} call the one that is on, or was last */
export function expose(call) {
  /** @type {any} */ (globalThis).rtcdCall = {
    /** @returns {string} the call's phase, finer than the page's state */
    get phase() {
      return call()?.phase ?? "idle";
    },
    /** @returns {RTCPeerConnection | null} of the first one in the room */
    get connection() {
      return Object.values(this.connections)[0] ?? null;
    },
    /** @returns {Record<string, RTCPeerConnection>} by member */
    get connections() {
      const peers = [...(call()?.members ?? [])].filter(([, { peer }]) => peer);
      return Object.fromEntries(peers.map(([id, { peer }]) => [id, /** @type {any} */ (peer).connection]));
    },
    /**
     * @param {string} [id] of a member; without it the first one
     * @returns {Promise<Record<string, any>[]>} all statistics of a peer connection, as plain objects
     */
    async stats(id) {
      const connection = id ? this.connections[id] : this.connection;
      return [...((await connection?.getStats())?.values() ?? [])];
    },
    get call() {
      return call();
    },
  };
}
