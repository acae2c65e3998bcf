"""Many rooms of `talkers` at once, what is done to the nodes below them, and what has to be true in the end."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.interop.cluster import Cluster, Node
from tests.interop.losses import Blow, Losses
from tests.interop.talkers import Client

AT_ONCE = 16
"""So many rooms begin, or end, at a time."""

SETTLED_S = 90.0
"""How long it may take until everybody has all that was said, or has been told that the other is gone."""

SLACK_S = 3.0
"""What was sent so long before a node was ended may have been on its way through it; a busy machine needs that."""


@dataclass
class Figures:
    """Of a whole run, for people."""

    said: int = 0
    sent: int = 0
    on_the_way: int = 0
    to_the_dead: int = 0
    resumed_s: list[float] = field(default_factory=list)
    told_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        def spread(values: list[float]) -> str:
            ordered = sorted(values)
            return (f"median {ordered[len(ordered) // 2]:.1f} s, p99 {ordered[int(len(ordered) * 0.99)]:.1f} s, "
                    f"longest {ordered[-1]:.1f} s, of {len(ordered)}") if ordered else "none"

        return (f"{self.said} things said, {self.sent} transmissions; {self.on_the_way} lost on their way through the "
                f"sender's ending node, {self.to_the_dead} for a client whose node was dead; {len(self.faults)} faults\n"
                f"sockets back: {spread(self.resumed_s)}\ntold that the other is gone: {spread(self.told_s)}")


class Crowd:
    """Rooms of two whose ends sit on different nodes; every ``apps``th is one of apps, or none for 0."""

    def __init__(self, cluster: Cluster, rooms: int, *, apps: int = 4, name: str = "crowd") -> None:
        self.cluster = cluster
        self._name = name
        self.blows: list[Blow] = []
        self.gone: list[tuple[Client, float]] = []
        """Who has vanished, and when."""
        self.figures = Figures()
        self.rooms: list[tuple[Client, Client]] = []
        self._talking: list[asyncio.Task[None]] = []
        count = len(cluster.nodes)
        for number in range(rooms):
            page = not apps or number % apps != 0
            first, second = (
                Client(f"{name}-{number}", cluster.nodes, (number + end) % count, page=page, posts=not page and not end)
                for end in range(2))
            first.other, second.other = second, first
            self.rooms.append((first, second))

    @property
    def clients(self) -> list[Client]:
        """Everybody."""
        return [one for room in self.rooms for one in room]

    async def begin(self, every_s: float) -> None:
        """All come, and talk, each about every so many seconds."""
        async def come(room: tuple[Client, Client]) -> None:
            for one in room:
                await one.join()

        await self._some(come(one) for one in self.rooms)
        self._talking = [asyncio.create_task(self._talk(one, every_s)) for one in self.clients]

    async def kill(self, node: Node, vanishing: float) -> None:
        """kill -9; of those whose sockets are there so large a part vanishes with it."""
        await self._lose(node, node.kill, vanishing)

    async def cut(self, node: Node, vanishing: float) -> None:
        """Its machine is in no network any more, so nobody is told that connections are over; likewise."""
        await self._lose(node, node.machine.unplug, vanishing)

    async def _lose(self, node: Node, losing: Callable[[], None], vanishing: float) -> None:
        here = {one.room: one for one in self.clients if not one.gone and not one.other.gone and _at(one, node)}
        going = random.sample(list(here.values()), math.ceil(vanishing * len(here)))
        self.blows.append(Blow(node, time.monotonic(), True))
        await asyncio.to_thread(losing)
        for one in going:
            self.gone.append((one, time.monotonic()))
            await one.vanish()

    async def stop(self, node: Node) -> int:
        """SIGTERM; the exit code."""
        self.blows.append(Blow(node, time.monotonic(), False))
        return await asyncio.to_thread(node.stop)

    def store_ends(self) -> None:
        """Redis is about to be gone: every node ends the sockets of its pages when there is one again."""
        self.blows += [Blow(node, time.monotonic(), False) for node in self.cluster.nodes]

    async def start(self, node: Node) -> None:
        """It is there again."""
        await asyncio.to_thread(node.start)

    async def everybody_is_back(self) -> None:
        """All who have not vanished have a socket, and none from before its node was killed or cut off."""
        await self._until(lambda: [
            f"{one.room} is not back" for one in self.clients if not one.gone and not self._is_back(one)])

    async def everybody_is_told(self) -> None:
        """Those whose other has vanished know it, each once."""
        def missing() -> list[str]:
            now = time.monotonic()
            for one, since in list(waiting):
                if _told(one.other):
                    waiting.remove((one, since))
                    self.figures.told_s.append(now - since)
            return [f"{one.room} was not told" for one, _ in waiting]

        waiting = [(one, since) for one, since in self.gone if not _told(one.other)]
        await self._until(missing)

    async def end(self) -> Figures:
        """Nobody says more; everybody has to have heard all, leaves, and nothing is left."""
        for one in self._talking:
            one.cancel()
        await asyncio.gather(*self._talking, return_exceptions=True)
        await self.everybody_is_back()
        await self.everybody_is_told()
        pairs = [(one, one.other) for one in self.clients if not one.gone and not one.other.gone]
        await self._until(lambda: [
            f"{one.room}: {other.has} of {one.said} came" for one, other in pairs if other.has != one.said])
        await asyncio.sleep(1.0)  # what comes twice comes now
        self._judge()
        await self._some(self._leave(one) for one in self.rooms)
        await self._until(lambda: [one for one in self.cluster.left() if f":{self._name}-" in one])
        return self.figures

    def _is_back(self, one: Client) -> bool:
        last = one.story.sockets[-1]
        return one.back.is_set() and not any(
            blow.killed and blow.place is last.place and (last.since or 0) <= blow.at for blow in self.blows)

    def _judge(self) -> None:
        figures, losses = self.figures, Losses()
        for one in self.clients:
            figures.said += one.said
            figures.sent += len(one.story.sent)
            figures.resumed_s += one.story.resumed_s
            figures.faults += [f"{one.room}: {fault}" for fault in one.story.faults]
            if not one.other.gone:
                losses.look(one, one.other, self.blows, SLACK_S)
            expected = int(one.other.gone)
            told = one.story.partings if one.page else one.story.byes
            if not one.gone and told != expected:
                figures.faults.append(f"{one.room}: told {told} times that the other is gone, not {expected}")
        figures.on_the_way, figures.to_the_dead = losses.on_the_way, losses.to_the_dead
        figures.faults += [f"lost: {one}" for one in losses.faults]

    async def _leave(self, room: tuple[Client, Client]) -> None:
        """One after the other; the one that stays is told once."""
        staying = [one for one in room if not one.gone]
        if len(staying) == 2:
            await staying[0].leave()
            await self._until(lambda: [] if _told(staying[1]) else [f"{staying[1].room} was not told of a leave"])
            await asyncio.sleep(0.2)
            if staying[1].story.partings + staying[1].story.byes != 1:
                self.figures.faults.append(f"{staying[1].room}: told more than once of a leave")
        await staying[-1].leave()

    async def _talk(self, one: Client, every_s: float) -> None:
        await asyncio.sleep(random.random() * every_s)
        while not one.gone and not one.other.gone:
            one.say()
            await asyncio.sleep(every_s * random.uniform(0.7, 1.3))

    async def _some(self, works: Iterable[object]) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(work: object) -> None:
            async with gate:
                await work  # type: ignore[misc] # coroutines of this class

        await asyncio.gather(*(one(work) for work in works))

    async def _until(self, missing: Callable[[], list[str]]) -> None:
        """Wait until nothing is missing; what still is after `SETTLED_S` is a fault."""
        until = time.monotonic() + SETTLED_S
        while found := missing():
            if time.monotonic() > until:
                self.figures.faults += found
                return
            await asyncio.sleep(0.1)


def _at(one: Client, node: Node) -> bool:
    return bool(one.story.sockets) and one.story.sockets[-1].place is node


def _told(one: Client) -> bool:
    return one.story.partings + one.story.byes > 0
