"""Writing at once: the same bytes in the same order as Twisted's own way, sooner."""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.unix import Client
from twisted.internet.unix import Server as UnixServer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from rtcd.doorway import immediate
from rtcd.doorway.immediate import (
    MAX_TOGETHER_BYTES,
    ConnectingAtOnce,
    ImmediateServer,
    ImmediateUnixClient,
    ImmediateUnixServer,
    at_once,
)
from rtcd.doorway.listeners import open_listeners
from rtcd.turns import Turns

BIG = 3_000_000
"""More than a socket takes."""


@implementer(IPushProducer, IPullProducer)
class Producer:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """The queue is long."""
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """It is empty."""
        self.told.append("resume")

    def stopProducing(self) -> None:
        """The connection is gone."""
        self.told.append("stop")


class Link:
    """A connection of one kind, on a reactor that only does what the test says; ``turns``: and tells when its turns end."""

    def __init__(self, case: SynchronousTestCase, kind: type[Server] = ImmediateServer, *, turns: bool = False) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.turns = Turns()
        self.turns.told = turns
        case.patch(immediate, "TURNS", self.turns)
        ours, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.near: Any = kind(ours, Protocol(), ("192.0.2.7", 4711), None, 0, self.reactor)  # type: ignore[arg-type]
        self.near.protocol.makeConnection(self.near)

    @property
    def waits(self) -> bool:
        """Whether the reactor has something to write."""
        return self.near in self.reactor.writers

    def turn(self) -> None:
        """The reactor comes round."""
        self.turns.end()
        if self.waits and self.near.connected:
            why = self.near.doWrite()
            if why is not None:
                self.near.connectionLost(mock.Mock(value=why, check=lambda *_: False))

    def read(self, size: int = 10 * BIG) -> bytes:
        """What has arrived."""
        found = b""
        try:
            while len(found) < size:
                data = self.far.recv(size - len(found))
                if not data:
                    break
                found += data
        except BlockingIOError:
            pass
        return found

    def drain(self) -> bytes:
        """All of it."""
        self.turns.end()
        found = self.read()
        for _ in range(100):
            if not self.waits:
                break
            self.turn()
            found += self.read()
        return found

    def close(self) -> None:
        """Both ends."""
        self.far.close()
        if self.near.connected:
            self.near.socket.close()


class ImmediateTests(SynchronousTestCase):
    """One connection."""

    def link(self, kind: type[Server] = ImmediateServer, *, turns: bool = False) -> Link:
        """Closed at the end."""
        found = Link(self, kind, turns=turns)
        self.addCleanup(found.close)
        return found

    def test_what_the_socket_takes_needs_no_reactor(self) -> None:
        """Twisted's own would wait for it."""
        link, old = self.link(), self.link(Server)
        for one in (link, old):
            one.near.write(b"one")
            one.near.writeSequence([b"two", b"three"])
        self.assertEqual((link.read(), link.waits), (b"onetwothree", False))
        self.assertEqual((old.read(), old.waits), (b"", True))

    def test_what_is_written_in_one_turn_goes_out_as_one(self) -> None:
        """At its end, and not at the next one again."""
        link = self.link(turns=True)
        with mock.patch.object(link.near, "socket", wraps=link.near.socket) as counted:
            for _ in range(3):
                link.near.write(b"a")
            link.near.writeSequence([b"b", b"c"])
            self.assertEqual((link.read(), counted.send.call_count), (b"", 0))
            link.turns.end()
            self.assertEqual((link.read(), counted.send.call_count, link.waits), (b"aaabc", 1, False))
            link.turns.end()
            self.assertEqual(counted.send.call_count, 1)
            link.near.write(b"d")
            link.turns.end()
            self.assertEqual((link.read(), counted.send.call_count), (b"d", 2))

    def test_so_much_does_not_wait_for_the_end_of_the_turn(self) -> None:
        """Who produces it is told that the socket is full while it still produces."""
        link, producer = self.link(turns=True), Producer()
        link.near.registerProducer(producer, True)
        link.near.write(b"a" * MAX_TOGETHER_BYTES)
        self.assertEqual(link.read(), b"")
        link.near.write(b"b")
        self.assertEqual(len(link.read()), MAX_TOGETHER_BYTES + 1)
        link.near.write(b"c" * (MAX_TOGETHER_BYTES + 1))
        self.assertEqual(len(link.read()), MAX_TOGETHER_BYTES + 1)
        for _ in range(BIG // 1000):
            link.near.write(b"d" * 1000)
            if producer.told:
                break
        self.assertEqual(producer.told, ["pause"])

    def test_what_was_written_goes_out_before_a_close_or_an_abort(self) -> None:
        """In the same turn."""
        for how in ("loseConnection", "loseWriteConnection", "abortConnection"):
            link = self.link(turns=True)
            link.near.write(b"goodbye")
            getattr(link.near, how)()
            self.assertEqual(link.read(7), b"goodbye", how)
            link.turns.end()
            self.assertEqual(link.read(), b"", how)

    def test_what_was_written_goes_out_before_we_end_a_connection_in_the_turn(self) -> None:
        """Such as when the reactor stops, or a protocol fails behind its answer; the end of the turn leaves it alone then.
        One whose other end is gone, or which takes no more, ends as ever."""
        for before in ("", "gone", "full"):
            link, producer = self.link(turns=True), Producer()
            link.near.registerProducer(producer, True)
            if before == "full":
                with contextlib.suppress(BlockingIOError):
                    while True:
                        link.near.socket.send(b"b" * 65536)
            elif before == "gone":
                link.far.close()
            link.near.write(b"a")
            link.near.connectionLost(mock.Mock(value=ConnectionDone(), check=lambda *_: False))
            link.turns.end()
            self.assertEqual(producer.told, ["stop"])
            self.assertFalse(link.waits)
            if not before:
                self.assertEqual(link.read(), b"a")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_full_socket_goes_the_old_way(self) -> None:
        """In order, and with the back-pressure that there always was."""
        link, producer = self.link(), Producer()
        link.near.registerProducer(producer, True)
        link.near.write(b"a" * BIG)
        link.near.write(b"b" * 10)
        self.assertTrue(link.waits)
        self.assertEqual(producer.told, ["pause"] * len(producer.told))
        self.assertTrue(producer.told)
        self.assertEqual(link.drain(), b"a" * BIG + b"b" * 10)
        self.assertEqual(producer.told[-1], "resume")
        link.near.write(b"c")
        self.assertEqual((link.read(), link.waits), (b"c", False))

    def test_a_close_comes_behind_what_was_written(self) -> None:
        """And what is written behind the close is Twisted's business."""
        link = self.link()
        link.near.write(b"a" * BIG)
        link.near.loseConnection()
        link.near.write(b"b")
        self.assertEqual(link.drain(), b"a" * BIG + b"b")
        self.assertFalse(link.near.connected)

    def test_nothing_goes_out_behind_an_abort(self) -> None:
        """It drops what waits, too."""
        link = self.link()
        link.near.abortConnection()
        link.near.write(b"a")
        self.assertEqual(link.read(), b"")

    def test_half_a_close_ends_what_is_said(self) -> None:
        """Bytes behind it are dropped, as by Twisted."""
        link = self.link()
        link.near.write(b"a")
        link.near.loseWriteConnection()
        link.turn()
        link.near.write(b"b")
        self.assertEqual((link.drain(), link.far.recv(1)), (b"a", b""))

    def test_a_producer_that_is_asked_for_each_piece_is_asked(self) -> None:
        """By the reactor, when a piece is out; without that it would never be."""
        link, producer = self.link(), Producer()
        link.near.registerProducer(producer, False)
        link.near.write(b"piece")
        self.assertEqual(producer.told, ["resume"])
        link.turn()
        self.assertEqual((producer.told, link.read()), (["resume", "resume"], b"piece"))

    def test_a_peer_that_is_gone_is_found_by_the_reactor(self) -> None:
        """Who writes is never told in the middle of it."""
        link = self.link()
        link.far.close()
        link.near.write(b"a")
        self.assertTrue(link.near.connected and link.waits)
        self.assertIsNotNone(link.near.doWrite())

    def test_a_reset_is_told_as_one(self) -> None:
        """Also if it was a write that met it; what a clean end is told as, and what came before either, stays as it is."""
        for reset in (True, False):
            told = []
            for kind in (Server, ImmediateServer):
                with socket.create_server(("127.0.0.1", 0)) as listening:
                    far = socket.create_connection(listening.getsockname())
                    ours, _ = listening.accept()
                with far, ours:
                    near: Any = kind(ours, Protocol(), ("192.0.2.7", 4711), None, 0, MemoryReactorClock())  # type: ignore[arg-type]
                    near.protocol.makeConnection(near)
                    near.protocol.dataReceived = heard = mock.Mock()
                    far.send(b"before")
                    if reset:
                        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    far.close()
                    for _ in range(3):
                        near.write(b"a")  # the first one's answer is a reset if the end was clean
                    told.append(([near.doRead() for _ in range(2)], heard.mock_calls))
            self.assertEqual(told[0], told[1])
            self.assertEqual(told[1][0][-1], CONNECTION_LOST if reset else CONNECTION_DONE)

    def test_text_is_refused(self) -> None:
        """It is bytes that connections carry."""
        for turns in (False, True):
            self.assertRaises(TypeError, self.link(turns=turns).near.write, "text")

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.one_of(
        st.tuples(st.just("write"), st.sampled_from([0, 1, 300, 70_000, 400_000])),
        st.tuples(st.just("pieces"), st.sampled_from([0, 1, 300, 70_000])),
        st.tuples(st.just("turn"), st.just(0)),
        st.tuples(st.just("read"), st.sampled_from([1, 1000, 500_000])),
        st.tuples(st.sampled_from(["lose", "half", "abort", "gone", "push", "pull", "no producer"]), st.just(0)),
    ), max_size=20))
    @example([("write", 400_000), ("read", 500_000), ("write", 300)])
    @example([("push", 0), ("write", 400_000), ("lose", 0)])
    @example([("pull", 0), ("half", 0), ("write", 1), ("half", 0), ("gone", 0)])
    @example([("push", 0), ("write", 400_000), ("read", 500_000), ("turn", 0), ("write", 300), ("gone", 0)])
    def test_both_ways_say_the_same(self, steps: list[tuple[str, int]]) -> None:
        """Whatever is written, read, produced, closed and cut in whatever order."""
        for twisteds, ours in ((Server, ImmediateServer), (UnixServer, ImmediateUnixServer)):
            as_ever = self.done(twisteds, steps)
            self.assertEqual(self.done(ours, steps), as_ever)
            self.assertEqual(self.done(ours, steps, turns=True), as_ever)

    def done(self, kind: type[Server], steps: list[tuple[str, int]], *, turns: bool = False) -> tuple[Any, ...]:
        """What arrives, whether the connection is open meanwhile and at last, and what its producers are told."""
        link, found, closing, producers = Link(self, kind, turns=turns), b"", False, [Producer()]
        states: list[bool] = []
        try:
            for number, (what, size) in enumerate(steps):
                data = bytes([number]) * size
                if closing and what not in ("turn", "read"):
                    continue  # whether it still goes out depends on how far the close has got
                if what in ("half", "abort", "gone", "push", "pull", "no producer") or (
                        what == "lose" and link.near.producer is not None):
                    found += link.drain()  # what is said, cut or asked for then depends on when the reactor comes round
                    states.append(bool(link.near.connected))
                    if not link.near.connected:
                        break
                if what == "write":
                    link.near.write(data)
                elif what == "pieces":
                    link.near.writeSequence([data, data])
                elif what == "turn":
                    link.turn()
                elif what == "read":
                    found += link.read(size)
                elif what in ("push", "pull"):
                    link.near.unregisterProducer()
                    producers.append(Producer())
                    link.near.registerProducer(producers[-1], what == "push")
                elif what == "no producer":
                    link.near.unregisterProducer()
                elif what == "half":
                    link.near.loseWriteConnection()
                    link.turn()
                else:
                    closing = True
                    self.end(link, what)
            found += link.drain()
            link.reactor.advance(1)
            return found, states, bool(link.near.connected), [self.told(one) for one in producers]
        finally:
            link.close()

    def end(self, link: Link, how: str) -> None:
        """The connection, by one end or the other."""
        if how == "lose":
            link.near.unregisterProducer()  # it would hold the close up
            link.near.loseConnection()
        elif how == "abort":
            link.near.abortConnection()
        else:
            link.far.shutdown(socket.SHUT_RDWR)
            why = link.near.doRead()
            link.near.connectionLost(mock.Mock(value=why, check=lambda *_: False))

    def told(self, producer: Producer) -> Any:
        """Whether it may go on at last, and whether it was stopped; a short pause that one way has the other may lack."""
        kinds = [one for one in producer.told if one != "stop"]
        return kinds[-1:] != ["pause"], "stop" in producer.told


class Hearing(Protocol):
    """Keeps what it hears."""

    last: Any = None
    over = False

    def connectionMade(self) -> None:
        """Found by the test."""
        self.heard = b""
        if isinstance(self.transport, ImmediateUnixServer):
            type(self).last = self

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        """It has ended."""
        self.over = True


class ListenerTests(SynchronousTestCase):
    """Which connections are of that kind."""

    def opened(self) -> Any:
        """A listener of the doorway's, closed at the end."""
        port: Any = open_listeners(reactor, "https", "tcp:0:interface=127.0.0.1", Factory.forProtocol(Protocol))[0]
        self.addCleanup(lambda: port.connectionLost(ConnectionDone()))
        self.addCleanup(port.stopReading)
        return port

    def test_listeners_for_tcp_have_it(self) -> None:
        """Those of the doorway; what is no listener of TCP's own is left alone."""
        self.assertIs(self.opened().transport, ImmediateServer)
        other: Any = object()
        self.assertIs(at_once(other), other)

    def test_both_ends_of_a_unix_socket_have_it(self) -> None:
        """And say whose address it is, as ever."""
        path = self.mktemp()
        port: Any = at_once(reactor.listenUNIX(path, Factory.forProtocol(Hearing)))  # type: ignore[attr-defined]
        self.addCleanup(lambda: port.connectionLost(ConnectionDone()))
        self.addCleanup(port.stopReading)
        for found, kind in ((True, ImmediateUnixClient), (False, Client)):
            with mock.patch.object(immediate, "known", return_value=found):
                endpoint = UNIXClientEndpoint(ConnectingAtOnce(reactor), path, timeout=5)
                far: Any = self.connected(endpoint.connect(Factory.forProtocol(Hearing)))
            self.assertIs(type(far.transport), kind)
            ours: Any = Hearing.last
            self.assertIs(type(ours.transport), ImmediateUnixServer)
            self.assertIsInstance(ours.transport.getHost(), UNIXAddress)
            for one, other_end in ((far, ours), (ours, far)):
                one.transport.write(b"a" * 1000)
                self.until(functools.partial(self.heard, other_end, b"a" * 1000))
            far.transport.abortConnection()
            ours.transport.abortConnection()
            self.until(functools.partial(self.over, far, ours))

    def heard(self, one: Hearing, data: bytes) -> bool:
        """Whether it has heard this and no more."""
        return one.heard == data

    def over(self, *ends: Hearing) -> bool:
        """Whether both have ended."""
        return all(one.over for one in ends)

    def connected(self, connecting: Deferred[Any]) -> Any:
        """What it comes to, on the reactor."""
        found: list[Any] = []
        connecting.addBoth(found.append)
        self.until(lambda: found)
        return found[0]

    def until(self, met: Callable[[], object]) -> None:
        """Turn the reactor."""
        for _ in range(1000):
            if met():
                return
            reactor.iterate(0.01)
        self.fail("nothing comes")

    def test_where_twisted_is_another_it_stays_as_it_is(self) -> None:
        """What we lean on is looked for, attribute by attribute."""
        self.assertTrue(immediate.known())
        for missing in immediate._LEANS_ON:
            others = {one: None for one in immediate._LEANS_ON if one != missing}
            with mock.patch.object(immediate, "FileDescriptor", mock.Mock(return_value=SimpleNamespace(**others))):
                self.assertFalse(immediate.known(type("Another", (), {})), missing)
                self.assertTrue(immediate.known(type("Another", (), {missing: None})), missing)
        self.patch(immediate, "FileDescriptor", mock.Mock(side_effect=TypeError))
        self.assertIs(self.opened().transport, Server)
