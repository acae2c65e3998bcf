"""`Meters`: token buckets in memory that is shared with the program in the kernel, and the `Meter` on top of one.

Packets that the kernel relays and packets that this process relays are charged to the same bucket. It is kept as the
moment at which it is full again: so one number is all that changes, and time fills it by passing. What the kernel charges
in the instant between our reading that number and our writing it goes free: a packet, of those that race with one of ours.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

from rtcd.allocations.meter import MAX_DEBT_S, Meter
from rtcd.kernel import records
from rtcd.kernel.bpf import Map
from rtcd.kernel.records import MAX_METERS, METER_BYTES, S
from rtcd.kernel.slots import Slots

WORDS = METER_BYTES // 8
"""Of a record."""


class Meters:
    """All buckets."""

    def __init__(self, meters: Map, monotonic: Callable[[], int]) -> None:
        """``monotonic()``: ns of `rtcd.kernel.records.CLOCK`."""
        self.monotonic = monotonic
        self._memory = meters.memory()
        self.words = memoryview(self._memory).cast("Q")
        self._slots = Slots(1, MAX_METERS)

    def __len__(self) -> int:
        return self._slots.taken

    def make(self, rate: float) -> Meter:
        """A meter of ``rate`` bytes a second; one of this process alone if there is no room, or nothing to fill it."""
        slot = self._slots.take(self.monotonic() / S) if rate >= 1 else None
        if slot is None:
            return Meter(rate)
        made = KernelMeter(rate, self, slot)
        weakref.finalize(made, self._give_back, slot)
        return made

    def numbers(self, meters: tuple[Meter, ...]) -> tuple[int, ...] | None:
        """Of their records; None if the kernel cannot charge all of them."""
        found = tuple(one.slot for one in meters if isinstance(one, KernelMeter) and one.meters is self)
        return found if len(found) == len(meters) <= records.MAX_FLOW_METERS else None

    def write(self, slot: int, full_at: int, rate: float, burst: float) -> None:
        """What the bucket is from now on."""
        at = slot * METER_BYTES
        self._memory[at : at + METER_BYTES] = records.meter(full_at, rate, burst)

    def _give_back(self, slot: int) -> None:
        self._slots.give_back(slot, self.monotonic() / S)


class KernelMeter(Meter):
    """A `Meter` whose bucket the kernel charges too. Its time is the kernel's, whatever time it is told."""

    __slots__ = ("__weakref__", "meters", "slot")

    def __init__(self, rate: float, meters: Meters, slot: int) -> None:
        """``slot``: the number of the record, which is ours until we are forgotten."""
        super().__init__(rate)
        self.meters = meters
        self.slot = slot
        meters.write(slot, 0, rate, self.burst)

    @property
    def rate(self) -> float:
        """See `Meter`."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        now = self.meters.monotonic()
        left = self._left_at(now)
        self._rate = rate
        missing = max(0.0, self.burst - left)
        self.meters.write(self.slot, now + records.cost(round(missing), max(1, round(rate))), rate, self.burst)

    def has(self, size: int, now: float) -> bool:
        """See `Meter`."""
        words, at, then = self.meters.words, self.slot * WORDS, self.meters.monotonic()
        missing = max(0, words[at + records.FULL_AT] - then)
        return missing + records.cost(size, words[at + records.RATE]) <= words[at + records.DEPTH]

    def take(self, size: int, now: float) -> bool:
        """See `Meter`."""
        if not self.has(size, now):
            return False
        self._charge(size)
        return True

    def charge(self, size: int, now: float) -> float:
        """See `Meter`."""
        self._charge(size)
        owed = -self._left_at(self.meters.monotonic())
        return min(MAX_DEBT_S, owed / self._rate) if owed > 0 else 0.0

    def _charge(self, size: int) -> None:
        words, at = self.meters.words, self.slot * WORDS
        full_at = max(words[at + records.FULL_AT], self.meters.monotonic())
        words[at + records.FULL_AT] = full_at + records.cost(size, words[at + records.RATE])

    def _left_at(self, now: int) -> float:
        """Bytes; less than none if some are owed."""
        words, at = self.meters.words, self.slot * WORDS
        return self.burst - max(0, words[at + records.FULL_AT] - now) * words[at + records.RATE] / S
