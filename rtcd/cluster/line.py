"""A process's end of a connection to the hub: questions, answers, and what is pushed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, TimeoutError
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

from rtcd.cluster.backend import UNREACHABLE, Conflict, Stored
from rtcd.rooms.outcome import StoreFull, StoreUnavailable

MAX_FRAME_BYTES = 67108864
"""A page of rooms may hold what waits in each of them; only processes of ours send any."""

ANSWER_S = 5.0
"""How long the hub may take to answer."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Line(Int32StringReceiver):
    """See the module. ``pushed(what, *values)`` is told what was not asked for."""

    MAX_LENGTH = MAX_FRAME_BYTES

    def __init__(self, clock: Any, pushed: Callable[..., None], lost: Callable[[Line], None]) -> None:
        self._clock = clock
        self._pushed = pushed
        self._lost = lost
        self._number = 0
        self._asked: dict[int, Deferred[Any]] = {}

    async def ask(self, *question: Any) -> Any:
        """Ask the hub. Raises StoreUnavailable, Conflict and StoreFull."""
        if not self.connected:
            raise StoreUnavailable(UNREACHABLE)
        answer = self._asked[self.tell(*question)] = Deferred()
        answer.addTimeout(ANSWER_S, self._clock)
        try:
            kind, *values = await answer
        except TimeoutError:
            self.cut()
            raise StoreUnavailable(UNREACHABLE) from None
        if kind == "conflict":
            raise Conflict(stored(values[0]))
        if kind == "full":
            raise StoreFull(values[0])
        return values[0]

    def cut(self) -> None:
        """End the connection; nothing is said by it any more."""
        transport: Any = self.transport
        transport.abortConnection()
        self._lost(self)

    def tell(self, *question: Any) -> int:
        """Ask; returns the number of the question."""
        self._number += 1
        self.sendString(_encode((self._number, *question)))
        return self._number

    def say(self, *words: Any) -> None:
        """Say something that is not answered."""
        self.sendString(_encode((0, *words)))

    def stringReceived(self, string: bytes) -> None:
        """An answer, or something pushed."""
        number, kind, *values = _decode(string)
        if not number:
            self._pushed(kind, *values)
            return
        asked = self._asked.pop(number, None)
        if asked is not None and not asked.called:
            asked.callback((kind, *values))

    def connectionLost(self, reason: Any = None) -> None:
        """Nothing is answered any more."""
        asked, self._asked = self._asked, {}
        for one in asked.values():
            if not one.called:
                one.errback(Failure(StoreUnavailable(UNREACHABLE)))
        self._lost(self)


def stored(value: Any) -> Stored | None:
    """A room of its row."""
    return None if value is None else Stored(*value)
