"""In which region a client is, by its address: networks that the operator lists, and what countries and continents are
taken for. Rules only; the files are read by rtcd.ice.places.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

MAX_NETWORKS = 5000
"""Lines of the list. A reload reads it while nothing else goes on: so many take a tenth of a second at most. For the
whole internet there are databases."""

MAPPED_BITS = 96
"""Of the prefix ::ffff:0:0/96, RFC 4291 §2.5.5.2."""

_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_CODE = re.compile(r"(country|continent):([A-Z]{2})")


class Networks:
    """Which region a network is in; the narrowest network that holds an address counts."""

    def __init__(self) -> None:
        self._tables: dict[tuple[int, int], dict[int, str]] = {}
        """By version and length of the prefix."""
        self._lengths: dict[int, list[int]] = {4: [], 6: []}
        self._count = 0

    @property
    def regions(self) -> frozenset[str]:
        """All that are named."""
        return frozenset(one for table in self._tables.values() for one in table.values())

    def add(self, network: ipaddress.IPv4Network | ipaddress.IPv6Network, region: str) -> None:
        """One more. Raises ValueError for one too many, or for one that is in another region already."""
        key = network.version, network.prefixlen
        table = self._tables.setdefault(key, {})
        place = int(network.network_address) >> network.max_prefixlen - network.prefixlen
        if table.setdefault(place, region) != region:
            raise ValueError(f"{network} is in {table[place]} already; keep one of the two")
        self._count += 1
        if self._count > MAX_NETWORKS:
            raise ValueError(f"there are more than {MAX_NETWORKS} networks; join some of them, or use geoip")
        if network.prefixlen not in self._lengths[network.version]:
            self._lengths[network.version] = sorted([*self._lengths[network.version], network.prefixlen], reverse=True)

    def region(self, host: str) -> str:
        """Empty if no network holds it; IPv4 in IPv6's clothes is IPv4."""
        address = address_of(host)
        if address is None:
            return ""
        for length in self._lengths[address.version]:
            found = self._tables[address.version, length].get(int(address) >> address.max_prefixlen - length)
            if found is not None:
                return found
        return ""


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """A host's address, or None for what is none."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped if mapped is not None else address


def parse_networks(text: str) -> Networks:
    """A list with ``network region`` a line, and comments behind ``#``. Raises ValueError, which names the line."""
    found = Networks()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            if len(words) != 2:
                raise ValueError("write a network and its region, such as 192.0.2.0/24 eu")
            found.add(_network(words[0]), parse_region(words[1]))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return found


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """As `address_of` takes addresses: IPv4 in IPv6's clothes is IPv4."""
    network = ipaddress.ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < MAPPED_BITS:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - MAPPED_BITS))


def parse_codes(lines: Iterable[str]) -> Mapping[str, str]:
    """``country:DE eu`` and ``continent:NA us``, one a line, as code to region. Raises ValueError."""
    found: dict[str, str] = {}
    for line in lines:
        words = line.split()
        if len(words) != 2 or not _CODE.fullmatch(words[0]):
            raise ValueError(f"{line!r} is no code and region; write it like country:DE eu or continent:NA us")
        if found.setdefault(words[0], parse_region(words[1])) != words[1]:
            raise ValueError(f"{words[0]} is there twice; keep one of the two")
    return found


def region_of(record: object, codes: Mapping[str, str]) -> str:
    """The region of a record of a GeoIP2 or GeoLite2 database: by its country, else by its continent; empty if neither is
    known."""
    for kind, key in (("country", "iso_code"), ("continent", "code")):
        part = record.get(kind) if isinstance(record, dict) else None
        code = part.get(key) if isinstance(part, dict) else None
        found = codes.get(f"{kind}:{code}")
        if found is not None:
            return found
    return ""


def parse_region(text: str) -> str:
    """A region's name. Raises ValueError."""
    if not _REGION.fullmatch(text):
        raise ValueError(f"{text!r} is no region; take up to 32 small letters, digits and dashes")
    return text
