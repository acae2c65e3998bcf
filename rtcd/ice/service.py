"""The ICE credentials service: its two paths on the doorway."""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.web.iweb import IRequest

from rtcd.config import changes
from rtcd.context import Context
from rtcd.ice.pool import Pool, summary
from rtcd.ice.prober import Ask
from rtcd.ice.resource import IceConfig, IceServers, TurnRest
from rtcd.ice.settings import Settings
from rtcd.together import no_turn_server, secret_of_others

__all__ = ["IceService", "Settings", "makeService"]


class IceService(Service):
    """Keeps nothing of what it hands out, which is checked by computing it again; what it knows is how TURN nodes are."""

    name = "ice"

    def __init__(self, context: Context, settings: Settings, ask: Ask | None = None) -> None:
        """``ask``: who asks a TURN node whether it serves, if not the network."""
        self._context = context
        self._settings = settings
        self._pool = Pool(context, settings, ask)
        self._servers = IceServers(context, settings, self._pool)
        context.doorway.add_child("/v1alpha/iceconfig", IceConfig(self._servers))
        context.doorway.add_child("/turn", TurnRest(self._servers))
        context.doorway.directory.publish("iceconfig", "/v1alpha/iceconfig")
        context.on_reload("ice", self._reload)
        context.desk.offer("ice.uris", self._uris)
        context.desk.offer("ice.paths", self._paths)
        context.desk.offer("ice.nodes", self._pool.reports)
        context.desk.offer("ice.known", self._pool.known)
        context.desk.offer("ice.trouble", lambda: summary(self._pool.reports()))

    def startService(self) -> None:
        """Start, if there is a server to name that will accept what we issue. Raises `ConfigError`."""
        self._check(self._settings)
        self._pool.start()
        super().startService()

    def stopService(self) -> Deferred[Any]:
        """Ask no node any more; fires when the last sockets are closed."""
        super().stopService()
        return gatherResults(self._pool.stop(), consumeErrors=True)

    def _uris(self, request: IRequest, user: str = "") -> list[str]:
        """Offered as ``ice.uris``: the TURN URLs for whoever sent a request, or for ``user``, for whom he asks, in the order
        in which to try them."""
        return self._servers.urls(request, user=user)[0]

    def _paths(self, request: IRequest) -> tuple[list[str], list[str], bool]:
        """Offered as ``ice.paths``: for a test, the TURN and STUN URLs for whoever sent a request, and whether they are
        those of this daemon. Of others there is no TURN where strangers get no credential: those cannot tell a test."""
        turn, stun = self._servers.urls(request)
        own, settings = not self._servers.settings.servers, self._servers.settings
        return (turn if own or not (settings.require_room or settings.api_key) else []), stun, own

    def _check(self, settings: Settings) -> None:
        own = any(self._context.doorway.directory.listeners("turn"))
        if not own and not settings.servers:
            raise no_turn_server()
        if not own and self._context.credentials.generated:
            raise secret_of_others()

    def _reload(self, old: Settings, new: Settings) -> list[str]:
        self._check(new)
        self._pool.use(new)
        self._servers.use(new)
        return list(changes(old, new))


def makeService(context: Context, settings: Settings) -> IService:
    """See `IServicePlugin`."""
    return IceService(context, settings)
