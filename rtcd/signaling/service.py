"""The signalling service: puts Collider's paths on the doorway, and says goodbye at the end."""

from __future__ import annotations

import functools

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred

from rtcd.bucket import network
from rtcd.config import changes
from rtcd.context import Context
from rtcd.ice.tags import Tag
from rtcd.signaling.factory import SignalingFactory
from rtcd.signaling.resource import Errors, PostResource, StatusResource, UpgradeResource
from rtcd.signaling.settings import Settings

__all__ = ["Settings", "SignalingService", "makeService"]


class SignalingService(Service):
    """Owns the WebSocket factory; its sockets live behind the doorway's ports."""

    name = "signaling"

    def __init__(self, context: Context, settings: Settings) -> None:
        self._context = context
        self._started_at = context.reactor.seconds()
        self.factory = SignalingFactory(context.reactor, context.rooms, settings, context.metrics, context.doorway,
                                        functools.partial(Tag, context.credentials))
        errors = Errors()
        status = StatusResource(self.factory, errors, lambda: self._started_at)
        prefix = settings.post_path.rstrip("/")
        context.doorway.add_child(settings.path, UpgradeResource(self.factory))
        context.doorway.add_child("/status", status)
        context.doorway.add_child(settings.post_path, PostResource(
            self.factory, errors, status, lambda request: network(context.doorway.client_host(request))))
        context.doorway.directory.publish("wss", settings.path)
        context.doorway.directory.publish("wss-post", prefix)
        context.on_reload("signaling", self._reload)

    def startService(self) -> None:
        """Count the time from here."""
        super().startService()
        self._started_at = self._context.reactor.seconds()

    def stopService(self) -> Deferred[None]:
        """Say bye in every room and close every socket; fires when they are closed."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        super().stopService()
        await self._context.rooms.close()
        await self.factory.close_all()

    def _reload(self, old: Settings, new: Settings) -> list[str]:
        kept = {"path", "post-path"}
        self.factory.use(new)
        return [key for key in changes(old, new) if key not in kept]


def makeService(context: Context, settings: Settings) -> IService:
    """See `IServicePlugin`."""
    return SignalingService(context, settings)
