"""First bytes of a connection to the protocol that they begin. Rules only.

Eight bytes always suffice: a TLS record head with its handshake type, a STUN header up to the magic cookie
(RFC 8489 §5), or the start of an HTTP method (RFC 9110 §9.1). ChannelData cannot come first, since it needs an
allocation, so its overlap with letters (RFC 7983) does no harm.
"""

from __future__ import annotations

from enum import Enum

MAX_SNIFF_BYTES = 8
"""With so many bytes the answer is never UNDECIDED."""

_MAGIC_COOKIE = bytes.fromhex("2112a442")
_CLIENT_HELLO = 1
_METHOD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_")


class Verdict(Enum):
    """What a connection's first bytes begin."""

    TLS = "tls"
    HTTP = "http"
    STUN = "stun"
    UNDECIDED = "undecided"
    """More bytes are needed."""
    GARBAGE = "garbage"
    """None of these, whatever follows."""


def sniff(data: bytes) -> Verdict:
    """Say what ``data``, the first bytes of a connection, begins."""
    head = data[:MAX_SNIFF_BYTES]
    if not head:
        return Verdict.UNDECIDED
    first = head[0]
    if first == 0x16:
        return _tls(head)
    if first <= 3:
        return _stun(head)
    return _http(head)


def _tls(head: bytes) -> Verdict:
    """Content type 22, version 3.0 to 3.4, length, then the handshake type (RFC 8446 §5.1)."""
    if (len(head) > 1 and head[1] != 3) or (len(head) > 2 and head[2] > 4):
        return Verdict.GARBAGE
    if len(head) < 6:
        return Verdict.UNDECIDED
    return Verdict.TLS if head[5] == _CLIENT_HELLO else Verdict.GARBAGE


def _stun(head: bytes) -> Verdict:
    """Type, length in words of four bytes, magic cookie."""
    if not _MAGIC_COOKIE.startswith(head[4:]) or (len(head) > 3 and head[3] & 3):
        return Verdict.GARBAGE
    return Verdict.STUN if len(head) == MAX_SNIFF_BYTES else Verdict.UNDECIDED


def _http(head: bytes) -> Verdict:
    """A method and a space, or so many letters that it is a long method."""
    method, space, _ = head.partition(b" ")
    if not method or not _METHOD.issuperset(method):
        return Verdict.GARBAGE
    return Verdict.HTTP if space or len(head) == MAX_SNIFF_BYTES else Verdict.UNDECIDED
