// @ts-check
/**
 * The page at /admin/: shows what the API tells every few seconds, and does what its buttons say. It holds no state of its own but
 * the last answers; what they mean is in facts.js.
 */

import { ask, Refused } from "./api.js";
import { button, fill, make } from "./elements.js";
import { belonging, lengthOf, linksOf, sizeOf, verdictOf } from "./facts.js";
import { CHOSEN, languageOf, say, trouble } from "./texts.js";

const EVERY_MS = 3000;
/** Begins the part of the address that names the call somebody wanted to read about before they had to log in. */
const CALL = "#call=";
/** So many pages of a list are read, of 200 entries each. */
const MAX_PAGES = 5;
/** Records of so many calls that are on are read. */
const MAX_CALLS = 20;
/** So many of the last ones are shown. */
const SHOWN_CALLS = 20;

/** @type {(id: string) => any} */
const element = (id) => document.getElementById(id);
let language = languageOf(navigator.languages, localStorage.getItem(CHOSEN));
/** @type {any} the last answers; null: not logged in */
let seen = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** How often was looked: an answer that another look has overtaken is not shown. */
let looks = 0;
/** What no service here offers. @type {Set<string>} */
const absent = new Set();

/** @param {string} key @param {Record<string, unknown>} [values] */
const text = (key, values) => say(language, key, values);

/** A list from its first page on; `more`: it is longer. @param {string} what */
async function list(what) {
  const found = [];
  let after = "";
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await ask("GET", `${what}?limit=200${after}`);
    found.push(...answer[what]);
    if (answer.next === null) {
      return { found, more: false };
    }
    after = `&after=${encodeURIComponent(answer.next)}`;
  }
  return { found, more: true };
}

/**
 * What another service may not offer; then it is not asked for again.
 * @template T
 * @param {string} what
 * @param {() => Promise<T>} asking
 * @returns {Promise<T | null>}
 */
async function perhaps(what, asking) {
  try {
    return absent.has(what) ? null : await asking();
  } catch (error) {
    if (error instanceof Refused && error.status === 501) {
      absent.add(what);
      return null;
    }
    throw error;
  }
}

/** All that is shown, as it is now. */
async function answers() {
  const [status, rooms, relays, calls] = await Promise.all([
    ask("GET", "status"), list("rooms"), perhaps("allocations", () => list("allocations")),
    perhaps("calls", () => ask("GET", "calls?limit=50"))]);
  const on = (calls?.calls ?? []).filter((/** @type {any} */ one) => one.ended_at === null).slice(0, MAX_CALLS);
  const records = await Promise.all(on.map((/** @type {any} */ one) =>
    ask("GET", `calls/${encodeURIComponent(one.id)}`).catch(() => null)));
  return { status, rooms, relays, late: calls?.calls ?? null, calls: new Map(records.filter(Boolean).map((one) => [one.room, one])) };
}

async function look() {
  clearTimeout(timer);
  const mine = looks += 1;
  const found = await answers().catch((error) => ({ error }));
  if (mine !== looks) {
    return;
  }
  if ("error" in found && found.error instanceof Refused && found.error.status === 401) {
    seen = null;
    show();
    return;
  }
  timer = setTimeout(look, EVERY_MS);
  notice("error" in found ? trouble(language, found.error) : "");
  if (!("error" in found)) {
    seen = found;
    show();
  }
}

/** Do something, and look what has come of it. @param {() => Promise<unknown>} act */
async function act(act) {
  try {
    await act();
    await look();
  } catch (error) {
    notice(text("failed", { detail: error instanceof Error ? error.message : String(error) }));
  }
}

/** @param {string} what it says; empty: nothing */
function notice(what) {
  element("notice").hidden = what === "";
  element("notice").textContent = what;
}

/**
 * Whether somebody means it.
 * @param {string} question
 * @param {string} yes
 * @returns {Promise<boolean>}
 */
function sure(question, yes) {
  const dialog = element("sure");
  element("sure-text").textContent = question;
  element("sure-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

function show() {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-text]")) {
    one.textContent = text(/** @type {HTMLElement} */ (one).dataset.text ?? "");
  }
  element("language").textContent = text("language");
  element("language").lang = language === "en" ? "zh-CN" : "en";
  for (const id of ["live", "log-out"]) {
    element(id).hidden = seen === null;
  }
  if (element("log-in").hidden !== (seen !== null)) {
    element("log-in").hidden = seen !== null;
    seen === null && element("password").focus();
  }
  seen !== null && draw();
}

function draw() {
  const { status, rooms, relays, calls, late } = seen;
  const { of, others } = belonging(rooms.found.flatMap((/** @type {any} */ one) => one.clients), relays?.found ?? []);
  const certificate = status.certificates[0];
  const facts = [
    ["state", text(status.draining ? "status.draining" : "status.running")], ["version", status.version],
    ["up", lengthOf(status.uptime)], ["seats", status.counts.seats], ["relays", status.counts.allocations],
    ...(certificate ? [["certificate", `${certificate.names[0]}: ${text("days", { count: Math.floor(certificate.days_left) })}`]] : []),
  ];
  fill(element("status"), ...facts.map(([name, value]) =>
    make("div", {}, make("dt", {}, text(`status.${name}`)), make("dd", {}, String(value)))));
  element("drain").hidden = status.draining;
  element("rooms-title").textContent = text("rooms", { count: status.counts.rooms });
  const cards = rooms.found.map((/** @type {any} */ one) => card(one, of, calls.get(one.name)));
  const last = rooms.found.length === 0 ? "rooms.none" : rooms.more ? "rooms.more" : "";
  fill(element("rooms"), ...cards, ...(last ? [make("p", { class: "soft" }, text(last))] : []));
  element("calls-section").hidden = late === null;
  fill(element("calls"), ...(late?.length > 0 ? late.slice(0, SHOWN_CALLS).map(was) : [make("li", {}, text("calls.none"))]));
  element("nodes-section").hidden = status.nodes.length === 0;
  fill(element("nodes"), ...status.nodes.map((/** @type {any} */ one) => make("li", { "data-key": `node ${one.name}` }, nodeText(one))));
  element("stores-section").hidden = status.stores.length === 0;
  fill(element("stores"), ...status.stores.map((/** @type {any} */ one) => make("li", { "data-key": `store ${one.name}` }, storeText(one))));
  element("relays-title").textContent = text("relays", { count: others.length });
  fill(element("relays"), others.length > 0 ? make("ul", {}, ...others.map(stray))
    : make("p", { class: "soft" }, text(relays === null ? "relays.off" : "relays.none")));
}

/**
 * @param {any} room
 * @param {Map<string, import("./facts.js").Relay[]>} relays
 * @param {any} call its record, if there is one
 */
function card(room, relays, call) {
  const path = `rooms/${encodeURIComponent(room.name)}`;
  const marks = [["locked", room.locked], ["password", room.password], ["invited", room.invited_only], ["relay", room.relay_only]]
    .filter(([, on]) => on).map(([name]) => make("span", { class: "mark" }, text(`mark.${name}`)));
  if (room.expires_at !== null) {
    const time = new Date(room.expires_at * 1000).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
    marks.push(make("span", { class: "mark" }, text("mark.expires", { time })));
  }
  /** @type {(name: string, on: boolean) => HTMLElement} */
  const toggle = (name, on) => button(`${name} ${room.name}`, text(name), { "aria-pressed": String(on) },
    () => act(() => ask("PUT", `${path}/${name}`, { on: !on })));
  const close = button(`close ${room.name}`, text("close"), { class: "danger" }, async () => {
    if (await sure(text("close.sure", { room: room.name }), text("close.yes"))) {
      act(() => ask("DELETE", path));
    }
  });
  return make("article", { class: "card room", "data-key": `room ${room.name}` },
    make("div", { class: "head" }, make("h3", {}, room.name),
      make("span", { class: "soft" }, text("people", { count: room.clients.length, capacity: room.capacity }))),
    ...(marks.length > 0 ? [make("div", { class: "marks" }, ...marks)] : []),
    ...(room.clients.length > 0
      ? [make("ul", { class: "people" }, ...room.clients.map((/** @type {any} */ one) => person(room, one, relays.get(one.id) ?? [])))] : []),
    ...(call ? links(call) : []),
    make("div", { class: "row" }, toggle("lock", room.locked), toggle("relay", room.relay_only), close,
      ...(call ? [about(call, text("call.about"))] : [])));
}

/** @param {any} room @param {import("./facts.js").Client} client @param {import("./facts.js").Relay[]} relays */
function person(room, client, relays) {
  const who = client.name || text("person.nameless");
  const facts = [text(client.page ? "person.page" : "person.app"), ...(client.host ? [text("person.host")] : []),
    ...(client.here ? [] : [text("person.away")]), ...relays.map((one) => {
      const bytes = one.sent_bytes + one.received_bytes;
      return text(bytes > 0 ? "relay.by" : "relay.unused", { transport: one.transport.toUpperCase(), size: sizeOf(bytes) });
    })];
  return make("li", { "data-key": `person ${client.id}` }, make("span", { class: "who" }, who, make("small", {}, facts.join(" · "))),
    button(`kick ${client.id}`, text("kick"), { class: "danger", "aria-label": text("kick.label", { who }) }, async () => {
      if (await sure(text("kick.sure", { who, room: room.name }), text("kick.yes"))) {
        act(() => ask("DELETE", `rooms/${encodeURIComponent(room.name)}/clients/${client.id}`));
      }
    }));
}

/** How they are connected. @param {any} call */
function links(call) {
  const found = linksOf(call);
  return found.length === 0 ? [] : [make("ul", { class: "links" }, ...found.map((one) => {
    const way = text(`way.${one.way}`, { transport: one.transport.toUpperCase() });
    const figures = [
      ...(one.rtt === null ? [] : [text("link.rtt", { ms: Math.round(one.rtt) })]),
      ...(one.loss === null ? [] : [text("link.loss", { percent: (one.loss * 100).toFixed(1) })]),
      ...(one.rate === null ? [] : [text("link.rate", { kbps: Math.round(one.rate) })])];
    return make("li", {}, [text("link", { who: one.who, to: one.to, way }), ...figures].join(" · "));
  }))];
}

/** What became of a call. @param {any} call */
function was(call) {
  const time = new Date(call.began_at * 1000).toLocaleString(language, { dateStyle: "short", timeStyle: "short" });
  const head = text(call.ended_at === null ? "call.on" : "call.head", { room: call.room, time, count: call.people });
  return make("li", { "data-key": `call ${call.id}` }, make("h3", {}, about(call, head)), verdictOf(call, language));
}

/** The way to its time line. @param {any} call @param {string} label */
function about(call, label) {
  return make("a", { href: `calls/${encodeURIComponent(call.id)}`, "data-key": `${label} ${call.id}` }, label);
}

/** How a TURN node is. @param {any} node */
function nodeText({ name, region, weight, state, reason, ms, since }) {
  const time = new Date(since * 1000).toLocaleString(language, { dateStyle: "short", timeStyle: "short" });
  return [name, ...(region ? [region] : []), ...(weight > 1 ? [text("node.weight", { weight })] : []),
    text("node.since", { state: text(`node.${state}`), time }), ...(ms === null ? [] : [text("link.rtt", { ms })]),
    ...(reason ? [reason] : [])].join(" · ");
}

/** How a store of rooms is. @param {any} store */
function storeText({ name, reachable, reason, processes, strangers }) {
  return [name, text(reachable ? "store.reached" : "store.away"), ...(reachable ? [text("store.processes", { count: processes })] : []),
    ...(reachable && strangers ? [text("store.strangers", { count: strangers })] : []), ...(reason ? [reason] : [])].join(" · ");
}

/** A relay of nobody who is in a room. @param {import("./facts.js").Relay} relay */
function stray(relay) {
  const { user, transport, peers } = relay;
  const size = sizeOf(relay.sent_bytes + relay.received_bytes);
  return make("li", { "data-key": `stray ${relay.id}` }, make("span", {}, text("relays.one", { user, transport: transport.toUpperCase(), peers, size })),
    button(`end ${relay.id}`, text("end"), { class: "danger", "aria-label": text("end.label", { user }) }, async () => {
      if (await sure(text("end.sure", { user }), text("end.yes"))) {
        act(() => ask("DELETE", `allocations/${relay.id}`));
      }
    }));
}

element("log-in").addEventListener("submit", async (/** @type {Event} */ event) => {
  event.preventDefault();
  try {
    await ask("POST", "session", { password: element("password").value });
    element("password").value = "";
    notice("");
    if (location.hash.startsWith(CALL)) {
      location.replace(`calls/${location.hash.slice(CALL.length)}`);  // where they came from
      return;
    }
    await look();
  } catch (error) {
    notice(trouble(language, error, { 401: "login.wrong", 429: "login.later", 503: "login.later" }));
  }
});
element("log-out").addEventListener("click", () => act(() => ask("DELETE", "session")));
element("language").addEventListener("click", () => {
  language = language === "en" ? "zh-CN" : "en";
  localStorage.setItem(CHOSEN, language);
  notice("");
  show();
});
element("reload").addEventListener("click", () => act(async () => {
  const { lines } = await ask("POST", "reload");
  element("lines").hidden = false;
  element("lines").replaceChildren(...lines.map((/** @type {string} */ one) => make("li", {}, one)));
}));
element("drain").addEventListener("click", async () => {
  if (await sure(text("drain.sure"), text("drain.yes"))) {
    act(() => ask("POST", "drain"));
  }
});
show();
look();
