"""Daemons by fork: one process imports what every daemon imports, which is most of what a start costs, and forks for each.

What is forked runs twistd's own entry with its own arguments, environment, folder and output, and imports nothing that a
fresh process would not. `Forked` is as much of subprocess.Popen as tests use.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

MODULES = ("twisted.scripts.twistd", "twisted.scripts._twistd_unix", "rtcd.tap", "rtcd.turn.service", "rtcd.ice.service",
           "rtcd.signaling.service", "rtcd.web.service")
_MAX_REQUEST_BYTES = 1 << 18
_FOR_THE_INTERPRETER = ("PYTHON", "LC_", "LANG")
"""Variables that count only when it starts."""


class Forked:
    """A daemon of its own arguments, environment and folder; its standard output is `stdout`."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stderr: TextIO) -> None:
        self.returncode: int | None = None
        reading, writing = os.pipe()
        self.stdout: TextIO = open(reading, encoding="utf-8")  # noqa: SIM115 # closed by who uses it, as that of Popen
        self._server = _server()
        try:
            request = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
            self.pid = int(self._server.ask(request, [writing, stderr.fileno()]))
        finally:
            os.close(writing)
        self._descriptor = os.pidfd_open(self.pid)

    def send_signal(self, number: int) -> None:
        """If it is still there."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        """At once."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Its exit code if it has ended, less than 0 for the signal that it died of."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._descriptor], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked daemon", timeout)
            os.close(self._descriptor)
            self.returncode = int(self._server.ask({"wait": self.pid}))
        return self.returncode


def can(extra: Mapping[str, str]) -> bool:
    """Whether a daemon with these variables is the same by fork."""
    return hasattr(os, "pidfd_open") and not any(one.startswith(_FOR_THE_INTERPRETER) for one in extra)


class _Server:
    """The process that forks, and how it is asked."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from tests.daemon.forked import serve; serve()"], stdin=theirs.fileno(),
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"})
        self._lock = threading.Lock()
        atexit.register(self.close)

    def ask(self, request: Mapping[str, object], descriptors: Sequence[int] = ()) -> str:
        with self._lock:
            socket.send_fds(self._ours, [json.dumps(request).encode()], descriptors)
            answer = self._ours.recv(64).decode()
        if not answer:
            raise AssertionError(f"the process that forks has ended with {self._process.wait()}")
        return answer

    def close(self) -> None:
        """It ends when nobody can ask it any more."""
        self._ours.close()
        self._process.wait()


@functools.cache
def _server() -> _Server:
    return _Server()


def serve() -> None:
    """What the process that forks does, until its standard input is closed."""
    for one in MODULES:
        __import__(one)
    assert "twisted.internet.reactor" not in sys.modules, "the reactor would be one for all"
    with socket.socket(fileno=os.dup(0)) as asked:
        while True:
            data, descriptors, _, _ = socket.recv_fds(asked, _MAX_REQUEST_BYTES, 2)
            if not data:
                return
            request = json.loads(data)
            if "wait" in request:
                status = os.waitpid(request["wait"], 0)[1]
                asked.send(str(os.waitstatus_to_exitcode(status)).encode())
                continue
            child = os.fork()
            if not child:
                break
            for descriptor in descriptors:
                os.close(descriptor)
            asked.send(str(child).encode())
    _become(request["arguments"], request["folder"], request["environment"], *descriptors)


def _become(arguments: list[str], folder: str, environment: dict[str, str], stdout: int, stderr: int) -> None:
    """A daemon's process, as if it had been started."""
    with open(os.devnull) as nothing:
        for descriptor, number in ((nothing.fileno(), 0), (stdout, 1), (stderr, 2)):
            os.dup2(descriptor, number)
    os.closerange(3, 256)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    random.seed()
    sys.argv = ["twistd", *arguments]
    from twisted.scripts.twistd import run

    run()
