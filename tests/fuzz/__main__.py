"""``python -m tests.fuzz TARGET [seconds [folder]]``: run one target with atheris, or each in turn for ``all``."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SECONDS = "60"


def main(arguments: list[str]) -> None:
    """The folder keeps inputs that are worth keeping, for the next run; without one they are forgotten."""
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        raise SystemExit("atheris is not installed; run: python -m pip install atheris") from None
    with atheris.instrument_imports(include=["rtcd"]):
        table = importlib.import_module("tests.fuzz.targets").TARGETS
    if not 1 <= len(arguments) <= 3 or arguments[0] not in {*table, "all"} or not all(map(str.isdigit, arguments[1:2])):
        raise SystemExit(f"usage: python -m tests.fuzz TARGET [seconds [folder]]\ntargets: {', '.join(table)}, all")
    name, seconds, folder = (*arguments, *("", SECONDS, "")[len(arguments) :])
    if not folder:  # the fuzzer ends by leaving the process, so somebody else has to clean up
        with tempfile.TemporaryDirectory() as temporary:
            raise SystemExit(subprocess.run([sys.executable, "-m", "tests.fuzz", name, seconds, temporary]).returncode)
    if name == "all":
        raise SystemExit(max(
            subprocess.run([sys.executable, "-m", "tests.fuzz", one, seconds, folder]).returncode for one in table))
    target = table[name]
    corpus = Path(folder) / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", f"-max_len={target.max_bytes}", "-timeout=10",
                   "-rss_limit_mb=1024", "-print_final_stats=1", f"-artifact_prefix={name}-", str(corpus)], target.run)
    atheris.Fuzz()


main(sys.argv[1:])
