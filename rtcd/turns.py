"""Turns of the reactor: an event of a socket goes straight to who waits for it, and something can be done when all events of
a turn have been.

For each event Twisted makes a context that holds the prefix of lines logged in the old way meanwhile: a sixth of what a
short message costs. Nothing here logs that way, and what Twisted itself says of a fault gets the prefix when it is said.
Only a listener, which logs its own faults and seldom has an event, keeps the context. The epoll reactor finds the functions
that do so by the name ``log`` in two modules, which is what is replaced; a reactor that is made otherwise stays as it is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from twisted.internet import posixbase
from twisted.internet.base import ReactorBase
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python import log


class _Straight:
    """``twisted.python.log`` as it is, but for two functions."""

    _of: Any = None
    """Whose event it is."""

    def __getattr__(self, name: str) -> Any:
        return getattr(log, name)

    def callWithLogger(self, logger: Any, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do the work; what it raises is logged, and ends nothing."""
        if isinstance(logger, Port):
            return log.callWithLogger(logger, work, *arguments)
        self._of = logger
        try:
            return work(*arguments)
        except KeyboardInterrupt:
            raise
        except BaseException:
            self.err()
        finally:
            self._of = None

    def err(self, *arguments: Any, **fields: Any) -> None:
        """Log a fault, with the prefix of the one whose event it is."""
        if self._of is not None:
            fields = {"system": _prefix(self._of), **fields}
        log.err(*arguments, **fields)


def _prefix(logger: Any) -> str:
    try:
        return str(logger.logPrefix())
    except Exception:  # the fault that is told is another
        return type(logger).__name__


def without_prefixes() -> bool:
    """Do so from now on; False if this Twisted has no such reactor."""
    try:
        epollreactor: Any = importlib.import_module("twisted.internet.epollreactor")
    except ImportError:
        return False
    if not _asks(epollreactor, "doPoll", "callWithLogger"):
        return False
    vars(epollreactor)["log"] = STRAIGHT
    if _asks(posixbase, "_doReadOrWrite", "err", epollreactor):
        vars(posixbase)["log"] = STRAIGHT
    return True


def _asks(module: Any, function: str, name: str, reactor: Any = None) -> bool:
    """Whether a function of the reactor finds this one of the log's under the name ``log`` in its module."""
    try:
        code = getattr((reactor or module).EPollReactor, function).__code__
        return name in code.co_names and module.log in (log, STRAIGHT)
    except AttributeError:
        return False


STRAIGHT = _Straight()


class End:
    """What is to be done at the end of the turn, before the reactor waits for what happens next."""

    _log = Logger()
    comes = False
    """Whether the reactor tells of it; else nobody does what is put off till then."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], object]] = []

    def call(self, work: Callable[[], object]) -> None:
        """Do this then; what it raises is logged."""
        self._calls.append(work)

    def come(self) -> None:
        """Do all of it, and what is put off meanwhile."""
        while self._calls:
            calls, self._calls = self._calls, []
            for work in calls:
                try:
                    work()
                except Exception:
                    self._log.failure("the end of a turn failed")

    def of(self, reactor: Any) -> bool:
        """Come with each turn of this reactor from now on; False if it is none whose turns are told from outside."""
        if any(getattr(type(reactor), one, None) is not vars(ReactorBase)[one] for one in ("run", "mainLoop")):
            return False
        iterate, come = reactor.doIteration, self.come

        def turn(delay: float | None) -> None:
            come()  # what timers and threads have asked for
            iterate(delay)
            come()

        reactor.doIteration = turn
        self.comes = True
        return True


END = End()
