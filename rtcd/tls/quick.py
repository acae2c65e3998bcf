"""`QuickTls`: Twisted's layer of TLS, with a short way for the bytes of a connection whose handshake is over.

All that matters of TLS is where it was: contexts, certificates, ALPN, the handshake, faults and the end are Twisted's and
pyOpenSSL's. Only between them, application data go to and from OpenSSL by its own functions, since pyOpenSSL makes a buffer
for each call, and an exception each time that nothing more has come. What one of them does not do at once goes Twisted's
way. This leans on attributes that pyOpenSSL and Twisted do not promise: here alone. When the module is loaded one connection
in memory is tried, and where the libraries are not as they are expected here nothing is short.
"""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from rtcd.tls.authority import DAY_S
from rtcd.tls.contexts import show
from rtcd.tls.proof import prove

RECORD_BYTES = 16384
"""What one record of TLS carries at most (RFC 8446 §5.1)."""
HEADER_BYTES = 5
APPLICATION_DATA = 23
"""Type of a record."""
BUFFER_BYTES = 32768
_FUNCTIONS = ("SSL_read", "SSL_write", "BIO_read", "BIO_write", "SSL_get_error", "SSL_ERROR_WANT_READ")
_OF_CONNECTIONS = ("_ssl", "_into_ssl", "_from_ssl", "_raise_ssl_error")
_OF_TWISTED = ("_aborted", "_aggregator", "_appSendBuffer", "_handshakeDone", "_lostTLSConnection", "_producer",
               "_shutdownTLS", "_tlsConnection", "_tlsShutdownFinished", "_write", "disconnecting", "wrappedProtocol")
_FLIGHTS = 4
"""So often both ends of a handshake speak at most."""


class QuickTls(BufferingTLSTransport):
    """A connection inside TLS."""

    short = False
    _header = b""
    """Of the last record, as long as it has not come whole."""
    _missing = 0
    """Bytes of the last record that have not come yet."""
    _aggregator: Any
    transport: Any
    wrappedProtocol: Any

    def dataReceived(self, bytes: bytes) -> None:
        """Records came; what is in them goes to the protocol."""
        size = len(bytes)
        alone = (size > HEADER_BYTES and bytes[0] == APPLICATION_DATA and size == HEADER_BYTES + (bytes[3] << 8 | bytes[4])
                 and not self._missing and not self._header)
        if not alone:
            self._track(bytes)
        if not self.short or not self._handshakeDone or self._appSendBuffer or self._lostTLSConnection:
            super().dataReceived(bytes)
            return
        connection: Any = self._tlsConnection
        ssl = connection._ssl
        if _bio_write(connection._into_ssl, bytes, size) != size:
            raise MemoryError("OpenSSL takes no more bytes")
        if alone:
            size = _ssl_read(ssl, _buffer, BUFFER_BYTES)
            if size > 0:  # that was all of it, and nothing in it was for OpenSSL
                if not self._aborted:
                    self.wrappedProtocol.dataReceived(_view[:size])
                return
            if _ssl_get_error(ssl, size) != _WANT_READ:
                self._ended(connection, ssl, size)
        while not self._lostTLSConnection:
            size = _ssl_read(ssl, _buffer, BUFFER_BYTES)
            if size > 0:
                if not self._aborted:
                    self.wrappedProtocol.dataReceived(_view[:size])
            elif _ssl_get_error(ssl, size) == _WANT_READ:
                break
            else:
                self._ended(connection, ssl, size)
        self._flush(connection)

    def write_now(self, data: bytes) -> None:
        """Write behind what was written before and, where it is short, without waiting for what else may be written in this
        turn of the reactor."""
        if not self.short:
            self.write(data)
            return
        self._aggregator.flush()
        if self.disconnecting and self._producer is None:
            return
        if (not self._handshakeDone or self._appSendBuffer or self._lostTLSConnection
                or not 0 < len(data) <= RECORD_BYTES):
            self._write(data)
            return
        connection: Any = self._tlsConnection
        sent = _ssl_write(connection._ssl, data, len(data))
        if sent > 0:
            self._flush(connection)
        if sent < len(data):
            self._write(data[max(0, sent):])

    def _track(self, data: bytes) -> None:
        """Keep count of where records end (RFC 8446 §5.1)."""
        place, data = self._missing, self._header + data
        while place + HEADER_BYTES <= len(data):
            place += HEADER_BYTES + (data[place + 3] << 8 | data[place + 4])
        self._missing, self._header = max(0, place - len(data)), data[place:]

    def _flush(self, connection: Any) -> None:
        """What OpenSSL has for the other end."""
        size = _bio_read(connection._from_ssl, _buffer, BUFFER_BYTES)
        if size > 0:
            self.transport.write(_view[:size])

    def _ended(self, connection: Any, ssl: Any, result: int) -> None:
        """The other end has said goodbye, or nonsense; what follows is as in Twisted's own layer."""
        try:
            connection._raise_ssl_error(ssl, result)
        except SSL.ZeroReturnError:
            self._shutdownTLS()
            self._tlsShutdownFinished(None)
        except SSL.Error:
            self._tlsShutdownFinished(Failure())


def known(pyopenssl: Any = SSL, layer: type[QuickTls] = QuickTls) -> bool:
    """Whether these libraries are as we expect them: one connection in memory is tried."""
    try:
        return _tried(pyopenssl, layer)
    except Exception:  # whatever is wrong with them, Twisted's own way is right
        return False


def _parts(pyopenssl: Any) -> tuple[Any, ...]:
    """OpenSSL's functions, a buffer and a view of it. Raises AttributeError if something is missing."""
    buffer = pyopenssl._ffi.new("char[]", BUFFER_BYTES)
    return (*(getattr(pyopenssl._lib, one) for one in _FUNCTIONS), buffer, pyopenssl._ffi.buffer(buffer))


@implementer(IOpenSSLServerConnectionCreator)
class _Tried(Protocol):
    """What is tried: a server's end in memory, which keeps what it hears."""

    def __init__(self, pyopenssl: Any, layer: type[QuickTls]) -> None:
        self._pyopenssl = pyopenssl
        self._context = pyopenssl.Context(pyopenssl.TLS_METHOD)
        show(self._context, prove("localhost", b"", DAY_S))
        self.heard = b""
        self.out = bytearray()
        factory = TLSMemoryBIOFactory(self, False, Factory(), Clock())
        self.near: Any = layer(factory, self)
        self.near.short = True
        self.near.makeConnection(SimpleNamespace(write=self.out.extend))

    def serverConnectionForTLS(self, protocol: Any) -> Any:
        """Asked for by Twisted."""
        return self._pyopenssl.Connection(self._context, None)

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.heard += data

    def exchange(self, far: Any) -> None:
        """Carry what both ends have to say."""
        with suppress(self._pyopenssl.WantReadError):
            self.near.dataReceived(far.bio_read(BUFFER_BYTES))
        if self.out:
            far.bio_write(bytes(self.out))
            self.out.clear()


def _tried(pyopenssl: Any, layer: type[QuickTls]) -> bool:
    """Shake hands, and send a record each way. Raises whatever the libraries do."""
    _parts(pyopenssl)
    tried = _Tried(pyopenssl, layer)
    near, far = tried.near, pyopenssl.Connection(pyopenssl.Context(pyopenssl.TLS_METHOD), None)
    far.set_connect_state()
    for _ in range(_FLIGHTS):
        with suppress(pyopenssl.WantReadError):
            far.do_handshake()
        tried.exchange(far)
    if not (near._handshakeDone and all(hasattr(near, one) for one in _OF_TWISTED)
            and all(hasattr(near._tlsConnection, one) for one in _OF_CONNECTIONS)):
        return False
    far.send(b"there")
    tried.exchange(far)
    near.write_now(b"back")
    tried.exchange(far)
    return bool(tried.heard == b"there" and far.recv(BUFFER_BYTES) == b"back")


with suppress(Exception):  # without them `known` says no, and nobody looks for them
    _ssl_read, _ssl_write, _bio_read, _bio_write, _ssl_get_error, _WANT_READ, _buffer, _view = _parts(SSL)
QuickTls.short = known()
