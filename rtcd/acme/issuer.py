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
from rtcd.acme.kept import PAUSE, Held, Kept, held_of
from rtcd.acme.request import AcmeError, Issued
from rtcd.acme.schedule import FIRST_S, SOONEST_S, Pause, back_off, is_for
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
        can be answered here, the one to try first in front. ``taken()``: there is a new file; False if it is refused, and
        then the one before is put back. ``run``: where an order blocks."""
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
        self._made: Issued | None = None
        """A certificate that came and could not be written yet."""
        self._names: tuple[str, ...] = ()
        self._circumstances = ""
        """The digest of what an order may fail by, as the latest look has found it."""
        self._pause: Pause | None = None
        metrics.gauge("acme", "renewal_days_left", "Days until the certificate is renewed.", self.days_until_renewal)
        self._orders = {result: metrics.counter("acme", "orders", "Certificates asked for.", result=result)
                        for result in ("issued", "failed")}

    def days_until_renewal(self) -> float:
        """Days until the certificate is renewed; 0 if there is none, or if it is due."""
        return self._held.lifetime.until_renewal(self._reactor.seconds()) / 86400 if self._held is not None else 0.0

    def startService(self) -> None:
        """Look with the first turn of the reactor. A pause that is not over goes on."""
        super().startService()
        try:
            self._pause = self._kept.pause()
        except ConfigError as error:
            self._log.warn("{reason}", reason=str(error))
        pause = self._pause
        left = pause.left(self._reactor.seconds()) if pause is not None else 0.0
        if pause is not None and left > 0:
            self._log.info(
                "the last try for a certificate for {names} has failed: the next is in {minutes} min, or at once if [acme] "
                "says something else, or if {file} in the state directory is gone at a start",
                names=", ".join(pause.names), minutes=_minutes(left), file=PAUSE)
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
        self._orders["failed"].value += 1
        return self._count_failure(None).length_s

    def _then(self, delay: float, look: Deferred[float]) -> None:
        if self._look is look:
            self._look = None
            self._wait(0.0 if self._again else delay)

    async def _next(self) -> float:
        """One look, and what has to be done; returns after how long the next is due."""
        self._names = names = await Deferred.fromCoroutine(self._ask_names()).addTimeout(WANTED_S, self._reactor)
        if not names:
            self._log.debug("there is no name to have a certificate for now")
            return NOTHING_WANTED_S
        self._circumstances = self._settings.digest(self._kinds())
        now: float = self._reactor.seconds()
        try:
            self._held = held = self._kept.certificate(self._settings.directory)
            if held is not None and self._is_good(held):
                self._put_pause(None)
                return min(LOOK_S, held.lifetime.until_renewal(now))
            before = self._before()
            if before is not None and set(before.names) == set(names) and before.left(now) > 0:
                return before.left(now)
            self._take(await self._issue(before.proofs if before is not None else 0))
        except (AcmeError, ConfigError) as error:
            return self._failed(error)
        self._orders["issued"].value += 1
        return self._issued()

    async def _ask_names(self) -> tuple[str, ...]:
        return await self._wanted()

    async def _issue(self, failed_proofs: int) -> Issued:
        """A new certificate, or the one that there was no room for."""
        made, self._made = self._made, None
        if made is not None and made.directory == self._settings.directory and self._is_good(held_of(made.pem)):
            return made
        self._kept.make_sure_of_room()
        return await self._attempt.certificate(self._settings, self._names, self._kinds(), failed_proofs)

    def _is_good(self, held: Held) -> bool:
        now = self._reactor.seconds()
        return is_for(held.names, self._names) and held.is_valid(now) and not held.lifetime.is_due(now)

    def _take(self, issued: Issued) -> None:
        """Into the file, and into service. Raises `AcmeError`, and then the old one is there again; or `ConfigError`, and
        then the new one is kept for the next look."""
        try:
            held = held_of(issued.pem)
            if not held.is_valid(self._reactor.seconds()):
                raise ValueError("it is not valid now; check the clock")
        except ValueError as error:
            raise AcmeError(f"the certificate that came is refused: {error}") from None
        self._made = issued
        back = self._kept.put_certificate(issued)
        self._made = None
        if not self._taken():
            back()
            raise AcmeError("the certificate that came is refused: it does not pass the checks of [tls]")
        self._held = held

    def _issued(self) -> float:
        held = self._held
        assert held is not None  # just taken
        now = self._reactor.seconds()
        wait = held.lifetime.until_renewal(now)
        if wait < SOONEST_S:
            wait = self._count_failure(None).length_s
        else:
            self._put_pause(None)
            wait = max(wait, back_off(1, now, held.lifetime))
        self._log.info("certificate for {names} from {directory}, renewed in {days} days",
                       names=", ".join(held.names), directory=self._settings.directory, days=round(wait / 86400, 1))
        return min(LOOK_S, wait)

    def _failed(self, error: AcmeError | ConfigError) -> float:
        self._orders["failed"].value += 1
        wait = self._count_failure(error).length_s
        self._log.warn(
            "no certificate for {names}: {reason}; next try in {minutes} min; the certificate in service stays",
            names=", ".join(self._names), reason=str(error), minutes=_minutes(wait))
        return wait

    def _count_failure(self, error: AcmeError | ConfigError | None) -> Pause:
        """Make the pause after a failure. Proofs that failed count one by one, since an authority does so."""
        retry_after, proofs = (error.retry_after, error.failed_proofs) if isinstance(error, AcmeError) else (None, 0)
        now, before = self._reactor.seconds(), self._before()
        failures = (before.failures if before is not None else 0) + max(1, proofs)
        lifetime = self._held.lifetime if self._held is not None else None
        wait = back_off(failures, now, lifetime, retry_after=retry_after, jitter=secrets.randbelow(1001) / 1000)
        if self._made is not None:  # nobody is asked, it is only to be written
            wait = min(wait, FIRST_S)
        if before is not None and set(before.names) == set(self._names):  # it is not over if a fault of ours came in between
            wait = max(wait, before.left(now))
        proofs += before.proofs if before is not None else 0
        pause = Pause(self._names, self._circumstances, failures, proofs, wait, now + wait)
        if self._names:
            self._put_pause(pause)
        return pause

    def _before(self) -> Pause | None:
        """The pause so far, if it tells of some of the same names, and of the same circumstances."""
        pause = self._pause
        if pause is None or pause.settings != self._circumstances or not set(pause.names) & set(self._names):
            return None
        return pause

    def _put_pause(self, pause: Pause | None) -> None:
        if pause is not self._pause:
            self._pause = pause
            try:
                self._kept.put_pause(pause)
            except (ConfigError, OSError) as error:  # told of already, as all that cannot be written there
                self._log.debug("the pause is not kept: {reason}", reason=str(error))


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))
