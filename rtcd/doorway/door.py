"""`Doorway`: every stream listener of the daemon, and the web site behind them.

Services meet here: they add web resources by path and stream protocols by ALPN name.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import MultiService
from twisted.internet import defer, error
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource

from rtcd.config import ConfigError
from rtcd.doorway.directory import Directory, Listener
from rtcd.doorway.http import DoorSite
from rtcd.doorway.origin import Authority, parse_authority, parse_public_url, unmapped
from rtcd.doorway.settings import DoorwaySettings, TlsSettings
from rtcd.doorway.tree import Tree
from rtcd.metrics import Metrics
from rtcd.state import StateDirectory


class Doorway(MultiService):
    """The service that owns the web and stream listeners."""

    name = "doorway"
    _log = Logger()

    def __init__(
        self, reactor: Any, settings: DoorwaySettings, tls: TlsSettings, state: StateDirectory, metrics: Metrics
    ) -> None:
        super().__init__()
        self.reactor = reactor
        self.settings = settings
        self.directory = Directory()
        self.certificates: Any = None
        self._tree = Tree()
        self._streams: dict[str, IProtocolFactory] = {}
        self._ports: list[tuple[IListeningPort, Listener]] = []
        self.site = DoorSite(
            reactor, self._tree, metrics,
            max_body_bytes=settings.max_body_bytes, idle_timeout=settings.idle_timeout,
        )

    def add_child(self, path: str, resource: IResource) -> None:
        """Serve ``resource`` at an absolute path; ``/`` is the fallback that gets every path that is nobody's."""
        self._tree.add(path, resource)

    def add_stream(self, alpn: str, factory: IProtocolFactory) -> None:
        """Give connections that negotiate this ALPN name inside TLS to ``factory``."""
        if alpn in self._streams:
            raise ValueError(f"{alpn} is served already")
        self._streams[alpn] = factory

    def origin(self, request: IRequest) -> str:
        """The origin that the browser sees, such as ``https://192.0.2.1:8443``."""
        scheme, authority = self._seen(request)
        return authority.origin(scheme)

    def public_host(self, request: IRequest) -> str:
        """The host of `origin`, ready for a URL: an IPv6 address is in brackets."""
        return self._seen(request)[1].bracketed

    def _seen(self, request: Any) -> tuple[str, Authority]:
        if self.settings.public_url is not None:
            return parse_public_url(self.settings.public_url)
        scheme = "https" if request.isSecure() else "http"
        try:
            return scheme, parse_authority((request.getHeader(b"host") or b"").decode("ascii"))
        except ValueError:
            here = request.getHost()
            return scheme, Authority(unmapped(here.host), here.port)

    def privilegedStartService(self) -> None:
        """Open the listeners, while ports below 1024 may still be opened. Raises `ConfigError`."""
        super().privilegedStartService()
        if self._ports:
            return
        for text in self.settings.plain:
            self._open("plain", text, self.site, "tcp")

    def startService(self) -> None:
        """Start; opens the listeners if nobody has."""
        self.privilegedStartService()
        super().startService()

    async def _stop(self) -> None:
        ports, self._ports = self._ports, []
        for port, listener in ports:
            self.directory.closed(listener)
            await defer.maybeDeferred(port.stopListening)
        await defer.maybeDeferred(super().stopService)

    def stopService(self) -> defer.Deferred[None]:
        """Close the listeners; fires when they are closed."""
        return defer.Deferred.fromCoroutine(self._stop())

    def _open(self, key: str, text: str, factory: IProtocolFactory, transport: str) -> None:
        outcome: list[Any] = []
        try:
            waiting = serverFromString(self.reactor, text).listen(factory)
        except ValueError as fault:
            raise ConfigError("doorway", key, f"{text!r} is no endpoint ({fault}); write it like tcp:8443") from None
        waiting.addBoth(outcome.append)
        if not outcome or not hasattr(outcome[0], "getHost"):
            reason = outcome[0].value if outcome else "it does not open at once"
            if isinstance(reason, error.CannotListenError):
                reason = reason.socketError
            raise ConfigError("doorway", key, f"{text} cannot be opened: {reason}; free it or choose another")
        here = outcome[0].getHost()
        listener = Listener("web", transport, getattr(here, "host", text), getattr(here, "port", 0))
        self._ports.append((outcome[0], listener))
        self.directory.opened(listener)
