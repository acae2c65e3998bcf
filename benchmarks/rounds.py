"""Interleaved rounds and what is made of them: medians, their spread, and ratios of runs of the same round."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

BUILD = Path(__file__).resolve().parent / "build"
GENERATOR_CPU = 1
SERVER_CPU = 0


QUIET = float(os.environ.get("BENCH_QUIET", "0.15"))
"""CPUs that the rest of the machine may use while something is measured."""
QUIET_WAIT_S = float(os.environ.get("BENCH_PATIENCE", "30"))
"""Seconds to wait for that, each time."""
ATTEMPTS = 3
KERNEL_THREAD = 0x00200000
"""PF_KTHREAD of the flags in /proc/PID/stat."""

repeated: list[str] = []
"""Runs that were made again, and why."""


class Refused(Exception):
    """The server would not do what the case wants; why, in its words."""


REFUSED = 3
"""How turnload ends then."""


def generate(
    start: Callable[[], AbstractContextManager[Any]], program: str, *arguments: object, pinned: bool = True,
) -> dict[str, Any]:
    """One run of a load generator against the server that ``start`` starts or lends: its JSON line. ``pinned``: the
    generator has a CPU, and what the server's does is told.

    It waits until the machine does little else. A run in which others used more than `QUIET`, whatever it measured, is
    made again, with a server started again; of `ATTEMPTS` the least disturbed one counts. What the server refuses is
    not tried again: `Refused`.
    """
    pins = ["-c", str(GENERATOR_CPU), "-C", str(SERVER_CPU)] if pinned else []
    command = [str(BUILD / program), *pins, *map(str, arguments)]
    if not os.path.exists(command[0]):
        raise SystemExit(f"{command[0]} is not there; build it with: make -C benchmarks")
    best: tuple[float, dict[str, Any]] | None = None
    for _ in range(ATTEMPTS):
        wait_for_quiet()
        with start() as server:
            label = " ".join([f"{server.name}: {program}", *command[1 + len(pins):]])
            watch = Watch(server.pid)
            done = subprocess.run([*command, "-P", str(server.pid)], capture_output=True, text=True, timeout=180)
            others = watch.others()
        if done.returncode == REFUSED:
            raise Refused(done.stderr.strip())
        if done.returncode != 0:
            repeated.append(f"not valid: {label} {done.stdout}{done.stderr}".strip())
            continue
        if best is None or others < best[0]:
            best = (others, json.loads(done.stdout))
        if others <= QUIET:
            break
        repeated.append(f"others used {others:.2f} CPUs: {label}")
    if best is None:
        raise SystemExit("a run failed again and again:\n" + "\n".join(repeated[-ATTEMPTS:]))
    return best[1]


class Watch:
    """How much of the machine is used by others than one server and the programs that we run.

    Other processes are asked, not what is left of the machine: the kernel's work for a server is nobody's, and not others'.
    What the hypervisor took counts too. Processes that have ended are in what their parents say.
    """

    def __init__(self, server: int) -> None:
        self._ours = {server, os.getpid()}
        self._start = self._now()

    def others(self) -> float:
        """Since the beginning, in CPUs."""
        wall, used = (now - then for now, then in zip(self._now(), self._start, strict=True))
        return used / wall

    def _now(self) -> tuple[float, float]:
        with open("/proc/stat") as file:
            ticks = int(file.readline().split()[8])
        for number in filter(str.isdecimal, os.listdir("/proc")):
            if int(number) not in self._ours:
                with contextlib.suppress(OSError):
                    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
                    if not int(fields[6]) & KERNEL_THREAD:
                        ticks += sum(map(int, fields[11:15]))
        return time.monotonic(), ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def priority(nice: int) -> Iterator[None]:
    """This niceness for everything that we start, so that others who work on the machine disturb less.

    The kernel shares CPUs among sessions first, where it has groups of them (autogroup); so it is the session's as well.
    """
    if not nice:
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.callback(os.setpriority, os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0))
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        with contextlib.suppress(OSError, IndexError):
            group = Path("/proc/self/autogroup")
            before = group.read_text().split()[-1]
            group.write_text(str(nice))
            stack.callback(group.write_text, before)
        yield


def wait_for_quiet() -> None:
    """Return when the machine has been idle for a moment, or when waiting has become too long."""
    until = time.monotonic() + QUIET_WAIT_S
    while time.monotonic() < until:
        watch = Watch(os.getpid())
        time.sleep(0.25)
        if watch.others() < QUIET:
            return


def in_turn(names: list[str], number: int) -> list[str]:
    """The order of a round: each server goes first in some."""
    first = number % len(names)
    return names[first:] + names[:first]


class Results:
    """Values by case, server and measure; a list with one value a round."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], dict[str, list[float]]] = {}
        self.cases: list[str] = []

    def add(self, case: str, server: str, values: dict[str, Any]) -> None:
        """What a run of this round measured."""
        if case not in self.cases:
            self.cases.append(case)
        kept = self._values.setdefault((case, server), {})
        for measure, value in values.items():
            if not isinstance(value, str):
                kept.setdefault(measure, []).append(float(value))

    def values(self, case: str, server: str, measure: str) -> list[float]:
        """One value a round, or none."""
        return self._values.get((case, server), {}).get(measure, [])

    def middle(self, case: str, server: str, measure: str) -> float | None:
        """The median alone."""
        values = self.values(case, server, measure)
        return statistics.median(values) if values else None

    def median(self, case: str, server: str, measure: str, digits: int = 0, scale: float = 1.0) -> str:
        """``median [least-most]``, or a dash."""
        values = [value * scale for value in self.values(case, server, measure)]
        if not values:
            return "-"
        if len(values) == 1:
            return f"{values[0]:.{digits}f}"
        return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"

    def ratio(self, case: str, server: str, peer: str, measure: str, *, less_is_better: bool = False) -> str:
        """The median of the rounds' ratios to the peer, over 1 when ahead of it."""
        pairs = zip(self.values(case, server, measure), self.values(case, peer, measure), strict=False)
        ratios = [(theirs / ours if less_is_better else ours / theirs) for ours, theirs in pairs if ours and theirs]
        if not ratios or server == peer:
            return "" if server != peer else "1"
        return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table, if there is anything in it."""
    if not rows:
        return
    print(f"\n{title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    sys.stdout.flush()


def conditions(rounds: int) -> None:
    """Print what the machine is and does, for who reads the tables later; end with the servers when told to."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "?")
    print(f"{os.cpu_count()} CPUs, {model}; Linux {os.uname().release}; Python {sys.version.split()[0]}; "
          f"{rounds} rounds; load {os.getloadavg()[0]:.1f} at the start")


def conclusion() -> None:
    """Print which runs were made again."""
    disturbed = sum(1 for one in repeated if one.startswith("others"))
    print(f"\nruns made again: {disturbed} since others used the machine, {len(repeated) - disturbed} since not valid")
    for one in repeated:
        if not one.startswith("others"):
            print(one)
