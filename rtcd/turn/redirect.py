"""Where clients are sent that are not served here: the list of other servers, and the step of Allocate that uses it.

A client goes to the other server by the transport that it has come by. Sources: RFC 8489 §10, RFC 8656 §7.2.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rtcd.stun.attributes import ALTERNATE_SERVER, Address, Family, family_of
from rtcd.turn.request import AllocateRequest, Error

if TYPE_CHECKING:
    from rtcd.turn.server import TurnServer

MAX_RECENT = 1024
"""Requests whose answer is remembered, so that one sent again gets the same."""
MAX_ALTERNATES = 256
"""Other servers in the list."""


def parse_alternate(text: str) -> Address:
    """``192.0.2.1:3478`` or ``[2001:db8::1]:3478``. Raises ValueError with a sentence for the operator."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        address = None
    if address is None or not colon or bracketed != (address.version == 6) or "%" in host:
        raise ValueError(f"{text!r} is no numeric address and port; write 192.0.2.1:3478 or [2001:db8::1]:3478")
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{text!r} is no address of a server")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 0xFFFF):
        raise ValueError(f"{text!r} has no port from 1 to 65535")
    return str(address), int(port)


def parse_alternates(lines: Iterable[str]) -> tuple[Address, ...]:
    """All of them. Raises ValueError."""
    found = tuple(map(parse_alternate, lines))
    if len(found) > MAX_ALTERNATES:
        raise ValueError(f"there are more than {MAX_ALTERNATES}; spread clients by DNS instead")
    if len(set(found)) < len(found):
        raise ValueError("one of them is there twice; keep one of the two")
    return found


class Alternates:
    """The other servers, given out in turn to clients of their family."""

    def __init__(self, servers: Iterable[Address] = (), *, always: bool = True) -> None:
        """``always``: clients are sent there from the beginning, not only while this server drains."""
        self.always = always
        self._servers: dict[Family, list[Address]] = {Family.IPV4: [], Family.IPV6: []}
        for one in servers:
            self._servers[family_of(one[0])].append(one)
        self._next = dict.fromkeys(Family, 0)
        self._recent: OrderedDict[object, Address] = OrderedDict()

    def refuse_own(self, own: Iterable[Address]) -> None:
        """Raises ValueError if one of them is one of these addresses, where a client would be sent in a circle."""
        for host, port in own:
            if (host, port) in self._servers[family_of(host)]:
                raise ValueError(f"{host} port {port} is this server itself; name others only")

    def choose(self, family: Family, request: object) -> Address | None:
        """The next server of this family, or None if there is none; for a ``request`` sent again the same as before."""
        servers = self._servers[family]
        if not servers:
            return None
        chosen = self._recent.get(request)
        if chosen is None:
            chosen = servers[self._next[family] % len(servers)]
            self._next[family] += 1
            self._recent[request] = chosen
            if len(self._recent) > MAX_RECENT:
                self._recent.popitem(last=False)
        return chosen


def client_stays(server: TurnServer, request: AllocateRequest) -> Error | None:
    """300 where another server is to serve the client, 403 where none can while this one drains."""
    if server.draining or server.alternates.always:
        five_tuple = request.five_tuple
        other = server.alternates.choose(family_of(five_tuple.client[0]), (five_tuple, request.message.transaction_id))
        if other is not None:
            return Error(300, (ALTERNATE_SERVER.encode(other),))
    return Error(403) if server.draining else None
