"""Clients that change their address (RFC 8016): tickets, moves, and whose they are."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import FiveTuple
from rtcd.stun import attributes as a
from rtcd.stun.attributes import DATA, LIFETIME, MOBILITY_TICKET, XOR_PEER_ADDRESS
from rtcd.stun.channeldata import HEADER
from rtcd.stun.message import Message, Method
from rtcd.turn import mobility
from rtcd.turn.mobility import MAX_MOVES, PENDING_S, TICKET_BYTES, Mobility, connection_lost
from rtcd.turn.request import Rules
from tests.fakes_turn import PEER, SERVER, UDP, Client, World, code_of

EMPTY = MOBILITY_TICKET.encode(b"")
BOTH = a.ADDITIONAL_ADDRESS_FAMILY.encode(2)
ID = bytes(12)


def ticket_of(answer: Message) -> bytes:
    """The ticket in an answer; there must be one."""
    ticket = answer.get(MOBILITY_TICKET)
    if ticket is None:
        raise AssertionError("no ticket")
    return ticket


class MobilityTestCase(SynchronousTestCase):
    """A client with an allocation at `here`, which may go to `there`."""

    def setUp(self) -> None:
        """One allocation with a ticket."""
        self.world = World(Rules(mobility=True, user_quota=3))
        self.here, self.there = self.world.client(1), self.world.client(2, "203.0.113.7")
        self.ticket = ticket_of(self.here.allocate(EMPTY))
        (self.allocation,) = self.world.server.allocations

    def come(self, client: Client, ticket: bytes | None = None, *more: bytes) -> Message:
        """Refresh with a ticket from there."""
        return client.ask(Method.REFRESH, MOBILITY_TICKET.encode(self.ticket if ticket is None else ticket), *more)

    def move(self, client: Client) -> None:
        """A Refresh with the ticket that succeeds."""
        self.ticket = ticket_of(self.come(client))

    def indicate(self, client: Client) -> list[tuple[object, ...]]:
        """What the plane was told when it has sent a Send indication."""
        self.world.plane.calls.clear()
        client.indicate(XOR_PEER_ADDRESS.encode(PEER, ID), DATA.encode(b"x"))
        return self.world.plane.calls

    def where(self) -> FiveTuple:
        """Where the allocation is."""
        self.assertIs(self.world.server.allocations.get(self.allocation.five_tuple), self.allocation)
        self.assertEqual(len(self.world.server.allocations), 1)
        return self.allocation.five_tuple


class Tickets(MobilityTestCase):
    def test_an_empty_ticket_is_answered_by_a_real_one_and_another_one_refused(self) -> None:
        """It is text: coturn's client keeps it as one."""
        self.assertRegex(self.ticket, rb"^[\w-]{24}$")
        self.assertEqual(TICKET_BYTES, 18)
        self.assertEqual(self.there.code(Method.ALLOCATE, UDP, MOBILITY_TICKET.encode(b"x")), 400)
        self.assertNotIn(MOBILITY_TICKET, self.world.client(3).allocate())

    def test_where_it_is_off_it_is_forbidden(self) -> None:
        """RFC 8016 §3.1.2, §3.2.2; also after a reload, when there are tickets."""
        self.world.server.rules = Rules()
        self.assertEqual(self.there.code(Method.ALLOCATE, UDP, EMPTY), 405)
        codes = code_of(self.come(self.here)), code_of(self.come(self.there)), self.here.refresh(600)
        self.assertEqual(codes, (405, 437, 0))

    def test_a_failed_allocate_leaves_no_ticket(self) -> None:
        self.world.plane.fault = OSError()
        self.there.ask(Method.ALLOCATE, UDP, EMPTY)
        self.assertEqual(len(self.world.server.mobility._tickets), 1)

    def test_tickets_and_moves_end_with_the_allocation(self) -> None:
        self.come(self.there)
        self.here.refresh(0)
        table = self.world.server.mobility
        self.assertEqual((table._tickets, table._moves, table._arriving, table.next_deadline()), ({}, {}, {}, None))
        self.there.allocate()

    def test_a_refresh_where_the_client_is_gets_the_next_ticket(self) -> None:
        """The old one is dead; nothing moves."""
        new = ticket_of(self.come(self.here))
        self.assertNotEqual(new, self.ticket)
        self.assertEqual((code_of(self.come(self.here)), code_of(self.come(self.there))), (437, 437))
        self.assertEqual(code_of(self.come(self.here, new)), 0)
        self.assertEqual(self.world.plane.calls, [])

    def test_a_wrong_ticket_is_refused(self) -> None:
        """437 for an unknown one and for that of another allocation, 400 for an empty one."""
        other = self.world.client(3)
        other.allocate()
        for unknown in (b"x" * TICKET_BYTES, b"x", b""):
            self.assertEqual(code_of(self.come(self.there, unknown)), 437)
        self.assertEqual((code_of(self.come(other)), code_of(self.come(self.here, b""))), (437, 400))
        self.assertEqual(self.allocation.five_tuple, self.here.five_tuple)

    def test_errors_of_refresh_come_in_order(self) -> None:
        """420, then 400 for the lifetime, then 443, then the ticket's; nothing moves and the ticket stays good."""
        broken = b"\0\x0d\0\x05abcde\0\0\0"
        for more, code in (((b"\x7f\x01\0\0", broken), 420), ((broken, a.REQUESTED_ADDRESS_FAMILY.encode(2)), 400),
                           ((a.REQUESTED_ADDRESS_FAMILY.encode(2),), 443)):
            self.assertEqual(code_of(self.come(self.there, None, *more)), code)
        self.assertEqual(self.world.server.mobility.next_deadline(), None)
        self.assertEqual(code_of(self.come(self.there)), 0)


class Moves(MobilityTestCase):
    def test_peers_data_goes_to_the_old_path_until_the_first_send_on_the_new_one(self) -> None:
        self.here.permit(PEER)
        answer = self.come(self.there)
        self.assertEqual((code_of(answer), answer.get(LIFETIME)), (0, 600))
        self.assertNotEqual(ticket_of(answer), self.ticket)
        self.assertEqual((self.where(), self.indicate(self.here)), (self.here.five_tuple, [("send", PEER, b"x")]))
        self.assertEqual(self.indicate(self.there), [("move", self.there.five_tuple), ("send", PEER, b"x")])
        self.assertEqual(self.where(), self.there.five_tuple)
        self.assertEqual(self.world.observer.moved, [self.here.five_tuple])

    def test_then_the_old_five_tuple_is_dropped(self) -> None:
        self.move(self.there)
        self.assertEqual(self.there.permit(PEER), 0)
        self.assertEqual((self.indicate(self.here), self.here.refresh(600), self.here.permit(PEER)), ([], 437, 437))
        self.here.allocate()
        self.assertEqual((self.there.refresh(600), self.here.refresh(600)), (0, 0))

    def test_channel_data_on_the_new_path_completes_the_move(self) -> None:
        """The plane brings it since it does not know who it is of, and forwards it afterwards."""
        self.move(self.there)
        self.assertIsNone(self.there.raw(HEADER.pack(0x4000, 0)))
        self.assertEqual((self.where(), self.world.observer.drops), (self.there.five_tuple, []))
        self.assertIsNone(self.world.client(4).raw(HEADER.pack(0x4000, 0)))

    def test_after_its_time_the_move_is_completed_by_itself(self) -> None:
        self.move(self.there)
        self.assertEqual(self.world.server.next_deadline(), self.world.now + PENDING_S)
        self.world.server.expire(self.world.now + PENDING_S - 1)
        self.assertEqual(self.where(), self.here.five_tuple)
        self.world.server.expire(self.world.now + PENDING_S)
        self.assertEqual(self.where(), self.there.five_tuple)

    def test_a_repeated_refresh_gets_the_same_answer_and_completes_nothing(self) -> None:
        """Its client has had no answer yet; once, whatever comes twice (RFC 8016 §3.2.2)."""
        request = self.there.signed(Method.REFRESH, MOBILITY_TICKET.encode(self.ticket))
        first = self.there.raw(request)
        self.assertEqual((self.there.raw(request), self.where()), (first, self.here.five_tuple))
        self.indicate(self.there)
        self.assertEqual((self.there.raw(request), self.where()), (first, self.there.five_tuple))
        self.assertNotIn("respond", [call[0] for call in self.world.plane.calls])

    def test_a_second_move_takes_the_place_of_the_first(self) -> None:
        self.move(self.there)
        third = self.world.client(3)
        self.move(third)
        self.assertEqual((self.there.refresh(600), len(self.world.server.mobility._moves)), (437, 1))
        self.assertEqual((third.refresh(600), self.where()), (0, third.five_tuple))

    def test_a_client_may_go_back_to_where_it_was(self) -> None:
        self.move(self.there)
        self.assertEqual(self.here.refresh(600), 0)
        self.there.refresh(600)
        self.move(self.here)
        self.assertEqual((self.here.refresh(600), self.where()), (0, self.here.five_tuple))

    def test_it_may_go_on_from_where_it_is_arriving(self) -> None:
        """A Refresh there completes the move, and may bring the new ticket."""
        self.move(self.there)
        self.assertEqual(code_of(self.come(self.there)), 0)
        self.assertEqual((self.where(), self.world.server.mobility.next_deadline()), (self.there.five_tuple, None))

    def test_the_owner_of_the_allocation_and_nobody_else_may_move_it(self) -> None:
        """The key of the original owner counts, not the session's (coturn #1969): 441, and the ticket stays good."""
        self.there.username, self.there.password = "v", "q"
        self.assertEqual(code_of(self.come(self.there)), 441)
        self.there.password = "wrong"
        self.assertEqual(code_of(self.come(self.there)), 401)
        self.there.username, self.there.password = "u", "p"
        self.move(self.there)
        self.there.username, self.there.password = "v", "q"
        self.assertEqual((self.there.refresh(600), self.there.permit(PEER), self.there.bind(0x4000)), (441, 441, 441))
        self.assertEqual(self.there.code(Method.ALLOCATE, UDP), 437)
        self.assertEqual(self.where(), self.here.five_tuple)

    def test_a_five_tuple_with_an_allocation_cannot_be_moved_to(self) -> None:
        self.there.allocate()
        self.assertEqual(code_of(self.come(self.there)), 437)
        self.there.username, self.there.password = "v", "q"
        self.assertEqual(code_of(self.come(self.there)), 441)

    def test_no_allocation_is_made_where_one_is_arriving(self) -> None:
        self.move(self.there)
        self.assertEqual(self.there.code(Method.ALLOCATE, UDP), 437)
        second = self.world.client(3)
        ticket = ticket_of(second.allocate(EMPTY))
        self.assertEqual(code_of(self.come(self.there, ticket)), 437)

    def test_an_expired_credential_goes_on_being_good_at_the_new_place(self) -> None:
        """As it does at the old one."""
        world = self.world
        old, new = world.client(5), world.client(6)
        credential = world.credentials.issue("w", world.now)
        for client in (old, new):
            client.username, client.password = credential.username, credential.password
        ticket = ticket_of(old.allocate(EMPTY, LIFETIME.encode(3600)))
        world.now += 3599
        ticket = ticket_of(self.come(old, ticket, LIFETIME.encode(3600)))
        world.now += 2
        self.assertEqual(code_of(self.come(new, ticket)), 0)

    def test_a_nonce_of_the_old_address_costs_a_round(self) -> None:
        nonce = self.world.nonces.issue(self.here.five_tuple, self.world.now)
        answer = self.there.ask(Method.REFRESH, MOBILITY_TICKET.encode(self.ticket), nonce=nonce)
        self.assertEqual(code_of(answer), 438)
        self.assertEqual(self.there.code(Method.REFRESH, MOBILITY_TICKET.encode(self.ticket), nonce=answer.get(a.NONCE)), 0)

    def test_the_units_stay_charged_and_are_given_back_once(self) -> None:
        """CVE-2026-73216."""
        table = self.world.server.allocations
        self.move(self.there)
        self.indicate(self.there)
        self.assertEqual((table.of_user("u"), table.of_network("192.0.2.7"), table.of_network("203.0.113.7")), (1, 1, 0))
        self.there.refresh(0)
        self.assertEqual((table.of_user("u"), table.of_network("192.0.2.7"), self.world.plane.open_relays), (0, 0, set()))

    def test_zero_from_the_new_place_ends_it_at_once(self) -> None:
        answer = self.come(self.there, None, LIFETIME.encode(0))
        self.assertEqual((answer.get(LIFETIME), MOBILITY_TICKET in answer), (0, False))
        self.assertEqual((len(self.world.server.allocations), self.world.plane.open_relays), (0, set()))

    def test_one_relay_of_two_may_be_ended_from_the_new_place(self) -> None:
        dual = self.world.client(8)
        ticket = ticket_of(dual.allocate(BOTH, EMPTY))
        answer = self.come(self.there, ticket, LIFETIME.encode(0), a.REQUESTED_ADDRESS_FAMILY.encode(1))
        self.assertEqual((answer.get(LIFETIME), len(ticket_of(answer))), (0, len(self.ticket)))
        self.assertEqual((self.there.refresh(600), dual.refresh(600)), (0, 437))

    def test_an_allocation_that_ends_meanwhile_is_gone(self) -> None:
        self.move(self.there)
        self.world.now += 10000
        self.assertEqual((self.there.refresh(600), self.indicate(self.there)), (437, []))
        self.assertEqual((len(self.world.server.allocations), self.world.server.next_deadline()), (0, None))

    def test_if_the_new_place_is_gone_all_is_as_before(self) -> None:
        self.move(self.there)
        self.world.plane.fault = OSError("no such client")
        self.world.server.expire(self.world.now + PENDING_S)
        self.assertEqual((self.where(), self.here.refresh(600)), (self.here.five_tuple, 0))
        self.world.plane.fault = None
        self.move(self.world.client(3))

    def test_moves_are_bounded(self) -> None:
        """508 beyond; refreshes where the client is go on."""
        self.patch(mobility, "MAX_MOVES", 1)
        self.move(self.there)
        second = self.world.client(3)
        ticket = ticket_of(second.allocate(EMPTY))
        self.assertEqual(code_of(self.come(self.world.client(4), ticket)), 508)
        self.assertEqual(self.world.observer.refusals[-1][1:], (508, "moves"))
        self.assertEqual(code_of(self.come(second, ticket)), 0)
        self.assertGreater(MAX_MOVES, 1)

    def test_a_move_that_is_due_is_found_though_the_clock_stepped_back(self) -> None:
        table = Mobility()
        second = self.world.client(3)
        second.allocate()
        one, other = self.world.server.allocations
        table.start(one, self.there.five_tuple, 1000.0)
        table.start(other, self.world.client(5).five_tuple, 500.0)
        self.assertEqual((table.next_deadline(), table.due(500.0 + PENDING_S)), (500.0 + PENDING_S, [other]))


class Connections(MobilityTestCase):
    """Clients on TCP, whose connection goes away with the old address."""

    def setUp(self) -> None:
        super().setUp()
        self.here.refresh(0)
        self.here, self.there = (Client(self.world, FiveTuple("tcp", one, SERVER)) for one in (
            ("192.0.2.7", 1), ("203.0.113.7", 2)))
        self.ticket = ticket_of(self.here.allocate(EMPTY))
        (self.allocation,) = self.world.server.allocations

    def lose(self, client: Client) -> None:
        """Its connection is gone."""
        connection_lost(self.world.server, client.five_tuple)

    def test_without_a_ticket_the_allocation_ends_with_its_connection(self) -> None:
        plain = Client(self.world, FiveTuple("tcp", ("192.0.2.7", 3), SERVER))
        plain.allocate()
        self.lose(plain)
        self.assertEqual((self.world.observer.ended[-1], len(self.world.server.allocations)), ("connection closed", 1))
        self.lose(plain)

    def test_with_a_ticket_it_waits_for_its_client(self) -> None:
        self.lose(self.here)
        self.move(self.there)
        self.assertEqual((self.there.refresh(600), self.where()), (0, self.there.five_tuple))

    def test_while_its_client_is_away_it_is_charged_and_booked(self) -> None:
        """CVE-2026-73216: else one user comes and goes, and every relay stays."""
        for rules in (Rules(mobility=True, user_quota=1), Rules(mobility=True, total_quota=1),
                      Rules(mobility=True, address_quota=1), Rules(mobility=True, max_bps=10, bps_capacity=10)):
            world = World(rules)
            first, second = (Client(world, FiveTuple("tcp", ("192.0.2.7", port), SERVER)) for port in (1, 2))
            first.allocate(EMPTY)
            connection_lost(world.server, first.five_tuple)
            self.assertEqual(second.code(Method.ALLOCATE, UDP), 486, rules)
            world.now += 600
            world.server.expire(world.now)
            second.allocate()

    def test_it_does_not_wait_longer_than_it_was_to_last(self) -> None:
        self.lose(self.here)
        self.world.server.expire(self.world.now + 600)
        self.assertEqual((len(self.world.server.allocations), self.world.observer.ended[-1]), (0, "expired"))

    def test_the_end_of_the_old_connection_completes_a_move(self) -> None:
        """Nothing can go there any more."""
        self.move(self.there)
        self.lose(self.here)
        self.assertEqual(self.where(), self.there.five_tuple)
        self.lose(self.here)
        self.assertEqual(self.where(), self.there.five_tuple)

    def test_the_end_of_the_new_connection_calls_a_move_off(self) -> None:
        self.move(self.there)
        self.lose(self.there)
        self.assertEqual((self.where(), self.world.server.mobility.next_deadline()), (self.here.five_tuple, None))
        self.assertEqual(self.here.refresh(600), 0)
        self.move(self.world.client(9))

    def test_both_may_be_lost_and_the_client_comes_from_a_third_place(self) -> None:
        self.move(self.there)
        self.lose(self.there)
        self.lose(self.here)
        third = self.world.client(3)
        self.move(third)
        self.assertEqual((third.refresh(600), self.where()), (0, third.five_tuple))
