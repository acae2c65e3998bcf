"""What systemd is told and hands over, and the shipped units."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from rtcd.cli.main import main
from tests.daemon.process import DEADLINE_S, ROOT, TWISTD, WEB, DaemonTestCase
from tests.interop import require_program

UNITS = ROOT / "systemd"

HANDED_OVER = """
import os, sys
sources = [os.dup2(int(one), 100 + index) for index, one in enumerate(sys.argv[1].split(","))]
for target, source in enumerate(sources, 3):
    os.dup2(source, target, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Does what systemd does: descriptors from 3 on, and the pid of the process that they are for."""


class NotifyTestCase(DaemonTestCase):
    """A socket that systemd would listen on."""

    def setUp(self) -> None:
        """Bound; its path has to be short."""
        folder = tempfile.TemporaryDirectory(prefix="rtcd-")
        self.addCleanup(folder.cleanup)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.settimeout(DEADLINE_S)
        self.address = f"{folder.name}/notify"
        self.socket.bind(self.address)

    def told(self) -> list[str]:
        """The next datagram's assignments."""
        return self.socket.recv(4096).decode().split("\n")


class NotifyTests(NotifyTestCase):
    """The protocol of sd_notify(3)."""

    def test_ready_reload_and_stop_are_told(self) -> None:
        """In this order; a reload has its time (Type=notify-reload)."""
        daemon = self.run_daemon(WEB, extra={"NOTIFY_SOCKET": self.address})
        self.assertEqual(self.told(), ["READY=1"])
        self.assertEqual(self.get(f"https://127.0.0.1:{daemon.port()}/")[0], 200)
        daemon.process.send_signal(signal.SIGHUP)
        reloading, time = self.told()
        self.assertEqual(reloading, "RELOADING=1")
        self.assertTrue(re.fullmatch(r"MONOTONIC_USEC=\d+", time), time)
        self.assertEqual(self.told(), ["READY=1"])
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(self.told(), ["STOPPING=1"])

    def test_a_reload_that_fails_ends_as_well(self) -> None:
        """Or systemctl reload would wait for ever."""
        daemon = self.run_daemon(WEB, extra={"NOTIFY_SOCKET": self.address})
        self.assertEqual(self.told(), ["READY=1"])
        daemon.ini.write_text("[nonsense]\n")
        daemon.process.send_signal(signal.SIGHUP)
        self.assertEqual(self.told()[0], "RELOADING=1")
        self.assertEqual(self.told(), ["READY=1"])

    def test_the_watchdog_is_fed(self) -> None:
        """Twice in each period, after READY."""
        extra = {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": "100000"}
        daemon = self.run_daemon(WEB, extra=extra)
        self.assertEqual([self.told() for _ in range(4)], [["READY=1"], *[["WATCHDOG=1"]] * 3])
        self.assertEqual(daemon.stop(), 0)

    def test_an_abstract_socket_will_do(self) -> None:
        """Its name begins with @ in the environment."""
        name = f"rtcd-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
            listening.settimeout(DEADLINE_S)
            listening.bind(f"\0{name}")
            self.run_daemon(WEB, extra={"NOTIFY_SOCKET": f"@{name}"})
            self.assertEqual(listening.recv(100), b"READY=1")

    def test_a_socket_that_is_gone_is_no_reason_to_end(self) -> None:
        """It is worth a warning."""
        daemon = self.run_daemon(WEB, extra={"NOTIFY_SOCKET": "/nowhere/at/all"}).started()
        daemon.wait_for("systemd cannot be told")
        self.assertEqual(daemon.stop(), 0)

    def test_a_fault_at_the_start_is_never_ready(self) -> None:
        """Nothing is told."""
        daemon = self.run_daemon(f"{WEB}[ice]\n", extra={"NOTIFY_SOCKET": self.address})
        self.assertEqual(daemon.wait(), 1)
        self.socket.setblocking(False)
        self.assertRaises(BlockingIOError, self.told)


class SocketActivationTests(DaemonTestCase):
    """Sockets that were open before the daemon was."""

    def test_sockets_are_taken_by_their_names(self) -> None:
        """Whatever their order; TCP of both doors, and UDP."""
        opened = {name: self.bound(*what) for name, what in {
            "http": (socket.AF_INET6, socket.SOCK_STREAM), "turn": (socket.AF_INET, socket.SOCK_DGRAM),
            "https": (socket.AF_INET6, socket.SOCK_STREAM)}.items()}
        ini = ("[doorway]\nhttps = systemd:domain=INET6:name=https\nhttp = systemd:domain=INET6:name=http\n"
               "[web]\n[signaling]\n[ice]\n[turn]\nlisten = systemd:name=turn\n")
        descriptors = [one.fileno() for one in opened.values()]
        command = (sys.executable, "-c", HANDED_OVER, ",".join(map(str, descriptors)), *TWISTD[1:], "-n", "--pidfile=")
        daemon = self.run_daemon(
            ini, command=command, pass_fds=descriptors,
            extra={"LISTEN_FDS": "3", "LISTEN_FDNAMES": ":".join(opened)}).started()
        ports = {name: one.getsockname()[1] for name, one in opened.items()}
        self.assertEqual(self.get(f"https://127.0.0.1:{ports['https']}/")[0], 200)
        servers = self.post(f"https://127.0.0.1:{ports['https']}/v1alpha/iceconfig")["iceServers"]
        self.assertIn(f"turn:127.0.0.1:{ports['turn']}?transport=udp", servers[0]["urls"])
        with socket.create_connection(("127.0.0.1", ports["http"]), DEADLINE_S) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"30", plain.recv(4096).split(b"\r\n")[0])
        self.assertEqual(daemon.stop(), 0)

    def bound(self, family: int, kind: int) -> socket.socket:
        """A socket on loopback, or on every address of both families, as systemd opens it; a stream one listens."""
        one = socket.socket(family, kind)
        self.addCleanup(one.close)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        one.bind(("::" if family == socket.AF_INET6 else "127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            one.listen()
        return one


class UnitTests(DaemonTestCase):
    """The files in ``systemd/``, judged by systemd's own tool."""

    def setUp(self) -> None:
        """Copies whose program exists."""
        self.analyze = require_program("systemd-analyze")
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        for unit in UNITS.iterdir():
            text = unit.read_text()
            (self.folder / unit.name).write_text(text.replace("/opt/rtcd/bin/twistd", sys.executable))

    def run_analyze(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """systemd-analyze in the folder of the copies."""
        return subprocess.run(
            [self.analyze, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
            env={**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_EMOJI": "0", "SYSTEMD_UNIT_PATH": f"{self.folder}:"})

    def test_every_unit_is_verified(self) -> None:
        """Without a word."""
        for unit in sorted(UNITS.iterdir()):
            done = self.run_analyze("verify", f"./{unit.name}")
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""), unit.name)

    def test_what_is_installed_is_verified(self) -> None:
        """With sockets, which the service pulls in."""
        with redirect_stdout(io.StringIO()):
            self.assertEqual(main(["install", "--yes", "--sockets", "--root", str(self.folder)]), 0)
        installed = self.folder / "etc/systemd/system"
        service = installed / "rtcd.service"
        service.write_text(service.read_text().replace("/opt/rtcd/bin/twistd", sys.executable))
        self.folder = installed
        done = self.run_analyze("verify", "./rtcd.service")
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        self.assertIn("Sockets=rtcd.socket rtcd-http.socket\n", (installed / "rtcd.service.d/sockets.conf").read_text())

    def test_the_exposure_is_low(self) -> None:
        """2.0 or less, of 10."""
        done = self.run_analyze("security", "--offline=true", "./rtcd.service")
        found = re.search(r"Overall exposure level for rtcd.service: ([0-9.]+)", done.stdout)
        assert found is not None, done.stdout + done.stderr
        self.assertLessEqual(float(found[1]), 2.0)

    def test_the_service_is_no_superuser(self) -> None:
        """Capabilities for the ports and for the relay in the kernel; state of its own; what pyOpenSSL cannot do without."""
        lines = (UNITS / "rtcd.service").read_text().splitlines()
        for line in ("Type=notify", "DynamicUser=yes", "AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_BPF CAP_NET_ADMIN",
                     "CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_BPF CAP_NET_ADMIN", "StateDirectory=rtcd",
                     "ExecReload=/bin/kill -HUP $MAINPID"):
            self.assertIn(line, lines)
        self.assertNotIn("MemoryDenyWriteExecute=yes", lines)

    def test_the_names_of_sockets_are_those_that_the_units_say(self) -> None:
        """A name that differs would be found out only at the start."""
        named = {name for unit in UNITS.glob("*.socket")
                 for name in re.findall(r"FileDescriptorName=(\w+)", unit.read_text())}
        used = set(re.findall(r"systemd:domain=INET6:name=(\w+)", (UNITS / "rtcd.socket").read_text()))
        self.assertEqual(named, used)
