"""`Flows`: the records of flows, in memory that is shared with the program in the kernel.

A record is complete before its key is known, and its key is forgotten before it is given back. What changes meanwhile
is one word at a time, so that a packet sees the old or the new one.
"""

from __future__ import annotations

from collections.abc import Callable

from rtcd.kernel import records
from rtcd.kernel.bpf import Map
from rtcd.kernel.records import FLOW_BYTES, MAX_FLOWS, SLOT, Flow
from rtcd.kernel.slots import Slots


class Flows:
    """Adds flows, changes them, reads their counters, removes them."""

    def __init__(self, slots: Map, flows: Map, monotonic: Callable[[], int]) -> None:
        """``monotonic()``: ns of `rtcd.kernel.records.CLOCK`."""
        self._keys = slots
        self._monotonic = monotonic
        self._memory = flows.memory()
        view = memoryview(self._memory)
        self._eights, self._fours, self._twos = view.cast("Q"), view.cast("I"), view.cast("H")
        self._slots = Slots(0, MAX_FLOWS)
        self._known: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._known)

    def room(self) -> bool:
        """Whether there are records for both flows of a route."""
        return self._slots.free(self._monotonic() / records.S) >= 2

    def add(
        self, flow: Flow, until: int, flags: int, interface: int, room: int, meters: tuple[int, ...], back: int = 0,
    ) -> int | None:
        """The number of its record; None if there is no room for one, or its packets are another flow's already."""
        now = self._monotonic() / records.S
        slot = self._slots.take(now)
        if slot is None:
            return None
        at = slot * FLOW_BYTES
        self._memory[at : at + FLOW_BYTES] = flow.record(until, flags, interface, room, meters, back)
        key = flow.key()
        try:
            self._keys.put(key, SLOT.pack(slot))
        except OSError:
            self._slots.give_back(slot, now)
            return None
        self._known[slot] = key
        return slot

    def lasts(self, slot: int, until: int) -> None:
        """It ends at another moment."""
        self._eights[slot * FLOW_BYTES // 8 + records.UNTIL] = until

    def leads(self, slot: int, flags: int, interface: int, room: int) -> None:
        """It goes out by another way; what comes just then goes by the old one, by the new one or up to us."""
        fours, at, twos = self._fours, slot * FLOW_BYTES // 4, slot * FLOW_BYTES // 2
        fours[at + records.INTERFACE] = 0
        self._twos[twos + records.FLAGS] = flags
        self._twos[twos + records.ROOM] = room
        fours[at + records.INTERFACE] = interface

    def is_charged_to(self, slot: int, meters: tuple[int, ...]) -> None:
        """Other meters."""
        at = slot * FLOW_BYTES // 4 + records.METERS
        self._fours[at], self._fours[at + 1] = (*meters, 0, 0)[: records.MAX_FLOW_METERS]

    def counted(self, slot: int) -> tuple[int, int, int]:
        """Packets and bytes of payload that went out, and packets that a meter refused."""
        eights, at = self._eights, slot * FLOW_BYTES // 8
        refused = self._fours[slot * FLOW_BYTES // 4 + records.REFUSED]
        return eights[at + records.PACKETS], eights[at + records.BYTES], refused

    def remove(self, slot: int) -> tuple[int, int, int]:
        """From now on no packet finds it. What it `counted`."""
        self._keys.delete(self._known.pop(slot))
        self.lasts(slot, 0)
        counted = self.counted(slot)
        self._slots.give_back(slot, self._monotonic() / records.S)
        return counted
