"""Turns of the reactor: the same as Twisted's own, in fewer steps."""

from __future__ import annotations

import functools
import os
import socket
from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock
from twisted.python import log
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from rtcd import turns
from rtcd.turns import Turns


class Reader:
    """One end of a pair of sockets, which does as told when it can be read."""

    def __init__(self, case: SynchronousTestCase, read: Any) -> None:
        self.near, self.far = socket.socketpair()
        case.addCleanup(self.near.close)
        case.addCleanup(self.far.close)
        self.doRead = read
        self.doWrite = mock.Mock(return_value=None)
        self.fileno = self.near.fileno
        self.lost: list[str] = []

    def logPrefix(self) -> str:
        """As of a connection."""
        return "Room,7,192.0.2.1"

    def connectionLost(self, reason: Any) -> None:
        """It has ended."""
        self.lost.append(reason.type.__name__)

    def readConnectionLost(self, reason: Any) -> None:
        """One half of it has."""
        self.lost.append(f"half {reason.type.__name__}")


class TurnTests(SynchronousTestCase):
    """Each on a reactor of its own, that Twisted turns and that we turn."""

    def reactor(self, *, ours: bool) -> Any:
        """A new one."""
        made = EPollReactor()
        self.addCleanup(made._poller.close)
        for one in (made.waker.i, made.waker.o):
            self.addCleanup(os.close, one) if isinstance(one, int) else self.addCleanup(one.close)
        if ours:
            self.assertTrue(Turns().found(made))
        return made

    def both(self, read: Any, *, half: bool = False, write: bool = False) -> list[tuple[Any, ...]]:
        """What becomes of an event, by Twisted and by us: how the socket ended, and what was logged."""
        found = []
        for ours in (False, True):
            reactor, events = self.reactor(ours=ours), list[Any]()
            reader: Any = Reader(self, read)
            if half:
                directlyProvides(reader, IHalfCloseableDescriptor)
            reactor.addReader(reader)
            if write:
                reactor.addWriter(reader)
            reader.far.send(b"x")
            log.addObserver(events.append)
            try:
                reactor.doIteration(0)
            finally:
                log.removeObserver(events.append)
            logged = [(one["system"], one["isError"]) for one in events]
            found.append((reader.lost, logged, reader in reactor.getReaders(), reader.doWrite.call_count))
        return found

    def test_what_is_read_goes_on(self) -> None:
        """Nothing is logged, and the socket is read again."""
        as_ever, ours = self.both(lambda: None)
        self.assertEqual((as_ever, ours), (([], [], True, 0),) * 2)

    def test_an_end_is_told(self) -> None:
        """A clean one, a loss, and that of one half."""
        for why, half, lost in ((CONNECTION_DONE, False, ["ConnectionDone"]), (CONNECTION_LOST, False, ["ConnectionLost"]),
                                (CONNECTION_DONE, True, ["half ConnectionDone"])):
            as_ever, ours = self.both(lambda why=why: why, half=half)
            self.assertEqual((as_ever, ours), ((lost, [], False, 0),) * 2)

    def test_a_fault_is_told_with_the_prefix_of_whose_it_is(self) -> None:
        """As by Twisted itself, and ends the socket."""
        for fault in (ValueError("fault"), SystemExit()):
            as_ever, ours = self.both(mock.Mock(side_effect=fault))
            self.assertEqual(ours, as_ever)
            self.assertEqual(ours, ([type(fault).__name__], [("Room,7,192.0.2.1", 1)], False, 0))
            self.flushLoggedErrors(type(fault))
        with mock.patch.object(Reader, "logPrefix", side_effect=ValueError):
            reactor = self.reactor(ours=True)
            reader = Reader(self, mock.Mock(side_effect=KeyError))
            reactor.addReader(reader)
            reader.far.send(b"x")
            reactor.doIteration(0)
        self.assertEqual(reader.lost, ["KeyError"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.flushLoggedErrors(ValueError)

    def test_a_fault_in_the_end_of_a_socket_ends_nothing_else(self) -> None:
        """It is logged."""
        with mock.patch.object(Reader, "connectionLost", side_effect=KeyError):
            as_ever, ours = self.both(lambda: CONNECTION_LOST)
        self.assertEqual(ours, as_ever)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 2)

    def test_all_but_reading_is_twisteds(self) -> None:
        """Such as an event for both, and that of a listener, which logs faults itself and needs its prefix."""
        as_ever, ours = self.both(lambda: None, write=True)
        self.assertEqual((as_ever, ours), (([], [], True, 1),) * 2)
        for mine in (False, True):
            reactor = self.reactor(ours=mine)
            port: Any = Port(0, Factory.forProtocol(Protocol), interface="127.0.0.1", reactor=reactor)
            port.startListening()
            self.addCleanup(port.socket.close)
            self.addCleanup(socket.create_connection(port.socket.getsockname()).close)
            events: list[Any] = []
            log.addObserver(events.append)
            try:
                with mock.patch.object(port, "socket", mock.Mock(accept=mock.Mock(side_effect=ValueError))):
                    reactor.doIteration(1)
            finally:
                log.removeObserver(events.append)
            self.assertEqual([one["system"] for one in events], [port.logPrefix()])
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_an_event_of_one_that_has_ended_in_the_same_turn_is_nobodys(self) -> None:
        """Whoever comes first ends the other."""
        reactor = self.reactor(ours=True)
        readers: list[Reader] = []

        def read() -> None:
            for one in readers:
                reactor.removeReader(one)

        readers += (Reader(self, mock.Mock(side_effect=read)) for _ in range(2))
        for one in readers:
            reactor.addReader(one)
            one.far.send(b"x")
        reactor.doIteration(0)
        self.assertEqual(sum(one.doRead.call_count for one in readers), 1)

    def test_what_was_put_off_is_done_at_the_end(self) -> None:
        """Behind the events, and before the next ones, for what timers have put off; what fails then keeps nothing else from
        being done."""
        reactor, ends, done = self.reactor(ours=False), Turns(), list[str]()
        self.assertEqual((ends.told, ends.found(reactor), ends.told), (False, True, True))
        reader = Reader(self, lambda: ends.at_end(lambda: done.append("event")))
        reactor.addReader(reader)
        reader.far.send(b"x")

        def timer() -> None:
            done.append("timer")
            ends.at_end(lambda: done.append("more"))

        ends.at_end(mock.Mock(side_effect=ValueError))
        ends.at_end(timer)
        reactor.doIteration(None)
        self.assertEqual(done, ["timer", "more", "event"])
        reactor.removeReader(reader)
        reactor.doIteration(0)
        self.assertEqual(len(done), 3)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_timer_that_is_set_then_is_on_time(self) -> None:
        """The reactor has found out before how long it may wait: not for so long, if it is to do something sooner."""
        for later, delay, waits in ((5.0, None, 5.0), (5.0, 60.0, 5.0), (0.0, 60.0, 0.0), (70.0, 60.0, 60.0),
                                    (70.0, False, 0.0), (None, 60.0, 60.0)):
            reactor, ends = self.reactor(ours=False), Turns()
            reactor.seconds = lambda: 1000.0
            reactor._poller.close()
            reactor._poller = mock.Mock(poll=mock.Mock(return_value=[]))
            self.assertTrue(ends.found(reactor))
            if later is not None:
                ends.at_end(functools.partial(reactor.callLater, later, mock.Mock()))
            reactor.doIteration(delay)
            self.assertEqual(reactor._poller.poll.call_args.args[0], waits)

    def test_another_reactor_stays_as_it_is(self) -> None:
        """One of another kind, one that is made otherwise, and a system without epoll."""
        ends, here = Turns(), self.reactor(ours=False)
        for other in (AsyncioSelectorReactor.__new__(AsyncioSelectorReactor), MemoryReactorClock(), object()):
            self.assertFalse(ends.found(other))
        self.assertTrue(turns._known(here))
        for name, value in (("doPoll", lambda: None), ("mainLoop", None), ("run", None), ("doIteration", None)):
            with mock.patch.object(EPollReactor, name, value):
                self.assertFalse(ends.found(here), name)
        for missing in turns._LEANS_ON:
            names = tuple(turns._LEANS_ON - {missing})
            poll = SimpleNamespace(__code__=SimpleNamespace(co_names=names))
            with mock.patch.multiple(EPollReactor, doPoll=poll, doIteration=poll):
                self.assertFalse(ends.found(here), missing)
        with mock.patch.dict("sys.modules", {"twisted.internet.epollreactor": None}):
            self.assertFalse(ends.found(here))
        self.assertFalse(ends.told)
