"""Relayed transport addresses, relay ports, and where to listen."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.addresses import MAX_FORMER, PORT_REST_S, External, Ports, RelayAddresses, parse_external
from rtcd.stun.attributes import Family


class Hosts(SynchronousTestCase):
    def test_the_relay_is_where_the_client_asked_if_it_may_be(self) -> None:
        addresses = RelayAddresses(["127.0.0.1", "10.0.0.1", "10.0.0.2", "fd00::1"])
        for asked, family, host in (("10.0.0.2", 1, "10.0.0.2"), ("10.0.0.9", 1, "10.0.0.1"), ("fd00::1", 1, "10.0.0.1"),
                                    ("127.0.0.1", 1, "10.0.0.1"), ("10.0.0.1", 2, "fd00::1")):
            self.assertEqual(addresses.choose(Family(family), asked), host)

    def test_loopback_is_for_machines_that_have_nothing_else(self) -> None:
        addresses = RelayAddresses(["127.0.0.1"])
        self.assertEqual(addresses.choose(Family.IPV4, "127.0.0.1"), "127.0.0.1")
        self.assertIsNone(addresses.choose(Family.IPV6, "127.0.0.1"))

    def test_relays_are_bound_where_one_may_be_chosen(self) -> None:
        """Loopback is a relay host, and hence a peer, only where it is all there is."""
        for hosts, bound in ((("127.0.0.1", "10.0.0.5", "10.0.0.6"), ("10.0.0.5", "10.0.0.6")), (("127.0.0.1",),) * 2,
                             (("127.0.0.1", "::1", "10.0.0.5"), ("10.0.0.5", "::1"))):
            self.assertEqual(RelayAddresses(hosts).bound(), bound)


class ExternalAddresses(SynchronousTestCase):
    def test_a_public_address_stands_for_its_private_one_and_its_family_only(self) -> None:
        addresses = RelayAddresses(["10.0.0.1", "10.0.0.2", "fd00::1"],
                                   map(parse_external, ["203.0.113.1", "203.0.113.2/10.0.0.2"]))
        shown = [addresses.shown((host, 5)) for host in addresses.hosts]
        self.assertEqual(shown, [("203.0.113.1", 5), ("203.0.113.2", 5), ("fd00::1", 5)])
        self.assertEqual([addresses.reached(host) for host in ("203.0.113.1", "203.0.113.2", "8.8.8.8")],
                         ["10.0.0.1", "10.0.0.2", "8.8.8.8"])

    def test_mappings_that_cannot_be_meant_are_refused(self) -> None:
        for lines in (["203.0.113.1/10.0.0.9"], ["2001:db8::1"], ["203.0.113.1", "203.0.113.2"],
                      ["203.0.113.1/10.0.0.1", "203.0.113.1/10.0.0.2"], ["203.0.113.1/10.0.0.1", "203.0.113.2/10.0.0.1"]):
            self.assertRaises(ValueError, RelayAddresses, ["10.0.0.1", "10.0.0.2"], [parse_external(one) for one in lines])

    def test_another_external_address_takes_the_place_of_the_first(self) -> None:
        """Clients of living allocations know the first one: it is reached until they are gone."""
        addresses = RelayAddresses(["10.0.0.1"], [External("203.0.113.1")])
        self.assertTrue(addresses.remap([External("203.0.113.2")], {"203.0.113.1"}))
        self.assertEqual(addresses.shown(("10.0.0.1", 5)), ("203.0.113.2", 5))
        self.assertEqual([addresses.reached(host) for host in ("203.0.113.1", "203.0.113.2")], ["10.0.0.1"] * 2)
        self.assertFalse(addresses.remap([External("203.0.113.2")], {"203.0.113.2"}))
        self.assertEqual(addresses.reached("203.0.113.1"), "203.0.113.1")

    def test_an_address_that_has_moved_is_reached_where_it_is_now(self) -> None:
        addresses = RelayAddresses(["10.0.0.1", "10.0.0.2"], [External("203.0.113.1", "10.0.0.1")])
        addresses.remap([External("203.0.113.1", "10.0.0.2")], {"203.0.113.1"})
        self.assertEqual(addresses.reached("203.0.113.1"), "10.0.0.2")
        addresses.remap([], {"203.0.113.1"})
        self.assertEqual((addresses.mapping(), addresses.reached("203.0.113.1")), ({}, "10.0.0.2"))

    def test_a_mapping_that_cannot_be_meant_changes_nothing(self) -> None:
        addresses = RelayAddresses(["10.0.0.1"], [External("203.0.113.1")])
        self.assertRaises(ValueError, addresses.remap, [External("203.0.113.2", "10.0.0.9")])
        self.assertEqual(addresses.mapping(), {"10.0.0.1": "203.0.113.1"})

    def test_only_so_many_addresses_of_the_past_are_remembered(self) -> None:
        """The latest ones."""
        addresses = RelayAddresses(["10.0.0.1"])
        past = [f"203.0.113.{number}" for number in range(MAX_FORMER + 2)]
        for host in past:
            addresses.remap([External(host)], past)
        reached = [host for host in past if addresses.reached(host) == "10.0.0.1"]
        self.assertEqual(reached, past[1:])

    def test_text_that_does_not_parse_is_an_error(self) -> None:
        self.assertEqual(parse_external("203.0.113.1/10.0.0.1"), External("203.0.113.1", "10.0.0.1"))
        for text in ("", "x", "203.0.113.1/", "/10.0.0.1", "203.0.113.1/fd00::1", "0.0.0.0"):
            self.assertRaises(ValueError, parse_external, text)


class PortTests(SynchronousTestCase):
    def test_every_port_is_given_once_and_in_no_order(self) -> None:
        ports = Ports(range(50000, 50100), random.Random(1).randrange)
        taken = [ports.take(0.0) for _ in range(100)]
        self.assertEqual(sorted(one or 0 for one in taken), list(range(50000, 50100)))
        self.assertNotEqual(taken, sorted(one or 0 for one in taken))
        self.assertIsNone(ports.take(0.0))

    def test_which_port_is_next_is_the_chance_that_was_passed_in(self) -> None:
        """CVE-2025-69217: a port that can be guessed can be sent to. Each number leads to a port of its own."""
        chances, asked = iter(range(100)), []

        def choose(end: int) -> int:
            asked.append(end)
            return next(chances)

        firsts = [Ports(range(50000, 50100), choose).take(0.0) or 0 for _ in range(100)]
        self.assertEqual((sorted(firsts), asked), (list(range(50000, 50100)), [100] * 100))

    def test_a_port_can_be_claimed_if_nobody_has_it(self) -> None:
        ports = Ports(range(50000, 50002), lambda n: 0)
        self.assertEqual([ports.claim(50001), ports.claim(50001), ports.claim(50002)], [True, False, False])
        self.assertEqual([ports.take(0.0), ports.take(0.0)], [50000, None])
        ports.give_back(50001, 0.0)
        self.assertFalse(ports.claim(50001))

    def test_a_released_port_rests(self) -> None:
        ports = Ports(range(50000, 50003), random.Random(1).randrange)
        first = ports.take(0.0) or 0
        ports.give_back(first, 10.0)
        self.assertNotIn(first, (ports.take(11.0), ports.take(11.0)))

    def test_a_rested_port_is_given_again(self) -> None:
        ports = Ports(range(50000, 50001), random.Random(1).randrange)
        for _ in range(3):
            self.assertEqual(ports.take(0.0), 50000)
            ports.give_back(50000, 0.0)
            self.assertEqual(ports.take(PORT_REST_S), 50000)
            ports.give_back(50000, 100.0)

    def test_a_resting_port_is_better_than_none_and_the_oldest_is_best(self) -> None:
        ports = Ports(range(50000, 50002), lambda n: 0)
        taken = [ports.take(0.0) or 0, ports.take(0.0) or 0]
        for port in taken:
            ports.give_back(port, 10.0)
        self.assertEqual([ports.take(10.0), ports.take(10.0), ports.take(10.0)], [*taken, None])

    def test_even_ports_are_given_on_request_and_never_cost_an_odd_one(self) -> None:
        ports = Ports(range(50000, 50006), random.Random(1).randrange)
        self.assertEqual({ports.take(0.0, even=True) for _ in range(4)}, {50000, 50002, 50004, None})
        self.assertEqual({ports.take(0.0) for _ in range(3)}, {50001, 50003, 50005})
        ports.give_back(50001, 0.0)
        ports.give_back(50002, 0.0)
        self.assertEqual((ports.take(0.0, even=True), ports.take(0.0, even=True), ports.take(0.0)), (50002, None, 50001))

    def test_a_clock_that_steps_back_locks_no_port_up(self) -> None:
        ports = Ports(range(50000, 50002), lambda n: 0)
        port = ports.take(10000.0) or 0
        ports.give_back(port, 10000.0)
        self.assertEqual({ports.take(5.0), ports.take(5.0)}, {50000, 50001})
