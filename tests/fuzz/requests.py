"""Requests out of decisions: signed by somebody, with attributes that make sense mostly, and what may be wrong with them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rtcd.allocations.allocation import FiveTuple
from rtcd.auth.authenticator import OFFERED
from rtcd.auth.nonce import Nonces
from rtcd.ice.credentials import Credentials
from rtcd.stun import attributes as a
from rtcd.stun.attributes import TABLE, Address, PasswordAlgorithm
from rtcd.stun.integrity import add_fingerprint, long_term_key, sign, sign_sha256, userhash
from rtcd.stun.message import Class, Method, encode
from tests.fakes_turn import REALM_NAME, SERVER, SERVER6
from tests.fuzz.source import Source

OTHER_SERVER = ("198.51.100.2", 3479)
EXTERNAL = "8.8.4.4"
ROOM = "room"
CLIENTS = ("ann", "bob")
PEERS: tuple[Address, ...] = (
    ("8.8.8.8", 1), ("8.8.8.8", 4000), ("9.9.9.9", 1), ("2606:4700::1", 1), (EXTERNAL, 50000), (SERVER[0], 50000), SERVER,
    (SERVER6[0], 50000), ("127.0.0.1", 1), ("10.0.0.1", 5), ("::ffff:8.8.8.8", 1), ("64:ff9b::808:808", 1), ("0.0.0.0", 1),
    ("9.9.9.9", 0), ("fe80::1", 1))
METHODS = (Method.ALLOCATE, Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND, Method.CONNECT,
           Method.CONNECTION_BIND, Method.BINDING, Method.SEND, Method.REFRESH)
ROWS = [row.number for row in TABLE.values()]
LIFETIMES = (0, 600, 600, 1, 1200, 3600, 0xFFFFFFFF)
CHANNELS = (0x4000, 0x4001, 0x4FFF, 0x5000, 0x7FFF, 0x3FFF, 0)


class Signed(NamedTuple):
    """A request."""

    data: bytes
    key: bytes
    forged: bool
    """Whether it certainly is from nobody."""
    transaction_id: bytes
    indication: bool = False
    """Or worse: it needs no answer."""
    user: str = ""
    """Who signed it."""


@dataclass
class Known:
    """What clients have been told so far, and can tell again."""

    tickets: list[bytes] = field(default_factory=lambda: [b"", bytes(24)])
    tokens: list[bytes] = field(default_factory=lambda: [bytes(8)])
    numbers: list[int] = field(default_factory=lambda: [1])


class Requests:
    """Makes them for the clients of one server."""

    def __init__(self, source: Source, credentials: Credentials, nonces: Nonces, known: Known, now: float) -> None:
        self._source = source
        self._nonces = nonces
        self._known = known
        self._count = 0
        self._tcp = False
        """Whether it is to be a TCP relay."""
        issued = [credentials.issue(user, now) for user in (
            "eve", "eve", *(credentials.users_of(ROOM, client)[0] for client in CLIENTS))]
        late = credentials.issue("late", now - 1e6)
        self._users = [("u", "p", False), ("v", "q", False), *((one.username, one.password, False) for one in issued),
                       ("u", "wrong", True), ("nobody", "p", True), (late.username, late.password, True)]

    def signed(self, place: FiveTuple, now: float, sha256: bool, owner: str, wanted: Method | None = None) -> Signed:
        """With credentials, right or wrong. ``sha256``: it is offered; ``owner``: of what is there already, or is meant by
        a request of the ``wanted`` method."""
        source, transaction_id = self._source, self._id()
        self._tcp = wanted is Method.ALLOCATE
        method = wanted or (source.pick(METHODS[:8]) if owner or source.flag() else Method.ALLOCATE)
        name, password, forged = source.pick(self._users) if source.rarely() else next(
            (one for one in self._users if one[0] == owner), self._users[source.byte() % 6])
        algorithm = PasswordAlgorithm.SHA256 if sha256 and source.flag() else PasswordAlgorithm.MD5
        key = long_term_key(name, REALM_NAME, password, algorithm)
        realm, nonce = REALM_NAME, self._nonces.issue(place, now)
        if source.rarely():
            forged = True
            wrong = source.byte() % 4
            if wrong == 0:
                realm = "elsewhere"
            elif wrong == 1:
                nonce = self._nonces.issue(place, now - 1e5)
            elif wrong == 2:
                nonce = self._nonces.issue(place._replace(client=("192.0.2.99", 9)), now)
            else:
                nonce = nonce[:-1] + "!"
        hashed = sha256 and source.rarely()
        credentials = [a.USERHASH.encode(userhash(name, REALM_NAME)) if hashed else a.USERNAME.encode(name),
                       a.REALM.encode(realm), a.NONCE.encode(nonce)]
        if algorithm == PasswordAlgorithm.SHA256 or source.rarely():
            credentials += [a.PASSWORD_ALGORITHM.encode(algorithm), a.PASSWORD_ALGORITHMS.encode(OFFERED)]
        others = self._attributes(method, transaction_id)
        first = forged or source.flag()
        request = encode(
            method, Class.REQUEST, transaction_id, [*credentials, *others] if first else [*others, *credentials])
        request = (sign_sha256 if source.flag() else sign)(request, key)
        if source.rarely():
            at = source.number(2) % (len(request) - 4) + 4
            request = request[:at] + bytes((request[at] ^ (source.byte() or 1),)) + request[at + 1 :]
            forged = True
        elif source.flag():
            request = add_fingerprint(request)
        return Signed(request, key, forged, transaction_id, user=name)

    def plain(self, class_: Class) -> Signed:
        """Without credentials."""
        method, transaction_id = self._source.pick(METHODS), self._id()
        data = encode(method, class_, transaction_id, self._attributes(method, transaction_id))
        if self._source.rarely():
            data = add_fingerprint(data)
        return Signed(data, b"", True, transaction_id, class_ is not Class.REQUEST)

    def _id(self) -> bytes:
        self._count += 1
        return self._count.to_bytes(12, "big")

    def _attributes(self, method: Method, transaction_id: bytes) -> list[bytes]:
        found = [] if self._source.rarely() else self._usual(method, transaction_id)
        for _ in range(max(0, self._source.byte() % 8 - 4)):
            number = self._source.number(2) if self._source.rarely() else self._source.pick(ROWS)
            found.append(self._any(number, transaction_id))
        return found

    def _usual(self, method: Method, transaction_id: bytes) -> list[bytes]:
        """What such a request is made of."""
        def make(*rows: a.Attribute[Any]) -> list[bytes]:
            return [self._any(row.number, transaction_id) for row in rows]

        source = self._source
        if method is Method.ALLOCATE:
            options: tuple[a.Attribute[Any], ...] = (
                a.LIFETIME, a.EVEN_PORT, a.MOBILITY_TICKET, a.REQUESTED_ADDRESS_FAMILY, a.ADDITIONAL_ADDRESS_FAMILY,
                a.RESERVATION_TOKEN)
            chosen = source.byte() if source.flag() else 0
            return make(a.REQUESTED_TRANSPORT, *(row for bit, row in enumerate(options) if chosen >> bit & 1))
        if method is Method.REFRESH:
            families = [a.REQUESTED_ADDRESS_FAMILY] if source.rarely() else []
            return make(a.LIFETIME, *families, *[a.MOBILITY_TICKET][: source.byte() % 2])
        if method is Method.CREATE_PERMISSION:
            return make(*[a.XOR_PEER_ADDRESS] * (1 + source.byte() % 3))
        if method is Method.CHANNEL_BIND:
            return make(a.CHANNEL_NUMBER, a.XOR_PEER_ADDRESS)
        if method is Method.CONNECT:
            return make(a.XOR_PEER_ADDRESS)
        if method is Method.CONNECTION_BIND:
            return make(a.CONNECTION_ID)
        if method is Method.SEND:
            return make(a.XOR_PEER_ADDRESS, a.DATA)
        discovery: list[a.Attribute[Any]] = [a.CHANGE_REQUEST, a.PADDING, a.RESPONSE_PORT]
        return make(*discovery[: source.byte() % 4])

    def _any(self, number: int, transaction_id: bytes) -> bytes:
        """One that makes sense; now and then, or where nothing does, some bytes."""
        source, known = self._source, self._known
        if source.rarely():
            return _raw(number, source.take(64))
        if number in (a.XOR_PEER_ADDRESS.number, a.XOR_MAPPED_ADDRESS.number, a.XOR_RELAYED_ADDRESS.number):
            return TABLE[number].encode(PEERS[source.byte() % len(PEERS) if source.rarely() else source.byte() % 6],
                                        transaction_id)
        if number == a.LIFETIME.number:
            return a.LIFETIME.encode(source.pick(LIFETIMES))
        if number == a.CHANNEL_NUMBER.number:
            return a.CHANNEL_NUMBER.encode(source.pick(CHANNELS))
        if number == a.REQUESTED_TRANSPORT.number:
            return a.REQUESTED_TRANSPORT.encode(6 if self._tcp else source.pick((17, 17, 17, 17, 17, 6, 6, 0)))
        if number in (a.REQUESTED_ADDRESS_FAMILY.number, a.ADDITIONAL_ADDRESS_FAMILY.number,
                      a.OLD_ADDITIONAL_ADDRESS_FAMILY.number):
            return TABLE[number].encode(source.pick((1, 2, 2, 2, 1, 2, 0, 3)))
        if number == a.EVEN_PORT.number:
            return a.EVEN_PORT.encode(source.flag())
        if number == a.MOBILITY_TICKET.number:
            return a.MOBILITY_TICKET.encode(b"" if source.flag() else source.pick(known.tickets[-8:]))
        if number == a.RESERVATION_TOKEN.number:
            return a.RESERVATION_TOKEN.encode(source.pick(known.tokens[-4:]))
        if number == a.CONNECTION_ID.number:
            return a.CONNECTION_ID.encode(source.pick(known.numbers[-4:]) if source.rarely() else known.numbers[-1])
        if number == a.DONT_FRAGMENT.number:
            return a.DONT_FRAGMENT.encode(b"")
        if number == a.CHANGE_REQUEST.number:
            return a.CHANGE_REQUEST.encode(source.byte() & 7)
        return _raw(number, source.take(64))


def _raw(number: int, value: bytes) -> bytes:
    return struct.pack("!HH", number, len(value)) + value + bytes(-len(value) & 3)
