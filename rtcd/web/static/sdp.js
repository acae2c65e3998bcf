// @ts-check
/**
 * The URL arguments of AppRTC that change session descriptions: codecs, bit rates, options of Opus.
 *
 * The description that a browser makes for itself is never changed, only the copy that the other side gets (what we like to receive)
 * and the one that comes from the other side (how we are to send). So no browser has reason to refuse it.
 */

/**
 * A session description as its session part and one list of lines per medium.
 * @typedef {{session: string[], media: string[][]}} Sections
 */

/**
 * The description to send, with what we like to receive: `arc`, `vrc`, `arbr`, `vrbr`, `videofec`.
 * @param {string} sdp
 * @param {URLSearchParams} args
 * @returns {string}
 */
export function outgoing(sdp, args) {
  return edit(sdp, (lines, kind) => {
    let edited = lines;
    if (kind === "video" && args.get("videofec") === "false") {
      edited = withoutRedundancy(edited);
    }
    edited = preferCodec(edited, args.get(kind === "audio" ? "arc" : "vrc"));
    return limitRate(edited, args.get(kind === "audio" ? "arbr" : "vrbr"));
  });
}

/**
 * The other side's description, with how we are to send: `asc`, `vsc`, `asbr`, `vsbr`, `vsibr`, the options of Opus, `videofec`.
 * @param {string} sdp
 * @param {URLSearchParams} args
 * @returns {string}
 */
export function incoming(sdp, args) {
  return edit(sdp, (lines, kind) => {
    if (kind === "audio") {
      const edited = preferCodec(opusOptions(lines, args), args.get("asc"));
      return limitRate(edited, args.get("asbr"));
    }
    let edited = args.get("videofec") === "false" ? withoutRedundancy(lines) : lines;
    edited = limitRate(preferCodec(edited, args.get("vsc")), args.get("vsbr"));
    return initialRate(edited, args.get("vsibr"), args.get("vsbr"));
  });
}

/**
 * @param {string} sdp
 * @param {(lines: string[], kind: "audio" | "video") => string[]} change
 * @returns {string}
 */
function edit(sdp, change) {
  const { session, media } = split(sdp);
  const edited = media.map((lines) => {
    const kind = lines[0].slice(2).split(" ")[0];
    return kind === "audio" || kind === "video" ? change(lines, kind) : lines;
  });
  return [...session, ...edited.flat(), ""].join("\r\n");
}

/**
 * @param {string} sdp
 * @returns {Sections}
 */
function split(sdp) {
  /** @type {Sections} */
  const sections = { session: [], media: [] };
  for (const line of sdp.split(/\r?\n/)) {
    if (line.startsWith("m=")) {
      sections.media.push([line]);
    } else if (line !== "") {
      (sections.media.at(-1) ?? sections.session).push(line);
    }
  }
  return sections;
}

/**
 * Put every payload type of the wanted codec (`name` or `name/rate`) first.
 * @param {string[]} lines
 * @param {string | null} codec
 */
function preferCodec(lines, codec) {
  const wanted = codec ? payloads(lines, codec) : [];
  if (wanted.length === 0) {
    return lines;
  }
  const [head, others] = formats(lines);
  return [[...head, ...wanted, ...others.filter((type) => !wanted.includes(type))].join(" "), ...lines.slice(1)];
}

/**
 * Add `b=AS:` after the connection line of the medium.
 * @param {string[]} lines
 * @param {string | null} kilobits
 */
function limitRate(lines, kilobits) {
  if (!isRate(kilobits)) {
    return lines;
  }
  const kept = lines.filter((line) => !line.startsWith("b=AS:"));
  const connection = kept.findIndex((line) => line.startsWith("c="));
  kept.splice(connection < 0 ? 1 : connection + 1, 0, `b=AS:${kilobits}`);
  return kept;
}

/**
 * @param {string[]} lines
 * @param {string | null} initial
 * @param {string | null} limit
 */
function initialRate(lines, initial, limit) {
  if (!isRate(initial)) {
    return lines;
  }
  const most = isRate(limit) ? limit : initial;
  const least = Math.min(Number(initial), Number(most));
  const [, types] = formats(lines);
  return setOption(setOption(lines, types[0], "x-google-min-bitrate", String(least)), types[0], "x-google-max-bitrate", String(most));
}

/**
 * @param {string[]} lines
 * @param {URLSearchParams} args
 */
function opusOptions(lines, args) {
  const [type] = payloads(lines, "opus/48000");
  if (type === undefined) {
    return lines;
  }
  let edited = lines;
  for (const [arg, option] of [["stereo", "stereo"], ["opusfec", "useinbandfec"], ["opusdtx", "usedtx"]]) {
    if (args.get(arg) === "true") {
      edited = setOption(edited, type, option, "1");
    } else if (args.get(arg) === "false") {
      edited = setOption(edited, type, option, null);
    }
  }
  const highest = args.get("opusmaxpbr");
  return isRate(highest) ? setOption(edited, type, "maxplaybackrate", highest) : edited;
}

/**
 * Take RED, ULPFEC and their retransmission out of a video section.
 * @param {string[]} lines
 */
function withoutRedundancy(lines) {
  const gone = [...payloads(lines, "red"), ...payloads(lines, "ulpfec")];
  for (const line of lines) {
    const apt = /^a=fmtp:(\d+) apt=(\d+)/.exec(line);
    if (apt && gone.includes(apt[2])) {
      gone.push(apt[1]);
    }
  }
  const [head, types] = formats(lines);
  const kept = lines.slice(1).filter((line) => !gone.includes(/^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) /.exec(line)?.[1] ?? ""));
  return [[...head, ...types.filter((type) => !gone.includes(type))].join(" "), ...kept];
}

/**
 * The payload types of a codec, `name` or `name/rate`, in any case.
 * @param {string[]} lines
 * @param {string} codec
 * @returns {string[]}
 */
function payloads(lines, codec) {
  const wanted = codec.toLowerCase();
  const found = [];
  for (const line of lines) {
    const map = /^a=rtpmap:(\d+) (([^/]+)\/\d+)/.exec(line);
    if (map && [map[2].toLowerCase(), map[3].toLowerCase()].includes(wanted)) {
      found.push(map[1]);
    }
  }
  return found;
}

/**
 * The m-line as its first three words and its payload types.
 * @param {string[]} lines
 * @returns {[string[], string[]]}
 */
function formats(lines) {
  const words = lines[0].split(" ");
  return [words.slice(0, 3), words.slice(3)];
}

/**
 * Set one format parameter of a payload type, or remove it.
 * @param {string[]} lines
 * @param {string} type
 * @param {string} name
 * @param {string | null} value
 * @returns {string[]}
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

/**
 * @param {string | null} text
 * @returns {text is string}
 */
function isRate(text) {
  return text !== null && /^[1-9]\d{0,8}$/.test(text);
}
