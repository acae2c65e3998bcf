"""The relay plane with the short cut: whom it gives room, what it does when there is none, how it follows the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtcd.allocations.allocation import Allocation
from rtcd.kernel.network import NOWHERE, Path
from rtcd.kernel.plane import CHECK_S, PATHS_PER_TURN, PAUSE_S, SETTLE_S, KernelRelayPlane
from rtcd.kernel.records import FLOW_BYTES, SLOT, UNTIL
from rtcd.kernel.relay import MAX_PAIRS, KernelRelay
from rtcd.kernel.slots import Slots
from rtcd.stun import channeldata
from tests.shell.kernel import InKernel, look_up


class KernelPlaneTestCase(InKernel):
    def setUp(self) -> None:
        """The plane is known to be of that kind."""
        super().setUp()
        assert isinstance(self.plane, KernelRelayPlane)
        self.kernel: KernelRelayPlane = self.plane

    def relay_of(self, allocation: Allocation) -> KernelRelay:
        """Of that kind too."""
        relay = self.relay(allocation)
        assert isinstance(relay, KernelRelay)
        return relay

    def bind(self, allocation: Allocation, count: int, until: float = 600.0) -> None:
        """So many channels to one host."""
        host = self.elsewhere()
        self.plane.permit(allocation, host, until, host)
        for number in range(count):
            self.plane.bind(allocation, 0x4000 + number, (host, 1000 + number), until)

    def untils(self, allocation: Allocation) -> set[int]:
        """When its flows end, as the kernel has it."""
        found = set()
        for pair in self.relay_of(allocation)._pairs.values():
            for slot in (pair.up, pair.down):
                record = look_up(self.kernel.program.flows, slot.to_bytes(4, "little")) or b""
                self.assertEqual(len(record), FLOW_BYTES)
                found.add(int.from_bytes(record[8 * UNTIL :][:8], "little"))
        return found


class Room(KernelPlaneTestCase):
    def test_one_relay_takes_not_more_than_its_part(self) -> None:
        """The other channels are there all the same."""
        allocation = self.allocate()
        self.bind(allocation, MAX_PAIRS + 10)
        self.assertEqual(len(self.kernel.flows), 2 * MAX_PAIRS)
        self.assertEqual(len(self.relay(allocation).peers), MAX_PAIRS + 10)

    def test_what_has_ended_makes_room_for_what_is_new(self) -> None:
        allocation = self.allocate()
        self.bind(allocation, MAX_PAIRS)
        self.clock.advance(600)
        self.plane.permit(allocation, self.host, 1200.0, self.host)
        self.plane.bind(allocation, 0x4F00, self.address(self.peer), 1200.0)
        self.assertEqual(len(self.kernel.flows), 2)
        self.up(channeldata.encode(0x4F00, b"x"))
        self.assertEqual(self.got(self.peer), b"x")

    def test_what_had_ended_comes_back_with_its_permission(self) -> None:
        """Another one has taken its place meanwhile; a channel that still lasts needs no new bind."""
        allocation = self.allocate()
        self.bind(allocation, MAX_PAIRS, 600.0)
        self.plane.permit(allocation, self.elsewhere(), 100.0, self.elsewhere())
        self.clock.advance(100)
        self.plane.permit(allocation, self.host, 600.0, self.host)
        self.plane.bind(allocation, 0x4F00, self.address(self.peer), 600.0)
        self.assertEqual(len(self.kernel.flows), 2)
        self.plane.permit(allocation, self.elsewhere(), 600.0, self.elsewhere())
        self.assertEqual(len(self.kernel.flows), 2 * MAX_PAIRS)

    def test_without_room_it_is_sockets_until_there_is_some(self) -> None:
        """Looked for every few seconds, and no further than to the first one that finds none."""
        self.patch(self.kernel.flows, "_slots", Slots(0, 8))
        first, second = self.allocate(), self.allocate(self.open_socket())
        self.bind(first, 4)
        self.bind(second, 3)
        self.assertEqual((len(self.kernel.flows), self.kernel.crowded), (8, True))
        asked: list[tuple[str, str]] = []
        path = self.kernel.network.path

        def counted(source: str, destination: str) -> Path:
            asked.append((source, destination))
            return path(source, destination)

        self.patch(self.kernel.network, "path", counted)
        self.clock.advance(CHECK_S)
        self.assertEqual((len(self.kernel.flows), self.kernel.crowded, asked), (8, True, []))
        self.plane.close(first)
        self.patch(self.kernel.flows, "_slots", Slots(8, 100))
        self.clock.advance(CHECK_S)
        self.assertEqual((len(self.kernel.flows), self.kernel.crowded), (6, False))

    def test_what_has_ended_makes_room_for_others_too(self) -> None:
        """A long call has many channels of candidates that nobody renewed."""
        self.patch(self.kernel.flows, "_slots", Slots(0, 16))
        first, second = self.allocate(), self.allocate(self.open_socket())
        self.bind(first, 4, 2.0)
        self.bind(second, 5)
        self.assertEqual((len(self.kernel.flows), self.kernel.crowded), (16, True))
        self.clock.advance(CHECK_S)
        self.patch(self.kernel.flows, "_slots", Slots(16, 100))
        self.kernel.crowded = True
        self.clock.advance(CHECK_S)
        self.assertEqual((len(self.kernel.flows), self.kernel.crowded), (10, False))

    def test_half_a_pair_is_not_left(self) -> None:
        """Somebody else has the packets of the second flow: that cannot be, and yet nothing of it stays."""
        allocation = self.allocate()
        self.patch(self.kernel.flows, "add", iter_of(self.kernel.flows.add, 1))
        self.bind(allocation, 1)
        self.assertEqual(len(self.kernel.flows), 0)


def iter_of(add: Any, good: int) -> Any:
    """``add``, which fails after so many times."""
    left = [good]

    def limited(*arguments: Any) -> int | None:
        left[0] -= 1
        found: int | None = add(*arguments) if left[0] >= 0 else None
        return found

    return limited


class Ends(KernelPlaneTestCase):
    def test_every_channel_hears_of_another_end_of_the_allocation(self) -> None:
        """One of them was told by the way, when its permission was extended."""
        allocation = self.allocate()
        allocation.ends[self.family] = 100.0
        for host in (self.elsewhere(1), self.elsewhere(2)):
            self.plane.permit(allocation, host, 300.0, host)
            self.plane.bind(allocation, 0x4000 + int(host == self.elsewhere(2)), (host, 9), 300.0)
        self.assertLess(max(self.untils(allocation)) - min(self.untils(allocation)), 10**9)
        for end in (200.0, 50.0):
            before = self.untils(allocation)
            allocation.ends[self.family] = end
            self.plane.permit(allocation, self.elsewhere(1), 300.0, self.elsewhere(1))
            self.clock.advance(CHECK_S)
            after = self.untils(allocation)
            self.assertFalse(before & after)
            self.assertLess(max(after) - min(after), 10**9)


class Following(KernelPlaneTestCase):
    def setUp(self) -> None:
        """How often it has looked."""
        super().setUp()
        self.looks = 0
        look = self.kernel.network.look

        def counted() -> None:
            self.looks += 1
            look()

        self.patch(self.kernel.network, "look", counted)

    def news(self) -> None:
        """There is some."""
        self.patch(self.kernel.network, "changed", lambda: True)
        self.kernel._told(0.0, 1)

    def test_a_crowd_of_news_is_followed_once(self) -> None:
        for _ in range(10):
            self.news()
        self.clock.advance(SETTLE_S)
        self.assertEqual(self.looks, 1)
        self.clock.advance(10 * PAUSE_S)
        self.assertIn(self.looks, (1, 2))

    def test_news_without_end_keeps_nobody_from_being_led(self) -> None:
        """Each pass goes to its end, whatever comes meanwhile, and there is a pause between two."""
        allocations = []
        for _ in range(3):
            allocations.append(self.allocate(self.open_socket()))
            self.bind(allocations[-1], PATHS_PER_TURN // 2 + 1)
        led: list[object] = []
        for one in allocations:
            relay = self.relay_of(one)

            def counted(relay: KernelRelay = relay, lead: Callable[[], int] = relay.lead) -> int:
                led.append(relay)
                return lead()

            self.patch(relay, "lead", counted)
        self.news()
        self.clock.advance(SETTLE_S)
        self.news()
        while len(set(led)) < 3:
            before = len(led)
            self.clock.advance(0)
            self.news()
            self.assertGreater(len(led), before)
        self.assertEqual((len(led), self.looks), (3, 1))
        self.clock.advance(PAUSE_S)
        self.assertEqual(self.looks, 2)

    def test_a_fault_does_not_end_it(self) -> None:
        """It is looked at again, and told once."""
        def fails() -> None:
            self.looks += 1
            self.kernel.network.links, self.kernel.network.hosts = {}, {}
            raise OSError(105, "No buffer space available")

        allocation = self.bound()
        with_flow = self.kernel.network.path(self.host, self.host)
        self.assertNotEqual(with_flow, NOWHERE)
        self.patch(self.kernel.network, "look", fails)
        self.news()
        self.clock.advance(SETTLE_S)
        self.clock.advance(PAUSE_S)
        self.clock.advance(PAUSE_S)
        self.assertGreaterEqual(self.looks, 3)
        self.assertEqual(self.kernel.program.interfaces, frozenset())
        self.up(channeldata.encode(0x4000, b"x"))
        self.assertEqual((self.got(self.peer), self.shortcut.value), (b"x", 0))
        self.plane.close(allocation)

    def test_a_bug_in_one_relay_does_not_end_it(self) -> None:
        allocation = self.bound()
        self.patch(self.relay_of(allocation), "lead", lambda: 1 // 0)
        self.news()
        self.clock.advance(SETTLE_S)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.news()
        self.clock.advance(PAUSE_S + SETTLE_S)
        self.assertEqual(self.looks, 2)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_keys_are_known_to_the_kernel_as_long_as_the_channel(self) -> None:
        allocation = self.bound()
        (pair,) = self.relay_of(allocation)._pairs.values()
        key = self.kernel.flows._known[pair.up]
        self.assertEqual(look_up(self.kernel.program.slots, key), SLOT.pack(pair.up))
        self.plane.close(allocation)
        self.assertIsNone(look_up(self.kernel.program.slots, key))
