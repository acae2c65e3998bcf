"""The targets of tests.fuzz hold without a fuzzer too, for a few hundred inputs that are the same each time."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.source import Source
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
INPUTS = 300


def changed(seed: bytes, chance: random.Random) -> bytes:
    """A seed with some bytes replaced, doubled, left out or behind it."""
    data = bytearray(seed)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            data[at : at + 1] = chance.randbytes(1)
        elif kind == 1:
            data[at:at] = data[at : at + chance.randrange(20)]
        elif kind == 2:
            del data[at : at + chance.randrange(8)]
        else:
            data += chance.randbytes(chance.randrange(40))
    return bytes(data)


class TargetTests(SynchronousTestCase):
    def test_each_target_takes_whatever_there_is(self) -> None:
        """Its seeds as they are, changed, and nothing at all."""
        for name, target in TARGETS.items():
            chance = random.Random(name)
            target.run(b"")
            for seed in target.seeds:
                target.run(seed)
            for number in range(max(INPUTS, 8 * len(target.seeds))):
                data = changed(target.seeds[number % len(target.seeds)], chance)[: target.max_bytes]
                try:
                    target.run(data)
                except BaseException:
                    print(f"{name}: {data!r}", file=sys.stderr)  # noqa: T201
                    raise

    def test_a_source_never_ends(self) -> None:
        """Behind the last byte there are zeros."""
        source = Source(b"\x02ab\x01")
        self.assertEqual((source.take(), bool(source), source.flag(), bool(source)), (b"ab", True, True, False))
        self.assertEqual((source.number(2), source.take(), source.rest()), (0, b"", b""))

    def test_the_command_says_what_it_needs(self) -> None:
        """Atheris is nothing that rtcd or its tests require."""
        program = "import sys; sys.modules['atheris'] = None; sys.argv[1:] = ['message']; import tests.fuzz.__main__"
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("pip install atheris", done.stderr)
