"""Every `IRoomStore` on its own: what one process sees of it."""

from __future__ import annotations

from typing import Any
from unittest import skipUnless

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import UNIXClientEndpoint, UNIXServerEndpoint
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase

from rtcd.cluster.address import Address
from rtcd.cluster.hub import Hub
from rtcd.cluster.inside import HubBackend
from rtcd.cluster.local import SocketBackend
from rtcd.cluster.redis import RedisBackend
from rtcd.cluster.serving import HubServer
from rtcd.cluster.shared import SharedRooms
from rtcd.cluster.wire import Wire
from rtcd.metrics import Metrics
from rtcd.rooms.memory import MemoryRooms
from tests.redis import is_here, shared_server
from tests.shell.room_store import SETTINGS, StoreTests


class MemoryTests(StoreTests, TestCase):
    """`MemoryRooms`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryRooms(self.clock, SETTINGS, Metrics())


class HubTests(StoreTests, TestCase):
    """The embedded store, in its own process."""

    async def setUp(self) -> None:  # type: ignore[override] # trial waits
        self.clock = Clock()
        server = HubServer(Hub(), self.clock)
        server.end()
        self.store: Any = SharedRooms(self.clock, SETTINGS, Metrics(), HubBackend(server))
        await self.store.start()


class WaitingTests(StoreTests):
    """For stores that need the real reactor, while rooms go by a clock of the test's."""

    async def settled(self) -> None:
        """Until no update is under way and no timer's work goes on."""
        while not is_idle(self.store):
            await deferLater(reactor, 0.001)


class SocketTests(WaitingTests, TestCase):
    """The embedded store, over a real unix socket."""

    async def setUp(self) -> None:  # type: ignore[override] # trial waits
        self.clock = Clock()
        server = HubServer(Hub(), reactor)
        server.end()
        path = self.mktemp()
        port = await UNIXServerEndpoint(reactor, path).listen(server)
        self.addCleanup(port.stopListening)
        backend = SocketBackend(reactor, UNIXClientEndpoint(reactor, path))
        self.store = SharedRooms(self.clock, SETTINGS, Metrics(), backend)
        await self.store.start()
        self.addCleanup(lambda: ensureDeferred(self.store.close()))


@skipUnless(is_here(), "redis-server is not installed")
class RedisTests(WaitingTests, TestCase):
    """Rooms on a real Redis."""

    outlives = True

    async def setUp(self) -> None:  # type: ignore[override] # trial waits
        self.clock = Clock()
        backend = RedisBackend(reactor, Wire(reactor, Address(path=shared_server().path)), f"{self.id()}:", 3600)
        self.store = SharedRooms(self.clock, SETTINGS, Metrics(), backend)
        await self.store.start()
        self.addCleanup(lambda: ensureDeferred(self.store.close()))


def is_idle(store: SharedRooms) -> bool:
    """Whether nothing goes on in it."""
    upkeep = store._upkeep
    return store.turns.idle and not upkeep._mending and all(one.call is not None for one in upkeep._loops)
