"""`Doorway`: every stream listener of the daemon, the TLS on them, and the web site behind.

Services meet here: they add web resources by path and stream protocols by ALPN name. Start reading at `switch` for
what happens to a connection, at `http` for what happens to a request.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource

from rtcd.config import ConfigError
from rtcd.doorway.connections import Connections
from rtcd.doorway.directory import Directory, Listener
from rtcd.doorway.http import DoorSite
from rtcd.doorway.listeners import open_listeners
from rtcd.doorway.origin import Authority, client_host, parse_authority, parse_public_url, unmapped
from rtcd.doorway.redirect import CA_PATH, AuthorityFile, Redirect
from rtcd.doorway.settings import DoorwaySettings
from rtcd.doorway.switch import HTTP_ALPN, OuterFactory, PlainFactory, TlsFactory
from rtcd.doorway.tree import Tree
from rtcd.metrics import Metrics
from rtcd.state import StateDirectory
from rtcd.tls.certificates import Certificates
from rtcd.tls.settings import TlsSettings

SERVICE = "web"
"""The name of our listeners in the directory."""


class Doorway(MultiService):
    """The service that owns the web and stream listeners.

    ``directory``: what of the daemon listens where. ``certificates``: the certificate in service; ``site``: the web
    site. Nothing is opened, read or made before the start.
    """

    name = "doorway"
    _log = Logger()

    def __init__(
        self, reactor: Any, settings: DoorwaySettings, tls: TlsSettings, state: StateDirectory, metrics: Metrics
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._settings = settings
        self._public = parse_public_url(settings.public_url) if settings.public_url else None
        self._used = False
        self._tls = False
        self._streams: dict[str, IProtocolFactory] = {}
        self._ports: list[tuple[IListeningPort, Listener]] = []
        self.directory = Directory()
        self.certificates = Certificates(
            reactor, tls, state, metrics,
            alpn=self._alpn, extra_names=[self._public[1].host] if self._public else [],
        )
        self._connections = Connections(reactor, settings, metrics)
        authority = AuthorityFile(lambda: self.certificates.ca_pem)
        self._tree = Tree()
        self._tree.add(CA_PATH, authority)
        redirects = Tree()
        redirects.add("/", Redirect(self._https_origin))
        redirects.add(CA_PATH, authority)
        self.site = DoorSite(reactor, self._tree, settings, metrics)
        self.redirect_site = DoorSite(reactor, redirects, settings, metrics)
        same_port_site = DoorSite(reactor, Redirect(self._same_port_origin), settings, metrics)
        tls_factory = TlsFactory(reactor, self.certificates, self._connections, self._stream)
        self._https = OuterFactory(self._connections, tls_factory, same_port_site)
        self._redirects = PlainFactory(reactor, self._connections, self.redirect_site)
        self._plain = PlainFactory(reactor, self._connections, self.site)

    @property
    def public_origin(self) -> str | None:
        """The configured public origin, or None if there is none."""
        return self._public[1].origin(self._public[0]) if self._public else None

    @property
    def needed(self) -> bool:
        """Whether any service has something behind it, or TLS of its own; a relay for UDP alone has neither."""
        return self._used or self._tls

    def add_child(self, path: str, resource: IResource) -> None:
        """Serve ``resource`` at an absolute path; ``/`` is the fallback that gets every path that is nobody's."""
        self._tree.add(path, resource)
        self._used = True

    def tls(self, *alpn: str) -> IOpenSSLServerConnectionCreator:
        """TLS for stream listeners of a service's own, which serve these protocols: our certificate, as it is at each
        handshake. To be asked for when the service is made; the certificate is loaded before any port opens."""
        self._tls = True
        return self.certificates.creator(*alpn)

    def certificate(self) -> Certificates:
        """The certificate, for a service that speaks what is no stream. To be asked for when the service is made; it is
        loaded before any port opens."""
        self._tls = True
        return self.certificates

    def add_stream(self, alpn: str, factory: IProtocolFactory, *, opens: bool = True) -> None:
        """Give connections that negotiate this ALPN name inside TLS to ``factory``.

        The one named ``stun.turn`` also gets those that begin with a STUN message without having said ALPN.
        ``opens``: whether it is a reason to open the web listeners, or takes part only where they are open anyway.
        """
        if alpn in self._streams or alpn == HTTP_ALPN:
            raise ValueError(f"{alpn} is served already")
        self._streams[alpn] = factory
        self._used = self._used or opens

    def origin(self, request: IRequest) -> str:
        """The origin that the browser sees, such as ``https://192.0.2.1:8443``."""
        scheme, authority = self._seen(request)
        return authority.origin(scheme)

    def public_host(self, request: IRequest) -> str:
        """The host of `origin`, ready for a URL: an IPv6 address is in brackets."""
        return self._seen(request)[1].bracketed

    def client_host(self, request: Any) -> str:
        """The host that a request comes from; behind a proxy on this machine, the one that the proxy names."""
        peer = getattr(request.getClientAddress(), "host", "")
        forwarded = request.requestHeaders.getRawHeaders("x-forwarded-for")
        return client_host(peer, request.isSecure(), ", ".join(forwarded or ()))

    def reload(self) -> bool:
        """Read the certificate again (SIGHUP), for new connections; False if the old one had to stay."""
        return self.certificates.reload()

    def privilegedStartService(self) -> None:
        """Open the listeners, while ports below 1024 may still be opened. Raises `ConfigError`."""
        super().privilegedStartService()
        if self._ports:
            return
        only_tls = self._tls and not self._used
        if not (only_tls or self._settings.https or self._settings.plain):
            raise ConfigError("doorway", "https", "there is no listener for the services behind it; add tcp:8443")
        if self._tls or self._settings.https:
            self.certificates.load()
            if self.certificates.parent is None:
                self.certificates.setServiceParent(self)
        if only_tls:
            return
        self._connections.reopen()
        try:
            self._open("https", self._settings.https, self._https, "tls")
            self._open("http", self._settings.http, self._redirects, "tcp")
            self._open("plain", self._settings.plain, self._plain, "tcp")
        except BaseException:
            self._close_ports()
            raise

    def startService(self) -> None:
        """Start; opens the listeners if nobody has."""
        self.privilegedStartService()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Close the listeners, then the open connections; fires when all are closed."""
        return Deferred.fromCoroutine(self._stop())

    def shut(self) -> Deferred[None]:
        """Take no more connections in; those that are open go on. Fires when the listeners are closed."""
        return Deferred.fromCoroutine(self._shut())

    async def _shut(self) -> None:
        for closed in self._close_ports():
            await closed

    async def _stop(self) -> None:
        await self._shut()
        await self._connections.close_all()
        await maybeDeferred(super().stopService)

    def _open(self, key: str, endpoints: tuple[str, ...], factory: IProtocolFactory, transport: str) -> None:
        for text in endpoints:
            for port in open_listeners(self._reactor, key, text, factory):
                here: Any = port.getHost()
                listener = Listener(SERVICE, transport, getattr(here, "host", text), getattr(here, "port", 0))
                self._ports.append((port, listener))
                self.directory.opened(listener)

    def _close_ports(self) -> list[Deferred[Any]]:
        ports, self._ports = self._ports, []
        for _, listener in ports:
            self.directory.closed(listener)
        return [maybeDeferred(port.stopListening) for port, _ in ports]

    def _alpn(self) -> list[bytes]:
        return [*(name.encode() for name in self._streams), HTTP_ALPN.encode()]

    def _stream(self, alpn: str) -> IProtocolFactory | None:
        return self.site if alpn == HTTP_ALPN else self._streams.get(alpn)

    def _seen(self, request: IRequest) -> tuple[str, Authority]:
        if self._public is not None:
            return self._public
        return ("https" if request.isSecure() else "http"), _asked(request)

    def _https_origin(self, request: IRequest) -> str:
        if self.public_origin is not None:
            return self.public_origin
        opened = [one.port for one in self.directory.listeners(SERVICE) if one.transport == "tls"]
        return Authority(_asked(request).host, opened[0] if opened else None).origin("https")

    def _same_port_origin(self, request: IRequest) -> str:
        if self.public_origin is not None:
            return self.public_origin
        asked = _asked(request)
        return Authority(asked.host, asked.port or getattr(request.getHost(), "port", None)).origin("https")


def _asked(request: Any) -> Authority:
    """What the browser says that it asked, if it says so properly; otherwise the address it came to."""
    try:
        return parse_authority((request.getHeader(b"host") or b"").decode("ascii"))
    except ValueError:
        here = request.getHost()
        return Authority(unmapped(getattr(here, "host", "localhost")), getattr(here, "port", None))
