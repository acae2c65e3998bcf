/**
 * Tries one path each: the page's own address, a WebSocket, STUN, a relay. Knows no element of the page.
 *
 * @typedef {{ id: string, kind: string, url: string, name: string }} Path
 * @typedef {{ username: string, credential: string }} Credential
 * @typedef {{ id: string, ok: boolean, ms: number | null, relayed?: number, mapped?: boolean, codes?: number[],
 *     status?: number }} Seen As rtcd.check.report has it.
 */

/** How long one path may take, in milliseconds. */
export const LIMIT_MS = 8000;

/** STUN and TURN error codes that are kept of a path. */
const MAX_CODES = 8;
/** So many round trips are measured; the shortest counts. */
const ROUNDS = 3;

/** Whether the browser has peer connections; some are made without, some forbid them. */
export function hasWebRtc() {
  try {
    new RTCPeerConnection().close();
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {Path} path
 * @param {Credential} credential
 * @returns {Promise<Seen>}
 */
export async function attempt(path, credential) {
  try {
    if (path.kind === "https") return await page(path);
    if (path.kind === "wss") return await socket(path);
    return path.kind === "stun" ? await stun(path) : await relay(path, credential);
  } catch (error) {
    console.warn(path.id, error);
    return { id: path.id, ok: false, ms: null };
  }
}

/** @param {Path} path */
async function page(path) {
  const began = performance.now();
  const answer = await fetch(location.pathname, { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout?.(LIMIT_MS) });
  return { id: path.id, ok: answer.ok, ms: since(began) };
}

/** @param {Path} path */
async function socket(path) {
  const began = performance.now();
  const opened = await within(LIMIT_MS, (done) => {
    const one = new WebSocket(path.url);
    one.onopen = () => done(true);
    one.onerror = () => done(false);
    return () => one.close();
  }, false);
  if (opened) return { id: path.id, ok: true, ms: since(began) };
  return { id: path.id, ok: false, ms: null, status: await ordinary(path.url.replace(/^ws/, "http")) };
}

/**
 * What an address answers to an ordinary request; 0 if it does not.
 *
 * @param {string} url
 */
async function ordinary(url) {
  try {
    const answer = await fetch(url, { cache: "no-store", redirect: "manual", signal: AbortSignal.timeout?.(LIMIT_MS / 2) });
    return answer.type === "opaqueredirect" ? 302 : answer.status;
  } catch {
    return 0;
  }
}

/** @param {Path} path */
async function stun(path) {
  const began = performance.now(), codes = /** @type {Set<number>} */ (new Set());
  let mapped = false;
  const ok = await within(LIMIT_MS, (done) => {
    const one = new RTCPeerConnection({ iceServers: [{ urls: [path.url] }] });
    one.onicecandidateerror = (event) => codes.add(event.errorCode);
    one.onicecandidate = ({ candidate }) => {
      mapped ||= candidate?.type === "srflx";
      if (mapped || !candidate) done(mapped || codes.size === 0);
    };
    one.createDataChannel("check");
    one.setLocalDescription().catch(() => done(false));
    return () => one.close();
  }, false);
  return { id: path.id, ok, ms: ok ? since(began) : null, mapped, codes: [...codes].slice(0, MAX_CODES) };
}

/**
 * Two connections in this page that know each other by relays alone, and that server alone, send each other something.
 *
 * @param {Path} path
 * @param {Credential} credential
 */
async function relay(path, { username, credential }) {
  /** @type {RTCConfiguration} */
  const how = { iceServers: [{ urls: [path.url], username, credential }], iceTransportPolicy: "relay" };
  const codes = /** @type {Set<number>} */ (new Set()), relayed = new Set(), ended = new Set();
  const ms = await within(LIMIT_MS, (/** @type {(ms: number | null) => void} */ done) => {
    const pair = /** @type {const} */ ([new RTCPeerConnection(how), new RTCPeerConnection(how)]);
    const failed = () => done(null);
    pair.forEach((one, index) => {
      const other = pair[1 - index];
      one.onicecandidateerror = (event) => codes.add(event.errorCode);
      one.onicecandidate = ({ candidate }) => {
        if (candidate?.candidate) {
          relayed.add(one);
          other.addIceCandidate(candidate).catch(failed);
        } else if (!candidate && ended.add(one).size === 2 && relayed.size < 2) {
          failed();
        }
      };
    });
    const [first, second] = pair, channel = first.createDataChannel("check");
    second.ondatachannel = (event) => {
      event.channel.onmessage = ({ data }) => event.channel.send(data);
    };
    measure(channel, done);
    connect(first, second).catch(failed);
    return () => pair.forEach((one) => one.close());
  }, null);
  return { id: path.id, ok: ms !== null, ms, relayed: relayed.size, codes: [...codes].slice(0, MAX_CODES) };
}

/**
 * Candidates are given only to a connection that knows the other's description, so these wait for none of them.
 *
 * @param {RTCPeerConnection} first
 * @param {RTCPeerConnection} second
 */
async function connect(first, second) {
  const offer = await first.createOffer();
  await second.setRemoteDescription(offer);
  const answer = await second.createAnswer();
  const early = hold(second), late = hold(first);
  await first.setLocalDescription(offer);
  await first.setRemoteDescription(answer);
  await second.setLocalDescription(answer);
  early();
  late();
}

/**
 * Keep what a connection finds till the other can take it.
 *
 * @param {RTCPeerConnection} one
 */
function hold(one) {
  const give = one.onicecandidate, kept = /** @type {RTCPeerConnectionIceEvent[]} */ ([]);
  one.onicecandidate = (event) => kept.push(event);
  return () => {
    one.onicecandidate = give;
    for (const event of kept) give?.call(one, event);
  };
}

/**
 * @param {RTCDataChannel} channel The other end sends back what it gets.
 * @param {(ms: number) => void} done Told the shortest round trip.
 */
function measure(channel, done) {
  let sent = 0, best = Infinity, left = ROUNDS;
  const send = () => {
    sent = performance.now();
    channel.send("check");
  };
  channel.onopen = send;
  channel.onmessage = () => {
    best = Math.min(best, performance.now() - sent);
    left -= 1;
    if (left) send();
    else done(Math.round(best));
  };
}

/** @param {number} began */
function since(began) {
  return Math.round(performance.now() - began);
}

/**
 * What `work` is done with, or `otherwise` when the time is over; then what it returned is called.
 *
 * @template T
 * @param {number} limit
 * @param {(done: (value: T) => void) => () => void} work
 * @param {T} otherwise
 * @returns {Promise<T>}
 */
export async function within(limit, work, otherwise) {
  let end = () => {}, timer = 0;
  try {
    return await new Promise((resolve, reject) => {
      timer = Number(setTimeout(resolve, limit, otherwise));
      try {
        end = work(resolve);
      } catch (error) {
        reject(error);
      }
    });
  } finally {
    clearTimeout(timer);
    end();
  }
}
