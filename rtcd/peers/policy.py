"""Which peers a client may reach through a relay, judged on the canonical address.

IPv6 addresses that carry an IPv4 address (mapped, compatible, 6to4, NAT64) are judged as that IPv4 address, and
refused in any case, since no honest client needs the detour. Own listeners are refused, whatever is allowed.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterable
from typing import Protocol

from rtcd.peers.nat64 import Prefix, embedded
from rtcd.ranges import Host, Range, parse_range
from rtcd.stun.attributes import Address

CACHED_PEERS = 4096
"""Hosts whose class is remembered."""

EVERY_PORT = range(0x10000)

_NEVER = "unspecified or broadcast"
_LOOPBACK = "loopback"
_MULTICAST = "multicast or reserved"
_PRIVATE = "private"
_CLASSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (_NEVER, ("0.0.0.0/8", "255.255.255.255/32", "::/128")),
    (_LOOPBACK, ("127.0.0.0/8", "::1/128")),
    (_MULTICAST, ("224.0.0.0/4", "240.0.0.0/4", "ff00::/8")),
    ("link-local", ("169.254.0.0/16", "fe80::/10", "fec0::/10", "fc00::/7")),
    (_PRIVATE, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")),
    ("special purpose", ("192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
                         "192.88.99.0/24", "2001::/32", "2001:2::/48", "2001:db8::/32", "100::/64", "3fff::/20")),
)
_ELSEWHERE = "special purpose"
"""The class of every IPv6 address that is in none of these and not in `_GLOBAL`."""
_GLOBAL = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given to unicast over the internet; what is not in it leads to nobody, or to our own network."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
"""RFC 8215; where in it the IPv4 address stands is for the operator to say, else it is taken to be the last 32 bits."""
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class Listening(Protocol):
    """An open socket of this daemon, or a range of ports if `last_port` is set."""

    @property
    def host(self) -> str:
        """Where it is bound; 0.0.0.0 or :: for every address."""

    @property
    def port(self) -> int:
        """Its port."""

    @property
    def last_port(self) -> int | None:
        """Of a range."""


def canonical(host: str, nat64: tuple[Prefix, ...] = ()) -> tuple[Host, bool]:
    """The address that is meant, and whether it was wrapped in an IPv6 one, perhaps for the NAT64 of a network with these
    prefixes, of which the first one counts. Raises ValueError."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None:
            inner = next((embedded(address, prefix) for prefix in nat64 if address in prefix), None)
        if inner is None and (address in _NAT64 or address in _LOCAL_NAT64 or (address in _COMPATIBLE and int(address) > 1)):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return inner, True
    return address, False


_TABLE = tuple((name, tuple(map(parse_range, ranges))) for name, ranges in _CLASSES)


def class_of(address: Host) -> str:
    """The class of special addresses it is in, or an empty text."""
    elsewhere = _ELSEWHERE if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL else ""
    return next((name for name, ranges in _TABLE if any(address in one for one in ranges)), elsewhere)


class PeerPolicy:
    """Judges peers: never those of no use to anyone, then what the operator listed, then by class."""

    def __init__(
        self,
        *,
        loopback: bool = False,
        multicast: bool = False,
        private: bool = False,
        allowed: tuple[Range, ...] = (),
        denied: tuple[Range, ...] = (),
        relay_hosts: Iterable[str] = (),
        relay_ports: range = range(0),
        nat64: tuple[Prefix, ...] = (),
        own_hosts: Iterable[str] = (),
        listeners: Callable[[], Iterable[Listening]] = tuple,
        version: Callable[[], int] | None = None,
    ) -> None:
        """``relay_hosts`` and ``relay_ports``: where our own relays are, which clients may reach. ``nat64``: the prefixes
        of our network's NAT64, longer ones first, behind which there is IPv4 as well. ``own_hosts``: every
        address of this machine, which a wildcard listener is on. ``listeners``: what is open right now.
        ``version()``: another number whenever that has changed; without it ``listeners`` is asked each time."""
        self._open = {name for name, is_open in (
            (_LOOPBACK, loopback), (_MULTICAST, multicast), (_PRIVATE, private)) if is_open}
        self._allowed, self._denied = allowed, denied
        self._relays = frozenset(canonical(host)[0] for host in relay_hosts)
        self._relay_ports = relay_ports
        self._nat64 = nat64
        self._own = frozenset(canonical(host)[0] for host in own_hosts)
        self._listeners = listeners
        self._version = version
        self._listening: dict[int, list[str]] = {}
        self._listening_version: int | None = None
        self._judged = functools.lru_cache(CACHED_PEERS)(self._judge)

    def refusal(
        self, peer: Address, *, any_port: bool = False, own_external: bool = False, stream: bool = False
    ) -> str:
        """Why this peer is refused, or an empty text.

        ``any_port`` is for permissions, where the port means nothing; one that names a listener's port is refused all
        the same. ``own_external``: the client named our external address and ``peer`` is the private one behind it.
        ``stream``: a TCP connection is to be opened. It would come from this machine, which its services may trust, and
        no firewall is in between: those at addresses of ours are refused unless the operator has listed them.
        """
        host, port = peer
        if not port and not any_port:
            return "port 0"
        address, reason, reason_of_relay = self._judged(host)
        if self._version is None or self._version() != self._listening_version:
            self._look()
        if port in self._listening and self._is_own(address, port):
            return "own listener"
        if reason and (any_port or port in self._relay_ports):
            return "" if own_external else reason_of_relay
        if stream and not (reason or any_port or port in self._relay_ports) and self._is_here(address):
            return "own machine"
        return reason

    def _judge(self, host: str) -> tuple[Host, str, str]:
        """The canonical address, why it is refused, and why it is refused at a port that relays use."""
        address, wrapped = canonical(host, self._nat64)
        name = class_of(address)
        if wrapped:
            return address, f"IPv4 inside IPv6, {name or 'ordinary'}", f"IPv4 inside IPv6, {name or 'ordinary'}"
        if name == _NEVER:
            return address, name, name
        if any(address in one for one in self._allowed):
            return address, "", ""
        if any(address in one for one in self._denied):
            return address, "denied", "denied"
        if not name or name in self._open:
            return address, "", ""
        return address, name, "" if address in self._relays else name

    def ports(self, host: str) -> range:
        """From which ports of a permitted host datagrams may come: relay ports alone where that is what made it a peer."""
        return self._relay_ports if self._judged(host)[1] else EVERY_PORT

    def _look(self) -> None:
        """Note where our listeners are, by port; every Send asks."""
        self._listening_version = self._version() if self._version is not None else None
        self._listening = {}
        for one in self._listeners():
            if one.last_port is None:
                self._listening.setdefault(one.port, []).append(one.host)

    def _is_own(self, address: Host, port: int) -> bool:
        return any(self._covers(host, address) for host in self._listening[port])

    def _is_here(self, address: Host) -> bool:
        """Whether it is one of this machine that the operator has not listed; loopback has a switch of its own."""
        return (address in self._own and class_of(address) != _LOOPBACK
                and not any(address in one for one in self._allowed))

    def _covers(self, listening: str, address: Host) -> bool:
        try:
            host = canonical(listening)[0]
        except ValueError:
            return False
        if int(host) == 0:
            return address in self._own or class_of(address) == _LOOPBACK
        return host == address
