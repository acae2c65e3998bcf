"""`Relays`: who relays for the clients of this daemon, as a record tells it of its call."""

from __future__ import annotations

from typing import Any

from rtcd.context import Context

MAX_PLACES = 8
"""Where TURN can be asked, as far as a record tells."""


class Relays:
    """As the settings and the open ports are now."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._said: tuple[tuple[Any, ...], tuple[str, tuple[str, ...]]] = (), ("", ())
        """What `now` said last, behind what that was made of."""

    def now(self) -> tuple[str, tuple[str, ...]]:
        """Who relays for the clients of this daemon, and where it is asked if that is us."""
        desk, directory = self._context.desk, self._context.doorway.directory
        settings = desk.ask("daemon.settings") if desk.offers("daemon.settings") else {}
        made_of = settings.get("ice"), settings.get("web"), directory.path("iceconfig"), directory.version
        if made_of != self._said[0]:
            self._said = made_of, self._asked_at(*made_of[:2])
        return self._said[1]

    def _asked_at(self, ice: Any, web: Any) -> tuple[str, tuple[str, ...]]:
        directory = self._context.doorway.directory
        if getattr(ice, "servers", ()) or getattr(web, "ice_server_url", None):
            return "elsewhere", ()
        listeners = list(directory.listeners("turn"))
        if directory.path("iceconfig") is None or not any(one.last_port is not None for one in listeners):
            return "", ()
        own = [one for one in listeners if one.last_port is None and one.transport != "dtls"]
        shared = [one for one in directory.listeners("web") if one.transport == "tls"]
        return "here", tuple(dict.fromkeys(f"{one.transport} {one.port}" for one in (*own, *shared)))[:MAX_PLACES]
