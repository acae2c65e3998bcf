"""Texts that go the short way between processes, over a real unix socket."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import UNIXClientEndpoint, UNIXServerEndpoint
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase

from rtcd.cluster import serving
from rtcd.cluster.backend import Commit
from rtcd.cluster.floors import FLOOR_S
from rtcd.cluster.hub import Hub
from rtcd.cluster.line import Line
from rtcd.cluster.local import SocketBackend
from rtcd.cluster.serving import HubServer
from rtcd.cluster.shared import SharedRooms
from rtcd.metrics import Metrics
from rtcd.rooms import room as rooms
from rtcd.rooms.outcome import Said
from rtcd.rooms.records import BYE
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import switchboard
from tests.shell.room_store import FakeSocket, FakeWatcher

LIMITS = RoomsSettings().limits


class ShortTests(TestCase):
    """Client ``a`` is at the first of two processes, ``b`` at the second; the first one has a watcher."""

    async def setUp(self) -> None:  # type: ignore[override] # trial waits
        self.clock = Clock()
        self.server = HubServer(Hub(), self.clock)
        path = self.mktemp()
        port = await UNIXServerEndpoint(reactor, path).listen(self.server)
        self.addCleanup(port.stopListening)
        self.stores: list[Any] = []
        self.told: list[Any] = []
        for _ in "12":
            self.stores.append(SharedRooms(
                reactor, RoomsSettings(), Metrics(), SocketBackend(reactor, UNIXClientEndpoint(reactor, path))))
        self.stores[0].watch(FakeWatcher(self.told))
        self.sockets = FakeSocket(), FakeSocket()
        for store in self.stores:
            await store.start()
            self.addCleanup(self.close, store)
        for store, client in zip(self.stores, "ab", strict=True):
            await store.update("r", lambda one, now, who=client: rooms.join(one, now, LIMITS, who))
        for store, client, socket in zip(self.stores, "ab", self.sockets, strict=True):
            await store.update("r", lambda one, now, who=client: switchboard.register(one, now, LIMITS, who), socket)
        await self.send(0, "a", "first")
        await self.until(lambda: all("r" in store.backend.speaker.floors for store in self.stores))

    async def test_many_large_rooms_are_listed_in_several_frames(self) -> None:
        """One that is too long would end the connection, each time that somebody wants to see the rooms."""
        self.patch(serving, "PAGE_BYTES", 150000)
        self.patch(Line, "MAX_LENGTH", 400000)
        bounds = self.stores[0].bounds
        for number in range(9):
            self.server.hub.commit(Commit(f"s{number}", 0, b"x" * 100000, bounds))
        backend = self.stores[0].backend
        names = ["r", *(f"s{number}" for number in range(9))]
        for after, limit, wanted in (("", 100, names), ("", 7, names[:7]), ("s3", 100, names[5:]), ("z", 100, [])):
            self.assertEqual([name for name, _ in await backend.page(after, limit)], wanted)
        self.assertTrue(self.stores[0].reachable)

    def close(self, store: SharedRooms) -> Deferred[None]:
        """End a process."""
        return ensureDeferred(store.close())

    async def send(self, number: int, client: str, text: str) -> None:
        """The ordinary way."""
        await self.stores[number].update("r", lambda one, now: switchboard.send(one, now, LIMITS, client, text))

    async def until(self, there: Any) -> None:
        """Wait for it."""
        for _ in range(2000):
            if there():
                return
            await deferLater(reactor, 0.001)
        self.fail("it does not come")

    async def test_texts_pass_and_a_leave_comes_behind_them(self) -> None:
        """Whoever leaves is sent nothing more; who stays has it all, and then the bye. The watcher has heard both."""
        for number in range(300):
            self.assertTrue(self.stores[0].relay("r", "a", f"a{number}"))
            self.assertTrue(self.stores[1].relay("r", "b", f"b{number}"))
        await self.stores[1].update("r", lambda one, now: switchboard.delete(one, now, "b"))
        await self.until(lambda: BYE in self.sockets[0].texts)
        self.assertEqual(self.sockets[0].texts, [*(f"b{number}" for number in range(300)), BYE])
        self.assertEqual(self.sockets[1].texts, ["first", *(f"a{number}" for number in range(300))])
        self.assertFalse(self.stores[0].relay("r", "a", "to nobody"))
        said = [one.text for _, one in self.told if isinstance(one, Said)]
        for client in "ab":
            self.assertEqual([one for one in said if one[1:].isdigit() and one[0] == client],
                             [f"{client}{number}" for number in range(300)])

    async def test_a_bye_goes_the_ordinary_way(self) -> None:
        """It changes the room."""
        self.assertFalse(self.stores[0].relay("r", "a", BYE))
        await self.send(0, "a", BYE)
        await self.until(lambda: BYE in self.sockets[1].texts)

    async def test_a_process_that_hangs_holds_up_a_change_for_a_while(self) -> None:
        """Until it may not speak any more."""
        line = self.stores[0].backend._line
        line.transport.pauseProducing()
        left: list[Any] = []
        Deferred.fromCoroutine(self.stores[1].update("r", lambda one, now: switchboard.delete(one, now, "b"))).addBoth(
            left.append)
        await self.until(lambda: self.server.floors.next_deadline is not None)
        self.clock.advance(FLOOR_S - 0.1)
        await deferLater(reactor, 0.01)
        self.assertEqual(left, [])
        self.clock.advance(0.2)
        await self.until(lambda: left)
        self.assertEqual(left, [None])
        line.transport.resumeProducing()
        await self.until(lambda: BYE in self.sockets[0].texts)

    async def test_who_may_speak_no_more_goes_the_ordinary_way(self) -> None:
        """When the hub has not heard of us for long, and for a while when another process does not keep up."""
        self.stores[0].backend.speaker.until = reactor.seconds() - 0.001
        self.assertFalse(self.stores[0].relay("r", "a", "x"))
        self.patch(__import__("rtcd.cluster.serving", fromlist=["MAX_BEHIND"]), "MAX_BEHIND", 1)
        self.assertTrue(self.stores[1].relay("r", "b", "y"))
        await self.until(lambda: not self.stores[1].relay("r", "b", "z"))

    async def test_a_lost_connection_takes_every_floor(self) -> None:
        """Old grants are void when it is back."""
        self.stores[0].backend._line.cut()
        self.assertFalse(self.stores[0].relay("r", "a", "x"))
        await self.until(lambda: self.stores[0].reachable)
        self.assertFalse(self.stores[0].relay("r", "a", "x"))
        await self.send(0, "a", "again")
        await self.until(lambda: self.stores[0].relay("r", "a", "short"))
        await self.until(lambda: self.sockets[1].texts[-1] == "short")
