"""`WorkerDesk`: a worker's desk. What is asked of TURN here is asked of all workers; what only the first worker does, or the
parent, is asked of that one. What comes back is what one process would have said.

Topics of its own, which a single process does not have:

``workers.place() -> rtcd.workers.shares.Place``
    Which worker of how many this is.
``workers.udp(host: str, port: int) -> int``
    A descriptor of a UDP socket at this address, shared with the other workers. Raises OSError.
``workers.ports(first: int, last: int) -> range``
    This worker's share of these relay ports. Raises ValueError.
``workers.nonce-key() -> bytes``
    What nonces are made with, the same in all.
``workers.samples() -> Awaitable[list[Sample]]``, ``workers.readiness() -> Awaitable[dict[str, str]]``
    The figures of all, and what the checks of all have found.
``workers.nodes() -> Awaitable[list[rtcd.ice.health.Known] | None]``
    What the first worker knows of the TURN nodes; None if it does not answer. Not offered at the first one, which asks them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from rtcd.allocations.account import Account
from rtcd.calls.report import Report
from rtcd.desk import Desk
from rtcd.ice.health import Known
from rtcd.metrics import Sample
from rtcd.turn.news import Began, Challenged, Denied, Ended, Failed, TurnNews
from rtcd.turn.sightings import Sight
from rtcd.workers.frames import PARENT, Reloaded, decode, encode
from rtcd.workers.merging import readiness
from rtcd.workers.shares import behind, inward, outward, ports
from rtcd.workers.worker import Worker

FIRST = 1
NEWS: dict[str, type[Any]] = {one.__name__: one for one in (Challenged, Failed, Denied, Began, Ended)}


class WorkerDesk(Desk):
    """Of this worker. `serve` begins, when the services are made."""

    def __init__(self, worker: Worker, nonce_key: Callable[[], bytes]) -> None:
        super().__init__()
        self._worker = worker
        self._observers: list[Callable[[TurnNews], object]] = []
        self._asked: dict[str, Callable[..., Any]] = {
            "turn.allocations": self._allocations, "turn.end": self._end, "turn.look": self._look,
            "turn.looked": self._looked, "turn.forget": self._forget, "turn.observe": self._observe,
            "daemon.reload": self._reload, "daemon.drain": self._drain,
        }
        self.offer("workers.place", lambda: worker.place)
        self.offer("workers.udp", lambda host, port: worker.open("udp", host, port))
        self.offer("workers.ports", lambda first, last: ports(first, last, worker.place))
        self.offer("workers.nonce-key", nonce_key)
        self.offer("workers.samples", self._samples)
        self.offer("workers.readiness", self._readiness)
        if not worker.place.first:
            self.offer("workers.nodes", self._nodes)

    def ask(self, topic: str, *arguments: Any) -> Any:
        """See `Desk.ask`; perhaps something to wait for."""
        everywhere = self._asked.get(topic)
        if everywhere is None or not self.offers(topic):
            return super().ask(topic, *arguments)
        return everywhere(*arguments)

    def serve(self, metrics: Any) -> None:
        """Answer the other workers. ``metrics``: the registry, for a daemon without the service of that name."""
        worker, here = self._worker, super().ask
        worker.offer("metrics.samples", type(None), lambda _: [one._replace(value=float(one.value)) for one in (
            here("metrics.samples") if self.offers("metrics.samples") else metrics.samples())])
        worker.offer("daemon.reload", bytes, self._reload_here)
        if self.offers("metrics.readiness"):
            worker.offer("metrics.readiness", type(None), lambda _: here("metrics.readiness").addCallback(
                lambda report: dict(report.found)))
        if self.offers("turn.allocations"):
            worker.offer("turn.allocations", tuple[int, int], self._ours)
            worker.offer("turn.end", int, lambda number: here("turn.end", number))
            worker.offer("turn.look", tuple[str, str, float], lambda asked: here("turn.look", *asked))
            worker.offer("turn.looked", str, lambda user: here("turn.looked", user))
            worker.offer("turn.forget", str, lambda user: here("turn.forget", user))
            if not worker.place.first:
                here("turn.observe", self._pass_on)
        if worker.place.first:
            worker.offer("turn.news", tuple[str, bytes], self._news)
            if self.offers("ice.known"):
                worker.offer("ice.known", type(None), lambda _: here("ice.known"))
            if self.offers("calls.report"):
                worker.offer("calls.report", tuple[str, str, Report], lambda asked: here("calls.report", *asked))

    def report_to_first(self) -> None:
        """Records of calls are kept, though not here."""
        self.offer("calls.report", self._report)

    async def _report(self, room: str, client: str, report: Report) -> bool:
        found = await self._worker.ask(FIRST, "calls.report", (room, client, report))
        return found is None or decode(found, bool)  # whoever sent it is not to blame if nobody is there to take it

    # TURN.

    def _ours(self, asked: tuple[int, int]) -> list[Account]:
        after, limit = asked
        place = self._worker.place
        found: list[Account] = super().ask("turn.allocations", behind(after, place), limit)
        return [replace(one, number=outward(one.number, place)) for one in found]

    async def _allocations(self, after: int, limit: int) -> list[Account]:
        found = await self._everybody("turn.allocations", (after, limit), list[Account])
        return sorted((one for part in found for one in part), key=lambda one: one.number)[:limit]

    async def _end(self, number: int) -> bool:
        who, there = inward(number, self._worker.place.count)
        found = await self._worker.ask(who, "turn.end", there)
        return found is not None and decode(found, bool)

    async def _look(self, host: str, user: str, until: float) -> bool:
        found = await self._worker.ask_all("turn.look", (host, user, until))
        return bool(found) and all(decode(one, bool) for _, one in found if one is not None)

    async def _looked(self, user: str) -> list[Sight]:
        found: dict[tuple[str, str, int], Sight] = {}
        for one in (one for part in await self._everybody("turn.looked", user, list[Sight]) for one in part):
            way = one.kind, one.transport, one.port
            found[way] = together(found[way], one) if way in found else one
        return list(found.values())

    def _forget(self, user: str) -> Deferred[Any]:
        return self._worker.ask_all("turn.forget", user)

    def _observe(self, observer: Callable[[TurnNews], object]) -> None:
        self._observers.append(observer)
        super().ask("turn.observe", observer)

    def _pass_on(self, news: TurnNews) -> None:
        self._worker.tell(FIRST, "turn.news", (type(news).__name__, encode(news)))

    def _news(self, told: tuple[str, bytes]) -> None:
        news = msgspec.msgpack.decode(told[1], type=NEWS[told[0]])
        for one in self._observers:
            one(news)

    # The daemon.

    async def _reload(self) -> list[str]:
        found = await self._worker.ask(PARENT, "daemon.reload")
        return decode(found, list[str]) if found is not None else ["no answer in time; the log says what came of it"]

    def _reload_here(self, configuration: bytes) -> Reloaded:
        self._worker.configuration = configuration
        said = super().ask("daemon.reload")
        return Reloaded(said, super().ask("daemon.applied"))

    def _drain(self) -> Deferred[Any]:
        return self._worker.ask(PARENT, "daemon.drain")

    async def _samples(self) -> list[Sample]:
        found = await self._worker.ask(PARENT, "metrics.samples")
        if found is None:
            raise TimeoutError("the parent has not told the figures in time")
        return decode(found, list[Sample])

    async def _readiness(self) -> dict[str, str]:
        found = await self._worker.ask_all("metrics.readiness")
        if not found:
            return {"workers": "no answer from the parent"}
        return readiness({who: decode(one, dict[str, str]) if one is not None else None for who, one in found})

    async def _nodes(self) -> list[Known] | None:
        found = await self._worker.ask(FIRST, "ice.known")
        return None if found is None else decode(found, list[Known])

    async def _everybody(self, topic: str, value: object, kind: type[Any]) -> list[Any]:
        found = await self._worker.ask_all(topic, value)
        if not found:
            raise TimeoutError("the parent has not told in time what the workers say")
        return [decode(one, kind) for _, one in found if one is not None]


def together(one: Sight, other: Sight) -> Sight:
    """What came by the same way to two workers."""
    last = other if other.named else one
    return replace(one, asked=one.asked + other.asked, named=one.named + other.named,
                   answered=one.answered + other.answered, code=last.code, allocated=one.allocated or other.allocated)
