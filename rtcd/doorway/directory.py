"""What of this daemon listens where: the one place that knows every open socket and every public path.

Services write into it when they open a socket or serve a path; others read it (the ICE resource makes its URLs of
it, the TURN server refuses these addresses as peers, the start prints it). Rules only: no sockets here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listener:
    """An open socket of this daemon, or a range of ports that it opens sockets in as they are needed."""

    service: str
    """Name of the service: ``turn``, ``web``."""
    transport: str
    """``udp``, ``tcp``, ``tls`` or ``dtls``."""
    host: str
    """The address it is bound to; ``0.0.0.0`` or ``::`` for every address."""
    port: int
    last_port: int | None = None
    """For a range of ports: its last one, included."""
    stun: bool = True
    """For one of TURN: whether it answers anybody's STUN Binding."""


class Directory:
    """Listeners and public paths, as they are now."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._paths: dict[str, str] = {}
        self.version = 0
        """Another number whenever the listeners have changed, for who keeps something made of them."""

    def opened(self, listener: Listener) -> None:
        """A socket was opened, or a range is in use."""
        self._listeners.append(listener)
        self.version += 1

    def closed(self, listener: Listener) -> None:
        """Undo `opened`; does nothing if it was not open."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            self.version += 1

    def listeners(self, service: str | None = None) -> Iterator[Listener]:
        """All listeners, or those of one service, in the order in which they opened."""
        return iter([one for one in self._listeners if service in (None, one.service)])

    def publish(self, name: str, path: str) -> None:
        """A service answers at ``path`` under this well-known ``name`` (``wss``, ``wss-post``, ``iceconfig``)."""
        self._paths[name] = path

    def path(self, name: str) -> str | None:
        """Where the service of this name answers, or None if this daemon has none."""
        return self._paths.get(name)
