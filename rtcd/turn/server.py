"""`TurnServer`: a client's datagram in, at most one response out, effects on the relay plane in between.

No sockets, clock or randomness: ``now`` comes with each datagram, packets are moved by the plane, responses are
returned to whoever brought the request, who sends them the way it came (one door for each transport).
Requests go through steps, small functions in the order of the RFC: `receive` holds those common to all (RFC 8489 §9.2.4,
RFC 8656 §5), then come those of the method: rtcd.turn.allocate, and rtcd.turn.held for an existing allocation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rtcd.allocations.addresses import RelayAddresses
from rtcd.allocations.allocation import TCP, Allocation, Allocations, FiveTuple
from rtcd.allocations.bandwidth import Bandwidth
from rtcd.allocations.reservation import Reservations
from rtcd.auth.authenticator import Authenticator, Grant, Pending, Refusal
from rtcd.auth.nonce import OwnQuestions
from rtcd.bucket import Buckets
from rtcd.bucket import network as network_of
from rtcd.peers.bound import Bound
from rtcd.peers.policy import PeerPolicy
from rtcd.stun.attributes import (
    MAPPED_ADDRESS,
    PASSWORD_ALGORITHM,
    REQUESTED_TRANSPORT,
    SOFTWARE,
    TABLE,
    UNKNOWN_ATTRIBUTES,
    USERHASH,
    XOR_MAPPED_ADDRESS,
    Family,
    Malformed,
    family_of,
)
from rtcd.stun.integrity import add_fingerprint, sign, sign_sha256
from rtcd.stun.message import MAX_MESSAGE_BYTES, Class, Message, Method, decode, encode
from rtcd.turn import allocate, connect, held
from rtcd.turn.answers import Answers, code_of, is_done_once
from rtcd.turn.data_connections import Connections
from rtcd.turn.discovery import REQUIRED, Discovery
from rtcd.turn.indication import send
from rtcd.turn.mobility import Mobility, arrived, claimed, complete
from rtcd.turn.redirect import Alternates
from rtcd.turn.request import (
    BARE_ERROR_ATTRIBUTES,
    ERROR_ATTRIBUTES,
    LATER,
    AllocateRequest,
    Error,
    Observer,
    Plane,
    Request,
    Rules,
)

R = TypeVar("R", AllocateRequest, Request, connect.BindRequest)

_REQUESTS = frozenset((Method.ALLOCATE, Method.CONNECTION_BIND, *held.STEPS))

UNDERSTOOD = frozenset(number for number, row in TABLE.items() if row.name in (
    "MAPPED-ADDRESS", "USERNAME", "MESSAGE-INTEGRITY", "ERROR-CODE", "UNKNOWN-ATTRIBUTES", "CHANNEL-NUMBER", "LIFETIME",
    "XOR-PEER-ADDRESS", "DATA", "REALM", "NONCE", "XOR-RELAYED-ADDRESS", "REQUESTED-ADDRESS-FAMILY", "REQUESTED-TRANSPORT",
    "MESSAGE-INTEGRITY-SHA256", "XOR-MAPPED-ADDRESS", "CONNECTION-ID", "EVEN-PORT", "RESERVATION-TOKEN",
    "DONT-FRAGMENT",
))
"""The comprehension-required attributes that are not answered with 420."""
UNDERSTOOD_WITH_SHA256 = UNDERSTOOD | {PASSWORD_ALGORITHM.number, USERHASH.number}
"""Where SHA-256 is offered."""
MAX_UNKNOWN = 32
"""A 420 names at most so many attributes, so that it stays smaller than its request."""
MAX_AMPLIFICATION = 3
"""An answer to a datagram of nobody known is at most so many times as long."""
DATAGRAMS = ("udp", "dtls")
"""Transports on which a request may come twice."""
LIMITS = (486, 508)
"""The errors that tell an operator that something is full."""


class TurnServer:
    """The rules of STUN and TURN for all clients of this daemon.

    `rules`, `policy`, `alternates`, `unauthenticated` and `authenticator.users` may be replaced at any moment (a reload).
    """

    def __init__(
        self, rules: Rules, authenticator: Authenticator, policy: PeerPolicy, addresses: RelayAddresses, plane: Plane,
        observer: Observer, unauthenticated: Buckets, token: Callable[[int], bytes],
    ) -> None:
        """``token(n)``: so many unguessable bytes."""
        self.rules = rules
        self.authenticator = authenticator
        self.policy = policy
        self.addresses = addresses
        self.plane = plane
        self.observer = observer
        self.unauthenticated = unauthenticated
        """How often a network gets answers on UDP that need no password."""
        self.allocations = Allocations()
        self.reservations = Reservations()
        self.mobility = Mobility()
        self.bandwidth = Bandwidth(plane.meter)
        self.answers = Answers()
        self.token = token
        self.tcp: connect.TcpPlane | None = None
        """Makes TCP relays if set."""
        self.connections = Connections()
        """Those between TCP relays and their peers."""
        self.discovery: Discovery | None = None
        """Serves RFC 5780 if set."""
        self.alternates = Alternates()
        """Other servers that clients are sent to."""
        self.bound: Bound | None = None
        """Ties allocations to clients of rooms if set."""
        self.own: OwnQuestions | None = None
        """Tells the daemon's own questions, which are answered however many strangers ask, if set."""
        self.draining = False
        """Whether no new allocations are made; those that there are go on."""

    def receive(self, data: bytes, five_tuple: FiveTuple, now: float) -> bytes | None:
        """Handle one STUN message of a client; the response to it, or None. Never raises for what it holds. ChannelData
        is for the plane to count or forward: it brings it if the client is perhaps one that has moved there."""
        try:
            message = decode(data)
        except ValueError:
            if 0x40 <= (data[:1] or b"\0")[0] < 0x80:
                arrived(self, five_tuple, now)
            else:
                self.observer.dropped("malformed")
            return None
        if message.class_ is Class.REQUEST:
            if message.method is Method.BINDING and self.rules.stun:
                return self._request(message, five_tuple, now) if self.rules.stun_auth else self._binding(
                    message, five_tuple, now, None)
            if message.method in _REQUESTS and not self.rules.stun_only:
                return self._request(message, five_tuple, now)
        elif message.class_ is Class.INDICATION:
            if message.method is Method.SEND:
                send(self, message, five_tuple, now)
                return None
            if message.method is Method.BINDING:
                return None
        self.observer.dropped("unexpected")
        return None

    def next_deadline(self) -> float | None:
        """When `expire` should be called next, or None."""
        tables = (self.allocations, self.reservations, self.mobility, self.connections)
        deadlines = [table.next_deadline() for table in tables]
        return min((one for one in deadlines if one is not None), default=None)

    def expire(self, now: float) -> None:
        """Close the relays whose time is over, let go of the ports that nobody claimed, and complete moves."""
        for allocation in self.allocations.ended(now):
            self._close_ended(allocation, now)
        for token in self.reservations.ended(now):
            self.reservations.remove(token)
            self.plane.release(token)
        for allocation in self.mobility.due(now):
            complete(self, allocation)
        connect.expire(self, now)

    def relays(self, allocation: Allocation) -> Plane | connect.TcpPlane:
        """Who has its relays."""
        return self.tcp if allocation.transport == TCP and self.tcp is not None else self.plane

    def end(self, allocation: Allocation, reason: str) -> None:
        """Let go of everything that belongs to the allocation; once, however often it is called."""
        if self.allocations.remove(allocation):
            connect.forget(self, allocation)
            self.mobility.forget(allocation)
            if not self.allocations.of_user(allocation.user):
                self.bandwidth.forget(allocation.user)
            self.observer.allocation_ended(allocation, reason, allocation.traffic.plus(
                self.relays(allocation).close(allocation)))

    def close(self, allocation: Allocation, reason: str, family: Family | None) -> None:
        """Close its relay of one family, or all; with the last one the allocation ends."""
        if family is None or allocation.relayed.keys() == {family}:
            self.end(allocation, reason)
        else:
            connect.forget(self, allocation, family)
            allocation.traffic = allocation.traffic.plus(self.relays(allocation).close(allocation, family))
            self.allocations.forget(allocation, family)

    def _close_ended(self, allocation: Allocation, now: float) -> None:
        if now >= allocation.expires_at:
            self.end(allocation, "expired")
        else:
            for family in [one for one, expires_at in allocation.ends.items() if now >= expires_at]:
                self.close(allocation, "expired", family)

    def find(self, five_tuple: FiveTuple, now: float) -> Allocation | None:
        """The living allocation of this client; the timer may be late."""
        allocation = self.allocations.get(five_tuple)
        if allocation is None or now < allocation.next_end:
            return allocation
        self._close_ended(allocation, now)
        return self.allocations.get(five_tuple)

    # Common steps.

    def _request(self, message: Message, five_tuple: FiveTuple, now: float) -> bytes | None:
        allocation = known = self.find(five_tuple, now)
        if allocation is None:
            known = claimed(self, message, five_tuple, now)
        try:
            grant = self.authenticator.check(message, five_tuple, now, known)
        except Malformed:
            grant = Refusal(400)
        if isinstance(grant, Refusal):
            return self._refuse(message, five_tuple, now, grant)
        if isinstance(grant, Pending):
            self._wait(message, five_tuple, now, grant.username)
            return None
        if five_tuple.transport in DATAGRAMS:
            answer = self.answers.get(message, five_tuple, now)
            if answer is not None:
                self.observer.answered(message.method, code_of(answer))
                return answer
        if message.method is Method.ALLOCATE:
            answer = self._allocate(message, five_tuple, now, grant, known)
        elif message.method is Method.CONNECTION_BIND:
            return self._run(message, grant, connect.BIND_STEPS, connect.BindRequest(
                message, five_tuple, now, grant, known is not None))
        elif known is not None and known.username != grant.username:
            return self._error(message, grant, Error(441))
        elif message.method is Method.BINDING:
            return self._binding(message, five_tuple, now, grant)
        else:
            if allocation is None and self.mobility.arriving(five_tuple) is not None:
                known = arrived(self, five_tuple, now)
            if known is None:
                return self._error(message, grant, Error(437))
            if held.TRANSPORT.get(message.method, known.transport) != known.transport:
                return self._error(message, grant, Error(403))
            answer = self._run(
                message, grant, held.STEPS[message.method], Request(message, five_tuple, now, grant, known))
        if answer is not None and five_tuple.transport in DATAGRAMS and is_done_once(message):
            self.answers.keep(message, five_tuple, now, answer)
        return answer

    def _allocate(
        self, message: Message, five_tuple: FiveTuple, now: float, grant: Grant, allocation: Allocation | None
    ) -> bytes | None:
        if allocation is not None and (allocation.transaction_id, allocation.username) == (
                message.transaction_id, grant.username):
            self.observer.answered(message.method, 0)
            return allocation.answer
        request = AllocateRequest(message, five_tuple, now, grant, allocation)
        answer = self._run(message, grant, allocate.STEPS, request)
        if allocation is None and request.allocation is not None:
            request.allocation.answer = answer or b""
        return answer

    def _run(
        self, message: Message, grant: Grant, steps: Sequence[Callable[[TurnServer, R], Error | None]], request: R
    ) -> bytes | None:
        """The answer of the first step that fails, or success; None if it comes `LATER`."""
        unknown = self.unknown(message)
        if unknown:
            return self._error(message, grant, _unknown(unknown))
        try:
            for step in steps:
                error = step(self, request)
                if error is LATER:
                    return None
                if error is not None:
                    if error.code in LIMITS:
                        self.observer.refused(request.five_tuple, grant.user, error.code, error.reason)
                    return self._error(message, grant, error)
        except Malformed:
            return self._error(message, grant, Error(400))
        self.observer.answered(message.method, 0)
        return self._answer(message, Class.SUCCESS, request.attributes, grant)

    def _wait(self, message: Message, five_tuple: FiveTuple, now: float, username: str) -> None:
        """The request comes again when it is known who the user is."""
        directory = self.authenticator.directory
        if directory is None or not directory.wait(username, message.raw, five_tuple, now):
            self.observer.dropped("look-ups")

    def _refuse(self, message: Message, five_tuple: FiveTuple, now: float, refusal: Refusal) -> bytes | None:
        """The answer to a request that could not be authenticated. None if it would be a multiple of a datagram that
        may be forged, unless it is the first one of every honest client: an Allocate with all that it must have, or a
        Binding where that needs credentials."""
        if refusal.username:
            self.observer.auth_failed(five_tuple, refusal.username, now)
        if not self._may_answer(message, five_tuple, now):
            return None
        challenge = self.authenticator.challenge(five_tuple, now) if refusal.code != 400 else ()
        most = MAX_AMPLIFICATION * len(message.raw) if five_tuple.transport == "udp" else MAX_MESSAGE_BYTES
        answer = self._answer(message, Class.ERROR, [ERROR_ATTRIBUTES[refusal.code], *challenge], None)
        if len(answer) > most:
            answer = self._answer(message, Class.ERROR, [BARE_ERROR_ATTRIBUTES[refusal.code], *challenge], None)
        if len(answer) > most and message.method is not Method.BINDING and not (
                message.method is Method.ALLOCATE and REQUESTED_TRANSPORT in message):
            self.observer.dropped("amplifies")
            return None
        self.observer.answered(message.method, refusal.code)
        if message.method is Method.ALLOCATE and refusal.code == 401 and not refusal.username:
            self.observer.challenged(five_tuple)
        return answer

    def _may_answer(self, message: Message, five_tuple: FiveTuple, now: float) -> bool:
        if five_tuple.transport != "udp" or (self.own is not None and self.own.knows(message.transaction_id, now)):
            return True
        return self.may_answer(five_tuple.client[0], now)

    def may_answer(self, host: str, now: float) -> bool:
        """Datagrams may come from a forged address: whoever it belongs to gets only so many answers."""
        if not self.unauthenticated.rate or self.unauthenticated.allow(network_of(host), now):
            return True
        self.observer.dropped("rate")
        return False

    def answer_later(
        self, allocation: Allocation, message: Message, grant: Grant, error: Error | None, attributes: list[bytes]
    ) -> None:
        """Answer a request of an allocation's client whose last step said `LATER`: success unless there is an ``error``."""
        if error is None:
            self.observer.answered(message.method, 0)
            answer = self._answer(message, Class.SUCCESS, attributes, grant)
        else:
            answer = self._error(message, grant, error)
        self.plane.respond(answer, allocation.five_tuple)

    def _error(self, message: Message, grant: Grant | None, error: Error) -> bytes:
        self.observer.answered(message.method, error.code)
        if grant is not None:
            self.observer.request_failed(grant.user, message.method, error.code, error.reason)
        return self._answer(message, Class.ERROR, [ERROR_ATTRIBUTES[error.code], *error.attributes], grant)

    def _answer(self, message: Message, class_: Class, attributes: list[bytes], grant: Grant | None) -> bytes:
        """The response, with the integrity and fingerprint that the request asks for."""
        if grant is not None and self.rules.software:
            attributes.append(SOFTWARE.encode(self.rules.software))
        answer = encode(message.method, class_, message.transaction_id, attributes)
        if grant is not None:
            answer = sign_sha256(answer, grant.key) if grant.sha256 else sign(answer, grant.key)
        return add_fingerprint(answer) if self._marks(message) else answer

    def _marks(self, message: Message) -> bool:
        """Whether the answer has a FINGERPRINT."""
        return bool(message.fingerprint_at) or self.rules.fingerprint

    def unknown(self, message: Message, more: frozenset[int] = frozenset()) -> tuple[int, ...]:
        """What it must not hold, unless it is among ``more``."""
        understood = UNDERSTOOD_WITH_SHA256 if self.authenticator.sha256 else UNDERSTOOD
        return message.unknown(understood | more if more else understood)

    # Methods without steps.

    def _binding(self, message: Message, five_tuple: FiveTuple, now: float, grant: Grant | None) -> bytes | None:
        if grant is None and not self._may_answer(message, five_tuple, now):
            return None
        discovery = self.discovery
        if discovery is not None and discovery.concerns(message, five_tuple):
            return self._discover(discovery, message, five_tuple, grant)
        unknown = self.unknown(message)
        if unknown:
            return self._error(message, grant, _unknown(unknown))
        attributes = [XOR_MAPPED_ADDRESS.encode(five_tuple.client, message.transaction_id)]
        if self.rules.legacy_mapped_address and family_of(five_tuple.client[0]) == Family.IPV4:  # else it amplifies
            attributes.append(MAPPED_ADDRESS.encode(five_tuple.client))
        self.observer.answered(Method.BINDING, 0)
        return self._answer(message, Class.SUCCESS, attributes, grant)

    def _discover(
        self, discovery: Discovery, message: Message, five_tuple: FiveTuple, grant: Grant | None
    ) -> bytes | None:
        """A Binding with RFC 5780; its answer may leave from another socket, and is then given to the plane."""
        unknown = self.unknown(message, REQUIRED)
        if unknown:
            return self._error(message, grant, _unknown(unknown))
        try:
            reply = discovery.reply(
                message, five_tuple, fingerprint=self._marks(message)) if discovery.serves(five_tuple) else None
        except Malformed:
            reply = None
        if reply is None:
            return self._error(message, grant, Error(400))
        self.observer.answered(Method.BINDING, 0)
        answer = self._answer(message, Class.SUCCESS, reply.attributes, grant)
        if reply.five_tuple == five_tuple:
            return answer
        self.plane.respond(answer, reply.five_tuple)
        return None


def _unknown(numbers: tuple[int, ...]) -> Error:
    return Error(420, (UNKNOWN_ATTRIBUTES.encode(numbers[:MAX_UNKNOWN]),))
