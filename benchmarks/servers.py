"""The servers that are measured: each a process of its own, pinned to one CPU, ended by its own id.

rtcd runs from a checkout by way of twistd, coturn is Debian's turnserver or one that the caller names, Collider is a binary
that the caller names. TURN servers are where a `Place` says, all others on loopback.
Limits that protect a real server from one address are off, since all load comes from few addresses.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from topology import Place

CHECKOUT = Path(__file__).resolve().parents[1]
DEADLINE_S = 30.0
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
OPEN_FILES = 65536

TRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TRUSTING.check_hostname = False
TRUSTING.verify_mode = ssl.CERT_NONE

DOORWAY = """
[daemon]
state-directory = state
{daemon}
[doorway]
http =
max-connections = {files}
max-undecided = {files}
max-undecided-per-address = {files}
https = tcp:{tls}:interface=127.0.0.1
plain = tcp:{plain}:interface=127.0.0.1
[tls]
cert = cert.pem
key = key.pem
[rooms]
max-rooms = 1000000
max-clients-per-address = 1000000
join-timeout = 600
[web]
join-rate = 0
[signaling]
register-rate = 0
ping-interval = {ping}
require-join = {require}
"""
"""Web and signalling on two ports."""

TURN = """
[daemon]
state-directory = state
[turn]
listen = {host}
port = {port}
tls = no
relay-ip = {relay}
external-ip =
min-port = 10240
max-port = 65535
realm = bench
user = u:p
allow-loopback-peers = yes
allow-private-peers = yes
unauth-rate = 0
{plane}
"""
"""TURN alone, for the user of turnload."""


class NotReady(SystemExit):
    """A server that ended or never answered; the end of its log. Whoever does not catch it ends with that."""


class Server:
    """A process that is started in a folder of its own; leaving the ``with`` ends it and removes the folder."""

    def __init__(
        self, name: str, command: Sequence[str], *, cpu: int | None, files: dict[str, str] | None = None,
        environment: dict[str, str] | None = None, root: bool = False,
    ) -> None:
        """``root``: the folder is its root directory."""
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix="rtcd-bench-"))
        for file, text in (files or {}).items():
            (self.folder / file).parent.mkdir(exist_ok=True)
            (self.folder / file).write_text(text)
        if root:
            shutil.copy(command[0], self.folder / "server")
            command = ["/server", *command[1:]]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_"))}
        kept.update(environment or {})

        def prepare() -> None:
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            if root:
                os.chroot(self.folder)
                os.chdir("/")

        self._log = open(self.folder / "log", "w+")  # noqa: SIM115 # closed in stop
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            list(command), cwd=self.folder, env=kept, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            preexec_fn=prepare)
        self.pid = self.process.pid

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ready(self, answers: Callable[[], bool]) -> float:
        """Ask again and again until it answers; the seconds since it was started."""
        while not answers():
            if self.process.poll() is not None or time.monotonic() - self.started_at > DEADLINE_S:
                log = (self.folder / "log").read_text()[-2000:]
                self.stop()
                raise NotReady(f"{self.name} does not answer:\n{log}")
            time.sleep(0.001)
        return time.monotonic() - self.started_at

    def memory(self) -> tuple[float, float]:
        """RSS and PSS in MB."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in text.splitlines()[1:]}
        return found["Rss"], found["Pss"]

    def said(self, word: str) -> list[str]:
        """The lines of its log so far that have this word in them."""
        return [line for line in (self.folder / "log").read_text().splitlines() if word in line.lower()]

    def stop(self) -> None:
        """End it, by force if it does not listen."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def rtcd(
    ini: str, *, tree: Path = CHECKOUT, cpu: int | None = None, name: str = "rtcd", files: dict[str, str] | None = None,
    environment: dict[str, str] | None = None, place: Place | None = None,
) -> Server:
    """rtcd of a checkout, on this ini."""
    command = [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "rtcd", "--config", "rtcd.ini"]
    return Server(
        name, place.command(command) if place else command, cpu=cpu,
        files={"rtcd.ini": ini, **(files or {})}, environment={"PYTHONPATH": str(tree), **(environment or {})})


def knows_planes(tree: Path) -> bool:
    """Whether the rtcd of this checkout can be told what relays: the setting relay-plane."""
    return "relay_plane" in (tree / "rtcd" / "turn" / "settings.py").read_text()


def rtcd_turn(
    place: Place, *, tree: Path = CHECKOUT, cpu: int | None = None, name: str = "rtcd", plane: str = "",
) -> Server:
    """rtcd with [turn] alone, ready. An empty plane leaves the setting out."""
    ini = TURN.format(
        host=place.host, relay=place.relay or place.host, port=3478, plane=f"relay-plane = {plane}" if plane else "")
    server = rtcd(ini, tree=tree, cpu=cpu, name=name, place=place)
    server.ready(lambda: answers_stun(place))
    return server


def rtcd_signalling(
    plain: int, tls: int, certificate: dict[str, str], *, tree: Path = CHECKOUT, cpu: int | None = None, name: str = "rtcd",
    ping: int = 5, require: bool = True, workers: int = 1,
) -> Server:
    """rtcd with [web] and [signaling], ready."""
    daemon = f"workers = {workers}" if workers > 1 else ""
    ini = DOORWAY.format(
        daemon=daemon, plain=plain, tls=tls, ping=ping, require="yes" if require else "no", files=OPEN_FILES)
    server = rtcd(ini, tree=tree, cpu=cpu, name=name, files=certificate)
    server.ready(lambda: answers_http(plain) and answers_http(tls, tls=True))
    return server


def coturn(
    place: Place, *, cpu: int | None = None, environment: dict[str, str] | None = None, name: str = "coturn",
    binary: str = "turnserver", options: Sequence[str] = (),
) -> Server:
    """A turnserver, Debian's by default, with one relay thread, for the user of turnload; not waited for."""
    return Server(name, place.command([
        binary, "-n", "-L", place.host, "-E", place.relay or place.host, "-p", "3478", "--min-port", "10240",
        "--max-port", "65535", "-m", "1", "--lt-cred-mech", "-u", "u:p", "-r", "bench", "--allow-loopback-peers", "--no-cli",
        "--no-tls", "--no-dtls", "--no-tcp", "--no-tcp-relay", "--no-rfc5780", "--no-software-attribute", "--no-stdout-log",
        "--simple-log", "--log-file=coturn.log", "--pidfile=coturn.pid", "--userdb=coturn.sqlite", *options,
    ]), cpu=cpu, environment=environment)


def coturn_ready(
    place: Place, *, cpu: int | None = None, name: str = "coturn", binary: str = "turnserver", options: Sequence[str] = (),
) -> Server:
    """The same, ready."""
    server = coturn(place, cpu=cpu, name=name, binary=binary, options=options)
    server.ready(lambda: answers_stun(place))
    return server


def coturn_version(binary: str) -> str:
    """What it calls itself, as in 4.6.1."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout.split()
    if not said:
        raise SystemExit(f"{binary} --version says nothing")
    return said[-1]


def join_stub(binary: str, port: int, certificate: dict[str, str], *, tls: bool, cpu: int | None = None) -> Server:
    """What Go's net/http takes for the answers of /join and /leave and nothing else (joinstub.go), ready."""
    server = Server(
        "Go stub", [os.path.abspath(binary), f"-listen=127.0.0.1:{port}",
                    *(["-cert=cert.pem", "-key=key.pem"] if tls else [])],
        cpu=cpu, files=certificate, environment={"GOMAXPROCS": "1"} if cpu is not None else None)
    server.ready(lambda: answers_http(port, tls=tls))
    return server


def collider_unready(
    binary: str, port: int, certificate: dict[str, str], *, tls: bool, cpu: int | None = None, room_server: str = "",
) -> Server:
    """A Collider, not waited for. Its certificate has a fixed place, /cert, hence the root directory of its own."""
    if os.geteuid() != 0:
        raise SystemExit("Collider wants its certificate in /cert: run as root, so that it gets a root directory of its own")
    return Server(
        "Collider", [os.path.abspath(binary), f"-port={port}", f"-tls={str(tls).lower()}", f"-room-server={room_server}"],
        cpu=cpu, files={f"cert/{file}": text for file, text in certificate.items()},
        environment={"GOMAXPROCS": "1"} if cpu is not None else None, root=True)


def collider(
    binary: str, port: int, certificate: dict[str, str], *, tls: bool, cpu: int | None = None, room_server: str = "",
) -> Server:
    """The same, ready."""
    server = collider_unready(binary, port, certificate, tls=tls, cpu=cpu, room_server=room_server)
    server.ready(lambda: answers_http(port, "/status", tls=tls))
    return server


def make_certificate() -> dict[str, str]:
    """A P-256 certificate of localhost's own: what openssl wrote into cert.pem and key.pem."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", "key.pem", "-out", "cert.pem"],
            cwd=folder, check=True, capture_output=True)
        return {file: (Path(folder) / file).read_text() for file in ("cert.pem", "key.pem")}


def answers_stun(place: Place) -> bool:
    """Whether a Binding request is answered at once."""
    with place.client_socket() as asking:
        asking.settimeout(0.05)
        try:
            asking.connect((place.host, 3478))
            asking.send(b"\0\1\0\0\x21\x12\xa4\x42" + os.urandom(12))
            return asking.recv(100)[:2] == b"\1\1"
        except OSError:
            return False


def answers_http(port: int, path: str = "/", *, tls: bool = False) -> bool:
    """Whether a GET is answered, whatever it says."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain, contextlib.ExitStack() as stack:
            asking: socket.socket = plain
            if tls:
                asking = stack.enter_context(TRUSTING.wrap_socket(plain, server_hostname="localhost"))
            asking.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return asking.recv(100).startswith(b"HTTP/1.1 ")
    except OSError:
        return False


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quietly."""


@contextlib.contextmanager
def room_server():
    """What Collider tells that a client has gone: answers every POST with 200. Its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
