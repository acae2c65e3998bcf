// @ts-check
/** Soft tones when somebody comes, goes or writes, made by WebAudio. */

const VOLUME = 0.06;
const TONE_S = 0.22;
const STEP_S = 0.11;
/** Sounds closer together than this are left out. */
export const PAUSE_MS = 400;
/** What the browser held back longer than this comes too late to mean anything. */
const LATE_MS = 1_000;

/** Never throws; where there is no sound there is none. Frequencies in Hz. */
export class Sounds {
  muted = false;
  /** The speaker to play over, "" for the default one. */
  output = "";
  /** @type {AudioContext | null} */
  #context = null;
  #last = 0;

  /** @param {boolean} [anyway] however muted */
  join(anyway) {
    return this.#play([523, 784], anyway);
  }

  leave() {
    return this.#play([587, 392]);
  }

  chat() {
    return this.#play([880]);
  }

  /** @param {number[]} tones one after the other @param {boolean} [anyway] */
  async #play(tones, anyway) {
    const now = Date.now();
    if ((this.muted && !anyway) || now - this.#last < PAUSE_MS) {
      return;
    }
    this.#last = now;
    try {
      const context = (this.#context ??= new AudioContext());
      await /** @type {any} */ (context).setSinkId?.(this.output).catch(() => {}); // else over the one before
      await (context.state === "running" || context.resume());
      if (Date.now() - now < LATE_MS) {
        tones.forEach((frequency, index) => tone(context, frequency, context.currentTime + index * STEP_S));
      }
    } catch {
      // None here.
    }
  }
}

/**
 * @param {AudioContext} context
 * @param {number} frequency
 * @param {number} at seconds of the context
 */
function tone(context, frequency, at) {
  const volume = context.createGain();
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(VOLUME, at + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.0001, at + TONE_S);
  const oscillator = new OscillatorNode(context, { frequency });
  oscillator.connect(volume).connect(context.destination);
  oscillator.start(at);
  oscillator.stop(at + TONE_S);
}
