// @ts-check
/**
 * Our own microphone and camera: opening what there is, switching off and on, and why something could not be had.
 *
 * A refused or missing device never stops a call; it becomes a `Problem` that the page explains.
 */

/**
 * @typedef {"audio" | "video"} Kind
 * @typedef {{kinds: Kind[], name: string}} Problem `name` is that of the DOMException, or "Insecure"
 */

/** Long enough for a few black pictures to be sent before the camera goes off, so that no still picture of us stays over there. */
const BLACK_MS = 400;

/** Whether this page may ask for devices at all. */
export function isSecure() {
  return globalThis.isSecureContext && navigator.mediaDevices !== undefined;
}

/** The devices of one call. */
export class LocalMedia {
  /** The tracks that are live now, in one stream for the own picture and for the other side to keep them together. */
  stream = new MediaStream();
  /** @type {Problem[]} */
  problems = [];
  /** Called with a kind when its track came, went or was muted. */
  onChange = (/** @type {Kind} */ _kind) => {};
  /** Called when the first attempt to open devices is over, whatever came of it. */
  onOpened = () => {};
  /** Called when `problems` may be others; with a kind when that device went away by itself. */
  onProblems = (/** @type {Kind | null} */ _lost) => {};
  /** @type {{audio: any, video: any, fake?: boolean}} */
  #wanted;
  #closed = false;
  /** @type {Promise<unknown>} */
  #switching = Promise.resolve();

  /** @param {{audio: any, video: any, fake?: boolean}} constraints as the server gives them */
  constructor(constraints) {
    this.#wanted = constraints;
  }

  /**
   * @param {Kind} kind
   * @returns {MediaStreamTrack | null}
   */
  track(kind) {
    return this.stream.getTracks().find((track) => track.kind === kind) ?? null;
  }

  /**
   * Whether the link asks for this medium at all (`audio=false` does not).
   * @param {Kind} kind
   */
  wants(kind) {
    return this.#wanted[kind] !== false;
  }

  /**
   * Whether the other side can hear or see us.
   * @param {Kind} kind
   */
  isOn(kind) {
    return this.track(kind)?.enabled === true;
  }

  /** Open what is wanted, else what there is. Never throws: see `problems`. */
  open() {
    return this.#next(async () => {
      const kinds = /** @type {Kind[]} */ (["audio", "video"]).filter((kind) => this.wants(kind));
      if (kinds.length > 0) {
        await this.#openKinds(kinds);
      }
      this.onOpened();
    });
  }

  /**
   * Mute or unmute; asks for the device again if there is none yet. Returns whether it is on afterwards.
   * @param {boolean} on
   */
  setMicrophone(on) {
    return this.#next(async () => {
      const track = this.track("audio");
      if (track) {
        track.enabled = on;
        this.onChange("audio");
      } else if (on) {
        await this.#openKinds(["audio"]);
      }
      return this.isOn("audio");
    });
  }

  /**
   * Switch the camera; off means that its light goes out. Returns whether it is on afterwards.
   * @param {boolean} on
   */
  setCamera(on) {
    return this.#next(async () => {
      const track = this.track("video");
      if (on && !track) {
        await this.#openKinds(["video"]);
      } else if (!on && track) {
        track.enabled = false;
        this.onChange("video");
        await new Promise((resolve) => setTimeout(resolve, BLACK_MS));
        this.#remove(track);
      }
      return this.isOn("video");
    });
  }

  /** Whether a question about devices may be waiting for the user's answer. */
  async isAsking() {
    const kinds = /** @type {Kind[]} */ (["audio", "video"]).filter((kind) => this.wants(kind));
    return isSecure() && (await Promise.all(kinds.map(permission))).some((state) => state !== "granted");
  }

  /** Let go of all devices, also of those that a prompt still open may bring. */
  close() {
    this.#closed = true;
    for (const track of this.stream.getTracks()) {
      track.stop();
      this.stream.removeTrack(track);
    }
  }

  /**
   * One switch after the other, whatever the user clicks.
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T>}
   */
  #next(step) {
    const done = this.#switching.then(step);
    this.#switching = done.catch(() => {});
    return done;
  }

  /** @param {Kind[]} kinds */
  async #openKinds(kinds) {
    if (this.#closed) {
      return;
    }
    this.#solved(kinds);
    if (isSecure()) {
      await this.#tryKinds(kinds);
    } else {
      this.problems.push({ kinds, name: "Insecure" });
    }
    this.onProblems(null);
  }

  /** @param {Kind[]} kinds */
  async #tryKinds(kinds) {
    const error = await this.#request(kinds, true);
    if (error === null) {
      return;
    }
    const alone = kinds.length > 1 && error !== "NotAllowedError" ? kinds : await this.#notDenied(kinds, error);
    for (const kind of kinds) {
      const reason = alone.includes(kind) ? await this.#request([kind], false) : error;
      if (reason !== null) {
        const same = this.problems.find((problem) => problem.name === reason);
        same ? same.kinds.push(kind) : this.problems.push({ kinds: [kind], name: reason });
      }
    }
  }

  /**
   * Forget the problems of these kinds.
   * @param {Kind[]} kinds
   */
  #solved(kinds) {
    this.problems = this.problems
      .map((problem) => ({ ...problem, kinds: problem.kinds.filter((kind) => !kinds.includes(kind)) }))
      .filter((problem) => problem.kinds.length > 0);
  }

  /**
   * Ask the browser once. Returns null, or the name of the error.
   * @param {Kind[]} kinds
   * @param {boolean} exactly with the constraints of the link; else any device will do
   * @returns {Promise<string | null>}
   */
  async #request(kinds, exactly) {
    const constraints = /** @type {any} */ ({ audio: false, video: false });
    for (const kind of kinds) {
      constraints[kind] = exactly ? modernConstraints(this.#wanted[kind], kind) : true;
    }
    if (this.#wanted.fake) {
      constraints.fake = true; // Firefox's own word for its test picture
    }
    try {
      const opened = await navigator.mediaDevices.getUserMedia(constraints);
      for (const track of opened.getTracks()) {
        this.#add(track);
      }
      return null;
    } catch (error) {
      console.debug("rtcd: getUserMedia", kinds, error);
      return error instanceof DOMException ? error.name : "TypeError";
    }
  }

  /**
   * After a refusal: the devices that are worth asking for alone, because the browser's user did not refuse them.
   * @param {Kind[]} kinds
   * @param {string} error
   * @returns {Promise<Kind[]>}
   */
  async #notDenied(kinds, error) {
    if (kinds.length === 1) {
      return error === "OverconstrainedError" ? kinds : [];
    }
    const states = await Promise.all(kinds.map((kind) => permission(kind)));
    // "prompt" means that the question was dismissed: asking again at once would be a nuisance.
    return kinds.filter((_, index) => states[index] === "granted");
  }

  /** @param {MediaStreamTrack} track */
  #add(track) {
    if (this.#closed) {
      track.stop();
      return;
    }
    if (track.kind === "video" && "contentHint" in track) {
      track.contentHint = "motion";
    }
    const kind = /** @type {Kind} */ (track.kind);
    const old = this.track(kind);
    if (old) {
      this.#remove(old); // never two of a kind: one of them could not be switched off
    }
    track.onended = () => this.#lose(track);
    this.stream.addTrack(track);
    this.onChange(kind);
  }

  /**
   * It was unplugged, or taken back in the browser.
   * @param {MediaStreamTrack} track
   */
  #lose(track) {
    const kind = /** @type {Kind} */ (track.kind);
    this.#remove(track);
    this.#solved([kind]);
    this.problems.push({ kinds: [kind], name: "Ended" });
    this.onProblems(kind);
  }

  /** @param {MediaStreamTrack} track */
  #remove(track) {
    this.stream.removeTrack(track);
    this.onChange(/** @type {Kind} */ (track.kind));
    track.onended = null;
    track.stop();
  }
}

/**
 * @param {Kind} kind
 * @returns {Promise<string>}
 */
async function permission(kind) {
  try {
    const name = /** @type {PermissionName} */ (kind === "audio" ? "microphone" : "camera");
    return (await navigator.permissions.query({ name })).state;
  } catch {
    return "unknown"; // this browser does not tell
  }
}

/**
 * AppRTC's constraints (`{"mandatory": {"minWidth": "1280"}, "optional": [{…}]}`) as today's browsers want them.
 * @param {any} given
 * @param {Kind} kind
 * @returns {boolean | Record<string, any>}
 */
export function modernConstraints(given, kind) {
  if (given === false) {
    return false;
  }
  /** @type {Record<string, any>} */
  const constraints = kind === "video" ? { facingMode: "user" } : {};
  if (given !== null && typeof given === "object") {
    for (const item of [given.optional ?? []].flat()) {
      for (const [name, value] of Object.entries(item)) {
        constrain(constraints, name, value, false);
      }
    }
    for (const [name, value] of Object.entries(given.mandatory ?? {})) {
      constrain(constraints, name, value, true);
    }
  }
  return Object.keys(constraints).length > 0 ? constraints : true;
}

/**
 * @param {Record<string, any>} constraints
 * @param {string} name
 * @param {any} value
 * @param {boolean} mandatory
 */
function constrain(constraints, name, value, mandatory) {
  const range = /^(min|max)(Width|Height|FrameRate|AspectRatio)$/.exec(name);
  if (range) {
    const property = range[2][0].toLowerCase() + range[2].slice(1);
    const number = Number(value);
    if (Number.isFinite(number)) {
      constraints[property] = { ...constraints[property], [mandatory ? range[1] : "ideal"]: number };
    }
    return;
  }
  const property = { sourceId: "deviceId", googEchoCancellation: "echoCancellation", googAutoGainControl: "autoGainControl",
    googNoiseSuppression: "noiseSuppression" }[name] ?? name;
  if (["echoCancellation", "autoGainControl", "noiseSuppression", "facingMode", "deviceId"].includes(property)) {
    const plain = value === "true" ? true : value === "false" ? false : value;
    constraints[property] = { [mandatory ? "exact" : "ideal"]: plain };
  }
}
