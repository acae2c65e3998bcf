"""A real daemon in a process of its own, and the few things that tests do with one. Waits have a deadline, never a sleep."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.daemon import forked

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

DEADLINE_S = 30.0
"""How long anything may take; only a broken daemon needs it."""

ANY_PORT_TRIES = 3
"""A daemon that takes any free TCP port wants UDP at the same number, where a browser of another test may just be."""
TAKEN = r"\[turn\] web-port: udp port \d+ on \S+ is in use"

TWISTD = [sys.executable, "-c", "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"]

WEB = """
[doorway]
https = tcp:0:interface=127.0.0.1
http =
[web]
[signaling]
"""
"""The smallest ini with a page."""

TURN = """
[turn]
listen = 127.0.0.1
port = 0
tls-port = 0
relay-plane = python
"""
"""The smallest ini with a relay. By sockets: to check a program costs the kernel as much as a fifth of a start."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Of what a shell starts in the background; daemons would inherit it, and go on at an interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def environment(extra: Mapping[str, str] | None = None, path: str = "") -> dict[str, str]:
    """Ours, without what systemd would have told us; the checkout is found first."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_", "STATE_DIRECTORY"))}
    return {**kept, "PYTHONPATH": f"{path}:{ROOT}" if path else str(ROOT), "PYTHONUNBUFFERED": "1", **(extra or {})}


class Running:
    """``twistd -n rtcd`` on an ini of its own, in a directory of its own."""

    def __init__(
        self, folder: Path, ini: str, *, arguments: Sequence[str] = (), extra: Mapping[str, str] | None = None,
        path: str = "", command: Sequence[str] = (*TWISTD, "-n", "--pidfile="), **popen: Any,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder.resolve()
        self.ini = self.folder / "rtcd.ini"
        self.ini.write_text(ini)
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._errors = open(self.folder / "stderr", "w+")  # noqa: SIM115 # closed in end
        whole, variables = [*command, "rtcd", "--config", "rtcd.ini", *arguments], environment(extra, path)
        self._forked = whole[: len(TWISTD)] == TWISTD and not path and not popen and forked.can(extra or {})
        self._whole, self._variables, self._popen = whole, variables, popen
        self._tries = ANY_PORT_TRIES if ":0" in ini else 1
        self._run()

    def _run(self) -> None:
        self._tries -= 1
        self.process: subprocess.Popen[str] | forked.Forked
        if self._forked:
            self.process = forked.Forked(self._whole[len(TWISTD) :], self.folder, self._variables, self._errors)
        else:
            self.process = subprocess.Popen(
                self._whole, cwd=self.folder, env=self._variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=self._errors, text=True, encoding="utf-8", **self._popen)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str, times: int = 1) -> re.Match[str]:
        """The first line of output, past or to come, in which ``pattern`` is found, or is found for the nth time."""
        seen = 0
        with self._more:
            while True:
                for line in self.lines[seen:]:
                    seen += 1
                    found = re.search(pattern, line)
                    times -= found is not None
                    if found and not times:
                        return found
                if self._unlucky():
                    self._run()
                elif self._ended() or not self._more.wait(DEADLINE_S):
                    raise AssertionError(f"no line has {pattern!r}:\n" + "\n".join(self.lines) + self.errors())

    def started(self) -> Running:
        """Wait until it serves; returns itself."""
        self.wait_for("is ready")
        return self

    def port(self, transport: str = "tls") -> int:
        """The port of the first listener of a transport."""
        return int(self.wait_for(rf"listens on {transport} \S+:(\d+)$")[1])

    def errors(self) -> str:
        """What it has written to standard error."""
        self._errors.flush()
        return (self.folder / "stderr").read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code

    def end(self) -> None:
        """Make sure that nothing is left of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()

    def _unlucky(self) -> bool:
        """Whether it ended since UDP at the number that it was given for TCP is somebody else's, and may be tried again."""
        if not (self._ended() and self._tries and re.search(TAKEN, self.errors())):
            return False
        self.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.seek(0)
        self._errors.truncate()
        return True

    def _ended(self) -> bool:
        return not self._reader.is_alive()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self._more.notify_all()


class DaemonTestCase(SynchronousTestCase):
    """A test that runs daemons; none outlives it."""

    def run_daemon(self, ini: str, **options: Any) -> Running:
        """Start one; see `Running`."""
        return self.run_daemon_in(Path(self.mktemp()), ini, **options)

    def run_daemon_in(self, folder: Path, ini: str, **options: Any) -> Running:
        """Start one in a folder that may be there already."""
        running = Running(folder, ini, **options)
        self.addCleanup(running.end)
        return running

    def wait_for_file(self, path: Path, text: str) -> None:
        """Wait until a file is there and has ``text``; nothing tells us of that, so this looks again and again."""
        deadline = time.monotonic() + DEADLINE_S
        while not (path.exists() and text in path.read_text()):
            if time.monotonic() > deadline:
                self.fail(f"{path} has no {text!r}: {path.read_text() if path.exists() else None}")
            time.sleep(0.01)

    def get(self, url: str) -> tuple[int, bytes]:
        """GET by HTTPS without looking at the certificate: status and body."""
        return self.ask(url, None)

    def post(self, url: str, body: bytes = b"") -> Any:
        """POST likewise; the answer's JSON."""
        return json.loads(self.ask(url, body)[1])

    def ask(self, url: str, body: bytes | None) -> tuple[int, bytes]:
        """One request; an error status is a status like any other."""
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=trusting()), urllib.request.ProxyHandler({}))
        try:
            with opener.open(urllib.request.Request(url, body), timeout=DEADLINE_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


class WebSocket:
    """A client of Collider's protocol on blocking sockets: short text frames are all that it knows."""

    def __init__(self, port: int, path: str = "/ws") -> None:
        plain = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self._socket = trusting().wrap_socket(plain, server_hostname="localhost")
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: https://localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        while self._file.readline().strip():
            pass

    def send(self, **fields: str) -> None:
        """Send a JSON object as one masked text frame."""
        data = json.dumps(fields).encode()
        head = bytes([0x81, 0x80 | len(data)]) if len(data) < 126 else b"\x81\xfe" + len(data).to_bytes(2, "big")
        self._socket.sendall(head + b"\0\0\0\0" + data)

    def receive(self) -> Any:
        """The next JSON object, or None when the server has closed."""
        while True:
            head = self._file.read(2)
            if len(head) < 2 or head[0] & 0xF == 8:
                return None
            length = head[1] if head[1] < 126 else int.from_bytes(self._file.read(2), "big")
            body = self._file.read(length)
            if head[0] & 0xF == 1:
                return json.loads(body)
            if head[0] & 0xF == 9:
                self._socket.sendall(bytes([0x8A, 0x80 | length]) + b"\0\0\0\0" + body)

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()


def trusting() -> ssl.SSLContext:
    """TLS that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
