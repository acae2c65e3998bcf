"""coturn's ``turnadmin -k`` and ``rtcd key`` make the same key."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.daemon.process import ROOT
from tests.interop import require_program

CREDENTIALS = (("x", "y", "z"), ("ann", "example.org", "a:b c"), ("Am\u00e9lie", "caf\u00e9", "na\u00efve"))


class Keys(SynchronousTestCase):
    def test_both_print_the_same_key(self) -> None:
        """Whoever moves from coturn keeps the keys."""
        program, database = require_program("turnadmin"), str(Path(self.mktemp()).absolute())
        for user, realm, password in CREDENTIALS:
            arguments = ["-u", user, "-r", realm, "-p", password]
            theirs = subprocess.run([program, "-k", "-b", database, *arguments], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, timeout=60, check=True)
            for log in re.findall(r"log file opened: (\S+)", theirs.stdout):
                Path(log).unlink(missing_ok=True)
            ours = subprocess.run([sys.executable, "-m", "rtcd.cli", "key", *arguments], cwd=ROOT, capture_output=True,
                                  text=True, timeout=60, check=True)
            self.assertIn(ours.stdout, theirs.stdout.splitlines(keepends=True))
