"""`promptly`: run a coroutine as far as it goes now; a Deferred is made only if it has to wait.

Most of what is asked of rooms in memory never waits, and a Deferred for nothing costs more than the work itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def promptly(
    work: Coroutine[Deferred[Any], Any, T], done: Callable[[T], object], failed: Callable[[Failure], object]
) -> None:
    """``done`` is called with the result, or ``failed`` with what was raised by ``work`` or by ``done``: now, or when
    it has waited. As with a Deferred's callbacks, what ``failed`` raises is for the log, and stops nobody."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
    except Exception:
        _told(failed)
        return
    else:
        # It waits for a Deferred that has not fired, and says so again to whoever asks it next.
        Deferred.fromCoroutine(work).addCallback(done).addErrback(failed)
        return
    try:
        done(result)
    except Exception:
        _told(failed)


def _told(failed: Callable[[Failure], object]) -> None:
    """As an errback, with all that goes with it."""
    waiting: Deferred[Any] = Deferred()
    waiting.addErrback(failed)
    waiting.errback(Failure())
