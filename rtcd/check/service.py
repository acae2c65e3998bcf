"""The check service: begins checks, judges them, and keeps what came of them.

Topics on the desk (rtcd.desk):

``check.results(after: int, limit: int) -> list[rtcd.check.results.Result]``
    The last checks with a greater number, by number. What they mean in words is in `rtcd.check.texts`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from twisted.application.service import IService, Service
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from rtcd.alarm import Alarm
from rtcd.bucket import Buckets, masked, network
from rtcd.check.paths import Path, paths
from rtcd.check.report import Report
from rtcd.check.resource import CheckPage, CheckReport, CheckStart
from rtcd.check.results import Result, Results
from rtcd.check.settings import Settings
from rtcd.check.trials import TRIAL_S, Trial, Trials
from rtcd.check.verdict import LEVELS, Verdict, judge
from rtcd.config import changes
from rtcd.context import Context
from rtcd.ice.credentials import Credential
from rtcd.peers.bound import TRIAL_CHARS, trial_user
from rtcd.site.install import visitor_systems

__all__ = ["CheckService", "Settings", "makeService"]

PATH = "/check"


@dataclass(frozen=True, slots=True)
class Begun:
    """A check that a page may make now."""

    trial: Trial
    credential: Credential | None
    """For its relays; None if it tries none."""


class CheckService(Service):
    """Owns no socket: the doorway serves its resources, the TURN service tells what arrived."""

    name = "check"
    _log = Logger()

    def __init__(self, context: Context, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._trials = Trials()
        self._results = Results(settings.results)
        self._buckets = _buckets(settings)
        self._alarm = Alarm(context.reactor, self._trials.next_deadline, self._expire)
        metrics = context.metrics
        self._begun = metrics.counter("check", "begun", "Checks that a page began.")
        self._refused = metrics.counter("check", "refused", "Checks refused by rate, or since too many were going on.")
        self._judged = {level: metrics.counter("check", "results", "Checks by what came of them.", level=level)
                        for level in sorted(set(LEVELS.values()))}
        door = context.doorway
        page = CheckPage(door)
        door.add_child(PATH, page)
        door.add_child(f"{PATH}/start", CheckStart(self.begin))
        door.add_child(f"{PATH}/report", CheckReport(self.report))
        context.desk.offer("check.results", self._results.behind)
        context.on_reload("check", self._reload)

    def stopService(self) -> Any:
        """End the checks that are going on."""
        self._alarm.cancel()
        for trial in self._trials.clear():
            self._end(trial)
        return super().stopService()

    async def begin(self, request: IRequest) -> Begun | None:
        """Begin a check for whoever sent this request; None if he has to wait."""
        host, now = self._context.doorway.client_host(request), self._context.reactor.seconds()
        self._expire(now)
        if self._trials.full(masked(host)) or not self._buckets.allow(network(host), now):
            self._refused.value += 1
            return None
        digits = secrets.token_hex(TRIAL_CHARS // 2)
        user, until = trial_user(digits), now + TRIAL_S
        desk = self._context.desk
        if desk.offers("turn.look") and not await desk.answer("turn.look", host, user, until):
            self._refused.value += 1
            return None
        agent: Any = request.getHeader("user-agent")
        system = next(iter(set(visitor_systems(agent or "")) - {"firefox"}), "")
        trial = Trial(secrets.token_hex(16), user, masked(host), system, tuple(self._paths(request)), until)
        self._trials.add(trial)
        self._alarm.set()
        self._begun.value += 1
        relays = any(one.kind == "turn" for one in trial.paths)
        return Begun(trial, self._context.credentials.issue(user, now, TRIAL_S) if relays else None)

    async def report(self, its_id: str, report: Report) -> Result | None:
        """Take the report of a check and say what it means; None if there is no such check, or it is over."""
        now, desk = self._context.reactor.seconds(), self._context.desk
        trial = self._trials.report(its_id, now)
        if trial is None:
            return None
        self._alarm.set()
        sights = await desk.answer("turn.looked", trial.user) if desk.offers("turn.looked") else []
        verdict = judge(trial.paths, report, sights, self._results.open_elsewhere(trial.network, now))
        if not trial.number:
            trial.number = self._results.number()
            self._judged[verdict.level].value += 1
        found = Result(trial.number, now, trial.network, trial.system, verdict)
        self._results.keep(found)
        self._log.info("check {number}: {summary}{failed}", number=found.number, summary=verdict.summary,
                       failed=_failed(verdict))
        return found

    def _paths(self, request: IRequest) -> list[Path]:
        door, desk = self._context.doorway, self._context.desk
        turn, stun, own = desk.ask("ice.paths", request) if desk.offers("ice.paths") else ([], [], False)
        base, wss = door.base(request), door.directory.path("wss")
        return paths(turn, stun, (base.url, base.authority.bracketed, base.port),
                     f"ws{base.url.removeprefix('http')}{wss}" if wss else "", door.directory.listeners(), own=own)

    def _expire(self, now: float) -> None:
        for trial in self._trials.over(now):
            self._end(trial)

    def _end(self, trial: Trial) -> None:
        if self._context.desk.offers("turn.forget"):
            self._context.desk.ask("turn.forget", trial.user)

    def _reload(self, old: Settings, new: Settings) -> list[str]:
        if new.rate != self._settings.rate:
            self._buckets = _buckets(new)
        self._results.resize(new.results)
        self._settings = new
        return list(changes(old, new))


def makeService(context: Context, settings: Settings) -> IService:
    """See `IServicePlugin`."""
    return CheckService(context, settings)


def _buckets(settings: Settings) -> Buckets:
    return Buckets(settings.rate / 60, settings.rate)


def _failed(verdict: Verdict) -> str:
    """What did not work, for the log."""
    found = ", ".join(f"{one.path.id} {one.outcome}" for one in verdict.found if one.outcome != "ok")
    return found and f"; {found}"
