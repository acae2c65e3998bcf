"""The server against a model of it (tests.turn_model), by whatever sequences of requests, clocks and faults there are."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import FiveTuple, Transport
from rtcd.stun.attributes import (
    ADDITIONAL_ADDRESS_FAMILY,
    DATA,
    EVEN_PORT,
    LIFETIME,
    MOBILITY_TICKET,
    REQUESTED_ADDRESS_FAMILY,
    RESERVATION_TOKEN,
    XOR_PEER_ADDRESS,
    Address,
    Family,
    family_of,
)
from rtcd.stun.channeldata import HEADER
from rtcd.stun.message import Message, Method, decode
from rtcd.turn.mobility import connection_lost
from rtcd.turn.request import Rules
from tests.fakes_turn import SERVER, UDP, Client, World, code_of
from tests.strict_turn import StrictPlane
from tests.turn_model import Model

PLACES = [FiveTuple(transport, (f"192.0.2.{number}", 40000), SERVER) for number, transport in enumerate[Transport](
    ("udp", "udp", "udp", "dtls", "tcp", "tcp", "tls"), 1)]
PEERS: list[Address] = [("8.8.8.8", 1), ("8.8.8.8", 2), ("9.9.9.9", 1), ("2606:4700::1", 1), ("2606:4700::2", 1)]
USERS = {"u": "p", "v": "q"}
MAX_BPS, CAPACITY = 10, 1000
BOTH = ADDITIONAL_ADDRESS_FAMILY.encode(2)
ID = bytes(12)

places, peers, users = st.sampled_from(PLACES), st.sampled_from(PEERS), st.sampled_from(sorted(USERS))
tickets, picks = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2]), st.integers(0, 19)


class Machine(RuleBasedStateMachine):
    """Clients at `PLACES`, each of whom may sign as any user."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Rules(
            user_quota=3, total_quota=5, mobility=True, max_bps=MAX_BPS, bps_capacity=CAPACITY, max_bps_user=5))
        self.server = self.world.server
        self.plane = self.world.plane = self.server.plane = StrictPlane()
        self.clients = {place: Client(self.world, place) for place in PLACES}
        self.model = Model(3, 5)
        self.tickets: list[bytes] = []
        """All that were ever given out."""
        self.tokens: list[bytes] = []
        self.last: tuple[Client, bytes, bytes | None] | None = None

    def ask(self, place: FiveTuple, user: str, method: Method, *attributes: bytes, transaction_id: bytes = b"") -> Message:
        """The answer."""
        client = self.clients[place]
        client.username, client.password = user, USERS[user]
        request = client.signed(method, *attributes, transaction_id=transaction_id)
        raw = client.raw(request)
        assert raw is not None
        if place.transport in ("udp", "dtls") and request[19] % 3 == 0:
            assert client.raw(request) == raw
        self.last = (client, request, raw) if place.transport in ("udp", "dtls") else None
        answer = decode(raw)
        ticket = answer.get(MOBILITY_TICKET)
        if ticket is not None:
            self.tickets.append(ticket)
        return answer

    def usable(self, place: FiveTuple) -> FiveTuple:
        """It, or a place that needs no connection if it is closed."""
        return PLACES[0] if place in self.model.gone or place not in PLACES else place

    def owner(self, place: FiveTuple, user: str, pick: int) -> tuple[FiveTuple, str]:
        """Mostly an allocation's place, or where one is arriving, and mostly its owner; else what was drawn."""
        known = [(where, one.user) for one in self.model.entries for where in (one.place, one.target) if where is not None]
        if known and pick < 16:
            where, name = known[pick % len(known)]
            return self.usable(where), name if pick < 14 else user
        return self.usable(place), user

    @initialize(place=places, other=places, mobile=st.booleans())
    def begin(self, place: FiveTuple, other: FiveTuple, mobile: bool) -> None:
        """With a dual allocation, and perhaps another one."""
        self.allocate(place, "u", 3, None, True)
        self.allocate(other, "v", 0, True, mobile)
        self.permit(place, "u", 0, [PEERS[0], PEERS[3]])

    @rule(place=places, user=users, family=st.sampled_from([0, 1, 2, 3]), even=st.sampled_from([None, False, True]),
          mobile=st.booleans())
    def allocate(self, place: FiveTuple, user: str, family: int, even: bool | None, mobile: bool) -> None:
        """Family 3 is both, 0 is none named."""
        place = self.usable(place)
        families = {1, 2} if family == 3 else {family or 1}
        attributes = [UDP]
        if family:
            attributes.append(BOTH if family == 3 else REQUESTED_ADDRESS_FAMILY.encode(family))
        if even is not None and not (even and family == 3):
            attributes.append(EVEN_PORT.encode(even))
        if mobile:
            attributes.append(MOBILITY_TICKET.encode(b""))
        answer = self.ask(place, user, Method.ALLOCATE, *attributes)
        self.allocated(answer, self.model.allocate(place, user, self.world.now, families, self.plane.faulty, b""))

    @precondition(lambda self: self.tokens)
    @rule(place=places, user=users, number=tickets)
    def claim(self, place: FiveTuple, user: str, number: int) -> None:
        """Allocate with a token, perhaps an old one."""
        place, token = self.usable(place), self.tokens[-1 - number % len(self.tokens)]
        answer = self.ask(place, user, Method.ALLOCATE, UDP, RESERVATION_TOKEN.encode(token))
        self.allocated(answer, self.model.allocate(place, user, self.world.now, set(), self.plane.faulty, token))

    def allocated(self, answer: Message, code: int) -> None:
        """Note tokens of a success."""
        assert code_of(answer) == code
        if code:
            return
        entry = self.model.entries[-1]
        entry.ticket = answer.get(MOBILITY_TICKET) or b""
        token = answer.get(RESERVATION_TOKEN)
        if token is not None:
            self.tokens.append(token)
            self.model.held[token] = next(iter(entry.ends)), self.world.now + 30, entry.user

    @rule(place=places, user=users, pick=picks, lifetime_s=st.sampled_from([0, 600, 600, 600, 1200]),
          family=st.sampled_from([0, 0, 0, 1, 2]))
    def refresh(self, place: FiveTuple, user: str, pick: int, lifetime_s: int, family: int) -> None:
        """Without a ticket."""
        self.refreshed(*self.owner(place, user, pick), lifetime_s, family, b"")

    @precondition(lambda self: self.tickets)
    @rule(place=places, user=users, lifetime_s=st.sampled_from([0, 600, 600, 600]), family=st.sampled_from([0, 0, 0, 1, 2]),
          number=tickets, pick=picks)
    def come(self, place: FiveTuple, user: str, lifetime_s: int, family: int, number: int, pick: int) -> None:
        """With a ticket, perhaps an old one."""
        ticket = self.tickets[-1 - number % len(self.tickets)]
        entry = next((one for one in self.model.entries if one.ticket == ticket), None)
        self.refreshed(self.usable(place), entry.user if entry and pick < 16 else user, lifetime_s, family, ticket)

    def refreshed(self, place: FiveTuple, user: str, lifetime_s: int, family: int, ticket: bytes) -> None:
        """One Refresh."""
        attributes = [LIFETIME.encode(lifetime_s)]
        if family:
            attributes.append(REQUESTED_ADDRESS_FAMILY.encode(family))
        if ticket:
            attributes.append(MOBILITY_TICKET.encode(ticket))
        answer = self.ask(place, user, Method.REFRESH, *attributes)
        assert code_of(answer) == self.model.refresh(place, user, self.world.now, lifetime_s, family, ticket)
        new = answer.get(MOBILITY_TICKET)
        owner = next((one for one in self.model.entries if ticket and one.ticket == ticket), None)
        assert (new is not None) == (owner is not None and not code_of(answer))
        if owner is not None and new is not None:
            owner.ticket = new

    @rule(place=places, user=users, pick=picks, named=st.lists(peers, min_size=1, max_size=3))
    def permit(self, place: FiveTuple, user: str, pick: int, named: list[Address]) -> None:
        """CreatePermission."""
        place, user = self.owner(place, user, pick)
        transaction_id = self.clients[place].transaction_id()
        answer = self.ask(place, user, Method.CREATE_PERMISSION, *(
            XOR_PEER_ADDRESS.encode(one, transaction_id) for one in named), transaction_id=transaction_id)
        assert code_of(answer) == self.model.permit(place, user, self.world.now, named)

    @rule(place=places, user=users, pick=picks, channel=st.integers(0x4000, 0x4002), peer=peers)
    def bind(self, place: FiveTuple, user: str, pick: int, channel: int, peer: Address) -> None:
        """ChannelBind."""
        self.last = None
        place, user = self.owner(place, user, pick)
        client = self.clients[place]
        client.username, client.password = user, USERS[user]
        assert client.bind(channel, peer) == self.model.bind(place, user, self.world.now, channel, peer)

    @rule(place=places, pick=picks, peer=peers)
    def send(self, place: FiveTuple, pick: int, peer: Address) -> None:
        """A Send indication."""
        self.last = None
        place, _ = self.owner(place, "", pick)
        self.plane.calls.clear()
        self.clients[place].indicate(XOR_PEER_ADDRESS.encode(peer, ID), DATA.encode(b"x"))
        assert (self.plane.calls == [("send", peer)]) == self.model.sends(place, self.world.now, peer)

    @rule(place=places, pick=picks)
    def channel_data(self, place: FiveTuple, pick: int) -> None:
        """As the plane brings it of a client that it does not know."""
        self.last = None
        place, _ = self.owner(place, "", pick)
        if place not in self.plane.places.values():
            assert self.clients[place].raw(HEADER.pack(0x4000, 0)) is None
            self.model.arrived(place, self.world.now)

    @precondition(lambda self: self.last is not None)
    @rule()
    def repeat(self) -> None:
        """The last datagram again: the same answer, and nothing else happens."""
        if self.last is not None:
            client, request, answer = self.last
            before = self.table()
            assert client.raw(request) == answer
            assert self.table() == before

    @rule(place=st.sampled_from(PLACES[4:]))
    def disconnect(self, place: FiveTuple) -> None:
        """A stream ends."""
        self.last = None
        if place not in self.model.gone:
            self.plane.gone.add(place)
            connection_lost(self.server, place)
            self.model.lost(place)
            for one, where in self.plane.places.items():
                if where == place:
                    self.plane.places[one] = one.five_tuple  # the plane knows by itself that nobody is there

    @rule(place=st.sampled_from(PLACES[4:]))
    def connect(self, place: FiveTuple) -> None:
        """A stream is there again; whatever was left there is not its."""
        assert self.server.allocations.get(place) is None or place not in self.model.gone
        self.plane.gone.discard(place)
        self.model.gone.discard(place)

    @rule(faulty=st.sampled_from([set(), set(), set(), set(), {1}, {2}, {1, 2}]))
    def fault(self, faulty: set[int]) -> None:
        """Families of which no relay can be opened from now on."""
        self.plane.faulty = faulty

    @rule(step=st.sampled_from([1.0, 1.0, 29.0, 31.0, 150.0, 299.0, 301.0, 599.0, -5.0, -400.0]), timer=st.booleans())
    def wait(self, step: float, timer: bool) -> None:
        """Time goes by, or back, and the timer is perhaps late."""
        self.world.now += step
        self.last = None
        if timer:
            self.expire()

    @rule()
    def expire(self) -> None:
        """The timer."""
        self.server.expire(self.world.now)
        self.model.expire(self.world.now)
        deadline = self.server.next_deadline()
        assert deadline is None or deadline > self.world.now

    def table(self) -> dict[FiveTuple, tuple[object, ...]]:
        """All that the server knows, by place."""
        return {one.five_tuple: (
            one.user, {int(family): end for family, end in one.ends.items()}, one.ticket,
            {host: permission.expires_at for host, permission in one.permissions.items()},
            {number: (binding.peer, binding.expires_at) for number, binding in one.channels.items()},
        ) for one in self.server.allocations}

    @invariant()
    def the_server_knows_what_the_model_knows(self) -> None:
        """Allocations, tickets, permissions, channels, moves, held ports and the next deadline."""
        assert self.table() == {
            one.place: (one.user, one.ends, one.ticket, one.permissions, one.channels) for one in self.model.entries}
        moves = {allocation.five_tuple: move for allocation, move in self.server.mobility._moves.items()}
        assert moves == {one.place: (one.target, one.arrives_at) for one in self.model.entries if one.target is not None}
        assert self.plane.held == set(self.model.held) == set(self.server.reservations._held)
        assert self.server.next_deadline() == self.model.next_deadline()

    @invariant()
    def nothing_is_left_behind(self) -> None:
        """No port, no place, no unit, no booking, no ticket, no meter of what is not there."""
        table = self.server.allocations
        assert self.plane.open_relays == {(one, family) for one in table for family in one.relayed}
        assert self.plane.places == {one: one.five_tuple for one in table}
        for one in table:
            assert table.get(one.five_tuple) is one
            assert one.relayed.keys() == one.shown.keys() == one.ends.keys() != set()
            assert (one.expires_at, one.next_end) == (max(one.ends.values()), min(one.ends.values()))
            assert {binding.peer: binding for binding in one.channels.values()} == one.peers
            assert {family_of(host) for host in one.permissions} <= {*one.relayed}
        for user in USERS:
            there = [one for one in table if one.user == user]
            assert table.of_user(user) == len(there) and set(table.by_user(user)) == set(there)
        for place in PLACES:
            network = place.client[0]
            assert table.of_network(network) == sum(one.network == network for one in table)
        assert table.booked_bps == MAX_BPS * len(table)
        assert set(self.server.bandwidth._users) == {one.user for one in table}
        assert self.server.mobility._tickets == {one.ticket: one for one in table if one.ticket}
        assert all(place not in {one.five_tuple for one in table} for place in self.server.mobility._arriving)
        assert self.world.observer.created - len(self.world.observer.ended) == len(table)


class MachineTests(SynchronousTestCase):
    """A few hundred sequences, the same ones each time."""

    def test_whatever_clients_do_nothing_leaks_and_the_rules_hold(self) -> None:
        """RFC 8656 §5 to §12, RFC 8016."""
        run_state_machine_as_test(
            Machine, settings=settings(max_examples=100, stateful_step_count=30, deadline=None, derandomize=True))

    def test_families_are_numbers_in_the_model(self) -> None:
        """Its families are compared with the server's."""
        self.assertEqual([int(one) for one in Family], [1, 2])
