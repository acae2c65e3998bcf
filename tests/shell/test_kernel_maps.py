"""Records in memory that is shared with the kernel: flows and their counters, meters and what they let pass."""

from __future__ import annotations

import gc

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.meter import BURST_S, MAX_DEBT_S, MIN_BURST_BYTES, Meter, take_all
from rtcd.kernel import meters, records
from rtcd.kernel.flows import Flows
from rtcd.kernel.meters import KernelMeter, Meters
from rtcd.kernel.records import Flow, S
from rtcd.kernel.slots import REST_S, Slots
from tests.shell.kernel import kept, look_up, require_kernel


def flow(number: int) -> Flow:
    """One of many."""
    return Flow(("192.0.2.9", number), ("192.0.2.1", 3478), 0x4000, ("192.0.2.1", 50000), ("192.0.2.8", 9), 0)


class FlowsTests(SynchronousTestCase):
    def setUp(self) -> None:
        """No flow at all."""
        require_kernel()
        self.now = 1000 * S
        self.flows = Flows(kept().slots, kept().flows, lambda: self.now)
        self.addCleanup(self.remove_all)

    def remove_all(self) -> None:
        """Leave none to the next test."""
        for slot in list(self.flows._known):
            self.flows.remove(slot)

    def add(self, number: int) -> int | None:
        """A flow that never ends."""
        return self.flows.add(flow(number), 2**63, 0, 0, 0, ())

    def test_the_kernel_knows_it_by_its_key_until_it_is_removed(self) -> None:
        slot = self.add(1)
        assert slot is not None
        key = flow(1).key()
        self.assertEqual(look_up(kept().slots, key), records.SLOT.pack(slot))
        self.assertEqual(look_up(kept().flows, slot.to_bytes(4, "little")), flow(1).record(2**63, 0, 0, 0, ()))
        self.assertEqual(self.flows.remove(slot), (0, 0, 0))
        self.assertIsNone(look_up(kept().slots, key))
        self.assertEqual(len(self.flows), 0)

    def test_what_is_changed_is_changed_for_the_kernel(self) -> None:
        slot = self.add(1)
        assert slot is not None
        self.flows.lasts(slot, 77)
        self.flows.leads(slot, records.TO_SELF, 5, 1400)
        self.flows.is_charged_to(slot, (3,))
        expected = flow(1).record(77, records.TO_SELF, 5, 1400, (3,))
        self.assertEqual(look_up(kept().flows, slot.to_bytes(4, "little")), expected)

    def test_a_second_flow_for_the_same_packets_is_refused(self) -> None:
        self.assertIsNotNone(self.add(1))
        self.assertIsNone(self.add(1))
        self.assertEqual(len(self.flows), 1)

    def test_a_record_rests_before_it_is_used_again(self) -> None:
        first = self.add(1)
        assert first is not None
        self.flows.remove(first)
        self.assertNotEqual(self.add(2), first)
        self.now += round(REST_S * S)
        self.assertEqual(self.add(3), first)

    def test_more_flows_than_there_are_records(self) -> None:
        """The rest is not the kernel's, and nothing else happens."""
        self.patch(self.flows, "_slots", Slots(0, 10))
        self.assertEqual(sum(self.add(number) is not None for number in range(20)), 10)
        self.assertEqual(len(self.flows), 10)


class MetersTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Meters with a clock of their own."""
        require_kernel()
        self.now = 1000 * S
        self.meters = Meters(kept().meters, lambda: self.now)

    @settings(max_examples=200, deadline=None)
    @given(st.integers(1, 10**9), st.lists(st.tuples(
        st.floats(0, 3), st.integers(28, 65535), st.sampled_from(("take", "has", "charge"))), max_size=60))
    def test_it_lets_pass_what_a_meter_lets_pass(self, rate: int, events: list[tuple[float, int, str]]) -> None:
        """But for what whole nanoseconds make of it: a packet's time, and the bytes of as many of them as there were."""
        ours, theirs = self.meters.make(rate), Meter(rate)
        assert isinstance(ours, KernelMeter)
        slack = 1.0
        for passed, size, what in events:
            self.now += round(passed * S)
            seconds = self.now / S
            slack += 2 + rate / S
            at = ours._left_at(self.now), (theirs.has(0, seconds), theirs._left)[1]
            self.assertLess(abs(at[0] - at[1]), slack)
            if what == "charge":
                self.assertLess(abs(ours.charge(size, seconds) - theirs.charge(size, seconds)), 2 * slack / rate)
                if ours._left_at(self.now) < -MAX_DEBT_S * rate:
                    return
            elif abs(theirs._left - size) > slack:
                call = Meter.take if what == "take" else Meter.has
                self.assertEqual(getattr(ours, what)(size, seconds), call(theirs, size, seconds))

    def test_another_rate_is_in_force_at_once(self) -> None:
        """What was saved up beyond the new burst is lost."""
        meter = self.meters.make(10 * MIN_BURST_BYTES)
        self.assertTrue(meter.take(round(BURST_S * 9 * MIN_BURST_BYTES), 0.0))
        meter.rate = 1000
        self.assertEqual(meter.rate, 1000)
        self.assertTrue(meter.take(MIN_BURST_BYTES, 0.0))
        self.assertFalse(meter.take(28, 0.0))
        meter.rate = 2000
        self.assertFalse(meter.take(28, 0.0))
        self.now += S
        self.assertTrue(meter.take(1990, 0.0))
        self.assertFalse(meter.take(28, 0.0))

    def test_all_or_none_are_charged(self) -> None:
        rich, poor = self.meters.make(10**9), self.meters.make(1)
        self.assertTrue(poor.take(MIN_BURST_BYTES, 0.0))
        for _ in range(10):
            self.assertFalse(take_all((rich, poor), 10**8, 0.0))
        self.assertTrue(rich.take(10**9, 0.0))

    def test_a_record_is_given_back_with_its_meter(self) -> None:
        self.assertEqual(len(self.meters), 0)
        meter = self.meters.make(5)
        self.assertEqual((len(self.meters), self.meters.numbers((meter,))), (1, (1,)))
        del meter
        gc.collect()
        self.assertEqual(len(self.meters), 0)

    def test_without_a_record_it_is_a_meter_of_this_process(self) -> None:
        """Whose packets the kernel leaves alone, as those of more meters than a flow has."""
        self.patch(self.meters, "_slots", Slots(1, 4))
        made = [self.meters.make(5) for _ in range(4)]
        self.assertEqual([type(one) for one in made], [KernelMeter] * 3 + [Meter])
        self.assertIsNone(self.meters.numbers((made[3],)))
        self.assertIsNone(self.meters.numbers(tuple(made[:3])))
        self.assertEqual(self.meters.numbers(tuple(made[:2])), (1, 2))
        self.assertEqual(self.meters.numbers(()), ())
        other = meters.Meters(kept().meters, lambda: self.now)
        self.assertIsNone(other.numbers((made[0],)))
