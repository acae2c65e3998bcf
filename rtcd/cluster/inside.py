"""`HubBackend`: the backend of the process in which the hub is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from rtcd.cluster.backend import BEAT_S, GRANT, RECALL, Commit, Dead, Entry, State, Stored, Totals
from rtcd.cluster.node import new_node
from rtcd.cluster.serving import PUSHED, HubServer
from rtcd.cluster.speaker import Speaker


class HubBackend:
    """It asks the hub without a detour."""

    place = ""
    trouble = ""
    strangers = 0

    def __init__(self, server: HubServer, node: str = "") -> None:
        self.node = node or new_node()
        self.speaker = Speaker(self.node, self._tell, lambda work: work())
        self._server = server
        self._hub = server.hub
        self._has = 0
        self._taking = False
        self._beating: LoopingCall | None = None

    @property
    def outlives(self) -> bool:
        """Whether other processes go on."""
        return not self._server.ending

    def follow(self, entry: Callable[[Entry], None], state: Callable[[State], None]) -> None:
        """See `rtcd.cluster.backend.Backend.follow`."""
        self._entry, self._state = entry, state

    async def start(self) -> None:
        """See `rtcd.cluster.backend.Backend.start`."""
        self._hub.beat(self.node, self._server.clock.seconds())
        self._server.follow(self.node, self._read)
        self.speaker.hear(self._server.hear(self.node, self.speaker.hear, hears=self.speaker.hears))
        self.speaker.until = float("inf")
        self._beating = LoopingCall(self._beat)
        self._beating.clock = self._server.clock
        self._beating.start(BEAT_S, now=False)
        self._state(State.BACK)

    async def close(self) -> None:
        """See `rtcd.cluster.backend.Backend.close`."""
        if self._beating is not None:
            self._beating.stop()
        self._server.unfollow(self.node, self._read)
        self._server.leave(self.node)

    async def load(self, name: str) -> Stored | None:
        """See `rtcd.cluster.backend.Backend.load`."""
        return self._hub.load(name)

    async def commit(self, commit: Commit) -> int:
        """See `rtcd.cluster.backend.Backend.commit`."""
        with self.speaker.committing(commit):
            answer: Deferred[int] = Deferred()
            self._server.commit(self.node, self.speaker.seen, commit, lambda found: (
                answer.errback(found) if isinstance(found, Exception) else answer.callback(found)))
            return await answer

    async def due(self, now: float, limit: int) -> list[str]:
        """See `rtcd.cluster.backend.Backend.due`."""
        return self._hub.due(now, limit)

    async def census(self, address: str) -> tuple[Totals, int]:
        """See `rtcd.cluster.backend.Backend.census`."""
        return self._hub.census(address)

    async def totals(self) -> Totals:
        """See `rtcd.cluster.backend.Backend.totals`."""
        return self._hub.totals()

    async def page(self, after: str, limit: int) -> list[tuple[str, Stored]]:
        """See `rtcd.cluster.backend.Backend.page`."""
        return self._hub.page(after, limit)

    async def gone(self, now: float, limit: int) -> list[Dead]:
        """See `rtcd.cluster.backend.Backend.gone`."""
        return self._hub.gone(now, limit)

    async def held(self) -> list[str]:
        """See `rtcd.cluster.backend.Backend.held`."""
        return self._hub.held(self.node)

    async def bury(self, node: str) -> None:
        """See `rtcd.cluster.backend.Backend.bury`."""
        self._server.bury(node)

    def _beat(self) -> None:
        self.speaker.until = float("inf")
        if not self._hub.beat(self.node, self._server.clock.seconds()):
            self._has = 0
            self._clear()
            self._state(State.MISSED)

    def _clear(self) -> None:
        self.speaker.clear()
        self.speaker.cleared(self._server.clear(self.node))
        self.speaker.until = float("inf")

    def _tell(self, what: str, *values: Any) -> None:
        server = self._server
        if what == "pass":
            if not server.pass_on(self.node, *values):
                self.speaker.until = 0.0
        elif what == "back":
            server.back(self.node, *values)
        elif what == "rest":
            server.floors.rest(*values)
        elif what == "hear":
            server.hear(self.node, self.speaker.hear, hears=True)

    def _read(self) -> None:
        if self._taking:  # a socket that is handed an entry may cause the next one
            return
        self._taking = True
        try:
            while True:
                entries, missed = self._hub.read(self.node, self._has, PUSHED)
                if missed:
                    self._has = entries[0][0] - 1 if entries else self._hub.nodes[self.node].last
                    self._clear()
                    self._state(State.MISSED)
                if not entries:
                    return
                for number, entry in entries:
                    self._has = number
                    if entry.kind in (GRANT, RECALL):
                        self.speaker.take(entry)
                    else:
                        self._entry(entry)
        finally:
            self._taking = False
