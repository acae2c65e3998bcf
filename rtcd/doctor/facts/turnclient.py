"""A small client of TURN on blocking sockets, by UDP, TCP, TLS and DTLS: as much as the relay loop needs."""

from __future__ import annotations

import secrets
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from rtcd.doctor.checks.relay import CONNECT, GARBAGE, LOST, REFUSED, SHAKE, SILENT, Way
from rtcd.doctor.facts.handshake import Dtls, HandshakeFailed
from rtcd.stun.attributes import (
    DATA,
    ERROR_CODE,
    LIFETIME,
    NONCE,
    REALM,
    REQUESTED_ADDRESS_FAMILY,
    REQUESTED_TRANSPORT,
    USERNAME,
    XOR_PEER_ADDRESS,
    XOR_RELAYED_ADDRESS,
    Address,
    Family,
    family_of,
)
from rtcd.stun.framing import Framer
from rtcd.stun.integrity import long_term_key, sign
from rtcd.stun.message import Class, Message, Method, decode, encode

CONNECT_S = 3.0
"""For TCP, and again for a handshake."""
ANSWER_S = 3.0
"""For one request, retransmissions with it."""
RTO_S = 0.4
"""Until a request by datagram is sent again; each wait is twice the one before."""
UDP_RELAY = 17
"""The IP protocol of the relays that are asked for."""
MAX_CHALLENGES = 2
"""A second one comes when the nonce has just ended."""
MAX_DATAGRAM_BYTES = 65535


class Ended(Exception):
    """A loop ends here: one of the places of `rtcd.doctor.checks.relay`."""

    def __init__(self, end: str, reason: str = "", code: int = 0) -> None:
        super().__init__(reason)
        self.end = end
        self.reason = reason
        self.code = code


class Link(Protocol):
    """Carries whole messages."""

    reliable: bool

    def send(self, data: bytes) -> None:
        """One message."""

    def receive(self, timeout_s: float) -> bytes:
        """The next one. Raises TimeoutError, OSError and ValueError."""

    def close(self) -> None:
        """Once."""


class Datagrams:
    """UDP, and DTLS in it."""

    reliable = False

    def __init__(self, address: Address, clock: Callable[[], float], *, dtls: bool = False) -> None:
        self._socket = socket.socket(_family(address), socket.SOCK_DGRAM)
        self._dtls: Dtls | None = None
        try:
            self._socket.connect(address)
            if dtls:
                self._dtls = Dtls(self._socket, "", clock, CONNECT_S)
        except TimeoutError:
            self.close()
            raise Ended(SILENT) from None
        except OSError as error:
            self.close()
            raise Ended(SHAKE if isinstance(error, HandshakeFailed) else CONNECT, _text(error)) from None

    def send(self, data: bytes) -> None:
        if self._dtls is not None:
            self._dtls.send(data)
        else:
            self._socket.send(data)

    def receive(self, timeout_s: float) -> bytes:
        if self._dtls is not None:
            return self._dtls.receive(timeout_s)
        self._socket.settimeout(timeout_s)
        return self._socket.recv(MAX_DATAGRAM_BYTES)

    def close(self) -> None:
        if self._dtls is not None:
            self._dtls.close()
        self._socket.close()


class Stream:
    """TCP, and TLS in it."""

    reliable = True

    def __init__(self, address: Address, server_name: str, preface: bytes, *, tls: bool) -> None:
        try:
            self._socket = socket.create_connection(address, CONNECT_S)
            self._socket.sendall(preface)
        except OSError as error:
            raise Ended(CONNECT, _text(error)) from None
        self._framer = Framer()
        if not tls:
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # what is wrong with the certificate is told by another check
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=server_name or None)
        except (OSError, ValueError) as error:
            self._socket.close()
            raise Ended(SHAKE, _text(error)) from None

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, timeout_s: float) -> bytes:
        self._socket.settimeout(timeout_s)
        while (frame := self._framer.next()) is None:
            data = self._socket.recv(MAX_DATAGRAM_BYTES)
            if not data:
                raise ConnectionResetError("the connection was closed")
            self._framer.receive(data)
        return frame

    def close(self) -> None:
        self._socket.close()


def link(way: Way, server_name: str, preface: bytes, clock: Callable[[], float]) -> Link:
    """Connect. Raises Ended."""
    if way.transport in ("udp", "dtls"):
        return Datagrams(way.address, clock, dtls=way.transport == "dtls")
    return Stream(way.address, server_name, preface, tls=way.transport == "tls")


class Client:
    """One client with one allocation. All of it raises Ended."""

    def __init__(
        self, way: Way, user: tuple[str, str], clock: Callable[[], float], *, server_name: str = "", preface: bytes = b""
    ) -> None:
        """``user``: name and password. ``clock``: monotonic. ``preface``: what a TCP connection begins with."""
        self._username, self._password = user
        self._clock = clock
        self._challenge: list[bytes] = []
        self._key = b""
        self._link = link(way, server_name, preface, clock)
        self._family = family_of(way.address[0])

    def allocate(self) -> Address:
        """The relay, of the family by which we have come."""
        wanted = [REQUESTED_TRANSPORT.encode(UDP_RELAY)]
        if self._family is Family.IPV6:
            wanted.append(REQUESTED_ADDRESS_FAMILY.encode(Family.IPV6))
        relayed = self._request(Method.ALLOCATE, lambda _: wanted).get(XOR_RELAYED_ADDRESS)
        if relayed is None:
            raise Ended(GARBAGE, "an answer to Allocate without a relay")
        return relayed

    def permit(self, peer: Address) -> None:
        """Let this peer in."""
        self._request(Method.CREATE_PERMISSION, lambda transaction: [XOR_PEER_ADDRESS.encode(peer, transaction)])

    def send(self, peer: Address, data: bytes) -> None:
        """Data for a peer, by a Send indication."""
        transaction = secrets.token_bytes(12)
        self._put(encode(Method.SEND, Class.INDICATION, transaction, [
            XOR_PEER_ADDRESS.encode(peer, transaction), DATA.encode(data)]))

    def arrived(self, data: bytes, timeout_s: float) -> Address | None:
        """The peer that this data comes from, or None if it does not come in time."""
        deadline = self._clock() + timeout_s
        while (left := deadline - self._clock()) > 0:
            message = self._get(left)
            if message is not None and message.method is Method.DATA and message.get(DATA) == data:
                return message.get(XOR_PEER_ADDRESS)
        return None

    def close(self) -> None:
        """Give the allocation back, without waiting for the answer."""
        try:
            if self._key:
                message = encode(Method.REFRESH, Class.REQUEST, secrets.token_bytes(12), [
                    LIFETIME.encode(0), *self._challenge])
                self._link.send(sign(message, self._key))
        except OSError:
            pass
        self._link.close()

    def _request(self, method: Method, attributes: Callable[[bytes], list[bytes]]) -> Message:
        for _ in range(MAX_CHALLENGES + 1):
            transaction = secrets.token_bytes(12)
            message = encode(method, Class.REQUEST, transaction, [*attributes(transaction), *self._challenge])
            answer = self._answer(sign(message, self._key) if self._key else message, transaction)
            if answer.class_ is Class.SUCCESS:
                return answer
            code, reason = answer.get(ERROR_CODE) or (0, "")
            realm, nonce = answer.get(REALM), answer.get(NONCE)
            fresh = (code == 401 and not self._key) or code == 438
            if not fresh or realm is None or nonce is None:
                raise Ended(REFUSED, reason, code)
            self._key = long_term_key(self._username, realm, self._password)
            self._challenge = [USERNAME.encode(self._username), REALM.encode(realm), NONCE.encode(nonce)]
        raise Ended(REFUSED, "challenged again and again", 438)

    def _answer(self, request: bytes, transaction: bytes) -> Message:
        deadline, wait_s = self._clock() + ANSWER_S, ANSWER_S if self._link.reliable else RTO_S
        while True:
            self._put(request)
            until = min(deadline, self._clock() + wait_s)
            while (left := until - self._clock()) > 0:
                message = self._get(left)
                if message is not None and message.transaction_id == transaction and message.class_ in (
                        Class.SUCCESS, Class.ERROR):
                    return message
            if self._clock() >= deadline:
                raise Ended(SILENT)
            wait_s *= 2

    def _put(self, data: bytes) -> None:
        try:
            self._link.send(data)
        except OSError as error:
            raise Ended(LOST if self._key else CONNECT, _text(error)) from None

    def _get(self, timeout_s: float) -> Message | None:
        """The next message, None if none comes in time. What is none by datagram is as if it had not come."""
        try:
            data = self._link.receive(timeout_s)
        except TimeoutError:
            return None
        except ValueError as error:
            raise Ended(GARBAGE, str(error)) from None
        except OSError as error:
            raise Ended(CONNECT if isinstance(error, ConnectionRefusedError) else GARBAGE, _text(error)) from None
        try:
            return decode(data)
        except ValueError:
            return None


def _family(address: Address) -> int:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def _text(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
