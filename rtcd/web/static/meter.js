// @ts-check
/** How loud our microphone is, for the bar beside its picker. */

const EVERY_MS = 66;
/** A context that the browser holds back until somebody clicks is asked again after so many looks. */
const RESUME_LOOKS = 15;
const SILENT_DB = -60;
const FULL_DB = -10;

/** Looks at one microphone at a time; never throws. */
export class LevelMeter {
  #onLevel;
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {MediaStreamAudioSourceNode | null} */
  #source = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {(level: number) => void} onLevel 0 to 1, about 15 times a second; 0 when it stops */
  constructor(onLevel) {
    this.#onLevel = onLevel;
  }

  /** @param {MediaStream | null} stream its microphone, until another one is given */
  watch(stream) {
    clearInterval(this.#timer);
    this.#source?.disconnect();
    if (this.#source) {
      this.#source = null;
      this.#onLevel(0);
    }
    const track = stream?.getTracks().find(({ kind }) => kind === "audio");
    try {
      if (track) {
        this.#listen((this.#context ??= new AudioContext()), track);
      } else {
        this.#context?.suspend();
      }
    } catch {
      // Then there is no level to be seen.
    }
  }

  /** Stop, and let go of the audio device. */
  close() {
    this.watch(null);
    this.#context?.close();
    this.#context = null;
  }

  /**
   * @param {AudioContext} context
   * @param {MediaStreamTrack} track
   */
  #listen(context, track) {
    const analyser = context.createAnalyser();
    const samples = new Float32Array(1024);
    this.#source = context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(analyser);
    let looks = 0;
    this.#timer = setInterval(() => {
      if (context.state !== "running" && looks++ % RESUME_LOOKS === 0) {
        context.resume().catch(() => {});
      }
      analyser.getFloatTimeDomainData(samples);
      this.#onLevel(levelOf(samples));
    }, EVERY_MS);
  }
}

/**
 * Loudness as ears have it: 0 for silence, 1 for a loud voice.
 * @param {ArrayLike<number>} samples -1 to 1
 */
export function levelOf(samples) {
  const power = Array.from(samples).reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const level = (10 * Math.log10(power) - SILENT_DB) / (FULL_DB - SILENT_DB);
  return level > 0 ? Math.min(level, 1) : 0; // of no samples: NaN
}
