"""Does the steps of a plan, one after another, and says each. A file is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rtcd.config import ConfigError
from rtcd.install.layout import Layout
from rtcd.install.receipt import Receipt
from rtcd.install.steps import Keep, MakeDirectory, Remove, RemoveDirectory, RemoveTree, Run, Step, Write

FILE_MODE, DIRECTORY_MODE = 0o644, 0o755
"""Everything that is installed may be read by everybody: no secret is among it."""

Say = Callable[[str], object]
Command = Callable[[tuple[str, ...]], "subprocess.CompletedProcess[str]"]


def run_command(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run it in a folder that has nothing to do with us; raises OSError if there is no such program."""
    return subprocess.run(command, cwd="/", capture_output=True, text=True, errors="replace", check=False,
                          stdin=subprocess.DEVNULL)


def carry_out(
    layout: Layout, steps: Iterable[Step], say: Say, run: Command = run_command, *,
    partly: Callable[[Sequence[Step]], Receipt] | None = None,
) -> None:
    """Do all of them. Raises `ConfigError` at the first that cannot be done; those before it stay done, and a second run
    goes on from there. ``partly`` makes the receipt of these, so that they can be removed as well."""
    done: list[Step] = []
    for step in steps:
        say(f"  {step}")
        try:
            _do(layout, step, say, run)
        except (OSError, ConfigError) as error:
            if partly is not None and done:
                with contextlib.suppress(OSError):
                    _do(layout, Write(layout.receipt, partly(done).encode(), ""), say, run)
            if isinstance(error, ConfigError):
                raise
            mend = "; run this as root" if isinstance(error, PermissionError) else ""
            raise ConfigError("", "", f"{error.filename or step}: {error.strerror}{mend}") from None
        done.append(step)


def _do(layout: Layout, step: Step, say: Say, run: Command) -> None:
    if isinstance(step, Run):
        _run(step, say, run)
    elif not isinstance(step, Keep):
        path = Path(layout.staged(step.path))
        if isinstance(step, MakeDirectory):
            _make(path)
        elif isinstance(step, Write):
            _make(path.parent)
            _write(path, step.data)
        elif isinstance(step, Remove):
            path.unlink(missing_ok=True)
        elif isinstance(step, RemoveTree):
            shutil.rmtree(path)
        else:
            _empty(path, step)


def _empty(path: Path, step: RemoveDirectory) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not any(path.iterdir()):
            path.rmdir()


def _make(path: Path) -> None:
    for one in reversed((path, *path.parents)):
        with contextlib.suppress(FileExistsError):
            one.mkdir()
            one.chmod(DIRECTORY_MODE)


def _write(path: Path, data: bytes) -> None:
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, FILE_MODE)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


def _run(step: Run, say: Say, run: Command) -> None:
    try:
        done = run(step.command)
        fault = done.stderr.strip().rpartition("\n")[2] if done.returncode else ""
        failed = done.returncode != 0
    except OSError as error:
        fault, failed = error.strerror or "", True
    if not failed:
        return
    if not step.optional:
        raise ConfigError("", "", f"{step.text}: failed{f' ({fault})' if fault else ''}; run it by hand to see why, then run"
                                  " this again")
    say(f"          which failed{f' ({fault})' if fault else ''}: {step.why} have to wait for the next start of the machine")
