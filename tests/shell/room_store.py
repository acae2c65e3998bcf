"""What every `IRoomStore` does: `StoreTests`, which a test case inherits that makes one."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from rtcd.interfaces import IRoomStore
from rtcd.rooms import mesh, orders
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import Declaration
from rtcd.rooms.outcome import Attach, Close, Deliver, Gone, Outcome, Said, StoreFull
from rtcd.rooms.records import BYE, Card, Terms
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import switchboard

SETTINGS = RoomsSettings(max_rooms=5, max_clients_per_address=3)
"""What the store is made with."""


class FakeSocket:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.events: list[Any] = []
        self.closed = False

    def deliver(self, text: str) -> None:
        """Keep it."""
        self.texts.append(text)

    def inform(self, text: str) -> None:
        """Keep it."""
        self.events.append(json.loads(text))

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class FakeWatcher:
    """Writes down what it is told."""

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def happened(self, room: str, news: Any, *, here: bool = True) -> None:
        """Write it down."""
        self.told.append((room, news))

    def said(self, room: str, client: str, text: str, here: bool = True) -> None:
        """Write it down like the rest."""
        self.happened(room, Said(client, text), here=here)


class StoreTests:
    """What an `IRoomStore` does; a subclass makes one in ``setUp`` as ``store``, its time in ``clock``."""

    store: Any
    clock: Clock
    outlives = False
    """Whether rooms go on when this process has ended."""
    assertEqual: Any
    assertFalse: Any
    assertTrue: Any
    assertFailure: Any

    async def settled(self) -> None:
        """Return when everything that is under way is done."""

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        await self.settled()

    async def refused(self, update: Coroutine[Any, Any, Any]) -> None:
        """An update that goes beyond a limit."""
        await self.assertFailure(ensureDeferred(update), StoreFull)

    async def update(self, room: str, change: Any, socket: FakeSocket | None = None) -> Any:
        """Apply a change and return its result."""
        return await self.store.update(room, change, socket)

    async def joined(self, room: str, client: str, address: str = "192.0.2.1") -> FakeSocket:
        """Join and register a client."""
        limits = self.store.limits
        await self.update(room, lambda one, now: rooms.join(one, now, limits, client, address))
        socket = FakeSocket()
        await self.update(room, lambda one, now: switchboard.register(one, now, limits, client), socket)
        return socket

    async def page(self, room: str, client: str, tag: str, address: str = "192.0.2.1") -> FakeSocket:
        """Join and register a page."""
        limits, asked = self.store.limits, Declaration(Card(tag))
        await self.update(room, lambda one, now: mesh.join(one, now, limits, client, address, asked))
        socket = FakeSocket()
        await self.update(room, lambda one, now: switchboard.register(one, now, limits, client), socket)
        return socket

    async def seats(self, room: str) -> list[str]:
        """Who is in a room."""
        found: list[str] = await self.update(room, lambda one, _: Outcome(one, [client.id for client in one.clients]))
        return found

    async def test_it_is_a_room_store(self) -> None:
        """The interface is kept."""
        self.assertTrue(verifyObject(IRoomStore, self.store))

    async def test_effects_reach_the_attached_sockets_in_order(self) -> None:
        """And no other room's client of the same name."""
        first, second, other = await self.joined("r", "a"), await self.joined("r", "b"), await self.joined("s", "b")
        limits = self.store.limits
        for text in ("1", "2"):
            await self.update("r", lambda one, now, text=text: switchboard.send(one, now, limits, "a", text))
        self.assertEqual((first.texts, second.texts, other.texts), ([], ["1", "2"], []))

    async def test_a_detached_socket_gets_nothing_and_the_next_one_stays(self) -> None:
        """Detaching late does not hurt the socket that came since."""
        await self.joined("r", "a")
        old, new = await self.joined("r", "b"), FakeSocket()
        await self.update("r", lambda one, _: Outcome(one, None, (Attach("b"),)), new)
        self.store.detach("r", "b", old)
        await self.update("r", lambda one, _: Outcome(one, None, (Deliver("b", "x"), Close("b"), Deliver("gone", "y"))))
        self.assertEqual((old.texts, new.texts, new.closed), ([], ["x"], True))

    async def test_deadlines_come_by_themselves(self) -> None:
        """Join time-out, grace, and the byes that they cause."""
        first = await self.joined("r", "a")
        limits = self.store.limits
        await self.update("r", lambda one, now: rooms.join(one, now, limits, "b"))
        await self.advance(44)
        self.assertEqual(await self.seats("r"), ["a", "b"])
        await self.advance(1)
        self.assertEqual((await self.seats("r"), first.texts), (["a"], [BYE]))
        self.store.detach("r", "a", first)
        await self.update("r", lambda one, now: switchboard.lost(one, now, limits, "a"))
        await self.advance(10)
        self.assertEqual(await self.seats("r"), [])

    async def test_a_nearer_deadline_is_not_missed(self) -> None:
        """One room's is set while another's is waited for."""
        limits = self.store.limits
        await self.update("far", lambda one, now: rooms.join(one, now, limits, "a"))
        await self.advance(20)
        await self.joined("near", "a")
        await self.update("near", lambda one, now: switchboard.lost(one, now, limits, "a"))
        await self.advance(10)
        self.assertEqual((await self.seats("near"), await self.seats("far")), ([], ["a"]))
        await self.advance(15)
        self.assertEqual(await self.seats("far"), [])

    async def test_the_census_counts_rooms_and_an_address_s_seats(self) -> None:
        """Seats are given back whatever ends them."""
        await self.joined("r", "a", "192.0.2.1")
        await self.joined("r", "b", "192.0.2.2")
        await self.joined("s", "c", "192.0.2.1")
        census = await self.store.census("192.0.2.1")
        self.assertEqual((census.rooms, census.seats), (2, 2))
        await self.update("r", lambda one, now: switchboard.delete(one, now, "a"))
        await self.update("s", lambda one, now: switchboard.delete(one, now, "c"))
        census = await self.store.census("192.0.2.1")
        self.assertEqual((census.rooms, census.seats), (1, 0))

    async def test_rooms_are_listed_by_name_in_bounded_pages(self) -> None:
        """Each as it is now; one that was made beforehand is among them, and counts against the limit."""
        for name in ("c", "a", "b"):
            await self.joined(name, "x")
        made = Terms(expires_at=self.clock.seconds() + 60)
        self.assertTrue(await self.update("d", lambda one, now: orders.create(one, now, made)))

        async def listed(after: str, limit: int) -> list[tuple[str, list[str]]]:
            found = await self.store.rooms(after, limit)
            return [(name, [client.id for client in room.clients]) for name, room in found]

        self.assertEqual(await listed("", 2), [("a", ["x"]), ("b", ["x"])])
        self.assertEqual(await listed("b", 9), [("c", ["x"]), ("d", [])])
        self.assertEqual((await listed("d", 9), await listed("", 0)), ([], []))
        await self.joined("e", "y", "192.0.2.2")
        await self.refused(self.store.update(
            "f", lambda one, now: orders.create(one, now, made)))
        await self.advance(60)
        self.assertEqual([name for name, _ in await listed("", 9)], ["a", "b", "c", "e"])

    async def test_seats_are_given_back_whatever_ends_them(self) -> None:
        """An address at its limit may join again when one of its clients is gone."""
        limits = self.store.limits
        for name in ("r", "s", "t"):
            await self.joined(name, "c0")
        for number, ended in enumerate((
            lambda one, now: switchboard.delete(one, now, "c0"), lambda one, now: rooms.leave(one, now, limits, "c1"),
            lambda one, now: rooms.close(one, now),
        )):
            await self.refused(self.store.update(
                "u", lambda one, now: rooms.join(one, now, limits, "x", "192.0.2.1")))
            await self.update("r", ended)
            await self.joined("r", f"c{number + 1}")

    async def test_watchers_are_told_what_happens_before_its_effects(self) -> None:
        """Every one of them, in order; those of an expiry and of the end too."""
        told: list[Any] = []
        for _ in range(2):
            self.store.watch(FakeWatcher(told))
        limits = self.store.limits
        first = await self.joined("r", "a")
        await self.joined("r", "b")
        told.clear()
        first.texts = told
        await self.update("r", lambda one, now: switchboard.send(one, now, limits, "b", "hello"))
        self.assertEqual(told, [("r", Said("b", "hello"))] * 2 + ["hello"])
        told.clear()
        await self.update("r", lambda one, now: switchboard.lost(one, now, limits, "b"))
        self.assertEqual(told, [])
        await self.advance(10)
        self.assertEqual(told, [("r", Gone("b"))] * 2 + [BYE])
        told.clear()
        await self.store.close()
        self.assertEqual(told, [] if self.outlives else [("r", Gone("a"))] * 2 + [BYE])

    async def test_pages_are_told_of_every_change_whatever_made_it(self) -> None:
        """Behind its effects: a caller's update, an expiry, and a change of the limits."""
        limits = self.store.limits
        first, second = await self.page("r", "a", "1"), await self.page("r", "b", "2", "192.0.2.2")
        for one in (first, second):
            self.assertEqual([member["id"] for member in one.events[-1]["members"]], ["1", "2"])
        self.assertEqual([len(one.events) for one in (first, second)], [3, 1])
        await self.update("r", lambda one, now: mesh.command(one, now, limits, "a", mesh.Direct("2", "x"), b""))
        self.assertEqual(([one["event"] for one in second.events], len(first.events)), (["room", "message"], 3))
        self.store.detach("r", "b", second)
        await self.update("r", lambda one, now: switchboard.lost(one, now, limits, "b"))
        self.assertFalse(first.events[-1]["members"][1]["here"])
        await self.advance(30)
        self.assertEqual((first.events[-1]["gone"], len(first.events)), ({"2": "lost"}, 5))
        self.store.use(replace(SETTINGS, capacity=4))
        await self.settled()
        self.assertEqual((first.events[-1]["capacity"], len(first.events)), (4, 6))
        self.store.use(replace(SETTINGS, capacity=4, grace=1))
        await self.settled()
        self.assertEqual(len(first.events), 6)

    async def test_a_page_that_comes_back_needs_no_second_seat(self) -> None:
        """An address at its limit: its seat is taken over, with what others have written."""
        limits = self.store.limits
        for name in ("r", "s", "t"):
            await self.page(name, "a", "1")
        asked = Declaration(Card("1"), was="a")
        joined = await self.update("r", lambda one, now: mesh.join(one, now, limits, "b", "192.0.2.1", asked))
        self.assertEqual((joined.result, await self.seats("r")), ("SUCCESS", ["b"]))

    async def test_what_is_not_kept_is_no_news(self) -> None:
        """A change that the store refuses."""
        told: list[Any] = []
        self.store.watch(FakeWatcher(told))
        limits = self.store.limits
        for name in ("r", "s", "t"):
            await self.joined(name, "a")
        told.clear()
        await self.refused(self.store.update(
            "r", lambda one, now: rooms.join(one, now, limits, "b", "192.0.2.1")))
        self.assertEqual(told, [])

    async def test_closing_tells_every_room(self) -> None:
        """A bye, unless the room goes on, and a close for each socket; nothing is left that waits."""
        sockets = [await self.joined(name, "a") for name in ("r", "s", "t")]
        await self.store.close()
        self.assertEqual([(one.texts, one.closed) for one in sockets], [([] if self.outlives else [BYE], True)] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_a_limit_changes_nothing(self) -> None:
        """StoreFull: no room, no seat, no effect."""
        limits = self.store.limits
        socket = await self.joined("r0", "a")
        for number in range(1, 5):
            await self.joined(f"r{number}", "a", f"192.0.2.{number}")
        await self.refused(self.store.update(
            "r9", lambda one, now: rooms.join(one, now, limits, "z")))
        self.assertEqual(await self.seats("r9"), [])
        await self.joined("r0", "b", "192.0.2.9")
        self.assertEqual((await self.seats("r0"), socket.texts), (["a", "b"], []))
