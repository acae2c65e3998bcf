"""What ``.ci/run`` says of a run: nothing that has failed is told as passed."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

FILE = Path(__file__).resolve().parents[2] / ".ci" / "tally"

GOOD = "PASSED (successes=10)\n"
FLAKY = "[ERROR]\nTraceback\n\ntests.shell.test_x.XTests.test_it\nFAILED (errors=1, successes=9)\n"
NODE = "# pass 4\n# fail 0\n# cancelled 0\n"
AGAIN = "PASSED (successes=1)\n"


def tally() -> Any:
    """The module; nothing is written beside it."""
    loader = SourceFileLoader("tally", str(FILE))
    spec = spec_from_loader("tally", loader)
    assert spec is not None
    module = module_from_spec(spec)
    exec(compile(FILE.read_bytes(), str(FILE), "exec"), vars(module))
    return module


class TallyTests(SynchronousTestCase):
    """With the words of trial and of node."""

    def setUp(self) -> None:
        self.tally = tally()

    def test_what_passes_alone_has_passed(self) -> None:
        """It is counted once."""
        self.assertEqual(self.tally.main(0, 0, GOOD * 6 + NODE, ""), (64, 0))
        self.assertEqual(self.tally.main(0, 1, GOOD * 5 + FLAKY + NODE, AGAIN), (64, 0))

    def test_what_fails_twice_has_failed(self) -> None:
        """Or is not told to have passed the other time."""
        for again in ("FAILED (errors=1)\n", "PASSED (skips=1)\n", ""):
            self.assertEqual(self.tally.main(0, 1, GOOD * 5 + FLAKY + NODE, again)[1], 1)

    def test_what_was_skipped_has_not_failed(self) -> None:
        """Trial names it too."""
        line = "=" * 79
        text = (f"{line}\n[SKIPPED]\nno root\n\ntests.a.ATests.test_a\ntests.a.ATests.test_b\n{line}\n[ERROR]\nTraceback\n\n"
                f"tests.b.BTests.test_c\n{'-' * 79}\nRan 3 tests in 1.0s\n\nFAILED (skips=2, errors=1)\n")
        self.assertEqual(self.tally.failed(text), ["tests.b.BTests.test_c"])

    def test_a_test_that_passes_alone_does_not_hide_what_else_failed(self) -> None:
        """Node that is not there or has crashed, a part of trial that has, a module that cannot be imported, and style."""
        for words in (GOOD * 5 + FLAKY, GOOD * 4 + FLAKY + NODE, GOOD * 4 + FLAKY + "FAILED (errors=1)\n" + NODE,
                      GOOD * 5 + FLAKY + NODE.replace("fail 0", "fail 1")):
            self.assertEqual(self.tally.main(0, 1, words, AGAIN)[1], 1, words)
        self.assertEqual(self.tally.main(1, 1, GOOD * 5 + FLAKY + NODE, AGAIN)[1], 1)
