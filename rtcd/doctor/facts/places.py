"""Where the daemon listens, as its ini says, and where that names no number, as systemd's units and its process say."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

from rtcd.clients.listening import plan
from rtcd.doctor.checks.ports import WILDCARDS, Wanted, endpoints
from rtcd.doctor.facts import units
from rtcd.doctor.facts.configuration import Configuration
from rtcd.doctor.facts.handshake import shown_chain
from rtcd.doctor.facts.process import Process
from rtcd.doctor.facts.sockets import Socket, of_process
from rtcd.endpoints import listening
from rtcd.front.origin import unmapped
from rtcd.ranges import parse_ranges, within
from rtcd.tls.names import is_address

TIMEOUT_S = 2.0
"""Of one question whether a listener speaks TLS."""
PROXY = b"PROXY UNKNOWN\r\n"
"""The header of a proxy that speaks for nobody else (version 1, section 2.1)."""
_NAME = re.compile(r"systemd:.*\bname=([^:]+)")


class Places(NamedTuple):
    """What is known of it."""

    wanted: list[Wanted]
    unknown: list[str]
    """Keys of listeners of which it is not known where they are."""


def find(read: Configuration, own: Sequence[str], running: Process | None, *, web: bool) -> Places:
    """``own``: addresses of this machine; ``web``: whether the listeners of the doorway are opened."""
    doorway, turn = read.settings["doorway"], read.settings.get("turn")
    found: list[Wanted] = []
    pending: list[str] = []
    for _, key, text in listening({"doorway": doorway} if web else {}):
        placed = _endpoint(f"[doorway] {key}", text)
        found += placed
        if not placed and not text.startswith("unix:"):
            pending.append(f"[doorway] {key}")
    https = [one for one in found if one.key == "[doorway] https"]
    if turn is not None:
        keys = {"udp": "port", "tcp": "port", "tls": "tls-port", "dtls": "tls-port"}
        for line in plan(turn.places(), own, {kind: port for kind, port in turn.ports().items() if port}):
            protocol = "udp" if line.transport in ("udp", "dtls") else "tcp"
            found.append(Wanted(f"[turn] {keys[line.transport]}", protocol, line.host, line.port))
        for name in [one.name for one in turn.places() if one.name]:
            placed = _of_turn(name, turn)
            found += placed
            pending += [] if placed else ["[turn] listen"]
        if turn.places() == [] or any(one.host for one in turn.places()):
            pending += [f"[turn] {keys[kind]}" for kind, port in turn.ports().items() if not port]
    pending = list(dict.fromkeys(pending))
    if pending and running is not None:
        more = _left_over(running, found, pending, turn, doorway)
        found += more
        https += [one for one in more if one.key == "[doorway] https"]
        pending = [one for one in pending if one not in {wanted.key for wanted in more}]
    if turn is not None and turn.udp and turn.web_port:
        for one in https:
            found += [Wanted("[turn] web-port", "udp", line.host, line.port)
                      for line in plan(turn.places(), own, {"udp": one.port}) if one.host in (line.host, *WILDCARDS)]
    return Places(list(dict.fromkeys(found)), pending)


def _endpoint(key: str, text: str) -> list[Wanted]:
    """Where one string says, a name of an interface resolved; nothing if it does not say."""
    name = _NAME.fullmatch(text) or _NAME.match(text)
    if name is not None:
        return [Wanted(key, one.protocol, one.host, one.port, handed=True) for one in units.handed()
                if one.name == name[1] and one.protocol == "tcp"]
    found = []
    for one in endpoints(key, [text]):
        with contextlib.suppress(OSError, UnicodeError):
            host = one.host if is_address(one.host) else socket.gethostbyname(one.host)
            found.append(one._replace(host=host))
    return found


def _of_turn(name: str, turn: Any) -> list[Wanted]:
    return [Wanted(f"[turn] {'tls-port' if one.port == turn.tls_port else 'port'}", one.protocol, one.host, one.port,
                   handed=True) for one in units.handed() if one.name == name]


def _left_over(
    running: Process, found: Sequence[Wanted], pending: Sequence[str], turn: Any, doorway: Any
) -> list[Wanted]:
    """The sockets of the process that no key names by a number, as far as it can be told whose they are: by the protocol,
    and by whether they speak TLS."""
    known = {(one.protocol, one.port) for one in found}
    left = [one for one in of_process(running) if (one.protocol, one.port) not in known]
    stream, datagram = ([one for one in left if one.protocol == kind] for kind in ("tcp", "udp"))
    more: list[Wanted] = []
    secure = [one for one in pending if one == "[doorway] https" or (one == "[turn] tls-port" and turn.tls)]
    plain = [one for one in pending if one in ("[doorway] http", "[doorway] plain") or (one == "[turn] port" and turn.tcp)]
    section = doorway if "[doorway] https" in secure else turn
    encrypted = [one for one in stream if _speaks_tls(one, section)] if secure else []
    others = [one for one in stream if one not in encrypted]  # perhaps of other services
    if len(secure) == 1:
        more += [Wanted(secure[0], "tcp", one.host, one.port) for one in encrypted]
    if len(plain) == len(others) == 1:
        more.append(Wanted(plain[0], "tcp", others[0].host, others[0].port))
    web = {one.port for one in more}
    kinds = [f"[turn] {key}" for key, on in (("port", turn.udp), ("tls-port", turn.dtls)) if on] if turn is not None else []
    kinds = [one for one in kinds if one in pending]
    for one in datagram:
        if len(kinds) == 1 and one.port not in web and not turn.min_port <= one.port <= turn.max_port:
            more.append(Wanted(kinds[0], "udp", one.host, one.port))
    return more


def _speaks_tls(one: Socket, section: Any) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(one.host, one.host)
    try:
        with socket.create_connection((host, one.port), TIMEOUT_S) as connected:
            if within(unmapped(host), parse_ranges(section.proxy_from)):
                connected.sendall(PROXY)
            shown_chain(connected, "", TIMEOUT_S)
    except (OSError, ValueError):
        return False
    return True
