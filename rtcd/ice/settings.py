"""The ``[ice]`` and ``[credentials]`` sections."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rtcd.config import option

MIN_SECRET_CHARS = 16
"""Shorter secrets come from tutorials."""

_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_SERVER = re.compile(rf"(stun:{_HOST}|turns?:{_HOST}(\?transport=(udp|tcp))?)")
"""RFC 7064 §3.1, RFC 7065 §3.1: no user, no path, IPv6 in brackets. For one that is wrong a browser refuses all."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Hands out TURN credentials."""

    servers: tuple[str, ...] = option(
        (), "STUN and TURN URLs to hand out, one a line; unset: those of the [turn] of this daemon.")
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
        for one in self.servers:
            if not _SERVER.fullmatch(one):
                raise ValueError(f"servers: {one!r} is no STUN or TURN URL; write it like "
                                 "turn:relay.example.org:3478?transport=udp or stun:relay.example.org:3478")


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
