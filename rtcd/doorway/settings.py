"""The keys of ``[doorway]``."""

from __future__ import annotations

from dataclasses import dataclass

from rtcd.config import option
from rtcd.doorway.origin import parse_public_url


@dataclass(frozen=True, slots=True)
class DoorwaySettings:
    """Where the daemon listens for browsers, and how much it takes from them."""

    https: tuple[str, ...] = option(
        ("tcp:8443",), "Endpoints for HTTPS and WSS together. A bare tcp:PORT takes IPv6 and IPv4."
    )
    http: tuple[str, ...] = option(("tcp:8080",), "Endpoints that only redirect to HTTPS. Empty for none.")
    plain: tuple[str, ...] = option(
        (),
        "Endpoints that serve the site without TLS, for a proxy on this machine. Bind them to loopback, as in"
        " tcp:8081:interface=127.0.0.1, and set public-url.",
    )
    public_url: str | None = option(
        None, "How browsers reach this daemon, as in https://meet.example.org. Empty: what the browser asked for."
    )
    max_body_bytes: int = option(262144, "A longer HTTP request body is answered 413.", minimum=1024, maximum=2**30)
    idle_timeout: float = option(
        60.0, "Seconds until a silent HTTP connection is closed; a whole request has to arrive in them.",
        minimum=1, maximum=3600,
    )
    handshake_timeout: float = option(
        10.0, "Seconds for the TLS handshake and the first bytes that tell the protocol.", minimum=1, maximum=300
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
        if self.public_url is not None:
            try:
                parse_public_url(self.public_url)
            except ValueError as error:
                raise ValueError(f"public-url: {error}") from None
