// @ts-check
/** Files between two pages: nothing is sent before the other side takes it, and nothing is kept that was not taken. */

import { randomHex } from "./names.js";

/** The largest file. */
export const MAX_FILE_BYTES = 200_000_000;
/** So many may be offered or running in one direction; an offer beyond is refused. */
export const MAX_OPEN = 20;
export const MAX_NAME = 120;
export const CHUNK_BYTES = 16_384;
/** What may wait in the browser for one file, and when more is sent. */
export const MAX_BUFFERED_BYTES = 1_000_000;
const LOW_BYTES = 262_144;
/** So much is read at once; so much received becomes one Blob, which the browser may keep on disk. */
const BLOCK_BYTES = 262_144;
const PART_BYTES = 4_194_304;
const MAX_PARTS = 512;
/** So many offers one page may make in its time, each under an id of its own. */
export const MAX_OFFERS = 1_000;

const ANY_TYPE = "application/octet-stream";
/** What is nothing but data wherever it is opened; all else comes out as plain bytes. */
const HARMLESS = /^(image\/(png|jpeg|gif|webp|avif)|(audio|video)\/[\w.+-]+)$/;

/**
 * @typedef {object} FileEvent
 * @property {string} id 8 hex digits
 * @property {string} name
 * @property {number} size bytes
 * @property {string} type
 * @property {"in" | "out"} direction
 * @property {"offered" | "running" | "done" | "refused" | "stopped" | "failed"} status the last four are final
 * @property {number} bytes sent or received so far
 * @property {Blob} [blob] what was received, once it is done
 *
 * @typedef {object} FilesHost
 * @property {(frame: object) => boolean} send a control frame; false: it cannot go
 * @property {(label: string) => RTCDataChannel | null | undefined} make a channel on the current connection
 * @property {(event: FileEvent) => void} event
 * @property {() => boolean} isOpen whether the control channel is
 */

/** One file on its way. */
class Transfer {
  /** Bytes when the listener was told last. */
  told = 0;
  /** @type {BlobPart[]} */
  parts = [];
  /** Bytes in those parts that are no Blob yet. */
  loose = 0;
  /** @type {RTCDataChannel | null} */
  dc = null;
  wake = () => {};

  /**
   * @param {string} id
   * @param {{name: string, size: number, type: unknown}} file
   * @param {Blob | null} source of a file of ours
   */
  constructor(id, { name, size, type }, source) {
    const direction = source ? "out" : "in";
    /** @type {FileEvent} */
    this.about = { id, name: cleanName(name), size, type: String(type), direction, status: "offered", bytes: 0 };
    this.source = source;
  }
}

/** All files between us and one page. */
export class Files {
  #host;
  /** @type {Map<string, Transfer>} */
  #open = new Map();
  /** @type {Set<string>} ids of their offers: what was shown under one stays what it was */
  #used = new Set();

  /** @param {FilesHost} host */
  constructor(host) {
    this.#host = host;
  }

  /**
   * Offer a file. Returns its id, or null: larger than `MAX_FILE_BYTES`, too many open, or nobody to offer it to.
   * @param {File} file
   * @param {string} [id] to give a file the same one with several pages
   */
  offer(file, id = randomHex()) {
    const transfer = new Transfer(id, file, file);
    const { name, size, type } = transfer.about;
    const able = size <= MAX_FILE_BYTES && !this.#open.has(id) && !this.#full("out");
    if (!able || !this.#host.send({ t: "file", id, name, size, type })) {
      return null;
    }
    this.#add(transfer);
    return id;
  }

  /** @param {string} id of an offer of theirs */
  take(id) {
    const transfer = this.#offered(id, "in");
    transfer && this.#run(transfer);
    return transfer !== null;
  }

  /** @param {string} id of an offer of theirs */
  refuse(id) {
    const transfer = this.#offered(id, "in");
    if (transfer) {
      this.#host.send({ t: "refuse", id });
      this.#settle(transfer, "refused");
    }
  }

  /** @param {string} id of any file that is offered or running */
  stop(id) {
    const transfer = this.#open.get(id);
    transfer && this.#settle(transfer, "stopped", true);
  }

  /**
   * A control frame of the other side. False: it may not be said.
   * @param {unknown} t
   * @param {Record<string, any>} frame
   */
  receive(t, { id, name, size, type }) {
    if (typeof id !== "string" || !/^[0-9a-f]{8}$/.test(id)) {
      return false;
    }
    const known = this.#open.get(id);
    if (t === "file") {
      if (known || this.#used.has(id) || typeof name !== "string" || !Number.isInteger(size) || size < 0 || size > MAX_FILE_BYTES) {
        return false;
      }
      if (this.#full("in") || this.#used.size >= MAX_OFFERS) {
        this.#host.send({ t: "refuse", id });
        return false;
      }
      this.#used.add(id);
      this.#add(new Transfer(id, { name, size, type }, null));
      return true;
    }
    const mine = this.#offered(id, "out");
    if (known && t === "stop") {
      this.#settle(known, "stopped");
    } else if (mine && t === "take") {
      this.#run(mine);
    } else if (mine && t === "refuse") {
      this.#settle(mine, "refused");
    } else {
      return !known && (t === "stop" || t === "take" || t === "refuse"); // it may have ended here while they spoke
    }
    return true;
  }

  /**
   * A channel that the other side made; false: it brings nothing that was taken, and is closed.
   * @param {RTCDataChannel} dc
   */
  incoming(dc) {
    const transfer = this.#open.get(dc.label.replace(/^file:/, ""));
    if (transfer?.about.direction !== "in" || transfer.about.status !== "running" || transfer.dc) {
      dc.close();
      return false;
    }
    transfer.dc = dc;
    dc.binaryType = "arraybuffer";
    dc.onmessage = ({ data }) => this.#bytes(transfer, data);
    dc.onclose = () => this.#settle(transfer, "failed", true);
    return true;
  }

  /** @param {boolean} all whether everything ends, or only what runs since the connection is another one */
  fail(all) {
    for (const transfer of this.#open.values()) {
      if (all || transfer.about.status === "running") {
        this.#settle(transfer, "failed", true);
      }
    }
  }

  /**
   * @param {string} id
   * @param {"in" | "out"} direction
   */
  #offered(id, direction) {
    const transfer = this.#open.get(id);
    return transfer?.about.direction === direction && transfer.about.status === "offered" ? transfer : null;
  }

  /** @param {"in" | "out"} direction */
  #full(direction) {
    return [...this.#open.values()].filter(({ about }) => about.direction === direction).length >= MAX_OPEN;
  }

  /** @param {Transfer} transfer */
  #add(transfer) {
    this.#open.set(transfer.about.id, transfer);
    this.#tell(transfer);
  }

  /** @param {Transfer} transfer */
  #run(transfer) {
    const { about } = transfer;
    about.status = "running";
    this.#tell(transfer);
    if (about.direction === "in" && !this.#host.send({ t: "take", id: about.id })) {
      this.#settle(transfer, "failed");
    } else if (about.size === 0) {
      this.#settle(transfer, "done");
    } else if (about.direction === "out") {
      this.#send(transfer);
    }
  }

  /** @param {Transfer} transfer */
  async #send(transfer) {
    const { about, source } = transfer;
    try {
      const dc = this.#host.make(`file:${about.id}`);
      if (!dc || !source) {
        throw new Error("no channel");
      }
      transfer.dc = dc;
      dc.bufferedAmountLowThreshold = LOW_BYTES;
      dc.onopen = dc.onbufferedamountlow = () => transfer.wake();
      // The receiver closes it when it has everything; if the control channel closes too, the connection is gone.
      dc.onclose = () => {
        const whole = about.bytes === about.size && dc.bufferedAmount === 0 && this.#host.isOpen();
        this.#settle(transfer, whole ? "done" : "failed", !whole);
      };
      while (about.bytes < about.size && about.status === "running") {
        const end = Math.min(about.bytes + BLOCK_BYTES, about.size);
        const block = new Uint8Array(await source.slice(about.bytes, end).arrayBuffer());
        if (block.length !== end - about.bytes) {
          throw new Error("the file has become another one");
        }
        for (let at = 0; at < block.length; at += CHUNK_BYTES) {
          while (dc.readyState !== "open" || dc.bufferedAmount > MAX_BUFFERED_BYTES - CHUNK_BYTES) {
            await new Promise((resolve) => (transfer.wake = () => resolve(null)));
            if (about.status !== "running") {
              return;
            }
          }
          const chunk = block.subarray(at, at + CHUNK_BYTES);
          dc.send(chunk);
          this.#progress(transfer, chunk.length);
        }
      }
    } catch (error) {
      console.debug("rtcd: file not sent", error);
      this.#settle(transfer, "failed", true);
    }
  }

  /**
   * @param {Transfer} transfer
   * @param {unknown} data
   */
  #bytes(transfer, data) {
    const { about, parts } = transfer;
    if (!(data instanceof ArrayBuffer) || data.byteLength === 0 || data.byteLength > about.size - about.bytes) {
      this.#settle(transfer, "failed", true);
      return;
    }
    parts.push(data);
    transfer.loose += data.byteLength;
    if (transfer.loose >= PART_BYTES || parts.length > MAX_PARTS) {
      transfer.parts = [new Blob(parts)];
      transfer.loose = 0;
    }
    this.#progress(transfer, data.byteLength);
    if (about.bytes === about.size) {
      this.#settle(transfer, "done");
    }
  }

  /**
   * @param {Transfer} transfer
   * @param {number} bytes
   */
  #progress(transfer, bytes) {
    const { about } = transfer;
    about.bytes += bytes;
    if (about.bytes - transfer.told >= Math.max(about.size / 100, 65_536)) {
      transfer.told = about.bytes;
      this.#tell(transfer);
    }
  }

  /**
   * @param {Transfer} transfer
   * @param {FileEvent["status"]} status
   * @param {boolean} [stop] whether the other side is told
   */
  #settle(transfer, status, stop = false) {
    const { about, dc, parts } = transfer;
    if (!this.#open.delete(about.id)) {
      return;
    }
    about.status = status;
    if (status === "done" && about.direction === "in") {
      about.blob = new Blob(parts, { type: HARMLESS.test(about.type) ? about.type : ANY_TYPE });
    }
    if (stop) {
      this.#host.send({ t: "stop", id: about.id });
    }
    if (dc) {
      dc.onopen = dc.onmessage = dc.onclose = dc.onbufferedamountlow = null;
      dc.close();
    }
    transfer.wake();
    this.#tell(transfer);
  }

  /** @param {Transfer} transfer */
  #tell({ about }) {
    this.#host.event({ ...about });
  }
}

/**
 * A name that is only a name: no path, no control characters or such as turn the direction of writing and hide the ending;
 * at most `MAX_NAME` long with the ending kept.
 * @param {string} name
 */
export function cleanName(name) {
  const plain = name.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "").replace(/[\\/]/g, "_").trim();
  const ending = plain.match(/\.[^.]{1,16}$/)?.[0] ?? "";
  const stem = plain.slice(0, plain.length - ending.length).slice(0, MAX_NAME - ending.length);
  const cut = stem.replace(/[\uD800-\uDBFF]$/, "") + ending;
  return /^\.*$/.test(cut) ? "file" : cut;
}
