"""The ``[web]`` section."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rtcd.config import option


@dataclass(frozen=True, slots=True)
class Settings:
    """The room server: call page, /join, /message, /leave, /params."""

    wss_url: str | None = option(
        None, "WebSocket URL given to clients when signalling runs elsewhere; unset: the [signaling] of this daemon.")
    wss_post_url: str | None = option(
        None, "URL of its HTTP half, without a trailing slash; goes with wss-url.")
    ice_server_url: str | None = option(
        None, "ICE credentials URL given to clients when they come from elsewhere; unset: the [ice] of this daemon.")
    max_message_bytes: int = option(65536, "Longest POST /message, in bytes.", minimum=1024, maximum=262144)
    join_rate: float = option(
        10.0, "Joins and room pages a second for one address (ten times as many at once); 0: no limit.", minimum=0)
    bypass_join_confirmation: bool = option(False, "Join at once when a room link is opened, without asking.")
    header_message: str | None = option(None, "A line of text that the page shows on top.")
    allowed_signaling: tuple[str, ...] = option(
        (), "host:port of signalling servers that a link may choose with wshpp=, one a line.")
    allowed_ice: tuple[str, ...] = option(
        (), "Base URLs of ICE providers that a link may choose with ts=, one a line.")
    redirect_hosts: tuple[str, ...] = option(
        (), "Former host names: their pages redirect to [doorway] public-url, one a line.")

    def __post_init__(self) -> None:
        if (self.wss_url is None) != (self.wss_post_url is None):
            raise ValueError("wss-url: needs wss-post-url beside it, and the other way round")
        for key, url in (("wss-post-url", self.wss_post_url), ("ice-server-url", self.ice_server_url)):
            if url is not None and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
                raise ValueError(f"{key}: {url!r} is no absolute URL; write it like https://host:8089")
        if self.wss_url is not None and not re.fullmatch(r"wss?://[^\s/]+/\S*", self.wss_url):
            raise ValueError(f"wss-url: {self.wss_url!r} is no WebSocket URL; write it like wss://host:8089/ws")
        for one in self.allowed_signaling:
            if not re.fullmatch(r"[A-Za-z0-9.\-\[\]:]+", one):
                raise ValueError(f"allowed-signaling: {one!r} is no host:port")
        for one in self.allowed_ice:
            if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[\w./-]*[\w.-])?", one):
                raise ValueError(f"allowed-ice: {one!r} is no base URL; write it like https://ice.example.org")
