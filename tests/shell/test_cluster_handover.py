"""What came late for a socket that is gone is given back exactly once, also if the connection to Redis breaks while Redis is
asked to keep it, with a real server and two nodes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from unittest import skipUnless

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from rtcd.cluster import handover, upkeep
from rtcd.cluster import redis as backend_module
from rtcd.cluster.address import Address
from rtcd.cluster.backend import Commit
from rtcd.cluster.wire import Connection, Fault
from rtcd.rooms.records import Room
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import switchboard
from tests.redis import RedisServer, ask, is_here
from tests.shell.test_cluster_outages import Node, until

Asked: TypeAlias = Callable[[], Awaitable[int]]


@skipUnless(is_here(), "redis-server is not installed")
class DoubtTests(TestCase):
    """The socket of ``b`` at the first node has broken, and ``1`` has come for it since; while that is given back the
    connection breaks, ``2`` is said, and ``b`` has its next socket at the second node."""

    async def setUp(self) -> None:  # type: ignore[override] # trial waits
        self.patch(backend_module, "BLOCK_S", 0.2)
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.server = RedisServer(folder)
        self.addCleanup(self.server.stop)
        address, chosen = Address(path=self.server.path), RoomsSettings(grace=600)
        self.first, self.second = self.nodes = Node(address, chosen), Node(address, chosen)
        self.addCleanup(self.close)
        for node, client in zip(self.nodes, "ba", strict=True):
            await node.store.start()
            await node.join("r", client)
        self.old = await self.first.register("r", "b")
        await self.second.register("r", "a")
        self.broken: list[Commit] = []
        """What the connection broke for."""
        self.assertTrue(self.first.store.detach("r", "b", self.old))
        await self.second.send("r", "a", "1")
        await until(lambda: self.owed()["b"])

    async def close(self) -> None:
        """End both nodes."""
        for node in self.nodes:
            await node.store.close()

    def owed(self) -> Any:
        """What the first node has to tell about the room."""
        return self.first.store.inbox.owed.get("r", {})

    async def given_back(self, asking: Callable[[Asked], Awaitable[int]]) -> None:
        """The first node tells that the socket is gone; when it gives back what came late, the commit is done by ``asking``,
        which is called with what asks Redis, and which breaks the connection."""
        backend, limits = self.first.store.backend, self.first.limits
        commit = backend.commit

        async def breaking(one: Commit) -> int:
            if self.broken or one.holding.get(backend.node) != -1:
                return int(await commit(one))
            self.broken.append(one)
            return await asking(lambda: Deferred.fromCoroutine(commit(one)))

        self.patch(backend, "commit", breaking)
        await self.first.store.update("r", lambda one, now: switchboard.lost(one, now, limits, "b"), None, "b")
        self.assertEqual((len(self.broken), self.first.store.reachable), (1, False))

    async def comes_back(self, *, at_once: bool = False) -> list[str]:
        """What the client is given; it opens its next socket when the first node has told all that it owes, or at once."""
        await self.second.send("r", "a", "2")
        if not at_once:
            await until(lambda: self.first.store.reachable and not self.owed())
        new = await self.second.register("r", "b")
        await self.second.send("r", "a", "3")
        await until(lambda: self.first.store.reachable and not self.owed() and "3" in new.texts)
        self.assertEqual(self.old.texts, [])
        return new.texts

    async def test_what_was_not_given_back_is_when_the_store_is_there_again(self) -> None:
        """Redis was not asked. The next socket waits for that, here however slow the machine is."""
        self.patch(handover, "HANDOVER_S", (0.02,) * 500)

        async def unasked(ask_redis: Asked) -> int:
            self.first.store.backend._link.cut()
            return await ask_redis()

        await self.given_back(unasked)
        self.assertEqual(await self.comes_back(at_once=True), ["1", "2", "3"])

    async def test_what_was_given_back_is_not_given_back_twice(self) -> None:
        """Redis has done it, and its answer is lost."""
        async def unanswered(ask_redis: Asked) -> int:
            link, before = self.first.store.backend._link, self.stored()
            link._protocol.transport.pauseProducing()
            asked = ask_redis()
            await until(lambda: self.stored() != before)
            link.cut()
            return await asked

        await self.given_back(unanswered)
        self.assertEqual(await self.comes_back(), ["1", "2", "3"])

    async def test_what_may_be_done_yet_is_given_back_once(self) -> None:
        """Redis was asked and comes to it later, perhaps when it is asked again."""
        async def unread(ask_redis: Asked) -> int:
            link = self.first.store.backend._link
            self.server.freeze()
            asked, transport = ask_redis(), link._protocol.transport
            await until(lambda: not transport.dataBuffer and not transport._tempDataBuffer)
            link.cut()
            self.server.thaw()
            return await asked

        await self.given_back(unread)
        self.assertEqual(await self.comes_back(), ["1", "2", "3"])

    async def test_what_was_given_back_to_a_redis_that_has_lost_it_is_given_back_again(self) -> None:
        """It is started again without a disk, and the room is put back as it was before."""
        self.patch(upkeep, "SETTLE_S", 0.5)

        async def killed(ask_redis: Asked) -> int:
            asked = ask_redis()
            self.server.stop()
            return await asked

        await self.given_back(killed)
        self.server.start()
        await until(lambda: all(one.store.reachable for one in (self.first, self.second)))
        self.assertEqual(await self.comes_back(), ["1", "2", "3"])

    async def test_a_client_that_is_gone_meanwhile_gets_nothing_in_its_next_seat(self) -> None:
        """Whether it was given back is not known, and need not be."""
        async def unasked(ask_redis: Asked) -> int:
            self.first.store.backend._link.cut()
            return await ask_redis()

        await self.given_back(unasked)
        await self.second.store.update("r", lambda one, now: switchboard.delete(one, now, "b"))
        await self.second.join("r", "b")
        self.assertEqual(await self.comes_back(), ["2", "3"])

    async def test_what_came_late_is_too_late_for_a_node_that_was_taken_for_dead(self) -> None:
        """It does not hear that the client had its next socket elsewhere, was told newer things there and lost that too."""
        backend, limits = self.first.store.backend, self.first.limits

        async def away(timeout: float) -> Connection:
            raise Fault("away")

        connect = backend._wire.connect
        backend._wire.connect = away
        backend._link.cut()
        await until(lambda: not self.first.store.reachable)

        def losing(room: Room, now: float) -> Any:
            return switchboard.lost(room, now, limits, "b")

        ask(self.server.path, "ZADD", "t:nodes", "0", backend.node)
        await self.second.store.apply("r", lambda known, now: losing(known.room, now), without=backend.node)
        await self.second.store.backend.bury(backend.node)
        new = await self.second.register("r", "b")
        await self.second.send("r", "a", "2")
        self.assertTrue(self.second.store.detach("r", "b", new))
        await self.second.store.update("r", losing, None, "b")
        backend._wire.connect = connect
        await until(lambda: self.first.store.reachable and not self.owed())
        await self.second.send("r", "a", "3")
        last = await self.second.register("r", "b")
        self.assertEqual((new.texts, last.texts), (["2"], ["3"]))

    def stored(self) -> bytes:
        """The room as Redis has it."""
        return ask(self.server.path, "GET", "t:room:r")
