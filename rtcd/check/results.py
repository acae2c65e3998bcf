"""`Results`: the last checks, by number, for those who look after the daemon. Rules only."""

from __future__ import annotations

import ipaddress
import itertools
from collections import OrderedDict
from dataclasses import dataclass

from rtcd.check.verdict import Verdict, arrived

RECENT_S = 900.0
"""So long what arrived from another network tells that the server's firewall is open."""

_INSIDE = tuple(map(ipaddress.ip_network, (
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7",
    "fe80::/10")))
"""Who comes from there may have passed no router and no security group of a cloud."""


@dataclass(frozen=True, slots=True)
class Result:
    """A check that has come to an end."""

    number: int
    """What it is known by; no other check of this process has, had or will have it."""
    at: float
    """Unix seconds of its report."""
    network: str
    """See `rtcd.bucket.masked`."""
    system: str
    """What the device says that it is: android, ios, windows, macos, linux, or nothing."""
    verdict: Verdict


class Results:
    """The last ``size`` of them."""

    def __init__(self, size: int) -> None:
        self._kept: OrderedDict[int, Result] = OrderedDict()
        self._numbers = itertools.count(1)
        self.size = size

    def __len__(self) -> int:
        return len(self._kept)

    def number(self) -> int:
        """For the next check."""
        return next(self._numbers)

    def keep(self, result: Result) -> None:
        """One more, or another one in place of that of the same number."""
        self._kept[result.number] = result
        self.resize(self.size)

    def resize(self, size: int) -> None:
        """Keep so many from now on; the oldest go."""
        self.size = size
        while len(self._kept) > size:
            self._kept.popitem(last=False)

    def behind(self, number: int, limit: int) -> list[Result]:
        """Those with a greater number, by number."""
        found = sorted(one for one in self._kept if one > number)
        return [self._kept[one] for one in found[:limit]]

    def open_elsewhere(self, network: str, now: float) -> frozenset[str]:
        """The paths by which something arrived of late from another public network of the same IP version."""
        return frozenset().union(*(
            arrived(one.verdict) for one in self._kept.values()
            if one.network != network and now - one.at < RECENT_S and _as_public(one.network, network)))


def _as_public(network: str, other: str) -> bool:
    """Whether who comes from ``network`` has passed all that stands before the server, as who comes from ``other``."""
    if not (network and other):
        return False
    found, asked = ipaddress.ip_network(network), ipaddress.ip_network(other)
    return found.version == asked.version and not any(
        one.version == found.version and found.overlaps(one) for one in _INSIDE)
