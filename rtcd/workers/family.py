"""What the parent is made of: the supervisor, and the rooms that it keeps for its workers. In the state directory is

    workers/        0700
    workers/rooms   the unix socket of the rooms
    workers/first   that of the first worker, for requests that came to others
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError

from rtcd.cluster.hub import Hub
from rtcd.cluster.serving import HubServer
from rtcd.config import ConfigError
from rtcd.daemon import state_directory
from rtcd.doorway.immediate import at_once
from rtcd.metrics import Metrics, Sample
from rtcd.privileges import Owner
from rtcd.state import StateDirectory
from rtcd.systemd import Notifier, NotifyService
from rtcd.together import cannot_share
from rtcd.unix import SocketPath
from rtcd.workers.command import Commands
from rtcd.workers.shares import Place
from rtcd.workers.supervisor import Rooms, Supervisor

FOLDER = "workers"
ROOMS = "rooms"
FIRST = "first"


class EmbeddedRooms(Rooms):
    """The rooms of all workers, in the parent."""

    def __init__(self, reactor: Any, state: StateDirectory, owner: Owner | None, metrics: Metrics) -> None:
        self._reactor = reactor
        self._state = state
        self._owner = owner
        hub = Hub()
        self._server = HubServer(hub, reactor)
        metrics.gauge("rooms", "rooms", "Rooms that there are.", lambda: hub.totals().rooms)
        metrics.gauge("rooms", "seats", "Clients that hold a seat.", lambda: hub.totals().seats)
        metrics.gauge("rooms", "calls", "Rooms with a call: at least two are in them.", lambda: hub.totals().calls)
        self._place: SocketPath | None = None
        self._port: Any = None

    def start(self) -> None:
        """Listen for workers. Raises ConfigError."""
        folder = StateDirectory(self._state.path(FOLDER), self._owner)
        path = folder.path(ROOMS)
        path.unlink(missing_ok=True)
        self._place = SocketPath(str(path))
        try:
            self._port = at_once(self._reactor.listenUNIX(self._place.path, self._server, mode=0o600))
            folder.own(self._place.path)
        except CannotListenError as error:
            raise ConfigError("daemon", "state-directory", f"{path} cannot be opened ({error.socketError}); name another "
                              "directory, on a disk of this machine") from None

    def end(self) -> None:
        """The rooms end with the workers."""
        self._server.end()

    def stop(self) -> Any:
        """Close the socket."""
        if self._place is not None:
            self._place.close()
        return maybeDeferred(self._port.stopListening) if self._port is not None else None


def supervisor(
    reactor: Any, file: str, count: int, commands: Commands, settings: Mapping[str, Any],
    read: Callable[[], Mapping[str, Any]], environment: Mapping[str, str], owner: Owner | None = None, *,
    greet: bool = False, own: Callable[[], Iterable[Sample]] = tuple,
) -> Supervisor:
    """The parent of so many workers. ``greet``: the first one shows the addresses to open. ``own``: the figures of this
    process. Raises `ConfigError`."""
    for fault in cannot_share(settings, count):
        raise fault
    commands.check()
    state = StateDirectory(state_directory(settings["daemon"], environment), owner)
    elsewhere = bool(settings["rooms"].redis)
    metrics = Metrics()
    rooms = Rooms() if elsewhere else EmbeddedRooms(reactor, state, owner, metrics)
    return Supervisor(
        reactor, file, count,
        lambda number, descriptor, first: commands.of(Place(number, count), descriptor, welcome=greet and first),
        read, settings, NotifyService(reactor, Notifier(environment)), metrics, rooms, own=own, owner=owner)
