"""`Turns`: a reactor's turns, in which an event of a socket goes straight to who waits for it, and which end with what was
put off till then.

For each event Twisted makes a context that holds the prefix of lines logged in the old way meanwhile, and looks twice
whether the socket is still there: a sixth of what a short message costs. Nothing here logs that way, and what is said of a
fault gets the prefix when it is said. All but plain reading is left to Twisted, and so are listeners, which log their own
faults and seldom have an event. This leans on attributes of the epoll reactor that Twisted does not promise; another
reactor, and one that is made otherwise, stays as it is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from twisted.internet.base import ReactorBase
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python import log

_LEANS_ON = frozenset(("_poller", "poll", "_selectables", "callWithLogger", "_doReadOrWrite"))
"""Names that the reactor's own turn is made of."""


class Turns:
    """Of one reactor, when it has been `found`."""

    _log = Logger()
    told = False
    """Whether there is one; else nobody does what is put off."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], object]] = []

    def at_end(self, work: Callable[[], object]) -> None:
        """Do this at the end of the turn, before the reactor waits for what happens next. What it raises is logged."""
        self._calls.append(work)

    def soon(self, clock: Any, work: Callable[[], object]) -> None:
        """Do this at the end of the turn, or, if nobody tells when that is, in the next one."""
        if self.told:
            self.at_end(work)
        else:
            clock.callLater(0, work)

    def end(self) -> None:
        """Do all that was put off, and what is put off meanwhile."""
        while self._calls:
            calls, self._calls = self._calls, []
            for work in calls:
                try:
                    work()
                except Exception:
                    self._log.failure("the end of a turn failed")

    def found(self, reactor: Any) -> bool:
        """From now on make this reactor's turns; False if it is no reactor of the kind."""
        if not _known(reactor):
            return False
        poll, selectables, by_twisted, disconnect = (
            reactor._poller.poll, reactor._selectables, reactor._doReadOrWrite, reactor._disconnectSelectable)
        readable, timeout, end = reactor._POLL_IN, reactor.timeout, self.end

        def turn(delay: float | None) -> None:
            if self._calls:  # put off by timers and threads
                end()
                soonest = timeout()
                if soonest is not None and (delay is None or soonest < delay):  # a timer was set meanwhile
                    delay = soonest
            for fd, event in poll(-1 if delay is None else delay, len(selectables)):
                selectable = selectables.get(fd)
                if selectable is None:  # what came before has ended it
                    continue
                if event != readable or isinstance(selectable, Port):
                    log.callWithLogger(selectable, by_twisted, selectable, fd, event)
                    continue
                try:
                    why = selectable.doRead()
                except BaseException as fault:  # as Twisted does
                    why = fault
                    log.err(system=_prefix(selectable))
                if why:
                    log.callWithLogger(selectable, disconnect, selectable, why, True)
            end()

        reactor.doIteration = turn
        self.told = True
        return True


def _prefix(selectable: Any) -> str:
    try:
        return str(selectable.logPrefix())
    except Exception:  # the fault that is told is another
        return type(selectable).__name__


def _known(reactor: Any) -> bool:
    """Whether it is the epoll reactor, and made as we expect."""
    try:
        kind: Any = importlib.import_module("twisted.internet.epollreactor").EPollReactor
        return (type(reactor) is kind and kind.doIteration is kind.doPoll
                and all(getattr(kind, one) is getattr(ReactorBase, one) for one in ("run", "mainLoop"))
                and _LEANS_ON.issubset(kind.doPoll.__code__.co_names)
                and all(hasattr(reactor, one) for one in ("_disconnectSelectable", "_POLL_IN")))
    except (ImportError, AttributeError):
        return False


TURNS = Turns()
