"""`KernelRelay`: a relay socket whose routes the kernel has too, as two flows each. Part of rtcd.kernel.plane.

It does what `Relay` does, and tells the kernel whenever a route comes, goes, lasts longer or leads elsewhere.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from rtcd.allocations.allocation import Allocation, Traffic
from rtcd.kernel import records
from rtcd.kernel.network import NOWHERE, Path
from rtcd.kernel.records import Flow
from rtcd.metrics import Counter
from rtcd.plane.routes import Relay, Route, Way
from rtcd.stun.attributes import Address, family_of

if TYPE_CHECKING:
    from rtcd.kernel.plane import KernelRelayPlane

MAX_PAIRS = 64
"""Routes of one relay socket that the kernel has; calls need a few, and nobody is to take the room of all."""


class Pair:
    """The two flows of a route, and what is counted already of what they counted."""

    __slots__ = ("down", "seen_down", "seen_up", "up")

    def __init__(self, up: int, down: int) -> None:
        self.up = up
        """From the client to the peer: the number of its record."""
        self.down = down
        self.seen_up = self.seen_down = (0, 0, 0)


class KernelRelay(Relay):
    """A relay socket whose routes the kernel has too."""

    def __init__(self, plane: KernelRelayPlane, sock: socket.socket, way: Way, allocation: Allocation) -> None:
        super().__init__(plane, sock, way, allocation)
        self._kernel = plane
        self._pairs: dict[Route, Pair] = {}
        self._family = family_of(self.address[0])
        self._end_known = math.inf
        """When the allocation ends, as all flows have it."""

    def permit(self, host: str, expires_at: float, named: str, now: float) -> None:
        super().permit(host, expires_at, named, now)
        for route in self.routes.get(host, {}).values():
            self._tell(route)

    def bind(self, channel: int, peer: Address, expires_at: float, now: float) -> None:
        super().bind(channel, peer, expires_at, now)
        self._tell(self.way.channels[channel])

    def unbind(self, route: Route) -> None:
        self._end(route)
        super().unbind(route)

    def meter(self, seconds: Callable[[], float], rate: Counter) -> None:
        super().meter(seconds, rate)
        flows, (up, down) = self._kernel.flows, self._meters()
        for route, pair in list(self._pairs.items()):
            if up is None or down is None:
                self._end(route)
            else:
                flows.is_charged_to(pair.up, up)
                flows.is_charged_to(pair.down, down)
        self.begin_all()

    def traffic(self) -> Traffic:
        for route, pair in self._pairs.items():
            self._collect(route, pair, self._kernel.flows.counted(pair.up), self._kernel.flows.counted(pair.down))
        return super().traffic()

    def close(self) -> Traffic:
        for route in list(self._pairs):
            self._end(route)
        return super().close()

    def rebuild(self) -> None:
        """The client is elsewhere: the flows are other ones."""
        for route in list(self._pairs):
            self._end(route)
        self.begin_all()

    def begin_all(self) -> bool:
        """Give the kernel what it has not got yet and has not ended; False if there is no room among the flows."""
        now = self._kernel.seconds()
        for route in self.peers.values():
            if len(self._pairs) >= MAX_PAIRS:
                break
            if route not in self._pairs and now < route.until and not self._begin(route):
                return False
        return True

    def last(self) -> None:
        """Moments at which flows end are others for the kernel: our clock was set, or the allocation's end is another."""
        self._end_known = self._allocation.ends.get(self._family, math.inf)
        for route in self._pairs:
            self._lasts(route)

    def look_at_the_end(self) -> None:
        """A Refresh may have moved it, which nobody tells us."""
        if self._allocation.ends.get(self._family, math.inf) != self._end_known:
            self.last()

    def lead(self) -> int:
        """The network has changed. How many routes had their ways looked for."""
        flows = self._kernel.flows
        for route, pair in self._pairs.items():
            up, down = self._ways(route)
            flows.leads(pair.up, self._flags(up, down), up.interface, up.room)
            flows.leads(pair.down, self._flags(down, up), down.interface, down.room)
        return len(self._pairs)

    def _tell(self, route: Route) -> None:
        """It is new, or lasts longer; perhaps it had ended, and made room for another one."""
        if route in self._pairs:
            self._lasts(route)
        else:
            self._begin(route)

    def _begin(self, route: Route) -> bool:
        """Give the kernel its flows, if that can move its packets; False if it has no room for them."""
        plane, five_tuple = self._kernel, self.way.five_tuple
        charged_up, charged_down = self._meters()
        client, server, peer = five_tuple.client, five_tuple.server, route.peer[:2]
        if not self.way.address or charged_up is None or charged_down is None or not _plain(client, server, peer):
            return True
        if len(self._pairs) >= MAX_PAIRS:
            self.end_ended()
        if len(self._pairs) >= MAX_PAIRS:
            return True
        if not plane.flows.room():
            plane.crowded = True
            return False
        until, (up, down) = self._until(route), self._ways(route)
        back = plane.flows.add(  # the first one, since the other one tells it when it may begin
            Flow(peer, self.address, 0, server, client, route.channel), until, self._flags(down, up), down.interface,
            down.room, charged_down)
        there = plane.flows.add(
            Flow(client, server, route.channel, self.address, peer, 0), until, self._flags(up, down), up.interface, up.room,
            charged_up, back) if back is not None else None
        if back is not None and there is not None:
            self._pairs[route] = Pair(there, back)
        elif back is not None:
            plane.flows.remove(back)
        return True

    def end_ended(self) -> None:
        """Make room: what has ended needs to be known to nobody."""
        now = self._kernel.seconds()
        for route in [one for one in self._pairs if now >= one.until]:
            self._end(route)

    def _meters(self) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        """The numbers of those that are charged up and down."""
        numbers, allocation = self._kernel.meters.numbers, self._allocation
        return numbers(allocation.upward), numbers(allocation.downward)

    def _end(self, route: Route) -> None:
        """Take its flows from the kernel; what they counted is the route's."""
        pair = self._pairs.pop(route, None)
        if pair is not None:
            flows = self._kernel.flows
            self._collect(route, pair, flows.remove(pair.up), flows.remove(pair.down))

    def _lasts(self, route: Route) -> None:
        pair = self._pairs.get(route)
        if pair is not None:
            until = self._until(route)
            self._kernel.flows.lasts(pair.up, until)
            self._kernel.flows.lasts(pair.down, until)

    def _until(self, route: Route) -> int:
        """When the kernel is to stop, whether we are awake or not: with channel, permission or allocation."""
        return self._kernel.kernel_time(min(route.until, self._allocation.ends.get(self._family, math.inf)))

    def _ways(self, route: Route) -> tuple[Path, Path]:
        """To the peer, and to the client; neither if an address of ours, where the other's packets come in, is gone."""
        network, (_, client, server) = self._kernel.network, self.way.five_tuple
        up, down = network.path(self.address[0], route.host), network.path(server[0], client[0])
        return (up, down) if network.is_ours(self.address[0]) and network.is_ours(server[0]) else (NOWHERE, NOWHERE)

    def _flags(self, there: Path, back: Path) -> int:
        six = records.SIX if ":" in self.address[0] else 0
        return (six | (records.TO_SELF if there.local else 0) | (records.FROM_SELF if back.local else 0)
                | (records.CARRY if self._kernel.fields.on else 0))

    def _collect(self, route: Route, pair: Pair, up: tuple[int, int, int], down: tuple[int, int, int]) -> None:
        plane, seen_up, seen_down = self._kernel, pair.seen_up, pair.seen_down
        pair.seen_up, pair.seen_down = up, down
        route.sent_packets += up[0] - seen_up[0]
        route.sent_bytes += up[1] - seen_up[1]
        route.received_packets += down[0] - seen_down[0]
        route.received_bytes += down[1] - seen_down[1]
        plane.shortcut.value += up[0] - seen_up[0] + down[0] - seen_down[0]
        refused = (up[2] - seen_up[2]) % records.REFUSALS + (down[2] - seen_down[2]) % records.REFUSALS
        plane.rate.value += refused


def _plain(client: Address, server: Address, peer: Address) -> bool:
    """Whether all of it is of one family, and our own address is known."""
    six, hosts = ":" in client[0], (client[0], server[0], peer[0])
    return (":" in peer[0]) == six and server[0] not in ("0.0.0.0", "::") and not any(
        "%" in one or one.startswith("::ffff:") for one in hosts)
