"""`Unverified`: TLS towards somebody who proves himself by something else than his certificate: a secret that he shows, or
knows."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from rtcd.tls.names import is_address


@implementer(IOpenSSLClientConnectionCreator)
class Unverified:
    """Takes any certificate of the host ``name``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """Twisted asks for a connection."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        connection = SSL.Connection(context, None)
        if not is_address(self._name):
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        return connection
