"""IPv6 addresses that a NAT64 turns into IPv4 ones: prefixes as operators write them, and the address inside.

Where in an address the 32 bits stand is told by the length of the prefix; bits 64 to 71 are never used.
Source: RFC 6052 §2.2.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

LENGTHS = (32, 40, 48, 56, 64, 96)
"""All that there are."""
MAX_PREFIXES = 16
"""A network has one, and another one while it is renumbered."""

Prefix = ipaddress.IPv6Network

_UNUSED = 0xFF << 56
"""Bits 64 to 71, which have to be zero."""


def embedded(address: ipaddress.IPv6Address, prefix: Prefix) -> ipaddress.IPv4Address:
    """The IPv4 address inside an address that has this prefix."""
    bits = int(address)
    if prefix.prefixlen == 96:
        return ipaddress.IPv4Address(bits & 0xFFFFFFFF)
    joined = bits >> 64 << 56 | bits & (1 << 56) - 1  # 120 bits, those not used left out
    return ipaddress.IPv4Address(joined >> 88 - prefix.prefixlen & 0xFFFFFFFF)


def parse_prefix(text: str) -> Prefix:
    """``prefix/length``. Raises ValueError with a sentence for the operator."""
    try:
        prefix = ipaddress.IPv6Network(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no IPv6 prefix ({error})") from None
    if prefix.prefixlen not in LENGTHS:
        raise ValueError(f"{text!r} has a length of {prefix.prefixlen}; a NAT64 has one of {', '.join(map(str, LENGTHS))}")
    if int(prefix.network_address) & _UNUSED:
        raise ValueError(f"{text!r} is not zero in the bits 64 to 71, as every NAT64 prefix is; look it up again")
    return prefix


def parse_prefixes(lines: Iterable[str]) -> tuple[Prefix, ...]:
    """One prefix a line, longer ones first, which lie in shorter ones perhaps. Raises ValueError."""
    found = tuple(map(parse_prefix, lines))
    if len(found) > MAX_PREFIXES:
        raise ValueError(f"more than {MAX_PREFIXES} prefixes; leave those of your own network alone")
    return tuple(sorted(found, key=lambda prefix: -prefix.prefixlen))
