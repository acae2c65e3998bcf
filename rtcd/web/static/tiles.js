// @ts-check
/** All tiles of a call: one for each camera and screen, and our own; who they belong to, and where they go. */

import { SelfCorner } from "./corner.js";
import { element } from "./elements.js";
import { placeTiles } from "./placement.js";
import { Speaker } from "./speaker.js";
import { Tile } from "./tile.js";
import { hostItems, selfItems, tileItems } from "./tilemenu.js";

/**
 * @typedef {import("./call.js").Member} Member
 * @typedef {import("./menus.js").MenuItem} MenuItem
 * @typedef {{id: string, name: string, host: boolean, muted: boolean, camera: boolean | undefined,
 *   trouble: string | null}} Person
 * @typedef {{member: Member | null, camera: Tile | null, screen: Tile | null,
 *   tracks: Map<string, MediaStreamTrack | null>}} Entry
 */

const SPEAKER_MS = 300;
const LOOK_MS = 1_500;
const MOVE_MS = 450;

/** Draws them. */
export class Tiles {
  self;
  #corner;
  selfShown = true;
  /** Whether there is a call, rather than the own picture alone. */
  #together = false;
  #texts;
  #visit;
  #menus;
  #blocked;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Tile | null} */
  #screen = null;
  /** @type {string | null} */
  #pinned = null;
  /** @type {string | null} */
  #main = null;
  /** @type {{id: string, name: string, host: boolean} | null} */
  #me = null;
  #speaker = new Speaker();
  #frame = 0;
  #moving = 0;
  #timers = /** @type {import("./signaling.js").Timer[]} */ ([]);

  /**
   * @param {import("./texts.js").Texts} texts
   * @param {import("./stage.js").Current} visit
   * @param {import("./menus.js").Menus} menus
   * @param {() => void} blocked the browser wants a gesture before there may be sound
   */
  constructor(texts, visit, menus, blocked) {
    this.#texts = texts;
    this.#visit = visit;
    this.#menus = menus;
    this.#blocked = blocked;
    this.self = this.#make("me", "camera", true);
    this.self.element.id = "self";
    this.self.video.id = "local-video";
    element("tiles").after(this.self.element);
    this.#corner = new SelfCorner(this.self.element, () => this.move());
    this.self.video.addEventListener("resize", () => this.#soon());
    const watch = new ResizeObserver(() => this.#soon());
    ["stage", "controls"].forEach((id) => watch.observe(element(id)));
  }

  /** The tile that is looked at: the pinned one, the screen, or the only one. */
  get main() {
    return this.#all().find(({ key }) => key === this.#main) ?? this.#all().find(({ own }) => !own) ?? null;
  }

  /** @param {boolean} together whether there is somebody to be seen */
  begin(together) {
    if (together !== this.#together) {
      this.#together = together;
      element("stage").classList.toggle("together", together);
      this.#timers.forEach(clearInterval);
      this.#timers = together
        ? [setInterval(() => this.#listen(), SPEAKER_MS), setInterval(() => this.#all().forEach((tile) => tile.look()), LOOK_MS)]
        : [];
      this.move();
    }
  }

  /** Our own devices as they are. @param {import("./media.js").LocalMedia} media */
  local(media) {
    this.self.track("video", media.track("video"));
    this.self.element.classList.toggle("far", media.far);
    const shared = media.track("screen");
    this.#screen = this.#when(Boolean(shared), this.#screen, this.#me?.id ?? "me", true);
    this.#screen?.track("video", shared);
    this.#showSelf();
    this.#outputs();
    this.move();
  }

  /** @param {{id: string, name: string, host: boolean} | null} me */
  me(me) {
    this.#me = me;
    this.#showSelf();
    for (const entry of this.#entries.values()) {
      this.#show(entry);
    }
  }

  /** @param {Member} member */
  member(member) {
    const entry = this.#entry(member.id);
    entry.member = member;
    entry.camera ??= this.#make(member.id, "camera", false);
    const shares = member.state?.screen === true && Boolean(entry.tracks.get("screen"));
    entry.screen = this.#when(shares, entry.screen, member.id, false);
    for (const [tile, kind, slot] of /** @type {const} */ ([
      [entry.camera, "audio", "audio"], [entry.camera, "video", "video"],
      [entry.screen, "video", "screen"], [entry.screen, "audio", "screenAudio"],
    ])) {
      tile?.track(kind, entry.tracks.get(slot) ?? null);
    }
    this.#outputs();
    this.#show(entry);
  }

  /** @param {string} id @param {string} slot @param {MediaStreamTrack | null} track */
  track(id, slot, track) {
    const entry = this.#entry(id);
    entry.tracks.set(slot, track);
    if (entry.member) {
      this.member(entry.member);
    }
  }

  /** @param {string} id */
  left(id) {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    this.#drop(entry?.camera);
    this.#drop(entry?.screen);
  }

  /** Nobody is there any more. */
  clear() {
    [...this.#entries.keys()].forEach((id) => this.left(id));
    this.#drop(this.#screen);
    this.#screen = this.#me = this.#pinned = null;
    this.self.track("video", null);
    this.begin(false);
  }

  /** Play everything: there was a gesture. */
  play() {
    this.#all().forEach((tile) => tile.play());
  }

  /** @param {string} id */
  nameOf(id) {
    const member = this.#entries.get(id)?.member;
    const nameless = member?.page !== false ? "tile.guest" : this.#visit()?.call?.room?.app ? "tile.app" : "tile.echo";
    return member?.name || this.#texts.get(nameless);
  }

  /** @returns {Person[]} all but us */
  people() {
    return [...this.#entries.values()].flatMap((entry) => (entry.member ? [this.#person(entry.member)] : []));
  }

  /** Hide the own picture, or show it again. */
  toggleSelf() {
    this.selfShown = !this.selfShown;
    this.#visit()?.announce(this.selfShown ? "tile.self.shown" : "tile.self.hidden");
    this.move();
  }

  /** Arrange anew, softly. */
  move() {
    element("stage").classList.add("moving");
    clearTimeout(this.#moving);
    this.#moving = window.setTimeout(() => element("stage").classList.remove("moving"), MOVE_MS);
    this.#soon();
  }

  /** What the host can do about a member. @param {string} id @returns {MenuItem[]} */
  hostItems(id) {
    const member = this.#entries.get(id)?.member;
    const call = this.#visit()?.call;
    return member && call ? hostItems(member, this.nameOf(id), call) : [];
  }

  /** @param {Tile} tile @returns {MenuItem[]} */
  #items(tile) {
    const { key, kind, own, id } = tile;
    const single = this.#all().length - (this.selfShown ? 1 : 0) < 2;
    const pin = single ? null : () => this.#pin(key);
    const common = tileItems(tile, { pinned: key === this.#pinned, pin, share: () => this.#visit()?.share() });
    if (tile === this.self) {
      const corner = this.#corner.loose ? () => this.#corner.next() : null;
      return [...common, ...selfItems({ corner, hide: () => this.toggleSelf() })];
    }
    const host = this.#me?.host && !own && kind === "camera" ? this.hostItems(id) : [];
    return [...common, ...host.map((item, at) => ({ ...item, line: at === 0 }))];
  }

  /** @param {string} key */
  #pin(key) {
    this.#pinned = this.#pinned === key ? null : key;
    this.move();
  }

  /** @param {string} id @param {"camera" | "screen"} kind @param {boolean} own */
  #make(id, kind, own) {
    const tile = new Tile({ id, kind, own }, this.#texts, this.#blocked);
    this.#menus.attach(tile.button, () => this.#items(tile));
    tile.element.addEventListener("dblclick", ({ target }) => target !== tile.button && this.#pin(tile.key));
    element("tiles").append(tile.element);
    this.move();
    return tile;
  }

  /**
   * The tile of a screen, or none when it is not shared.
   * @param {boolean} shared
   * @param {Tile | null} tile
   * @param {string} id
   * @param {boolean} own
   */
  #when(shared, tile, id, own) {
    if (!shared) {
      this.#drop(tile);
    }
    return shared ? (tile ?? this.#make(id, "screen", own)) : null;
  }

  /** @param {Tile | null | undefined} tile */
  #drop(tile) {
    if (tile) {
      tile.remove();
      this.#pinned = this.#pinned === tile.key ? null : this.#pinned;
      this.move();
    }
  }

  /** @param {string} id @returns {Entry} */
  #entry(id) {
    const entry = this.#entries.get(id) ?? { member: null, camera: null, screen: null, tracks: new Map() };
    this.#entries.set(id, entry);
    return entry;
  }

  /** @param {Member} member */
  #person({ id, host, state, trouble }) {
    const [muted, camera] = [state?.audio === false, state?.video];
    return { id, name: this.nameOf(id), host, muted, camera, trouble: trouble && `tile.${trouble}` };
  }

  /** @param {Entry} entry */
  #show({ member, camera, screen }) {
    if (member) {
      const person = this.#person(member);
      camera?.show({ ...person, quality: member.quality });
      screen?.show({ name: this.#texts.get("tile.screen", { name: person.name }), camera: true });
    }
  }

  #showSelf() {
    const media = this.#visit()?.own.media;
    const muted = Boolean(media?.wants("audio") && !media.isOn("audio"));
    const face = { name: this.#texts.get("tile.you"), muted, host: this.#me?.host, camera: media?.isOn("video") ?? false };
    this.self.show(face, this.#me?.name);
    this.#screen?.show({ name: this.#texts.get("tile.own.screen"), camera: true });
  }

  #outputs() {
    const id = this.#visit()?.own.media.output ?? "";
    for (const { video, own } of this.#all()) {
      if (!own && video.sinkId !== undefined && video.sinkId !== id) {
        video.setSinkId(id).catch(() => {});
      }
    }
  }

  /** @returns {Tile[]} */
  #all() {
    const tiles = [...this.#entries.values()].flatMap(({ camera, screen }) => [camera, screen]);
    return /** @type {Tile[]} */ ([...tiles, this.#screen, this.self].filter(Boolean));
  }

  #listen() {
    const levels = new Map([...this.#entries].map(([id, { member }]) =>
      [id, member?.state?.audio === false ? 0 : (member?.peer?.level() ?? 0)]));
    const who = this.#speaker.add(levels, performance.now());
    for (const [id, { camera }] of this.#entries) {
      camera?.speaking(id === who && this.#all().length > 2);
    }
  }

  #soon() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#arrange());
  }

  #arrange() {
    const others = this.#all().filter((tile) => tile !== this.self);
    const { self, selfShown } = this;
    const [together, pinned, corner] = [this.#together, this.#pinned, this.#corner];
    this.#main = placeTiles({ others, self, together, selfShown, pinned, corner });
  }
}
