"""The same traffic through both relay planes, in network namespaces: the same comes out, and the same is counted."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import Allocation, Traffic
from rtcd.kernel.plane import KernelRelayPlane
from rtcd.plane.relay import PythonRelayPlane
from rtcd.stun import channeldata
from rtcd.stun.attributes import Address
from tests.interop.world import Got, World, kernel_plane, python_plane
from tests.three_networks import ThreeNetworks

STEPS = 400
SIZES = (0, 1, 2, 3, 4, 5, 11, 12, 13, 172, 1160, 1200, 1224, 1225, 1228, 1229, 1232, 1233, 1400, 1460, 1464, 1465, 1468,
         1469, 1472, 1473, 1500, 3000)
"""Around what IPv6 and Ethernet carry whole, with and without the header of ChannelData."""
IP_OPTIONS, SO_NO_CHECK = 4, 11
NO_OPERATION = b"\x01\x01\x01\x01"


def traffic(seed: int, world: World, allocations: list[Allocation]) -> Iterator[tuple[str, Address, bytes, Any]]:
    """Random datagrams, the same for every world."""
    chance = random.Random(seed)
    six = world.family == socket.AF_INET6
    for _ in range(STEPS):
        size = chance.choice((*SIZES, chance.randrange(1500)))
        data = chance.randbytes(size)
        options: list[tuple[int, int, Any]] = []
        if chance.random() < 0.1:
            options.append((socket.SOL_SOCKET, SO_NO_CHECK, 1) if not six else
                           (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0xb8))
        if chance.random() < 0.1 and not six:
            options.append((socket.IPPROTO_IP, IP_OPTIONS, NO_OPERATION))
        if chance.random() < 0.2:
            options.append((socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, chance.randrange(1, 5)) if six else
                           (socket.IPPROTO_IP, socket.IP_TTL, chance.randrange(1, 5)))
        if chance.random() < 0.2:
            options.append((socket.IPPROTO_IPV6, socket.IPV6_TCLASS, chance.randrange(256)) if six else
                           (socket.IPPROTO_IP, socket.IP_TOS, chance.randrange(256)))
        if chance.random() < 0.5:
            channel = chance.choice((0x4000, 0x4000, 0x4000, 0x4001, 0x4002, 0x4003, 0x4fff, 0x7fff, 0x3fff, 0x8000, 0))
            data = channeldata.encode(0x4000, data)
            data = channel.to_bytes(2, "big") + data[2:]
            kind = chance.random()
            if kind < 0.3:
                data += bytes(-size & 3)
            elif kind < 0.4:
                data += chance.randbytes(chance.randrange(1, 9))
            elif kind < 0.5:
                data = data[: chance.randrange(len(data) + 1)]
            yield f"client{chance.randrange(3)}", world.server, data, tuple(options)
        else:
            if chance.random() < 0.1:
                data = channeldata.encode(0x4000, data)
            to = world.relayed(allocations[chance.randrange(len(allocations))])
            yield chance.choice(("peer0", "peer0", "peer1", "peer2", "client0")), to, data, tuple(options)


class TwoPlanes(SynchronousTestCase):
    version = 4

    def setUp(self) -> None:
        """The networks."""
        self.zero: list[int] = []
        self.networks = ThreeNetworks()
        self.addCleanup(self.networks.close)
        self.networks.open()

    def run_world(
        self, plane: Callable[..., PythonRelayPlane], seed: int, fields: bool
    ) -> tuple[list[list[Got]], list[Any], dict[str, int], int]:
        """All that comes out, what is counted of each allocation and of drops, and how much took the short cut."""
        world = World(self.networks, self.version, plane, fields)
        self.addCleanup(world.close)
        hosts = world.hosts
        first, second, third = (world.allocate(f"client{number}") for number in range(3))
        for one in (first, second, third):
            world.plane.permit(one, hosts["peer"], 300.0, hosts["peer"])
            world.plane.permit(one, hosts["relay"], 300.0, hosts["relay"])
        world.plane.permit(second, hosts["relay"], 150.0, hosts["relay"])
        world.plane.bind(first, 0x4000, world.address("peer0"), 600.0)
        world.plane.bind(first, 0x4001, world.relayed(second), 600.0)
        world.plane.bind(first, 0x4002, world.relayed(third), 600.0)
        world.plane.bind(first, 0x4003, world.address("peer1"), 100.0)
        world.plane.bind(second, 0x4000, world.relayed(first), 600.0)
        world.plane.bind(second, 0x4001, world.address("peer0"), 600.0)
        world.plane.bind(third, 0x4000, world.address("peer2"), 600.0)
        out = []
        for number, step in enumerate(traffic(seed, world, [first, second, third])):
            if number == STEPS // 2:
                world.clock.advance(100)  # one channel ends
            if number == STEPS * 5 // 8:
                world.clock.advance(60)  # the second client's permission for the first one's relay, and not the other way
            if number == STEPS * 3 // 4:
                world.plane.permit(first, hosts["peer"], 700.0, hosts["peer"])
                world.clock.advance(140)  # permissions end, but for that one
            out.append(world.step(*step))
        checksums = world.checksums()
        self.assertGreater(checksums["right"], STEPS // 3)
        self.assertEqual(checksums["wrong"], 0)
        counted = [world.plane.traffic(one) for one in (first, second, third)]
        self.assertEqual([world.plane.close(one) for one in (first, second, third)], counted)
        short = world.plane.shortcut.value if isinstance(world.plane, KernelRelayPlane) else 0
        self.zero.append(checksums["none"])
        return ([*out, [Got("up", five_tuple.client, data, (0, 0)) for data, five_tuple in world.passed_up]], counted,
                {reason: one.value for reason, one in world.drops.items()}, short)

    def compare(self, seed: int, fields: bool) -> None:
        """One after the other."""
        expected, counted, drops, _ = self.run_world(python_plane, seed, fields)
        self.doCleanups()
        self.networks.open()
        self.addCleanup(self.networks.close)
        found, counted_too, drops_too, short = self.run_world(kernel_plane, seed, fields)
        for step, (one, other) in enumerate(zip(expected, found, strict=True)):
            self.assertEqual(other, one, f"step {step} of seed {seed}")
        self.assertEqual((counted_too, drops_too), (counted, drops))
        self.assertGreater(short, STEPS // 8)
        self.assertEqual(self.zero[0], 0)  # sockets always make one
        self.assertEqual(self.zero[1] > 0, self.version == 4)  # the kernel passes on that there is none
        self.assertGreater(sum(map(len, expected)), STEPS // 3)

    def test_datagrams_and_counters_are_the_same(self) -> None:
        self.compare(1, False)

    def test_they_are_with_ip_fields_too(self) -> None:
        self.compare(2, True)

    def test_meters_let_the_same_through(self) -> None:
        """A frame is charged with its header. The next byte comes in a second, and the next packet not before 94."""
        found = []
        for plane in (python_plane, kernel_plane):
            world = World(self.networks, self.version, plane, False)
            allocation = world.allocate("client0", upward=(1.0,), downward=(1.0, 10.0**9))
            peer = world.address("peer0")
            world.plane.permit(allocation, peer[0], 300.0, peer[0])
            world.plane.bind(allocation, 0x4000, peer, 300.0)
            for _ in range(1050):
                world.step("client0", world.server, channeldata.encode(0x4000, b"x" * 98), ())
                world.step("peer0", world.relayed(allocation), b"y" * 98, ())
            found.append((world.plane.traffic(allocation), world.drops["rate"].value))
            world.close()
        self.assertEqual(found[0], found[1])
        self.assertEqual(found[0], (Traffic(1040, 101920, 1008, 98784), 52))


class TwoPlanes6(TwoPlanes):
    version = 6
