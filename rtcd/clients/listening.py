"""Where the server listens: the lines of ``[turn] listen`` parsed, and turned into a plan of one socket a line.

Never a wildcard socket: on a machine with several addresses a UDP answer could leave from another one than was asked.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rtcd.allocations.allocation import Transport

FIRST_DESCRIPTOR = 3
"""systemd hands descriptors over from this number on (sd_listen_fds(3))."""

_WILDCARDS = {"0.0.0.0": 4, "::": 6}


@dataclass(frozen=True, slots=True)
class Place:
    """What one line names: an address, all of a family (``0.0.0.0``, ``::``), or inherited sockets by name."""

    host: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One socket to open."""

    transport: Transport
    host: str
    port: int
    named: bool
    """Whether the operator has named this very address, so that it has to be there."""


def parse_place(text: str) -> Place:
    """``192.0.2.1``, ``2001:db8::1`` or ``systemd:name=turn``. Raises ValueError with a sentence."""
    name = text.removeprefix("systemd:name=")
    if name not in ("", text):
        return Place(name=name)
    try:
        return Place(str(ipaddress.ip_address(text)))
    except ValueError:
        raise ValueError(f"{text!r} is no address; write one such as 192.0.2.1 or 2001:db8::1 without port or brackets"
                         " (the keys port and tls-port are for that), or systemd:name=turn") from None


def plan(places: Iterable[Place], own: Iterable[str], ports: Mapping[Transport, int]) -> list[Line]:
    """The sockets to open, those of a transport together in the order of ``ports``; inherited ones are not among them.

    ``own``: the addresses of this machine, link-local ones left out. No place at all stands for every address.
    """
    places, hosts = list(places), dict[str, bool]()
    for place in places or [Place(one) for one in _WILDCARDS]:
        version = _WILDCARDS.get(place.host)
        if version is not None:
            for host in own:
                if ipaddress.ip_address(host).version == version:
                    hosts.setdefault(host, False)
        elif place.host:
            hosts[place.host] = True
    return [Line(transport, host, port, named) for transport, port in ports.items() for host, named in hosts.items()]


def inherited(name: str, environment: Mapping[str, str]) -> list[int]:
    """The descriptors that systemd handed over under this name (FileDescriptorName=), perhaps none."""
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    return [FIRST_DESCRIPTOR + index for index, one in enumerate(names) if one == name]
