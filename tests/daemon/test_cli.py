"""The command ``rtcd`` as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.daemon.process import ROOT

COMMAND = (sys.executable, "-m", "rtcd.cli")
AT_ONCE = 6


class ProcessTests(SynchronousTestCase):
    def test_importing_it_imports_no_reactor(self) -> None:
        """A command that only edits a file has no loop, and the reactor would be chosen too early for one that has."""
        program = "import sys, rtcd.cli.main; sys.exit('twisted.internet.reactor' in sys.modules)"
        self.assertEqual(subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60, check=False).returncode, 0)

    def test_users_that_are_added_at_once_are_all_there(self) -> None:
        path = Path(self.mktemp()).absolute()
        running = [subprocess.Popen([*COMMAND, "user", "add", f"u{one}", "-p", "x", "-r", "r", "--file", str(path)],
                                    cwd=ROOT, stdout=subprocess.DEVNULL) for one in range(AT_ONCE)]
        self.assertEqual([one.wait(60) for one in running], [0] * AT_ONCE)
        done = subprocess.run([*COMMAND, "user", "list", "--file", str(path)], cwd=ROOT, capture_output=True, text=True,
                              timeout=60, check=True)
        self.assertEqual(sorted(done.stdout.split()), [f"u{one}" for one in range(AT_ONCE)])

    def test_who_reads_its_output_may_stop_reading(self) -> None:
        """``rtcd user list | head``: no traceback."""
        path = Path(self.mktemp()).absolute()
        path.write_text("".join(f"user{one}:x\n" for one in range(9000)))
        with subprocess.Popen([*COMMAND, "user", "list", "--file", str(path)], cwd=ROOT, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as running:
            assert running.stdout is not None and running.stderr is not None
            running.stdout.close()
            self.assertEqual((running.wait(60), running.stderr.read()), (1, b""))
