// @ts-check
/**
 * One call in a room, from joining to the farewell: what the page shows and says as it goes on.
 *
 * Which visit there is, and what comes after it, is decided in app.js.
 */

import { Call } from "./call.js";
import { qrPath, shareLink } from "./parameters.js";
import { STANDING, StatusLine } from "./status.js";

export { Stage } from "./stage.js";

/** Who left, and what could not be, is said a little longer. */
const LONG_MS = 6_000;
const NOTICE_S = 10;

/** @typedef {import("./call.js").Member} Member */

/**
 * @typedef {object} Page what a visit is shown on
 * @property {import("./parameters.js").Parameters} parameters
 * @property {import("./texts.js").Texts} texts
 * @property {import("./view.js").View} view
 * @property {import("./notices.js").Notices} notices
 * @property {import("./stage.js").Stage} stage
 * @property {import("./sound.js").Sounds} sounds
 */

/** @param {Event} event */
function stay(event) {
  event.preventDefault();
}

/** Use it once. */
export class Visit {
  /** @type {Call | null} */
  call = null;
  own;
  #room;
  #page;
  #onPassword;
  #over = false;
  #connectedAt = 0;
  /** @type {Map<string, string>} names by which those are known who are here */
  #known = new Map();
  /** Whether there was a phone app at the last look. */
  #app = false;
  #counted = false;
  #status;

  /**
   * @param {Page} page
   * @param {string} room
   * @param {import("./own.js").OwnDevices} own open, or about to be
   * @param {() => void} onPassword the room has another password, or wants one: this visit is over, its devices stay open
   */
  constructor(page, room, own, onPassword) {
    this.#page = page;
    this.#room = room;
    this.own = own;
    this.#onPassword = onPassword;
    this.#status = new StatusLine(page.view, () => (this.live ? this.call : null));
  }

  /** Whether there is a call that has not ended. */
  get live() {
    return !this.#over && this.call !== null && this.call.phase in STANDING;
  }

  /**
   * @param {string} name
   * @param {string} [password]
   * @param {Promise<unknown>} [before] what has to be over first: the leave of the call before
   */
  async enter(name, password, before) {
    const { parameters, notices, stage } = this.#page;
    const { media } = this.own;
    stage.clear();
    stage.invite(shareLink(parameters, this.#room, location), qrPath(parameters.base, this.#room, location.search));
    const call = new Call({ room: this.#room, query: location.search, parameters, media, name, password }, this.#listener());
    this.call = call;
    this.own.showIn({
      local: () => stage.local(media),
      devices: () => stage.local(media),
      problems: (problems) => notices.problems(problems),
      switches: (able) => stage.switches(able),
      prompt: (open) => stage.prompt(open),
      changed: (slot) => call.mediaChanged(slot),
      say: (key) => this.announce(key),
    });
    stage.phase("joining");
    await before;
    if (!this.#over) {
      await call.start();
    }
  }

  /**
   * Say what happened; nothing after the end.
   * @param {string} key
   * @param {Record<string, string>} [values]
   */
  announce(key, values) {
    if (this.live) {
      this.#status.say(key, values);
    }
  }

  /**
   * Say what could not be done.
   * @param {string} key
   * @param {Record<string, string>} [values]
   */
  warn(key, values) {
    this.#page.notices.show("failed", "warning", { key, values }, NOTICE_S);
  }

  /** Show the screen to the others, or no more. */
  async share() {
    const { media } = this.own;
    if (media.screen.shared) {
      media.screen.stop();
    } else if (await media.screen.share()) {
      this.announce("status.sharing");
    } else if (media.screen.problem) {
      this.warn("notice.screen", { name: media.screen.problem });
    }
  }

  /** Leave, and let go of everything. Resolves when the server knows. */
  async end() {
    this.#finish();
    await this.call?.hangUp();
  }

  /** Leave, and see the farewell. */
  hangUp() {
    this.call?.hangUp();
  }

  /** The page goes away. */
  leaveNow() {
    this.call?.leaveNow();
  }

  /** @returns {import("./call.js").CallListener} */
  #listener() {
    const { stage, notices, sounds } = this.#page;
    return {
      phase: (phase, reason) => this.#over || this.#phase(phase, reason),
      room: (room) => this.#roomChanged(room),
      member: (member) => {
        this.#known.set(member.id, member.name);
        stage.member(member);
        this.#status.stand();
      },
      track: (id, slot, track) => stage.track(id, slot, track),
      left: (member, why) => {
        stage.left(member.id);
        if (why !== "returned") {
          sounds.leave();
          this.#status.say(`status.${why}`, { name: this.#someone(member.name) }, LONG_MS);
        }
      },
      chat: (message) => {
        stage.chat(message);
        sounds.chat();
        this.#page.view.call(`${this.#someone(this.#known.get(message.from))}: ${message.text.slice(0, 60)}`);
      },
      file: (event) => stage.file(event),
      mute: (kind, name) => {
        this.own.switch(kind, false);
        notices.show("asked", "plain", { key: `notice.muted.${kind}`, values: { name: this.#someone(name) } }, NOTICE_S);
      },
      refused: (_command, why) => this.#status.say(`refusal.${why}`, {}, LONG_MS),
      trouble: (kind, present, detail) => {
        if (present) {
          const { url = "", code = 0, text = "" } = detail ?? {};
          const key = kind === "candidate" && code === 401 ? "trouble.candidate.401" : `trouble.${kind}`;
          notices.show(kind, "warning", { key, values: { url, code: String(code), text } });
        } else {
          notices.withdraw(kind);
        }
      },
      failed: (kind, detail) => {
        this.#finish();
        this.#page.view.error(kind, detail);
      },
    };
  }

  /**
   * @param {import("./call.js").Phase} phase
   * @param {string} [reason]
   */
  #phase(phase, reason) {
    const { stage, view, parameters } = this.#page;
    const capacity = this.call?.room?.capacity ?? parameters.capacity;
    (phase === "connected" ? addEventListener : removeEventListener)("beforeunload", stay);
    if (phase === "left") {
      this.#finish();
      view.left(this.#room, this.#connectedAt && (Date.now() - this.#connectedAt) / 1000);
    } else if (phase === "refused" && reason === "password") {
      this.#finish(true);
      this.#onPassword();
    } else if (phase === "refused") {
      this.#finish();
      view.refused(reason ?? "full", capacity);
    } else if (phase in STANDING) {
      stage.phase(phase);
      if (phase === "connected") {
        this.#connectedAt ||= Date.now();
      }
      this.#status.phase();
      view.show(phase === "connecting" ? "joining" : /** @type {import("./view.js").State} */ (phase));
    }
  }

  /** @param {import("./call.js").RoomView} room */
  #roomChanged(room) {
    const { stage, sounds, view, texts, notices } = this.#page;
    stage.room(room);
    const newest = room.members.filter((member) => !this.#known.has(member.id)).at(-1);
    this.#known = new Map(room.members.map((member) => [member.id, member.name]));
    if (this.#counted && newest) {
      const name = this.#someone(newest.name);
      sounds.join();
      this.announce("status.joined", { name });
      view.call(texts.get("status.joined", { name }));
    }
    this.#counted = true;
    if (room.app && !this.#app) {
      notices.show("app", "plain", { key: "notice.app" }, NOTICE_S);
    }
    this.#app = room.app;
  }

  /** @param {string | undefined} name */
  #someone(name) {
    return name || this.#page.texts.get("status.someone");
  }

  /**
   * The call has ended, or there will be none.
   * @param {boolean} [again] whether the devices are wanted further on
   */
  #finish(again = false) {
    const { notices, stage } = this.#page;
    this.#over = true;
    removeEventListener("beforeunload", stay);
    again ? this.own.media.screen.stop() : this.own.close();
    stage.clear();
    notices.problems([]);
    notices.withdraw("ice", "path", "signaling", "candidate", "app", "asked", "failed");
    this.#status.clear();
    if (document.fullscreenElement) {
      stage.toggleFullscreen();
    }
  }
}
