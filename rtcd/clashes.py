"""Stream listeners of the ini that want one port at one address: the second of them would stop the start.

Only what is certain is told: addresses of this machine are not known here, nor what is inherited.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rtcd.endpoints import listening, place_of
from rtcd.fault import ConfigError
from rtcd.served import opens_web

ANY = ("", "0.0.0.0", "::")  # named to be compared
"""Hosts that stand for all addresses; an empty one is of both families."""


@dataclass(frozen=True, slots=True)
class _Listener:
    section: str
    key: str
    host: str
    port: int


def port_faults(settings: Mapping[str, Any], present: Collection[str]) -> list[ConfigError]:
    """The listeners that come too late. ``settings``, ``present``: as for `rtcd.together.lacking`."""
    opened: list[_Listener] = []
    faults: list[ConfigError] = []
    for one in _listeners(settings, present):
        other = next((each for each in opened if _clash(each, one)), None)
        if other is None:
            opened.append(one)
        elif not any(one.section == fault.section and one.key == fault.key for fault in faults):
            faults.append(ConfigError(one.section, one.key, f"{one.port} is a port of [{other.section}] {other.key} already;"
                                      " choose another"))
    return faults


def _listeners(settings: Mapping[str, Any], present: Collection[str]) -> Iterator[_Listener]:
    """In the order in which they are opened."""
    web = opens_web(settings, present)
    for section, key, text in listening(settings):
        place = place_of(text)
        if place is not None and place.port and (web or section != "doorway"):
            yield _Listener(section, key, *place)
    turn = settings.get("turn")
    if turn is None:
        return
    ports = turn.ports()
    for transport, key in (("tcp", "port"), ("tls", "tls-port")):
        for host in [one.host for one in turn.places() if one.host] or ([] if turn.listen else [""]):
            if ports.get(transport):
                yield _Listener("turn", key, host, ports[transport])


def _clash(one: _Listener, other: _Listener) -> bool:
    """Whether both cannot be open. A wildcard of ``[turn]`` stands for what it does not name beside."""
    same = one.section == other.section == "turn"
    return one.port == other.port and not same and _meet(one.host, other.host)


def _meet(one: str, other: str) -> bool:
    """Whether one address at least is of both."""
    if one == other:
        return True
    if one not in ANY and other not in ANY:
        return False
    wide, narrow = (one, other) if one in ANY else (other, one)
    return wide == "" or narrow == "" or (":" in wide) == (":" in narrow)
