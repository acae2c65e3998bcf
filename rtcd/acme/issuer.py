"""`Issuer`: the service that has a certificate of an ACME authority at all times, and asks for the next one in time.

When that is, and how long to wait after a failure, is rtcd.acme.schedule's; one order is rtcd.acme.order's, in a thread of
its own. What came of it is in the state directory, from where somebody else takes it into service.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtcd.acme.attempt import Attempt, Runner, in_thread
from rtcd.acme.challenges import Challenges
from rtcd.acme.kept import Held, Kept, held_of
from rtcd.acme.request import AcmeError, Issued
from rtcd.acme.schedule import back_off, is_for
from rtcd.acme.settings import AcmeSettings
from rtcd.config import ConfigError
from rtcd.metrics import Metrics
from rtcd.state import StateDirectory

NOTHING_WANTED_S = 900.0
"""When there was no name to ask for, the next look is after so long."""
LOOK_S = 86400.0
"""At least so often it is looked whether the names are still the same."""
WANTED_S = 120.0
"""To find out the names."""

class Issuer(Service):
    """Looks, asks, waits. At any time there is one delayed call or one look under way."""

    name = "acme"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: AcmeSettings,
        state: StateDirectory,
        challenges: Challenges,
        metrics: Metrics,
        *,
        wanted: Callable[[], Awaitable[tuple[str, ...]]],
        kinds: Callable[[], tuple[str, ...]],
        taken: Callable[[], bool],
        run: Runner = in_thread,
    ) -> None:
        """``wanted``: for which names to have a certificate, asked at each look; none: not now. ``kinds``: which challenges
        can be answered here, the one to try first in front. ``taken()``: new files are there; False if they are refused,
        and then those before are put back. ``run``: where an order blocks."""
        self._reactor = reactor
        self._settings = settings
        self._kept = Kept(state)
        self._wanted = wanted
        self._kinds = kinds
        self._taken = taken
        self._attempt = Attempt(reactor, self._kept, challenges, run)
        self._timer: IDelayedCall | None = None
        self._look: Deferred[float] | None = None
        self._again = False
        """Whether somebody has asked for another look while one was under way."""
        self._held: Held | None = None
        self._failures = 0
        self._failed_for: tuple[str, ...] = ()
        self._pause = self._pause_ends = 0.0
        metrics.gauge("acme", "renewal_days_left", "Days until the certificate is renewed.", self.days_until_renewal)
        self._orders = {result: metrics.counter("acme", "orders", "Certificates asked for.", result=result)
                        for result in ("issued", "failed")}

    def days_until_renewal(self) -> float:
        """Days until the certificate is renewed; 0 if there is none, or if it is due."""
        return self._held.lifetime.until_renewal(self._reactor.seconds()) / 86400 if self._held is not None else 0.0

    def startService(self) -> None:
        """Look with the first turn of the reactor."""
        super().startService()
        self._wait(0.0)

    def stopService(self) -> None:
        """End what is under way, at once: a thread that waits for an answer is told to stop and left to itself."""
        super().stopService()
        self._end()

    def reconfigure(self, settings: AcmeSettings) -> None:
        """Take over changed settings; an attempt with the old ones ends, and there is a look at once."""
        old, self._settings = self._settings, settings
        if self.running and replace(old, webroot=None) != replace(settings, webroot=None):
            self._end()
            self._failures, self._failed_for = 0, ()
            self._wait(0.0)

    def poke(self) -> None:
        """Look at once, since the names may be others. An attempt that is under way is not disturbed, and the pause after
        a failure is kept where the names are the same."""
        self._again = True
        if self._timer is not None:
            self._wait(0.0)

    def _wait(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._reactor.callLater(delay, self._begin)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        look, self._look = self._look, None
        if look is not None:
            look.cancel()

    def _begin(self) -> None:
        self._timer = None
        self._again = False
        self._look = look = Deferred.fromCoroutine(self._next())
        look.addErrback(self._broken, look)
        look.addCallback(self._then, look)

    def _broken(self, failure: Failure, look: Deferred[float]) -> float:
        if self._look is not look and failure.check(CancelledError):
            return 0.0  # it was ended
        self._log.failure("the next certificate cannot be seen to", failure=failure)
        return self._count_failure(None)

    def _then(self, delay: float, look: Deferred[float]) -> None:
        if self._look is look:
            self._look = None
            self._wait(0.0 if self._again else delay)

    async def _next(self) -> float:
        """One look, and what has to be done; returns after how long the next is due."""
        names = await Deferred.fromCoroutine(self._names()).addTimeout(WANTED_S, self._reactor)
        now: float = self._reactor.seconds()
        self._held = held = self._kept.certificate(self._settings.directory)
        if not names:
            self._log.debug("there is no name to have a certificate for now")
            return NOTHING_WANTED_S
        if held is not None and is_for(held.names, names) and not held.lifetime.is_due(now):
            return min(LOOK_S, held.lifetime.until_renewal(now))
        pause = min(self._pause, self._pause_ends - now)
        if names == self._failed_for and pause > 0:
            return pause
        try:
            self._take(await self._attempt.certificate(self._settings, names, self._kinds()))
        except (AcmeError, ConfigError) as error:
            return self._failed(names, error)
        self._orders["issued"].value += 1
        return self._issued()

    async def _names(self) -> tuple[str, ...]:
        return await self._wanted()

    def _take(self, issued: Issued) -> None:
        """Into the files, and into service. Raises `AcmeError`, and then the old ones are there again."""
        back = self._kept.put_certificate(issued)
        try:
            held = held_of(issued.chain_pem, issued.key_pem)
            if not self._taken():
                raise ValueError("it does not pass the checks of [tls]")
        except ValueError as error:
            back()
            raise AcmeError(f"the certificate that came is refused: {error}") from None
        self._held = held

    def _issued(self) -> float:
        held = self._held
        assert held is not None  # just taken
        self._failures, self._failed_for = 0, ()
        now = self._reactor.seconds()
        wait = max(held.lifetime.until_renewal(now), back_off(1, now, held.lifetime))
        self._log.info("certificate for {names} from {directory}, renewed in {days} days",
                       names=", ".join(held.names), directory=self._settings.directory, days=round(wait / 86400, 1))
        return min(LOOK_S, wait)

    def _failed(self, names: tuple[str, ...], error: AcmeError | ConfigError) -> float:
        wait = self._count_failure(error.retry_after if isinstance(error, AcmeError) else None)
        self._failed_for, self._pause, self._pause_ends = names, wait, self._reactor.seconds() + wait
        self._log.warn(
            "no certificate for {names}: {reason}; next try in {minutes} minutes; the certificate in service stays",
            names=", ".join(names), reason=str(error), minutes=max(1, round(wait / 60)))
        return wait

    def _count_failure(self, retry_after: float | None) -> float:
        self._failures += 1
        self._orders["failed"].value += 1
        lifetime = self._held.lifetime if self._held is not None else None
        jitter = secrets.randbelow(1001) / 1000
        return back_off(self._failures, self._reactor.seconds(), lifetime, retry_after=retry_after, jitter=jitter)
