"""The ICE credentials service: its two paths on the doorway."""

from __future__ import annotations

from twisted.application.service import IService, Service

from rtcd.config import ConfigError, changes
from rtcd.context import Context
from rtcd.ice.resource import IceConfig, IceServers, TurnRest
from rtcd.ice.settings import Settings

__all__ = ["IceService", "Settings", "makeService"]


class IceService(Service):
    """Owns no socket and no state: what it hands out is checked by computing it again."""

    name = "ice"

    def __init__(self, context: Context, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._servers = IceServers(context, settings)
        context.doorway.add_child("/v1alpha/iceconfig", IceConfig(self._servers))
        context.doorway.add_child("/turn", TurnRest(self._servers))
        context.doorway.directory.publish("iceconfig", "/v1alpha/iceconfig")
        context.on_reload("ice", self._reload)

    def startService(self) -> None:
        """Start, if there is a server to name that will accept what we issue. Raises `ConfigError`."""
        self._check(self._settings)
        super().startService()

    def _check(self, settings: Settings) -> None:
        own = any(self._context.doorway.directory.listeners("turn"))
        if not own and not settings.servers:
            raise ConfigError("ice", "servers", "no TURN server runs here and none is named; add a [turn] section or "
                              "name the servers")
        if not own and self._context.credentials.generated:
            raise ConfigError("credentials", "secret", "the TURN servers of [ice] servers run elsewhere and cannot know "
                              "the secret made here; set the one that they have")

    def _reload(self, old: Settings, new: Settings) -> list[str]:
        self._check(new)
        self._servers.use(new)
        return list(changes(old, new))


def makeService(context: Context, settings: Settings) -> IService:
    """See `IServicePlugin`."""
    return IceService(context, settings)
