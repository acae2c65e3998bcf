"""All targets by name, each with a few inputs to begin with."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rtcd.stun.attributes import LIFETIME, XOR_MAPPED_ADDRESS
from rtcd.stun.message import Class, Method, encode
from tests.fuzz import rooms, texts, wire
from tests.fuzz.server import server
from tests.unit.test_stun_integrity import LONG_TERM, REQUEST, RESPONSE4, RESPONSE6

CANDIDATES = (
    "candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0",
    "a=candidate:2 1 tcp 1 2001:db8::7 9 typ srflx raddr 10.0.0.7 rport 9 tcptype active\r\na=candidate:3 1 udp 1 "
    "4e1f1e6b.local 5 typ host\r\na=candidate:4 1 udp 1 ::ffff:8.8.8.8 5 typ relay",
)
LINES = ("10.0.0.0/8", "192.0.2.1 - 192.0.2.9", "64:ff9b:1::/96", "[2001:db8::1]:3478", "8.8.8.8/10.0.0.1\nauto",
         "turn.example.org/10.0.0.1", "ann", "u:0x" + "ab" * 16, "# all\nann:secret\n\nbob : b:c", "bob\u0301",
         "\u0958" * 169)
GOOGLE = json.dumps([{"ip": "10.0.0.1", "accessConfigs": [{"externalIp": "8.8.8.8"}]}]).encode()
AZURE = json.dumps([{"ipv4": {"ipAddress": [{"privateIpAddress": "10.0.0.1", "publicIpAddress": "8.8.8.8"}]}}]).encode()

CORPUS = Path(__file__).with_name("corpus")


class Target(NamedTuple):
    """What to call, the longest input that is worth it, and inputs to begin with."""

    run: Callable[[bytes], None]
    max_bytes: int
    seeds: tuple[bytes, ...]


def noise(count: int, size: int) -> tuple[bytes, ...]:
    """Pseudo-random inputs, the same ones each time."""
    return tuple(random.Random(number).randbytes(size) for number in range(count))


def kept(name: str) -> tuple[bytes, ...]:
    """Inputs that a fuzzer found, which together reach as much as it ever did."""
    return tuple(path.read_bytes() for path in sorted(CORPUS.glob(f"{name}-*")))


_BARE = encode(Method.REFRESH, Class.REQUEST, wire.ID, [LIFETIME.encode(600)])
_MAPPED = encode(Method.BINDING, Class.SUCCESS, texts.ID, [XOR_MAPPED_ADDRESS.encode(("8.8.8.8", 1), texts.ID)])

TARGETS = {
    "message": Target(wire.message, 1500, (
        *(b"\0" + one for one in (REQUEST, RESPONSE4, RESPONSE6, LONG_TERM, _BARE)), *noise(100, 120))),
    "channel-data": Target(wire.channel_data, 300, (b"\x40\0\0\5hello\0\0\0", b"\x7f\xff\0\0")),
    "framer": Target(wire.framer, 2000, noise(12, 200)),
    "candidates": Target(texts.candidates, 3000, tuple(
        bytes((shape,)) + text.encode() for shape in (1, 2, 3) for text in CANDIDATES)),
    "icmp": Target(texts.icmp, 40, (b"\0" + struct.pack("=IBBBBII", 111, 2, 3, 4, 0, 1400, 0),)),
    "reflexive": Target(texts.reflexive, 300, (_MAPPED, b"\xe1" + RESPONSE4[1:], b"\x50" + RESPONSE6[1:])),
    "metadata": Target(texts.metadata, 2000, (
        b"\0\5\x09\0\0\0token\2\3\3\3", b"\1\4" + GOOGLE, b"\2\4" + AZURE, b"\3\0\3\3", b"\4\3\3",
        b"\1\4[{\"accessConfigs\": 5}]")),
    "operator": Target(texts.operator, 600, tuple(
        bytes((which, which)) + line.encode() for which in range(9) for line in LINES)),
    "declaration": Target(rooms.declaration, 4500, (
        b"\1\0Ann", b"\1\6secret\xe4\xbd\xa0\\u202e",
        b'\0\6secret{"page":{"id":"0000000000000001","password":"secret","was":"x"}}')),
    "frames": Target(rooms.frames, 600, noise(40, 200)),
    "server": Target(server, 3000, (*noise(40, 600), *kept("server"))),
}
