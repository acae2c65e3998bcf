"""Real servers for tests: Debian's redis-server and redis-sentinel, each with its files in a directory of the test."""

from __future__ import annotations

import atexit
import functools
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.networks import Machine

START_S = 10.0
HERE = Machine("127.0.0.1")


class RedisServer:
    """A redis-server on a unix socket, or on a port of loopback or of another machine. Nothing is kept on disk unless it is
    asked for."""

    def __init__(
        self, folder: str, *options: str, port: int = 0, program: str = "redis-server", config: str = "",
        machine: Machine = HERE,
    ) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = str(self.folder / "redis.sock")
        self.port = port
        self.program = program
        self.machine = machine
        self.options = (*([config] if config else []), *options)
        self.process: Any = None
        self.start()

    def start(self) -> None:
        """Start it, again perhaps, and wait until it answers."""
        command = [self.program, *self.options, "--port", str(self.port), "--dir", str(self.folder), "--daemonize", "no"]
        if self.program == "redis-server":
            command += ["--save", "", *([] if self.port else ["--unixsocket", self.path])]
        if self.machine.namespace:
            command += ["--bind", self.machine.host, "--protected-mode", "no"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.machine.command(*command), stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if ask(self.address, "PING") in (b"+PONG\r\n", b"-NOAUTH Authentication required.\r\n"):
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text())

    @property
    def address(self) -> Any:
        """Where it can be reached."""
        return (self.machine.host, self.port) if self.port else self.path

    @property
    def url(self) -> str:
        """As ``[rooms] store`` names it."""
        return f"redis://{self.machine.host}:{self.port}" if self.port else f"unix://{self.path}"

    def stop(self) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def freeze(self) -> None:
        """It answers nothing any more, and its connections stay."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self.process.send_signal(signal.SIGCONT)


class Replicated:
    """A master of the name ``rooms``, a replica, and a Sentinel that makes that the master when the other is gone."""

    def __init__(self, folder: str, *, down_ms: int = 300, machines: Sequence[Machine] = (HERE, HERE, HERE)) -> None:
        """``down_ms``: how long the master may be silent. ``machines``: of master, replica and Sentinel."""
        of_master, of_replica, of_sentinel = machines
        self.sentinel_port = free_port()
        self._parts: list[RedisServer] = []
        try:
            self.master = self._add(f"{folder}/master", port=free_port(), machine=of_master)
            replica = ("--replicaof", of_master.host, str(self.master.port), "--repl-diskless-sync-delay", "0")
            self.replica = self._add(f"{folder}/replica", *replica, port=free_port(), machine=of_replica)
            wait_for(self.master.address, b"state=online", "INFO", "replication")
            config = Path(folder) / "sentinel.conf"
            config.write_text(
                f"port {self.sentinel_port}\nsentinel monitor rooms {of_master.host} {self.master.port} 1\n"
                f"sentinel down-after-milliseconds rooms {down_ms}\nsentinel failover-timeout rooms 2000\n")
            self.sentinel = self._add(
                f"{folder}/sentinel", program="redis-sentinel", config=str(config), port=self.sentinel_port,
                machine=of_sentinel)
            wait_for(self.sentinel.address, b"slaves=1", "INFO", "sentinel")
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """As ``[rooms] store`` names it."""
        return f"redis+sentinel://{self.sentinel.machine.host}:{self.sentinel_port}/rooms"

    @property
    def address(self) -> Any:
        """Where the master is."""
        return (self.master if self.master.process.poll() is None else self.replica).address

    def fail(self) -> None:
        """The master is gone at once."""
        self.master.stop()

    def stop(self) -> None:
        """End all of them."""
        for one in reversed(self._parts):
            one.stop()

    def _add(self, *arguments: str, **options: Any) -> RedisServer:
        self._parts.append(RedisServer(*arguments, **options))
        return self._parts[-1]


def wait_for(address: Any, text: bytes, *words: str) -> None:
    """Until this is in the answer."""
    deadline = time.monotonic() + START_S
    while text not in (answer := ask(address, *words)):
        if time.monotonic() > deadline:
            raise AssertionError(answer.decode())
        time.sleep(0.02)


@functools.cache
def shared_server() -> RedisServer:
    """One for all tests of this process that need nothing special; each takes a prefix of its own."""
    folder = tempfile.mkdtemp()
    server = RedisServer(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop)
    return server


def ask(address: Any, *words: str, timeout: float = 2.0) -> bytes:
    """Send a command of words and return the first part of the answer."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as line:
        line.settimeout(timeout)
        line.connect(address)
        data = [one.encode() for one in words]
        line.sendall(b"*%d\r\n" % len(data) + b"".join(b"$%d\r\n%s\r\n" % (len(one), one) for one in data))
        return line.recv(65536)


def is_here() -> bool:
    """Whether the programs are installed."""
    return all(shutil.which(one) for one in ("redis-server", "redis-sentinel"))


def free_port() -> int:
    """A port of loopback that nobody has at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
