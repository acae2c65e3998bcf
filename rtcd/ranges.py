"""`Range`: addresses that the operator names, as one address, a network, or from first to last. Rules only."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

MAX_RANGES = 1000
"""Entries of one list."""

Host = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses from `first` to `last`, both included, of one family."""

    first: Host
    last: Host

    def __contains__(self, host: Host) -> bool:
        return host.version == self.first.version and int(self.first) <= int(host) <= int(self.last)


def parse_range(text: str) -> Range:
    """``address``, ``address/bits`` or ``first-last``. Raises ValueError with a sentence for the operator."""
    first, dash, last = (one.strip() for one in text.partition("-"))
    try:
        if dash:
            found = Range(ipaddress.ip_address(first), ipaddress.ip_address(last))
        else:
            network = ipaddress.ip_network(first)
            found = Range(network[0], network[-1])
    except ValueError as error:
        raise ValueError(f"{text!r} is no address, network or first-last range ({error})") from None
    if found.first.version != found.last.version or int(found.first) > int(found.last):
        raise ValueError(f"{text!r} does not run upwards within one family; put the lower address first")
    return found


def parse_ranges(lines: Iterable[str]) -> tuple[Range, ...]:
    """One range a line. Raises ValueError."""
    found = tuple(map(parse_range, lines))
    if len(found) > MAX_RANGES:
        raise ValueError(f"more than {MAX_RANGES} ranges; join some of them")
    return found


def within(host: str, ranges: Iterable[Range]) -> bool:
    """Whether a host is in one of these ranges; IPv4 in IPv6's clothes is IPv4, and what is no address is in none."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in one for one in ranges)
