"""Redis that goes away, comes back empty, or is another one: what clients see of it, with real servers."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from typing import Any
from unittest import skipUnless

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults, succeed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from rtcd.cluster import redis as backend_module
from rtcd.cluster import upkeep
from rtcd.cluster.address import Address
from rtcd.cluster.redis import RedisBackend
from rtcd.cluster.shared import SharedRooms
from rtcd.cluster.wire import Fault, Refusal, Wire
from rtcd.metrics import Metrics
from rtcd.rooms import mesh
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import Declaration
from rtcd.rooms.outcome import Outcome, StoreAway, StoreUnavailable
from rtcd.rooms.records import BYE, Card
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import switchboard
from tests.doctor import signed
from tests.redis import RedisServer, Replicated, ask, free_port, is_here
from tests.shell.room_store import FakeSocket

WITHIN_S = 10.0


class Node:
    """A process of a cluster, as far as rooms go."""

    def __init__(self, address: Address, settings: RoomsSettings) -> None:
        backend = RedisBackend(reactor, Wire(reactor, address), "t:", 3600)
        self.store: Any = SharedRooms(reactor, settings, Metrics(), backend)
        self.limits = self.store.limits

    async def join(self, room: str, client: str) -> str:
        """Take a seat."""
        joined = await self.store.update(room, lambda one, now: rooms.join(one, now, self.limits, client))
        return str(joined.result)

    async def page(self, room: str, client: str, tag: str) -> FakeSocket:
        """Take a seat as a page, and register."""
        await self.store.update(room, lambda one, now: mesh.join(
            one, now, self.limits, client, "192.0.2.1", Declaration(Card(tag))))
        return await self.register(room, client)

    async def register(self, room: str, client: str) -> FakeSocket:
        """Open a socket."""
        socket = FakeSocket()
        refused = await self.store.update(
            room, lambda one, now: switchboard.register(one, now, self.limits, client), socket)
        assert refused is None, refused
        return socket

    async def send(self, room: str, client: str, text: str) -> None:
        """Say something."""
        refused = await self.store.update(room, lambda one, now: switchboard.send(one, now, self.limits, client, text))
        assert refused is None, refused

    async def seats(self, room: str) -> list[tuple[str, bool]]:
        """Who is there, and has a socket."""
        found: list[tuple[str, bool]] = await self.store.update(
            room, lambda one, _: Outcome(one, [(client.id, client.registered) for client in one.clients]))
        return found

    async def crash(self) -> None:
        """Be gone without a word."""
        for loop in (*self.store._upkeep._loops, self.store.backend._beating):
            loop.stop()
        self.store._upkeep._loops.clear()
        self.store.backend._closed = True
        for one in self.store.backend._made:
            await one.end()


async def until(true: Any, seconds: float = WITHIN_S) -> None:
    """Wait for something, but not for ever."""
    for _ in range(int(seconds / 0.01)):
        found = true()
        if await found if isinstance(found, Deferred) else found:
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("it does not come")


@skipUnless(is_here(), "redis-server and redis-sentinel are not installed")
class OutageTests(TestCase):
    """Two nodes on one Redis."""

    def setUp(self) -> None:
        for module in (backend_module, upkeep):
            self.patch(module, "BEAT_S", 0.1)
        self.patch(backend_module, "LEASE_S", 0.5)
        self.patch(backend_module, "CLAIM_S", 0.2)
        self.patch(backend_module, "ANSWER_S", 0.4)
        self.patch(backend_module, "BLOCK_S", 0.2)
        self.patch(upkeep, "DUE_S", 0.1)
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.nodes: list[Node] = []
        self.addCleanup(self.close)

    async def close(self) -> None:
        """End every node that has not crashed."""
        for node in self.nodes:
            if not node.store.backend._closed:
                await node.store.close()

    async def two(self, address: Address, **settings: Any) -> list[Node]:
        """Two nodes that are connected."""
        chosen = RoomsSettings(**{"grace": 1.0, "page_grace": 1.0} | settings)
        self.nodes = [Node(address, chosen), Node(address, chosen)]
        for node in self.nodes:
            await node.store.start()
            await until(lambda node=node: node.store.reachable)
        return self.nodes

    def server(self, *options: str, **more: Any) -> RedisServer:
        """A Redis of this test's own."""
        server = RedisServer(f"{self.folder}/{len(options)}{more.get('port', '')}", *options, **more)
        self.addCleanup(server.stop)
        return server

    async def test_a_dead_node_gives_its_seats_back(self) -> None:
        """The peer on the other node is told once, when the grace time is over; nothing of the node is left."""
        server = self.server()
        first, second = await self.two(Address(path=server.path))
        for node, client in ((first, "a"), (second, "b")):
            await node.join("r", client)
        sockets = [await first.register("r", "a"), await second.register("r", "b")]
        await first.send("r", "a", "hello")
        await until(lambda: sockets[1].texts)
        mine = f"*{first.store.backend.node}*"
        self.assertIn(b"inbox", ask(server.path, "KEYS", mine))
        await first.crash()
        self.assertEqual(await second.seats("r"), [("a", True), ("b", True)])
        await until(lambda: len(sockets[1].texts) > 1)
        self.assertEqual((await second.seats("r"), sockets[1].texts), ([("b", True)], ["hello", BYE]))
        await until(lambda: b"inbox" not in ask(server.path, "KEYS", mine))

    async def test_a_redis_that_does_not_answer_stops_nobody(self) -> None:
        """Who asks is told so, within a moment and then at once, and it is not done later either; whoever lost his socket
        meanwhile has lost it afterwards, and what went on goes on."""
        server = self.server()
        first, second = await self.two(Address(path=server.path), grace=600)
        for node, client in ((first, "a"), (second, "b")):
            await node.join("r", client)
        sockets = [await first.register("r", "a"), await second.register("r", "b")]
        server.freeze()
        await self.assertFailure(ensureDeferred(first.join("s", "c")), StoreUnavailable)
        await until(lambda: not first.store.reachable and not second.store.reachable)
        for _ in range(100):  # at once, without a turn of the reactor
            self.failureResultOf(ensureDeferred(first.join("s", "c")), StoreUnavailable)
        self.assertTrue(second.store.detach("r", "b", sockets[1]))
        server.thaw()
        await until(lambda: first.store.reachable and second.store.reachable)
        self.assertEqual(await first.join("s", "c"), "SUCCESS")
        await until(lambda: ensureDeferred(first.seats("r")).addCallback(lambda found: found == [("a", True), ("b", False)]))
        await first.send("r", "a", "queued")
        again = await first.register("r", "b")
        self.assertEqual((sockets[0].closed, sockets[1].closed, again.texts), (False, False, ["queued"]))

    async def test_a_redis_that_has_lost_everything_is_given_it_back(self) -> None:
        """Killed and started again without a disk: seats, queues and locks are as they were. Pages connect anew, since what
        was on its way to them may be lost; apps, which cannot, stay."""
        server = self.server()
        first, second = await self.two(Address(path=server.path), grace=600, page_grace=600)
        for node, client in ((first, "a"), (second, "b")):
            await node.join("r", client)
        sockets = [await first.register("r", "a"), await second.register("r", "b")]
        await first.join("alone", "x")
        await first.store.update("alone", lambda one, now: rooms.message(one, now, first.limits, "x", "offer"))
        page = await second.page("pages", "p", "1" * 16)
        server.stop()
        await until(lambda: not first.store.reachable and not second.store.reachable)
        server.start()
        await until(lambda: first.store.reachable and second.store.reachable and page.closed)
        await until(lambda: ensureDeferred(second.seats("r")).addCallback(lambda found: found == [("a", True), ("b", True)]))
        await first.send("r", "a", "after")
        await until(lambda: sockets[1].texts)
        self.assertEqual((sockets[1].texts, sockets[0].closed, sockets[1].closed), (["after"], False, False))
        joined = await second.store.update("alone", lambda one, now: rooms.join(one, now, second.limits, "y"))
        self.assertEqual((joined.result, joined.is_initiator, joined.messages), ("SUCCESS", False, ("offer",)))
        await until(lambda: ensureDeferred(first.seats("pages")).addCallback(lambda found: found == [("p", False)]))
        self.assertEqual((await first.store.census("")).seats, 4)

    async def test_a_redis_that_takes_no_writes_is_away(self) -> None:
        """It says so and has done nothing, so what clients say can wait; when it writes again it is back."""
        server = self.server()
        first, second = await self.two(Address(path=server.path), grace=600)
        await first.join("r", "a")
        socket = await first.register("r", "a")
        ask(server.path, "CONFIG", "SET", "min-replicas-to-write", "1")
        await self.assertFailure(ensureDeferred(second.join("r", "b")), StoreAway)
        await until(lambda: not first.store.reachable and not second.store.reachable)
        await until(lambda: first.store.trouble.startswith("NOREPLICAS"))
        ask(server.path, "CONFIG", "SET", "min-replicas-to-write", "0")
        await until(lambda: first.store.reachable and second.store.reachable)
        self.assertEqual((first.store.place, first.store.trouble), (f"unix://{server.path}", ""))
        self.assertEqual((await second.join("r", "b"), await first.seats("r"), socket.closed),
                         ("SUCCESS", [("a", True), ("b", False)], False))

    async def test_a_redis_that_is_full_can_get_less_full(self) -> None:
        """Who comes is told to come later, who is there may go, and nodes live on."""
        server = self.server()
        first, second = await self.two(Address(path=server.path), grace=600)
        for client in "ab":
            await first.join("r", client)
        sockets = [await first.register("r", "a"), await second.register("r", "b")]
        ask(server.path, "CONFIG", "SET", "maxmemory", "1")
        await self.assertFailure(ensureDeferred(second.join("s", "c")), StoreAway)
        self.assertTrue(second.store.detach("r", "b", sockets[1]))
        await second.store.update("r", lambda one, now: switchboard.lost(one, now, second.limits, "b"))
        await deferLater(reactor, 1.0)
        self.assertTrue(first.store.reachable and second.store.reachable)
        self.assertEqual(await first.seats("r"), [("a", True), ("b", False)])
        for client in "ab":
            await second.store.update("r", lambda one, now, client=client: switchboard.delete(one, now, client))
        self.assertEqual(ask(server.path, "EXISTS", "t:room:r"), b":0\r\n")
        self.assertEqual(await first.seats("r"), [])

    def test_what_redis_6_wraps_is_known_too(self) -> None:
        """An error of a command in a script."""
        wrapped = "ERR Error running script (call to f_5): @user_script:9: @user_script: 9: -READONLY You can't write "
        self.assertTrue(Refusal(wrapped).is_one_of(("OOM", "READONLY")))
        self.assertTrue(Refusal("OOM command not allowed").is_one_of(("OOM", "READONLY")))
        self.assertFalse(Refusal("ERR unknown command 'x', with args beginning with: '-OOM '").is_one_of(("OOM",)))

    async def test_sentinel_finds_the_next_master(self) -> None:
        """The master is killed while both ends speak: a replica takes over, and nobody has done anything."""
        redis = Replicated(self.folder)
        self.addCleanup(redis.stop)
        address = Address((("127.0.0.1", free_port()), ("127.0.0.1", redis.sentinel_port)), master="rooms")
        first, second = await self.two(address, grace=600)
        for node, client in ((first, "a"), (second, "b")):
            await node.join("r", client)
        sockets = [await first.register("r", "a"), await second.register("r", "b")]
        await first.send("r", "a", "before")
        await until(lambda: sockets[1].texts)
        redis.fail()
        await until(lambda: not first.store.reachable)
        await until(lambda: first.store.reachable and second.store.reachable, 20)
        await until(lambda: ensureDeferred(second.seats("r")).addCallback(lambda found: found == [("a", True), ("b", True)]))
        await first.send("r", "a", "after")
        await until(lambda: len(sockets[1].texts) > 1)
        self.assertEqual((sockets[1].texts, sockets[0].closed, sockets[1].closed), (["before", "after"], False, False))
        self.assertEqual(await second.join("s", "c"), "SUCCESS")

    async def test_tls_and_passwords_are_those_of_the_ini(self) -> None:
        """A certificate of another authority is refused, and so are we with another password."""
        authority, stranger = signed("authority"), signed("stranger")
        leaf = signed("redis", authority, hosts=("localhost",))
        for name, data in (("ca", authority.pem), ("cert", leaf.pem), ("key", leaf.key_pem)):
            with open(f"{self.folder}/{name}.pem", "wb") as file:
                file.write(data)
        port = free_port()
        self.server("--tls-port", str(port), "--tls-cert-file", f"{self.folder}/cert.pem", "--tls-key-file",
                    f"{self.folder}/key.pem", "--tls-ca-cert-file", f"{self.folder}/ca.pem", "--tls-auth-clients", "no",
                    "--requirepass", "s3cret-word")
        good = Address((("localhost", port),), password="s3cret-word", tls=True, database=3)
        connection = await Wire(reactor, good, authority.pem).connect(2.0)
        self.assertEqual(await connection.ask("GET", "nothing"), None)
        await connection.end()
        for address, ca, said in ((good, stranger.pem, "certificate verify failed"),
                                  (replace(good, password="other"), authority.pem, "WRONGPASS"),
                                  (replace(good, tls=False), b"", "")):
            fault = await self.assertFailure(ensureDeferred(Wire(reactor, address, ca).connect(1.0)), Fault)
            self.assertIn(said, str(fault))
            self.assertNotIn("s3cret-word", str(fault))

    async def test_no_error_of_redis_shows_the_password(self) -> None:
        """One without AUTH repeats what it was sent."""
        address = Address(path=self.server("--rename-command", "AUTH", "").path, password="s3cret-word")
        fault = await self.assertFailure(ensureDeferred(Wire(reactor, address).connect(1.0)), Fault)
        self.assertEqual(str(fault), "AUTH is refused: ERR")

    async def test_a_sentinel_that_leads_nowhere_is_left(self) -> None:
        """For the next one, with which the next connection begins."""
        gone, here = free_port(), free_port()
        self.server(port=here)
        wire = Wire(reactor, Address((("a", 1), ("b", 2), ("c", 3)), master="rooms"))
        asked: list[str] = []

        async def named_by(host: str, port: int) -> tuple[str, int]:
            asked.append(host)
            return "127.0.0.1", here if host == "c" else gone

        self.patch(wire, "_named_by", named_by)
        for _ in range(2):
            await (await wire.connect(1.0)).end()
        self.assertEqual(asked, ["a", "b", "c", "c"])
        self.patch(wire, "_named_by", lambda host, port: succeed(("127.0.0.1", gone)))
        fault = await self.assertFailure(ensureDeferred(wire.connect(1.0)), Fault)
        self.assertIn(f"Sentinel c:3 names 127.0.0.1:{gone} as master: Connection was refused", str(fault))

    async def test_the_end_of_a_node_keeps_the_seats_of_its_clients(self) -> None:
        """A rolling restart: their sockets are closed, nobody is told bye, and they register at the other node."""
        server = self.server()
        first, second = await self.two(Address(path=server.path), grace=600)
        for node, client in ((first, "a"), (second, "b")):
            await node.join("r", client)
        sockets = [await first.register("r", "a"), await second.register("r", "b")]
        await first.store.close()
        self.assertEqual((sockets[0].closed, sockets[0].texts, sockets[1].texts), (True, [], []))
        self.assertEqual(await second.seats("r"), [("a", False), ("b", True)])
        await second.send("r", "b", "meanwhile")
        self.assertEqual((await second.register("r", "a")).texts, ["meanwhile"])
        self.assertNotIn(first.store.backend.node.encode(), ask(server.path, "KEYS", "*"))

    async def test_what_is_said_while_a_node_ends_is_not_lost(self) -> None:
        """It comes to the old socket or to the next one, in order, once."""
        first, second = await self.two(Address(path=self.server().path), grace=600)
        for node, client in ((first, "a"), (second, "b")):
            await node.join("r", client)
        old, other = await first.register("r", "a"), await second.register("r", "b")
        said = [f"{number}" for number in range(60)]
        sending = gatherResults([ensureDeferred(second.send("r", "b", text)) for text in said])
        await until(lambda: old.texts)
        closing = ensureDeferred(first.store.close())
        await first.send("r", "a", "last words")
        with self.assertRaises(StoreUnavailable):
            await first.join("another", "c")
        await closing
        await sending
        new = await second.register("r", "a")
        await until(lambda: len(old.texts + new.texts) >= len(said))
        self.assertEqual((old.texts + new.texts, old.closed), (said, True))
        self.assertEqual(other.texts, ["last words"])
        self.assertTrue(new.texts, "it was closed too late for this test")

    async def test_a_node_that_ends_too_slowly_is_dead(self) -> None:
        """What it could not say in time others do: its clients are lost, and their peers told once."""
        first, second = await self.two(Address(path=self.server().path))
        for node, client in ((first, "a"), (second, "b")):
            await node.join("r", client)
        sockets = [await first.register("r", "a"), await second.register("r", "b")]
        self.patch(upkeep, "CLOSE_S", 0.0)
        self.patch(first.store.backend, "commit", lambda commit: Deferred())
        await first.store.close()
        self.assertTrue(sockets[0].closed)
        self.assertEqual(await second.seats("r"), [("a", True), ("b", True)])
        await until(lambda: sockets[1].texts)
        self.assertEqual((await second.seats("r"), sockets[1].texts), ([("b", True)], [BYE]))
