// @ts-check
/**
 * Our own microphone and camera: opening what there is, switching, going over to others. A refused or missing device
 * never stops a call; it becomes a `Problem` that the page explains.
 */

import { constrainMore, modernConstraints, named } from "./constraints.js";
import { afterLoss, Choices, isSecure, LIST_OF, sortDevices } from "./devices.js";
import { Screen } from "./screen.js";

/**
 * @typedef {"audio" | "video"} Kind
 * @typedef {Kind | import("./screen.js").Slot} Slot
 * @typedef {{kinds: Kind[], name: string}} Problem `name` is that of the DOMException, or "Insecure", or "Ended"
 * @typedef {import("./devices.js").DeviceKind} DeviceKind
 * @typedef {{id: string, group: string, absent: boolean}} Used the device of a track; `absent` only once it was lost
 */

/** Long enough for a few black pictures to go out before the camera does: no still picture of us stays over there. */
const BLACK_MS = 400;
/** @type {Kind[]} */
const KINDS = ["audio", "video"];

/** The devices of one call. */
export class LocalMedia {
  /** The tracks that are live now, in one stream for the own picture and for the other side to keep them together. */
  stream = new MediaStream();
  /** @type {Problem[]} */
  problems = [];
  /** Called with a slot when its track came, went, was muted or got another hint. */
  onChange = (/** @type {Slot} */ _slot) => {};
  /** Called when `problems` may be others; with a kind when that device went away by itself. */
  onProblems = (/** @type {Kind | null} */ _lost) => {};
  /** Called when there may be other devices, or others in use. */
  onDevices = () => {};
  /** What we share of our screen. */
  screen = new Screen((slot) => this.onChange(slot));
  /** @type {{audio: any, video: any, fake?: boolean}} */
  #wanted;
  #choices;
  #closed = false;
  #muted = false;
  #blurred = false;
  /** The side that the camera was flipped to. */
  #facing = "";
  #lists = sortDevices([]);
  /** @type {Partial<Record<Kind, Used | null>>} */
  #used = {};
  /** @type {Partial<Record<Kind, Used | null>>} what went away in use and may come back */
  #lost = {};
  /** @type {Promise<unknown>} */
  #switching = Promise.resolve();
  #plugged = () => void this.#next(() => this.#replug(KINDS));

  /**
   * @param {{audio: any, video: any, fake?: boolean}} constraints as the server gives them
   * @param {Choices} [choices]
   */
  constructor(constraints, choices = new Choices()) {
    this.#wanted = constraints;
    this.#choices = choices;
    navigator.mediaDevices?.addEventListener?.("devicechange", this.#plugged);
  }

  /**
   * @param {Slot} slot
   * @returns {MediaStreamTrack | null}
   */
  track(slot) {
    const own = slot === "audio" || slot === "video";
    return own ? (this.stream.getTracks().find(({ kind }) => kind === slot) ?? null) : this.screen.track(slot);
  }

  /**
   * Whether the link asks for this medium at all (`audio=false` does not).
   * @param {Kind} kind
   */
  wants(kind) {
    return this.#wanted[kind] !== false;
  }

  /**
   * Whether the other side can hear or see it.
   * @param {Slot} slot
   */
  isOn(slot) {
    return this.track(slot)?.enabled === true;
  }

  /**
   * Open what is wanted, else what there is. Never throws: see `problems`.
   * @param {Kind[]} [off] kinds that are not wanted yet
   */
  open(off = []) {
    const kinds = KINDS.filter((kind) => this.wants(kind) && !off.includes(kind));
    return this.#next(async () => {
      if (kinds.length > 0) {
        await this.#openKinds(kinds);
      }
    });
  }

  /**
   * Mute or unmute; asks for the device again if there is none yet. Returns whether it is on afterwards.
   * @param {boolean} on
   */
  setMicrophone(on) {
    return this.#next(async () => {
      this.#muted = !on;
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
      } else if (!on) {
        this.#lost.video = null;
        if (track) {
          track.enabled = false;
          this.onChange("video");
          await new Promise((resolve) => setTimeout(resolve, BLACK_MS));
          this.#remove(track);
        }
      }
      return this.isOn("video");
    });
  }

  /** Whether a question about devices may be waiting for the user's answer. */
  async isAsking() {
    const kinds = KINDS.filter((kind) => this.wants(kind));
    return isSecure() && (await Promise.all(kinds.map(permission))).some((state) => state !== "granted");
  }

  /** The devices there are; those that the browser still hides are left out. */
  async devices() {
    this.#lists = sortDevices((await navigator.mediaDevices?.enumerateDevices?.().catch(() => null)) ?? []);
    return this.#lists;
  }

  /**
   * The device that was chosen last in this browser, plugged in or not; "" is the default one.
   * @param {DeviceKind} kind
   */
  chosen(kind) {
    return this.#choices.get(kind);
  }

  /** Where sound is to come out now: the speaker chosen if it is there, else "". */
  get output() {
    return this.#isThere("output") ? this.chosen("output") : "";
  }

  /**
   * Use this device from now on and remember it. What is switched off stays off. False: it cannot be had, all is as before.
   * @param {DeviceKind} kind
   * @param {string} id "" for the default one
   */
  choose(kind, id) {
    return this.#next(async () => {
      const inUse = kind !== "output" && (this.track(kind) || this.problems.some(({ kinds }) => kinds.includes(kind)));
      const done = !inUse || (await this.#swap(kind, named(id)));
      if (done) {
        this.#choices.set(kind, id);
        this.#facing = kind === "video" ? "" : this.#facing;
      }
      await this.#tellDevices();
      return done;
    });
  }

  /** Whether there is a camera on the other side of this phone. */
  get canFlip() {
    return this.#lists.videoinput.length > 1 && this.#side() !== undefined;
  }

  /** Whether the camera looks away from who holds it, who is no mirror image then. */
  get far() {
    return this.#side() === "environment";
  }

  /** Show what is on the other side of the phone. Returns whether it is shown. */
  flip() {
    return this.#next(async () => {
      const side = this.#side() === "user" ? "environment" : "user";
      const done = this.canFlip && (await this.#swap("video", { facingMode: { exact: side } }));
      if (done) {
        this.#facing = side;
        await this.#tellDevices();
      }
      return done;
    });
  }

  /** Whether the background is blurred; undefined where browser and camera cannot do that by themselves. */
  get blur() {
    const track = /** @type {any} */ (this.track("video"));
    return track?.getCapabilities?.().backgroundBlur?.length > 1 ? track.getSettings().backgroundBlur === true : undefined;
  }

  /**
   * Returns whether it is so now.
   * @param {boolean} on
   */
  setBlur(on) {
    return this.#next(async () => {
      this.#blurred = on;
      const track = this.blur === undefined ? null : this.track("video");
      if (track) {
        await constrainMore(track, { backgroundBlur: on });
        this.onChange("video");
      }
      return this.blur === on;
    });
  }

  /** Let go of all devices, also of those that a prompt still open may bring; nothing is told any more. */
  close() {
    this.#closed = true;
    navigator.mediaDevices?.removeEventListener?.("devicechange", this.#plugged);
    this.onChange = this.onDevices = this.onProblems = () => {};
    this.screen.close();
    this.stream.getTracks().forEach((track) => this.#remove(track));
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

  async #tellDevices() {
    await this.devices();
    this.onDevices();
  }

  #side() {
    return this.track("video")?.getSettings?.().facingMode;
  }

  /** @param {DeviceKind} kind */
  #isThere(kind) {
    return this.#lists[LIST_OF[kind]].some(({ id }) => id === this.chosen(kind));
  }

  /**
   * The device to open if it is there, "" for any: the link comes first, and the side that was flipped to.
   * @param {Kind} kind
   */
  #favourite(kind) {
    const { deviceId, facingMode } = /** @type {any} */ (modernConstraints(this.#wanted[kind], kind));
    const bound = deviceId || typeof facingMode === "object"; // a plain word is our own wish
    return bound || (kind === "video" && this.#facing) ? "" : this.chosen(kind);
  }

  /** @param {Kind[]} kinds */
  async #openKinds(kinds) {
    if (this.#closed) {
      return;
    }
    this.#solved(kinds);
    if (isSecure()) {
      await this.devices();
      await this.#tryKinds(kinds);
    } else {
      this.problems.push({ kinds, name: "Insecure" });
    }
    this.onProblems(null);
    await this.#tellDevices();
    for (const kind of kinds) {
      // Its name was still hidden when we asked; Chromium heeds no wish then.
      const id = this.#favourite(kind);
      if (id && this.track(kind) && this.#isThere(kind) && this.#used[kind]?.id !== id) {
        await this.#swap(kind, named(id));
      }
    }
  }

  /** @param {Kind[]} kinds */
  async #tryKinds(kinds) {
    const error = await this.#request(kinds, true);
    if (error === null) {
      return;
    }
    for (const kind of kinds) {
      // What was refused is asked for alone only if it was not this one: to ask again after a dismissal would be a nuisance.
      const granted = error !== "NotAllowedError" || (await permission(kind)) === "granted";
      const again = error === "OverconstrainedError" || (kinds.length > 1 && granted);
      const reason = again ? await this.#request([kind], false) : error;
      if (reason !== null) {
        const same = this.problems.find((problem) => problem.name === reason);
        same ? same.kinds.push(kind) : this.problems.push({ kinds: [kind], name: reason });
      }
    }
  }

  /**
   * Go over to another device. Many phones open one camera at a time: the old one is let go, and taken back if in vain.
   * @param {Kind} kind
   * @param {Record<string, any>} wish
   */
  async #swap(kind, wish) {
    const old = this.track(kind);
    const before = this.#used[kind];
    if (this.#closed || !isSecure()) {
      return false;
    }
    let error = await this.#request([kind], true, wish);
    if (error === "OverconstrainedError") {
      error = await this.#request([kind], false, wish);
    } else if (error !== null && error !== "NotAllowedError" && old) {
      old.onended = null;
      old.stop();
      error = await this.#request([kind], false, wish);
      if (error !== null && (await this.#request([kind], true, named(before?.id))) !== null) {
        this.#remove(old);
        this.#ended(kind);
      }
    }
    if (error === null) {
      this.#solved([kind]);
      this.onProblems(null);
    }
    return error === null;
  }

  /**
   * Forget the problems of these kinds, and what they lost.
   * @param {Kind[]} kinds
   */
  #solved(kinds) {
    kinds.forEach((kind) => (this.#lost[kind] = null));
    this.problems = this.problems
      .map((problem) => ({ ...problem, kinds: problem.kinds.filter((kind) => !kinds.includes(kind)) }))
      .filter((problem) => problem.kinds.length > 0);
  }

  /**
   * Ask the browser once. Returns null, or the name of the error.
   * @param {Kind[]} kinds
   * @param {boolean} exactly with the constraints of the link; else any device will do
   * @param {Record<string, any>} [wish] the device to have; else the one flipped to or chosen
   * @returns {Promise<string | null>}
   */
  async #request(kinds, exactly, wish) {
    const constraints = /** @type {any} */ ({ audio: false, video: false });
    for (const kind of kinds) {
      const own = /** @type {any} */ (modernConstraints(exactly ? this.#wanted[kind] : true, kind));
      const { deviceId: _, facingMode: __, ...others } = own;
      const id = this.#favourite(kind);
      const chosen = id && (exactly && this.#isThere(kind) ? named(id) : { deviceId: id });
      const flipped = kind === "video" && this.#facing && { facingMode: this.#facing };
      const device = wish ?? (chosen || flipped);
      constraints[kind] = device ? { ...others, ...device } : own;
    }
    if (this.#wanted.fake) {
      constraints.fake = true; // Firefox's own word for its test picture
    }
    try {
      const opened = await navigator.mediaDevices.getUserMedia(constraints);
      for (const track of opened.getTracks()) {
        if (this.#blurred && track.kind === "video") {
          await constrainMore(track, { backgroundBlur: true }); // before anybody sees it
        }
        this.#add(track);
      }
      return null;
    } catch (error) {
      console.debug("rtcd: getUserMedia", kinds, error);
      return error instanceof DOMException ? error.name : "TypeError";
    }
  }

  /** @param {MediaStreamTrack} track */
  #add(track) {
    if (this.#closed) {
      track.stop();
      return;
    }
    const kind = /** @type {Kind} */ (track.kind);
    if (kind === "audio") {
      track.enabled = !this.#muted;
    } else {
      track.contentHint = "motion";
    }
    const old = this.track(kind);
    if (old) {
      this.#remove(old, true); // never two of a kind: one of them could not be switched off
    }
    const { deviceId = "", groupId = "" } = track.getSettings?.() ?? {};
    this.#used[kind] = { id: deviceId, group: groupId, absent: false };
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
    this.#lost[kind] ??= this.#used[kind];
    this.#remove(track);
    this.#next(async () => {
      await this.#replug([kind]);
      if (this.track(kind) === null) {
        this.#ended(kind);
      }
    });
  }

  /** @param {Kind} kind */
  #ended(kind) {
    const lost = this.#lost[kind];
    this.#solved([kind]);
    this.#lost[kind] = lost; // it may come back
    this.problems.push({ kinds: [kind], name: "Ended" });
    this.onProblems(kind);
  }

  /**
   * Go over to what is there, or back to what is there again.
   * @param {Kind[]} kinds
   */
  async #replug(kinds) {
    await this.devices();
    for (const kind of kinds) {
      const lost = this.#lost[kind];
      if (lost) {
        const used = this.track(kind) && (this.#used[kind]?.id ?? "");
        const { absent, take } = afterLoss(this.#lists[LIST_OF[kind]], lost, used);
        lost.absent = absent;
        if (take !== null && ["granted", "unknown"].includes(await permission(kind))) {
          const back = (await this.#swap(kind, named(take))) && take !== "";
          this.#lost[kind] = back ? null : lost;
        }
      }
    }
    this.onDevices();
  }

  /**
   * @param {MediaStreamTrack} track
   * @param {boolean} [replaced] another one comes at once
   */
  #remove(track, replaced = false) {
    this.stream.removeTrack(track);
    if (!replaced) {
      this.onChange(/** @type {Kind} */ (track.kind));
    }
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
