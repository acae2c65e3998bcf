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

    async def certificate(self, settings: AcmeSettings, names: tuple[str, ...], here: Sequence[str]) -> Issued:
        """Order with one kind of challenge after the other, of those that can be answered ``here``. Raises `AcmeError`, and
        `ConfigError` where the state directory cannot be written."""
        wanted = settings.challenge
        kinds = [kind for kind in here if wanted in ("auto", kind)]
        if not kinds:
            raise AcmeError("[acme] challenge: nothing here answers "
                            f"{'any challenge' if wanted == 'auto' else wanted}; open the listener that it comes to")
        self._log.info("asking {directory} for a certificate for {names}",
                       directory=settings.directory, names=", ".join(names))
        reasons: list[str] = []
        for kind in kinds:
            try:
                issued = await self._order(settings, names, kind)
            except AcmeError as error:
                if error.account is not None:
                    self._keep(settings, error.account)
                reasons.append(str(error))
                if not error.in_validation or kind == kinds[-1]:
                    raise AcmeError("; then ".join(reasons), error.retry_after) from None
            else:
                self._keep(settings, issued.account)
                return issued
        raise AssertionError("one of the kinds was the last")

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
        self._reactor.callFromThread(self._put_up, stop, proofs, up, faults)
        if not up.wait(PROVE_S):
            raise AcmeError(f"the daemon was too busy to show its proofs within {PROVE_S:.0f} seconds")
        if faults:
            raise AcmeError(faults[0])

    def _put_up(self, stop: threading.Event, proofs: Sequence[Proof], up: threading.Event, faults: list[str]) -> None:
        try:
            for one in proofs if not stop.is_set() else ():
                if one.kind == "http-01":
                    self._challenges.put_http(one.token, one.key_authorization)
                else:
                    self._challenges.put_alpn(one.name, one.digest)
        except ValueError as error:
            faults.append(str(error))
        up.set()

    def _keep(self, settings: AcmeSettings, account: Account) -> None:
        self._kept.put_account(account)
        if account.is_new:
            self._log.info("made an account at {directory}, agreeing to its terms of service: {terms}",
                           directory=settings.directory, terms=account.terms_url or "it names none")
