"""Nodes on a real Redis that sign with different secrets hear of it, and so does the operator."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from rtcd.cluster.address import Address
from rtcd.cluster.redis import RedisBackend
from rtcd.cluster.shared import SharedRooms
from rtcd.cluster.strangers import Strangers
from rtcd.cluster.wire import Wire
from rtcd.ice.credentials import Credentials
from rtcd.metrics import Metrics
from rtcd.rooms.settings import RoomsSettings
from tests.redis import ask, is_here, shared_server


class StrangerTests(TestCase):
    """Each node beats when the test says so."""

    if not is_here():
        skip = "redis-server is not installed"

    def setUp(self) -> None:
        self.path, self.prefix = shared_server().path, f"{self.id()}:"
        self.credentials: dict[str, Credentials] = {}
        self.metrics: dict[str, Metrics] = {}

    async def node(self, name: str, *secrets: str) -> RedisBackend:
        """One that is connected; without secrets it shows no mark, as one of an older release."""
        if secrets:
            self.credentials[name] = Credentials(secrets, 60)
        strangers = Strangers(self.credentials[name]) if secrets else None
        backend = RedisBackend(reactor, Wire(reactor, Address(path=self.path)), self.prefix, 60, name, strangers)
        self.metrics[name] = Metrics()
        SharedRooms(reactor, RoomsSettings(), self.metrics[name], backend)
        backend.follow(lambda entry: None, lambda state: None)
        await backend.start()
        backend._beating.stop()
        self.addCleanup(backend.close)
        return backend

    async def counts(self, *nodes: RedisBackend) -> list[int]:
        """How many strangers each sees after two more beats of all."""
        for _ in range(2):
            for one in nodes:
                await one._say_alive()
        return [one.strangers for one in nodes]

    async def test_different_secrets_are_seen_and_told_once(self) -> None:
        """By both; a reload with the same one ends it."""
        with capturedLogs() as logs:
            nodes = await self.node("n", "s3cret-1"), await self.node("m", "s3cret-2")
            self.assertEqual(await self.counts(*nodes), [1, 1])
            self.assertEqual(await self.counts(*nodes), [1, 1])
            self.assertEqual([self.metrics[one].now("rtcd_store_strangers") for one in "nm"], [1, 1])
            self.credentials["m"].take(Credentials(("s3cret-1",), 60))
            self.assertEqual(await self.counts(*nodes), [0, 0])
        said = [(one["log_level"], formatEvent(one) or "") for one in logs if one["log_namespace"].endswith("RedisBackend")]
        self.assertEqual([level for level, _ in said], [LogLevel.warn] * 2 + [LogLevel.info] * 2)
        self.assertIn("sign with another [credentials] secret (1)", said[0][1])
        self.assertNotIn("s3cret", str(said))

    async def test_one_secret_and_one_that_is_replaced_are_nothing_to_tell(self) -> None:
        """Both accept what the other signs with."""
        nodes = await self.node("n", "new", "old"), await self.node("m", "old", "new"), await self.node("o", "new", "old")
        self.assertEqual(await self.counts(*nodes), [0, 0, 0])

    async def test_only_who_does_not_accept_the_other_sees_a_stranger(self) -> None:
        """The new secret was made the first one before all had it."""
        nodes = await self.node("n", "new", "old"), await self.node("m", "old")
        self.assertEqual(await self.counts(*nodes), [0, 1])

    async def test_a_node_of_an_older_release_shows_no_mark(self) -> None:
        """Nothing is said of it, and it sees nobody."""
        nodes = await self.node("n", "ours"), await self.node("m")
        self.assertEqual(await self.counts(*nodes), [0, 0])

    async def test_who_leaves_or_dies_is_no_stranger_any_more(self) -> None:
        """A mark goes with its node, or ends with its lease, and no other release has to take it away."""
        first, second, third = await self.node("n", "ours"), await self.node("m", "theirs"), await self.node("o", "theirs")
        self.assertEqual(await self.counts(first, second, third), [2, 1, 1])
        left = int(ask(self.path, "PTTL", f"{self.prefix}mark:o")[1:])
        self.assertTrue(0 < left <= 9000, left)
        await second.close()
        self.assertEqual(ask(self.path, "EXISTS", f"{self.prefix}mark:m"), b":0\r\n")
        self.assertEqual(await self.counts(first), [1])
        ask(self.path, "ZADD", f"{self.prefix}nodes", "1", "o")
        self.assertEqual(await self.counts(first), [0])
