"""`Buckets`: how often a source may do something. One table of token buckets, fixed in size."""

from __future__ import annotations

import functools
import ipaddress
from collections import OrderedDict
from collections.abc import Hashable


class Buckets:
    """A token bucket for each source: ``burst`` at once, then ``rate`` a second; a rate of 0 allows everything.

    At most ``size`` sources are remembered. One more makes the least recently seen one forgotten, which can only
    err towards allowing. A clock that steps back gives nothing and takes nothing.
    """

    def __init__(self, rate: float, burst: float, size: int = 10000) -> None:
        self.rate = rate
        self.burst = max(burst, 1.0)
        self.size = size
        self._table: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def allow(self, source: Hashable, now: float) -> bool:
        """Take one token of ``source``; False when there is none."""
        if not self.rate:
            return True
        tokens, then = self._table.pop(source, (self.burst, now))
        tokens = min(self.burst, tokens + max(0.0, now - then) * self.rate)
        allowed = tokens >= 1
        self._table[source] = (tokens - 1 if allowed else tokens, now)
        if len(self._table) > self.size:
            self._table.popitem(last=False)
        return allowed

    def give_back(self, source: Hashable) -> None:
        """The token that ``source`` took last was for nothing that counts."""
        if source in self._table:
            tokens, then = self._table[source]
            self._table[source] = (min(self.burst, tokens + 1), then)


CACHED_HOSTS = 4096
"""Hosts whose network is remembered: one is asked for several times in each request."""


@functools.lru_cache(CACHED_HOSTS)
def network(host: str) -> str:
    """The network that one person can be expected to own: the IPv4 address itself, or the IPv6 /56."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address) >> 72 << 72, 56)).network_address)
    return str(address)


@functools.lru_cache(CACHED_HOSTS)
def masked(host: str) -> str:
    """What is kept of an address where it is recorded: the network, as ``192.0.2.0/24`` or ``2001:db8::/48``; nothing of
    what is no address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))
