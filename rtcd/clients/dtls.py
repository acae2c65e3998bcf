"""What is done with OpenSSL for clients that come by DTLS: the context, and one `Session` for each client.

OpenSSL gets datagrams and gives datagrams by memory; the table of sessions with its limits and its clock is
rtcd.clients.sessions. A flight that was lost is sent again when the table says so: OpenSSL's own timer reads a clock that
steps. Plain records are numbered here, since OpenSSL begins where a HelloVerifyRequest may have been.
Sources: RFC 7350, RFC 6347.
"""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

from OpenSSL import SSL
from twisted.logger import Logger
from zope.interface import implementer

from rtcd.allocations.allocation import FiveTuple
from rtcd.clients.records import APPLICATION_DATA, Hello, datagrams, modest, renumber
from rtcd.interfaces import IClientPath
from rtcd.tls.certificates import Certificates
from rtcd.tls.chain import Chain
from rtcd.unwise import DTLS

MTU = 1200
"""Bytes of a datagram of the handshake: gets through everywhere. What is relayed is as long as it is."""
MAX_FRAME_BYTES = 2**14
"""A record holds no more (RFC 6347 §4.1)."""
MAX_EARLY_RECORDS = 4
"""Encrypted records that a handshake is given, each of which OpenSSL may keep in a buffer of 16 KiB. One is the client's
Finished; a client that sends it again after 1, 2 and 4 seconds comes to as many."""

_OVERHEAD_BYTES = 128
"""More than a record is longer than what is in it."""
_DTLS_1_2 = 0xFEFD
_ALPN = (b"stun.turn", b"stun.nat-discovery")


class Table(Protocol):
    """What a session tells, and whom it sends by."""

    def emit(self, session: Session, datagram: bytes) -> None:
        """Send it to the client."""

    def flight_sent(self, session: Session) -> None:
        """A flight of the handshake is out, and is to be sent again if nothing comes."""

    def shaken(self, session: Session) -> None:
        """The handshake is complete."""

    def message(self, session: Session, data: bytes) -> None:
        """A record's content."""

    def ended(self, session: Session, reason: str) -> None:
        """It is over: by a failed ``handshake``, else by the client."""

    def too_long(self) -> None:
        """A frame does not fit into a record and is dropped."""


class Contexts:
    """Makes connections with the certificate that is in service."""

    _log = Logger()

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._chain: Chain | None = None
        """The one that `_context` was made of: each load has another."""
        self._context: SSL.Context | None = None

    def connection(self, cookie: bytes) -> SSL.Connection | None:
        """For a client whose hello has this cookie, a good one. None while DTLS is not to be had: [tls] wants TLS 1.3."""
        if self._chain is not self._certificates.chain:
            self._chain, self._context = self._certificates.chain, None
            self._context = self._build(self._chain) if self._chain is not None else None
        if self._context is None:
            return None
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(cookie)
        connection.set_ciphertext_mtu(MTU)
        connection.set_accept_state()
        return connection

    def _build(self, chain: Chain) -> SSL.Context | None:
        if self._certificates.minimum != "1.2":
            self._log.warn(DTLS, minimum=self._certificates.minimum)
            return None
        context = SSL.Context(SSL.DTLS_SERVER_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_session_id(b"rtcd")
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_cipher_list(self._certificates.ciphers.encode("ascii"))
        context.use_certificate(chain.certificates[0])
        for intermediate in chain.certificates[1:]:
            context.add_extra_chain_cert(intermediate)
        context.use_privatekey(chain.key)
        context.set_alpn_select_callback(_select)
        # the table has checked the cookie; OpenSSL wants it to be done once more
        context.set_cookie_generate_callback(lambda connection: connection.get_app_data())
        context.set_cookie_verify_callback(lambda connection, cookie: cookie == connection.get_app_data())
        return context


@implementer(IClientPath)
class Session:
    """One client's DTLS association, from its second ClientHello to its end."""

    __slots__ = ("_connection", "_early", "_flight", "_number", "_over", "_table", "established", "five_tuple", "random")

    def __init__(self, table: Table, connection: SSL.Connection, five_tuple: FiveTuple, hello: Hello) -> None:
        self._table = table
        self._connection = connection
        self.five_tuple = five_tuple
        self.random = hello.random
        """Of the ClientHello, by which one that comes again is known."""
        self.established = False
        self._over = False
        self._flight: list[bytes] = []
        """The datagrams that the client has not shown to have got."""
        self._early = 0
        self._number = int.from_bytes(hello.number, "big")
        """Of the next plain record of ours."""

    def accept(self, hello: bytes) -> bool:
        """Take the ClientHello with its cookie, before anything else; False if OpenSSL finds a fault in it."""
        self._connection.bio_write(hello)
        try:
            self._connection.DTLSv1_listen()
        except SSL.Error:
            with contextlib.suppress(SSL.Error):  # clears the thread's queue of errors, or others are accused of them
                self._connection.do_handshake()
            return False
        return True

    def receive(self, datagram: bytes) -> None:
        """A datagram of the client, or of somebody who says so: what is not authentic is passed over by OpenSSL."""
        if self._over:
            return
        if not self.established:
            kept, early = modest(datagram, MAX_EARLY_RECORDS - self._early)
            self._early += early
            if kept:
                self._connection.bio_write(kept)
                self.shake()
            return
        self._connection.bio_write(datagram)
        self._read()
        if datagram[0] != APPLICATION_DATA:
            self._flush()  # perhaps the client has not got the end of the handshake

    def shake(self) -> None:
        """Go on with the handshake."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            self._flush()
            self._end("handshake")
            return
        else:
            self.established = True
        flight = datagrams(self._output(), MTU)
        if flight:
            self._flight = flight
            self.resend()
        if self.established:
            self._flight = []
            self._table.shaken(self)
            self._read()
        elif flight:
            self._table.flight_sent(self)

    def resend(self) -> None:
        """Send the last flight, perhaps again."""
        for datagram in self._flight if not self._over else ():
            self._emit(datagram)

    def deliver(self, frame: bytes | memoryview) -> bool:
        """See IClientPath."""
        if self._over:
            return False
        if len(frame) > MAX_FRAME_BYTES:
            self._table.too_long()
            return False
        try:
            self._connection.send(bytes(frame))
        except SSL.Error:
            return False
        self._flush(len(frame) + _OVERHEAD_BYTES)
        return True

    def respond(self, data: bytes) -> None:
        """See IClientPath."""
        self.deliver(data)

    def close(self) -> None:
        """Say goodbye, if there was a hello. The table is not told."""
        if not self._over:
            self._over = True
            if self.established:
                try:
                    self._connection.shutdown()
                except SSL.Error:
                    return
                self._flush()

    def drop(self) -> None:
        """End it without a word. The table is not told."""
        self._over = True

    def _read(self) -> None:
        while not self._over:
            try:
                data = self._connection.recv(MAX_FRAME_BYTES)
            except SSL.WantReadError:
                return
            except SSL.ZeroReturnError:
                self.close()
                self._table.ended(self, "")
            except SSL.Error:
                self._end("")
            else:
                self._table.message(self, data)

    def _end(self, reason: str) -> None:
        self.drop()
        self._table.ended(self, reason)

    def _flush(self, most: int = 2**16) -> None:
        for datagram in datagrams(self._output(most), MTU):
            self._emit(datagram)

    def _emit(self, datagram: bytes) -> None:
        if datagram[0] != APPLICATION_DATA:
            datagram, self._number = renumber(datagram, self._number)
        self._table.emit(self, datagram)

    def _output(self, most: int = 2**16) -> bytes:
        """What OpenSSL has written. ``most``: more than what is expected."""
        parts = []
        try:
            while True:
                part = self._connection.bio_read(most)
                parts.append(part)
                if len(part) < most:
                    break
        except SSL.WantReadError:
            pass
        return b"".join(parts)


def _select(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """RFC 7443, for clients that ask."""
    return next((one for one in _ALPN if one in offered), SSL.NO_OVERLAPPING_PROTOCOLS)
