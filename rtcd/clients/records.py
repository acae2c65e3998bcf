"""DTLS as it is seen from outside of its encryption: records, the ClientHello, and the cookies that keep us stateless.

Whoever cannot receive at the address that he sends from gets one small HelloVerifyRequest for his ClientHello, and
nothing is kept of him. What is inside the records is rtcd.clients.dtls's. Sources: RFC 6347 §4.1, §4.2.1, §4.2.3.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from rtcd.allocations.allocation import FiveTuple

HANDSHAKE = 22
APPLICATION_DATA = 23
"""Content types of records."""
RECORD_TYPES = range(20, 64)
"""First bytes that tell DTLS from STUN and ChannelData on a port that they share (RFC 7983 §7)."""

HEADER_BYTES = 13
COOKIE_BYTES = 16
KEY_BYTES = 32
KEY_S = 60.0
"""A cookie key is in use for so many seconds, and as long again good for the cookies that were made with it."""
MAX_MESSAGE_BYTES = 2048
"""A client's handshake message claims at most so many bytes, which OpenSSL sets aside at once: it sends no certificate."""

_CLIENT_HELLO, _HELLO_VERIFY_REQUEST = 1, 3
_FRAGMENT_BYTES = 12
_RANDOM_BYTES = 32
_VERSION = b"\xfe\xff"
"""Of a HelloVerifyRequest always that of DTLS 1.0, whatever is agreed on later."""
_MAX_NUMBER = 2**48 - 1
_PREFIX = struct.Struct("!B2sH6sH")
"""A record's type, version, epoch, number and length."""


class Hello(NamedTuple):
    """What a ClientHello says that is of use without state."""

    number: bytes
    """Of its record, to be echoed."""
    random: bytes
    """Tells one handshake from another."""
    cookie: bytes


class Cookies:
    """Makes and checks the cookies of ClientHellos. ``token(n)``: so many unguessable bytes."""

    def __init__(self, token: Callable[[int], bytes]) -> None:
        self._token = token
        self._keys = (token(KEY_BYTES), token(KEY_BYTES))
        """The one in use, and the one before."""
        self._since: float | None = None

    def make(self, hello: Hello, five_tuple: FiveTuple, now: float) -> bytes:
        """The cookie of this client for this handshake."""
        self._turn(now)
        return _cookie(self._keys[0], hello, five_tuple)

    def fits(self, hello: Hello, five_tuple: FiveTuple, now: float) -> bool:
        """Whether the hello has the cookie that this client was given for it, lately."""
        self._turn(now)
        return len(hello.cookie) == COOKIE_BYTES and any(
            hmac.compare_digest(hello.cookie, _cookie(key, hello, five_tuple)) for key in self._keys)

    def _turn(self, now: float) -> None:
        """Take another key if it is time. A clock that was put back makes the key last once again."""
        if self._since is None or now < self._since:
            self._since = now
        elif now - self._since >= KEY_S:
            late = now - self._since >= 2 * KEY_S
            self._keys = (self._token(KEY_BYTES), self._token(KEY_BYTES) if late else self._keys[0])
            self._since = now


def records(data: bytes) -> Iterator[bytes]:
    """The records in some bytes, up to one that is not whole."""
    start = 0
    while start + HEADER_BYTES <= len(data):
        end = start + HEADER_BYTES + int.from_bytes(data[start + 11 : start + 13], "big")
        if end > len(data):
            return
        yield data[start:end]
        start = end


def datagrams(data: bytes, most: int) -> list[bytes]:
    """The same records packed into datagrams of at most so many bytes; a longer record has one for itself."""
    packed: list[bytes] = []
    for record in records(data):
        if packed and len(packed[-1]) + len(record) <= most:
            packed[-1] += record
        else:
            packed.append(record)
    return packed


def is_encrypted(record: bytes) -> bool:
    """Whether it comes from behind a ChangeCipherSpec: its epoch is not the first one."""
    return record[3:5] != b"\0\0"


def renumber(datagram: bytes, number: int) -> tuple[bytes, int]:
    """Number its plain records from ``number`` on, and tell the number that comes next.

    Ours begin with that of the ClientHello, behind all HelloVerifyRequests of the handshake, or the client would take
    the first ones for repeated (RFC 6347 §4.2.1); and what is sent again is numbered anew.
    """
    parts = []
    for record in records(datagram):
        if is_encrypted(record):
            parts.append(record)
        else:
            parts.append(record[:5] + (number & _MAX_NUMBER).to_bytes(6, "big") + record[11:])
            number += 1
    return b"".join(parts), number


def modest(datagram: bytes, encrypted: int) -> tuple[bytes, int]:
    """What of a datagram a handshake may be given, and how many encrypted records are in it.

    A handshake keeps what comes too early, so it gets at most ``encrypted`` such records, and no message that claims
    to be longer than `MAX_MESSAGE_BYTES`.
    """
    kept, count = [], 0
    for record in records(datagram):
        if is_encrypted(record):
            if count >= encrypted:
                continue
            count += 1
        elif record[0] == HANDSHAKE and any(length > MAX_MESSAGE_BYTES for length in _claims(record)):
            continue
        kept.append(record)
    return b"".join(kept), count


def parse_hello(data: bytes) -> Hello | None:
    """The ClientHello that a datagram begins with, or None. One in fragments is none: nothing could be kept of the first."""
    record = next(iter(records(data)), b"")
    if len(record) < HEADER_BYTES + _FRAGMENT_BYTES or record[0] != HANDSHAKE or is_encrypted(record):
        return None
    body = record[HEADER_BYTES + _FRAGMENT_BYTES :]
    length, offset, here = (int.from_bytes(record[start : start + 3], "big") for start in (14, 19, 22))
    if record[13] != _CLIENT_HELLO or offset or not length == here == len(body):
        return None
    rest = body[2 + _RANDOM_BYTES :]
    for _ in range(2):  # the session, then the cookie
        if not rest or len(rest) <= rest[0]:
            return None
        found, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    return Hello(record[5:11], body[2 : 2 + _RANDOM_BYTES], found)


def hello_verify_request(hello: Hello, cookie: bytes) -> bytes:
    """The answer to a ClientHello without a good cookie: always shorter than that."""
    body = _VERSION + bytes((len(cookie),)) + cookie
    length = len(body).to_bytes(3, "big")
    message = bytes((_HELLO_VERIFY_REQUEST,)) + length + bytes(5) + length + body
    return _PREFIX.pack(HANDSHAKE, _VERSION, 0, hello.number, len(message)) + message


def _claims(record: bytes) -> Iterable[int]:
    """How long the handshake messages in a plain record say that they are."""
    start = HEADER_BYTES
    while start + _FRAGMENT_BYTES <= len(record):
        yield int.from_bytes(record[start + 1 : start + 4], "big")
        start += _FRAGMENT_BYTES + int.from_bytes(record[start + 9 : start + 12], "big")


def _cookie(key: bytes, hello: Hello, five_tuple: FiveTuple) -> bytes:
    _, client, server = five_tuple
    return hmac.digest(key, f"{client} {server}".encode() + hello.random, "sha256")[:COOKIE_BYTES]
