"""Reading what an ICE credentials service answers: a request with its URL, and the JSON of the answer, or a note of both."""

from __future__ import annotations

import json
import re
from typing import Any

from rtcd.importer.facts import IceFile, IceServer, Url

_REQUEST = re.compile(r"\b(?:GET|POST)\s+(https?://[^\s'\"<>]+)")
_ANY_URL = re.compile(r"\bhttps?://[^\s'\"<>\\]+")
_ANSWER = re.compile(r"\{\s*\"(?:iceServers|lifetimeDuration|username|uris)\"")
_SIGNED = re.compile(r"hmac-?_?sha-?1\s*\(\s*['\"]([^'\"]*)['\"]", re.IGNORECASE)
_MOMENT = re.compile(r"\b(\d{9,11})\b[^.\n]{0,40}\b(?:moment|time|issued?|now)\b", re.IGNORECASE)
_TIME = re.compile(r"(\d{9,11})\W.*|\D.*\W(\d{9,11})|(\d{9,11})")
MAX_ANSWERS = 20


def is_ice(text: str) -> bool:
    """Whether the text shows an answer with ICE servers."""
    return "iceServers" in text or ('"uris"' in text and '"username"' in text)


def read_ice(file: str, text: str) -> IceFile:
    """Read the text. Raises ValueError if it holds no answer."""
    servers: list[IceServer] = []
    for match in list(_ANSWER.finditer(text))[:MAX_ANSWERS]:
        try:
            answer, _ = json.JSONDecoder().raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        servers += _servers(answer, text, match.start())
    if not servers:
        raise ValueError("shows iceServers, but no answer in JSON; write down one answer of the service as it is")
    request = _REQUEST.search(text) or _ANY_URL.search(text)
    url = None
    if request:
        whole = request[request.lastindex or 0]  # with a key behind ?, perhaps
        url = Url(whole.partition("?")[0], _line(text, request.start()))
    signed, moment = _SIGNED.search(text), _MOMENT.search(text)
    times = [time_of(one.username) for one in servers]
    return IceFile(file, url, tuple(servers), signed[1] if signed else "", _line(text, signed.start()) if signed else 0,
                   int(moment[1]) if moment else None, bool(signed) or any(one is not None for one in times))


def time_of(username: str) -> int | None:
    """The time in a time-limited name, in Unix seconds; None if it has none."""
    match = _TIME.fullmatch(username)
    return int(next(one for one in match.groups() if one)) if match else None


def _servers(answer: Any, text: str, start: int) -> list[IceServer]:
    if not isinstance(answer, dict):
        return []
    listing = answer.get("iceServers", [answer] if "uris" in answer else [])
    found = []
    for one in listing if isinstance(listing, list) else []:
        if not isinstance(one, dict):
            continue
        urls = one.get("urls", one.get("url", one.get("uris", [])))
        listed = isinstance(urls, list)
        texts = [each for each in (urls if isinstance(urls, list) else [urls]) if isinstance(each, str)]
        lines = [_line(text, max(text.find(json.dumps(each), start), start)) for each in texts]
        name, credential = one.get("username", ""), one.get("credential", one.get("password", ""))
        found.append(IceServer(
            tuple(map(Url, texts, lines)), name if isinstance(name, str) else "",
            credential if isinstance(credential, str) else "", lines[0] if lines else _line(text, start), listed))
    return found


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
