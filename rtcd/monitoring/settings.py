"""The keys of ``[metrics]``."""

from __future__ import annotations

from dataclasses import dataclass

from rtcd.config import option

MIN_TOKEN_CHARS = 16
"""A shorter one can be guessed, since nobody slows down who tries."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The ``[metrics]`` section: figures for Prometheus, and whether the daemon is well."""

    listen: tuple[str, ...] = option(
        ("tcp:9641:interface=127.0.0.1",), "Endpoints that answer /metrics, /healthz and /readyz, without TLS. Empty: none."
    )
    token: str | None = option(
        None, "What has to be sent as a bearer token for /metrics there; unset: who reaches it may read it.", secret=True
    )
    health: bool = option(
        True, "Answer /healthz and /readyz at the web listeners too, for load balancers; there they say what is wrong, but "
        "not why."
    )

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < MIN_TOKEN_CHARS:
            raise ValueError(f"token: has fewer than {MIN_TOKEN_CHARS} characters; openssl rand -base64 32 makes a good one")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise ValueError("token: has characters that no header may hold; openssl rand -base64 32 makes a good one")
