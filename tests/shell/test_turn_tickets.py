"""Mobility in the running service: lost connections, channels on a new path, a reload. The rules are in rtcd.turn."""

from __future__ import annotations

from dataclasses import replace

from zope.interface import implementer

from rtcd.allocations.allocation import FiveTuple
from rtcd.interfaces import IClientPath
from rtcd.stun.attributes import DATA, MOBILITY_TICKET, XOR_PEER_ADDRESS
from rtcd.stun.channeldata import HEADER
from rtcd.stun.message import Method
from rtcd.turn.service import TurnService
from tests.fakes_turn import UDP, Client, World
from tests.shell.test_turn_service import ServiceTestCase

EMPTY = MOBILITY_TICKET.encode(b"")


@implementer(IClientPath)
class Path:
    """A connection of a client that takes everything."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def deliver(self, frame: bytes) -> bool:
        """Taken."""
        self.frames.append(frame)
        return True

    def respond(self, data: bytes) -> None:
        """Taken."""


class Tickets(ServiceTestCase):
    def connect(self, service: TurnService, port: int) -> Client:
        """A client on a TCP connection of its own."""
        server, plane = service._server, service._plane
        assert server is not None and plane is not None
        world = World()
        world.server, world.nonces, world.now = server, server.authenticator.nonces, self.reactor.seconds()
        client = Client(world, FiveTuple("tcp", ("127.0.0.9", port), ("127.0.0.1", 1)))
        plane.attach(client.five_tuple, Path())
        return client

    def lose(self, service: TurnService, client: Client) -> None:
        """Its connection is gone."""
        assert service._plane is not None
        service._plane.detach(client.five_tuple)
        service._client_gone(client.five_tuple)

    def test_an_allocation_outlives_its_connection_only_with_a_ticket(self) -> None:
        service = self.start(mobility=True)
        server = service._server
        assert server is not None
        plain, mobile, new = (self.connect(service, port) for port in (1, 2, 3))
        plain.allocate()
        ticket = mobile.allocate(EMPTY).get(MOBILITY_TICKET) or b""
        self.lose(service, plain)
        self.lose(service, mobile)
        self.assertEqual([one.five_tuple.client for one in server.allocations], [mobile.five_tuple.client])
        new.ask(Method.REFRESH, MOBILITY_TICKET.encode(ticket))
        self.assertEqual((new.refresh(600), mobile.refresh(600)), (0, 437))

    def test_a_new_connection_from_where_the_lost_one_came_is_nobody_s(self) -> None:
        """Behind a NAT it may be a stranger's: neither his channels nor his Sends are the owner's, and he may have an
        allocation of his own."""
        service = self.start(mobility=True, allow_loopback_peers=True, user=("u:p", "v:q"))
        server, plane = service._server, service._plane
        assert server is not None and plane is not None
        owner = self.connect(service, 1)
        ticket = owner.allocate(EMPTY).get(MOBILITY_TICKET) or b""
        peer = self.client.getsockname()
        self.assertEqual(owner.bind(0x4000, peer), 0)
        (allocation,) = server.allocations
        self.lose(service, owner)
        stranger = self.connect(service, 1)
        stranger.username, stranger.password = "v", "q"
        plane.channel_data(HEADER.pack(0x4000, 2) + b"no", stranger.five_tuple)
        stranger.indicate(XOR_PEER_ADDRESS.encode(peer, bytes(12)), DATA.encode(b"no"))
        self.assertRaises(BlockingIOError, self.client.recv, 100)
        stranger.allocate()
        self.assertEqual(server.allocations.of_user("u"), 1)
        plane.remeter(allocation)
        self.assertIsNot(plane._attached[stranger.five_tuple], plane._ways[allocation])
        new = self.connect(service, 2)
        new.ask(Method.REFRESH, MOBILITY_TICKET.encode(ticket))
        plane.channel_data(HEADER.pack(0x4000, 2) + b"hi", new.five_tuple)
        self.assertEqual(self.client.recv(100), b"hi")
        self.assertEqual((stranger.refresh(0), new.refresh(0)), (0, 0))

    def test_the_owner_may_come_back_from_the_very_same_place(self) -> None:
        """As a client of DTLS does, whose socket is the same: the ticket brings its data to the new connection."""
        service = self.start(mobility=True, allow_loopback_peers=True)
        plane = service._plane
        assert plane is not None
        owner = self.connect(service, 1)
        ticket = owner.allocate(EMPTY).get(MOBILITY_TICKET) or b""
        self.assertEqual(owner.bind(0x4000, self.client.getsockname()), 0)
        self.lose(service, owner)
        again = self.connect(service, 1)
        answer = again.ask(Method.REFRESH, MOBILITY_TICKET.encode(ticket))
        self.assertTrue(answer.get(MOBILITY_TICKET))
        plane.channel_data(HEADER.pack(0x4000, 2) + b"hi", again.five_tuple)
        self.assertEqual(self.client.recv(100), b"hi")
        path = plane._paths[again.five_tuple]
        assert isinstance(path, Path)
        (way,) = plane._ways.values()
        way.sendto(b"frame", way.address)
        self.assertEqual(path.frames, [b"frame"])

    def test_channel_data_of_a_client_that_has_moved_is_passed_up_and_forwarded(self) -> None:
        service = self.start(mobility=True, allow_loopback_peers=True)
        plane = service._plane
        assert plane is not None
        old, new = self.connect(service, 1), self.connect(service, 2)
        ticket = old.allocate(EMPTY).get(MOBILITY_TICKET) or b""
        self.assertEqual(old.bind(0x4000, self.client.getsockname()), 0)
        new.ask(Method.REFRESH, MOBILITY_TICKET.encode(ticket))
        plane.channel_data(HEADER.pack(0x4000, 2) + b"hi", new.five_tuple)
        self.assertEqual(self.client.recv(100), b"hi")
        self.assertEqual(old.refresh(600), 437)

    def test_a_reload_turns_it_on_and_off(self) -> None:
        """For the rules and for the plane, which passes strangers' channels up only if there may be moves."""
        service = self.start()
        self.assertEqual(self.connect(service, 1).code(Method.ALLOCATE, UDP, EMPTY), 405)
        for on, code in ((True, 0), (False, 405)):
            before = service._settings
            self.assertEqual(list(service.reload(before, replace(before, mobility=on))), ["mobility"])
            self.assertEqual((service._plane is not None and service._plane.mobility), on)
            self.assertEqual(self.connect(service, 2 + on).code(Method.ALLOCATE, UDP, EMPTY), code)

    def test_limits_of_bandwidth_are_taken_over(self) -> None:
        service = self.start()
        before = service._settings
        taken = service.reload(before, replace(before, max_bps=10, max_bps_user=20, bps_capacity=30))
        self.assertEqual(sorted(taken), ["bps-capacity", "max-bps", "max-bps-user"])
        self.connect(service, 1).allocate()
        server = service._server
        assert server is not None
        (allocation,) = server.allocations
        self.assertEqual([meter.rate for meter in (*allocation.upward, *allocation.downward)], [10, 20, 10, 20])
