"""One epoll of ours inside the reactor's: thousands of relay sockets cost the reactor one reader.

Twisted's own dispatch costs several microseconds a socket and event, which is as much as relaying a packet. Here a
whole batch of sockets is served for one turn of the reactor, each for a bounded number of packets.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable

from twisted.internet.interfaces import IReactorFDSet, IReactorTime, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

MAX_READY = 64
"""Sockets served in one round."""
MAX_ROUNDS = 16
"""Rounds in one turn of the reactor, so that timers and streams get theirs."""
READS_PER_ROUND = 64
"""Packets read in one round, shared among the ready sockets that have no share of their own."""
MAX_TURN_S = 0.005
"""One turn of the reactor lasts this long and the round that is being served, whatever its packets cost."""

READABLE = select.EPOLLIN
"""What epoll says of a descriptor at which all is well."""

Read = Callable[[float, int], bool]
"""``read(now, most)`` reads at most so many packets, and tells whether there may be more: False when it found none."""


@implementer(IReadDescriptor)
class Poller:
    """Calls the `Read` of each registered descriptor that has something to read."""

    _log = Logger()

    def __init__(
        self, reactor: IReactorFDSet, clock: IReactorTime, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """In Twisted the first two are the one reactor. ``monotonic()``: seconds that never step, for `MAX_TURN_S`."""
        self._reactor = reactor
        self._clock = clock
        self._epoll = select.epoll()
        self._monotonic = monotonic
        self._until = 0.0
        self._reads: dict[int, Read] = {}
        self._own: dict[int, int] = {}
        self._faults: dict[int, Callable[[], None]] = {}
        self.after_round: Callable[[], None] = _nothing
        """Called when everybody ready has been served once: what the `Read`s have put off till then."""

    def add(self, descriptor: int, read: Read, share: int = 0, fault: Callable[[], None] | None = None) -> None:
        """Serve this descriptor from now on. Raises OSError, and then does not.

        ``share``: packets of its own in every round, however many others are busy; 0 for what they leave one another.
        ``fault``: called when there is an error at the descriptor; it makes sure that it is gone, else we are woken anew.
        """
        self._epoll.register(descriptor, READABLE)
        self._reads[descriptor] = read
        if fault is not None:
            self._faults[descriptor] = fault
        if share:
            self._own[descriptor] = share

    def change(self, descriptor: int, read: Read) -> None:
        """Serve this descriptor, which was added before, by another `Read`."""
        self._reads[descriptor] = read

    def remove(self, descriptor: int) -> None:
        """Serve it no longer; the caller closes it next, by which the epoll forgets it."""
        self._reads.pop(descriptor, None)
        self._own.pop(descriptor, None)
        self._faults.pop(descriptor, None)

    def start(self) -> None:
        """Let the reactor wake us."""
        self._reactor.addReader(self)

    def stop(self) -> None:
        """Let go of the reactor and the epoll."""
        self._reactor.removeReader(self)
        self._reads.clear()
        self._own.clear()
        self._faults.clear()
        self._epoll.close()

    def fileno(self) -> int:
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        return "turn"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends; the service closes the sockets."""

    def over(self) -> bool:
        """Whether this turn of the reactor has lasted long enough; a `Read` whose packets are dear asks in between."""
        return self._monotonic() >= self._until

    def doRead(self) -> None:
        reads, own = self._reads, self._own
        self._until = self._monotonic() + MAX_TURN_S
        for _ in range(MAX_ROUNDS):
            ready = [descriptor for descriptor, event in self._epoll.poll(0, MAX_READY)
                     if event == READABLE or self._readable(descriptor, event)]
            if not ready:
                return
            more = len(ready) >= MAX_READY
            if more:
                ready += own.keys() - ready
            now = self._clock.seconds()
            sharing = len(ready) - len(own.keys() & ready)
            most = READS_PER_ROUND // sharing if sharing else 0
            for descriptor in ready:
                read = reads.get(descriptor)
                if read is None:
                    continue
                try:
                    more = read(now, own.get(descriptor, most)) or more
                except Exception:
                    more = True
                    self._log.failure("a datagram could not be handled")
            try:
                self.after_round()
            except Exception:
                self._log.failure("what was put off could not be done")
            if not more or self._epoll.closed or self.over():
                return

    def _readable(self, descriptor: int, event: int) -> bool:
        """See to the error at a descriptor; whether there is something to read as well."""
        fault = self._faults.get(descriptor)
        if fault is None:
            return True
        try:
            fault()
        except Exception:
            self._log.failure("an error at a socket could not be handled")
        return bool(event & READABLE)


def _nothing() -> None:
    """Nobody puts anything off."""
