"""One epoll of ours inside the reactor's: thousands of relay sockets cost the reactor one reader.

Twisted's own dispatch costs several microseconds a socket and event, which is as much as relaying a packet. Here a
whole batch of sockets is served for one turn of the reactor, each for a bounded number of packets.
"""

from __future__ import annotations

import select
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
"""Packets read in one round, shared among the ready sockets."""

Read = Callable[[float, int], None]
"""``read(now, most)`` reads at most so many packets and returns early when there are none left."""


@implementer(IReadDescriptor)
class Poller:
    """Calls the `Read` of each registered descriptor that has something to read."""

    _log = Logger()

    def __init__(self, reactor: IReactorFDSet, clock: IReactorTime) -> None:
        """In Twisted both are the one reactor."""
        self._reactor = reactor
        self._clock = clock
        self._epoll = select.epoll()
        self._reads: dict[int, Read] = {}

    def add(self, descriptor: int, read: Read) -> None:
        """Serve this descriptor from now on."""
        self._epoll.register(descriptor, select.EPOLLIN)
        self._reads[descriptor] = read

    def remove(self, descriptor: int) -> None:
        """Serve it no longer; the caller closes it next, by which the epoll forgets it."""
        self._reads.pop(descriptor, None)

    def start(self) -> None:
        """Let the reactor wake us."""
        self._reactor.addReader(self)

    def stop(self) -> None:
        """Let go of the reactor and the epoll."""
        self._reactor.removeReader(self)
        self._reads.clear()
        self._epoll.close()

    def fileno(self) -> int:
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        return "turn"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends; the service closes the sockets."""

    def doRead(self) -> None:
        reads = self._reads
        for _ in range(MAX_ROUNDS):
            ready = self._epoll.poll(0, MAX_READY)
            if not ready:
                return
            now = self._clock.seconds()
            most = READS_PER_ROUND // len(ready)
            for descriptor, _event in ready:
                read = reads.get(descriptor)
                if read is None:
                    continue
                try:
                    read(now, most)
                except Exception:
                    self._log.failure("a datagram could not be handled")
            if self._epoll.closed:
                return
