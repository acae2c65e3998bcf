"""How many connections there may be, and how long each may wait for what. They are rtcd.clients.streams' and, those by
DTLS, rtcd.clients.sessions'."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

HANDSHAKE_S = 10.0
"""For the handshake of TLS or DTLS."""
FRAME_S = 10.0
"""From the first byte of a frame to its last."""
LINGER_S = 30.0
"""For the last bytes, and TLS's goodbye, of a connection that we close."""

Wait = Literal["tls", "allocation", "frame", "close", "flight-1", "flight-2", "flight-4"]
"""``tls`` is the handshake, ``flight-N`` an answer to a flight of one by DTLS."""

W = TypeVar("W", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator sets."""

    handshake_timeout: float = 60.0
    """Seconds that a connection may be without an allocation."""
    max_connections: int = 16384
    max_connections_per_ip: int = 1024
    """From one IPv4 address or IPv6 /56; loopback, where proxies are, is not counted."""

    def waits(self) -> dict[Wait, float]:
        """Seconds of each wait."""
        return {"tls": HANDSHAKE_S, "allocation": self.handshake_timeout, "frame": FRAME_S, "close": LINGER_S}


class Waits(Generic[W]):
    """Who waits for what since when, so that one timer will do for a whole table of connections.

    Each kind has its longest time; waits of one kind end in the order in which they began.
    ``limits``: seconds by kind; may be replaced at any moment, and holds for those who wait already too.
    """

    def __init__(self, limits: Mapping[Wait, float]) -> None:
        self.limits = limits
        self._since: dict[Wait, OrderedDict[W, float]] = {kind: OrderedDict() for kind in limits}

    def begin(self, kind: Wait, who: W, now: float) -> None:
        """The clock starts, or starts again."""
        since = self._since[kind]
        since.pop(who, None)
        since[who] = now

    def end(self, kind: Wait, who: W) -> None:
        """It came. Harmless for who does not wait."""
        self._since[kind].pop(who, None)

    def forget(self, who: W) -> None:
        """End all waits."""
        for since in self._since.values():
            since.pop(who, None)

    def waiting(self, kind: Wait) -> Mapping[W, float]:
        """Who waits since when, the first one first. Not to be changed."""
        return self._since[kind]

    def next_deadline(self) -> float | None:
        """When `due` should be asked next, or None."""
        firsts = [next(iter(since.values())) + self.limits[kind] for kind, since in self._since.items() if since]
        return min(firsts, default=None)

    def due(self, now: float) -> list[tuple[Wait, W]]:
        """Whose time is over; their waits end. A clock that was put back makes nobody wait more than once again."""
        found: list[tuple[Wait, W]] = []
        for kind, since in self._since.items():
            while since:
                who, then = next(iter(since.items()))
                if then > now:
                    since[who] = now
                elif now - then < self.limits[kind]:
                    break
                else:
                    del since[who]
                    found.append((kind, who))
        return found
