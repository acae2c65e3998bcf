"""The web service: the room server's paths and the call page on the doorway."""

from __future__ import annotations

from twisted.application.service import IService, Service
from twisted.web.server import Request
from twisted.web.static import File

from rtcd.config import ConfigError, changes
from rtcd.context import Context
from rtcd.web.pages import STATIC, Page, QrCode
from rtcd.web.resources import Analytics, Join, Leave, Message, Params, Rooms
from rtcd.web.settings import Settings

__all__ = ["Settings", "WebService", "makeService"]


class StaticFile(File):
    """A file of the page. Browsers ask each time whether it has changed, so an upgrade is seen at once."""

    def render_GET(self, request: Request) -> bytes | int:
        """Serve it; a folder has no listing."""
        if self.isdir():
            return self.childNotFound.render(request)  # type: ignore[no-any-return] # Twisted is untyped here
        request.setHeader(b"cache-control", b"no-cache")
        return super().render_GET(request)  # type: ignore[no-any-return] # Twisted is untyped here


StaticFile.contentTypes = {**File.contentTypes, ".js": "text/javascript", ".mjs": "text/javascript",
                           ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json"}


class WebService(Service):
    """Owns no socket: the doorway serves its resources."""

    name = "web"

    def __init__(self, context: Context, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self.rooms = Rooms(context, settings)
        door = context.doorway
        door.add_child("/", Page(self.rooms, call=False))
        door.add_child("/r", Page(self.rooms, call=True))
        door.add_child("/join", Join(self.rooms))
        door.add_child("/message", Message(self.rooms))
        door.add_child("/leave", Leave(self.rooms))
        door.add_child("/params", Params(self.rooms))
        door.add_child("/a", Analytics(self.rooms))
        door.add_child("/qr.svg", QrCode(self.rooms))
        door.add_child("/static", StaticFile(str(STATIC)))
        for path, name in (("/params.html", "params.html"), ("/help.html", "params.html"),
                           ("/robots.txt", "robots.txt"), ("/favicon.ico", "favicon.svg")):
            door.add_child(path, StaticFile(str(STATIC / name)))
        context.on_reload("web", self._reload)

    def startService(self) -> None:
        """Start, if clients can be told of a signalling server. Raises `ConfigError`."""
        if self._settings.wss_url is None and self._context.doorway.directory.path("wss") is None:
            raise ConfigError("web", "wss-url", "no signalling runs here and none is named; add a [signaling] section "
                              "or set wss-url and wss-post-url")
        super().startService()

    def _reload(self, old: Settings, new: Settings) -> list[str]:
        self.rooms.use(new)
        return list(changes(old, new))


def makeService(context: Context, settings: Settings) -> IService:
    """See `IServicePlugin`."""
    return WebService(context, settings)
