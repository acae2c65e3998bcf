"""The daemon with keys from the environment: over an ini, which is what ``rtcd import`` makes of all guides, and without."""

from __future__ import annotations

import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path
from typing import Any

from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import provider

from rtcd import tap
from tests.daemon.process import DEADLINE_S, ROOT, DaemonTestCase, environment
from tests.unit.test_importer import GUIDES

HERE = {
    "RTCD_DOORWAY_HTTPS": "tcp:0:interface=127.0.0.1", "RTCD_DOORWAY_HTTP": "", "RTCD_TURN_PORT": "0",
    "RTCD_TURN_TLS_PORT": "0", "RTCD_TURN_LISTEN": "127.0.0.1", "RTCD_TURN_EXTERNAL_IP": "",
    "RTCD_TURN_RELAY_PLANE": "python", "RTCD_LOG_LEVEL": "info",
}
"""Ports that are free, and nobody outside asked."""


class ProcessTests(DaemonTestCase):
    def test_the_daemon_starts_on_what_was_imported(self) -> None:
        """With keys of the environment over those of the ini, which stay after a reload."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        files = [str(ROOT / "tests" / "guides" / name) for name in GUIDES]
        done = subprocess.run([sys.executable, "-m", "rtcd.cli", "import", *files, "-o", "made.ini"], cwd=folder,
                              env=environment(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        daemon = self.run_daemon_in(folder, (folder / "made.ini").read_text(), extra=HERE).started()
        self.assertEqual(self.get(f"https://localhost:{daemon.port()}/")[0], 200)
        self.assertNotIn(":443", "\n".join(daemon.lines))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("reloaded: nothing has changed")
        daemon.ini.write_text(daemon.ini.read_text() + "nonsense\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(r"rtcd\.ini: line \d+ is neither .*nothing was changed")
        self.assertEqual((daemon.stop(), daemon.errors()), (0, ""))


class OptionTests(SynchronousTestCase):
    """What twistd asks for before anything starts, in an empty folder."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(folder)
        self.patch(sys, "excepthook", sys.excepthook)

    def options(self, *arguments: str, **variables: str) -> tap.Options:
        """As after the command line was read."""
        self.patch(os, "environ", variables)
        made = tap.Options()
        parent: Any = {"nodaemon": True, "logger": "elsewhere"}
        made.parent = parent
        made.parseOptions(list(arguments))
        return made

    def refused(self, *arguments: str, **variables: str) -> str:
        """The one line that ends the start."""
        return str(self.assertRaises(SystemExit, self.options, *arguments, **variables))

    def test_the_environment_alone_turns_a_service_on(self) -> None:
        found = self.options(RTCD_TURN_PORT="3479", RTCD_SIGNALING="yes")
        self.assertIsNone(found.file)
        self.assertEqual(found.settings["turn"].port, 3479)
        self.assertEqual({"turn", "signaling", "web"} & set(found.settings), {"turn", "signaling"})

    def test_an_ini_is_missed_where_it_was_named_or_nothing_is_turned_on(self) -> None:
        missing = "cannot be read (No such file or directory); name the file with --config"
        self.assertEqual(self.refused(), f"etc/rtcd.ini: {missing}")
        self.assertEqual(self.refused(RTCD_LOG_LEVEL="debug"), f"etc/rtcd.ini: {missing}")
        self.assertEqual(self.refused(RTCD_TURN="no"), f"etc/rtcd.ini: {missing}")
        self.assertIn("RTCD_TRUN_PORT: no section has this name", self.refused(RTCD_TRUN_PORT="1"))
        self.assertEqual(self.refused("--config", "other.ini", RTCD_TURN="yes"), f"other.ini: {missing}")

    def test_the_usual_ini_is_read_if_it_is_there(self) -> None:
        Path("etc").mkdir()
        Path("etc/rtcd.ini").write_text("[web]\n[turn]\nport = 1\n")
        found = self.options(RTCD_TURN_PORT="3479", RTCD_WEB="off")
        self.assertEqual((found.file, found.settings["turn"].port, "web" in found.settings), ("etc/rtcd.ini", 3479, False))

    def test_a_mistake_names_the_variable(self) -> None:
        self.assertEqual(self.refused(RTCD_TURN_PORT="x"), "RTCD_TURN_PORT: [turn] port: 'x' is not a whole number")
        self.assertEqual(self.refused(RTCD_TURN_MIN_PORT="60000"),
                         "RTCD_TURN_MIN_PORT: [turn] min-port: 60000 is more than max-port 50175; swap them")

    def test_a_secret_that_everybody_can_read_is_told_at_the_start(self) -> None:
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        folder.chmod(0o755)
        (folder / "turn").write_text("s" * 32)
        (folder / "turn").chmod(0o644)
        options = self.options(RTCD_TURN="yes", RTCD_CREDENTIALS_SECRET_FILE=f"{folder}/turn")
        lines: list[str] = []
        observer = provider(ILogObserver)(lambda event: lines.append(event["log_format"].format(**event)))
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        tap.makeService(options)
        self.assertEqual([one for one in lines if "everybody" in one], [
            f"RTCD_CREDENTIALS_SECRET_FILE: [credentials] secret-file: {folder}/turn can be read by everybody on this "
            "machine; leave it to the daemon's user alone, with mode 600"])

    def test_what_is_there_from_the_start_is_not_looked_through_again(self) -> None:
        """But what nobody needs any more is let go of before, and afterwards."""
        class Circle:
            def __init__(self) -> None:
                self.own = self

        self.addCleanup(gc.unfreeze)
        early = weakref.ref(Circle())
        tap.settle()
        self.assertIsNone(early())
        self.assertGreater(gc.get_freeze_count(), 10_000)
        late = weakref.ref(Circle())
        gc.collect()
        self.assertIsNone(late())

    def test_what_is_found_later_is_said_of_the_environment(self) -> None:
        options = self.options(RTCD_WEB="yes", RTCD_SIGNALING="yes", RTCD_SIGNALING_PATH="/join")
        self.assertTrue(re.match(r"environment: \[\w+\]: .*is served by another", str(
            self.assertRaises(SystemExit, tap.makeService, options))))
