"""Events of sockets without the prefix of Twisted's old log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.internet import epollreactor, posixbase
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock
from twisted.python import log
from twisted.trial.unittest import SynchronousTestCase

from rtcd.turns import STRAIGHT, End, without_prefixes


class TurnTests(SynchronousTestCase):
    """The one name that is replaced."""

    def setUp(self) -> None:
        for module in (epollreactor, posixbase):
            self.patch(module, "log", log)  # whatever was there before is there again behind the test

    def test_the_reactor_hands_events_straight_over(self) -> None:
        """Its own loop does; asked again, nothing changes."""
        self.assertTrue(without_prefixes() and without_prefixes())
        called: list[Any] = []
        reactor = SimpleNamespace(
            _poller=mock.Mock(poll=lambda *_: [(7, 1), (8, 1)]), _selectables={7: object()},
            _doReadOrWrite=lambda *arguments: called.append(arguments))
        epollreactor.EPollReactor.doPoll(reactor, 0)  # type: ignore[arg-type]  # as much of a reactor as it needs
        self.assertEqual([arguments[1:] for arguments in called], [(7, 1)])

    def test_what_is_raised_is_logged_and_ends_nothing(self) -> None:
        """Save for the one who wants to end the daemon."""
        self.assertEqual(STRAIGHT.callWithLogger(None, lambda *found: found, 1, 2), (1, 2))
        STRAIGHT.callWithLogger(None, mock.Mock(side_effect=ValueError("fault")))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertRaises(KeyboardInterrupt, STRAIGHT.callWithLogger, None, mock.Mock(side_effect=KeyboardInterrupt))

    def told(self, selectable: Any) -> tuple[Any, list[Any]]:
        """What the reactor makes of one event of it: what is logged, and what it disconnects."""
        gone: list[Any] = []
        reactor = SimpleNamespace(
            _poller=mock.Mock(poll=lambda *_: [(7, 1)]), _selectables={7: selectable}, _reads=[7], _POLL_IN=1, _POLL_OUT=4,
            _POLL_DISCONNECTED=24, _disconnectSelectable=lambda *found: gone.append(found))
        reactor._doReadOrWrite = lambda *found: epollreactor.EPollReactor._doReadOrWrite(reactor, *found)  # type: ignore[arg-type]
        events: list[Any] = []
        log.addObserver(events.append)
        try:
            epollreactor.EPollReactor.doPoll(reactor, 0)  # type: ignore[arg-type]  # as much of a reactor as it needs
        finally:
            log.removeObserver(events.append)
        return events, gone

    def test_a_fault_is_told_with_the_prefix_of_whose_it_is(self) -> None:
        """As by Twisted itself; also where there is none to be had."""
        faulty = SimpleNamespace(
            fileno=lambda: 7, doRead=mock.Mock(side_effect=ValueError), logPrefix=lambda: "Room,7,192.0.2.1")
        as_ever = [one["system"] for one in self.told(faulty)[0]]
        self.assertTrue(without_prefixes())
        events, gone = self.told(faulty)
        self.assertEqual(([one["system"] for one in events], len(gone)), (as_ever, 1))
        self.assertEqual(as_ever, ["Room,7,192.0.2.1"])
        faulty.logPrefix = mock.Mock(side_effect=ValueError)
        self.assertEqual([one["system"] for one in self.told(faulty)[0]], ["SimpleNamespace"])
        STRAIGHT.err(ValueError("of nobody"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 4)

    def test_the_line_of_a_listener_that_fails_says_which_it_is(self) -> None:
        """It logs the fault itself."""
        port: Any = Port(0, Factory.forProtocol(Protocol), reactor=mock.Mock())
        port.fileno, port.numberAccepts, port._realPortNumber = lambda: 7, 1, 443
        port.socket = mock.Mock(accept=mock.Mock(side_effect=ValueError))
        as_ever = [one["system"] for one in self.told(port)[0]]
        self.assertTrue(without_prefixes())
        self.assertEqual([one["system"] for one in self.told(port)[0]], as_ever)
        self.assertEqual(as_ever, [port.logPrefix()])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_all_else_is_the_log_s(self) -> None:
        """Whoever uses the name for something else finds it."""
        self.assertIs(STRAIGHT.msg, log.msg)

    def test_another_reactor_stays_as_it_is(self) -> None:
        """One that does not look there, and a system without epoll."""
        self.patch(epollreactor, "log", object())
        self.assertFalse(without_prefixes())
        self.patch(epollreactor, "log", log)
        self.patch(epollreactor, "EPollReactor", SimpleNamespace(doPoll=lambda: None))
        self.assertFalse(without_prefixes())
        for other in (SimpleNamespace(), SimpleNamespace(doPoll=mock.NonCallableMock(spec=[])), None):
            self.patch(epollreactor, "EPollReactor", other)
            self.assertFalse(without_prefixes())
        self.assertIs(vars(epollreactor)["log"], log)
        with mock.patch.dict("sys.modules", {"twisted.internet.epollreactor": None}):
            self.assertFalse(without_prefixes())


class EndTests(SynchronousTestCase):
    """`End`."""

    def test_it_comes_with_each_turn(self) -> None:
        """Behind the events, and before them, for what timers have asked for; what fails then keeps nothing else from being
        done."""
        reactor, end, done = EPollReactor(), End(), list[str]()
        self.addCleanup(reactor._poller.close)
        self.patch(reactor, "doIteration", lambda delay: end.call(lambda: done.append(f"events {delay}")))
        self.assertEqual((end.comes, end.of(reactor), end.comes), (False, True, True))
        end.call(mock.Mock(side_effect=ValueError))


        def timer() -> None:
            done.append("timer")
            end.call(lambda: done.append("more"))

        end.call(timer)
        reactor.doIteration(0.5)
        self.assertEqual(done, ["timer", "more", "events 0.5"])
        reactor.doIteration(None)
        self.assertEqual(done[3:], ["events None"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_reactor_that_runs_in_another_way_tells_nothing(self) -> None:
        """Such as asyncio's, and the tests'."""
        end = End()
        for other in (AsyncioSelectorReactor.__new__(AsyncioSelectorReactor), MemoryReactorClock(), object()):
            self.assertFalse(end.of(other))
        self.assertFalse(end.comes)
