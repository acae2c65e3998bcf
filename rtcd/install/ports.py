"""Which ports a configuration opens, told before any is open."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rtcd.doorway.directory import Directory, Listener
from rtcd.doorway.settings import DoorwaySettings
from rtcd.endpoints import place_of
from rtcd.turn.settings import Settings as TurnSettings

_HANDED = re.compile(r"systemd:.*\bname=(\w+)", re.ASCII)
_STREAM = re.compile(r"^ListenStream=(?:\S*:)?([0-9]{1,5})$", re.M | re.ASCII)


def planned(
    doorway: DoorwaySettings, turn: TurnSettings | None, units: Mapping[str, str], *, web: bool
) -> Directory:
    """What would be open by these settings, no relay if ``turn`` is None. ``units``: where inherited sockets are opened;
    ``web``: whether the web listeners are (`rtcd.served.opens_web`)."""
    directory = Directory()
    tls: list[int] = []
    for key, transport in (("https", "tls"), ("http", "tcp")) if web else ():
        for text in getattr(doorway, key):
            for host, port in _opened(text, units):
                directory.opened(Listener("web", transport, host, port))
                tls += [port] if key == "https" else []
    if turn is None:
        return directory
    own = turn.ports()
    for host in [one.host for one in turn.places() if one.host] or [""]:
        opened = [*own.items(), *(("udp", port) for port in tls if turn.web_port and "udp" in own)]
        for transport, port in opened:
            if port:
                directory.opened(Listener("turn", transport, host, port))
        if not turn.stun_only and turn.udp_relay:
            directory.opened(Listener("turn", "udp", host, turn.min_port, turn.max_port))
    return directory


def _opened(text: str, units: Mapping[str, str]) -> list[tuple[str, int]]:
    """Host and port of an endpoint as far as it tells them."""
    if handed := _HANDED.search(text):
        named = [one for one in units.values() if f"FileDescriptorName={handed[1]}\n" in one]
        return [("", int(port)) for one in named for port in _STREAM.findall(one)]
    place = place_of(text)
    return [place] if place is not None else []
