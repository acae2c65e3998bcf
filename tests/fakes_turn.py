"""Fakes of the TURN service: a relay plane that writes down, an observer that remembers, a client that signs."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.interfaces import IProtocolFactory
from zope.interface import implementer

from rtcd.allocations.addresses import External, RelayAddresses
from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.allocations.meter import Meter
from rtcd.auth.authenticator import Authenticator, parse_users
from rtcd.auth.nonce import Nonces
from rtcd.bucket import Buckets
from rtcd.context import Context
from rtcd.doorway.door import Doorway
from rtcd.doorway.settings import DoorwaySettings
from rtcd.ice.credentials import Credentials
from rtcd.interfaces import IRelayPlane
from rtcd.metrics import Metrics
from rtcd.peers.policy import PeerPolicy
from rtcd.rooms.memory import MemoryRooms
from rtcd.rooms.settings import RoomsSettings
from rtcd.state import StateDirectory
from rtcd.stun.attributes import (
    CHANNEL_NUMBER,
    ERROR_CODE,
    LIFETIME,
    NONCE,
    REALM,
    REQUESTED_TRANSPORT,
    USERNAME,
    XOR_PEER_ADDRESS,
    Address,
    family_of,
)
from rtcd.stun.integrity import long_term_key, sign, sign_sha256
from rtcd.stun.message import Class, Message, Method, decode, encode
from rtcd.tls.settings import TlsSettings
from rtcd.turn.request import Rules
from rtcd.turn.server import TurnServer
from tests.fakes import FakeDesk

REALM_NAME = "rtcd"
SECRET = "north"
SERVER: Address = ("198.51.100.1", 3478)
SERVER6: Address = ("2001:db8::1", 3478)
PEER: Address = ("8.8.8.8", 4000)
UDP = REQUESTED_TRANSPORT.encode(17)


@implementer(IRelayPlane)
class FakePlane:
    """Gives out ports from 50000 on, and writes every call down in `calls`."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.fault: OSError | None = None
        self.faulty: set[int] = set()
        """Families of which no relay can be opened."""
        self.open_relays: set[tuple[Allocation, int]] = set()
        self.held: set[bytes] = set()
        """Tokens of held ports."""
        self.moved = Traffic()
        """Of each relay that is closed."""
        self._ports = itertools.count(50000)

    def start(self, receive: Any) -> None:
        self.calls.append(("start",))

    def listen(self, host: str, port: int) -> Address:
        return host, port

    def meter(self, rate: float) -> Meter:
        return Meter(rate)

    def adopt(self, descriptor: int) -> Address:
        return SERVER

    def respond(self, data: bytes, five_tuple: FiveTuple) -> None:
        self.calls.append(("respond", data, five_tuple))

    def attach(self, five_tuple: FiveTuple, path: Any) -> None:
        self.calls.append(("attach", five_tuple))

    def detach(self, five_tuple: FiveTuple) -> None:
        self.calls.append(("detach", five_tuple))

    def channel_data(self, data: bytes, five_tuple: FiveTuple) -> None:
        self.calls.append(("channel_data", data, five_tuple))

    def open(self, allocation: Allocation, host: str) -> Address:
        if self.fault is not None:
            raise self.fault
        if family_of(host) in self.faulty:
            raise OSError("none of this family")
        if allocation.claims:
            self.held.remove(allocation.claims)
        if allocation.reserves:
            self.held.add(allocation.reserves)
        self.open_relays.add((allocation, family_of(host)))
        return host, next(self._ports)

    def permit(self, allocation: Allocation, peer_host: str, expires_at: float, named: str) -> None:
        self.calls.append(("permit", peer_host, expires_at, named))

    def bind(self, allocation: Allocation, channel: int, peer: Address, expires_at: float) -> None:
        self.calls.append(("bind", channel, peer, expires_at))

    def send(self, allocation: Allocation, peer: Address, data: bytes, dont_fragment: bool = False) -> None:
        self.calls.append(("send", peer, data, *(["dont fragment"] if dont_fragment else [])))

    def move(self, allocation: Allocation, five_tuple: FiveTuple) -> None:
        if self.fault is not None:
            raise self.fault
        self.calls.append(("move", five_tuple))

    def remeter(self, allocation: Allocation) -> None:
        self.calls.append(("remeter", allocation))

    def traffic(self, allocation: Allocation) -> Traffic:
        return Traffic()

    def close(self, allocation: Allocation, family: int | None = None) -> Traffic:
        closed = {one for one in self.open_relays if one[0] is allocation and family in (None, one[1])}
        self.open_relays -= closed
        return Traffic(*(len(closed) * number for number in self.moved))

    def release(self, token: bytes) -> None:
        self.held.discard(token)
        self.calls.append(("release", token))

    def stop(self) -> None:
        self.calls.append(("stop",))


class FakeObserver:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.answers: list[tuple[Method, int]] = []
        self.drops: list[str] = []
        self.failed: list[str] = []
        self.challenges: list[FiveTuple] = []
        self.errors: list[tuple[str, Method, int, str]] = []
        self.denied: list[tuple[Address, str]] = []
        self.refusals: list[tuple[str, int, str]] = []
        self.strange: list[tuple[Address, str, bool]] = []
        self.created = 0
        self.refreshed: list[int] = []
        self.ended: list[str] = []
        self.moved: list[FiveTuple] = []

    def answered(self, method: Method, code: int) -> None:
        self.answers.append((method, code))

    def dropped(self, reason: str) -> None:
        self.drops.append(reason)

    def auth_failed(self, five_tuple: FiveTuple, username: str, now: float) -> None:
        self.failed.append(username)

    def challenged(self, five_tuple: FiveTuple) -> None:
        self.challenges.append(five_tuple)

    def request_failed(self, user: str, method: Method, code: int, reason: str) -> None:
        self.errors.append((user, method, code, reason))

    def refused(self, five_tuple: FiveTuple, user: str, code: int, reason: str) -> None:
        self.refusals.append((user, code, reason))

    def peer_denied(self, allocation: Allocation, peer: Address, reason: str) -> None:
        self.denied.append((peer, reason))

    def peer_unsignalled(self, allocation: Allocation, peer: Address, reason: str, refused: bool, now: float) -> None:
        self.strange.append((peer, reason, refused))

    def allocation_created(self, allocation: Allocation) -> None:
        self.created += 1

    def allocation_refreshed(self, allocation: Allocation, lifetime_s: int) -> None:
        self.refreshed.append(lifetime_s)

    def allocation_moved(self, allocation: Allocation, old: FiveTuple) -> None:
        self.moved.append(old)

    def allocation_ended(self, allocation: Allocation, reason: str, traffic: Traffic) -> None:
        self.ended.append(reason)


class World:
    """A server with users ``u:p`` and ``v:q`` and time-limited names, at a moment that the test moves."""

    def __init__(
        self, rules: Rules | None = None, *, hosts: tuple[str, ...] = (SERVER[0], SERVER6[0]), rate: float = 0,
        external: tuple[External, ...] = (), policy: PeerPolicy | None = None, secrets: tuple[str, ...] = (SECRET,),
    ) -> None:
        self.now = 1_700_000_000.0
        self._tokens = itertools.count(1)
        self.plane = FakePlane()
        self.observer = FakeObserver()
        self.credentials = Credentials(secrets, 3600)
        self.nonces = Nonces(b"nonce key", 600)
        self.addresses = RelayAddresses(hosts, external)
        self.authenticator = Authenticator(
            REALM_NAME, parse_users(["u:p", "v:q"], REALM_NAME), self.credentials, self.nonces)
        self.server = TurnServer(
            rules or Rules(), self.authenticator, policy or PeerPolicy(), self.addresses, self.plane, self.observer,
            Buckets(rate, rate), lambda size: next(self._tokens).to_bytes(size, "big"))

    def client(self, port: int = 40000, host: str = "192.0.2.7", server: Address = SERVER) -> Client:
        """A client at an address of its own."""
        return Client(self, FiveTuple("udp", (host, port), server))


class Client:
    """Asks a `World`, signing as user ``u`` unless told otherwise."""

    _ids = itertools.count(1)
    """Of all clients: an id that comes again is a request that comes again."""

    def __init__(self, world: World, five_tuple: FiveTuple) -> None:
        self.world = world
        self.five_tuple = five_tuple
        self.username, self.password = "u", "p"
        self.sha256 = False

    def raw(self, data: bytes) -> bytes | None:
        """Bytes in, bytes out."""
        return self.world.server.receive(data, self.five_tuple, self.world.now)

    def transaction_id(self) -> bytes:
        """A new one."""
        return next(self._ids).to_bytes(12, "big")

    def key(self) -> bytes:
        """Of the long-term credential."""
        return long_term_key(self.username, REALM_NAME, self.password)

    def signed(self, method: Method, *attributes: bytes, nonce: str | None = None, realm: str = REALM_NAME,
               transaction_id: bytes = b"") -> bytes:
        """A request with credentials."""
        if nonce is None:
            nonce = self.world.nonces.issue(self.five_tuple, self.world.now)
        request = encode(method, Class.REQUEST, transaction_id or self.transaction_id(), [
            *attributes, USERNAME.encode(self.username), REALM.encode(realm), NONCE.encode(nonce)])
        return (sign_sha256 if self.sha256 else sign)(request, self.key())

    def ask(self, method: Method, *attributes: bytes, **options: Any) -> Message:
        """The answer to a request with credentials; there must be one."""
        return self.answer(self.signed(method, *attributes, **options))

    def answer(self, data: bytes) -> Message:
        """The decoded answer to these bytes; there must be one."""
        answer = self.raw(data)
        if answer is None:
            raise AssertionError("no answer")
        return decode(answer)

    def code(self, method: Method, *attributes: bytes, **options: Any) -> int:
        """The error code of the answer, 0 for success."""
        return code_of(self.ask(method, *attributes, **options))

    def allocate(self, *attributes: bytes, **options: Any) -> Message:
        """Allocate over UDP; it must succeed."""
        answer = self.ask(Method.ALLOCATE, UDP, *attributes, **options)
        if code_of(answer):
            raise AssertionError(f"Allocate failed with {code_of(answer)}")
        return answer

    def refresh(self, lifetime_s: int) -> int:
        """The error code of a Refresh."""
        return self.code(Method.REFRESH, LIFETIME.encode(lifetime_s))

    def permit(self, *peers: Address) -> int:
        """The error code of a CreatePermission."""
        transaction_id = self.transaction_id()
        return self.code(Method.CREATE_PERMISSION, *(XOR_PEER_ADDRESS.encode(one, transaction_id) for one in peers),
                         transaction_id=transaction_id)

    def bind(self, channel: int, peer: Address = PEER) -> int:
        """The error code of a ChannelBind."""
        transaction_id = self.transaction_id()
        return self.code(Method.CHANNEL_BIND, CHANNEL_NUMBER.encode(channel), XOR_PEER_ADDRESS.encode(peer, transaction_id),
                         transaction_id=transaction_id)

    def indicate(self, *attributes: bytes, transaction_id: bytes = bytes(12)) -> bytes | None:
        """A Send indication."""
        return self.raw(encode(Method.SEND, Class.INDICATION, transaction_id, attributes))


def code_of(answer: Message) -> int:
    """The error code, 0 for success."""
    error = answer.get(ERROR_CODE)
    return error[0] if error is not None else 0


class FakeDoorway(Doorway):
    """A doorway for services that a test makes one after another."""

    def add_stream(
        self, alpn: str, factory: IProtocolFactory, *, plain: IProtocolFactory | None = None, opens: bool = True
    ) -> None:
        """The latest one counts."""
        self._streams.pop(alpn, None)
        super().add_stream(alpn, factory, plain=plain, opens=opens)


def make_context(reactor: Any, secret: str = SECRET, *, state: str = "no-state") -> Context:
    """What the TURN service uses of a Context; the rest is not there. ``reloads`` of it is what it asked to be told.
    ``state``: the directory for the certificate, which ``doorway.privilegedStartService()`` makes if TLS was asked for.
    """
    reloads: list[Any] = []
    metrics = Metrics()
    context = SimpleNamespace(
        reactor=reactor,
        doorway=FakeDoorway(reactor, DoorwaySettings(), TlsSettings(), StateDirectory(state), metrics),
        rooms=MemoryRooms(reactor, RoomsSettings(), metrics),
        credentials=Credentials((secret,), 3600), metrics=metrics, reloads=reloads,
        on_reload=lambda section, reload: reloads.append((section, reload)), desk=FakeDesk(),
    )
    return cast(Context, context)
