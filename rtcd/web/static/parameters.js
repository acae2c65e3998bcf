// @ts-check
/**
 * What the server tells the page: the JSON object in the head, brought into the shapes that today's browsers take.
 *
 * Everything here is a pure function of its arguments, except `readParameters`, which looks into the document.
 */

/**
 * @typedef {object} Parameters
 * @property {string} base path prefix of all our URLs, without a slash at the end; usually empty
 * @property {string | null} [roomId]
 * @property {string | null} [roomLink]
 * @property {string} refused why the room of this page had no free seat when the page was served: full, app or empty
 * @property {number} capacity seats of a room; 0: not known
 * @property {string} headerMessage a line of the operator's, or empty
 * @property {string} error why there is no room to go into, as one of the `error.{kind}` texts, or empty
 * @property {string[]} errorMessages
 * @property {string[]} warningMessages
 * @property {boolean} isLoopback
 * @property {boolean} bypassJoinConfirmation
 * @property {{audio: any, video: any, fake?: boolean}} mediaConstraints
 * @property {RTCConfiguration} peerConnectionConfig
 * @property {string} iceServerRequestUrl empty: there is nothing to ask
 * @property {string} iceServerTransports
 * @property {string} wssUrl
 * @property {string} wssPostUrl
 */

/**
 * The parameters of this page.
 * @param {Document} page
 * @param {{protocol: string, host: string, origin: string}} location
 * @returns {Parameters}
 */
export function readParameters(page, location) {
  const text = page.getElementById("parameters")?.textContent ?? "{}";
  return normalise(JSON.parse(text), location);
}

/**
 * Fill in what is missing and bring URLs to this page's own origin.
 * @param {any} given
 * @param {{protocol: string, host: string, origin: string}} location
 * @returns {Parameters}
 */
export function normalise(given, location) {
  const base = typeof given.base === "string" ? given.base.replace(/\/+$/, "") : "";
  const { iceServerRequestUrl: ice } = given;
  return {
    errorMessages: [],
    warningMessages: [],
    ...given,
    base,
    mediaConstraints: { audio: true, video: true, ...given.mediaConstraints },
    peerConnectionConfig: peerConfiguration(given.peerConnectionConfig ?? {}),
    iceServerRequestUrl: ice ? ownUrl(ice, location) : "",
    wssUrl: ownUrl(given.wssUrl ?? `${base}/ws`, location, true),
    wssPostUrl: ownUrl(given.wssPostUrl ?? `${base}/sig`, location).replace(/\/+$/, ""),
  };
}

/**
 * An absolute URL for `url`; where it names this page's own host, the scheme is the page's, so that it is never mixed content.
 * @param {string} url
 * @param {{protocol: string, host: string, origin: string}} location
 * @param {boolean} [socket] whether a WebSocket URL is wanted
 * @returns {string}
 */
export function ownUrl(url, location, socket = false) {
  const absolute = new URL(url, location.origin);
  const web = location.protocol === "https:" ? "https:" : "http:";
  if (absolute.host === location.host || !/^(https?|wss?):$/.test(absolute.protocol)) {
    return (socket ? web.replace("http", "ws") : web) + "//" + location.host + absolute.pathname + absolute.search;
  }
  if (web === "https:") {
    absolute.protocol = socket ? "wss:" : "https:";
  } else if (socket) {
    absolute.protocol = absolute.protocol.replace(/^http/, "ws");
  }
  return absolute.href;
}

/**
 * The link to give to other people. The server knows its public name best, but only a link that leads back to the origin that
 * works here is sure to work.
 * @param {Pick<Parameters, "base" | "roomId" | "roomLink">} parameters
 * @param {string} room
 * @param {{origin: string, search: string}} location
 * @returns {string}
 */
export function shareLink(parameters, room, location) {
  if (parameters.roomId === room && parameters.roomLink) {
    try {
      if (new URL(parameters.roomLink).origin === location.origin) {
        return parameters.roomLink;
      }
    } catch {
      // Not a URL: ours is.
    }
  }
  return location.origin + roomPath(parameters.base, room, location.search);
}

/**
 * The path of a room's page, with the arguments that this page was opened with.
 * @param {string} base
 * @param {string} room
 * @param {string} search
 * @returns {string}
 */
export function roomPath(base, room, search) {
  return `${base}/r/${encodeURIComponent(room)}${search}`;
}

/**
 * The picture of a room's link, with the arguments that the link carries.
 * @param {string} base
 * @param {string} room
 * @param {string} search the page's query string, with "?"
 * @returns {string}
 */
export function qrPath(base, room, search) {
  const args = new URLSearchParams(search);
  args.set("room", room);
  return `${base}/qr.svg?${args}`;
}

/**
 * The room named by a path of ours, or null for the landing page.
 * @param {string} base
 * @param {string} path
 * @returns {string | null}
 */
export function roomOfPath(base, path) {
  const match = path.startsWith(base) ? /^\/+r\/([^/]+)\/?$/.exec(path.slice(base.length)) : null;
  try {
    return match ? decodeURIComponent(match[1]) : null;
  } catch {
    return null;
  }
}

/**
 * AppRTC's configuration as an RTCConfiguration: `iceTransports` is the name of times past.
 * @param {any} config
 * @returns {RTCConfiguration}
 */
export function peerConfiguration(config) {
  const { iceTransports, ...rest } = config;
  const policy = rest.iceTransportPolicy ?? iceTransports;
  return {
    bundlePolicy: "max-bundle",
    rtcpMuxPolicy: "require",
    ...rest,
    iceServers: usableIceServers(rest.iceServers, ""),
    iceTransportPolicy: policy === "relay" ? "relay" : "all",
  };
}

/**
 * ICE servers as RTCPeerConnection takes them, and with a wanted transport (`tt`) only the TURN URLs that have it.
 *
 * A STUN URL has no transport, so `tt` drops all of them; a TURN URL without one gets it. Servers left empty go, and so do
 * TURN servers without a password: a browser would make no connection at all with them.
 * @param {any[]} servers
 * @param {string} transport `udp`, `tcp` or empty
 * @returns {RTCIceServer[]}
 */
export function usableIceServers(servers, transport) {
  /** @type {RTCIceServer[]} */
  const usable = [];
  for (const server of Array.isArray(servers) ? servers : []) {
    const given = [server.urls ?? server.url ?? []].flat().map((url) => String(url).replace(/^(stuns?:[^?]*).*/i, "$1"))
      .filter((url) => /^stuns?:./i.test(url) || (/^turns?:./i.test(url) && server.username && server.credential));
    const urls = transport ? given.flatMap((url) => withTransport(url, transport)) : given;
    if (urls.length > 0) {
      const { url: _, ...rest } = server;
      usable.push({ ...rest, urls });
    }
  }
  return usable;
}

/**
 * @param {string} url
 * @param {string} transport
 * @returns {string[]}
 */
function withTransport(url, transport) {
  if (!/^turns?:/i.test(url)) {
    return [];
  }
  if (!/[?&]transport=/.test(url)) {
    return [`${url}?transport=${transport}`];
  }
  return url.includes(`transport=${transport}`) ? [url] : [];
}

/**
 * The text of ours that says the same as a warning of the server, which speaks English only.
 * @param {string} warning
 * @returns {string | undefined} nothing for one that we do not know
 */
export function warningKey(warning) {
  const about = /"(hd|minre|wshpp|ts)"/.exec(warning)?.[1];
  return about && `warning.${about}`;
}
