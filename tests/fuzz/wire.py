"""What the codecs of rtcd.stun promise, for any bytes: messages, their integrity, ChannelData and frames of a stream."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from rtcd.stun import channeldata
from rtcd.stun.attributes import TABLE, Attribute, Malformed
from rtcd.stun.channeldata import HEADER
from rtcd.stun.framing import MAX_FRAME_BYTES, Framer
from rtcd.stun.integrity import add_fingerprint, fingerprint_matches, sign, sign_sha256, verify, verify_sha256
from rtcd.stun.message import HEADER_BYTES, Class, Message, Method, decode, encode, type_of
from tests.fuzz.source import Source

KEY, OTHER_KEY = b"a key", b"another one"
ID = bytes(range(12))
METHODS, CLASSES = list(Method), list(Class)
ROWS = sorted(TABLE.values(), key=lambda row: row.number)


def message(data: bytes) -> None:
    """`decode`, `Message`, every row of the table in both directions, integrity and fingerprint."""
    source = Source(data)
    if source.flag():
        _received(_built(source))
    else:
        _received(source.rest())


def _built(source: Source) -> bytes:
    """A message that is right but for the values of its attributes, then perhaps spoilt."""
    attributes = []
    for _ in range(source.byte() % 8):
        number = source.number(2) if source.rarely() else source.pick(ROWS).number
        attributes += [_framed(number, source.take()) for _ in range(2 if source.rarely() else 1)]
    built = encode(source.pick(METHODS), source.pick(CLASSES), ID, attributes)
    for add in (_sign, _sign_sha256, add_fingerprint):
        if source.flag():
            built = add(built)
    if source.rarely():
        at = source.number(2) % len(built)
        built = built[:at] + bytes((built[at] ^ source.byte(),)) + built[at + 1 :]
    return built + source.rest()


def _sign(data: bytes) -> bytes:
    return sign(data, KEY)


def _sign_sha256(data: bytes) -> bytes:
    return sign_sha256(data, KEY)


def _framed(number: int, value: bytes) -> bytes:
    return struct.pack("!HH", number, len(value)) + value + bytes(-len(value) & 3)


def _received(data: bytes) -> None:
    try:
        found = decode(data)
    except ValueError:
        return
    raw = found.raw
    assert raw == data[: HEADER_BYTES + int.from_bytes(data[2:4], "big")]
    for number, value in found.attributes:
        row = TABLE.get(number)
        if row is not None:
            _value(row, value, found.transaction_id)
    for row in ROWS:
        _asked_for(found, row)
    assert all(number < 0x8000 for number in found.unknown(frozenset(TABLE)))
    if found.fingerprint_at:
        assert fingerprint_matches(raw, found.fingerprint_at)
    _integrity(found)
    _again(found)


def _value(row: Attribute[Any], raw: bytes, transaction_id: bytes) -> None:
    """What can be unpacked can be packed, and is the same again."""
    try:
        value = row.unpack(raw, transaction_id)
    except Malformed:
        return
    packed = row.encode(value, transaction_id)
    size = int.from_bytes(packed[2:4], "big")
    assert len(packed) == 4 + size + (-size & 3)
    assert size <= len(raw)
    assert row.unpack(packed[4 : 4 + size], transaction_id) == value


def _asked_for(found: Message, row: Attribute[Any]) -> None:
    there = [value for number, value in found.attributes if number == row.number]
    assert (row in found) == bool(there)
    try:
        first, every = found.get(row), found.get_all(row)
    except Malformed:
        assert there
        return
    assert len(every) == len(there)
    assert first == (every[0] if every else None)


def _integrity(found: Message) -> None:
    """No two keys are right, and no bit of what is covered can be changed."""
    checks: tuple[tuple[int, int, Callable[[bytes, int, bytes], bool]], ...] = (
        (found.integrity_at, 20, verify), (found.integrity_sha256_at, 16, verify_sha256))
    for at, size, check in checks:
        if at and check(found.raw, at, KEY):
            assert not check(found.raw, at, OTHER_KEY)
            for bit in (0, at * 4, at * 8 - 1, at * 8 + 32, (at + 4 + size) * 8 - 1):
                if not 16 <= bit < 32:
                    changed = bytearray(found.raw)
                    changed[bit // 8] ^= 0x80 >> bit % 8
                    assert not check(bytes(changed), at, KEY)


def _again(found: Message) -> None:
    """Encoding what was read, and reading that."""
    plain = encode(found.method, found.class_, found.transaction_id,
                   [_framed(number, value) for number, value in found.attributes])
    assert len(plain) <= len(found.raw)
    assert plain[:2] == type_of(found.method, found.class_).to_bytes(2, "big")
    if len(plain) > 0xFF00:
        return
    again = decode(add_fingerprint(sign_sha256(sign(plain, KEY), KEY)))
    assert (again.method, again.class_, again.transaction_id) == (found.method, found.class_, found.transaction_id)
    assert again.attributes == found.attributes
    assert again.fingerprint_at == len(again.raw) - 8
    assert verify(again.raw, again.integrity_at, KEY)
    assert verify_sha256(again.raw, again.integrity_sha256_at, KEY)


def channel_data(data: bytes) -> None:
    """`channeldata.decode` and back."""
    try:
        channel, payload = channeldata.decode(data)
    except ValueError:
        return
    assert channeldata.encode(channel, payload) == data[: 4 + len(payload)]


def framer(data: bytes) -> None:
    """A stream gives the same frames whatever way it is split, and a `Framer` never holds more than one of them."""
    source = Source(data)
    cuts = [source.number(2) if source.rarely() else source.byte() % 24 for _ in range(source.byte() % 16)]
    stream = _stream(source)
    whole = _frames(stream, [])
    for split in (cuts, [1] * min(len(stream), 512)):
        assert _frames(stream, split) == whole


def _stream(source: Source) -> bytes:
    """Frames, with what is wrong with them now and then."""
    parts: list[bytes] = []
    while source and len(parts) < 12:
        kind = source.byte() % 6
        if kind == 0:
            parts.append(source.take(40))
        elif kind < 4:
            body = bytes(source.number(2) % 0x10000 & ~3) if source.rarely() else source.take() + bytes(3)
            body = body[: len(body) & ~3]
            built = encode(source.pick(METHODS), source.pick(CLASSES), ID)
            parts.append(built[:2] + len(body).to_bytes(2, "big") + built[4:] + body)
        else:
            body = bytes(source.number(2)) if source.rarely() else source.take()
            channel = 0x4000 | source.byte() << 6
            parts.append(HEADER.pack(channel, len(body)) + body + bytes(0 if source.rarely() else -len(body) & 3))
    return b"".join(parts)


def _frames(stream: bytes, cuts: list[int]) -> tuple[list[bytes], bool, bytes]:
    """The frames, whether the stream was refused, and what is left over."""
    found: list[bytes] = []
    reader, at = Framer(), 0
    for cut in (*cuts, len(stream)):
        piece = stream[at : at + cut]
        at += len(piece)
        reader.receive(piece)
        try:
            while (frame := reader.next()) is not None:
                found.append(frame)
        except ValueError:
            return found, True, b""
        held = len(reader._data)
        assert held - reader._at < MAX_FRAME_BYTES
        assert held < MAX_FRAME_BYTES + len(piece)
        assert reader.partial == (held > reader._at)
    rest = reader.rest()
    assert b"".join(found) + rest == stream
    assert not reader.partial
    for frame in found:
        if frame[0] < 0x40:
            assert len(frame) == HEADER_BYTES + int.from_bytes(frame[2:4], "big")
        else:
            assert len(frame) == 4 + (int.from_bytes(frame[2:4], "big") + 3 & ~3)
    return found, False, rest
