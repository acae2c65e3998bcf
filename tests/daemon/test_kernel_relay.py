"""``[turn] relay-plane`` on a real daemon: what it says at its start, what it refuses, and what is left when it is gone."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rtcd.kernel import bpf
from tests.daemon.process import DEADLINE_S, TURN, TWISTD, DaemonTestCase, Running
from tests.interop import require_program
from tests.interop.test_turn_aioice import TWO_PEERS
from tests.shell.kernel import require_kernel

_PROGRAM_BY_ID = 13
"""BPF_PROG_GET_FD_BY_ID."""

BOTH = "+bpf,+net_admin"


def ini(plane: str, more: str = "") -> str:
    """TURN alone."""
    return more + TURN.replace("relay-plane = python", f"relay-plane = {plane}")


class KernelDaemonTestCase(DaemonTestCase):
    def setUp(self) -> None:
        """Where the kernel can relay."""
        require_kernel()

    def loaded(self, daemon: Running) -> list[int]:
        """The ids of the programs that this daemon holds, by itself or by a link."""
        held: list[int] = []
        for descriptor in Path(f"/proc/{daemon.process.pid}/fdinfo").iterdir():
            text = descriptor.read_text()
            held += [int(line.split()[1]) for line in text.splitlines() if line.startswith("prog_id:")]
        return held

    def gone(self, programs: list[int]) -> None:
        """Wait until the kernel has let go of them, which it does some time after the last descriptor."""
        deadline = time.monotonic() + DEADLINE_S
        for one in programs:
            while self.is_there(one):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)

    def is_there(self, program: int) -> bool:
        """Whether the kernel knows a program of this id, whoever holds it."""
        try:
            os.close(bpf._bpf(_PROGRAM_BY_ID, struct.pack("=III", program, 0, 0)))
        except FileNotFoundError:
            return False
        return True


class StartTests(KernelDaemonTestCase):
    def test_it_says_which_and_where(self) -> None:
        daemon = self.run_daemon(ini("auto"))
        daemon.wait_for(r"calls are relayed in the kernel, at .*\blo\b")
        self.assertEqual(daemon.started().stop(), 0)
        daemon.wait_for(r"the kernel has relayed 0 packets by itself")

    def test_sockets_are_it_if_they_are_wanted(self) -> None:
        daemon = self.run_daemon(ini("python")).started()
        daemon.wait_for(r"calls are relayed by sockets, as \[turn\] relay-plane says")
        self.assertEqual(self.loaded(daemon), [])

    def test_a_killed_daemon_leaves_nothing_and_the_next_one_starts(self) -> None:
        for _ in range(2):
            daemon = self.run_daemon(ini("kernel")).started()
            programs = self.loaded(daemon)
            self.assertEqual(len(set(programs)), 1)
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait(DEADLINE_S)
            self.gone(programs)

    def test_the_user_it_becomes_goes_on_using_it(self) -> None:
        """The program is loaded while it is still root."""
        folder = tempfile.mkdtemp(prefix="rtcd-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o755)
        more = "user = u:p\nallow-loopback-peers = yes\n"
        daemon = self.run_daemon_in(Path(folder), ini("kernel", "[daemon]\nuser = nobody\n") + more).started()
        self.assertIn("Uid:\t65534\t", Path(f"/proc/{daemon.process.pid}/status").read_text())
        done = subprocess.run([sys.executable, "-c", TWO_PEERS, str(daemon.port("udp")), "udp", "u", "p"], text=True,
                              capture_output=True, timeout=DEADLINE_S, check=False)
        self.assertEqual((done.stdout.strip(), done.stderr), ("relayed", ""))
        self.assertEqual(daemon.stop(), 0)
        self.assertGreaterEqual(int(daemon.wait_for(r"the kernel has relayed (\d+) packets by itself")[1]), 4)


class WithoutRights(KernelDaemonTestCase):
    """As an ordinary user with some capabilities."""

    def run_with(self, capabilities: str, plane: str, *before: str) -> Running:
        """A daemon of his. ``before``: what its command begins with."""
        setpriv = require_program("setpriv")
        folder = tempfile.mkdtemp(prefix="rtcd-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        os.chown(folder, 65534, 65534)
        given = [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"] if capabilities else ["--inh-caps=-all"]
        return self.run_daemon_in(
            Path(folder), ini(plane), command=(
                *before, setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", *given,
                "--bounding-set=-all,+bpf,+net_admin,+net_bind_service", *TWISTD, "-n", "--pidfile="))

    def links(self, daemon: Running) -> int:
        """At how many interfaces our program runs."""
        return sum("link_type:\ttcx" in one.read_text() for one in Path(f"/proc/{daemon.process.pid}/fdinfo").iterdir())

    def test_two_capabilities_are_enough(self) -> None:
        daemon = self.run_with(BOTH, "kernel").started()
        daemon.wait_for(r"calls are relayed in the kernel")

    def test_it_lets_go_of_them_and_still_follows_the_network(self) -> None:
        """In every thread and for every program; a new interface gets ours nevertheless, and low ports may be opened."""
        ip, namespace = require_program("ip"), f"rtcd-{os.getpid()}"
        def call(*arguments: str) -> None:
            subprocess.run([ip, *arguments], check=True, timeout=DEADLINE_S)
        call("netns", "add", namespace)
        self.addCleanup(call, "netns", "delete", namespace)
        call("-n", namespace, "link", "set", "lo", "up")
        daemon = self.run_with(f"{BOTH},+net_bind_service", "kernel", ip, "netns", "exec", namespace).started()
        for thread in Path(f"/proc/{daemon.process.pid}/task").iterdir():
            held = dict(line.split(":\t") for line in (thread / "status").read_text().splitlines())
            for which in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
                self.assertEqual(int(held[which], 16), 1 << 10, which)
            self.assertEqual(held["NoNewPrivs"], "1")
        before = self.links(daemon)
        call("-n", namespace, "link", "add", "more", "type", "veth", "peer", "name", "less")
        call("-n", namespace, "address", "add", "192.0.2.1/24", "dev", "more")
        call("-n", namespace, "link", "set", "more", "up")
        deadline = time.monotonic() + DEADLINE_S
        while self.links(daemon) != before + 1:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertEqual(daemon.errors(), "")

    def test_without_them_it_is_sockets_and_says_which_are_missing(self) -> None:
        for capabilities, missing in (("", "CAP_BPF and CAP_NET_ADMIN are missing"), ("+bpf", "CAP_NET_ADMIN is missing"),
                                      ("+net_admin", "CAP_BPF is missing")):
            daemon = self.run_with(capabilities, "auto").started()
            daemon.wait_for(rf"calls are relayed by sockets; the kernel, .* cannot: {missing}")
            daemon.end()

    def test_if_it_has_to_be_the_kernel_it_does_not_start(self) -> None:
        daemon = self.run_with("", "kernel")
        self.assertEqual(daemon.wait(), 1)
        self.assertIn("[turn] relay-plane: the kernel cannot relay: CAP_BPF and CAP_NET_ADMIN are missing", daemon.errors())
