"""The attributes of STUN and TURN: one row each with number, RFC name, and the two directions of its value.

A row packs and unpacks a value only; the frame around it (number, length, padding) is `Attribute.encode` on the way
out and rtcd.stun.message on the way in. Which attributes a request may or must hold are rules of rtcd.turn.
Sources: RFC 8489 §14, RFC 8656 §18, RFC 6062 §6.2, RFC 5780 §7, RFC 7635 §6, RFC 8016 §3.
"""

from __future__ import annotations

import functools
import ipaddress
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Address = tuple[str, int]
"""``(host, port)``: a numeric IPv4 or IPv6 host, as people write it, and a port."""

COOKIE = 0x2112A442
"""The magic cookie in every header (RFC 8489 §5)."""

MAX_VALUE_BYTES = 0xFFFF
"""What the length field of an attribute can say."""
MAX_USERNAME_BYTES = 508
MAX_TEXT_CHARACTERS = 127
"""REALM, NONCE, SOFTWARE and reason phrases are shorter than 128 characters ..."""
MAX_TEXT_BYTES = 763
"""... which are at most this many bytes (RFC 8489 §14.9)."""
MAX_LIST_ENTRIES = 64
"""More entries than this in a list attribute serve nobody."""
CACHED_HOSTS = 4096
"""How many host texts are remembered in each direction, since making them is most of an address's cost."""

_NO_ID = bytes(12)
_TLV = struct.Struct("!HH")
_U16 = struct.Struct("!H")
_IPV4 = struct.Struct("!BBHI")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class Malformed(ValueError):
    """An attribute's value breaks its form; the message is a sentence for the log."""


class Family(IntEnum):
    """Address families as STUN numbers them."""

    IPV4 = 1
    IPV6 = 2


class PasswordAlgorithm(IntEnum):
    """Password algorithms of RFC 8489 §18.5."""

    MD5 = 1
    SHA256 = 2


@dataclass(frozen=True, slots=True)
class Attribute(Generic[T]):
    """One row. ``pack`` and ``unpack`` also take the message's transaction id, which only xored addresses use."""

    number: int
    name: str
    """As the RFC spells it."""
    pack: Callable[[T, bytes], bytes]
    """Raises ValueError for a value that the form cannot hold."""
    unpack: Callable[[bytes, bytes], T]
    """Raises `Malformed`."""

    def encode(self, value: T, transaction_id: bytes = _NO_ID) -> bytes:
        """The whole attribute: number, length, value and zero padding. Raises ValueError."""
        raw = self.pack(value, transaction_id)
        if len(raw) > MAX_VALUE_BYTES:
            raise ValueError(f"{self.name} holds at most {MAX_VALUE_BYTES} bytes, not {len(raw)}")
        return _TLV.pack(self.number, len(raw)) + raw + _PADDING[len(raw) & 3]


def family_of(host: str) -> Family:
    """The family of a numeric host."""
    return Family.IPV6 if ":" in host else Family.IPV4


@functools.lru_cache(CACHED_HOSTS)
def _host_bytes(host: str) -> bytes:
    try:
        return ipaddress.ip_address(host).packed
    except ValueError:
        raise ValueError(f"{host!r} is no numeric host") from None


@functools.lru_cache(CACHED_HOSTS)
def _host_text(raw: bytes) -> str:
    return str(ipaddress.ip_address(raw))


def _split_address(raw: bytes) -> tuple[int, bytes]:
    """The port and the host bytes of an address attribute, xored or not."""
    if len(raw) < 4:
        raise Malformed(f"an address of {len(raw)} bytes is too short")
    size = {1: 8, 2: 20}.get(raw[1])
    if size is None:
        raise Malformed(f"address family {raw[1]} is unknown")
    if len(raw) != size:
        raise Malformed(f"an address of family {raw[1]} has {size} bytes, not {len(raw)}")
    return raw[2] << 8 | raw[3], raw[4:]


def _check_port(port: int) -> None:
    if not 0 <= port <= 0xFFFF:
        raise ValueError(f"{port} is no port")


def _pack_address(value: Address, _transaction_id: bytes) -> bytes:
    host, port = value
    raw = _host_bytes(host)
    _check_port(port)
    return bytes((0, 1 if len(raw) == 4 else 2, port >> 8, port & 0xFF)) + raw


def _unpack_address(raw: bytes, _transaction_id: bytes) -> Address:
    port, host = _split_address(raw)
    return _host_text(host), port


def _pack_xor_address(value: Address, transaction_id: bytes) -> bytes:
    host, port = value
    raw = _host_bytes(host)
    _check_port(port)
    if len(raw) == 4:
        return _IPV4.pack(0, 1, port ^ COOKIE >> 16, int.from_bytes(raw, "big") ^ COOKIE)
    mask = COOKIE << 96 | int.from_bytes(transaction_id, "big")
    return struct.pack("!BBH", 0, 2, port ^ COOKIE >> 16) + (int.from_bytes(raw, "big") ^ mask).to_bytes(16, "big")


def _unpack_xor_address(raw: bytes, transaction_id: bytes) -> Address:
    port, host = _split_address(raw)
    mask = COOKIE if len(host) == 4 else COOKIE << 96 | int.from_bytes(transaction_id, "big")
    plain = (int.from_bytes(host, "big") ^ mask).to_bytes(len(host), "big")
    return _host_text(plain), port ^ COOKIE >> 16


def _text(max_characters: int, max_bytes: int) -> tuple[Callable[[str, bytes], bytes], Callable[[bytes, bytes], str]]:
    def pack(value: str, _transaction_id: bytes) -> bytes:
        raw = value.encode()
        if len(value) > max_characters or len(raw) > max_bytes:
            raise ValueError(f"a text of {len(value)} characters is too long, {max_characters} are allowed")
        return raw

    def unpack(raw: bytes, _transaction_id: bytes) -> str:
        if len(raw) > max_bytes:
            raise Malformed(f"a text of {len(raw)} bytes is too long, {max_bytes} are allowed")
        try:
            value = raw.decode()
        except UnicodeDecodeError:
            raise Malformed("a text is not UTF-8") from None
        if len(value) > max_characters:
            raise Malformed(f"a text of {len(value)} characters is too long, {max_characters} are allowed")
        return value

    return pack, unpack


_Raw = Callable[[bytes, bytes], bytes]


def _sized(smallest: int, largest: int, step: int = 1) -> tuple[_Raw, _Raw]:
    def fits(raw: bytes) -> bool:
        return smallest <= len(raw) <= largest and len(raw) % step == 0

    def pack(value: bytes, _transaction_id: bytes) -> bytes:
        if not fits(value):
            raise ValueError(f"a value of {len(value)} bytes is not of {smallest} to {largest}")
        return bytes(value)

    def unpack(raw: bytes, _transaction_id: bytes) -> bytes:
        if not fits(raw):
            raise Malformed(f"a value of {len(raw)} bytes is not of {smallest} to {largest}")
        return raw

    return pack, unpack


def _number(bits: int, reserved: int) -> tuple[Callable[[int, bytes], bytes], Callable[[bytes, bytes], int]]:
    """An unsigned number in front of ``reserved`` bytes that are zero when sent and ignored when received."""
    size = bits // 8
    total = size + reserved

    def pack(value: int, _transaction_id: bytes) -> bytes:
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{value} does not fit in {bits} bits")
        return (value << reserved * 8).to_bytes(total, "big")

    def unpack(raw: bytes, _transaction_id: bytes) -> int:
        if len(raw) != total:
            raise Malformed(f"a number of {len(raw)} bytes should have {total}")
        return int.from_bytes(raw[:size], "big")

    return pack, unpack


def _pack_flag(value: bool, _transaction_id: bytes) -> bytes:
    return b"\x80" if value else b"\0"


def _unpack_flag(raw: bytes, _transaction_id: bytes) -> bool:
    if len(raw) != 1:
        raise Malformed(f"a flag of {len(raw)} bytes should have 1")
    return raw[0] >= 0x80


def _pack_error(value: tuple[int, str], _transaction_id: bytes) -> bytes:
    code, reason = value
    if not 300 <= code <= 699:
        raise ValueError(f"{code} is no error code")
    return bytes((0, 0, code // 100, code % 100)) + _pack_text(reason, _NO_ID)


def _unpack_error(raw: bytes, _transaction_id: bytes) -> tuple[int, str]:
    if len(raw) < 4:
        raise Malformed(f"an error of {len(raw)} bytes is too short")
    klass, number = raw[2] & 7, raw[3]
    if not 3 <= klass <= 6 or number > 99:
        raise Malformed(f"class {klass} and number {number} are no error code")
    return klass * 100 + number, _unpack_text(raw[4:], _NO_ID)


def _pack_address_error(value: tuple[Family, int, str], _transaction_id: bytes) -> bytes:
    family, code, reason = value
    return bytes((family,)) + _pack_error((code, reason), _NO_ID)[1:]


def _unpack_address_error(raw: bytes, _transaction_id: bytes) -> tuple[Family, int, str]:
    code, reason = _unpack_error(raw, _NO_ID)
    if raw[0] not in (1, 2):
        raise Malformed(f"address family {raw[0]} is unknown")
    return Family(raw[0]), code, reason


def _pack_types(value: tuple[int, ...], _transaction_id: bytes) -> bytes:
    if len(value) > MAX_LIST_ENTRIES:
        raise ValueError(f"a list of {len(value)} attribute types is too long")
    return b"".join(map(_U16.pack, value))


def _unpack_types(raw: bytes, _transaction_id: bytes) -> tuple[int, ...]:
    if len(raw) % 2 or len(raw) > 2 * MAX_LIST_ENTRIES:
        raise Malformed(f"{len(raw)} bytes are no list of attribute types")
    return tuple(one for (one,) in _U16.iter_unpack(raw))


def _pack_algorithms(value: tuple[int, ...], _transaction_id: bytes) -> bytes:
    if len(value) > MAX_LIST_ENTRIES:
        raise ValueError(f"a list of {len(value)} algorithms is too long")
    return b"".join(_TLV.pack(one, 0) for one in value)


def _unpack_algorithms(raw: bytes, _transaction_id: bytes) -> tuple[int, ...]:
    found, position = [], 0
    while position < len(raw):
        if position + 4 > len(raw):
            raise Malformed("a list of password algorithms ends early")
        number, size = _TLV.unpack_from(raw, position)
        position += 4 + size
        if position > len(raw):
            raise Malformed("the parameters of a password algorithm end early")
        position += -size & 3
        found.append(number)
        if len(found) > MAX_LIST_ENTRIES:
            raise Malformed("a list of password algorithms is too long")
    return tuple(found)


def _pack_algorithm(value: int, _transaction_id: bytes) -> bytes:
    return _TLV.pack(value, 0)


def _unpack_algorithm(raw: bytes, _transaction_id: bytes) -> int:
    found = _unpack_algorithms(raw, _NO_ID)
    if len(found) != 1:
        raise Malformed(f"one password algorithm is needed, not {len(found)}")
    return found[0]


def _pack_icmp(value: tuple[int, int, bytes], _transaction_id: bytes) -> bytes:
    kind, code, data = value
    if not 0 <= kind < 128 or not 0 <= code < 512 or len(data) != 4:
        raise ValueError("ICMP takes a type below 128, a code below 512 and 4 bytes")
    return struct.pack("!HH", 0, kind << 9 | code) + data


def _unpack_icmp(raw: bytes, _transaction_id: bytes) -> tuple[int, int, bytes]:
    if len(raw) != 8:
        raise Malformed(f"ICMP of {len(raw)} bytes should have 8")
    word = raw[2] << 8 | raw[3]
    return word >> 9, word & 0x1FF, raw[4:]


_pack_text, _unpack_text = _text(MAX_TEXT_CHARACTERS, MAX_TEXT_BYTES)
_empty = _sized(0, 0)
_any = _sized(0, MAX_VALUE_BYTES)

MAPPED_ADDRESS = Attribute(0x0001, "MAPPED-ADDRESS", _pack_address, _unpack_address)
CHANGE_REQUEST = Attribute(0x0003, "CHANGE-REQUEST", *_number(32, 0))
USERNAME = Attribute(0x0006, "USERNAME", *_text(MAX_USERNAME_BYTES, MAX_USERNAME_BYTES))
MESSAGE_INTEGRITY = Attribute(0x0008, "MESSAGE-INTEGRITY", *_sized(20, 20))
ERROR_CODE = Attribute(0x0009, "ERROR-CODE", _pack_error, _unpack_error)
UNKNOWN_ATTRIBUTES = Attribute(0x000A, "UNKNOWN-ATTRIBUTES", _pack_types, _unpack_types)
CHANNEL_NUMBER = Attribute(0x000C, "CHANNEL-NUMBER", *_number(16, 2))
LIFETIME = Attribute(0x000D, "LIFETIME", *_number(32, 0))
XOR_PEER_ADDRESS = Attribute(0x0012, "XOR-PEER-ADDRESS", _pack_xor_address, _unpack_xor_address)
DATA = Attribute(0x0013, "DATA", *_any)
REALM = Attribute(0x0014, "REALM", _pack_text, _unpack_text)
NONCE = Attribute(0x0015, "NONCE", _pack_text, _unpack_text)
XOR_RELAYED_ADDRESS = Attribute(0x0016, "XOR-RELAYED-ADDRESS", _pack_xor_address, _unpack_xor_address)
REQUESTED_ADDRESS_FAMILY = Attribute(0x0017, "REQUESTED-ADDRESS-FAMILY", *_number(8, 3))
EVEN_PORT = Attribute(0x0018, "EVEN-PORT", _pack_flag, _unpack_flag)
REQUESTED_TRANSPORT = Attribute(0x0019, "REQUESTED-TRANSPORT", *_number(8, 3))
DONT_FRAGMENT = Attribute(0x001A, "DONT-FRAGMENT", *_empty)
ACCESS_TOKEN = Attribute(0x001B, "ACCESS-TOKEN", *_any)
MESSAGE_INTEGRITY_SHA256 = Attribute(0x001C, "MESSAGE-INTEGRITY-SHA256", *_sized(16, 32, 4))
PASSWORD_ALGORITHM = Attribute(0x001D, "PASSWORD-ALGORITHM", _pack_algorithm, _unpack_algorithm)
USERHASH = Attribute(0x001E, "USERHASH", *_sized(32, 32))
XOR_MAPPED_ADDRESS = Attribute(0x0020, "XOR-MAPPED-ADDRESS", _pack_xor_address, _unpack_xor_address)
RESERVATION_TOKEN = Attribute(0x0022, "RESERVATION-TOKEN", *_sized(8, 8))
PADDING = Attribute(0x0026, "PADDING", *_any)
RESPONSE_PORT = Attribute(0x0027, "RESPONSE-PORT", *_number(16, 2))
CONNECTION_ID = Attribute(0x002A, "CONNECTION-ID", *_number(32, 0))
ADDITIONAL_ADDRESS_FAMILY = Attribute(0x8000, "ADDITIONAL-ADDRESS-FAMILY", *_number(8, 3))
ADDRESS_ERROR_CODE = Attribute(0x8001, "ADDRESS-ERROR-CODE", _pack_address_error, _unpack_address_error)
PASSWORD_ALGORITHMS = Attribute(0x8002, "PASSWORD-ALGORITHMS", _pack_algorithms, _unpack_algorithms)
ALTERNATE_DOMAIN = Attribute(0x8003, "ALTERNATE-DOMAIN", *_text(255, 255))
ICMP = Attribute(0x8004, "ICMP", _pack_icmp, _unpack_icmp)
SOFTWARE = Attribute(0x8022, "SOFTWARE", _pack_text, _unpack_text)
ALTERNATE_SERVER = Attribute(0x8023, "ALTERNATE-SERVER", _pack_address, _unpack_address)
FINGERPRINT = Attribute(0x8028, "FINGERPRINT", *_number(32, 0))
RESPONSE_ORIGIN = Attribute(0x802B, "RESPONSE-ORIGIN", _pack_address, _unpack_address)
OTHER_ADDRESS = Attribute(0x802C, "OTHER-ADDRESS", _pack_address, _unpack_address)
THIRD_PARTY_AUTHORIZATION = Attribute(0x802E, "THIRD-PARTY-AUTHORIZATION", *_text(MAX_TEXT_BYTES, MAX_TEXT_BYTES))
OLD_ADDITIONAL_ADDRESS_FAMILY = Attribute(0x8032, "ADDITIONAL-ADDRESS-FAMILY (draft)", *_number(8, 3))
OLD_ADDRESS_ERROR_CODE = Attribute(0x8033, "ADDRESS-ERROR-CODE (draft)", _pack_address_error, _unpack_address_error)
MOBILITY_TICKET = Attribute(0x8030, "MOBILITY-TICKET", *_any)

TABLE: dict[int, Attribute[Any]] = {row.number: row for row in list(globals().values()) if isinstance(row, Attribute)}
"""Every row by its number."""
