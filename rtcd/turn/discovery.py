"""NAT behaviour discovery: Binding answers that come from another address or port, or go to another port.

Off unless the operator asks for it: it needs two addresses of a family with the same two ports on each, and it makes
answers longer. Over streams there is one path only, so nothing of it is served there. Source: RFC 5780 §6, §7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from rtcd.allocations.allocation import FiveTuple
from rtcd.stun.attributes import (
    CHANGE_REQUEST,
    MAPPED_ADDRESS,
    OTHER_ADDRESS,
    PADDING,
    RESPONSE_ORIGIN,
    RESPONSE_PORT,
    XOR_MAPPED_ADDRESS,
    Address,
    family_of,
)
from rtcd.stun.message import HEADER_BYTES, Message

CHANGE_IP, CHANGE_PORT = 4, 2
"""The bits of CHANGE-REQUEST (RFC 5780 §7.2)."""
REQUIRED = frozenset((CHANGE_REQUEST.number, PADDING.number, RESPONSE_PORT.number))
"""The comprehension-required attributes that are understood where discovery is on."""
MAX_PADDED_BYTES = {1: 1472, 2: 1452}
"""A padded message fills an Ethernet frame, by family."""
MAX_TIMES = 3
"""But every answer is at most so many times as long as the request, whose sender may be forged: what does not fit into that
is left out, the last one first. That is MAPPED-ADDRESS for a bare request on IPv4, and on IPv6 RESPONSE-ORIGIN too."""
NEEDED = 2
"""The first two are always there, though to a bare request on IPv6 that makes 3.4 times: without OTHER-ADDRESS a client
cannot begin (RFC 5780 §6.1)."""
PADDING_HEAD_BYTES = 4
FINGERPRINT_BYTES = 8


class Reply(NamedTuple):
    """A Binding answer: on which path it goes, and its attributes."""

    five_tuple: FiveTuple
    attributes: list[bytes]


class Discovery:
    """Which sockets stand for one another, and what a Binding request gets from which of them."""

    def __init__(
        self, hosts: Iterable[str], ports: tuple[int, int], shown: Callable[[Address], Address] = lambda address: address
    ) -> None:
        """``hosts``: all that are listened on at both ``ports``; of each family the first two are used. ``shown``: how an
        address of ours looks from outside. Raises ValueError if no family has two, or the ports are one."""
        if ports[0] == ports[1]:
            raise ValueError("the two ports are the same")
        hosts = list(hosts)
        self._other_host: dict[str, str] = {}
        for family in (1, 2):
            first, second, *_ = [*(host for host in hosts if family_of(host) == family), "", ""]
            if second:
                self._other_host |= {first: second, second: first}
        if not self._other_host:
            raise ValueError("two addresses of one family are needed")
        self._other_port = {ports[0]: ports[1], ports[1]: ports[0]}
        self._shown = shown

    @property
    def hosts(self) -> list[str]:
        """Those that stand for one another."""
        return list(self._other_host)

    def serves(self, five_tuple: FiveTuple) -> bool:
        """Whether this socket is one of those that stand for one another."""
        host, port = five_tuple.server
        return five_tuple.transport == "udp" and host in self._other_host and port in self._other_port

    def concerns(self, message: Message, five_tuple: FiveTuple) -> bool:
        """Whether this Binding request is ours to answer: all on such a socket, and over streams those that ask for what
        a stream cannot do. A datagram socket that has no counterpart knows none of it (RFC 5780 §6.1)."""
        asks = CHANGE_REQUEST in message or PADDING in message or RESPONSE_PORT in message
        return self.serves(five_tuple) or (asks and five_tuple.transport != "udp")

    def reply(self, message: Message, five_tuple: FiveTuple, *, fingerprint: bool = False) -> Reply | None:
        """What a Binding request gets on a socket that `serves`; None for 400. Raises Malformed. ``fingerprint``: whether
        one is to be put behind."""
        change = message.get(CHANGE_REQUEST) or 0
        port, padding = message.get(RESPONSE_PORT), message.get(PADDING)
        if port is not None and (padding is not None or not port):
            return None
        transport, (client_host, client_port), (host, here) = five_tuple
        source = (self._other_host[host] if change & CHANGE_IP else host,
                  self._other_port[here] if change & CHANGE_PORT else here)
        other = (self._other_host[host], self._other_port[here])
        attributes = [
            XOR_MAPPED_ADDRESS.encode(five_tuple.client, message.transaction_id),
            OTHER_ADDRESS.encode(self._shown(other)),
            RESPONSE_ORIGIN.encode(self._shown(source)),
            MAPPED_ADDRESS.encode(five_tuple.client),
        ]
        foot = FINGERPRINT_BYTES if fingerprint else 0
        whole = MAX_TIMES * len(message.raw)
        while len(attributes) > NEEDED and _length(attributes) + foot > whole:
            attributes.pop()
        if padding is not None:
            most = min(whole, MAX_PADDED_BYTES[family_of(client_host)])
            room = most - _length(attributes) - foot - PADDING_HEAD_BYTES
            if room >= 0:
                attributes.append(PADDING.encode(bytes(room & ~3)))
        target = (client_host, client_port if port is None else port)
        return Reply(FiveTuple(transport, target, source), attributes)


def _length(attributes: list[bytes]) -> int:
    """Of the answer."""
    return HEADER_BYTES + sum(map(len, attributes))
