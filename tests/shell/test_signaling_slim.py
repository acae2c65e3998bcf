"""What an open WebSocket does without, and that nothing misses it."""

from __future__ import annotations

from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from rtcd.signaling.settings import Settings
from rtcd.signaling.slim import OF_THE_HANDSHAKE, OPTIONS, UNTIL_IT_HAPPENS, Queue, Slim
from rtcd.signaling.websocket import SignalingProtocol
from tests.fakes_calls import Android, Server


class SlimTests(SynchronousTestCase):
    """One connection."""

    def opened(self, **settings: Any) -> tuple[Any, dict[str, Any], Server]:
        """It, what it had before, and the server."""
        server = Server(self, signaling=Settings(**settings))
        before: dict[str, Any] = {}

        def slim(one: Any) -> None:
            before.update(vars(one))
            Slim.slim(one)

        with mock.patch.object(SignalingProtocol, "slim", slim):
            Android(server, "room1").start()
        found, = server.signaling.factory.sockets
        return found, before, server

    def test_an_open_one_has_half_as_much(self) -> None:
        """So little that Python needs a table of the next smaller size."""
        one, before, _ = self.opened()
        self.assertLessEqual(len(vars(one)), 42)
        self.assertGreater(len(before), 60)

    def test_all_that_is_read_later_reads_as_before(self) -> None:
        """Options from the factory, and what has not happened."""
        one, before, _ = self.opened()
        kept = {name: value for name, value in before.items() if name in UNTIL_IT_HAPPENS}
        self.assertEqual({name: getattr(one, name) for name in kept}, kept)
        for name in OPTIONS:
            self.assertEqual(getattr(one, name), getattr(one.factory, name), name)
        self.assertEqual({getattr(one, name) for name in OF_THE_HANDSHAKE}, {None})
        self.assertRaises(AttributeError, getattr, one, "nothing_of_the_kind")

    def test_what_happens_is_noted(self) -> None:
        """Of this connection, and of no other."""
        one, _, server = self.opened()
        Android(server, "room2").start()
        other = next(found for found in server.signaling.factory.sockets if found is not one)
        one.sendClose(1000, "done")
        self.assertEqual((one.closedByMe, one.localCloseCode), (True, 1000))
        self.assertEqual((other.closedByMe, other.localCloseCode), (False, None))

    def test_each_keeps_how_often_it_is_pinged(self) -> None:
        """The next ones go by the new settings."""
        one, _, server = self.opened(ping_interval=7, ping_timeout=3)
        server.signaling.factory.use(Settings(ping_interval=0))
        self.assertEqual((one.autoPingInterval, one.autoPingTimeout), (7, 3))

    def test_the_queue_is_one(self) -> None:
        """First in, first out."""
        queue = Queue()
        queue.append("one")
        queue.append("two")
        self.assertEqual([queue.popleft(), queue.popleft(), len(queue)], ["one", "two", 0])
        self.assertRaises(IndexError, queue.popleft)
