"""Where UDP listens: the strings of ``[turn] listen`` parsed, and turned into one address a socket.

Never a wildcard socket: on a machine with several addresses its answers could leave from another one than was asked.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rtcd.stun.attributes import Address

FIRST_DESCRIPTOR = 3
"""systemd hands descriptors over from this number on (sd_listen_fds(3))."""

_COLON = re.compile(r"(?<!\\):")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What one string says: a port on one address, a wildcard, or (empty host) every address; or inherited sockets."""

    port: int = 0
    host: str = ""
    name: str = ""
    """Of inherited sockets; then the others mean nothing."""

    def addresses(self, own: Iterable[str]) -> list[Address]:
        """One address for each socket to open; ``own`` are those of this machine, link-local ones left out."""
        if self.host not in ("", "0.0.0.0", "::"):
            return [(self.host, self.port)]
        wanted = {"": (4, 6), "0.0.0.0": (4,), "::": (6,)}[self.host]
        return [(host, self.port) for host in dict.fromkeys(own) if ipaddress.ip_address(host).version in wanted]


def parse_endpoint(text: str) -> Endpoint:
    r"""``udp:3478``, ``udp:3478:interface=\:\:1`` or ``systemd:name=turn``. Raises ValueError with a sentence."""
    kind, *rest = (part.replace("\\:", ":") for part in _COLON.split(text))
    if kind == "systemd" and len(rest) == 1 and rest[0].startswith("name=") and rest[0] != "name=":
        return Endpoint(name=rest[0][5:])
    if kind != "udp" or not 1 <= len(rest) <= 2:
        raise ValueError(f"{text!r} is no UDP endpoint; write udp:3478, udp:3478:interface=192.0.2.1 or systemd:name=turn")
    port = rest[0].removeprefix("port=")
    if not (port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
        raise ValueError(f"{text!r} has no port number from 0 to 65535 behind udp:")
    if len(rest) == 1:
        return Endpoint(int(port))
    key, _, host = rest[1].partition("=")
    if key != "interface":
        raise ValueError(f"{text!r} has an unknown option {key}; there is interface=ADDRESS only")
    try:
        return Endpoint(int(port), str(ipaddress.ip_address(host)))
    except ValueError:
        raise ValueError(rf"{text!r} names no address; write interface=192.0.2.1, or \: for each : of IPv6") from None


def inherited(name: str, environment: Mapping[str, str]) -> list[int]:
    """The descriptors that systemd handed over under this name (FileDescriptorName=), perhaps none."""
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    return [FIRST_DESCRIPTOR + index for index, one in enumerate(names) if one == name]
