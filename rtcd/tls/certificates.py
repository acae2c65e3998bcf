"""`Certificates`: the certificates that all TLS of this daemon shows, and their renewal without a restart.

They come from the operator's files, from an authority by ACME, or from the local one, as ``[tls] mode`` says; by ACME there
is the local one besides, until the first is issued and for the names that it is not for. Files are looked at every few
seconds. When anything changes, new TLS contexts are built for new connections, and open ones go on with the old. What cannot
be loaded is refused: at the start the daemon says so and ends, later the certificate in service stays.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from rtcd.config import ConfigError, changes
from rtcd.machine import own_addresses, primary_address
from rtcd.metrics import Metrics
from rtcd.state import StateDirectory
from rtcd.tls import files
from rtcd.tls.authority import DAY_S, fingerprint, names_of
from rtcd.tls.chain import Chain, Unreadable, parse_chain
from rtcd.tls.contexts import Contexts, First
from rtcd.tls.local import LocalAuthority, Machine, MachineNames
from rtcd.tls.names import covers, is_address
from rtcd.tls.settings import TlsSettings
from rtcd.tls.trust import publicly_trusted

POLL_S = 10.0
"""How often the operator's certificate files are looked at."""
WARN_DAYS = 14
"""An own certificate with fewer days left is warned about every day: whatever renews it has not."""
_STRANGER = ("is signed by itself, or by an authority that browsers do not know: devices have to be told to trust it, and "
             "the phone apps refuse it")
ISSUED = "acme.pem"
"""Where a certificate that was issued by ACME is kept in the state directory, with its chain and then its key."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    chains: tuple[Chain, ...]
    ca_pem: bytes | None
    contexts: Contexts


@implementer(IOpenSSLServerConnectionCreator)
class Certificates(Service):
    """Makes TLS connections with the certificates that are current.

    ``alpn`` is asked at each handshake which protocols are served, in the order of our liking.
    ``hosts`` are the names by which browsers come here, those that own files have to be for are ``required``.
    ``machine_names`` tells how the machine can be known.
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
        hosts: Iterable[str] = (),
        required: Iterable[str] = (),
        machine_names: MachineNames = lambda: Machine(socket.gethostname(), own_addresses(), primary_address()),
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._state = state
        self._alpn = alpn
        self._hosts = tuple(hosts)
        self._required = tuple(required)
        self._local = LocalAuthority(state, machine_names)
        self._first: First | None = None
        self._loops: list[LoopingCall] = []
        self._seen: list[files.State | None] = []
        """The state of the files when they were last read; empty if they could not be, so that the next poll does."""
        self._told = ""
        """Why they could not be."""
        self._loaded: _Loaded | None = None
        self._trusted: dict[Chain, bool] = {}
        """Of those that were read; nobody but those who were told to trusts the local one."""
        metrics.gauge("doorway", "certificate_days_left", "Days until the certificate expires.", self.days_left)
        metrics.gauge("doorway", "certificate_expiry_timestamp_seconds",
                      "When the first of the certificates in service expires, in Unix time; NaN if there is none.",
                      lambda: min((one.expires_at() for one in self.chains), default=math.nan))
        metrics.gauge("doorway", "certificate_start_timestamp_seconds",
                      "From when on that one is valid, in Unix time; NaN if there is none.",
                      lambda: min(((one.expires_at(), one.starts_at()) for one in self.chains), default=(0, math.nan))[1])
        self._reloads = {
            result: metrics.counter("doorway", "certificate_loads", "Certificate loads after the start.", result=result)
            for result in ("taken", "refused")
        }

    @property
    def chains(self) -> tuple[Chain, ...]:
        """The certificates in service, the default one first; none before `load`."""
        return self._loaded.chains if self._loaded is not None else ()

    @property
    def chain(self) -> Chain | None:
        """The default one of them."""
        return self._loaded.chains[0] if self._loaded is not None else None

    @property
    def ca_pem(self) -> bytes | None:
        """The local authority, or None if nothing that it has signed is in service."""
        return self._loaded.ca_pem if self._loaded is not None else None

    @property
    def names(self) -> tuple[str, ...]:
        """Host names and addresses that there is a certificate for."""
        return tuple(sorted({name for chain in self.chains for name in names_of(chain.certificates[0])}))

    @property
    def issued(self) -> bool:
        """Whether the certificate is one that an authority is to be asked for, and not a file of the operator's."""
        return self._settings.mode == "acme" or (self._settings.mode == "auto" and not self._settings.own_files)

    @property
    def minimum(self) -> str:
        """The oldest TLS version that is accepted, ``1.2`` or ``1.3``."""
        return self._settings.minimum

    @property
    def ciphers(self) -> str:
        """TLS 1.2 cipher suites in OpenSSL's words."""
        return self._settings.ciphers

    @property
    def settings(self) -> TlsSettings:
        """Those in force."""
        return self._settings

    def days_left(self) -> float:
        """Days until the default certificate expires; 0 before there is one."""
        return self.chain.days_left(self._reactor.seconds()) if self.chain is not None else 0.0

    def shown(self, host: str) -> Chain | None:
        """The certificate that who comes to this host sees; None before `load`."""
        if self._loaded is None:
            return None
        name, address = ("", host) if is_address(host) else (host, "")
        return self._loaded.chains[self._loaded.contexts.choice.pick(name, address)]

    def trusted(self, host: str) -> bool:
        """Whether everybody's browser trusts what we show as this host."""
        chain = self.shown(host)
        return chain is not None and self._trusted.get(chain, False) and covers(names_of(chain.certificates[0]), host)

    def load(self) -> None:
        """Load or make the certificates, if that has not been done. Raises `ConfigError`."""
        if self._loaded is None:
            self._put(self._load(self._settings), self._settings)
            if self.ca_pem is not None:
                self._log.info("the local certificate authority has the SHA-256 fingerprint {fingerprint}",
                               fingerprint=fingerprint(self.ca_pem))

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """Twisted asks for a connection: it gets one with the current certificate."""
        return self.connection(None, protocol)

    def connection(self, alpn: list[bytes] | None, protocol: Any = None) -> SSL.Connection:
        """One with the current certificate, which selects among these protocols if any are named. ``protocol`` will know
        which address the client has come to."""
        if self._loaded is None:
            raise RuntimeError("no certificate was loaded")
        return self._loaded.contexts.connection(protocol, alpn)

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
            if loop.running:  # one that has failed has ended
                loop.stop()
        return super().stopService()  # type: ignore[no-any-return]  # Twisted has no annotation here

    def reload(self) -> bool:
        """Load the certificates again, for new connections. False if they are refused: then the old ones stay."""
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

    def take_issued(self) -> bool:
        """Take a certificate into service that was put into the state directory; False if it cannot be, and says so."""
        try:
            self._read_issued(self._reactor.seconds())
        except ConfigError as error:
            self._reloads["refused"].value += 1
            self._log.warn("{reason}; the certificate in service stays", reason=str(error))
            return False
        return self.reload()

    def reconfigure(self, old: TlsSettings, new: TlsSettings) -> tuple[str, ...]:
        """Take over changed ``[tls]`` settings; all keys can be. Raises `ConfigError`, and then nothing has changed."""
        self._take(new)
        self._settings = new
        return tuple(changes(old, new))

    def _take(self, settings: TlsSettings) -> None:
        if self._loaded is None:  # nothing here uses TLS, so there is nothing to replace
            return
        before = [one.certificates for one in self._loaded.chains]
        self._put(self._load(settings), settings)
        now = self._reactor.seconds()
        fresh = [one for one in self.chains if one.certificates not in before]
        if fresh or len(before) != len(self.chains):
            self._reloads["taken"].value += 1
        for chain in fresh:
            self._log.info(
                "new certificate in service for {names}, {days} days left",
                names=", ".join(names_of(chain.certificates[0])), days=round(chain.days_left(now), 1),
            )

    def _put(self, loaded: _Loaded, settings: TlsSettings) -> None:
        """Into service; what is wrong with a file is told once for each certificate, whatever is loaded again."""
        known = [one.certificates for one in self.chains]
        self._loaded = loaded
        now = self._reactor.seconds()
        self._trusted = {chain: publicly_trusted(chain, now) for chain in loaded.chains if chain.origin}
        for chain in loaded.chains if settings.own_files else ():
            if chain.certificates not in known:
                for warning in chain.warnings or (() if self._trusted[chain] else (_STRANGER,)):
                    self._log.warn("[tls] cert: {path}: {reason}", path=chain.origin, reason=warning)

    def _load(self, settings: TlsSettings) -> _Loaded:
        self._seen = files.look(settings)  # before reading: what changes meanwhile is seen by the next poll
        now = self._reactor.seconds()
        ca_pem = None
        if settings.own_files:
            chains = files.load(settings, self._required, self.chains, now)
        else:
            local = self._local.load([*self._hosts, *settings.names], now)
            chains, ca_pem = [local.chain], local.ca_pem
            if settings.mode != "local":
                try:
                    chains[:0] = self._read_issued(now)
                except ConfigError as error:
                    self._log.warn("{reason}; it is not used", reason=str(error))
        main = self._hosts[0] if self._hosts else ""
        chains.sort(key=lambda chain: not covers(names_of(chain.certificates[0]), main))  # stable: else the first
        if self._first is None or not self._first.serves(settings):
            self._first = First(settings)
        return _Loaded(tuple(chains), ca_pem, Contexts(self._first, chains, settings, self._alpn))

    def _read_issued(self, now: float) -> list[Chain]:
        pem, path = self._state.read(ISSUED), self._state.path(ISSUED)
        return [] if pem is None else [parse_chain(path, pem, path, pem, None, now)]

    def _poll(self) -> None:
        seen = files.look(self._settings)
        if seen != self._seen:
            self._seen = seen
            self.reload()

    def _daily(self) -> None:
        self._first = None  # the keys of session tickets live for a day
        self.reload()
        for chain in self.chains if self._settings.own_files else ():
            days = chain.days_left(self._reactor.seconds())
            if days < WARN_DAYS:
                self._log.warn("[tls] cert: {path} expires in {days} days; renew it", path=chain.origin, days=int(days))


@implementer(IOpenSSLServerConnectionCreator)
class Creator:
    """Makes TLS connections with the certificate that is current, for listeners that serve protocols of their own."""

    def __init__(self, certificates: Certificates, alpn: list[bytes]) -> None:
        self._certificates = certificates
        self._alpn = alpn

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """See Certificates."""
        return self._certificates.connection(self._alpn, protocol)
