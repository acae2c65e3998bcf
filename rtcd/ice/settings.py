"""The ``[ice]`` and ``[credentials]`` sections."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rtcd.config import option
from rtcd.ice.nodes import Servers, parse_servers
from rtcd.ice.regions import parse_codes

MIN_SECRET_CHARS = 16
"""Shorter secrets come from tutorials."""
MIN_INTERVAL_S = 1.0
"""A node is not to be asked more often than that by each of its daemons."""

@dataclass(frozen=True, slots=True)
class Settings:
    """Hands out TURN credentials."""

    servers: tuple[str, ...] = option(
        (), "STUN and TURN URLs to hand out, one a line; unset: those of the [turn] of this daemon. URLs of one host are one"
        " node; behind a URL may stand region=NAME, weight=N and node=NAME. Clients get at most two nodes, near ones first.")
    probe_interval: float = option(
        3.0, "Seconds between two looks whether a node of servers serves; with 3 a dead one is known as dead within 10. 0:"
        " nobody looks, and all count as alive.", minimum=0, maximum=3600)
    regions: str = option(
        "", "A file that says which networks are near to the nodes of which region: a network and a region a line, such as"
        " 192.0.2.0/24 eu; read again at a reload.", path=True)
    geoip: str = option(
        "", "A GeoIP2 or GeoLite2 database of countries (.mmdb) for clients that regions does not know; takes the package"
        " maxminddb.", path=True)
    geoip_regions: tuple[str, ...] = option(
        (), "What region a country or continent of it is near to, one a line: country:DE eu or continent:NA us.")
    host: str | None = option(
        None, "Host in the URLs of this daemon's own servers; unset: the one by which the client reached us.")
    api_key: str | None = option(
        None, "If set, requests must have it as key=; a page gets it with the argument apikey=.", secret=True)
    allowed_origins: tuple[str, ...] = option(
        (), "Origins of other sites whose pages may read the answer, such as https://cloud.example.org, one a line.")
    require_room: bool = option(
        False, "Hand out no credential that is not bound to a client of a room, who loses it on leaving; the iOS app and "
        "other programs then get none.")
    rate: float = option(
        5.0, "Requests a second from one address (ten times as many at once); 0: no limit.", minimum=0)

    def __post_init__(self) -> None:
        if self.host is not None and not re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]", self.host):
            raise ValueError(f"host: {self.host!r} is no host name or address; an IPv6 address goes in brackets")
        for one in self.allowed_origins:
            if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", one):
                raise ValueError(f"allowed-origins: {one!r} is no origin; write it like https://cloud.example.org")
        _checked("servers", self.named)
        _checked("geoip-regions", lambda: parse_codes(self.geoip_regions))
        if 0 < self.probe_interval < MIN_INTERVAL_S:
            raise ValueError(f"probe-interval: takes 0 or at least {MIN_INTERVAL_S:g} second")
        if self.geoip and not self.geoip_regions:
            raise ValueError("geoip-regions: geoip tells countries and nothing says what regions they are near to; add lines"
                             " such as country:DE eu or continent:NA us")
        if self.geoip_regions and not self.geoip:
            raise ValueError("geoip: is not set, and geoip-regions is about it; name the database")

    def named(self) -> Servers:
        """`servers`, parsed."""
        return parse_servers(self.servers)


@dataclass(frozen=True, slots=True)
class CredentialsSettings:
    """The ``[credentials]`` section: what ``[ice]`` signs with and ``[turn]`` checks with."""

    secret: tuple[str, ...] = option(
        (), "Shared secret of the time-limited TURN passwords; the first one signs, those on further lines are still "
        "accepted. Unset: one is made at first start and kept in the state directory.", secret=True)
    lifetime: int = option(43200, "Seconds that a password is valid.", minimum=60, maximum=604800)
    secret_separator: str = option(":", "What stands between expiry and user in a name.")

    def __post_init__(self) -> None:
        if any(len(one) < MIN_SECRET_CHARS for one in self.secret):
            raise ValueError(f"secret: is shorter than {MIN_SECRET_CHARS} characters and could be guessed; make one with: "
                             "openssl rand -base64 32")
        if len(self.secret_separator) != 1 or self.secret_separator.isalnum():
            raise ValueError(f"secret-separator: {self.secret_separator!r} is not one character that is neither letter nor"
                             " digit")


def _checked(key: str, make: Callable[[], object]) -> None:
    try:
        make()
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
