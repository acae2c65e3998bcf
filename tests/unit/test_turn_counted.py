"""That all there is to count of TURN is named, and so is there from the start."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rtcd.turn.counted import ANSWERS, DROPS, ENDS

ROOT = Path(__file__).resolve().parents[2]
ENDING = {"end": 1, "close": 1, "_close_ended": 1, "dropped": 0, "Error": 0, "Refusal": 0}
"""Which argument of a call is the label."""


def constants(*calls: str) -> Iterator[object]:
    """What stands in the calls of these names, wherever the server is told of it."""
    for package in ("turn", "peers", "auth", "allocations", "clients"):
        for path in sorted((ROOT / "rtcd" / package).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    if name in calls and len(node.args) > ENDING[name]:
                        argument = node.args[ENDING[name]]
                        if isinstance(argument, ast.Constant):
                            yield argument.value


class CountedTests(SynchronousTestCase):
    """Read from the sources."""

    def test_every_end_and_drop_is_named(self) -> None:
        """And nothing else is."""
        self.assertEqual({one for one in constants("end", "close") if isinstance(one, str)}, set(ENDS))
        self.assertEqual(set(constants("dropped")), set(DROPS))

    def test_every_code_is_that_of_some_method(self) -> None:
        """Which one is for which is told by the rules."""
        named = {code for codes in ANSWERS.values() for code in codes} - {0}
        self.assertEqual(set(constants("Error", "Refusal")) - {0}, named)
