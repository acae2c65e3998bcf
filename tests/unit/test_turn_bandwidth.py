"""What allocations may use of the bandwidth, and what they book of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations import bandwidth
from rtcd.allocations.allocation import Allocation
from rtcd.stun.attributes import ADDITIONAL_ADDRESS_FAMILY
from rtcd.stun.message import Method
from rtcd.turn.request import Rules
from tests.fakes_turn import UDP, World


class BandwidthTests(SynchronousTestCase):
    """Clients one after another."""

    def made(self, world: World, port: int, user: str = "u") -> Allocation:
        """A new allocation."""
        client = world.client(port)
        client.username, client.password = {"u": ("u", "p"), "v": ("v", "q")}[user]
        client.allocate()
        found = world.server.allocations.get(client.five_tuple)
        assert found is not None
        return found

    def test_without_limits_nothing_is_metered_or_booked(self) -> None:
        world = World()
        made = self.made(world, 1)
        self.assertEqual((made.upward, made.downward, world.server.allocations.booked_bps), ((), (), 0))

    def test_each_allocation_has_meters_of_its_own_in_both_directions(self) -> None:
        world = World(Rules(max_bps=1000))
        one, other = self.made(world, 1), self.made(world, 2)
        meters = [*one.upward, *one.downward, *other.upward, *other.downward]
        self.assertEqual((len({id(meter) for meter in meters}), [meter.rate for meter in meters]), (4, [1000] * 4))

    def test_those_of_a_user_are_shared_by_his_allocations(self) -> None:
        world = World(Rules(max_bps=1000, max_bps_user=1500))
        one, other, another = self.made(world, 1), self.made(world, 2), self.made(world, 3, "v")
        self.assertEqual([meter.rate for meter in one.upward], [1000, 1500])
        self.assertIs(one.upward[1], other.upward[1])
        self.assertIs(one.downward[1], other.downward[1])
        self.assertIsNot(one.upward[1], one.downward[1])
        self.assertIsNot(one.upward[1], another.upward[1])

    def test_a_user_s_meters_are_forgotten_with_his_last_allocation(self) -> None:
        world = World(Rules(max_bps_user=1500))
        self.made(world, 1)
        self.made(world, 2)
        world.client(1).refresh(0)
        self.assertEqual(len(world.server.bandwidth), 1)
        world.client(2).refresh(0)
        self.assertEqual(len(world.server.bandwidth), 0)

    def test_a_user_who_comes_back_has_used_what_he_had_used(self) -> None:
        """Else one who lets his only allocation go and makes another one, again and again, has a full meter each time."""
        world = World(Rules(max_bps_user=1500))
        meter = self.made(world, 1).upward[0]
        self.assertTrue(meter.take(int(meter.burst), world.now))
        world.client(1).refresh(0)
        again = self.made(world, 2).upward[0]
        self.assertFalse(again.has(1, world.now))
        self.assertTrue(again.has(1500, world.now + 1))

    def test_only_so_many_who_have_left_are_remembered(self) -> None:
        """The one who left last is; a rate that was changed meanwhile is his as well."""
        self.patch(bandwidth, "MAX_LEFT", 2)
        table = bandwidth.Bandwidth()
        before = {user: table.meters(user, 0, 1000)[0][0] for user in "abc"}
        for user in "abc":
            table.forget(user)
        self.assertEqual([table.meters(user, 0, 500)[0][0] is before[user] for user in "abc"], [False, True, True])
        self.assertEqual((before["b"].rate, len(table)), (500, 3))

    def test_a_failed_allocate_leaves_no_meters_and_no_booking(self) -> None:
        world = World(Rules(max_bps=5, max_bps_user=5, bps_capacity=5))
        world.plane.fault = OSError()
        self.assertEqual(world.client().code(Method.ALLOCATE, UDP), 508)
        self.assertEqual((len(world.server.bandwidth), world.server.allocations.booked_bps), (0, 0))

    def test_what_is_booked_out_is_486_until_somebody_goes(self) -> None:
        world = World(Rules(max_bps=1000, bps_capacity=2500))
        self.made(world, 1)
        self.made(world, 2)
        client = world.client(3)
        self.assertEqual(client.code(Method.ALLOCATE, UDP), 486)
        self.assertEqual(world.observer.refusals, [("u", 486, "bps-capacity")])
        world.client(1).refresh(0)
        client.allocate()

    def test_a_dual_allocation_books_once(self) -> None:
        world = World(Rules(max_bps=1000, bps_capacity=1000))
        world.client().allocate(ADDITIONAL_ADDRESS_FAMILY.encode(2))
        self.assertEqual(world.server.allocations.booked_bps, 1000)

    def test_a_reload_is_for_new_allocations(self) -> None:
        """What was booked before is given back as it was booked; a user's rate is one for all that he has."""
        world = World(Rules(max_bps=1000, max_bps_user=1500, bps_capacity=3000))
        before = self.made(world, 1)
        world.server.rules = Rules(max_bps=500, max_bps_user=900, bps_capacity=3000)
        after = self.made(world, 2)
        self.assertEqual((before.upward[0].rate, after.upward[0].rate, before.upward[1].rate), (1000, 500, 900))
        self.assertEqual(world.server.allocations.booked_bps, 1500)
        world.client(1).refresh(0)
        self.assertEqual(world.server.allocations.booked_bps, 500)
