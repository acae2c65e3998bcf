"""STUN messages: the header, and attributes as a list of raw values that are unpacked when they are asked for.

`decode` answers for the frame only: a value that breaks its own form shows when `Message.get` is called, since such
a request deserves an error response at the right place in the order of checks, where a broken frame deserves none.
What attributes mean is rtcd.stun.attributes; integrity is rtcd.stun.integrity. Source: RFC 8489 §5, §6, §14.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import TypeVar

from rtcd.stun.attributes import COOKIE, FINGERPRINT, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, Attribute
from rtcd.stun.integrity import fingerprint_matches

T = TypeVar("T")

HEADER_BYTES = 20
MAX_MESSAGE_BYTES = HEADER_BYTES + 0xFFFC
"""The header's length field is a multiple of 4 in 16 bits."""
MAX_ATTRIBUTES = 1100
"""As many as CreatePermission may need for every peer an allocation may have, and the few others."""

_INTEGRITY, _SHA256, _FINGERPRINT = MESSAGE_INTEGRITY.number, MESSAGE_INTEGRITY_SHA256.number, FINGERPRINT.number
_HEADER = struct.Struct("!HHI12s")
_TLV = struct.Struct("!HH")


class Method(IntEnum):
    """Methods of RFC 8489, 8656 and 6062."""

    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    SEND = 0x006
    DATA = 0x007
    CREATE_PERMISSION = 0x008
    CHANNEL_BIND = 0x009
    CONNECT = 0x00A
    CONNECTION_BIND = 0x00B
    CONNECTION_ATTEMPT = 0x00C


class Class(IntEnum):
    """The four classes of a message."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


def type_of(method: int, class_: int) -> int:
    """The 14 bits of the header that method and class are woven into (RFC 8489 §5)."""
    return (method & 0xF80) << 2 | (method & 0x70) << 1 | method & 0xF | (class_ & 2) << 7 | (class_ & 1) << 4


_TYPES = {type_of(method, class_): (method, class_) for method in Method for class_ in Class}
_NUMBERS = {pair: number for number, pair in _TYPES.items()}


class Message:
    """A received message. Attributes that its integrity does not cover are not among `attributes`."""

    __slots__ = ("_first", "attributes", "class_", "fingerprint_at", "integrity_at", "integrity_sha256_at", "method",
                 "raw", "transaction_id")

    def __init__(self, method: Method, class_: Class, transaction_id: bytes, raw: bytes) -> None:
        self.method = method
        self.class_ = class_
        self.transaction_id = transaction_id
        self.raw = raw
        """The bytes as received, up to the end that the header claims."""
        self.attributes: list[tuple[int, bytes]] = []
        """Number and raw value in order, repeated ones too."""
        self.integrity_at = 0
        """Where MESSAGE-INTEGRITY begins in `raw`, 0 if there is none; likewise the next two."""
        self.integrity_sha256_at = 0
        self.fingerprint_at = 0
        self._first: dict[int, bytes] = {}

    def __contains__(self, attribute: Attribute[T]) -> bool:
        return attribute.number in self._first

    def get(self, attribute: Attribute[T]) -> T | None:
        """The value of the first such attribute, or None. Raises `Malformed`, a ValueError."""
        raw = self._first.get(attribute.number)
        return None if raw is None else attribute.unpack(raw, self.transaction_id)

    def get_all(self, attribute: Attribute[T]) -> list[T]:
        """The values of all such attributes in order. Raises `Malformed`, a ValueError."""
        wanted = attribute.number
        return [attribute.unpack(raw, self.transaction_id) for number, raw in self.attributes if number == wanted]

    def unknown(self, understood: frozenset[int]) -> tuple[int, ...]:
        """The comprehension-required attributes that are not ``understood``, each once, in order."""
        return tuple(number for number in self._first if number < 0x8000 and number not in understood)


def decode(data: bytes) -> Message:
    """Read one message. Bytes behind the end that its header claims are ignored.

    Raises ValueError for everything that deserves no answer: a broken frame, a bad cookie, an unknown method,
    a wrong FINGERPRINT.
    """
    if len(data) < HEADER_BYTES:
        raise ValueError(f"a message of {len(data)} bytes is shorter than its header")
    kind, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if cookie != COOKIE:
        raise ValueError("the magic cookie is missing")
    known = _TYPES.get(kind)
    if known is None:
        raise ValueError(f"message type {kind:#06x} is unknown")
    end = HEADER_BYTES + length
    if length & 3 or end > len(data):
        raise ValueError(f"{length} bytes are claimed behind the header, there are {len(data) - HEADER_BYTES}")
    message = Message(*known, transaction_id, data if end == len(data) else data[:end])
    if length:
        _read_attributes(message, data, end)
    return message


def _read_attributes(message: Message, data: bytes, end: int) -> None:
    attributes, first, unpack = message.attributes, message._first, _TLV.unpack_from
    position = HEADER_BYTES
    sealed, ignored = False, 0
    while position < end:
        number, size = unpack(data, position)
        start = position + 4
        stop = start + size
        if stop > end:
            raise ValueError(f"attribute {number:#06x} runs past the end of its message")
        if number == _FINGERPRINT:
            if not fingerprint_matches(message.raw, position):
                raise ValueError("FINGERPRINT is wrong")
            message.fingerprint_at = position
            break
        if number == _SHA256 and not message.integrity_sha256_at:
            message.integrity_sha256_at = position
            sealed = True
        elif sealed:
            ignored += 1
            if ignored > MAX_ATTRIBUTES:
                raise ValueError(f"a message has more than {MAX_ATTRIBUTES} attributes behind its integrity")
        elif number == _INTEGRITY:
            message.integrity_at = position
            sealed = True
        else:
            if len(attributes) >= MAX_ATTRIBUTES:
                raise ValueError(f"a message has more than {MAX_ATTRIBUTES} attributes")
            value = data[start:stop]
            attributes.append((number, value))
            if number not in first:
                first[number] = value
        position = stop + (-size & 3)


def encode(method: Method, class_: Class, transaction_id: bytes, attributes: Iterable[bytes] = ()) -> bytes:
    """A message of attributes made by `Attribute.encode`, in order; integrity and fingerprint are added behind.

    Raises ValueError if it gets too long or the transaction id is not of 12 bytes.
    """
    body = b"".join(attributes)
    if len(body) > MAX_MESSAGE_BYTES - HEADER_BYTES:
        raise ValueError(f"a message cannot hold {len(body)} bytes of attributes")
    if len(transaction_id) != 12:
        raise ValueError(f"a transaction id has 12 bytes, not {len(transaction_id)}")
    return _HEADER.pack(_NUMBERS[method, class_], len(body), COOKIE, transaction_id) + body
