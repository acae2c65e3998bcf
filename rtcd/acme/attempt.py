"""`Attempt`: one try for a certificate, with one kind of challenge after the other, in a thread.

The thread (rtcd.acme.order) blocks; what it is to be found by is put up on the reactor's. When to try is rtcd.acme.issuer's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TooSlow
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtcd.acme.challenges import MAX_CHALLENGES, Challenges
from rtcd.acme.kept import Kept
from rtcd.acme.order import obtain
from rtcd.acme.request import Account, AcmeError, Issued, Proof, Request
from rtcd.acme.settings import AcmeSettings
from rtcd.config import ConfigError

ATTEMPT_S = 600.0
"""For one order."""
PROVE_S = 30.0
"""For the reactor to put proofs up."""

Work = Callable[[], Issued]
Runner = Callable[[Any, Work], Deferred[Issued]]
"""Runs blocking work elsewhere, and fires on the reactor's thread with what came of it."""


def in_thread(reactor: Any, work: Work) -> Deferred[Issued]:
    """Run it in a thread of its own, which does not keep the process from ending as one of the reactor's pool would.
    When the Deferred is cancelled, what comes of the work later is dropped."""
    done: Deferred[Issued] = Deferred()

    def run() -> None:
        result: Issued | Failure
        try:
            result = work()
        except BaseException:
            result = Failure()
        reactor.callFromThread(done.callback, result)

    threading.Thread(target=run, name="acme", daemon=True).start()
    return done


class Attempt:
    """Makes orders. Whatever comes of one, and when it is cancelled, nothing stays up in the table of challenges."""

    _log = Logger()

    def __init__(self, reactor: Any, kept: Kept, challenges: Challenges, run: Runner = in_thread) -> None:
        self._reactor = reactor
        self._kept = kept
        self._challenges = challenges
        self._run = run
        self._worked = ""
        """The kind of challenge that did last time."""

    async def certificate(
        self, settings: AcmeSettings, names: tuple[str, ...], here: Sequence[str], failed_proofs: int = 0
    ) -> Issued:
        """Order with one kind of challenge after the other, of those that can be answered ``here``, and first with the one
        that did last time. After ``failed_proofs`` in a row they take turns, one at each attempt: an authority allows few in
        an hour. Raises `AcmeError`, and `ConfigError` where the state directory cannot be written."""
        wanted = settings.challenge
        kinds = sorted((kind for kind in here if wanted in ("auto", kind)), key=lambda kind: kind != self._worked)
        if not kinds:
            raise AcmeError("[acme] challenge: nothing here answers "
                            f"{'any challenge' if wanted == 'auto' else wanted}; open the listener that it comes to")
        self._log.info("asking {directory} for a certificate for {names}",
                       directory=settings.directory, names=", ".join(names))
        errors: list[AcmeError] = []
        for kind in kinds if failed_proofs == 0 else [kinds[failed_proofs % len(kinds)]]:
            try:
                issued = await self._order(settings, names, kind)
            except AcmeError as error:
                if error.account is not None:
                    self._keep(settings, error.account)
                errors.append(error)
                if not error.in_validation:
                    break
            else:
                self._worked = kind
                self._keep(settings, issued.account)
                return issued
        asked = [one.retry_after for one in errors if one.retry_after is not None]
        failed = AcmeError("; then ".join(map(str, errors)), max(asked, default=None))
        failed.failed_proofs = sum(one.in_validation for one in errors)
        raise failed

    async def _order(self, settings: AcmeSettings, names: tuple[str, ...], kind: str) -> Issued:
        stop = threading.Event()
        request = Request(
            settings.directory, names, kind, trust=settings.trust, account_key_pem=self._kept.account_key(),
            account_json=self._kept.account(), email=settings.email, eab_kid=settings.eab_kid, eab_key=settings.eab_key,
            profile=settings.profile)
        try:
            work = self._run(self._reactor, partial(obtain, request, partial(self._prove, stop), stop))
            return await work.addTimeout(ATTEMPT_S, self._reactor)
        except TooSlow:
            raise AcmeError(f"{settings.directory} came to no end within {ATTEMPT_S / 60:.0f} minutes") from None
        finally:
            stop.set()
            self._challenges.clear()

    def _prove(self, stop: threading.Event, proofs: Sequence[Proof]) -> None:
        """In the thread of the order: have the reactor's put proofs up."""
        if len(proofs) > MAX_CHALLENGES:
            raise AcmeError(f"the authority wants more than {MAX_CHALLENGES} names proved at once")
        up = threading.Event()
        faults: list[str] = []
        self._reactor.callFromThread(self._begin_to_show, stop, proofs, up, faults)
        if not up.wait(PROVE_S):
            raise AcmeError(f"the daemon was too busy to show its proofs within {PROVE_S:.0f} seconds")
        if faults:
            raise AcmeError(faults[0])

    def _begin_to_show(self, *told: Any) -> None:
        Deferred.fromCoroutine(self._put_up(*told)).addErrback(
            lambda failure: self._log.failure("the proofs cannot be shown", failure))

    async def _put_up(self, stop: threading.Event, proofs: Sequence[Proof], up: threading.Event, faults: list[str]) -> None:
        try:
            for one in proofs if not stop.is_set() else ():
                if one.kind == "http-01":
                    self._challenges.put_http(one.token, one.key_authorization)
                else:
                    self._challenges.put_alpn(one.name, one.digest)
            await self._challenges.everywhere()
        except ValueError as error:
            faults.append(str(error))
        finally:
            up.set()

    def _keep(self, settings: AcmeSettings, account: Account) -> None:
        try:
            self._kept.put_account(account)
        except ConfigError as error:  # it is found again by its key, and a certificate is worth more
            self._log.debug("the account is not kept: {reason}", reason=str(error))
        if account.is_new:
            self._log.info("made an account at {directory}, agreeing to its terms of service: {terms}",
                           directory=settings.directory, terms=account.terms_url or "it names none")
