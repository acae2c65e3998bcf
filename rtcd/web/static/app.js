// @ts-check
/**
 * The page: reads what the server gave it, decides which state it is in, and connects buttons, address bar and call.
 */

import { Call } from "./call.js";
import { FrameWatch } from "./frames.js";
import { isSecure, LocalMedia } from "./media.js";
import { isNumberName, isPossibleName, isRoomName, randomRoomName, RecentRooms } from "./names.js";
import { qrPath, readParameters, roomOfPath, roomPath, shareLink, warningKey } from "./parameters.js";
import { Stage } from "./stage.js";
import { chooseLanguage, Texts } from "./texts.js";
import { element, View } from "./view.js";

const PROMPT_MS = 900;
const SLOW_MS = 10_000;
const REMOTE_LEFT_MS = 6_000;

const parameters = readParameters(document, location);
const texts = new Texts();
const view = new View(texts);
const stage = new Stage(texts);
const recent = new RecentRooms();
const frames = new FrameWatch((arriving) => stage.remotePictures(arriving));

/** @type {Call | null} */
let call = null;
/** @type {LocalMedia | null} */
let media = null;
/** @type {string} */
let room = "";
/** The call before this one, while it is still taking its leave: its seat must be free before we join again. */
let leaving = Promise.resolve();
/** @type {WakeLockSentinel | null} */
let wakeLock = null;
let insecureAccepted = false;
let slowTimer = 0;
let statusTimer = 0;
/** Whether the media of a call that was connected are interrupted now. */
let interrupted = false;

/** For tests and for looking into a call from the browser's console. */
globalThis.rtcdCall = {
  /** @returns {string} the call's phase, finer than the page's state */
  get phase() {
    return call?.phase ?? "idle";
  },
  /** @returns {RTCPeerConnection | null} */
  get connection() {
    return call?.peer?.connection ?? null;
  },
  /** @returns {Promise<Record<string, any>[]>} all statistics of the peer connection, as plain objects */
  async stats() {
    const report = await call?.peer?.connection.getStats();
    return report ? [...report.values()] : [];
  },
};

/** @param {string} [suggestion] */
function showLanding(suggestion) {
  view.title(null);
  view.status("");
  view.suggest(suggestion ?? randomRoomName());
  showRecent();
  view.show("landing");
}

function showRecent() {
  view.recent(recent.list(), (name) => roomPath(parameters.base, name, location.search));
}

/** Leave whatever there is and go to the landing page. */
function goHome() {
  endCall();
  pushPath(`${parameters.base}/${location.search}`);
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

/** @param {string} name */
async function join(name) {
  room = name;
  recent.add(name);
  pushPath(roomPath(parameters.base, name, location.search));
  view.title(name);
  clearNotices();
  stage.clearRemote();
  const link = shareLink(parameters, name, location);
  stage.invite(link, qrPath(parameters.base, name, location.search));
  media = new LocalMedia(parameters.mediaConstraints);
  const thisMedia = media;
  const thisCall = new Call({ room: name, query: location.search, parameters, media }, listenerOf(() => thisCall === call));
  call = thisCall;
  media.onChange = (kind) => {
    if (thisMedia === media) {
      stage.local(thisMedia);
      thisCall.mediaChanged(kind);
    }
  };
  stage.local(media);
  stage.switches(false);
  stage.phase("joining");
  view.status("status.joining");
  view.show("joining");
  let opened = false;
  setTimeout(async () => {
    if ((await thisMedia.isAsking()) && !opened && thisCall === call) {
      stage.prompt(true);
    }
  }, PROMPT_MS);
  media.onOpened = () => {
    opened = true;
    if (thisCall === call) {
      stage.prompt(false);
      stage.switches(true);
    }
  };
  media.onProblems = (lost) => {
    if (thisCall === call && isLive()) {
      showProblems();
      if (lost) {
        announce(lost === "video" ? "status.cameraOff" : "status.muted");
      }
    }
  };
  await leaving;
  if (thisCall === call) {
    await thisCall.start();
  }
}

/**
 * What the page does when something happens in a call; nothing any more once another call has begun.
 * @param {() => boolean} current
 * @returns {import("./call.js").CallListener}
 */
function listenerOf(current) {
  return {
    phase: (phase) => current() && phaseChanged(phase),
    remoteTrack: (track) => current() && stage.remoteTrack(track),
    remoteLeft: () => {
      if (current()) {
        frames.stop();
        stage.clearRemote();
        view.status("status.remoteLeft");
        clearTimeout(statusTimer);
        statusTimer = setTimeout(() => call?.phase === "waiting" && view.status("status.waiting"), REMOTE_LEFT_MS);
      }
    },
    failed: (kind, detail) => current() && view.error(kind, detail),
    trouble: (trouble, present) => current() && troubleChanged(trouble, present),
  };
}

/** @param {import("./call.js").Phase} phase */
function phaseChanged(phase) {
  clearTimeout(slowTimer);
  interrupted = false;
  stage.phase(phase);
  switch (phase) {
    case "joining":
      view.status("status.joining");
      view.show("joining");
      break;
    case "waiting":
      if (element("status").dataset.text !== "status.remoteLeft") {
        view.status("status.waiting");
      }
      view.show("waiting");
      break;
    case "connecting":
      view.status("status.connecting");
      view.show("joining");
      slowTimer = setTimeout(() => view.status("status.slow"), SLOW_MS);
      break;
    case "connected":
      view.status("status.connected");
      view.show("connected");
      frames.start(() => call?.peer?.connection);
      break;
    case "full":
      view.status("");
      view.show("full");
      break;
    case "left":
      view.status("");
      view.left(room);
      break;
  }
  if (["left", "full", "failed"].includes(phase)) {
    clearTimeout(statusTimer);
    view.status("");
    clearNotices();
    stage.clearRemote();
    frames.stop();
  }
  keepAwake(phase === "connected");
}

/**
 * @param {"media" | "signaling" | "ice" | "path"} trouble
 * @param {boolean} present
 */
function troubleChanged(trouble, present) {
  if (trouble === "media") {
    interrupted = present && call?.phase === "connected";
    if (call?.phase === "connected") {
      view.status(present ? "status.reconnecting" : "status.connected");
    }
  } else if (present) {
    view.notice(trouble, "warning", { key: `trouble.${trouble}` });
  } else {
    view.withdraw(trouble);
  }
}

/** Explain devices that could not be had. */
function showProblems() {
  clearProblems();
  for (const { kinds, name } of media?.problems ?? []) {
    const which = kinds.length > 1 ? "both" : kinds[0];
    const same = { SecurityError: "NotAllowedError", AbortError: "NotReadableError", OverconstrainedError: "NotFoundError" }[name] ?? name;
    const key = `device.${same}.${which}`;
    const known = texts.get(key) !== key;
    view.notice(`device-${which}`, "error", known ? { key } : { key: "device.other", values: { name } });
  }
}

function clearProblems() {
  for (const which of ["both", "audio", "video"]) {
    view.withdraw(`device-${which}`);
  }
}

function clearNotices() {
  clearProblems();
  for (const id of ["ice", "path", "signaling"]) {
    view.withdraw(id);
  }
}

/** Whether there is a call that has not ended. */
function isLive() {
  return call !== null && ["joining", "waiting", "connecting", "connected"].includes(call.phase);
}

function endCall() {
  if (call) {
    const ending = call;
    leaving = ending.hangUp();
    call = null;
    media = null;
    frames.stop();
    clearNotices();
    keepAwake(false);
  }
}

function hangUp() {
  if (call && isLive()) {
    if (document.fullscreenElement) {
      stage.toggleFullscreen();
    }
    leaving = call.hangUp();
  }
}

async function toggleMicrophone() {
  const switched = media;
  if (switched?.wants("audio") && !isAsleep("mute-button")) {
    const on = await switched.setMicrophone(!switched.isOn("audio"));
    if (switched === media && isLive()) {
      announce(on ? "status.unmuted" : "status.muted");
    }
  }
}

async function toggleCamera() {
  const switched = media;
  if (switched?.wants("video") && !isAsleep("camera-button")) {
    const on = await switched.setCamera(!switched.isOn("video"));
    if (switched === media && isLive()) {
      announce(on ? "status.cameraOn" : "status.cameraOff");
    }
  }
}

/** @param {string} id of a button whose key must not work either */
function isAsleep(id) {
  return /** @type {HTMLButtonElement} */ (element(id)).disabled;
}

/**
 * Say what happened to a device, and a little later how the call stands again. An interruption is more important.
 * @param {string} key
 */
function announce(key) {
  if (interrupted) {
    return;
  }
  const standing = { waiting: "status.waiting", connecting: "status.connecting", connected: "status.connected" };
  view.status(key);
  clearTimeout(statusTimer);
  statusTimer = setTimeout(() => {
    if (call && isLive() && !interrupted) {
      view.status(standing[call.phase] ?? element("status").dataset.text);
    }
  }, 2_500);
}

/** @param {boolean} awake */
async function keepAwake(awake) {
  try {
    if (!awake) {
      await wakeLock?.release();
      wakeLock = null;
    } else if (document.visibilityState === "visible") {
      await wakeLock?.release();
      wakeLock = (await navigator.wakeLock?.request("screen")) ?? null;
      if (call?.phase !== "connected") {
        await wakeLock?.release(); // the call ended while the browser made up its mind
        wakeLock = null;
      }
    }
  } catch {
    // Not allowed now (low battery): the call goes on.
  }
}

/** Where the same page would be secure, or null if we cannot know. */
function secureLink() {
  for (const url of [parameters.roomLink, parameters.wssPostUrl, parameters.wssUrl.replace(/^ws/, "http")]) {
    if (url?.startsWith("https:")) {
      return new URL(url).origin + location.pathname + location.search;
    }
  }
  return null;
}

/** The state that the address asks for. */
function enter() {
  const named = parameters.roomId ?? roomOfPath(parameters.base, location.pathname);
  if (parameters.error) {
    view.error(parameters.error, "");
  } else if (typeof RTCPeerConnection === "undefined") {
    view.error("webrtc", "");
  } else if (!isSecure() && !insecureAccepted) {
    const link = secureLink();
    view.error("insecure", "", link ?? `https://${location.host}${location.pathname}${location.search}`);
  } else {
    // A page is asked for again before it has left, so that after a reload the seat taken may be our own.
    const [navigation] = performance.getEntriesByType("navigation");
    const again = /** @type {PerformanceNavigationTiming | undefined} */ (navigation)?.type === "reload";
    enterRoom(named, parameters.full && !again);
  }
}

/**
 * @param {string | null} name
 * @param {boolean} full
 */
function enterRoom(name, full) {
  if (name === null) {
    showLanding();
    return;
  }
  if (!isPossibleName(name)) {
    view.title(null);
    view.error("name", name);
    return;
  }
  room = name;
  view.title(name);
  view.status("");
  if (full) {
    view.show("full");
  } else if (parameters.bypassJoinConfirmation) {
    join(name);
  } else {
    view.confirm(name, !isNumberName(name));
  }
}

function connectButtons() {
  const on = (/** @type {string} */ id, /** @type {(event: Event) => void} */ action) => element(id).addEventListener("click", action);
  element("join-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (isRoomName(view.input.value)) {
      join(view.input.value);
    }
  });
  on("random-button", () => view.suggest(randomRoomName()));
  on("forget-button", () => {
    recent.clear();
    showRecent();
    view.input.focus();
  });
  on("recent-rooms", (event) => {
    const link = /** @type {HTMLElement} */ (event.target).closest("a");
    if (link?.dataset.room && isPlainClick(/** @type {MouseEvent} */ (event))) {
      event.preventDefault();
      join(link.dataset.room);
    }
  });
  on("brand", (event) => {
    if (isPlainClick(/** @type {MouseEvent} */ (event))) {
      event.preventDefault();
      goHome();
    }
  });
  for (const id of ["confirm-button", "rejoin-button", "full-retry-button"]) {
    on(id, () => join(room));
  }
  on("error-retry-button", () => (room ? join(room) : location.reload()));
  for (const id of ["new-room-button", "full-new-room-button", "error-new-room-button"]) {
    on(id, goHome);
  }
  on("error-continue-button", () => {
    insecureAccepted = true;
    enter();
  });
  on("mute-button", toggleMicrophone);
  on("camera-button", toggleCamera);
  on("fullscreen-button", () => stage.toggleFullscreen());
  on("hangup-button", hangUp);
  on("language-button", async () => {
    await speak(otherLanguage());
    texts.remember();
  });
}

/** @param {MouseEvent} event */
function isPlainClick(event) {
  return event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
}

function connectKeys() {
  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const typing = target.matches("input, textarea, select") && !(/** @type {HTMLInputElement} */ (target).readOnly);
    const inCall = ["joining", "waiting", "connected"].includes(view.state);
    if (!inCall || typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    if (event.key === " " && target.matches("button, a")) {
      return; // space presses what has the focus
    }
    const action = { " ": toggleMicrophone, m: toggleMicrophone, c: toggleCamera, f: () => stage.toggleFullscreen(), q: hangUp }[
      event.key.toLowerCase()
    ];
    if (action) {
      event.preventDefault();
      action();
    }
  });
}

function connectBrowser() {
  addEventListener("pagehide", () => call?.leaveNow());
  addEventListener("popstate", () => {
    endCall();
    enterRoom(roomOfPath(parameters.base, location.pathname), false);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && call?.phase === "connected") {
      keepAwake(true);
    }
  });
}

function otherLanguage() {
  return texts.language === "en" ? "zh-CN" : "en";
}

/** @param {string} language */
async function speak(language) {
  await texts.use(language, document);
  element("language-button").lang = otherLanguage();
}

async function begin() {
  await speak(chooseLanguage(navigator.languages ?? []));
  element("version").textContent = parameters.versionInfo?.gitHash ? `rtcd ${parameters.versionInfo.gitHash.slice(0, 8)}` : "";
  connectButtons();
  connectKeys();
  connectBrowser();
  if (parameters.headerMessage) {
    view.notice("header", "plain", { text: parameters.headerMessage });
  }
  parameters.errorMessages.forEach((text, index) => view.notice(`server-error-${index}`, "error", { text }));
  parameters.warningMessages.forEach((text, index) => view.notice(`server-warning-${index}`, "warning", { key: warningKey(text), text }));
  enter();
}

// A page that is merely being prerendered must not take a seat.
if (/** @type {any} */ (document).prerendering) {
  document.addEventListener("prerenderingchange", begin, { once: true });
} else {
  begin();
}
