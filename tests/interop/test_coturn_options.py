"""docs/coming-from-coturn.md has a row for each option that coturn itself names."""

from __future__ import annotations

import re
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.daemon.process import ROOT
from tests.interop import require_program

NOT_CONFIGURATION = {"help", "version"}


class Options(SynchronousTestCase):
    def test_every_option_of_turnserver_has_a_row(self) -> None:
        """Whoever moves finds what he has written."""
        done = subprocess.run(
            [require_program("turnserver"), "--help"], capture_output=True, text=True, timeout=60, check=False)
        options = set(re.findall(r"^\s*(?:-\w,\s*)?--([a-zA-Z][\w-]+)", done.stdout + done.stderr, re.MULTILINE))
        self.assertGreater(len(options), 60)
        rows = re.findall(r"^\| (.*?) \|", (ROOT / "docs" / "coming-from-coturn.md").read_text(), re.MULTILINE)
        named = {one for row in rows for one in re.findall(r"`([\w-]+)\*?`", row)}
        self.assertEqual(options - named - NOT_CONFIGURATION, set())
