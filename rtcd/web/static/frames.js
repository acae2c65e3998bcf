// @ts-check
/**
 * Whether pictures of the other side arrive, seen from the receiver's statistics.
 *
 * A camera that is switched off is not signalled in AppRTC; its pictures just end.
 */

const EVERY_MS = 1_500;
/** So many looks without a new picture mean that there is no picture. */
const STILL_LOOKS = 2;

/** Looks at one peer connection at a time. */
export class FrameWatch {
  #timer = 0;
  /** Counts the watches, so that a look that is late says nothing about the next connection. */
  #watch = 0;
  #onChange;

  /** @param {(arriving: boolean) => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /** @param {() => RTCPeerConnection | undefined} connection asked at each look */
  start(connection) {
    this.stop();
    const watch = this.#watch;
    let before = 0;
    let still = 0;
    /** @type {boolean | null} */
    let told = null;
    this.#timer = setInterval(async () => {
      const frames = await framesDecoded(connection());
      if (watch !== this.#watch) {
        return;
      }
      still = frames > before ? 0 : still + 1;
      before = frames;
      const arriving = still < STILL_LOOKS;
      if (arriving !== told && (arriving ? frames > 0 : true)) {
        told = arriving;
        this.#onChange(arriving);
      }
    }, EVERY_MS);
  }

  /** Look no more. */
  stop() {
    clearInterval(this.#timer);
    this.#watch += 1;
  }
}

/** @param {RTCPeerConnection | undefined} connection */
async function framesDecoded(connection) {
  let frames = 0;
  for (const report of (await connection?.getStats())?.values() ?? []) {
    if (report.type === "inbound-rtp" && report.kind === "video") {
      frames += report.framesDecoded ?? 0;
    }
  }
  return frames;
}
