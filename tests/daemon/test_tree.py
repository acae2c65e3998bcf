"""The service tree, its order, and its reloads, without a process and without a socket."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from rtcd import daemon, tap
from rtcd.config import ConfigError, option
from rtcd.context import Context
from rtcd.interfaces import IServicePlugin
from rtcd.plugin import ServicePlugin, plugins
from rtcd.served import PATHS
from rtcd.site.tree import Tree


@dataclass(frozen=True, slots=True)
class Settings:
    """A service of the tests."""

    word: str = option("a", "In force at once.")
    fixed: int = option(1, "Needs a restart.")


class Told(Service):
    """Writes down what it is told; its end may take a while."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self.told = told
        self.ending: Deferred[None] | None = None
        self.fault: Exception | None = None

    def startService(self) -> None:
        """May be unable to."""
        self.told.append(f"start {self.name}")
        if self.fault is not None:
            raise self.fault
        super().startService()

    def stopService(self) -> Deferred[None] | None:
        """May take a while, or fail."""
        self.told.append(f"stop {self.name}")
        super().stopService()
        if self.fault is not None:
            raise self.fault
        return self.ending


@implementer(IServicePlugin)
class Plugin:
    """Makes one of them."""

    description = "For tests"
    settings = Settings

    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self.service = Told(name, told)
        self.context: Context | None = None

    def makeService(self, context: Context, settings: Settings) -> Told:
        """Listen to reloads."""
        self.context = context
        context.on_reload(self.name, self.reload)
        return self.service

    def reload(self, old: Settings, new: Settings) -> list[str]:
        """One key is in force at once; one word is refused, one breaks the service."""
        if new.word == "bad":
            raise ConfigError(self.name, "word", "is bad; choose another")
        if new.word == "broken":
            raise RuntimeError("a fault of the service")
        return ["word"]


class Reactor(MemoryReactorClock):
    """Signal handlers call this; nobody is in another thread."""

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        """At once."""
        function(*arguments)


class TreeTestCase(SynchronousTestCase):
    """A daemon of two services that write down what they are told."""

    def setUp(self) -> None:
        """Built, not started."""
        self.told: list[str] = []
        self.patch(daemon, "let_go", self.let_go)
        self.found = {name: Plugin(name, self.told) for name in ("one", "two")}
        self.reactor = Reactor()
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.ini = f"[daemon]\nstate-directory = {self.mktemp()}\n[one]\n[two]\n"
        self.root = self.build(self.settings())

    def let_go(self) -> None:
        """Not of what the tests may do."""

    def settings(self) -> dict[str, Any]:
        """What the ini says now."""
        path = self.mktemp()
        with open(path, "w") as file:
            file.write(self.ini)
        return tap.read(path, self.found)

    def build(self, settings: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> daemon.Daemon:
        """The tree."""
        return tap.build(
            self.reactor, "rtcd.ini", settings, self.found, read=self.settings, environment=environment or {})

    def start(self) -> None:
        """As twistd does."""
        self.root.privilegedStartService()
        self.root.startService()


class PathTests(SynchronousTestCase):
    def test_the_paths_of_all_services_are_those_that_check_config_knows(self) -> None:
        """Or it would pass what the daemon refuses. /metrics is at a listener of its own."""
        found = plugins()
        path = Path(self.mktemp())
        path.write_text(f"[daemon]\nstate-directory = {self.mktemp()}\n[metrics]\n[admin]\ntoken = {'x' * 40}\n" + "".join(
            f"[{one}]\n" for one in ("web", "signaling", "ice", "check")))
        added: list[str] = []

        def add(tree: Tree, path: str, resource: object) -> None:
            added.append(path)

        self.patch(Tree, "add", add)
        settings = tap.read(str(path), found)
        tap.build(Reactor(), "rtcd.ini", settings, found, read=lambda: settings, environment={})
        self.assertEqual(set(added) - {"/metrics"}, {"/ws", "/sig", *(one for paths in PATHS.values() for one in paths)})


class OrderTests(TreeTestCase):
    """Who comes first, and who goes last."""

    def test_services_start_in_order_and_stop_in_reverse(self) -> None:
        """Each is stopped when the one before it has stopped."""
        self.start()
        self.found["two"].service.ending = Deferred()
        done = self.root.stopService()
        self.assertEqual(self.told, ["start one", "start two", "stop two"])
        self.assertNoResult(done)
        self.found["two"].service.ending.callback(None)
        self.successResultOf(done)
        self.assertEqual(self.told[-1], "stop one")

    def test_a_service_that_fails_to_stop_does_not_keep_the_others(self) -> None:
        """The failure is logged as ours."""
        self.start()
        self.found["two"].service.fault = RuntimeError("ours")
        self.successResultOf(self.root.stopService())
        self.assertEqual(self.told[-2:], ["stop two", "stop one"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_service_that_cannot_start_ends_the_start(self) -> None:
        """What it says is for the operator; those behind it are not started."""
        self.found["one"].service.fault = ConfigError("one", "word", "does not fit")
        self.root.privilegedStartService()
        fault = self.assertRaises(ConfigError, self.root.startService)
        self.assertEqual((str(fault), self.told), ("[one] word: does not fit", ["start one"]))

    def test_what_was_needed_to_open_is_let_go_of_before_anything_is_served(self) -> None:
        """A system that does not allow that is no reason not to serve."""
        def refuse() -> None:
            self.told.append("let go")
            raise PermissionError(1, "Operation not permitted")
        self.patch(daemon, "let_go", refuse)
        with capturedLogs() as logged:
            self.start()
        self.assertEqual(self.told, ["let go", "start one", "start two"])
        self.assertIn("capabilities that are not needed any more are kept: Operation not permitted",
                      [formatEvent(one) for one in logged])

    def test_a_service_without_a_section_is_not_made(self) -> None:
        """And the doorway is not opened where nobody is behind it."""
        self.ini = self.ini.replace("[two]\n", "")
        self.root = self.build(self.settings())
        self.start()
        self.assertEqual((self.told, self.reactor.tcpServers), (["start one"], []))

    def test_no_service_at_all_is_a_mistake(self) -> None:
        """The line names those that there are."""
        self.ini = "[daemon]\n"
        fault = self.assertRaises(ConfigError, self.build, self.settings())
        self.assertEqual(str(fault), "no service is turned on; add one of [one], [two]")

    def test_the_context_is_one_for_all(self) -> None:
        """Services meet in it."""
        self.assertIsNotNone(self.found["one"].context)
        self.assertIs(self.found["one"].context, self.found["two"].context)

    def test_signals_are_as_before_when_it_has_ended(self) -> None:
        """The process may go on to something else."""
        before = [signal.getsignal(one) for one in (signal.SIGHUP, signal.SIGTERM)]
        self.start()
        for function, arguments, keywords in self.reactor.whenRunningHooks:
            function(*arguments, **keywords)
        self.assertNotEqual([signal.getsignal(one) for one in (signal.SIGHUP, signal.SIGTERM)], before)
        self.successResultOf(self.root.stopService())
        self.assertEqual([signal.getsignal(one) for one in (signal.SIGHUP, signal.SIGTERM)], before)

    def test_every_plugin_keeps_the_interface(self) -> None:
        """Ours and the tests'."""
        self.assertTrue(all(verifyObject(IServicePlugin, one) for one in (*plugins().values(), *self.found.values())))
        self.assertTrue({"web", "signaling", "ice", "turn"} <= set(plugins()))

    def test_a_plugin_is_known_before_its_module_is_imported(self) -> None:
        """It may not even be there."""
        self.assertEqual(list(plugins([ServicePlugin("odd", "nowhere.at.all", "Odd")])), ["odd"])


class DeskTests(TreeTestCase):
    """What the daemon itself can be asked."""

    def test_settings_are_those_in_force(self) -> None:
        """Also after a reload."""
        self.start()
        context = self.found["one"].context
        assert context is not None
        self.assertEqual(context.desk.ask("daemon.settings")["one"].word, "a")
        self.ini = self.ini.replace("[one]", "[one]\nword = b\nfixed = 2")
        context.desk.ask("daemon.reload")
        settings = context.desk.ask("daemon.settings")["one"]
        self.assertEqual((settings.word, settings.fixed), ("b", 1))
        self.assertEqual(context.desk.ask("daemon.applied"), {"one": ["word"]})
        context.desk.ask("daemon.reload")
        self.assertEqual(context.desk.ask("daemon.applied"), {})

    def test_a_drain_begins(self) -> None:
        """As by SIGUSR1."""
        self.start()
        context = self.found["one"].context
        assert context is not None
        self.assertFalse(context.desk.ask("daemon.draining"))
        context.desk.ask("daemon.drain")
        self.assertTrue(context.desk.ask("daemon.draining"))


class ReloadTests(TreeTestCase):
    """What a HUP makes of a changed ini."""

    def setUp(self) -> None:
        """Started."""
        super().setUp()
        self.start()
        self.lines: list[str] = []
        self.patch(self.root, "_log", self)

    def info(self, text: str, **fields: str) -> None:
        """A line of the log; so are `warn` and `error`."""
        self.lines.append(text.format(**fields))

    warn = error = failure = info

    def reload(self, old: str, new: str) -> list[str]:
        """Change the ini, send the signal, and return what the log says."""
        self.ini = self.ini.replace(old, new)
        self.lines.clear()
        signal.raise_signal(signal.SIGHUP)
        return self.lines

    def test_who_asks_for_a_reload_is_told_what_the_log_is(self) -> None:
        """That nothing was taken over, too."""
        self.assertEqual(self.root.reload(), ["reloaded: nothing has changed"])
        self.ini = "[one]\nwort = c"
        (line,) = self.root.reload()
        self.assertEqual([line], self.lines[1:])
        self.assertIn("(nothing was changed)", line)

    def test_a_key_is_in_force_or_needs_a_restart(self) -> None:
        """What waits is told again at the next reload, what is in force is not."""
        self.assertEqual(self.reload("[one]", "[one]\nword = b\nfixed = 2"), [
            "[one] word: a -> b: in force", "[one] fixed: 1 -> 2: needs a restart"])
        self.assertEqual(self.reload("", ""), ["[one] fixed: 1 -> 2: needs a restart"])
        self.assertEqual(self.reload("fixed = 2", ""), ["reloaded: nothing has changed"])

    def test_a_service_may_refuse(self) -> None:
        """Its section stays as it was, the others are taken over."""
        self.assertEqual(self.reload("[one]\n[two]", "[one]\nword = bad\n[two]\nword = c"), [
            "rtcd.ini: [one] word: is bad; choose another (the section stays as it was)", "[two] word: a -> c: in force"])

    def test_a_service_that_breaks_does_not_break_the_others(self) -> None:
        """It is logged as a fault of the service; what comes behind it in the file is taken over."""
        self.assertEqual(self.reload("[one]\n[two]", "[one]\nword = broken\n[two]\nword = c"), [
            "[one] could not be taken over; the other sections were", "[two] word: a -> c: in force"])

    def test_a_mistake_changes_nothing(self) -> None:
        """Not even what is right in the same file."""
        self.assertEqual(self.reload("[one]", "[one]\nword = b\nfixed = x"), [
            "rtcd.ini: [one] fixed: 'x' is not a whole number; (nothing was changed)".replace(";", "")])
        self.assertEqual(self.reload("fixed = x", ""), ["[one] word: a -> b: in force"])

    def test_a_section_that_comes_or_goes_needs_a_restart(self) -> None:
        """It is said each time."""
        self.assertEqual(self.reload("[two]\n", ""), ["[two] was removed: needs a restart"])
        self.assertEqual(self.reload("[one]", "[two]\n[one]"), ["reloaded: nothing has changed"])


class StateDirectoryTests(SynchronousTestCase):
    """Where state is kept."""

    def test_the_ini_goes_first_then_systemd_then_here(self) -> None:
        """systemd may name several; the first is meant."""
        settings = daemon.DaemonSettings()
        self.assertEqual(daemon.state_directory(settings, {}), "state")
        self.assertEqual(daemon.state_directory(settings, {"STATE_DIRECTORY": "/a:/b"}), "/a")
        self.assertEqual(daemon.state_directory(replace(settings, state_directory="/c"), {"STATE_DIRECTORY": "/a"}), "/c")
