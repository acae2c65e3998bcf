// @ts-check
/**
 * The URL arguments of AppRTC that change session descriptions; what a browser can be asked for without is in `codecs.js`.
 *
 * The description that a browser makes for itself is never changed, only the copy that the other side gets (what we like to
 * receive) and the one that comes from the other side (how we are to send). So no browser has reason to refuse it.
 */

/** @typedef {Partial<import("./codecs.js").Abilities>} Abilities what is done without */

/**
 * The description to send, with what we like to receive: `arc`, `vrc`, `arbr`, `vrbr`, `videofec`.
 * @param {string} sdp @param {URLSearchParams} args @param {Abilities} [able]
 */
export function outgoing(sdp, args, { preferences = false } = {}) {
  return edit(sdp, (lines, audio) => {
    const edited = audio ? lines : redundancy(lines, args);
    const ordered = preferCodec(edited, preferences ? null : args.get(audio ? "arc" : "vrc"));
    return limitRate(ordered, args.get(audio ? "arbr" : "vrbr"));
  });
}

/**
 * The other side's description, with how we are to send: `asc`, `vsc`, `vsibr`, the options of Opus, `videofec`.
 * @param {string} sdp @param {URLSearchParams} args @param {Abilities} [able]
 */
export function incoming(sdp, args, { codec = false } = {}) {
  return edit(sdp, (lines, audio) => {
    const edited = audio ? opusOptions(lines, args) : redundancy(lines, args);
    const ordered = preferCodec(edited, codec ? null : args.get(audio ? "asc" : "vsc"));
    return audio ? ordered : initialRate(ordered, args);
  });
}

/**
 * A later offer, which says who is the client in DTLS: Firefox would take the other role in answer to `actpass`, though the
 * roles stay as they are (RFC 8842 §5.5).
 * @param {string} sdp @param {Pick<RTCPeerConnection, "currentLocalDescription" | "currentRemoteDescription">} agreed
 */
export function sameRole(sdp, { currentLocalDescription: local, currentRemoteDescription: remote }) {
  const answered = local?.type === "answer";
  const role = /a=setup:(active|passive)/.exec((answered ? local : remote)?.sdp ?? "")?.[1];
  const own = answered ? role : role === "active" ? "passive" : "active";
  return role ? sdp.replaceAll("a=setup:actpass", `a=setup:${own}`) : sdp;
}

/** @param {string} sdp @param {(lines: string[], audio: boolean) => string[]} change the lines of a medium */
function edit(sdp, change) {
  const [session, ...media] = sdp.split(/\r?\n(?=m=)/).map((section) => section.split(/\r?\n/).filter(Boolean));
  const edited = media.map((lines) => (/^m=(audio|video) /.test(lines[0]) ? change(lines, lines[0][2] === "a") : lines));
  return [...session, ...edited.flat(), ""].join("\r\n");
}

/** Put every payload type of the codec first. @param {string[]} lines @param {string | null} codec */
function preferCodec(lines, codec) {
  const [head, types] = formats(lines);
  const wanted = codec ? payloads(lines, codec).filter((type) => types.includes(type)) : [];
  return [[...head, ...new Set([...wanted, ...types])].join(" "), ...lines.slice(1)];
}

/** Add `b=AS:` after the connection line. @param {string[]} lines @param {string | null} kilobits */
function limitRate(lines, kilobits) {
  if (!isRate(kilobits)) {
    return lines;
  }
  const kept = lines.filter((line) => !line.startsWith("b=AS:"));
  const connection = kept.findIndex((line) => line.startsWith("c="));
  kept.splice(Math.max(connection, 0) + 1, 0, `b=AS:${kilobits}`);
  return kept;
}

/** @param {string[]} lines @param {URLSearchParams} args */
function initialRate(lines, args) {
  const [initial, limit, codec] = ["vsibr", "vsbr", "vsc"].map((name) => args.get(name));
  if (!isRate(initial)) {
    return lines;
  }
  const most = isRate(limit) ? limit : initial;
  const least = Math.min(Number(initial), Number(most));
  const type = (codec && payloads(lines, codec)[0]) || formats(lines)[1][0];
  return setOption(setOption(lines, type, "x-google-min-bitrate", String(least)), type, "x-google-max-bitrate", most);
}

/** @param {string[]} lines @param {URLSearchParams} args */
function opusOptions(lines, args) {
  const [type] = payloads(lines, "opus/48000");
  if (type === undefined) {
    return lines;
  }
  let edited = lines;
  for (const [arg, option] of [["stereo", "stereo"], ["opusfec", "useinbandfec"], ["opusdtx", "usedtx"]]) {
    const value = args.get(arg);
    if (value === "true" || value === "false") {
      edited = setOption(edited, type, option, value === "true" ? "1" : null);
    }
  }
  const highest = args.get("opusmaxpbr");
  return isRate(highest) ? setOption(edited, type, "maxplaybackrate", highest) : edited;
}

/** With `videofec=false` RED, ULPFEC and their retransmission go. @param {string[]} lines @param {URLSearchParams} args */
function redundancy(lines, args) {
  if (args.get("videofec") !== "false") {
    return lines;
  }
  const gone = [...payloads(lines, "red"), ...payloads(lines, "ulpfec")];
  for (const line of lines) {
    const [, type, apt] = /^a=fmtp:(\d+) apt=(\d+)/.exec(line) ?? [];
    if (gone.includes(apt)) {
      gone.push(type);
    }
  }
  const [head, types] = formats(lines);
  const kept = lines.slice(1).filter((line) => !gone.includes(/^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) /.exec(line)?.[1] ?? ""));
  return [[...head, ...types.filter((type) => !gone.includes(type))].join(" "), ...kept];
}

/** The payload types of a codec. @param {string[]} lines @param {string} codec `name` or `name/rate`, in any case */
function payloads(lines, codec) {
  const maps = lines.map((line) => /^a=rtpmap:(\d+) (([^/]+)\/\d+)/.exec(line) ?? []);
  return maps.filter((map) => map.slice(2).some((name) => name.toLowerCase() === codec.toLowerCase())).map((map) => map[1]);
}

/** The first three words of the m-line, and its payload types. @param {string[]} lines */
function formats(lines) {
  const words = lines[0].split(" ");
  return [words.slice(0, 3), words.slice(3)];
}

/**
 * Set one format parameter of a payload type, or remove it.
 * @param {string[]} lines @param {string} type @param {string} name @param {string | null} value
 */
function setOption(lines, type, name, value) {
  const prefix = `a=fmtp:${type} `;
  const at = lines.findIndex((line) => line.startsWith(prefix));
  const options = at < 0 ? [] : lines[at].slice(prefix.length).split(";").map((option) => option.trim());
  const kept = options.filter((option) => option !== "" && option.split("=")[0] !== name);
  if (value !== null) {
    kept.push(`${name}=${value}`);
  }
  const edited = lines.filter((_, index) => index !== at);
  if (kept.length > 0) {
    const map = edited.findIndex((line) => line.startsWith(`a=rtpmap:${type} `));
    edited.splice(at < 0 ? map + 1 : at, 0, prefix + kept.join(";"));
  }
  return edited;
}

/** Whether an argument is a rate, in kbit/s. @param {string | null} text @returns {text is string} */
export function isRate(text) {
  return text !== null && /^[1-9]\d{0,8}$/.test(text);
}
