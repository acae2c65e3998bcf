"""The one delayed call of a table with deadlines."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rtcd.alarm import Alarm


class Ringing(SynchronousTestCase):
    """A table is a list of deadlines here."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.deadlines: list[float] = []
        self.rung: list[float] = []
        self.alarm = Alarm(self.clock, lambda: min(self.deadlines, default=None), self.ring)

    def ring(self, now: float) -> None:
        """What is due is over."""
        self.rung.append(now)
        self.deadlines = [one for one in self.deadlines if one > now]

    def expect(self, *deadlines: float) -> None:
        """These are in the table now."""
        self.deadlines = list(deadlines)
        self.alarm.set()

    def test_it_rings_at_each_deadline_and_then_rests(self) -> None:
        self.expect(5, 8)
        self.clock.pump([4, 1, 2, 1, 10])
        self.assertEqual((self.rung, self.clock.getDelayedCalls()), ([5, 8], []))

    def test_an_earlier_deadline_is_not_missed(self) -> None:
        self.expect(9)
        self.expect(9, 3)
        self.clock.advance(3)
        self.assertEqual((self.rung, len(self.clock.getDelayedCalls())), ([3], 1))

    def test_a_later_one_costs_no_new_call(self) -> None:
        self.expect(5)
        before = self.clock.getDelayedCalls()
        self.expect(7)
        self.assertEqual(self.clock.getDelayedCalls(), before)
        self.clock.pump([5, 2])
        self.assertEqual((self.rung, self.deadlines), ([5, 7], []))

    def test_one_in_the_past_rings_at_once(self) -> None:
        self.clock.advance(10)
        self.expect(5)
        self.clock.advance(0)
        self.assertEqual(self.rung, [10])

    def test_cancelled_it_is_silent_until_it_is_set_again(self) -> None:
        self.expect(5)
        self.alarm.cancel()
        self.alarm.cancel()
        self.clock.advance(6)
        self.assertEqual(self.rung, [])
        self.alarm.set()
        self.clock.advance(0)
        self.assertEqual(self.rung, [6])
