"""The ``[signaling]`` section."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rtcd.config import option


@dataclass(frozen=True, slots=True)
class Settings:
    """WebSocket signalling and its HTTP half, as Collider speaks them."""

    path: str = option("/ws", "Path of the WebSocket.")
    post_path: str = option(
        "/sig", "Path prefix of the HTTP half (POST and DELETE {prefix}/{room}/{client}); / puts it at the root, as "
        "Collider has it.")
    require_join: bool = option(
        True, "Only clients that POST /join has handed out may register. no: be a Collider for another room server.")
    max_message_bytes: int = option(65536, "Longest message of a client, in bytes.", minimum=1024, maximum=262144)
    max_backlog_bytes: int = option(
        1048576, "How much may wait for a client that does not read before its connection is dropped.", minimum=65536)
    register_timeout: float = option(
        30.0, "Seconds an open WebSocket may take to register.", minimum=1, maximum=600)
    register_rate: float = option(
        20.0, "Registrations a second from one address (five times as many at once); 0: no limit.", minimum=0)
    ping_interval: float = option(
        5.0, "Seconds between pings to a client; 0: none. With ping-timeout and [rooms] grace this is how soon a "
        "vanished client's seat is free.", minimum=0)
    ping_timeout: float = option(5.0, "Seconds a client may take to answer a ping.", minimum=0.1)

    def __post_init__(self) -> None:
        for key, path in (("path", self.path), ("post-path", self.post_path)):
            if not re.fullmatch(r"/|(/[A-Za-z0-9._~-]+)+/?", path):
                raise ValueError(f"{key}: {path!r} is no absolute path; write it like /ws")
        if self.path.rstrip("/") == self.post_path.rstrip("/"):
            raise ValueError("path: is the same as post-path; choose another")
