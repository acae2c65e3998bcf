"""The administration: its unix socket, its place below ``/admin``, and the webhooks."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.web.server import Request

from rtcd.admin.access import Access, InThread
from rtcd.admin.pages import Pages
from rtcd.admin.poster import Poster
from rtcd.admin.relays import RelayOperations
from rtcd.admin.resource import AdminResource, Operation
from rtcd.admin.rooms import RoomOperations
from rtcd.admin.routes import ROUTES
from rtcd.admin.settings import Settings
from rtcd.admin.upkeep import UpkeepOperations
from rtcd.admin.webhooks import Post, Webhooks
from rtcd.config import ConfigError, changes
from rtcd.context import Context
from rtcd.daemon import state_directory
from rtcd.doorway.connections import Connections
from rtcd.doorway.layers import PlainFactory
from rtcd.doorway.settings import DoorwaySettings
from rtcd.metrics import Metrics
from rtcd.rooms.present import Present
from rtcd.site.http import DoorSite
from rtcd.site.tree import Tree
from rtcd.unix import SocketPath

__all__ = ["AdminService", "Settings", "makeService"]

PATH = "/admin"
SOCKET_MODE = 0o600
MAX_SOCKET_CONNECTIONS = 64
"""On the unix socket at once; one more is refused."""


class AdminService(Service):
    """Owns the unix socket; what comes by HTTPS comes through the doorway."""

    name = "admin"
    _log = Logger()

    def __init__(
        self, context: Context, settings: Settings, in_thread: InThread | None = None, post: Post | None = None
    ) -> None:
        """``in_thread`` runs what takes the processor for long; ``post`` sends a message of a webhook."""
        self._context = context
        self._reactor = context.reactor
        self._settings = settings
        self._port: IListeningPort | None = None
        self._place: SocketPath | None = None
        self._connections: Connections | None = None
        self._access = Access(self._reactor, settings, (), context.metrics, in_thread or (
            lambda work: deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)))
        self._upkeep = UpkeepOperations(context, self._access)
        self._operations = _operations(RoomOperations(context), RelayOperations(context), self._upkeep)
        self._webhooks = Webhooks(context, settings, post or Poster(self._reactor))
        rooms: Any = context.rooms
        rooms.watch(self._webhooks)
        self._present = Present(self._reactor, rooms, self._webhooks.present)
        if settings.public:
            context.doorway.add_child(PATH, self._resource(trusted=False, page=Pages()))
        context.on_reload("admin", self._reload)

    def startService(self) -> None:
        """Open the socket, as whoever the daemon is by now. Raises `ConfigError`."""
        self._access.use(self._settings, self._settings.keys())
        self._upkeep.started_at = self._reactor.seconds()
        if self._context.desk.offers("turn.observe"):
            self._context.desk.ask("turn.observe", self._webhooks.observe)
        self._open(self._path())
        super().startService()
        self._present.start()

    def stopService(self) -> Deferred[None]:
        """Close and remove the socket; fires when its connections are closed."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        super().stopService()
        self._present.stop()
        self._webhooks.stop()
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        if self._place is not None:
            self._place.close()
        if self._connections is not None:
            await self._connections.close_all()

    def _path(self) -> str:
        daemon = self._context.desk.ask("daemon.settings")["daemon"]
        return os.path.join(state_directory(daemon), self._settings.socket)

    def _open(self, path: str) -> None:
        settings = DoorwaySettings(
            max_connections=MAX_SOCKET_CONNECTIONS, max_connections_per_address=MAX_SOCKET_CONNECTIONS)
        tree = Tree()
        tree.add(PATH, self._resource(trusted=True))
        self._connections = Connections(self._reactor, settings, Metrics())  # these are none of the doorway's
        site = PlainFactory(self._reactor, self._connections, DoorSite(self._reactor, tree, settings, Metrics()))
        try:
            self._place = place = SocketPath(path)
            _make_way(path, place.path)
            listen = getattr(self._reactor, "listen_alone", self._reactor.listenUNIX)
            self._port = listen(place.path, site, mode=SOCKET_MODE)
        except CannotListenError as error:
            reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
            raise _unusable(path, reason) from None
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from None
        self._log.info("admin listens on {path}", path=path)

    def _resource(self, *, trusted: bool, page: Callable[[Request], bytes | None] = lambda _: None) -> AdminResource:
        context = self._context
        return AdminResource(self._operations, self._access, context.doorway, context.metrics, trusted=trusted, page=page)

    def _reload(self, old: Settings, new: Settings) -> list[str]:
        keys = new.keys()
        self._access.use(new, keys)
        self._webhooks.use(new)
        kept = {"socket"} if old.public or not new.public else {"socket", "password", "token", "keys-file", "jwt-key"}
        return [key for key in changes(old, new) if key not in kept]


def makeService(context: Context, settings: Settings) -> IService:
    """See `IServicePlugin`."""
    return AdminService(context, settings)


def _operations(*objects: object) -> dict[str, Operation]:
    """What answers each operation of the table."""
    return {route.operation: next(getattr(one, route.operation) for one in objects if hasattr(one, route.operation))
            for route in ROUTES}


def _unusable(path: str, reason: str) -> ConfigError:
    return ConfigError("admin", "socket", f"{path}: {reason}; name another one, in a directory that the daemon's user may "
                       "write to")


def _make_way(path: str, place: str) -> None:
    """Remove the socket of a daemon that ended without doing so; ``place`` is ``path`` as the system takes it. Raises
    ConfigError, and OSError."""
    try:
        mode = os.lstat(place).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError("admin", "socket", f"{path} is there and is no socket; remove it or name another one")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.settimeout(1.0)
            probe.connect(place)
        except ConnectionRefusedError:
            os.unlink(place)
        else:
            raise ConfigError("admin", "socket", f"another daemon answers at {path}; stop it or name another one")
