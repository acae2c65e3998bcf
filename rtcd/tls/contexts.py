"""`Contexts`: what OpenSSL needs to show the certificates in service, and to resume sessions across their renewal.

Each certificate has a context of its own. Every connection begins in another one, which outlives renewals: OpenSSL seals
session tickets with the keys of that first context, so a client that comes back after a renewal needs no full handshake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from weakref import ReferenceType, WeakKeyDictionary, ref

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from rtcd.config import ConfigError
from rtcd.tls.authority import names_of
from rtcd.tls.chain import Chain
from rtcd.tls.names import Choice
from rtcd.tls.proof import ALPN

_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


class Terms(Protocol):
    """What is spoken, whatever certificate is shown."""

    @property
    def minimum(self) -> str:
        """The oldest version, ``1.2`` or ``1.3``."""

    @property
    def ciphers(self) -> str:
        """Suites of TLS 1.2 in OpenSSL's words."""


class First:
    """The context in which connections begin: its version and options are theirs, and its ticket keys."""

    def __init__(self, terms: Terms) -> None:
        """Raises `ConfigError`."""
        self._terms = (terms.minimum, terms.ciphers)
        self.context = _plain(terms)

    def serves(self, terms: Terms) -> bool:
        """Whether it may go on being used under these terms."""
        return self._terms == (terms.minimum, terms.ciphers)


class Contexts:
    """One for each chain; the first is shown to whoever asks for nothing else."""

    def __init__(
        self, first: First, chains: Sequence[Chain], terms: Terms, alpn: Callable[[], list[bytes]]
    ) -> None:
        """``alpn`` tells at each handshake which protocols are served, in the order of our liking. Raises `ConfigError`."""
        self._first = first.context
        self._alpn = alpn
        self.choice = Choice([names_of(chain.certificates[0]) for chain in chains])
        self._own_alpn: WeakKeyDictionary[SSL.Connection, list[bytes]] = WeakKeyDictionary()
        """Of connections that are for listeners of their own; Twisted keeps the app data for itself."""
        self._protocols: WeakKeyDictionary[SSL.Connection, ReferenceType[Any]] = WeakKeyDictionary()
        """Who speaks through a connection, and will know where the client has come to when it says hello."""
        self._contexts = [self._make(chain, terms) for chain in chains]

    def connection(self, protocol: Any, alpn: list[bytes] | None) -> SSL.Connection:
        """For Twisted's layer of TLS, if that is who asks; it selects among these protocols if any are named."""
        connection = SSL.Connection(self._first, None)
        connection.set_context(self._contexts[0])
        if alpn is not None:
            self._own_alpn[connection] = alpn
        if protocol is not None and len(self._contexts) > 1:
            self._protocols[connection] = ref(protocol)
        return connection

    def _make(self, chain: Chain, terms: Terms) -> SSL.Context:
        context = _plain(terms)
        show(context, chain)
        context.set_tlsext_servername_callback(self._named)
        context.set_alpn_select_callback(self._select)
        return context

    def _named(self, connection: SSL.Connection) -> None:
        """OpenSSL asks in every handshake, whether the client has named a server or not."""
        name = (connection.get_servername() or b"").decode("ascii", "replace")
        place = self.choice.pick(name, "" if name else self._local_host(connection)) if len(self._contexts) > 1 else 0
        if place:
            connection.set_context(self._contexts[place])

    def _local_host(self, connection: SSL.Connection) -> str:
        held = self._protocols.get(connection)
        transport = getattr(held() if held is not None else None, "transport", None)
        return getattr(transport.getHost(), "host", "") if transport is not None else ""

    def _select(self, connection: SSL.Connection, offered: list[bytes]) -> Any:
        own = self._own_alpn.get(connection)
        for served in self._alpn() if own is None else own:
            if served in offered:
                return served
        if own is None and offered == [ALPN]:
            return ALPN  # who offers nothing else is served nothing else (RFC 8737 §4): the doorway closes it
        return SSL.NO_OVERLAPPING_PROTOCOLS


@implementer(IOpenSSLServerConnectionCreator)
class ProofCreator:
    """Makes connections that show a proof and speak nothing but ``acme-tls/1``; none can be resumed."""

    def __init__(self, chain: Chain) -> None:
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        self._context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
        self._context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        show(self._context, chain)
        self._context.set_alpn_select_callback(
            lambda _, offered: ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS)

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """Twisted asks for a connection."""
        return SSL.Connection(self._context, None)


def show(context: SSL.Context, chain: Chain) -> None:
    """Show this chain. Raises `ConfigError`."""
    try:
        context.use_certificate(chain.certificates[0])
        for intermediate in chain.certificates[1:]:
            context.add_extra_chain_cert(intermediate)
        context.use_privatekey(chain.key)
    except SSL.Error as error:
        raise ConfigError("tls", "cert", f"OpenSSL refuses it: {error}") from None


def _plain(terms: Terms) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_VERSIONS[terms.minimum])
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_id(b"rtcd")
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # clients resume by ticket: nothing is kept here
    try:
        context.set_cipher_list(terms.ciphers.encode("ascii"))
    except (SSL.Error, UnicodeEncodeError):
        raise ConfigError("tls", "ciphers", "OpenSSL knows none of these; leave the key out for the default") from None
    return context
