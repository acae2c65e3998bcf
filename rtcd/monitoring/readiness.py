"""`Readiness`: whether the daemon can serve a call now, and what keeps it from it.

However many ask, each check is made once in a few seconds: who asks meanwhile gets the same answer, or waits for the one
that is on its way. What the checks are is rtcd.monitoring.checks' business.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

KEPT_S = 3.0
"""A report is good for so long."""
TIMEOUT_S = 2.0
"""A check that has said nothing by then has failed."""

Check = Callable[[], Awaitable[str]]
"""Tells what is wrong, in a few words without secrets; an empty text if nothing is."""


@dataclass(frozen=True, slots=True)
class Report:
    """What each check has told: its name, and what is wrong."""

    found: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.found.values())

    def without(self, names: Collection[str]) -> Report:
        """The same without these checks."""
        return Report({name: text for name, text in self.found.items() if name not in names})

    def shown(self, *, reasons: bool) -> bytes:
        """As JSON; ``reasons``: with what is wrong, besides with which."""
        facts: dict[str, Any] = {"ready": self.ready, "checks": {name: not text for name, text in self.found.items()}}
        if reasons:
            facts["reasons"] = {name: text for name, text in self.found.items() if text}
        return json.dumps(facts).encode() + b"\n"


class Readiness:
    """Makes reports of these checks, by name."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, checks: Mapping[str, Check]) -> None:
        self._clock = clock
        self._checks = checks
        self._waiting: list[Deferred[Report]] = []
        self._begun_at: float | None = None
        self.last: Report | None = None
        """The latest report, however old; None before there is one."""

    def report(self) -> Deferred[Report]:
        """The report that is good now; never fails."""
        result: Deferred[Report] = Deferred()
        now = self._clock.seconds()
        if not self._waiting and self.last is not None and self._begun_at is not None and 0 <= now - self._begun_at < KEPT_S:
            result.callback(self.last)
            return result
        self._waiting.append(result)
        if len(self._waiting) == 1:
            self._begun_at = now
            checks = [self._run(name, check) for name, check in self._checks.items()]
            gatherResults(checks).addCallback(self._made)
        return result

    def _run(self, name: str, check: Check) -> Deferred[str]:
        async def run() -> str:
            return await check()

        def failed(failure: Failure) -> str:
            if failure.check(TimeoutError):
                return f"no answer within {TIMEOUT_S:g} s"
            self._log.failure("the check {name} failed", failure, name=name)
            return "the check itself failed; the log says why"

        return Deferred.fromCoroutine(run()).addTimeout(TIMEOUT_S, self._clock).addErrback(failed)

    def _made(self, texts: list[str]) -> None:
        self.last = Report(dict(zip(self._checks, texts, strict=True)))
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(self.last)
