"""`Certificates`: the one certificate that all TLS of this daemon shows, and its renewal without a restart.

The operator's own files, or a server certificate of the local authority. Files are looked at every few seconds; when
they change, a new TLS context is built and used for new connections, and open ones go on with the old. What cannot
be loaded is refused: at the start the daemon says so and ends, later the certificate in service stays.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from OpenSSL import SSL
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from rtcd.config import ConfigError
from rtcd.machine import own_addresses
from rtcd.metrics import Metrics
from rtcd.state import StateDirectory
from rtcd.tls.authority import DAY_S, fits, issue, make_authority, names_of, read_pair, wanted_names
from rtcd.tls.chain import Chain, Unreadable, load_chain
from rtcd.tls.settings import TlsSettings

POLL_S = 10.0
"""How often the operator's certificate files are looked at."""
WARN_DAYS = 14
"""An own certificate with fewer days left is warned about every day: whatever renews it has not."""

_AUTHORITY = ("ca.crt", "ca.key")
_SERVER = ("server.crt", "server.key")
_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
_MTime = tuple[int, int, int]


def host_name() -> str:
    """This machine's own name."""
    return socket.gethostname()


@implementer(IOpenSSLServerConnectionCreator)
class Certificates(Service):
    """Makes TLS connections with the certificate that is current.

    ``alpn`` is asked at each handshake which protocols are served, in the order of our liking.
    ``extra_names`` are further names of this daemon. ``machine_names`` tells name and addresses of the machine.
    """

    name = "certificates"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: TlsSettings,
        state: StateDirectory,
        metrics: Metrics,
        *,
        alpn: Callable[[], list[bytes]],
        extra_names: Iterable[str] = (),
        machine_names: Callable[[], tuple[str, list[str]]] = lambda: (host_name(), own_addresses()),
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._state = state
        self._alpn = alpn
        self._extra_names = tuple(extra_names)
        self._machine_names = machine_names
        self._own_alpn: WeakKeyDictionary[SSL.Connection, list[bytes]] = WeakKeyDictionary()
        """Of connections that are for listeners of their own; Twisted keeps the app data for itself."""
        self._loops: list[LoopingCall] = []
        self._seen: list[_MTime | None] = []
        """The state of the files when they were last read; empty if they could not be, so that the next poll does."""
        self._told = ""
        """Why they could not be."""
        self.ca_pem: bytes | None = None
        """The local CA, or None while the operator's own files are used."""
        self.chain: Chain | None = None
        """The certificate in service and its intermediates; None before `load`."""
        self._context: SSL.Context | None = None
        metrics.gauge("doorway", "certificate_days_left", "Days until the certificate expires.", self.days_left)
        self._reloads = {
            result: metrics.counter("doorway", "certificate_loads", "Certificate loads after the start.", result=result)
            for result in ("taken", "refused")
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Host names and addresses that the certificate in service is for."""
        return names_of(self.chain.certificates[0]) if self.chain is not None else ()

    @property
    def minimum(self) -> str:
        """The oldest TLS version that is accepted, ``1.2`` or ``1.3``."""
        return self._settings.minimum

    @property
    def ciphers(self) -> str:
        """TLS 1.2 cipher suites in OpenSSL's words."""
        return self._settings.ciphers

    def days_left(self) -> float:
        """Days until the certificate in service expires; 0 before there is one."""
        return self.chain.days_left(self._reactor.seconds()) if self.chain is not None else 0.0

    def load(self) -> None:
        """Load or make the certificate, if that has not been done. Raises `ConfigError`."""
        if self.chain is None:
            self.chain, self._context = self._load(self._settings)

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """Twisted asks for a connection: it gets one with the current certificate."""
        return self.connection(None)

    def connection(self, alpn: list[bytes] | None) -> SSL.Connection:
        """One with the current certificate, which selects among these protocols if any are named."""
        if self._context is None:
            raise RuntimeError("no certificate was loaded")
        connection = SSL.Connection(self._context, None)
        if alpn is not None:
            self._own_alpn[connection] = alpn
        return connection

    def creator(self, *alpn: str) -> Creator:
        """The same for listeners of their own, which serve these protocols and not those of the HTTPS port."""
        return Creator(self, [one.encode() for one in alpn])

    def startService(self) -> None:
        """Begin to watch files and dates. Raises `ConfigError` if there is no certificate to begin with."""
        self.load()
        super().startService()
        for every, look in ((POLL_S, self._poll), (float(DAY_S), self._daily)):
            loop = LoopingCall(look)
            loop.clock = self._reactor
            loop.start(every, now=False).addErrback(lambda fault: self._log.failure("the watch ended", fault))
            self._loops.append(loop)

    def stopService(self) -> Deferred[None] | None:
        """Stop watching."""
        loops, self._loops = self._loops, []
        for loop in loops:
            loop.stop()
        return super().stopService()  # type: ignore[no-any-return]  # Twisted has no annotation here

    def reload(self) -> bool:
        """Load the certificate again, for new connections. False if it is refused: then the old one stays."""
        try:
            self._take(self._settings)
        except ConfigError as error:
            told, self._told = self._told, ""
            if isinstance(error, Unreadable):
                self._seen, self._told = [], str(error)
                if told == self._told:
                    return False
            self._reloads["refused"].value += 1
            self._log.warn("{reason}; the certificate in service stays", reason=str(error))
            return False
        self._told = ""
        return True

    def reconfigure(self, old: TlsSettings, new: TlsSettings) -> tuple[str, ...]:
        """Take over changed ``[tls]`` settings; all keys can be. Raises `ConfigError`, and then nothing has changed."""
        self._take(new)
        self._settings = new
        return ("cert", "key", "key-password", "names", "minimum", "ciphers")

    def _take(self, settings: TlsSettings) -> None:
        if self.chain is None:  # nothing here uses TLS, so there is nothing to replace
            return
        before = self.chain
        self.chain, self._context = self._load(settings)
        if self.chain.certificates != before.certificates:
            self._reloads["taken"].value += 1
            self._log.info(
                "new certificate in service for {names}, {days} days left",
                names=", ".join(self.names), days=int(self.days_left()),
            )

    def _load(self, settings: TlsSettings) -> tuple[Chain, SSL.Context]:
        self._seen = self._look(settings)  # before reading: what changes meanwhile is seen by the next poll
        now = self._reactor.seconds()
        if settings.cert and settings.key:
            chain = load_chain(Path(settings.cert), Path(settings.key), settings.key_password, now)
            for warning in chain.warnings:
                self._log.warn("[tls] cert: {path}: {reason}", path=settings.cert, reason=warning)
            context = self._build(chain, settings)
            self.ca_pem = None
            return chain, context
        chain, ca_pem = self._local(settings, now)
        context = self._build(chain, settings)
        self.ca_pem = ca_pem
        return chain, context

    def _local(self, settings: TlsSettings, now: float) -> tuple[Chain, bytes]:
        name, addresses = self._machine_names()
        authority = self._pair(_AUTHORITY)
        if authority is None or authority.days_left(now) < 1:
            authority = make_authority(name, now)
            self._keep(_AUTHORITY, authority.certificate_pem(), authority.key_pem())
            self._log.info("made a local certificate authority: {path}", path=str(self._state.path(_AUTHORITY[0])))
        names = wanted_names(name, addresses, [*settings.names, *self._extra_names])
        server = self._pair(_SERVER)
        if server is None or not fits(server, authority, names, now):
            server = issue(authority, names, now)
            self._keep(_SERVER, server.certificate_pem(), server.key_pem())
            self._log.info("made a local certificate for {names}", names=", ".join(names))
        return Chain((server.certificate,), server.key), authority.certificate_pem()

    def _pair(self, names: tuple[str, str]) -> Any:
        held = [self._state.read(name) for name in names]
        if held[0] is None or held[1] is None:
            return None
        try:
            return read_pair(held[0], held[1])
        except (ValueError, TypeError) as error:
            self._log.warn("{path} is made again: {reason}", path=str(self._state.path(names[0])), reason=str(error))
            return None

    def _keep(self, names: tuple[str, str], certificate: bytes, key: bytes) -> None:
        self._state.write(names[1], key)
        self._state.write(names[0], certificate)

    def _build(self, chain: Chain, settings: TlsSettings) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(_VERSIONS[settings.minimum])
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_session_id(b"rtcd")
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # clients resume by ticket: nothing is kept here
        try:
            context.set_cipher_list(settings.ciphers.encode("ascii"))
        except (SSL.Error, UnicodeEncodeError):
            raise ConfigError("tls", "ciphers", "OpenSSL knows none of these; leave the key out for the default") from None
        try:
            context.use_certificate(chain.certificates[0])
            for intermediate in chain.certificates[1:]:
                context.add_extra_chain_cert(intermediate)
            context.use_privatekey(chain.key)
        except SSL.Error as error:
            raise ConfigError("tls", "cert", f"OpenSSL refuses it: {error}") from None
        context.set_alpn_select_callback(self._select)
        return context

    def _select(self, connection: SSL.Connection, offered: list[bytes]) -> Any:
        own = self._own_alpn.get(connection)
        for served in self._alpn() if own is None else own:
            if served in offered:
                return served
        return SSL.NO_OVERLAPPING_PROTOCOLS

    def _poll(self) -> None:
        seen = self._look(self._settings)
        if seen != self._seen:
            self._seen = seen
            self.reload()

    def _daily(self) -> None:
        if not self._settings.cert:
            self.reload()
        elif self.days_left() < WARN_DAYS:
            self._log.warn(
                "[tls] cert: {path} expires in {days} days; renew it",
                path=self._settings.cert, days=int(self.days_left()),
            )

    @staticmethod
    def _look(settings: TlsSettings) -> list[_MTime | None]:
        found: list[_MTime | None] = []
        for path in (settings.cert, settings.key):
            try:
                status = Path(path).stat() if path else None
            except (OSError, ValueError):
                status = None
            found.append(None if status is None else (status.st_mtime_ns, status.st_ino, status.st_size))
        return found


@implementer(IOpenSSLServerConnectionCreator)
class Creator:
    """Makes TLS connections with the certificate that is current, for listeners that serve protocols of their own."""

    def __init__(self, certificates: Certificates, alpn: list[bytes]) -> None:
        self._certificates = certificates
        self._alpn = alpn

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """See Certificates."""
        return self._certificates.connection(self._alpn)
