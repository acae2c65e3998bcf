"""`Network`: by which interface a datagram leaves this machine, and word of it when that may have changed."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rtcd.kernel import records, rtnetlink
from rtcd.kernel.rtnetlink import Link

MAX_PATHS = 16384
"""Pairs of hosts whose path is remembered; one more, and all are asked for anew."""
ANSWER_BYTES = 1 << 17
NOTICES = 64
"""Messages that are read at a time."""
MIN_IPV6_MTU = 1280
"""Every way carries IPv6 packets of this size (RFC 8200 §5). Longer ones may have to be fragmented by whoever sends them,
which sockets know how to do."""
MAX_IP_BYTES = 0xFFFF
_KINDS = (rtnetlink.ETHERNET, rtnetlink.LOOPBACK)


_PASSING = (errno.EAGAIN, errno.EINTR, errno.ENOBUFS, errno.ENOMEM)
"""Why there is no answer now, but may be one the next time."""


class Path(NamedTuple):
    """Where packets between two hosts go from here."""

    interface: int
    """0 if none of those that the program can send by."""
    room: int
    """Bytes of the longest IP packet."""
    local: bool
    """Whether it is this machine."""


NOWHERE = Path(0, 0, False)


class Network:
    """Asks the kernel."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._asking = _netlink(0)
        try:
            self.news = _netlink(rtnetlink.GROUPS)
        except BaseException:
            self._asking.close()
            raise
        self._asked = 0
        self._paths: dict[tuple[str, str], Path] = {}
        self.links: dict[int, Link] = {}
        """Interfaces by index ..."""
        self.hosts: dict[str, set[int]] = {}
        """... and on which of them each of our addresses is, link-local ones left out: nobody is relayed there."""

    @property
    def usable(self) -> frozenset[int]:
        """Interfaces with an address, of kinds that the program runs at."""
        return frozenset(one for one in self._addressed() if one in self.links and self.links[one].kind in _KINDS)

    @property
    def others(self) -> frozenset[int]:
        """Interfaces with an address, of other kinds."""
        return self._addressed() - self.usable

    def names(self, interfaces: Iterable[int]) -> str:
        """Of interfaces, for people."""
        return ", ".join(self.links[one].name for one in sorted(interfaces) if one in self.links)

    def look(self) -> None:
        """Find out anew. Raises OSError; nothing is known then."""
        self._paths.clear()
        self.links, self.hosts = {}, {}
        found = [link for part in self._dump(rtnetlink.ask_links) for link in rtnetlink.links(part)]
        hosts: dict[str, set[int]] = {}
        for part in self._dump(rtnetlink.ask_addresses):
            for index, host in rtnetlink.addresses(part):
                if not ipaddress.ip_address(host).is_link_local:
                    hosts.setdefault(host, set()).add(index)
        self.links, self.hosts = {one.index: one for one in found}, hosts

    def changed(self) -> bool:
        """Read what there is of `news`; whether there was any."""
        for count in range(NOTICES):
            try:
                self.news.recv(ANSWER_BYTES)
            except BlockingIOError:
                return count > 0
            except OSError:
                return True
        return True

    def path(self, source: str, destination: str) -> Path:
        """From an address of ours to another host of the same family; `NOWHERE` if it is not ours (any more)."""
        known = self._paths.get((source, destination))
        if known is None:
            try:
                known = self._find(source, destination)
            except OSError as error:
                known = NOWHERE
                if error.errno in _PASSING:
                    return known
            if len(self._paths) >= MAX_PATHS:
                self._paths.clear()
            self._paths[source, destination] = known
        return known

    def is_ours(self, host: str) -> bool:
        """Whether packets for it are for this machine."""
        return host in self.hosts or ipaddress.ip_address(host).is_loopback

    def close(self) -> None:
        """Ask no more."""
        self._asking.close()
        self.news.close()

    def _addressed(self) -> frozenset[int]:
        return frozenset().union(*self.hosts.values())

    def _find(self, source: str, destination: str) -> Path:
        try:
            route = rtnetlink.route(self._ask(rtnetlink.ask_route(source, destination, self._next())))
        except (ValueError, struct.error):
            return NOWHERE
        if route is None or not self.is_ours(source):
            return NOWHERE
        if route.kind == rtnetlink.LOCAL:
            return Path(records.LOOPBACK, MAX_IP_BYTES, True)
        link = self.links.get(route.interface)
        if link is None or link.kind != rtnetlink.ETHERNET or route.kind != rtnetlink.UNICAST:
            return NOWHERE
        room = min(link.mtu, route.mtu or link.mtu, MAX_IP_BYTES)
        return Path(link.index, min(room, MIN_IPV6_MTU) if ":" in destination else room, False)

    def _next(self) -> int:
        self._asked = self._asked % 0x7FFFFFFF + 1
        return self._asked

    def _ask(self, question: bytes) -> bytes:
        self._asking.send(question)
        return self._answer()

    def _answer(self) -> bytes:
        """The next part of the answer to the last question; what is left of earlier ones goes unread."""
        while True:
            data = self._asking.recv(ANSWER_BYTES)
            if rtnetlink.number_of(data) == self._asked:
                return data

    def _dump(self, question: Callable[[int], bytes]) -> list[bytes]:
        parts = [self._ask(question(self._next()))]
        while not rtnetlink.complete(parts[-1]):
            parts.append(self._answer())
        return parts


def _netlink(groups: int) -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    try:
        sock.bind((0, groups))
    except BaseException:
        sock.close()
        raise
    return sock
