"""Clients that are not served here: a server that drains, and one that sends them to others (RFC 8489 §10)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.stun.attributes import ALTERNATE_SERVER, EVEN_PORT, LIFETIME, REQUESTED_TRANSPORT, Address, Family
from rtcd.stun.message import Method
from rtcd.turn.redirect import MAX_ALTERNATES, MAX_RECENT, Alternates, parse_alternate, parse_alternates
from rtcd.turn.request import Rules
from tests.fakes_turn import PEER, SERVER6, UDP, Client, World, code_of

ONE, TWO, SIX = ("203.0.113.1", 3478), ("203.0.113.2", 3479), ("2001:db8:5::1", 3478)


class Draining(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.client()

    def test_a_new_allocation_is_forbidden_with_integrity(self) -> None:
        self.world.server.draining = True
        answer = self.client.ask(Method.ALLOCATE, UDP)
        self.assertEqual((code_of(answer), bool(answer.integrity_at)), (403, True))
        self.assertEqual(self.world.plane.open_relays, set())

    def test_an_allocation_goes_on_in_every_way(self) -> None:
        self.client.allocate()
        self.world.server.draining = True
        self.world.now += 500
        self.assertEqual((self.client.refresh(600), self.client.permit(PEER), self.client.bind(0x4000)), (0, 0, 0))
        self.world.now += 500
        self.assertEqual(self.client.refresh(0), 0)

    def test_the_request_that_made_an_allocation_is_still_answered_when_it_is_sent_again(self) -> None:
        request = self.client.signed(Method.ALLOCATE, UDP)
        first = self.client.raw(request)
        self.world.server.draining = True
        self.assertEqual(self.client.raw(request), first)

    def test_the_five_tuple_is_looked_at_first_and_the_transport_afterwards(self) -> None:
        self.client.allocate()
        self.world.server.draining = True
        self.assertEqual(self.client.code(Method.ALLOCATE, UDP), 437)
        self.assertEqual(self.world.client(40001).code(Method.ALLOCATE, REQUESTED_TRANSPORT.encode(99)), 403)

    def test_a_stranger_is_challenged_and_learns_nothing(self) -> None:
        self.world.server.draining = True
        self.world.server.alternates = Alternates([ONE])
        self.client.password = "wrong"
        answer = self.client.ask(Method.ALLOCATE, UDP)
        self.assertEqual((code_of(answer), answer.get(ALTERNATE_SERVER)), (401, None))


class Redirecting(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.world.server.alternates = Alternates([ONE, SIX, TWO])

    def sent_to(self, client: Client) -> Address | None:
        """Where an Allocate is sent; it must be signed."""
        answer = client.ask(Method.ALLOCATE, UDP)
        self.assertEqual((code_of(answer), bool(answer.integrity_at)), (300, True))
        found: Address | None = answer.get(ALTERNATE_SERVER)
        return found

    def test_clients_are_sent_to_the_servers_of_their_family_in_turn(self) -> None:
        self.assertEqual([self.sent_to(self.world.client(40000 + one)) for one in range(3)], [ONE, TWO, ONE])
        self.assertEqual(self.sent_to(self.world.client(host="2001:db8::7", server=SERVER6)), SIX)
        self.assertEqual(self.world.plane.open_relays, set())

    def test_a_request_sent_again_gets_the_same_answer(self) -> None:
        """RFC 8489 §6.3.1; a new request of the same client takes the next."""
        client = self.world.client()
        request = client.signed(Method.ALLOCATE, UDP)
        self.assertEqual(client.raw(request), client.raw(request))
        self.assertEqual(self.sent_to(client), TWO)

    def test_a_family_that_is_not_in_the_list_is_served_here_unless_the_server_drains(self) -> None:
        self.world.server.alternates = Alternates([SIX])
        self.world.client().allocate()
        self.world.server.draining = True
        self.assertEqual(self.world.client(40001).code(Method.ALLOCATE, UDP), 403)

    def test_it_can_wait_until_the_server_drains(self) -> None:
        self.world.server.alternates = Alternates([ONE], always=False)
        client = self.world.client()
        client.allocate()
        self.world.server.draining = True
        self.assertEqual(self.sent_to(self.world.client(40001)), ONE)
        self.assertEqual(client.code(Method.REFRESH, LIFETIME.encode(600)), 0)

    def test_bindings_are_answered_here(self) -> None:
        self.assertEqual(self.world.client().code(Method.BINDING), 0)

    def test_only_so_many_requests_are_remembered(self) -> None:
        alternates = Alternates([ONE, TWO])
        chosen = [alternates.choose(Family.IPV4, number) for number in range(MAX_RECENT + 1)]
        self.assertEqual(len(alternates._recent), MAX_RECENT)
        self.assertEqual(alternates.choose(Family.IPV4, 1), chosen[1])


class Limits(SynchronousTestCase):
    """What the operator is told about requests that go past one."""

    def test_the_quota_that_was_reached_is_named(self) -> None:
        for rules, reason in ((Rules(user_quota=1), "user-quota"), (Rules(address_quota=1), "address-quota"),
                              (Rules(total_quota=1), "total-quota")):
            world = World(rules)
            world.client().allocate()
            self.assertEqual(world.client(40001).code(Method.ALLOCATE, UDP), 486)
            self.assertEqual(world.observer.refusals, [("u", 486, reason)])

    def test_ports_that_have_run_out_are_named(self) -> None:
        world = World()
        world.plane.fault = OSError(98, "in use")
        self.assertEqual(world.client().code(Method.ALLOCATE, UDP), 508)
        self.assertEqual(world.observer.refusals, [("u", 508, "ports")])

    def test_other_errors_are_no_limit(self) -> None:
        world = World()
        self.assertEqual(world.client().refresh(600), 437)
        self.assertEqual(world.observer.refusals, [])

    def test_a_refresh_is_told_with_what_was_granted(self) -> None:
        world = World()
        client = world.client()
        client.allocate()
        client.refresh(700)
        client.refresh(0)
        self.assertEqual((world.observer.refreshed, world.observer.ended), ([700], ["refreshed to 0"]))


class NoStun(SynchronousTestCase):
    def test_a_relay_only_leaves_bindings_unanswered_and_counts_them(self) -> None:
        """coturn's no-stun."""
        world = World(Rules(stun=False))
        client = world.client()
        self.assertIsNone(client.raw(client.signed(Method.BINDING)))
        self.assertEqual(world.observer.drops, ["unexpected"])
        client.allocate()


class NoUdpRelay(SynchronousTestCase):
    def test_a_udp_relay_is_an_unsupported_transport_where_the_operator_wants_none(self) -> None:
        """442, as coturn's no-udp-relay; before quotas and whatever else is wrong with the request."""
        world = World(Rules(udp_relay=False))
        self.assertEqual(world.client().code(Method.ALLOCATE, UDP, EVEN_PORT.encode(True)), 442)
        self.assertEqual(world.plane.open_relays, set())


class Parsing(SynchronousTestCase):
    def test_addresses_are_numeric_and_have_a_port(self) -> None:
        self.assertEqual(parse_alternate("203.0.113.1:3478"), ONE)
        self.assertEqual(parse_alternate("[2001:DB8:5:0::1]:3478"), SIX)

    def test_everything_else_is_the_operators_mistake(self) -> None:
        for text in ("", "203.0.113.1", "203.0.113.1:", "203.0.113.1:0", "203.0.113.1:65536", "203.0.113.1:+80",
                     "turn.example.org:3478", "2001:db8::1:3478", "[203.0.113.1]:3478", "[2001:db8::1]", "[fe80::1%2]:3478",
                     "0.0.0.0:3478", "[::]:3478", "224.0.0.1:3478", "203.0.113.1:٣٤"):
            self.assertRaises(ValueError, parse_alternate, text)
        self.assertRaises(ValueError, parse_alternates, ["203.0.113.1:1", "203.0.113.1:1"])

    def test_none_of_them_is_this_server(self) -> None:
        alternates = Alternates([ONE, SIX])
        alternates.refuse_own([TWO, (ONE[0], ONE[1] + 1)])
        for own in (ONE, SIX):
            self.assertRaises(ValueError, alternates.refuse_own, [TWO, own])

    def test_the_list_has_an_end(self) -> None:
        lines = [f"203.0.113.1:{port}" for port in range(1, MAX_ALTERNATES + 2)]
        self.assertEqual(len(parse_alternates(lines[:-1])), MAX_ALTERNATES)
        self.assertRaises(ValueError, parse_alternates, lines)
