"""Coroutines that need not wait make no Deferred, and are otherwise what they always were."""

from __future__ import annotations

import gc
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rtcd import promptly as module
from rtcd.promptly import promptly


class PromptlyTests(SynchronousTestCase):
    """Everything that a coroutine may do."""

    def setUp(self) -> None:
        self.results: list[Any] = []
        self.faults: list[str] = []

    def run_it(self, work: Any, done: Any = None) -> None:
        """Run one."""
        promptly(work, done or self.results.append, lambda failure: self.faults.append(failure.getErrorMessage()))

    def test_without_waiting_it_is_done_at_once(self) -> None:
        """Also when it awaits what is there already; no Deferred is made."""
        async def work() -> int:
            return await there

        there: Deferred[int] = Deferred()
        there.callback(5)
        with mock.patch.object(module, "Deferred", side_effect=AssertionError("a Deferred was made")):
            self.run_it(work())
        self.assertEqual((self.results, self.faults), ([5], []))

    def test_with_waiting_it_is_done_when_it_has(self) -> None:
        """Twice, for one thing after the other; nothing of it is done twice."""
        async def work() -> int:
            began.append(1)
            return await first + await second

        began: list[int] = []
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()
        self.run_it(work())
        self.assertEqual((self.results, began), ([], [1]))
        first.callback(2)
        self.assertEqual(self.results, [])
        second.callback(3)
        self.assertEqual((self.results, self.faults, began), ([5], [], [1]))

    def test_what_is_raised_is_told(self) -> None:
        """At once, after waiting, by what is waited for, and by what is done with the result."""
        async def raising() -> None:
            raise ValueError("at once")

        async def later() -> None:
            await waiting
            raise ValueError("later")

        async def failing() -> int:
            return await failed

        async def fine() -> int:
            return 1

        waiting: Deferred[None] = Deferred()
        failed: Deferred[int] = Deferred()
        self.run_it(raising())
        self.run_it(later())
        self.run_it(failing())
        waiting.callback(None)
        failed.errback(Failure(ValueError("by another")))
        self.run_it(fine(), mock.Mock(side_effect=ValueError("afterwards")))
        self.assertEqual((self.results, self.faults), ([], ["at once", "later", "by another", "afterwards"]))

    def test_one_who_is_told_may_raise(self) -> None:
        """That is for the log, as with every errback, and no trouble for who began it."""
        async def raising() -> None:
            raise ValueError("work")

        promptly(raising(), self.results.append, mock.Mock(side_effect=KeyError("told")))
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
