"""The keys of ``[doorway]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rtcd.config import option
from rtcd.front.origin import parse_public_url
from rtcd.ranges import parse_ranges


@dataclass(frozen=True, slots=True)
class DoorwaySettings:
    """Where the daemon listens for browsers, and how much it takes from them."""

    https: tuple[str, ...] = option(
        ("tcp:8443",), "Endpoints for HTTPS, WSS, STUN and TURN together. A bare tcp:PORT takes IPv6 and IPv4."
    )
    http: tuple[str, ...] = option(
        ("tcp:8080",), "Endpoints that redirect to HTTPS, and serve no more than /install, the local authority and proofs "
        "for an ACME authority. Empty for none."
    )
    plain: tuple[str, ...] = option(
        (),
        "Endpoints that serve the site without TLS, for a proxy on this machine. Bind them to loopback, as in"
        " tcp:8081:interface=127.0.0.1.",
    )
    public_url: str | None = option(
        None, "How browsers reach this daemon, as in https://meet.example.org or, behind a proxy, "
        "https://example.org:8443/calls. Empty: what the browser, or the proxy, says that it asked for."
    )
    trusted_proxies: tuple[str, ...] = option(
        ("127.0.0.0/8", "::1"), "HTTP proxies in front that are believed in X-Forwarded-For, -Host, -Proto, -Port and "
        "-Prefix, or in Forwarded: an address, network/bits or first-last, one a line. One on this machine is believed "
        "without TLS only. Empty: nobody is."
    )
    proxy_from: tuple[str, ...] = option(
        (), "TCP proxies in front, written likewise: their connections have to begin with a PROXY header (version 1 or 2), "
        "which is believed from nobody else."
    )
    frame_ancestors: tuple[str, ...] = option(
        (), "Origins of sites that may show this one in a frame, as https://cloud.example.org, one a line."
    )
    max_body_bytes: int = option(262144, "A longer HTTP request body is answered 413.", minimum=1024, maximum=2**30)
    idle_timeout: float = option(
        60.0, "Seconds until a silent HTTP connection is closed; a whole request has to arrive in them.",
        minimum=1, maximum=3600,
    )
    handshake_timeout: float = option(
        10.0, "Seconds for the TLS handshake and the first bytes that tell the protocol.", minimum=1, maximum=300
    )
    handshake_rate: float = option(
        50.0, "TLS handshakes a second of one IPv4 address or IPv6 /56 (ten times as many at once), those for TURN with "
        "them; one more is refused; 0: no limit.", minimum=0
    )
    max_connections: int = option(16384, "Open connections at once; one more is refused.", minimum=1)
    max_connections_per_address: int = option(
        1024, "The same for one IPv4 address or IPv6 /56; a browser in a call has about eight.", minimum=1
    )
    max_undecided: int = option(
        1024, "Connections at once whose protocol is not known yet; one more drops the oldest of them.", minimum=1
    )
    max_undecided_per_address: int = option(
        64, "The same for one IPv4 address or IPv6 /56; one more is refused.", minimum=1
    )

    def __post_init__(self) -> None:
        for key, check in (
            ("public-url", lambda: self.public_url is None or parse_public_url(self.public_url)),
            ("trusted-proxies", lambda: parse_ranges(self.trusted_proxies)),
            ("proxy-from", lambda: parse_ranges(self.proxy_from)),
        ):
            try:
                check()
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        for one in self.frame_ancestors:
            if not re.fullmatch(r"https://(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?", one):
                raise ValueError(f"frame-ancestors: {one!r} is no origin; write it like https://cloud.example.org")
