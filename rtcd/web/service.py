"""The web service: the room server's paths and the call page on the doorway."""

from __future__ import annotations

from twisted.application.service import IService, Service

from rtcd.config import changes
from rtcd.context import Context
from rtcd.together import no_signalling, nowhere_to_redirect
from rtcd.web.assets import Assets
from rtcd.web.files import read
from rtcd.web.pages import Filled, Manifest, Master, Page, QrCode, plain_policy, worker_policy
from rtcd.web.report import Report
from rtcd.web.resources import Analytics, Join, Leave, Message, Params, Rooms
from rtcd.web.settings import Settings

__all__ = ["Settings", "WebService", "makeService"]


class WebService(Service):
    """Owns no socket: the doorway serves its resources."""

    name = "web"

    def __init__(self, context: Context, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self.rooms = Rooms(context, settings)
        door = context.doorway
        files = read()
        master, policy = Master(files), plain_policy(door.frame_rule)
        door.add_child("/", Page(self.rooms, master, call=False))
        door.add_child("/r", Page(self.rooms, master, call=True))
        door.add_child("/join", Join(self.rooms))
        door.add_child("/message", Message(self.rooms))
        door.add_child("/leave", Leave(self.rooms))
        door.add_child("/report", Report(self.rooms))
        door.add_child("/params", Params(self.rooms))
        door.add_child("/a", Analytics(self.rooms))
        door.add_child("/qr.svg", QrCode(self.rooms))
        door.add_child("/manifest.webmanifest", Manifest(self.rooms, master))
        door.add_child("/offline.html", Filled(self.rooms, master, "offline.html", policy))
        door.add_child("/sw.js", Filled(self.rooms, master, "sw.js", worker_policy(door.frame_rule)))
        door.add_child("/static", Assets(files, master.version, policy.encode()))
        for path, name in (("/params.html", "params.html"), ("/help.html", "params.html"),
                           ("/robots.txt", "robots.txt"), ("/favicon.ico", "favicon.svg")):
            door.add_child(path, Assets({"": files[name]}, policy=policy.encode()))
        context.on_reload("web", self._reload)

    def startService(self) -> None:
        """Start, if what it stands on is there. Raises `ConfigError`."""
        self._check(self._settings)
        if self._context.doorway.directory.path("wss") is None:
            raise no_signalling()
        super().startService()

    def _check(self, settings: Settings) -> None:
        if settings.redirect_hosts and self._context.doorway.public is None:
            raise nowhere_to_redirect()

    def _reload(self, old: Settings, new: Settings) -> list[str]:
        self._check(new)
        self.rooms.use(new)
        return list(changes(old, new))


def makeService(context: Context, settings: Settings) -> IService:
    """See `IServicePlugin`."""
    return WebService(context, settings)
