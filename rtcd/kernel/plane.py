"""`KernelRelayPlane`: the Python relay plane, with a short cut through the kernel for bound channels.

Sockets, requests, indications and everything unusual are the Python plane's, from which this one inherits. Whenever that
has made or changed a route between two UDP ends, the kernel is given the two flows of it: their packets are rewritten
where they come in (relay.bpf.c) and never reach a socket. A packet that the program leaves alone takes the long way.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from rtcd.allocations.addresses import Ports
from rtcd.allocations.allocation import Allocation, FiveTuple
from rtcd.allocations.meter import Meter
from rtcd.kernel.flows import Flows
from rtcd.kernel.meters import Meters
from rtcd.kernel.network import Network
from rtcd.kernel.program import RelayProgram
from rtcd.kernel.records import CLOCK, S
from rtcd.kernel.relay import KernelRelay
from rtcd.metrics import Counter
from rtcd.plane.poller import Poller
from rtcd.plane.relay import PythonRelayPlane
from rtcd.plane.routes import Relay, Way

CHECK_S = 5.0
"""So often the clock is compared with the kernel's, which does not step; the moments at which flows end are written anew
if they have come apart by more than ..."""
MAX_DRIFT_S = 0.5

SETTLE_S = 0.1
"""Changes of the network come in crowds: so long we wait for more of them."""
PAUSE_S = 1.0
"""So long it rests, if there was more news while we followed the last."""
PATHS_PER_TURN = 64
"""Routes whose way is looked for in one turn of the reactor."""


class KernelRelayPlane(PythonRelayPlane):
    """An IRelayPlane. What it gives the kernel ends with `stop`, or with the process however that ends."""

    _log = Logger()

    def __init__(
        self, poller: Poller, clock: IReactorTime, ports: Callable[[], Ports], drops: Mapping[str, Counter], *,
        program: RelayProgram, network: Network, shortcut: Counter,
        monotonic: Callable[[], int] = lambda: time.clock_gettime_ns(CLOCK), **options: Any,
    ) -> None:
        """``program`` and ``network`` are ours from now on. ``shortcut``: counts the packets that took it. ``monotonic()``:
        the kernel's clock, in ns. The rest is `PythonRelayPlane`'s."""
        super().__init__(poller, clock, ports, drops, **options)
        self._clock = clock
        self.program = program
        self.network = network
        self.shortcut = shortcut
        self.monotonic = monotonic
        self.flows = Flows(program.slots, program.flows, monotonic)
        self.meters = Meters(program.meters, monotonic)
        self._drift = self._ahead()
        self._following: IDelayedCall | None = None
        """What is next of the work after a change of the network ..."""
        self._again = False
        """... and whether there was another one in between."""
        self._fault = ""
        """What was the matter the last time, so that it is told once."""
        self.crowded = False
        """Whether a route found no room among the flows."""
        poller.add(network.news.fileno(), self._told)
        self._checking = LoopingCall(self._check)
        self._checking.clock = clock
        self._checking.start(CHECK_S, now=False)

    def meter(self, rate: float) -> Meter:
        return self.meters.make(rate)

    def move(self, allocation: Allocation, five_tuple: FiveTuple) -> None:
        moved = self._ways[allocation].five_tuple != five_tuple
        super().move(allocation, five_tuple)
        for relay in self._relays[allocation].values():
            if isinstance(relay, KernelRelay) and moved:
                relay.rebuild()

    def stop(self) -> None:
        if self._checking.running:
            self._checking.stop()
        if self._following is not None and self._following.active():
            self._following.cancel()
        self._log.info("the kernel has relayed {packets} packets by itself", packets=self._counted())
        self.program.run_at(())
        self._poller.remove(self.network.news.fileno())
        self.network.close()
        super().stop()
        self.program.close()

    def kernel_time(self, moment: float) -> int:
        """A moment of our clock as ns of `rtcd.kernel.records.CLOCK`."""
        return max(0, self.monotonic() + round((moment - self.seconds()) * S))

    def clock_was_set(self) -> None:
        """What ends at a moment of our clock, ends at another one of the kernel's."""
        for relay in self._all():
            relay.last()

    def follow(self) -> None:
        """The network has changed: run where there are addresses now, and send by the interfaces that lead there now."""
        self._following = None
        self._again = False
        fault = ""
        try:
            self.network.look()
        except (OSError, struct.error) as error:
            fault = f"the network cannot be looked at, so all is relayed by sockets for now: {error}"
            self._again = True
        failed = self.program.run_at(self.network.usable)
        if failed is not None:
            fault = f"at an interface nothing can be relayed in the kernel: {failed.strerror}"
        if fault and fault != self._fault:
            self._log.warn("{fault}", fault=fault)
        self._fault = fault
        self._lead(list(self._all()))

    def _relay(self, sock: socket.socket, way: Way, allocation: Allocation) -> Relay:
        return KernelRelay(self, sock, way, allocation)

    def _counted(self) -> int:
        """Packets that took the short cut so far."""
        for allocation in self._relays:
            self.traffic(allocation)
        return self.shortcut.value

    def _ahead(self) -> float:
        return self.seconds() - self.monotonic() / S

    def _check(self) -> None:
        try:
            ahead = self._ahead()
            if abs(ahead - self._drift) > MAX_DRIFT_S:
                self._drift = ahead
                self.clock_was_set()
            for relay in self._all():
                relay.look_at_the_end()
            if self.crowded:
                self.crowded = False
                for relay in self._all():
                    relay.end_ended()
                all(relay.begin_all() for relay in self._all())
        except Exception:
            self._log.failure("the kernel's flows could not be checked")

    def _told(self, now: float, most: int) -> bool:
        """A `Read`."""
        if self.network.changed():
            if self._following is None:
                self._following = self._clock.callLater(SETTLE_S, self.follow)
            else:
                self._again = True
        return False

    def _all(self) -> Iterator[KernelRelay]:
        for relays in list(self._relays.values()):
            for relay in relays.values():
                if isinstance(relay, KernelRelay):
                    yield relay

    def _lead(self, waiting: list[KernelRelay]) -> None:
        """Look for the ways of these relays' routes, a part in each turn of the reactor. What is new meanwhile has to wait,
        so that somebody's turn comes always, however often the network changes."""
        self._following = None
        done = 0
        try:
            while waiting and done < PATHS_PER_TURN:
                done += waiting.pop().lead()
        except Exception:
            self._log.failure("the way of a relay's packets could not be found")
        if waiting:
            self._following = self._clock.callLater(0, self._lead, waiting)
        elif self._again:
            self._following = self._clock.callLater(PAUSE_S, self.follow)
