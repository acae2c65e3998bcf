"""What `TurnServer.receive` promises, whatever clients, peers, rooms, clocks and sockets do, in any order."""

from __future__ import annotations

import json
import math

from rtcd.allocations.addresses import External
from rtcd.allocations.allocation import TCP, UDP, Allocation, FiveTuple
from rtcd.bucket import network
from rtcd.peers.bound import MODES, Bound, client_gone
from rtcd.peers.policy import PeerPolicy
from rtcd.stun.attributes import CONNECTION_ID, ERROR_CODE, MOBILITY_TICKET, REQUESTED_TRANSPORT, RESERVATION_TOKEN, Address
from rtcd.stun.integrity import fingerprint_matches, verify, verify_sha256
from rtcd.stun.message import Class, Message, Method, decode
from rtcd.turn import connect
from rtcd.turn.discovery import Discovery
from rtcd.turn.mobility import connection_lost
from rtcd.turn.redirect import Alternates
from rtcd.turn.request import REASONS, Rules
from rtcd.turn.server import MAX_AMPLIFICATION
from tests.fakes_turn import SERVER, SERVER6, World
from tests.fuzz.requests import CLIENTS, EXTERNAL, OTHER_SERVER, PEERS, ROOM, Known, Requests, Signed
from tests.fuzz.source import Source
from tests.strict_turn import StrictPlane, StrictTcp

MAX_STEPS = 60
PLACES = (
    FiveTuple("udp", ("192.0.2.1", 40000), SERVER), FiveTuple("udp", ("192.0.2.1", 40000), OTHER_SERVER),
    FiveTuple("udp", ("2606:4700::7", 40000), SERVER6), FiveTuple("tcp", ("192.0.2.3", 40000), SERVER),
    FiveTuple("tcp", ("192.0.2.4", 40000), SERVER), FiveTuple("tls", ("192.0.2.5", 40000), SERVER),
    FiveTuple("dtls", ("192.0.2.6", 40000), SERVER), FiveTuple("tcp", ("192.0.2.4", 40001), SERVER))
STREAMS = PLACES[3:]
STEPS = (1.0, 1.0, 29.0, 31.0, 150.0, 301.0, 599.0, 601.0, 3700.0, -5.0, -400.0)
UNSIGNED = (400, 401, 438)


class Plane(StrictPlane):
    """Counts what only an authenticated request may do."""

    def __init__(self) -> None:
        super().__init__()
        self.effects = 0

    def open(self, allocation: Allocation, host: str) -> Address:
        self.effects += 1
        return super().open(allocation, host)

    def permit(self, allocation: Allocation, peer_host: str, expires_at: float, named: str) -> None:
        self.effects += 1
        super().permit(allocation, peer_host, expires_at, named)

    def bind(self, allocation: Allocation, channel: int, peer: Address, expires_at: float) -> None:
        self.effects += 1
        super().bind(allocation, channel, peer, expires_at)


class Session:
    """A server and all that happens to it, out of one input."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.world = World(
            self._rules(), hosts=(SERVER[0], SERVER6[0]), rate=source.pick((0, 0, 0, 3)),
            external=(External(EXTERNAL, SERVER[0]),) if source.flag() else (), policy=PeerPolicy(
                private=source.rarely(), loopback=source.rarely(), relay_hosts=(SERVER[0], SERVER6[0]),
                relay_ports=range(50000, 51000)))
        self.server = self.world.server
        self.plane = self.world.plane = self.server.plane = Plane()
        self.tcp = StrictTcp()
        self.server.tcp = self.tcp if source.flag() else None
        if source.flag():
            self.server.discovery = Discovery(
                (SERVER[0], OTHER_SERVER[0]), (SERVER[1], OTHER_SERVER[1]), self.world.addresses.shown)
        self.world.authenticator.sha256 = source.flag()
        self.world.authenticator.strict_expiry = source.flag()
        self.bound = Bound(self.world.credentials, source.pick(MODES))
        if source.flag():
            self.server.bound = self.bound
            self.world.authenticator.revoked = self.bound.revoked
        self.known = Known()
        self.requests = Requests(source, self.world.credentials, self.world.nonces, self.known, self.world.now)
        self.pending: set[bytes] = set()
        """Connects that will be answered."""
        self.last: tuple[Signed, FiveTuple] | None = None

    def _rules(self) -> Rules:
        source = self.source
        bits = source.number(2)
        return Rules(
            user_quota=source.pick((0, 0, 2)), total_quota=source.pick((0, 0, 3)), address_quota=source.pick((0, 0, 2)),
            fingerprint=bool(bits & 1), software="x" if bits & 2 else "", rfc5766_channels=bool(bits & 4),
            stun_only=bits & 0xF8 == 0, stun=bits & 0xF00 != 0, udp_relay=bits & 0xF000 != 0,
            legacy_mapped_address=bool(bits & 8), default_family=None if bits & 0x10 else Rules().default_family,
            mobility=bits & 0x60 != 0, max_bps=10 if bits & 0x80 else 0, max_bps_user=5 if bits & 0x100 else 0,
            bps_capacity=25 if bits & 0x200 else 0, stun_auth=bits & 0xC00 == 0)

    def step(self) -> None:
        """One thing happens."""
        kind = self.source.byte() % 32
        if kind < 14:
            place = self._place()
            there = self.server.allocations.get(place)
            self._sign(place, there.username if there else "")
        elif kind < 16:
            self._tcp_request()
        elif kind < 18:
            self._ask(self.requests.plain(Class.REQUEST), self._place())
        elif kind < 21:
            self._receive(self.requests.plain(Class.INDICATION), self._place())
        elif kind == 21:
            self._receive(Signed(self.source.take(), b"", True, b"", True), self._place())
        elif kind < 24:
            self._again()
        elif kind < 26:
            self.world.now += self.source.pick(STEPS)
            if self.source.flag():
                self._expire()
        elif kind == 26:
            self._connection()
        elif kind < 29:
            self._peer()
        elif kind == 29:
            self._room()
        else:
            self._operate()

    def _place(self) -> FiveTuple:
        """Where a client is that can send, mostly one that has an allocation."""
        place = self.source.pick(PLACES)
        known = [one.five_tuple for one in self.server.allocations if one.five_tuple in PLACES]
        if known and self.source.byte() & 3:
            place = self.source.pick(known)
        return PLACES[0] if place in self.plane.gone or place in self.tcp.pipes.values() else place

    def _sign(self, place: FiveTuple, owner: str, wanted: Method | None = None) -> None:
        self._ask(self.requests.signed(
            place, self.world.now, self.world.authenticator.sha256, owner, wanted), place)

    def _tcp_request(self) -> None:
        """Something that makes sense for TCP relays only: a Connect, or a ConnectionBind from a free stream."""
        relays = [one for one in self.server.allocations if one.transport == TCP]
        streams = [place for place in STREAMS if place.transport != "dtls" and place not in self.plane.gone
                   and place not in self.tcp.pipes.values() and self.server.allocations.get(place) is None]
        if relays and self.tcp.links and streams and self.source.flag():
            number = self.source.pick(list(self.tcp.links)[-256:])
            self.known.numbers.append(number)
            owner = self.server.connections._all[number].allocation.username
            self._sign(self.source.pick(streams), owner, Method.CONNECTION_BIND)
        elif relays:
            allocation = self.source.pick(relays)
            if allocation.five_tuple in PLACES:
                self._sign(allocation.five_tuple, allocation.username, Method.CONNECT)
        elif streams:
            self._sign(self.source.pick(streams), "", Method.ALLOCATE)

    def _ask(self, request: Signed, place: FiveTuple) -> None:
        self.last = request, place
        self._receive(request, place)

    def _again(self) -> None:
        """The last request once more, perhaps from elsewhere, where its nonce is not good."""
        if self.last is None:
            return
        request, asked_from = self.last
        place = self._place() if self.source.rarely() else asked_from
        if place in self.plane.gone or place in self.tcp.pipes.values():
            return
        elsewhere = (place.transport, place.client) != (asked_from.transport, asked_from.client)
        self._receive(request._replace(forged=request.forged or elsewhere), place)

    def _receive(self, request: Signed, place: FiveTuple) -> None:
        """Give it to the server, and judge what comes back."""
        created, effects = self.world.observer.created, self.plane.effects
        links, drops = len(self.tcp.links), len(self.world.observer.drops)
        there = self.server.allocations.get(place)
        strange = there is not None and there.username != request.user
        self.plane.calls.clear()
        answer = self.server.receive(request.data, place, self.world.now)
        sent = [(data, target) for name, data, target in (call for call in self.plane.calls if call[0] == "respond")]
        asked = request.data[8:20]
        others = [one for one in sent if one[0][8:20] != asked or asked in self.pending]
        mine = [] if answer is None else [(answer, place)]
        mine += [one for one in sent if one not in others]
        self._later(others)
        assert len(mine) <= 1
        if request.forged:
            assert (self.world.observer.created, self.plane.effects) == (created, effects)
            assert len(self.tcp.links) <= links
        for data, target in mine:
            self._judge(request, place, decode(data), target)
            if strange and decode(data).class_ is Class.SUCCESS:
                assert decode(data).method is Method.BINDING or there is not self.server.allocations.get(place)
        if not mine and self._waits(request.transaction_id):
            assert not request.forged
            assert request.transaction_id not in self.pending
            self.pending.add(request.transaction_id)
        elif not mine and not request.indication:
            assert len(self.world.observer.drops) > drops

    def _waits(self, transaction_id: bytes) -> bool:
        return any(one.asked and one.asked.message.transaction_id == transaction_id
                   for one in self.server.connections._all.values())

    def _judge(self, request: Signed, place: FiveTuple, answer: Message, target: FiveTuple) -> None:
        asked = decode(request.data)
        assert asked.class_ is Class.REQUEST
        assert (answer.method, answer.transaction_id) == (asked.method, asked.transaction_id)
        assert answer.class_ in (Class.SUCCESS, Class.ERROR)
        assert target.client[0] == place.client[0]
        binding = asked.method is Method.BINDING and not self.server.rules.stun_auth
        error = answer.get(ERROR_CODE)
        assert (error is not None) == (answer.class_ is Class.ERROR)
        if error is not None:
            assert error[0] in REASONS
            assert error[1] in ("", REASONS[error[0]])
        if answer.fingerprint_at:
            assert fingerprint_matches(answer.raw, answer.fingerprint_at)
        if asked.fingerprint_at:
            assert answer.fingerprint_at
        if request.forged:
            assert error is not None or binding
            self._is_short(asked, answer, place)
        elif not binding and (error is None or error[0] not in UNSIGNED):
            if asked.integrity_sha256_at:
                assert verify_sha256(answer.raw, answer.integrity_sha256_at, request.key)
            else:
                assert verify(answer.raw, answer.integrity_at, request.key)
        self._note(answer)

    def _is_short(self, asked: Message, answer: Message, place: FiveTuple) -> None:
        """Nobody is hit with a multiple of what a forger sends, save where a client could not begin otherwise."""
        first = asked.method is Method.ALLOCATE and REQUESTED_TRANSPORT in asked
        first = first or (asked.method is Method.BINDING and self.server.rules.stun_auth)
        if place.transport == "udp" and not first:
            assert len(answer.raw) <= MAX_AMPLIFICATION * len(asked.raw), (len(asked.raw), len(answer.raw))

    def _later(self, answers: list[tuple[bytes, FiveTuple]]) -> None:
        """Answers to Connects that came before, each once, and indications to clients of relays."""
        for data, _ in answers:
            answer = decode(data)
            if answer.class_ is Class.INDICATION:
                assert answer.method is Method.CONNECTION_ATTEMPT
            else:
                assert answer.method is Method.CONNECT
                self.pending.remove(answer.transaction_id)
            self._note(answer)

    def _note(self, answer: Message) -> None:
        """What it tells can be used."""
        known = self.known
        if (ticket := answer.get(MOBILITY_TICKET)) is not None:
            known.tickets.append(ticket)
        if (token := answer.get(RESERVATION_TOKEN)) is not None:
            known.tokens.append(token)
        if (number := answer.get(CONNECTION_ID)) is not None:
            known.numbers.append(number)

    def _told(self) -> None:
        """Answers that came of something else than a request."""
        self._later([(data, five_tuple) for name, data, five_tuple in
                     (call for call in self.plane.calls if call[0] == "respond")])
        self.plane.calls.clear()

    def _expire(self) -> None:
        self.plane.calls.clear()
        self.server.expire(self.world.now)
        deadline = self.server.next_deadline()
        assert deadline is None or deadline > self.world.now
        self._told()

    def _connection(self) -> None:
        """A client's connection ends, or there is one again."""
        place, self.plane.calls = self.source.pick(STREAMS), []
        if place in self.plane.gone:
            if self.server.allocations.get(place) is None:
                self.plane.gone.discard(place)
        elif place in self.tcp.pipes.values():
            number = next(number for number, one in self.tcp.pipes.items() if one == place)
            self.tcp.drop(number)
            connect.lost(self.server, number)
        else:
            self.plane.gone.add(place)
            connection_lost(self.server, place)
            for one, where in self.plane.places.items():
                if where == place:
                    self.plane.places[one] = one.five_tuple  # the plane knows by itself that nobody is there
        self._told()

    def _peer(self) -> None:
        """A peer of a TCP relay answers, refuses, leaves or comes."""
        self.plane.calls.clear()
        kind = self.source.byte() % 8
        relays = [one for one in self.server.allocations if one.transport == TCP]
        if kind < 3:
            if relays:
                allocation = self.source.pick(relays)
                peer = self.source.pick(PEERS[:6])
                family = next((one for one, _ in allocation.relayed.items() if (one == 2) == (":" in peer[0])), None)
                if family is not None:
                    number = connect.attempted(self.server, allocation, peer, self.world.now)
                    if number is not None:
                        self.tcp.connect(number, allocation, peer)
        elif self.tcp.links:
            number = self.source.pick(list(self.tcp.links)[:256])
            if kind < 6:
                connect.connected(self.server, number, self.world.now)
            else:
                self.tcp.drop(number)
                (connect.lost if kind == 6 else connect.failed)(self.server, number)
                connect.lost(self.server, number)
        self._told()

    def _room(self) -> None:
        """Somebody comes, says something or leaves."""
        self.plane.calls.clear()
        client, kind = self.source.pick(CLIENTS), self.source.byte() % 4
        host = self.source.pick(PEERS)[0]
        if kind == 0:
            self.bound.came(ROOM, client, network(host), self.world.now)
        elif kind < 3:
            self.bound.said(ROOM, client, json.dumps({
                "candidate": f"candidate:1 1 udp 1 {host} 5 typ {self.source.pick(('host', 'relay'))}"}), self.world.now)
        elif self.server.bound is not None:
            client_gone(self.server, self.bound, ROOM, client, self.world.now)
        self._told()

    def _operate(self) -> None:
        """Sockets fail, or the operator changes something."""
        kind = self.source.byte() % 8
        if kind == 0:
            self.plane.faulty = {one for one in (1, 2) if self.source.flag()}
        elif kind == 1:
            self.tcp.fault = OSError("no port") if self.source.flag() else None
        elif kind == 2:
            self.tcp.streams = not self.tcp.streams
        elif kind == 3:
            self.server.rules = self._rules()
        elif kind == 4:
            self.bound.mode = self.source.pick(MODES)
        elif kind == 5:
            self.server.draining = self.source.flag()
        elif kind == 6:
            others = (("9.9.9.9", 3478),) if self.source.flag() else ()
            self.server.alternates = Alternates(others, always=self.source.flag())
        else:
            external = (External(EXTERNAL, SERVER[0]),) if self.source.flag() else ()
            self.world.addresses.remap(external, {host for one in self.server.allocations for host, _ in one.shown.values()})

    def check(self) -> None:
        """Nothing is left behind of what is not there, and nothing lacks of what is."""
        server, table = self.server, self.server.allocations
        for plane, transport in ((self.plane, UDP), (self.tcp, TCP)):
            assert plane.open_relays == {
                (one, family) for one in table if one.transport == transport for family in one.relayed}
        assert self.plane.places == {one: one.five_tuple for one in table if one.transport == UDP}
        for one in table:
            assert table.get(one.five_tuple) is one
            assert one.relayed.keys() == one.shown.keys() == one.ends.keys() != set()
            assert {binding.peer: binding for binding in one.channels.values()} == one.peers
            assert one.expires_at < math.inf
        for user in {one.user for one in table}:
            assert set(table.by_user(user)) == {one for one in table if one.user == user}
        assert sum(table._networks.values()) == sum(map(len, table._users.values())) == len(table)
        assert table.booked_bps == sum(one.booked_bps for one in table)
        assert set(server.bandwidth._users) <= {one.user for one in table}
        assert server.mobility._tickets == {one.ticket: one for one in table if one.ticket}
        assert set(server.mobility._arriving.values()) == set(server.mobility._moves) <= set(table)
        assert all(table.get(place) is None for place in server.mobility._arriving)
        assert self.plane.held == set(server.reservations._held)
        assert set(self.tcp.links) == set(server.connections._all)
        assert {one.allocation for one in server.connections._all.values()} == set(server.connections._peers) <= set(table)
        assert self.pending == {one.asked.message.transaction_id for one in server.connections._all.values() if one.asked}
        assert self.world.observer.created - len(self.world.observer.ended) == len(table)


def server(data: bytes) -> None:
    """As many steps as the input has bytes for."""
    source = Source(data)
    session = Session(source)
    for _ in range(MAX_STEPS):
        if not source:
            break
        session.step()
        session.check()
