// @ts-check
/**
 * The green room: how we look and sound before we go in, which devices we take, what we are called, and the room's password.
 *
 * The devices go on into the call; until then this is their viewer.
 */

import { LIST_OF } from "./devices.js";
import { element, icon, initials, make, on, onPress } from "./elements.js";
import { LevelMeter } from "./meter.js";
import { isNumberName } from "./names.js";
import { browserOf, explain } from "./problems.js";

/** A microphone that gives not the least noise for so long is muted somewhere, or another one. */
const SILENT_MS = 8_000;

/** The pickers, by what is chosen in them. */
const PICKERS = /** @type {import("./devices.js").DeviceKind[]} */ (Object.keys(LIST_OF));

/** @typedef {import("./own.js").Viewer} Viewer */

/**
 * Draws the green room.
 * @implements {Viewer}
 */
export class GreenRoom {
  #texts;
  #video = /** @type {HTMLVideoElement} */ (element("preview-video"));
  #meter = new LevelMeter((level) => this.#level(level));
  /** @type {MediaStreamTrack | null} what the meter listens to */
  #heard = null;
  #heardAt = 0;
  /** @type {import("./own.js").OwnDevices | null} */
  #own = null;

  /**
   * @param {import("./texts.js").Texts} texts
   * @param {import("./sound.js").Sounds} sounds
   */
  constructor(texts, sounds) {
    this.#texts = texts;
    onPress("green-audio", () => this.#own?.toggle("audio"));
    onPress("green-video", () => this.#own?.toggle("video"));
    onPress("green-retry", () => this.#own?.retry());
    onPress("test-sound", () => sounds.join(true));
    on("own-name", "input", () => this.#avatar());
    for (const kind of PICKERS) {
      on(`${kind}-picker`, "change", () => this.#own?.choose(kind, select(kind).value));
    }
  }

  /** What the others are to call us. */
  get name() {
    return /** @type {HTMLInputElement} */ (element("own-name")).value.trim();
  }

  set name(name) {
    /** @type {HTMLInputElement} */ (element("own-name")).value = name;
  }

  /** The password typed in, or nothing where none was asked for. */
  get password() {
    return element("password-row").hidden ? undefined : /** @type {HTMLInputElement} */ (element("room-password")).value;
  }

  /**
   * @param {string} room
   * @param {import("./own.js").OwnDevices} own
   */
  open(room, own) {
    this.#own = own;
    element("green-room").textContent = isNumberName(room) ? "" : room;
    element("password-row").hidden = true;
    /** @type {HTMLInputElement} */ (element("room-password")).value = "";
    own.showIn(this);
  }

  /** Let go of picture and meter; the devices stay as they are. */
  close() {
    this.#own = null;
    this.#video.srcObject = null;
    this.#listen(null);
  }

  /**
   * Ask for the room's password.
   * @param {boolean} wrong whether one was given
   */
  askPassword(wrong) {
    element("password-row").hidden = false;
    const field = /** @type {HTMLInputElement} */ (element("room-password"));
    field.setAttribute("aria-invalid", String(wrong));
    this.#texts.show(element("password-reason"), wrong ? "green.password.wrong" : "green.password.asked");
    field.focus();
    field.select();
  }

  /** @param {boolean} open */
  prompt(open) {
    element("green-prompt").hidden = !open;
  }

  /** @param {boolean} able */
  switches(able) {
    for (const kind of ["audio", "video"]) {
      /** @type {HTMLButtonElement} */ (element(`green-${kind}-button`)).disabled = !able;
    }
  }

  local() {
    const media = this.#own?.media;
    if (!media) {
      return;
    }
    if (this.#video.srcObject !== media.stream) {
      this.#video.srcObject = media.stream;
      this.#video.play().catch(() => {});
    }
    for (const kind of /** @type {const} */ (["audio", "video"])) {
      const button = element(`green-${kind}-button`);
      button.hidden = !media.wants(kind);
      button.setAttribute("aria-pressed", String(!media.isOn(kind)));
      element(`${kind}-row`).hidden = !media.wants(kind);
    }
    this.#video.classList.toggle("mirrored", !media.far);
    element("preview").classList.toggle("empty", !media.isOn("video"));
    this.#avatar();
    this.#listen(media.isOn("audio") ? media.track("audio") : null);
  }

  /**
   * Explain what could not be had, where the picture would be.
   * @param {import("./media.js").Problem[]} problems
   */
  problems(problems) {
    const box = element("green-problems");
    const list = element("green-problem-list");
    const explained = problems.map((problem) => explain(problem, navigator.userAgent));
    list.replaceChildren(...explained.map(({ what, values }) => this.#paragraph(what, values)));
    const how = explained.find((one) => one.how)?.how;
    if (how) {
      list.append(this.#paragraph(how));
    } else if (explained.length > 0 && browserOf(navigator.userAgent) === "app") {
      list.append(this.#paragraph("allow.app"));
    }
    box.hidden = explained.length === 0;
    element("green-retry-button").hidden = problems.every(({ name }) => name === "Insecure");
  }

  /** Fill the pickers with what there is. */
  async devices() {
    const media = this.#own?.media;
    const found = await media?.devices();
    if (!media || !found || media !== this.#own?.media) {
      return;
    }
    for (const kind of PICKERS) {
      const list = found[LIST_OF[kind]].filter((device) => device.id);
      const picker = select(kind);
      const chosen = media.chosen(kind);
      picker.replaceChildren(...list.map(({ id, label }, index) =>
        new Option(label || `${this.#texts.get(`green.${kind}`)} ${index + 1}`, id, false, id === chosen)));
      if (list.length === 0) {
        picker.append(new Option(this.#texts.get(kind === "output" ? "green.default" : "green.none"), ""));
      }
      picker.disabled = list.length < 1;
    }
  }

  /**
   * @param {string} key
   * @param {Record<string, string>} [values]
   */
  #paragraph(key, values) {
    const words = make("p");
    this.#texts.show(words, key, values);
    return words;
  }

  /** Initials, or a figure for who has not said a name. */
  #avatar() {
    const letters = initials(this.name);
    element("preview-avatar").replaceChildren(letters || icon("person"));
  }

  /** @param {MediaStreamTrack | null} track */
  #listen(track) {
    if (track !== this.#heard) {
      this.#heard = track;
      this.#heardAt = Date.now();
      this.#meter.watch(track ? new MediaStream([track]) : null);
      element("preview-level").hidden = track === null;
      element("green-silent").hidden = true;
    }
  }

  /** @param {number} level 0 to 1 */
  #level(level) {
    const meter = element("preview-level");
    meter.style.setProperty("--level", level.toFixed(2));
    meter.setAttribute("aria-valuenow", String(Math.round(level * 100)));
    if (level > 0) {
      this.#heardAt = Date.now();
    }
    element("green-silent").hidden = this.#heard === null || Date.now() - this.#heardAt < SILENT_MS;
  }
}

/** @param {string} kind */
function select(kind) {
  return /** @type {HTMLSelectElement} */ (element(`${kind}-picker`));
}
