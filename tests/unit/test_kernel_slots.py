"""Numbers of records: given out, taken back, and not given out again before they have rested."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.kernel.slots import REST_S, Slots


class SlotsTests(SynchronousTestCase):
    def test_one_that_was_given_back_rests(self) -> None:
        """A packet on another processor may still look at it."""
        slots = Slots(5, 7)
        self.assertEqual([slots.take(0.0), slots.take(0.0), slots.take(0.0), slots.taken], [5, 6, None, 2])
        slots.give_back(5, 10.0)
        self.assertIsNone(slots.take(10.0 + REST_S * 0.99))
        self.assertEqual((slots.take(10.0 + REST_S), slots.taken), (5, 2))

    def test_one_that_has_rested_goes_before_one_that_was_never_used(self) -> None:
        """So that no more memory is touched than there were flows at once."""
        slots = Slots(0, 1000)
        for now in range(100):
            slot = slots.take(now * 2.0)
            assert slot is not None
            slots.give_back(slot, now * 2.0)
            self.assertEqual((slot, slots.taken), (0, 0))
