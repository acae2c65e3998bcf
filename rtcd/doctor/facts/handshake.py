"""Handshakes on blocking sockets: TLS for the chain that a server really shows, and DTLS, of which the standard library has
none."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable

from cryptography import x509
from OpenSSL import SSL

from rtcd.tls.names import is_address

MTU = 1200
"""Bytes of a record's datagram."""
MAX_DATAGRAM_BYTES = 65535


class HandshakeFailed(OSError):
    """The other side does not speak TLS, or refuses ours."""


def shown_chain(connected: socket.socket, name: str, timeout_s: float) -> list[x509.Certificate]:
    """The certificates that a server sends to who asks for ``name``, as they are sent. Raises OSError."""
    connection = SSL.Connection(_context(SSL.TLS_CLIENT_METHOD), connected)
    _ask_for(connection, name)
    connection.set_connect_state()
    connected.settimeout(None)
    connected.setblocking(False)
    while True:
        try:
            connection.do_handshake()
            break
        except SSL.WantReadError:
            _wait(connected, timeout_s)
        except SSL.Error as error:
            raise HandshakeFailed(_reason(error)) from None
    return list(connection.get_peer_cert_chain(as_cryptography=True) or ())


class Dtls:
    """A client of DTLS on a connected UDP socket: datagrams in, datagrams out."""

    def __init__(self, connected: socket.socket, name: str, clock: Callable[[], float], timeout_s: float) -> None:
        """Shakes hands. ``clock``: monotonic. Raises OSError."""
        self._socket = connected
        self._clock = clock
        context = _context(SSL.DTLS_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        self._tls = SSL.Connection(context, None)
        _ask_for(self._tls, name)
        self._tls.set_connect_state()
        self._tls.set_ciphertext_mtu(MTU)
        deadline = clock() + timeout_s
        while True:
            try:
                self._tls.do_handshake()
                self._flush()
                return
            except SSL.WantReadError:
                self._flush()
                if not self._read(min(self._tls.DTLSv1_get_timeout() or 1.0, max(0.0, deadline - clock()))):
                    if clock() >= deadline:
                        raise TimeoutError("no answer to the handshake") from None
                    with contextlib.suppress(SSL.Error):
                        self._tls.DTLSv1_handle_timeout()
            except SSL.Error as error:
                raise HandshakeFailed(_reason(error)) from None

    def send(self, data: bytes) -> None:
        """One datagram."""
        self._tls.send(data)
        self._flush()

    def receive(self, timeout_s: float) -> bytes:
        """The next one. Raises TimeoutError, and OSError when the session is over."""
        deadline = self._clock() + timeout_s
        while True:
            try:
                data: bytes = self._tls.recv(MAX_DATAGRAM_BYTES)
                return data
            except SSL.WantReadError:
                if not self._read(max(0.0, deadline - self._clock())):
                    raise TimeoutError("no answer") from None
            except SSL.Error as error:
                raise HandshakeFailed(_reason(error)) from None

    def close(self) -> None:
        """Say that it is over."""
        with contextlib.suppress(SSL.Error, OSError):
            self._tls.shutdown()
            self._flush()

    def _flush(self) -> None:
        """Several records may share a datagram, and ours are small."""
        while True:
            try:
                self._socket.send(self._tls.bio_read(MAX_DATAGRAM_BYTES))
            except SSL.WantReadError:
                return

    def _read(self, timeout_s: float) -> bool:
        readable, _, _ = select.select([self._socket], [], [], timeout_s)
        if readable:
            self._tls.bio_write(self._socket.recv(MAX_DATAGRAM_BYTES))
        return bool(readable)


def _context(method: int) -> SSL.Context:
    context = SSL.Context(method)
    context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
    return context


def _ask_for(connection: SSL.Connection, name: str) -> None:
    if name and not is_address(name):
        connection.set_tlsext_host_name(name.encode("idna"))


def _wait(connected: socket.socket, timeout_s: float) -> None:
    readable, _, _ = select.select([connected], [], [], timeout_s)
    if not readable:
        raise TimeoutError("no answer to the handshake")


def _reason(error: SSL.Error) -> str:
    if error.args and isinstance(error.args[0], list) and error.args[0]:
        return str(error.args[0][0][-1])
    return str(error) or "the connection was closed"
