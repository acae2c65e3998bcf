// @ts-check
/**
 * One person's call in one room, from joining to hanging up: takes the seat, keeps the signalling connection, and meets
 * the others (company.js). Knows no HTML; tells a listener what happens.
 */

import { Company, KEPT_MS } from "./company.js";
import { PARTS } from "./member.js";
import { BYE } from "./messages.js";
import { NetworkWatch } from "./network.js";
import { RequestError, RoomServer } from "./room.js";
import { readSnapshot, roomOfTwo } from "./roster.js";
import { Seat } from "./seat.js";
import { Signaling } from "./signaling.js";

/**
 * @typedef {"idle" | "joining" | "waiting" | "connecting" | "connected" | "left" | "refused" | "failed"} Phase
 *
 * waiting: nobody else is in the room · connecting: somebody is, media is on its way · failed: see the `failed` event.
 */

/** @typedef {import("./member.js").Member} Member */
/** @typedef {import("./company.js").RoomView} RoomView */
/** @typedef {import("./company.js").CallListener} CallListener */

/** A call. Use it once. */
export class Call {
  /** @type {Phase} */
  phase = "idle";
  /** @type {RoomView | null} */
  room = null;
  #name;
  #parameters;
  #listener;
  #server;
  #signaling;
  #seat;
  #company;
  #network;
  /** @type {import("./loopback.js").LoopbackPartner | null} */
  #partner = null;
  /** @type {import("./roster.js").Snapshot | null} */
  #snapshot = null;
  /** @type {import("./roster.js").Snapshot | null} the room as it was when our seat was lost, while its guard is missing */
  #guarded = null;
  /** @type {import("./signaling.js").Timer} */
  #guardTimer;
  /** @type {Set<string>} that the listener has been told of */
  #troubles = new Set();
  #entered = false;
  #rejoining = false;
  #ended = false;
  /** @type {Promise<void>} resolves when the server knows that we have gone */
  #leaving = Promise.resolve();

  /**
   * @param {{room: string, query: string, parameters: import("./parameters.js").Parameters, media:
   *   import("./media.js").LocalMedia,
   *   name?: string, password?: string}} setup `query` begins with "?" or is empty; `media` are opened and closed by who
   * made them
   * @param {CallListener} listener
   * @param {typeof PARTS} [parts] for tests
   */
  constructor({ room, query, parameters, media, name = "", password = "" }, listener, parts = PARTS) {
    this.#name = room;
    this.#parameters = parameters;
    this.#listener = listener;
    this.#server = new RoomServer({ ...parameters, query });
    const seat = { room, parameters, server: this.#server, name, password };
    this.#seat = new Seat(seat, (missing) => {
      this.#trouble("ice", missing);
      missing && this.#company.unserved();
    });
    this.#signaling = new Signaling(parameters.wssUrl, {
      message: (text) => this.#ended || this.#company.heardApp(text),
      room: (event) => this.#ended || this.#event(event),
      registered: (again) => {
        this.#company.registered(again);
        this.#trouble("signaling", false);
      },
      lost: () => this.#trouble("signaling", true),
      restored: () => this.#trouble("signaling", false),
      refused: () => this.#ended || this.#rejoin(),
    });
    const quiet = Object.entries(/** @type {Record<string, any>} */ (listener)).map(([key, tell]) =>
      [key, (/** @type {any[]} */ ...told) => this.#ended || tell(...told)]);
    this.#company = new Company(
      {
        seat: this.#seat, signaling: this.#signaling, media, args: new URLSearchParams(query),
        report: (text) => this.#seat.membership && this.#signaling.open && this.#server.report(this.#seat.membership, text),
      },
      {
        .../** @type {any} */ (Object.fromEntries(quiet)),
        changed: () => this.#ended || this.#show(),
        alone: () => this.#ended || this.#snapshot || this.#take(this.#roomOfTwo(true)),
        trouble: (kind, present, detail) => this.#trouble(kind, present, detail),
      },
      parts,
    );
    this.#network = new NetworkWatch(
      () => [this.#signaling.reconnect(), this.#company.networkChanged()],
      () => this.#signaling.probe(),
    );
  }

  /** Our public name in the room. */
  get me() {
    return this.#seat.me;
  }

  /** The others, by their public names. */
  get members() {
    return this.#company.members;
  }

  /**
   * Join and begin. The WebSocket and the seat are asked for at once, the ICE servers as soon as there is a seat, whose
   * they are; what there is to be said to those in the room is ready when the WebSocket is. Never throws.
   */
  async start() {
    this.#setPhase("joining");
    const socket = this.#signaling.connect().catch(() => {
      throw new RequestError("socket", this.#parameters.wssUrl);
    });
    socket.catch(() => {}); // told below
    try {
      const answer = await this.#seat.take();
      if (this.#ended) {
        return;
      }
      if ("reason" in answer) {
        this.#refuse(answer.reason, answer.capacity);
        return;
      }
      const arrived = this.#arrive(answer);
      arrived.catch(() => {});
      await socket;
      if (!this.#ended) {
        this.#signaling.register(this.#name, answer.client);
        await arrived;
        this.#entered = true;
        this.#show();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Leave the room: the seat first, then bye to an app, then the signalling server. Resolves when the server knows.
   * @returns {Promise<void>}
   */
  async hangUp() {
    if (!this.#ended) {
      this.#seat.forget();
      this.#end("left");
    }
    await this.#leaving;
  }

  /** The page is going away: the same with whatever the browser still lets through. A reload may come back to the seat. */
  leaveNow() {
    const { membership } = this.#seat;
    if (this.#ended || membership === null) {
      return;
    }
    const open = this.#signaling.open;
    const app = this.#company.app;
    this.#server.leaveNow(membership);
    if (app) {
      open ? this.#signaling.send(BYE) : this.#server.signalNow(membership, BYE);
    }
    this.#stop(true);
    this.#signaling.close();
    this.#partner?.close();
    this.#setPhase("left");
  }

  /** @param {import("./member.js").Slot} slot of our own media that changed */
  mediaChanged(slot) {
    this.#company.mediaChanged(slot);
  }

  /** @param {string} text @returns {{reached: number, missed: Member[]}} the pages that it went to, and those it did not */
  say(text) {
    return this.#company.say(text);
  }

  /** Offer a file to all. @param {File} file @returns {string | null} its id; null if there was nobody to offer it to */
  sendFile(file) {
    return this.#company.offer(file);
  }

  /** @param {boolean} on */
  lock(on) {
    this.#signaling.command({ cmd: "lock", on });
  }

  /** @param {string} password empty: none */
  password(password) {
    this.#seat.password = password;
    this.#signaling.command({ cmd: "password", password });
  }

  /** @param {string} to */
  kick(to) {
    this.#signaling.command({ cmd: "kick", to });
  }

  /** @param {string} to @param {"audio" | "video"} kind */
  askMute(to, kind) {
    this.#signaling.command({ cmd: "mute", to, kind });
  }

  /** @param {string} to */
  makeHost(to) {
    this.#signaling.command({ cmd: "host", to });
  }

  /** @param {string} name */
  rename(name) {
    this.#seat.name = name;
    this.#signaling.command({ cmd: "name", name });
  }

  /** We have a seat: meet who is there. @param {import("./room.js").Membership} membership */
  async #arrive(membership) {
    if (this.#parameters.isLoopback) {
      const { LoopbackPartner } = await import("./loopback.js");
      this.#partner?.close();
      if (this.#ended) {
        return;
      }
      this.#partner = new LoopbackPartner(this.#parameters.wssUrl, () => this.#seat.configurationNow());
      await this.#partner.start(this.#name);
    }
    if (!this.#ended) {
      this.#snapshot = membership.snapshot;
      this.#take(membership.snapshot ?? this.#roomOfTwo(membership.initiator));
      this.#company.stored(membership.messages);
    }
  }

  /** @param {boolean} first whether the offer is ours */
  #roomOfTwo(first) {
    return roomOfTwo(this.me, this.#seat.name, first);
  }

  /** @param {import("./roster.js").Snapshot} snapshot */
  #take(snapshot) {
    const before = this.#snapshot;
    this.#snapshot &&= snapshot; // no server has sent one that we made up
    const { seated, why } = this.#company.take(snapshot);
    if (!seated) {
      this.#snapshot = before;
      why === "kicked" ? this.#refuse(why) : why === "returned" ? this.#refuse("elsewhere") : this.#rejoin();
    } else {
      this.#guard();
    }
  }

  /**
   * The server has forgotten the room, lock and password with it. Whoever is host now restores them, but not before all
   * are back who were in it, or have had the time: they would be refused. The password is known best to who was host,
   * and is so again.
   * @param {boolean} [late]
   */
  #guard(late = false) {
    const [before, now] = [this.#guarded, this.#snapshot];
    if (!before || !now) {
      return;
    }
    const back = (/** @type {string} */ id) => now.members.some((one) => one.id === id);
    const [lock, password] = [before.locked && !now.locked, before.password && !now.password];
    const due = late || before.members.every(({ id }) => back(id));
    if (!lock && !password) {
      this.#guarded = null; // it was not forgotten, or is as it was
    } else if (due && this.#signaling.open) {
      const hosts = now.host === this.me;
      this.#guarded = hosts || late ? null : before;
      hosts && lock && this.lock(true);
      if (hosts && password && before.host !== this.me && back(before.host)) {
        this.makeHost(before.host);
      } else if (hosts && password && this.#seat.password) {
        this.password(this.#seat.password);
      }
    } else if (late) {
      this.#guardLater();
    }
  }

  #guardLater() {
    clearTimeout(this.#guardTimer);
    this.#guardTimer = setTimeout(() => this.#guard(true), KEPT_MS);
  }

  /** @param {any} event what the server tells us */
  #event(event) {
    switch (event.event) {
      case "room": {
        const snapshot = readSnapshot(event);
        return snapshot && this.#snapshot && this.#take(snapshot);
      }
      case "message":
        return this.#company.heard(String(event.from), String(event.msg));
      case "mute":
        return this.#listener.mute(event.kind, this.members.get(event.from)?.name ?? "");
      case "kicked":
        return this.#refuse("kicked");
      case "refused":
        return event.cmd === "direct" || this.#listener.refused(String(event.cmd), String(event.why));
    }
  }

  /** The server has lost our seat: take another one. Media that work go on. */
  async #rejoin() {
    if (this.#rejoining) {
      return;
    }
    this.#rejoining = true;
    clearTimeout(this.#guardTimer);
    this.#trouble("signaling", true);
    this.#company.unseated();
    if (this.#snapshot?.locked || this.#snapshot?.password) {
      this.#guarded ??= this.#snapshot;
    }
    try {
      const answer = await this.#seat.takeAgain();
      if (this.#ended || answer === null) {
        return;
      }
      if ("reason" in answer) {
        this.#refuse(answer.reason, answer.capacity);
        return;
      }
      this.#signaling.register(this.#name, answer.client);
      await this.#arrive(answer);
      this.#guardLater();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#rejoining = false;
    }
  }

  /** Show how it stands: who is here, and the phase. */
  #show() {
    const view = this.#company.view(this.#snapshot ?? this.#roomOfTwo(true));
    this.room = { ...view, app: view.app && !this.#parameters.isLoopback };
    this.#listener.room(this.room);
    if (this.#entered && !this.#ended) {
      const connected = this.phase === "connected" || this.room.members.some((member) => member.working);
      this.#setPhase(this.room.alone ? "waiting" : connected ? "connected" : "connecting");
    }
  }

  /** @param {string} trouble @param {boolean} present @param {any} [detail] */
  #trouble(trouble, present, detail) {
    if (!this.#ended && (present !== this.#troubles.has(trouble) || detail)) {
      present ? this.#troubles.add(trouble) : this.#troubles.delete(trouble);
      this.#listener.trouble(/** @type {any} */ (trouble), present, detail);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (!this.#ended) {
      const { kind, detail } = error instanceof RequestError ? error : { kind: "garbled", detail: String(error) };
      console.error("rtcd: call failed", error);
      this.#end("failed");
      this.#listener.failed(kind, detail);
    }
  }

  /** @param {string} reason @param {number} [capacity] */
  #refuse(reason, capacity) {
    if (capacity !== undefined) {
      this.room = { .../** @type {any} */ (this.room), capacity };
    }
    if (reason === "kicked") {
      this.#seat.forget();
    }
    this.#end("refused", reason);
  }

  /** @param {Phase} phase @param {string} [reason] */
  #end(phase, reason) {
    const app = this.#company.app;
    this.#stop(false, phase);
    this.#leaving = this.#seat.give(app, this.#entered, this.#signaling).then(() => this.#partner?.close());
    this.#setPhase(phase, reason);
  }

  /** Hear and say nothing more. @param {boolean} now @param {Phase} [phase] */
  #stop(now, phase) {
    this.#ended = true;
    clearTimeout(this.#guardTimer);
    this.#network.stop();
    this.#company.close(now, phase);
  }

  /** @param {Phase} phase @param {string} [reason] */
  #setPhase(phase, reason) {
    if (this.phase !== phase) {
      this.phase = phase;
      this.#listener.phase(phase, reason);
    }
  }
}
