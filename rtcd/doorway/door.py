"""`Doorway`: every stream listener of the daemon, the TLS on them, and the web site behind.

Services meet here: they add web resources by path and stream protocols by ALPN name. Start reading at `switch` for
what happens to a connection, at rtcd.site.http for what happens to a request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource

from rtcd.acme.settings import AcmeSettings
from rtcd.doorway.connections import Connections
from rtcd.doorway.directory import Directory, Listener
from rtcd.doorway.layers import PlainFactory, TlsFactory
from rtcd.doorway.listeners import open_listeners
from rtcd.doorway.renewal import Renewal
from rtcd.doorway.settings import DoorwaySettings
from rtcd.doorway.switch import HTTP_ALPN, InnerSwitch, OuterFactory
from rtcd.doorway.visits import SERVICE, Visits, tls_listeners
from rtcd.front.forwarded import Header
from rtcd.front.front import Front
from rtcd.front.origin import Base, is_loopback
from rtcd.front.proxied import ProxyFactory
from rtcd.metrics import Metrics
from rtcd.ranges import parse_ranges
from rtcd.served import prefix_taken
from rtcd.site.http import DoorSite, frame_rule
from rtcd.site.install import Install
from rtcd.site.redirect import CA_PATH, INSTALL_PATH, PROFILE_PATH, AuthorityFile, AuthorityProfile, Redirect
from rtcd.site.tree import Tree
from rtcd.state import StateDirectory
from rtcd.tls.authority import fingerprint
from rtcd.tls.certificates import Certificates
from rtcd.tls.settings import TlsSettings
from rtcd.together import no_listener, no_tls


class Doorway(MultiService):
    """The service that owns the web and stream listeners.

    ``directory``: what of the daemon listens where. ``certificates``: the certificates in service; ``site``: the web
    site. Nothing is opened, read or made before the start.
    """

    name = "doorway"
    _log = Logger()

    def __init__(
        self, reactor: Any, settings: DoorwaySettings, tls: TlsSettings, state: StateDirectory, metrics: Metrics,
        acme: AcmeSettings | None = None,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._settings = settings
        self._front = Front(settings)
        self._state = state
        self._used = False
        self._tls = False
        self._inner: tuple[str, IProtocolFactory] | None = None
        self._inner_port: Any = None
        self._streams: dict[str, IProtocolFactory] = {}
        self._plain_streams: dict[str, IProtocolFactory] = {}
        self._ports: list[tuple[IListeningPort, Listener]] = []
        self.directory = Directory()
        hosts = [self.public.authority.host] if self.public is not None else []
        self.certificates = Certificates(reactor, tls, state, metrics, alpn=self._alpn, hosts=hosts,
                                         required=hosts if settings.https else [])
        self._connections = Connections(reactor, settings, metrics)
        self.renewal = Renewal(
            reactor, acme or AcmeSettings(), state, metrics, self.certificates, self._connections, hosts,
            lambda: [one for one in self.directory.listeners(SERVICE) if one.transport in ("tls", "tcp")],
            behind=not settings.https)
        self._visits = visits = Visits(reactor, self._front, self.directory, self.certificates)
        self._tree, redirects = Tree(), Tree()
        for tree in (self._tree, redirects):
            tree.add(CA_PATH, AuthorityFile(lambda: self.certificates.ca_pem))
            tree.add(PROFILE_PATH, AuthorityProfile(lambda: self.certificates.ca_pem))
            tree.add(INSTALL_PATH, Install(
                visits.local_authority, visits.trusted, lambda request: visits.https(request).url, visits.may_draw))
            tree.add(*self.renewal.resource)
        redirects.add("/", Redirect(visits.https))
        self.site = DoorSite(reactor, self._tree, settings, metrics, inside=self._inside, more_headers=visits.secure_headers)
        self.redirect_site = DoorSite(reactor, redirects, settings, metrics, inside=self._inside)
        self._factories = self._make_factories(settings, metrics)

    @property
    def public(self) -> Base | None:
        """The configured public URL, or None if there is none."""
        return self._front.public

    @property
    def fingerprint(self) -> str:
        """Of the local authority, if that is whose certificate is shown by default; else an empty text."""
        chain, pem = self.certificates.chain, self.certificates.ca_pem
        return fingerprint(pem) if chain is not None and not chain.origin and pem is not None else ""

    @property
    def needed(self) -> bool:
        """Whether any service has something behind it, or TLS of its own; a relay for UDP alone has neither."""
        return self._used or self._tls

    @property
    def frame_rule(self) -> str:
        """For a content security policy: who may show us in a frame."""
        return frame_rule(self._settings.frame_ancestors)

    def add_child(self, path: str, resource: IResource, *, opens: bool = True) -> None:
        """Serve ``resource`` at an absolute path; ``/`` is the fallback that gets every path that is nobody's.

        ``opens``: whether it is a reason to open the web listeners, or takes part only where they are open anyway.
        """
        self._tree.add(path, resource)
        self._used = self._used or opens

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

    def add_stream(
        self, alpn: str, factory: IProtocolFactory, *, plain: IProtocolFactory | None = None, opens: bool = True
    ) -> None:
        """Give connections that negotiate this ALPN name inside TLS to ``factory``.

        The one named ``stun.turn`` also gets those that begin with a STUN message without having said ALPN, and its
        ``plain`` those that do so without TLS.
        ``opens``: whether it is a reason to open the web listeners, or takes part only where they are open anyway.
        """
        if alpn in self._streams or alpn == HTTP_ALPN:
            raise ValueError(f"{alpn} is served already")
        self._streams[alpn] = factory
        if plain is not None:
            self._plain_streams[alpn] = plain
        self._used = self._used or opens

    def base(self, request: IRequest) -> Base:
        """Where the site begins for the browser: scheme, host and port, and a path prefix if there is one."""
        return self._front.base(request)

    def secure(self, request: IRequest) -> bool:
        """Whether a request has come by HTTPS, whatever the public URL says; behind a trusted proxy, as the proxy says."""
        return self._front.secure(request)

    def client_host(self, request: IRequest) -> str:
        """The host that a request comes from; behind a trusted proxy, the one that the proxy names."""
        return self._front.client_host(request)

    def client_of(self, peer: str, secure: bool, header: Header) -> str:
        """The same for what is no request; see `Front`."""
        return self._front.client_of(peer, secure, header)

    def local_authority(self, request: IRequest) -> bytes | None:
        """The local authority as PEM, if what this visitor sees is signed by it."""
        return self._visits.local_authority(request)

    def stream_ports(self, request: IRequest, alpn: str, *, elsewhere: bool = False) -> dict[str, int]:
        """At which port of ours the client of this request finds a stream protocol, by ``tls`` and by ``tcp``; by ``udp`` it
        is the same, unless a proxy for TCP is in front.

        The port as the client sees it where it has come to our TLS itself; that of our listener where it has not, or where
        it is told another host (``elsewhere``). Empty where we have no such listener, or the protocol is nobody's.
        """
        direct = self._front.direct(request)
        ports = [one.port for one in tls_listeners(self.directory.listeners(SERVICE)) if direct or not is_loopback(one.host)]
        if not ports or alpn not in self._streams:
            return {}
        port = self.base(request).port if direct and not elsewhere else ports[0]
        found = {"tls": port} if self._settings.proxy_from else {"tls": port, "udp": port}
        return found | ({"tcp": port} if alpn in self._plain_streams else {})

    def take_inner(self, path: str, inner: Callable[[DoorSite], IProtocolFactory]) -> None:
        """Serve the site at this unix socket too, to other processes of this daemon. ``inner`` makes the factory of it."""
        own = Metrics()  # whatever comes here was counted where it came in
        self._inner = path, inner(DoorSite(
            self._reactor, self._tree, self._settings, own, inside=self._inside, more_headers=self._visits.secure_headers))

    def may_shake(self, host: str) -> bool:
        """Whether this host may make us do the work of another TLS handshake now; all listeners count together."""
        return self._connections.may_shake(host)

    def reload(self) -> bool:
        """Read the certificate again (SIGHUP), for new connections; False if the old one had to stay."""
        return self.certificates.reload()

    def privilegedStartService(self) -> None:
        """Open the listeners, while ports below 1024 may still be opened. Raises `ConfigError`."""
        super().privilegedStartService()
        if self._ports:
            return
        only_tls = self._tls and not self._used and not self.renewal.demanded
        if not (only_tls or self._settings.https or self._settings.plain):
            raise no_listener()
        self._check_prefix()
        if self.renewal.demanded and not (self._tls or self._settings.https):
            raise no_tls()
        if self._tls or self._settings.https:
            self.certificates.load()
            if self.certificates.parent is None:
                self.certificates.setServiceParent(self)
        if only_tls:
            return
        self._connections.reopen()
        try:
            for key, endpoints, transport in (("https", self._settings.https, "tls"), ("http", self._settings.http, "tcp"),
                                              ("plain", self._settings.plain, "tcp")):
                self._open(key, endpoints, self._factories[key], transport)
        except BaseException:
            self._close_ports()
            raise
        if self._inner is not None:
            self._open_inner(*self._inner)
        if (self._tls or self._settings.https) and self.renewal.parent is None:
            self.renewal.setServiceParent(self)

    def startService(self) -> None:
        """Start; opens the listeners if nobody has."""
        self.privilegedStartService()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Close the listeners, then the open connections; fires when all are closed."""
        return Deferred.fromCoroutine(self._stop())

    def shut(self) -> Deferred[None]:
        """Take no more connections in; those that are open go on. Fires when the listeners are closed; with inherited
        sockets when those who have just come have got what they asked for, since a second later all would have gone well."""
        return Deferred.fromCoroutine(self._shut())

    async def _shut(self) -> None:
        ports = self._close_ports()
        for closed in ports:
            await closed
        if ports and self._handed:
            self._log.info("takes no more connections in, which wait for the next daemon; who is just beginning is served")
            await self._connections.settled()

    @property
    def _handed(self) -> bool:
        """Whether somebody holds our sockets, so that whom we do not serve any more another daemon does."""
        settings = self._settings
        return any(one.startswith("systemd:") for one in (*settings.https, *settings.http, *settings.plain))

    async def _stop(self) -> None:
        await self._shut()
        await self._connections.close_all()
        await maybeDeferred(super().stopService)

    def _make_factories(self, settings: DoorwaySettings, metrics: Metrics) -> dict[str, IProtocolFactory]:
        table = self._connections
        tls = TlsFactory(self._reactor, self.certificates, table, lambda: InnerSwitch(table, self._stream))
        same_port = DoorSite(self._reactor, Redirect(self._visits.same_port), settings, metrics, inside=self._inside)
        found: dict[str, IProtocolFactory] = {
            "https": OuterFactory(table, tls, same_port, self._plain_streams.get, self.renewal),
            "http": PlainFactory(self._reactor, table, self.redirect_site),
            "plain": PlainFactory(self._reactor, table, self.site),
        }
        proxies = parse_ranges(settings.proxy_from)
        if not proxies:
            return found
        return {key: ProxyFactory(self._reactor, proxies, one, table.unproxied) for key, one in found.items()}

    def _inside(self, request: Any) -> bytes:
        """The path that is meant. A prefix that is told, and begins like a path of ours, is taken to be off already."""
        base, path = self.base(request), bytes(request.path)
        if not base.prefix or (self.public is None and self._tree.knows(base.prefix)):
            return path
        return base.inside(path.decode("latin-1")).encode("latin-1")

    def _check_prefix(self) -> None:
        prefix = self.public.prefix if self.public is not None else ""
        if prefix and self._tree.knows(prefix):
            raise prefix_taken(prefix)

    def _open(self, key: str, endpoints: Sequence[str], factory: IProtocolFactory, transport: str) -> None:
        for text in endpoints:
            for port in open_listeners(self._reactor, key, text, factory):
                here: Any = port.getHost()
                listener = Listener(SERVICE, transport, getattr(here, "host", text), getattr(here, "port", 0))
                self._ports.append((port, listener))
                self.directory.opened(listener)

    def _open_inner(self, path: str, factory: IProtocolFactory) -> None:
        """No connection of it is counted: all are ours."""
        listen_alone = getattr(self._reactor, "listen_alone", self._reactor.listenUNIX)
        Path(path).unlink(missing_ok=True)
        self._inner_port = listen_alone(path, factory, mode=0o600)
        self._state.own(path)

    def _close_ports(self) -> list[Deferred[Any]]:
        ports, self._ports = self._ports, []
        inner, self._inner_port = self._inner_port, None
        if inner is not None:
            inner.stopListening()
        for _, listener in ports:
            self.directory.closed(listener)
        return [maybeDeferred(port.stopListening) for port, _ in ports]

    def _alpn(self) -> list[bytes]:
        return [*(name.encode() for name in self._streams), HTTP_ALPN.encode()]

    def _stream(self, alpn: str) -> IProtocolFactory | None:
        return self.site if alpn == HTTP_ALPN else self._streams.get(alpn)
