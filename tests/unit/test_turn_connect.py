"""TCP relays: Connect, ConnectionAttempt and ConnectionBind by the rules of RFC 6062."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.addresses import External, RelayAddresses
from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.doorway.directory import Listener
from rtcd.peers.bound import Bound
from rtcd.peers.policy import PeerPolicy
from rtcd.ranges import parse_ranges
from rtcd.stun import attributes as a
from rtcd.stun.attributes import CONNECTION_ID, LIFETIME, REQUESTED_TRANSPORT, XOR_PEER_ADDRESS, Address, Family
from rtcd.stun.message import Class, Message, Method, decode, encode
from rtcd.turn import connect, data_connections
from rtcd.turn.data_connections import MAX_CONNECTIONS, WAIT_S, Connections, State
from rtcd.turn.request import Rules
from tests.fakes_turn import PEER, SERVER, UDP, Client, World, code_of

TCP = REQUESTED_TRANSPORT.encode(6)


class FakeTcp:
    """Writes down what is asked of it."""

    def __init__(self) -> None:
        self.fault: OSError | None = None
        self.relays: set[Allocation] = set()
        self.connecting: list[tuple[int, Address]] = []
        self.bound: list[tuple[int, FiveTuple]] = []
        self.dropped: list[int] = []
        self.streams = True

    def open(self, allocation: Allocation, host: str) -> Address:
        if self.fault:
            raise self.fault
        self.relays.add(allocation)
        return host, 50001

    def connect(self, number: int, allocation: Allocation, peer: Address) -> None:
        self.connecting.append((number, peer))

    def bind(self, number: int, five_tuple: FiveTuple) -> bool:
        if self.streams:
            self.bound.append((number, five_tuple))
        return self.streams

    def drop(self, number: int) -> None:
        self.dropped.append(number)

    def move(self, allocation: Allocation, five_tuple: FiveTuple) -> None:
        """Nothing to do."""

    def traffic(self, allocation: Allocation) -> Traffic:
        return Traffic()

    def close(self, allocation: Allocation, family: Family | None = None) -> Traffic:
        self.relays.discard(allocation)
        return Traffic(sent_bytes=7)


class Relay(SynchronousTestCase):
    """A client with a TCP relay on its control connection."""

    def setUp(self) -> None:
        self.world = World()
        self.tcp = self.world.server.tcp = FakeTcp()
        self.client = self.stream(40000)
        self.assertEqual(self.client.code(Method.ALLOCATE, TCP), 0)

    def stream(self, port: int, transport: str = "tcp", user: tuple[str, str] = ("u", "p")) -> Client:
        """Another connection of a client."""
        found = self.world.client(port)
        found.five_tuple = found.five_tuple._replace(transport=transport)  # type: ignore[arg-type] # a test's text
        found.username, found.password = user
        return found

    def connect(self, peer: Address = PEER) -> bytes | None:
        """A Connect, whose answer comes later."""
        transaction_id = self.client.transaction_id()
        return self.client.raw(self.client.signed(
            Method.CONNECT, XOR_PEER_ADDRESS.encode(peer, transaction_id), transaction_id=transaction_id))

    def connect_code(self, peer: Address = PEER) -> int:
        """The error code of a Connect that is answered at once."""
        return code_of(decode(self.connect(peer) or b""))

    def later(self) -> Message:
        """What the client was sent meanwhile."""
        (_, data, five_tuple), = (call for call in self.world.plane.calls if call[0] == "respond")
        self.world.plane.calls.clear()
        self.assertEqual(five_tuple, self.client.five_tuple)
        return decode(data)

    def connected(self, peer: Address = PEER) -> int:
        """A connection that waits for the client; its number."""
        self.assertIsNone(self.connect(peer))
        number = self.tcp.connecting[-1][0]
        connect.connected(self.world.server, number, self.world.now)
        self.assertEqual(self.later().get(CONNECTION_ID), number)
        return number

    def attempt(self, peer: Address = PEER) -> int | None:
        """A peer connects to the relay."""
        allocation, = self.tcp.relays
        return connect.attempted(self.world.server, allocation, peer, self.world.now)

    def bind(self, number: int, client: Client | None = None) -> int:
        """The error code of a ConnectionBind."""
        return (client or self.stream(40001)).code(Method.CONNECTION_BIND, CONNECTION_ID.encode(number))


class Allocating(SynchronousTestCase):
    def test_off_it_is_an_unsupported_transport(self) -> None:
        self.assertEqual(World().client().code(Method.ALLOCATE, TCP), 442)

    def test_it_needs_a_stream_to_the_client(self) -> None:
        """RFC 6062 §5.1; DTLS is none."""
        world = World()
        world.server.tcp = FakeTcp()
        self.assertEqual(world.client().code(Method.ALLOCATE, TCP), 400)

    def test_what_only_datagrams_have_is_refused(self) -> None:
        world = World()
        world.server.tcp = FakeTcp()
        client = world.client()
        client.five_tuple = client.five_tuple._replace(transport="tls")
        for one in (a.DONT_FRAGMENT.encode(b""), a.EVEN_PORT.encode(False), a.RESERVATION_TOKEN.encode(bytes(8))):
            self.assertEqual(client.code(Method.ALLOCATE, TCP, one), 400)
        self.assertEqual(client.code(Method.ALLOCATE, TCP), 0)

    def test_it_may_move_to_another_stream_and_to_nothing_else(self) -> None:
        """400 for a ticket that comes by datagrams: there is no control connection then (RFC 6062 §5.1, RFC 8016)."""
        world = World(Rules(mobility=True))
        world.server.tcp = FakeTcp()
        client, other = world.client(), world.client(2)
        client.five_tuple = client.five_tuple._replace(transport="tcp")
        ticket = client.ask(Method.ALLOCATE, TCP, a.MOBILITY_TICKET.encode(b"")).get(a.MOBILITY_TICKET) or b""
        for transport, code in (("udp", 400), ("dtls", 400), ("tls", 0)):
            other.five_tuple = other.five_tuple._replace(transport=transport)  # type: ignore[arg-type] # a test's text
            self.assertEqual(other.code(Method.REFRESH, a.MOBILITY_TICKET.encode(ticket)), code)
        self.assertEqual((other.refresh(600), client.refresh(600)), (0, 437))

    def test_it_counts_against_the_same_quotas(self) -> None:
        for rules in (Rules(user_quota=1), Rules(address_quota=1), Rules(total_quota=1), Rules(max_bps=5, bps_capacity=5)):
            for first, second in ((TCP, UDP), (UDP, TCP)):
                world = World(rules)
                world.server.tcp = FakeTcp()
                one, other = world.client(1), world.client(2)
                one.five_tuple, other.five_tuple = (
                    client.five_tuple._replace(transport="tcp") for client in (one, other))
                self.assertEqual([one.code(Method.ALLOCATE, first), other.code(Method.ALLOCATE, second)], [0, 486])
                self.assertEqual([one.refresh(0), other.code(Method.ALLOCATE, second)], [0, 0])

    def test_no_port_is_508_and_nothing_is_left(self) -> None:
        world = World()
        tcp = world.server.tcp = FakeTcp()
        tcp.fault = OSError()
        client = world.client()
        client.five_tuple = client.five_tuple._replace(transport="tcp")
        self.assertEqual(client.code(Method.ALLOCATE, TCP), 508)
        self.assertEqual((len(world.server.allocations), tcp.relays), (0, set()))


class Connecting(Relay):
    def test_the_answer_comes_when_the_peer_has_answered(self) -> None:
        self.assertIsNone(self.connect())
        self.assertEqual(self.world.plane.calls, [])
        (number, peer), = self.tcp.connecting
        connect.connected(self.world.server, number, self.world.now)
        answer = self.later()
        self.assertEqual((answer.class_, answer.get(CONNECTION_ID), peer), (Class.SUCCESS, number, PEER))
        self.assertTrue(answer.integrity_at)

    def test_a_refusal_is_447(self) -> None:
        self.connect()
        connect.failed(self.world.server, self.tcp.connecting[0][0])
        self.assertEqual(code_of(self.later()), 447)
        self.assertEqual(len(self.world.server.connections), 0)

    def test_our_external_address_is_reached_at_the_private_one(self) -> None:
        """And a peer that comes from there is told by the address that clients know."""
        self.world.addresses.remap([External("203.0.113.9", SERVER[0])])
        self.world.server.policy = PeerPolicy(relay_hosts=(SERVER[0],), relay_ports=range(50000, 60000))
        self.assertIsNone(self.connect(("203.0.113.9", 50002)))
        self.assertEqual([peer for _, peer in self.tcp.connecting], [(SERVER[0], 50002)])
        self.assertEqual(self.connect_code(("203.0.113.9", 22)), 403)
        self.assertEqual(self.client.permit(("203.0.113.9", 0)), 0)
        self.world.plane.calls.clear()
        self.assertIsNotNone(self.attempt((SERVER[0], 50003)))
        self.assertEqual(self.later().get(XOR_PEER_ADDRESS), ("203.0.113.9", 50003))

    def test_a_peer_that_does_not_answer_in_time_is_447(self) -> None:
        self.connect()
        self.assertEqual(self.world.server.next_deadline(), self.world.now + WAIT_S)
        self.world.now += WAIT_S
        self.world.server.expire(self.world.now)
        self.assertEqual(code_of(self.later()), 447)
        self.assertEqual(self.tcp.dropped, [self.tcp.connecting[0][0]])

    def test_a_clock_that_steps_back_makes_nobody_wait_longer(self) -> None:
        self.connect()
        self.world.now -= 3600
        self.world.server.expire(self.world.now)
        self.assertEqual(code_of(self.later()), 447)

    def test_there_is_no_second_connection_to_a_peer(self) -> None:
        """446, whether it is made or in the making."""
        self.connect()
        self.assertEqual(self.connect_code(), 446)
        connect.connected(self.world.server, self.tcp.connecting[0][0], self.world.now)
        self.assertEqual(self.connect_code(), 446)
        self.assertIsNone(self.connect((PEER[0], PEER[1] + 1)))

    def test_errors_come_in_order(self) -> None:
        """400, 443, 403, 508 (RFC 6062 §5.2)."""
        self.assertEqual(self.client.code(Method.CONNECT), 400)
        self.assertEqual(self.connect_code((PEER[0], 0)), 400)
        self.assertEqual(self.connect_code(("2606:4700::1", 80)), 443)
        self.assertEqual(self.connect_code(("127.0.0.1", 80)), 403)
        self.assertEqual(self.connect_code((SERVER[0], 0)), 400)
        for port in range(1, MAX_CONNECTIONS + 1):
            self.connect((PEER[0], port))
        self.assertEqual(self.connect_code((PEER[0], 9999)), 508)
        self.assertEqual(self.world.observer.refusals[-1][1:], (508, "connections"))

    def test_another_service_of_this_machine_is_403(self) -> None:
        """As by its external address."""
        self.world.server.addresses = RelayAddresses(["9.9.9.9"], [External("9.9.9.10", "9.9.9.9")])
        self.world.server.policy = PeerPolicy(own_hosts=("9.9.9.9",))
        for host in ("9.9.9.9", "9.9.9.10"):
            self.assertEqual(self.connect_code((host, 22)), 403)

    def test_without_an_allocation_it_is_437(self) -> None:
        self.assertEqual(self.stream(40009).code(Method.CONNECT), 437)

    def test_a_relay_for_datagrams_refuses_it(self) -> None:
        """403, before unknown attributes are looked at."""
        other = self.stream(40009)
        self.assertEqual(other.code(Method.ALLOCATE, UDP), 0)
        self.assertEqual(other.code(Method.CONNECT, b"\x7f\x01\0\0"), 403)

    def test_a_relay_for_streams_refuses_datagrams(self) -> None:
        """ChannelBind 403, Send dropped."""
        self.assertEqual(self.client.permit(PEER), 0)
        self.assertEqual(self.client.bind(0x4000), 403)
        transaction_id = bytes(12)
        self.client.indicate(XOR_PEER_ADDRESS.encode(PEER, transaction_id), a.DATA.encode(b"x"))
        self.assertEqual((self.world.observer.drops, self.world.plane.calls), (["no allocation"], []))

    def test_it_ends_with_the_allocation(self) -> None:
        self.connect()
        number = self.connected((PEER[0], 9))
        self.assertEqual(self.client.code(Method.REFRESH, LIFETIME.encode(0)), 0)
        self.assertEqual((len(self.world.server.connections), self.tcp.relays), (0, set()))
        self.assertEqual(self.bind(number), 400)
        connect.connected(self.world.server, self.tcp.connecting[0][0], self.world.now)
        connect.lost(self.world.server, number)


class Attempting(Relay):
    def setUp(self) -> None:
        super().setUp()
        self.client.permit(PEER)

    def test_the_client_is_told_number_and_peer(self) -> None:
        number = self.attempt()
        told = self.later()
        self.assertEqual((told.method, told.class_), (Method.CONNECTION_ATTEMPT, Class.INDICATION))
        self.assertEqual((told.get(CONNECTION_ID), told.get(XOR_PEER_ADDRESS)), (number, PEER))
        self.assertFalse(told.integrity_at or told.fingerprint_at)
        self.world.server.rules = Rules(fingerprint=True)
        self.attempt((PEER[0], 9))
        self.assertTrue(self.later().fingerprint_at)

    def test_a_peer_without_a_permission_is_closed(self) -> None:
        self.assertIsNone(self.attempt(("8.8.4.4", 80)))
        self.world.now += 300
        self.assertIsNone(self.attempt())
        self.assertEqual(self.world.observer.drops, ["no permission"] * 2)

    def test_a_peer_that_is_refused_by_now_is_closed(self) -> None:
        """Whatever was permitted before; and one at an address of our relays comes from a relay's port or not at all."""
        for policy in (PeerPolicy(denied=parse_ranges([PEER[0]])), PeerPolicy(
                denied=parse_ranges(["8.8.4.4"]), listeners=lambda: [Listener("web", "tcp", *PEER)])):
            self.world.server.policy = policy
            self.assertIsNone(self.attempt())
        self.world.server.policy = PeerPolicy(private=False, relay_hosts=("10.0.0.5",), relay_ports=range(50000, 50010))
        self.assertEqual(self.client.permit(("10.0.0.5", 0)), 0)
        self.assertEqual([self.attempt(("10.0.0.5", port)) is None for port in (49999, 50000, 50010)], [True, False, True])
        self.assertEqual(self.world.observer.drops, ["denied peer"] * 4)

    def test_a_second_connection_of_one_peer_is_closed(self) -> None:
        self.assertIsNotNone(self.attempt())
        self.assertIsNone(self.attempt())

    def test_not_too_many_wait(self) -> None:
        for port in range(1, MAX_CONNECTIONS + 1):
            self.assertIsNotNone(self.attempt((PEER[0], port)))
        self.assertIsNone(self.attempt((PEER[0], 9999)))

    def test_one_whom_the_room_does_not_know_any_more_is_closed(self) -> None:
        """Where the policy for peers is strict, as with data: the permission is from before."""
        world = self.world
        bound = world.server.bound = Bound(world.credentials, "monitor")
        for name in ("ann", "bob"):
            bound.came("r", name, "192.0.2.7", world.now)
        credential = world.credentials.issue(world.credentials.users_of("r", "ann")[0], world.now)
        ann = self.stream(40003, user=(credential.username, credential.password))
        self.assertEqual((ann.code(Method.ALLOCATE, TCP), ann.permit(PEER)), (0, 0))
        allocation = world.server.allocations.get(ann.five_tuple)
        assert allocation is not None

        def number(port: int) -> int | None:
            return connect.attempted(world.server, allocation, (PEER[0], port), world.now)

        self.assertIsNotNone(number(1))
        bound.mode = "strict"
        self.assertIsNone(number(2))
        self.assertEqual(world.observer.drops, ["unsignalled peer"])
        bound.came("r", "bob", PEER[0], world.now)
        self.assertIsNotNone(number(3))

    def test_one_that_nobody_binds_is_dropped(self) -> None:
        number = self.attempt()
        self.world.now += WAIT_S
        self.world.server.expire(self.world.now)
        self.assertEqual(self.tcp.dropped, [number])
        self.assertEqual(self.bind(number or 0), 400)


class Binding(Relay):
    def test_the_stream_is_joined_and_the_number_used_up(self) -> None:
        number = self.connected()
        data = self.stream(40001, "tls")
        self.assertEqual(self.bind(number, data), 0)
        self.assertEqual(self.tcp.bound, [(number, data.five_tuple)])
        self.assertEqual(self.bind(number, self.stream(40002)), 400)
        self.assertIsNone(self.world.server.connections.next_deadline())

    def test_only_a_new_stream_can_be_bound(self) -> None:
        number = self.connected()
        self.assertEqual(self.bind(number, self.client), 400)
        self.assertEqual(self.bind(number, self.stream(40001, "udp")), 400)
        self.assertEqual(self.bind(number, self.stream(40001, "dtls")), 400)
        self.assertEqual(self.bind(number), 0)

    def test_an_unknown_or_missing_number_is_400(self) -> None:
        number = self.connected()
        self.assertEqual(self.bind(number ^ 1), 400)
        self.assertEqual(self.stream(40001).code(Method.CONNECTION_BIND), 400)

    def test_one_that_has_waited_too_long_is_400_though_the_timer_is_late(self) -> None:
        number = self.connected()
        self.world.now += WAIT_S
        self.assertEqual(self.bind(number), 400)

    def test_one_that_is_still_connecting_is_400(self) -> None:
        self.connect()
        self.assertEqual(self.bind(self.tcp.connecting[0][0]), 400)

    def test_another_user_gets_441_and_it_goes_on_waiting(self) -> None:
        number = self.connected()
        self.assertEqual(self.bind(number, self.stream(40001, user=("v", "q"))), 441)
        self.assertEqual(self.bind(number), 0)

    def test_without_credentials_it_is_401_and_goes_on_waiting(self) -> None:
        number = self.connected()
        bare = encode(Method.CONNECTION_BIND, Class.REQUEST, bytes(12), [CONNECTION_ID.encode(number)])
        self.assertEqual(code_of(self.stream(40001).answer(bare)), 401)
        self.assertEqual(self.bind(number), 0)

    def test_a_peer_that_has_gone_meanwhile_is_400(self) -> None:
        number = self.connected()
        self.tcp.streams = False
        self.assertEqual(self.bind(number), 400)
        connect.lost(self.world.server, number)
        self.assertEqual(len(self.world.server.connections), 0)

    def test_where_it_is_off_it_is_400(self) -> None:
        self.world.server.tcp = None
        self.assertEqual(self.stream(40009).code(Method.CONNECTION_BIND, CONNECTION_ID.encode(1)), 400)


class Table(SynchronousTestCase):
    def test_there_are_only_so_many_in_all(self) -> None:
        """Of however many allocations."""
        self.patch(data_connections, "MAX_ALL_CONNECTIONS", 2)
        table = Connections()
        first, second = (
            Allocation(FiveTuple("tcp", (PEER[0], port), SERVER), "u", "u", b"", "", bytes(12)) for port in (1, 2))
        for one in (first, second):
            self.assertFalse(table.full(second))
            table.add(one, PEER, State.WAITING, 0.0, lambda size: (len(table) + 1).to_bytes(size, "big"))
        self.assertTrue(table.full(first) and table.full(second))

    def test_numbers_are_as_random_as_the_token(self) -> None:
        """Never one that is taken, never 0, never a count."""
        tokens = iter([bytes(4), b"\xaa\xbb\xcc\xdd", b"\xaa\xbb\xcc\xdd", b"\x01\x02\x03\x04"])
        table = Connections()
        allocation = Allocation(FiveTuple("tcp", ("192.0.2.1", 1), SERVER), "u", "u", b"", "", bytes(12))
        found = [table.add(allocation, (PEER[0], port), State.WAITING, 0.0, lambda size: next(tokens)).id for port in (1, 2)]
        self.assertEqual(found, [0xAABBCCDD, 0x01020304])
