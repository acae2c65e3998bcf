"""The table of allocations: deadlines and units."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import Allocation, Allocations, FiveTuple
from rtcd.stun.attributes import Family

RELAYED, RELAYED6 = ("192.0.2.1", 50000), ("2001:db8::1", 50000)


def allocation(port: int, expires_at: float) -> Allocation:
    five_tuple = FiveTuple("udp", ("192.0.2.7", port), ("192.0.2.1", 3478))
    made = Allocation(five_tuple, "u", "u", b"", "192.0.2.7", bytes(12))
    made.opened(Family.IPV4, RELAYED, RELAYED, expires_at)
    return made


class Table(SynchronousTestCase):
    def setUp(self) -> None:
        self.table = Allocations()
        self.first, self.second = allocation(1, 100.0), allocation(2, 200.0)
        self.table.add(self.first)
        self.table.add(self.second)

    def test_the_next_deadline_is_the_earliest_one(self) -> None:
        self.assertEqual(self.table.next_deadline(), 100.0)
        self.table.extend(self.first, 300.0)
        self.assertEqual(self.table.next_deadline(), 200.0)
        self.table.remove(self.second)
        self.assertEqual(self.table.next_deadline(), 300.0)
        self.table.remove(self.first)
        self.assertIsNone(self.table.next_deadline())

    def test_a_shortened_lifetime_counts(self) -> None:
        self.table.extend(self.second, 50.0)
        self.assertEqual(self.table.next_deadline(), 50.0)

    def test_only_what_has_ended_is_told_once(self) -> None:
        self.assertEqual(self.table.ended(99.0), [])
        self.assertEqual(self.table.ended(250.0), [self.first, self.second])

    def test_units_are_given_back_once(self) -> None:
        self.assertEqual((self.table.of_user("u"), self.table.of_network("192.0.2.7")), (2, 2))
        self.assertEqual([self.table.remove(self.first), self.table.remove(self.first)], [True, False])
        self.assertEqual((self.table.of_user("u"), len(self.table)), (1, 1))

    def test_refreshes_do_not_pile_up(self) -> None:
        for moment in range(1000):
            self.table.extend(self.first, 1000.0 + moment)
        self.assertLess(len(self.table._deadlines), 100)
        self.assertEqual(self.table.next_deadline(), 200.0)
        self.table.remove(self.second)
        self.assertEqual(self.table.next_deadline(), 1999.0)

    def test_five_tuples_of_different_transports_are_different(self) -> None:
        self.assertIsNone(self.table.get(self.first.five_tuple._replace(transport="tcp")))
