"""The log observer: level, format, file."""

from __future__ import annotations

import errno
import io
import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, Logger, LogPublisher, capturedLogs, globalLogPublisher
from twisted.python.log import LogPublisher as LegacyPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from rtcd import log
from rtcd.config import ConfigError
from rtcd.lines import MAX_LINE_CHARS
from rtcd.log import Log, LogSettings


class LogTests(SynchronousTestCase):
    """One observer, written to through a real publisher."""

    def setUp(self) -> None:
        """A folder for the file."""
        self.path = Path(self.mktemp())

    def logger(self, log: Log) -> Logger:
        """Somebody who logs."""
        return Logger(namespace="rtcd.test", observer=LogPublisher(log))

    def written(self, act: Any, **settings: Any) -> str:
        """What stands in the file afterwards."""
        log = Log(LogSettings(file=str(self.path), **settings))
        act(self.logger(log))
        self.addCleanup(log.use, LogSettings())
        return self.path.read_text()

    def test_it_is_an_observer(self) -> None:
        """As twistd wants it."""
        self.assertTrue(verifyObject(ILogObserver, Log(LogSettings())))

    def test_a_line_has_time_place_level_and_text(self) -> None:
        """Each event is one line, whatever is in it."""
        text = self.written(lambda log: log.info("{room} was\nopened", room="lounge"))
        self.assertRegex(text, r"^\d{4}-\d\d-\d\dT\S+ \[rtcd.test#info\] lounge was opened\n$")

    def test_less_important_events_are_left_out(self) -> None:
        """Below the level."""
        def act(log: Logger) -> None:
            for name in ("debug", "info", "warn", "error", "critical"):
                getattr(log, name)(f"this is {name}")

        for level, lines in (("debug", 5), ("info", 4), ("warn", 3), ("error", 2), ("critical", 1)):
            self.path = Path(self.mktemp())
            self.assertEqual(self.written(act, level=level).count("\n"), lines, level)

    def test_json_keeps_the_fields_apart(self) -> None:
        """One object a line."""
        text = self.written(lambda log: log.info("{room} was\nopened", room="lounge"), format="json")
        self.assertEqual(text.count("\n"), 1)
        event = json.loads(text)
        self.assertEqual((event["room"], event["system"]), ("lounge", "rtcd.test"))

    def test_a_long_line_is_cut(self) -> None:
        """Text from the network may be in it."""
        text = self.written(lambda log: log.info("{it}", it="x" * 2 * MAX_LINE_CHARS))
        self.assertLessEqual(len(text), MAX_LINE_CHARS + 1)

    def test_a_failure_keeps_its_traceback(self) -> None:
        """It is our bug, and to be reported."""
        def act(log: Logger) -> None:
            try:
                raise RuntimeError("ours")
            except RuntimeError:
                log.failure("it broke")

        text = self.written(act)
        self.assertIn("Traceback", text)
        self.assertGreater(text.count("\n"), 2)

    def test_text_that_is_no_utf_8_is_no_fault(self) -> None:
        """A lone surrogate comes from a file name."""
        self.assertIn("\\udc80", self.written(lambda log: log.info("{it}", it="\udc80")))

    def test_the_file_is_opened_again(self) -> None:
        """When the settings are taken over again, as at a reload."""
        log = Log(LogSettings(file=str(self.path)))
        self.addCleanup(log.use, LogSettings())
        self.path.rename(f"{self.path}.1")
        log.use(LogSettings(file=str(self.path)))
        self.logger(log).info("afterwards")
        self.assertIn("afterwards", self.path.read_text())

    def test_a_file_that_cannot_be_opened_leaves_the_old_one(self) -> None:
        """The operator is told, and the log goes on."""
        log = Log(LogSettings(file=str(self.path)))
        self.addCleanup(log.use, LogSettings())
        fault = self.assertRaises(ConfigError, log.use, LogSettings(file=str(self.path / "below")))
        self.assertTrue(str(fault).startswith("[log] file: "))
        self.logger(log).info("still here")
        self.assertIn("still here", self.path.read_text())

    def test_a_reload_does_not_write_into_what_twistd_made_of_standard_output(self) -> None:
        """That would log what is logged, without end."""
        real, fake = io.StringIO(), io.StringIO()
        self.patch(sys, "__stdout__", real)
        self.patch(sys, "stdout", fake)
        log = Log(LogSettings())
        log.use(LogSettings(level="debug"))
        self.logger(log).debug("hello")
        self.assertEqual(("hello" in real.getvalue(), fake.getvalue()), (True, ""))

    def test_autobahns_words_about_each_client_are_debug(self) -> None:
        """It warns, with the address, of everyone who vanishes."""
        def act(log: Logger) -> None:
            Logger(namespace="autobahn.websocket.protocol", observer=log.observer).warn("192.0.2.1 timed out")

        self.assertEqual(self.written(act), "")
        self.path = Path(self.mktemp())
        self.assertIn("timed out", self.written(act, level="debug"))

    def test_twisteds_words_about_each_port_are_debug(self) -> None:
        """Other old-style lines are shown."""
        def act(log: Logger) -> None:
            for text in ("DoorSite starting on 8443", "(TCP Port 8443 Closed)", "something else"):
                old = LegacyPublisher(log.observer, log.observer)
                old.msg(text)
            log.info("the show is starting on Monday")
            globalLogPublisher.addObserver(log.observer)
            factory = Factory()
            factory.doStart()
            factory.doStop()
            globalLogPublisher.removeObserver(log.observer)

        self.assertEqual(self.written(act).count("\n"), 2)
        self.path = Path(self.mktemp())
        self.assertEqual(self.written(act, level="debug").count("\n"), 6)

    def test_connections_that_cannot_be_accepted_are_a_line_a_minute(self) -> None:
        """Strangers decide how many come while files are short; Twisted has two or three lines for each, with addresses."""
        def act(log: Logger) -> None:
            port, clock = Logger(namespace="twisted.internet.tcp.Port", observer=log.observer), [1000.0]
            publish = log.observer

            @implementer(ILogObserver)
            def at_that_time(event: Any) -> None:
                publish({**event, "log_time": clock[0]})

            port.observer = at_that_time
            for now in (1000.0, 1059.0, 1061.0):
                clock[0] = now
                for _ in range(50):
                    port.info("EMFILE encountered; releasing reserved file descriptor.")
                    port.info("EMFILE recovery: Closed socket from {address}", address=("192.0.2.1", 1))
                    port.info("Re-reserving EMFILE recovery file descriptor.")
                    port.info("Could not accept new connection ({acceptError})", acceptError="ENFILE")

        for level in ("warn", "debug"):
            self.path = Path(self.mktemp())
            text = self.written(act, level=level)
            self.assertEqual((text.count("\n"), text.count("EMFILE"), text.count("LimitNOFILE")), (2, 2, 2), text)
            self.assertNotIn("192.0.2.1", text)

    def test_a_listener_that_is_broken_is_a_line_a_minute(self) -> None:
        """The reactor asks it again at each turn: whatever accept() or we ourselves raise then would fill the disk."""
        for fault, wanted in ((OSError(errno.EINVAL, "Invalid argument"), "EINVAL"),
                              (RuntimeError("ours"), "RuntimeError: ours")):
            events = self.broken(fault)
            for form in ("text", "json"):
                self.path = Path(self.mktemp())
                log = Log(LogSettings(file=str(self.path), format=form))
                self.addCleanup(log.use, LogSettings())
                for now in (1000.0, 1059.0, 1061.0):
                    for _ in range(50):
                        for event in events:
                            log({**event, "log_time": now})
                text = self.path.read_text()
                self.assertEqual(sum(wanted in line for line in text.splitlines()), 2, text)
                self.assertEqual("Traceback" in text, isinstance(fault, RuntimeError))
                if form == "json":
                    self.assertNotIn("Traceback", "".join(json.loads(line)["message"] for line in text.splitlines()))

    def broken(self, fault: Exception) -> list[Any]:
        """What a port of Twisted's logs when this happens as it accepts."""
        class Broken:
            def accept(self) -> Any:
                if isinstance(fault, OSError):
                    raise fault
                return self, ("192.0.2.7", 1)

            def close(self) -> None:
                pass

        class Ours(Factory):
            def buildProtocol(self, addr: Any) -> Any:
                raise fault

        port: Any = Port(0, Ours(), reactor=MemoryReactorClock())
        port.socket, port.numberAccepts = Broken(), 1
        with capturedLogs() as events:
            port.doRead()
        self.flushLoggedErrors(type(fault))
        return list(events)

    def test_other_words_of_twisteds_ports_are_shown(self) -> None:
        """Only what is said of each connection is not."""
        def act(log: Logger) -> None:
            Logger(namespace="twisted.internet.tcp.Port", observer=log.observer).info("something else")

        self.assertEqual(self.written(act).count("\n"), 1)


class DebuggingTests(SynchronousTestCase):
    """Whether lines for who looks for a fault are made at all."""

    def test_they_are_where_somebody_may_read_them(self) -> None:
        """At that level, from a reload on too; and where the log is not ours, and its level not known."""
        self.patch(log, "_current", [])
        self.assertTrue(log.debugging())
        path = self.mktemp()
        for level, made in (("info", False), ("debug", True), ("warn", False)):
            self.addCleanup(log.use(LogSettings(file=path, level=level)).use, LogSettings())
            self.assertEqual(log.debugging(), made, level)
