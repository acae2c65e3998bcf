"""`Exchange`: carries questions and answers between the workers, and keeps the figures of the whole.

Who does not answer in time is left out; whoever asked is told so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger

from rtcd.metrics import Metrics, Sample
from rtcd.workers.frames import EVERYBODY, PARENT, Answer, Answers, Ask, decode, encode
from rtcd.workers.merging import Departed, merged
from rtcd.workers.process import Process
from rtcd.workers.questions import Questions

T = TypeVar("T")

ANSWER_S = 2.0
"""How long a worker may take for an answer."""
FIGURES = "metrics.samples"


class Exchange:
    """``processes``: the workers that there are. ``answers``: what the parent answers itself, by topic, with a value or
    something to wait for."""

    _log = Logger()

    def __init__(
        self, reactor: Any, count: int, metrics: Metrics, own: Callable[[], Iterable[Sample]] = tuple
    ) -> None:
        """``own``: what the parent itself takes of the machine."""
        self._count = count
        self._own = own
        self._metrics = metrics
        self._departed = Departed()
        self.processes: dict[int, Process] = {}
        self.questions: Questions[bytes | None] = Questions(reactor, ANSWER_S, None)
        self.answers: dict[str, Callable[[Ask], Any]] = {FIGURES: lambda _: self.figures()}

    def up(self) -> list[int]:
        """The workers that are ready."""
        return [number for number, one in self.processes.items() if one.up]

    def gone(self, number: int) -> None:
        """It has ended."""
        self.processes.pop(number, None)
        self._departed.gone(number)

    def close(self) -> None:
        """Nobody answers any more."""
        self.questions.close()

    def asked(self, process: Process, asked: Ask) -> None:
        """A worker has asked something, or tells it, which has the number 0."""
        if asked.who == PARENT:
            offered = self.answers.get(asked.topic)
            found = Deferred.fromCoroutine(_answered(offered, asked)) if offered is not None else None
            if found is None:
                process.tell(Answer(asked.number, None))
            else:
                found.addErrback(self._fault)  # and whoever asked hears that there is no answer
                found.addCallback(lambda payload: process.tell(Answer(asked.number, payload)))
        elif asked.who == EVERYBODY and not asked.number:
            for one in self.processes.values():
                if one is not process and one.hears:
                    one.tell(Ask(0, process.number, asked.topic, asked.payload))
        elif asked.who == EVERYBODY:
            self._all(process.number, asked.topic, asked.payload).addCallback(
                lambda found: process.tell(Answers(asked.number, found)))
        else:
            other = self.processes.get(asked.who)
            if not asked.number:
                if other is not None and other.hears:
                    other.tell(Ask(0, process.number, asked.topic, asked.payload))
            elif other is None:
                process.tell(Answer(asked.number, None))
            else:
                other.ask(process.number, asked.topic, asked.payload).addCallback(
                    lambda payload: process.tell(Answer(asked.number, payload)))

    async def ask_all(self, topic: str, value: object, kind: type[T]) -> list[T | None]:
        """What each worker answers, None for one that does not."""
        found = await self._all(PARENT, topic, encode(value))
        return [None if payload is None else decode(payload, kind) for _, payload in found]

    async def figures(self) -> list[Sample]:
        """Those of all workers, and our own, as one page has them."""
        told: dict[Process, list[Sample]] = {}

        def tell(payload: bytes | None, process: Process) -> None:
            if payload is not None:  # while it is there: if it ends before the others have answered, it counts as gone
                told[process] = decode(payload, list[Sample])
                self._departed.told(process.number, told[process])

        asked = [one for one in self.processes.values() if one.up]
        await gatherResults([one.ask(PARENT, FIGURES, encode(None)).addCallback(tell, one) for one in asked])
        parts = [self._departed.samples(), [
            one._replace(value=float(one.value)) for one in (*self._own(), *self._metrics.samples())]]
        for number in range(1, self._count + 1):
            process = self.processes.get(number)
            parts.append(told[process] if process in told else self._departed.latest(number))
        return merged(parts)

    def _all(self, who: int, topic: str, payload: bytes) -> Deferred[list[tuple[int, bytes | None]]]:
        numbers = range(1, self._count + 1)
        nothing: Deferred[bytes | None]
        asked: list[Deferred[bytes | None]] = []
        for one in numbers:
            nothing = succeed(None)
            process = self.processes.get(one)
            asked.append(process.ask(who, topic, payload) if process is not None and process.up else nothing)
        return gatherResults(asked).addCallback(lambda found: list(zip(numbers, found, strict=True)))

    def _fault(self, failure: Any) -> None:
        self._log.failure("a question of a worker has failed", failure)


async def _answered(offered: Callable[[Ask], Any], asked: Ask) -> bytes:
    found = offered(asked)
    return encode(await found if hasattr(found, "__await__") else found)
