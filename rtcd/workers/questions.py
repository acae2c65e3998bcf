"""`Questions`: what was asked over a channel and is not answered yet; bounded in number and in time."""

from __future__ import annotations

from itertools import count
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

T = TypeVar("T")

MAX_OPEN = 1000
"""More questions at once get no answer."""


class Questions(Generic[T]):
    """By number. ``nothing`` is the answer to what is not answered in time."""

    def __init__(self, clock: IReactorTime, timeout_s: float, nothing: T) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._nothing = nothing
        self._numbers = count(1)
        self._open: dict[int, tuple[Deferred[T], IDelayedCall]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def ask(self) -> tuple[int, Deferred[T]]:
        """A new one: its number, or 0 if there are too many, and what fires with the answer. It never fails."""
        answer: Deferred[T] = Deferred()
        if len(self._open) >= MAX_OPEN:
            answer.callback(self._nothing)
            return 0, answer
        number = next(self._numbers)
        self._open[number] = answer, self._clock.callLater(self._timeout_s, self._fire, number, self._nothing)
        return number, answer

    def answer(self, number: int, found: T) -> None:
        """It is answered; one that is not open is too late."""
        if number in self._open:
            self._open[number][1].cancel()
            self._fire(number, found)

    def close(self) -> None:
        """Nobody answers any more."""
        for number in list(self._open):
            self.answer(number, self._nothing)

    def _fire(self, number: int, found: Any) -> None:
        self._open.pop(number)[0].callback(found)
