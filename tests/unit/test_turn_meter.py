"""Meters: a rate with a burst, shared or several at once."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.meter import BURST_S, MIN_BURST_BYTES, Meter, take_all

RATE = 10.0 * MIN_BURST_BYTES


class MeterTests(SynchronousTestCase):
    def test_a_burst_passes_at_once_and_then_the_rate(self) -> None:
        meter = Meter(RATE)
        burst = int(RATE * BURST_S)
        self.assertTrue(meter.take(burst, 100.0))
        self.assertFalse(meter.take(1, 100.0))
        self.assertFalse(meter.take(int(RATE / 2) + 1, 100.5))
        self.assertTrue(meter.take(int(RATE / 2), 100.5))

    def test_a_long_pause_saves_up_one_burst_and_no_more(self) -> None:
        meter = Meter(RATE)
        meter.take(int(RATE), 0.0)
        self.assertFalse(meter.take(int(RATE * BURST_S) + 1, 1e6))
        self.assertTrue(meter.take(int(RATE * BURST_S), 1e6))

    def test_the_largest_datagram_passes_at_any_rate(self) -> None:
        self.assertTrue(Meter(1.0).take(0xFFFF + 100, 0.0))

    def test_what_is_refused_is_not_charged(self) -> None:
        meter = Meter(1.0)
        self.assertFalse(meter.take(MIN_BURST_BYTES + 1, 0.0))
        self.assertTrue(meter.take(MIN_BURST_BYTES, 0.0))

    def test_a_clock_that_steps_back_gives_and_takes_nothing(self) -> None:
        meter = Meter(RATE)
        meter.take(int(RATE), 1000.0)
        self.assertFalse(meter.take(1, 500.0))
        self.assertTrue(meter.take(int(RATE / 4), 500.25))

    def test_another_rate_is_in_force_at_once(self) -> None:
        meter = Meter(RATE)
        meter.rate = 1.0
        self.assertFalse(meter.take(MIN_BURST_BYTES + 1, 0.0))
        self.assertTrue(meter.take(MIN_BURST_BYTES, 0.0))
        meter.rate = RATE
        self.assertTrue(meter.take(int(RATE), 1.0))

    def test_a_packet_is_charged_to_all_or_to_none(self) -> None:
        """Else a user at the limit would be charged for what the allocation's own meter refused."""
        wide, narrow = Meter(RATE), Meter(1.0)
        self.assertFalse(take_all((wide, narrow), MIN_BURST_BYTES + 1, 0.0))
        self.assertTrue(wide.take(int(RATE), 0.0))
        wide, narrow = Meter(RATE), Meter(1.0)
        self.assertTrue(take_all((wide, narrow), MIN_BURST_BYTES, 0.0))
        self.assertFalse(narrow.take(1, 0.0))
        self.assertFalse(wide.take(int(RATE) - MIN_BURST_BYTES + 1, 0.0))
