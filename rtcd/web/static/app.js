// @ts-check
/**
 * The page: reads what the server gave it, decides which state it is in, and connects buttons, address bar and visits to rooms.
 *
 * Only what comes before a call is imported here. The call itself (visit.js) follows as soon as this page can be used.
 */

import { isSecure } from "./devices.js";
import { element, on, onPress, onSubmit } from "./elements.js";
import { GreenRoom } from "./green.js";
import { invitedName, isPossibleName, isRoomName, ownName, randomRoomName, RecentRooms, rememberOwnName, seatKey } from "./names.js";
import { Notices } from "./notices.js";
import { OwnDevices } from "./own.js";
import { readParameters, roomOfPath, roomPath, warningKey } from "./parameters.js";
import { expose } from "./probe.js";
import { register } from "./pwa.js";
import { Sounds } from "./sound.js";
import { recall } from "./storage.js";
import { languageCookie, Texts } from "./texts.js";
import { View } from "./view.js";

const parameters = readParameters(document, location);
const { base } = parameters;
const texts = new Texts();
const view = new View(texts);
const notices = new Notices(texts);
const recent = new RecentRooms();
const sounds = new Sounds();
const green = new GreenRoom(texts, sounds);

/** The room that the page is about, also before and after a visit. */
let room = "";
/** @type {OwnDevices | null} those of this visit, from the green room on */
let own = null;
/** @type {import("./visit.js").Visit | null} */
let visit = null;
/** The visits before this one, while they are still taking their leave: our seat must be free before we join again. */
let leaving = Promise.resolve();
let accepted = false;
/** @type {ReturnType<typeof importCall> | null} */
let loading = null;

expose(() => visit?.call ?? null);

/** What a call is made of: its class, and the stage that all calls of this page are shown on. */
async function importCall() {
  const { Stage, Visit } = await import("./visit.js");
  return { Visit, stage: new Stage(texts, sounds, () => visit) };
}

function loadCall() {
  loading ??= importCall().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

/** A part of the page is not to be had any more: the server has another version. */
function showUpdated() {
  element("updated").hidden = false;
}

function showLanding() {
  room = "";
  view.title("");
  view.status("");
  view.suggest(randomRoomName());
  showRecent();
  view.show("landing");
}

/** @param {string} name of a room */
function pathOf(name) {
  return roomPath(base, name, location.search);
}

function showRecent() {
  view.recent(recent.list(), pathOf);
}

/** Leave whatever there is and go to the landing page. */
function goHome() {
  leave();
  pushPath(`${base}/${location.search}`);
  showLanding();
}

/**
 * The address without loading; only a path, so that it is our own origin whatever name the server believes to have.
 * @param {string} path
 */
function pushPath(path) {
  if (path !== location.pathname + location.search) {
    history.pushState(null, "", path);
  }
}

function leave() {
  leaving = Promise.all([leaving, visit?.end()]).then(() => {});
  green.close();
  own?.close();
  visit = own = null;
}

/**
 * Begin a visit.
 * @param {string} name
 */
function come(name) {
  leave();
  room = name;
  pushPath(pathOf(name));
  view.title(name);
  own = new OwnDevices(parameters, sounds, green);
  return own;
}

/**
 * Into the green room.
 * @param {string} name
 * @param {OwnDevices["off"]} [off] devices that are to stay off
 */
function prepare(name, off) {
  const devices = come(name);
  showGreen();
  devices.open(off);
}

function showGreen() {
  if (own) {
    visit = null;
    green.open(room, own);
    view.status("");
    view.show("green");
  }
}

/**
 * Straight into the call, with switched off what was so before.
 * @param {string} name
 */
function joinAtOnce(name) {
  const off = own?.off;
  const devices = come(name);
  join();
  devices.open(off);
}

/** From the green room into the call. */
function enter() {
  if (view.state === "green") {
    rememberOwnName(green.name);
    join(green.password);
  }
}

/** @param {string} [password] */
async function join(password) {
  const devices = own;
  recent.add(room);
  view.status("status.joining");
  view.show("joining");
  const loaded = await loadCall().catch(showUpdated);
  if (!devices || devices !== own) {
    return; // the user has gone elsewhere meanwhile
  }
  if (!loaded) {
    showGreen();
    return;
  }
  green.close();
  visit = new loaded.Visit({ parameters, texts, view, notices, sounds, stage: loaded.stage }, room, devices, () => {
    showGreen();
    green.askPassword(password !== undefined);
  });
  visit.enter(green.name, password, leaving);
}

/** Where the same page is secure, as far as we know. */
function secureLink() {
  const known = [parameters.roomLink, parameters.wssPostUrl].find((url) => url?.startsWith("https:"));
  return (known ? new URL(known).origin : `https://${location.host}`) + location.pathname + location.search;
}

/** The state that the address asks for. */
function begin() {
  const named = parameters.roomId ?? roomOfPath(base, location.pathname);
  if (parameters.error) {
    view.error(parameters.error, "");
  } else if (typeof RTCPeerConnection === "undefined") {
    view.error("webrtc", "");
  } else if (!isSecure() && !accepted) {
    view.error("insecure", "", secureLink());
  } else if (named === null && location.hash === "#new") {
    prepare(randomRoomName()); // a shortcut of the installed page
  } else {
    // A page that is loaded again is asked for before the one before has left: the seat taken may be our own.
    goTo(named, recall(seatKey(named ?? ""), () => sessionStorage) ? "" : parameters.refused);
  }
}

/**
 * @param {string | null} name
 * @param {string} [refused] why we may not go in
 */
function goTo(name, refused) {
  if (name === null) {
    showLanding();
  } else if (!isPossibleName(name)) {
    view.title("");
    view.error("name", name);
  } else if (refused) {
    room = name;
    view.title(name);
    view.refused(refused, parameters.capacity);
  } else if (parameters.bypassJoinConfirmation) {
    joinAtOnce(name);
  } else {
    prepare(name);
  }
}

function connectButtons() {
  onSubmit("join-form", () => isRoomName(view.input.value) && prepare(view.input.value));
  onSubmit("green-form", enter);
  onLink("brand", goHome);
  onLink("recent-rooms", ({ target }) => prepare(target.closest("a").dataset.room), "a");
  onPress("random", () => view.suggest(randomRoomName()));
  onPress("forget", () => {
    recent.clear();
    showRecent();
    view.input.focus();
  });
  onPress("rejoin", () => joinAtOnce(room));
  onPress("refused-retry", () => (visit ? joinAtOnce(room) : prepare(room)));
  onPress("error-retry", () => (room ? joinAtOnce(room) : location.reload()));
  onPress("reload", () => location.reload());
  for (const id of ["new-room-button", "refused-new-room-button", "error-new-room-button"]) {
    on(id, "click", goHome);
  }
  onPress("error-continue", () => {
    accepted = true;
    begin();
  });
  onPress("language", async () => {
    await speak(texts.other);
    document.cookie = languageCookie(texts.language, base);
    green.devices();
  });
}

/**
 * A link whose click, unless another tab is meant, goes there without loading.
 * @param {string} id
 * @param {(event: any) => void} action
 * @param {string} [link] the part that it is, if not all
 */
function onLink(id, action, link = "*") {
  on(id, "click", (event) => {
    if (event.target.closest(link) && event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      action(event);
    }
  });
}

function connectBrowser() {
  let aside = false;
  onpagehide = () => {
    aside = view.inCall || view.state === "green";
    visit?.leaveNow();
    own?.close();
  };
  onpageshow = (event) => {
    if (event.persisted && aside) {
      prepare(room, own?.off); // everything was let go when the page was put aside
    }
  };
  onpopstate = () => {
    leave();
    goTo(roomOfPath(base, location.pathname));
  };
}

/** @param {string} language */
async function speak(language) {
  if (!(await texts.use(language, document))) {
    showUpdated();
  }
  element("language-button").lang = texts.other;
}

async function start() {
  const spoken = speak(document.documentElement.lang);
  green.name = ownName() || invitedName(location.search);
  connectButtons();
  connectBrowser();
  await spoken;
  if (parameters.headerMessage) {
    notices.show("header", "plain", { text: parameters.headerMessage });
  }
  parameters.errorMessages.forEach((text, index) => notices.show(`server-error-${index}`, "error", { text }));
  parameters.warningMessages.forEach((text, index) => notices.show(`server-warning-${index}`, "warning", { key: warningKey(text), text }));
  begin();
  loadCall().catch((error) => console.info("rtcd: no call yet:", error));
  register(base);
}

// A page that is merely being prerendered must not take a seat, nor ask for devices.
if (/** @type {any} */ (document).prerendering) {
  document.addEventListener("prerenderingchange", start, { once: true });
} else {
  start();
}
