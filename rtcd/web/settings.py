"""The ``[web]`` section."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rtcd.config import option

MAX_APP_NAME_CHARS = 40
"""Of the site's name; phones show about twelve."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The room server: call page, /join, /message, /leave, /params."""

    ice_server_url: str | None = option(
        None, "ICE credentials URL given to clients when they come from elsewhere; unset: the [ice] of this daemon.")
    max_message_bytes: int = option(65536, "Longest POST /message, in bytes.", minimum=1024, maximum=262144)
    join_rate: float = option(
        10.0, "Joins and room pages a second for one address (ten times as many at once); 0: no limit.", minimum=0)
    bypass_join_confirmation: bool = option(False, "Join at once when a room link is opened, without asking.")
    name: str = option("rtcd", "What the page is called in tabs, and on the screen of a phone that has installed it.")
    links: tuple[str, ...] = option(
        (), "Links below start page and green room, one a line: a name and a URL, like Privacy https://example.org/privacy.")
    header_message: str | None = option(None, "A line of text that the page shows on top.")
    allowed_ice: tuple[str, ...] = option(
        (), "Base URLs of ICE providers that a link may choose with ts=, one a line.")
    redirect_hosts: tuple[str, ...] = option(
        (), "Former host names: their pages redirect to [doorway] public-url, one a line.")

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_APP_NAME_CHARS or not self.name.isprintable():
            raise ValueError(f"name: {self.name!r} is no name; write at most {MAX_APP_NAME_CHARS} characters")
        if self.ice_server_url is not None and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", self.ice_server_url):
            raise ValueError(f"ice-server-url: {self.ice_server_url!r} is no absolute URL; write it like "
                             "https://ice.example.org/v1alpha/iceconfig")
        for one in self.links:
            if not re.fullmatch(r"\S.*\s(https?://[^\s/]|/)\S*", one):
                raise ValueError(f"links: {one!r} is not a name and a URL; write it like Privacy https://example.org/privacy")
        for one in self.allowed_ice:
            if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[\w./-]*[\w.-])?", one):
                raise ValueError(f"allowed-ice: {one!r} is no base URL; write it like https://ice.example.org")
        for one in self.redirect_hosts:
            if not re.fullmatch(r"[A-Za-z0-9.-]+", one):
                raise ValueError(f"redirect-hosts: {one!r} is no host name; write it without scheme and port")
