"""The parameters of a call: what AppRTC's URL arguments ask for, as the page, the phone apps and ``/params`` read it.

Pure: arguments and a `Site` in, a dictionary out. Values that AppRTC sends as text (``"true"``, JSON in a string) are
text here too. `page` gives the same facts under the names and types that the web page reads.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

HD = "mandatory:minWidth=1280,mandatory:minHeight=720"
HD_DEFAULT = "optional:minWidth=1280,optional:minHeight=720"

_PLAIN = re.compile(r"[a-zA-Z0-9_-]*")
"""What stands in a query as it is."""

DESK = "Chrome"
"""A user agent that is `on_a_desk`."""

MAX_ARGUMENT_CHARS = 2048
"""A longer URL argument is ignored."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where this daemon answers, as the asking client sees it, and what links may ask for."""

    base: str
    """``https://host:port``, and the path prefix if there is one, without a trailing slash."""
    wss_url: str
    wss_post_url: str
    ice_url: str
    """URL of the ICE credentials, or empty when there are none."""
    header_message: str | None = None
    bypass_join_confirmation: bool = False
    allowed_ice: tuple[str, ...] = ()
    own_ice: bool = True
    """Whether `ice_url` is this daemon's, which may be told who asks: another one need not know our clients."""
    prefix: str = ""
    """The path below which the site is; empty for the root."""


class Seat(NamedTuple):
    """What a client that has joined is told of its place."""

    client_id: str
    is_initiator: bool
    messages: tuple[str, ...]


def arguments(pairs: Mapping[bytes, list[bytes]]) -> dict[str, str]:
    """The first value of each URL argument, as text; what is no UTF-8 or too long is left out."""
    found = {}
    for name, values in pairs.items():
        try:
            key, value = name.decode(), values[0].decode()
        except UnicodeDecodeError:
            continue
        if len(key) + len(value) <= MAX_ARGUMENT_CHARS:
            found[key] = value
    return found


def parameters(
    args: Mapping[str, str], site: Site, user_agent: str = "", room: str | None = None, seat: Seat | None = None
) -> dict[str, Any]:
    """The ``params`` of the protocol; with ``room`` also its link, with ``seat`` also who the client is."""
    warnings: list[str] = []
    loopback = args.get("debug") == "loopback"
    described = _usual(on_a_desk(user_agent)) if not args else _described(args, user_agent, warnings)
    if args.get("wshpp"):
        warnings.append('A link cannot choose a signalling server ("wshpp") here; the own one is used.')
    found: dict[str, Any] = {
        "error_messages": [],
        "warning_messages": warnings,
        "is_loopback": _text(loopback),
        "pc_config": described[0],
        "pc_constraints": described[1],
        "offer_options": "{}",
        "media_constraints": described[2],
        "ice_server_url": _ice_url(args, site, warnings, room, seat),
        "ice_server_transports": args.get("tt", ""),
        "include_loopback_js": "",
        "wss_url": site.wss_url,
        "wss_post_url": site.wss_post_url,
        "bypass_join_confirmation": _text(site.bypass_join_confirmation),
        "version_info": "null",
        "header_message": site.header_message,
    }
    if room is not None:
        found["room_id"] = room
        found["room_link"] = room_link(site.base, room, args)
    if seat is not None:
        found["client_id"] = seat.client_id
        found["is_initiator"] = _text(seat.is_initiator)
        found["messages"] = list(seat.messages)
    return found


class Usual:
    """The answer to an app, or to a page that is told no more, that has joined by a link without arguments, as nearly all
    do: JSON as `parameters` has it, of which only what differs between two is made for each."""

    __slots__ = ("_after", "_before", "_ice")

    def __init__(self, site: Site, user_agent: str) -> None:
        text = json.dumps({"result": "SUCCESS", "params": parameters({}, site, user_agent)})
        self._before, mark, rest = text.partition('", "ice_server_transports"')  # no text in it has such a mark in it
        self._ice = f"{'&' if '?' in site.ice_url else '?'}room=" if site.ice_url and site.own_ice else ""
        link = json.dumps(f"{site.base}/r/")[:-1]
        self._after = mark + rest.removesuffix("}}") + ', "room_id": "', f'", "room_link": {link}'

    def joined(self, room: str, seat: Seat) -> bytes:
        """The answer. The names hold letters, digits, dashes and underscores alone."""
        client, (after, link) = seat.client_id, self._after
        ice = f"{self._ice}{room}&client={client}" if self._ice else ""
        messages = json.dumps(seat.messages) if seat.messages else "[]"
        return (f'{self._before}{ice}{after}{room}{link}{room}", "client_id": "{client}", '
                f'"is_initiator": "{_text(seat.is_initiator)}", "messages": {messages}}}}}').encode()


def on_a_desk(user_agent: str) -> bool:
    """Whether it is said to be Chrome, and not on a phone."""
    return "Chrome" in user_agent and "Android" not in user_agent


def _described(args: Mapping[str, str], user_agent: str, warnings: list[str]) -> tuple[str, str, str]:
    """The configuration of the connection, its constraints, and those of the media, as JSON."""
    pc_config: dict[str, Any] = {"iceServers": [], "bundlePolicy": "max-bundle", "rtcpMuxPolicy": "require"}
    if args.get("it"):
        pc_config["iceTransports"] = args["it"]
    loopback = args.get("debug") == "loopback"
    return (json.dumps(pc_config), json.dumps(_pc_constraints(args, loopback)),
            json.dumps(_media_constraints(args, user_agent, warnings)))


@functools.lru_cache(2)
def _usual(desk: bool) -> tuple[str, str, str]:
    """The same for a link without arguments, which nearly all are."""
    return _described({}, DESK if desk else "", [])


def page(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the script of the page: other names, and objects in place of JSON in strings."""
    made = {
        "errorMessages": found["error_messages"],
        "warningMessages": found["warning_messages"],
        "isLoopback": found["is_loopback"] == "true",
        "bypassJoinConfirmation": found["bypass_join_confirmation"] == "true",
        "mediaConstraints": json.loads(found["media_constraints"]),
        "offerOptions": json.loads(found["offer_options"]),
        "peerConnectionConfig": json.loads(found["pc_config"]),
        "peerConnectionConstraints": json.loads(found["pc_constraints"]),
        "versionInfo": json.loads(found["version_info"]),
        "iceServerRequestUrl": found["ice_server_url"],
        "iceServerTransports": found["ice_server_transports"],
        "wssUrl": found["wss_url"],
        "wssPostUrl": found["wss_post_url"],
        "headerMessage": found["header_message"],
    }
    if "room_id" in found:
        made["roomId"] = found["room_id"]
        made["roomLink"] = found["room_link"]
    return made


def room_link(base: str, room: str, args: Mapping[str, str]) -> str:
    """The link to a room, with every argument that came but an invitation: that is for who has it."""
    kept = {name: value for name, value in args.items() if name != "invitation"} if args else args
    return f"{base}/r/{quote(room)}" + (f"?{urlencode(kept)}" if kept else "")


def track(text: str) -> bool | dict[str, Any]:
    """What an ``audio`` or ``video`` argument asks of the medium: on, off, or constraints."""
    if text.lower() in ("", "true"):
        return True
    if text.lower() == "false":
        return False
    mandatory: dict[str, str] = {}
    optional: list[dict[str, str]] = []
    for item in text.split(","):
        kind, colon, rest = item.partition(":")
        if not colon:
            kind, rest = "", item
        key, equals, value = rest.partition("=")
        if not equals or not key or kind not in ("", "mandatory", "optional"):
            continue
        if kind == "optional" or (not kind and key.startswith("goog")):
            optional.append({key: value})
        else:
            mandatory[key] = value
    return {"mandatory": mandatory, "optional": optional}


def _media_constraints(args: Mapping[str, str], user_agent: str, warnings: list[str]) -> dict[str, Any]:
    video, high = args.get("video", ""), args.get("hd", "").lower()
    if "minre" in args or "maxre" in args:
        warnings.append('The "minre" and "maxre" parameters are no longer supported. Use "video" instead.')
    if high and video:
        warnings.append('The "hd" parameter has overridden "video".')
    if high == "true":
        video = HD
    elif not high and not video and on_a_desk(user_agent):
        video = HD_DEFAULT
    elif high:
        video = ""
    constraints: dict[str, Any] = {"audio": track(args.get("audio", "")), "video": track(video)}
    if "firefox_fake_device" in args:
        constraints["fake"] = True
    return constraints


def _pc_constraints(args: Mapping[str, str], loopback: bool) -> dict[str, Any]:
    optional = []
    for argument, constraint in (("dtls", "DtlsSrtpKeyAgreement"), ("dscp", "googDscp"), ("ipv6", "googIPv6")):
        value = "false" if loopback and argument == "dtls" else args.get(argument, "").lower()
        if value in ("true", "false"):
            optional.append({constraint: value == "true"})
    return {"optional": optional}


def _ice_url(args: Mapping[str, str], site: Site, warnings: list[str], room: str | None, seat: Seat | None) -> str:
    base, own = site.ice_url, site.own_ice
    if "ts" in args:
        if not args["ts"]:
            return ""
        if args["ts"].rstrip("/") in site.allowed_ice:
            base, own = f"{args['ts'].rstrip('/')}/v1alpha/iceconfig", False
        else:
            warnings.append('The ICE server provider of the link ("ts") is not allowed here; the own one is used.')
    if not args and base and own and room is not None and seat is not None and _PLAIN.fullmatch(room + seat.client_id):
        return f"{base}{'&' if '?' in base else '?'}room={room}&client={seat.client_id}"  # as nearly all have it
    more = {"key": args["apikey"]} if args.get("apikey") else {}
    if own and room is not None and seat is not None:
        more |= {"room": room, "client": seat.client_id}
    return f"{base}{'&' if '?' in base else '?'}{urlencode(more)}" if base and more else base


def _text(value: bool) -> str:
    return "true" if value else "false"
