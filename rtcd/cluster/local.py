"""`SocketBackend`: the backend of a process that reaches the hub of another one over a unix socket, see ``serving``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from rtcd.cluster.backend import BEAT_S, GRANT, RECALL, UNREACHABLE, Commit, Dead, Entry, State, Stored, Totals
from rtcd.cluster.floors import FLOOR_S
from rtcd.cluster.line import Line, stored
from rtcd.cluster.node import new_node
from rtcd.cluster.serving import PUSHED
from rtcd.cluster.speaker import Speaker
from rtcd.rooms.outcome import StoreUnavailable
from rtcd.turns import TURNS

AGAIN_S = 0.2
"""How long until a lost connection is tried again."""


class SocketBackend:
    """The backend of a process that reaches the hub by ``endpoint``."""

    _log = Logger()
    place = ""
    trouble = ""
    strangers = 0

    def __init__(self, clock: Any, endpoint: IStreamClientEndpoint, node: str = "") -> None:
        self.node = node or new_node()
        self.outlives = True
        self.speaker = Speaker(self.node, self._say, lambda work: TURNS.soon(clock, work))
        self._clock = clock
        self._endpoint = endpoint
        self._line: Line | None = None
        self._hub = ""
        self._has = 0
        self._closed = False
        self._again: IDelayedCall | None = None
        self._beating = LoopingCall(self._beat)
        self._beating.clock = clock

    def follow(self, entry: Callable[[Entry], None], state: Callable[[State], None]) -> None:
        """See `rtcd.cluster.backend.Backend.follow`."""
        self._entry, self._state = entry, state

    async def start(self) -> None:
        """See `rtcd.cluster.backend.Backend.start`."""
        self._beating.start(BEAT_S, now=False)
        await self._connect()

    async def close(self) -> None:
        """See `rtcd.cluster.backend.Backend.close`."""
        self._closed = True
        if self._beating.running:
            self._beating.stop()
        if self._again is not None and self._again.active():
            self._again.cancel()
        if self._line is not None:
            self.speaker.flush()
            try:
                await self._ask("leave")
            except StoreUnavailable:
                return
            self._line.cut()

    def end(self) -> None:
        """The daemon ends with all its processes, and with it the rooms."""
        self.outlives = False

    async def load(self, name: str) -> Stored | None:
        """See `rtcd.cluster.backend.Backend.load`."""
        return stored(await self._ask("load", name))

    async def commit(self, commit: Commit) -> int:
        """See `rtcd.cluster.backend.Backend.commit`."""
        with self.speaker.committing(commit):
            version: int = await self._ask(
                "commit", self.speaker.seen, *(getattr(commit, one) for one in Commit.__slots__))
            return version

    async def due(self, now: float, limit: int) -> list[str]:
        """See `rtcd.cluster.backend.Backend.due`."""
        return list(await self._ask("due", now, limit))

    async def census(self, address: str) -> tuple[Totals, int]:
        """See `rtcd.cluster.backend.Backend.census`."""
        totals, seats = await self._ask("census", address)
        return Totals(*totals), seats

    async def totals(self) -> Totals:
        """See `rtcd.cluster.backend.Backend.totals`."""
        return Totals(*await self._ask("totals"))

    async def page(self, after: str, limit: int) -> list[tuple[str, Stored]]:
        """See `rtcd.cluster.backend.Backend.page`."""
        found: list[tuple[str, Stored]] = []
        while len(found) < limit and (more := await self._ask("page", found[-1][0] if found else after, limit - len(found))):
            found += ((name, Stored(*one)) for name, one in more)
        return found

    async def gone(self, now: float, limit: int) -> list[Dead]:
        """See `rtcd.cluster.backend.Backend.gone`."""
        return [Dead(*one) for one in await self._ask("gone", now, limit)]

    async def held(self) -> list[str]:
        """See `rtcd.cluster.backend.Backend.held`."""
        return list(await self._ask("held"))

    async def bury(self, node: str) -> None:
        """See `rtcd.cluster.backend.Backend.bury`."""
        await self._ask("bury", node)

    async def _ask(self, *question: Any) -> Any:
        if self._line is None:
            raise StoreUnavailable(UNREACHABLE)
        return await self._line.ask(*question)

    async def _connect(self) -> None:
        self._again = None
        try:
            factory = Factory.forProtocol(lambda: Line(self._clock, self._pushed, self._lost))
            line: Any = await self._endpoint.connect(factory)
            begun = self._clock.seconds()
            name, known, ending, grants, hearing = await line.ask("hello", self.node, self._has, self.speaker.hears)
        except Exception as fault:
            self._log.debug("the hub cannot be reached: {reason}", reason=str(fault))
            self._try_again()
            return
        if self._closed:
            line.cut()
            return
        before, self._hub, self._line = self._hub, name, line
        self.outlives = self.outlives and not ending
        if not known:
            self._has = 0
        self.speaker.cleared(grants)
        self.speaker.until = begun + FLOOR_S
        self.speaker.hear(hearing)
        self.speaker.flush()
        self._state(State.BACK if known or not before else State.MISSED if name == before else State.RESET)

    def _try_again(self) -> None:
        if not self._closed and self._again is None:
            self._again = self._clock.callLater(AGAIN_S, lambda: Deferred.fromCoroutine(self._connect()))

    def _lost(self, line: Line) -> None:
        if line is self._line:
            self._line = None
            self.speaker.clear()
            if not self._closed:
                self._state(State.AWAY)
                self._try_again()

    def _pushed(self, what: str, *values: Any) -> None:
        if what == "entries":
            last, entries = values
            for number, fields in enumerate(entries, last - len(entries) + 1):
                entry = Entry(*fields)
                self._has = number
                if entry.kind in (GRANT, RECALL):
                    self.speaker.take(entry)
                else:
                    self._entry(entry)
                if number % (PUSHED // 4) == 0:
                    self._say("has", number)
        elif what == "hearing":
            self.speaker.hear(*values)
        elif what == "slowly":
            self.speaker.until = 0.0
        elif what == "missed":
            self._has = values[0]
            self._clear()
            self._state(State.MISSED)
        elif what == "ending":
            self.end()

    def _beat(self) -> Deferred[None] | None:
        return Deferred.fromCoroutine(self._say_alive()) if self._line is not None else None

    async def _say_alive(self) -> None:
        try:
            begun = self._clock.seconds()
            known, answers = await self._ask("beat", self._has)
        except StoreUnavailable:
            return
        if not known:
            self._has = 0
            self._clear()
            self._state(State.MISSED)
        elif answers:
            self.speaker.until = begun + FLOOR_S

    def _clear(self) -> None:
        """Give back every floor: calls may be missing."""
        async def clear() -> None:
            with contextlib.suppress(StoreUnavailable):
                self.speaker.cleared(await self._ask("clear"))

        self.speaker.clear()
        Deferred.fromCoroutine(clear()).addErrback(lambda fault: self._log.failure("the floors were not cleared", fault))

    def _say(self, *words: Any) -> bool:
        if self._line is None:
            return False
        self._line.say(*words)
        return True
