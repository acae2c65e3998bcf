"""Several workers that are one daemon, and Debian's ``pebble``: whichever the authority comes to shows the proof, and all
serve what the first one has got."""

from __future__ import annotations

import os
import signal
import socket
import time

from cryptography import x509

from rtcd.tls.authority import names_of
from tests.daemon.process import DEADLINE_S, Running, trusting
from tests.daemon.test_workers import holder
from tests.interop.acme_authority import Pebble
from tests.interop.test_acme_daemon import ISSUED, NAME, AuthorityTestCase

MORE = ("b.example.org", "c.example.org", "d.example.org", "e.example.org", "f.example.org")
"""The authority comes for each name by a connection of its own, so that hardly ever all come to the same worker."""
NAMES = (*MORE, NAME)
VALID_S = 12
TRIES = 60
"""Connections, until one has come to the worker that is wanted."""


class WorkersTests(AuthorityTestCase):
    """Two of them."""

    def test_by_http_01_and_from_then_on(self) -> None:
        """Both serve it; so do those that are started again when either has died, and the next one, which a new first worker
        gets, reaches both."""
        pebble = self.authority(validity_s=VALID_S)
        daemon = self.started(pebble, "http-01")
        first = self.all_show(daemon, dict.fromkeys((1, 2), 1))
        for one in (2, 1):
            os.kill(self.pid(daemon, one), signal.SIGKILL)
        self.all_show(daemon, dict.fromkeys((1, 2), 2))
        daemon.wait_for(ISSUED.format(", ".join(NAMES)), 2)
        self.assertNotEqual(self.all_show(daemon, dict.fromkeys((1, 2), 2)).serial_number, first.serial_number)
        self.assertEqual((daemon.stop(), daemon.errors()), (0, ""))

    def test_by_tls_alpn_01(self) -> None:
        """Nothing else is open."""
        daemon = self.started(self.authority(), "tls-alpn-01")
        self.all_show(daemon, dict.fromkeys((1, 2), 1))
        self.assertEqual((daemon.stop(), daemon.errors()), (0, ""))

    def started(self, pebble: Pebble, challenge: str) -> Running:
        """A daemon whose first certificate has come, with the first try."""
        ini = self.configuration(
            pebble, challenge=challenge, names="\n    ".join(("", *MORE)), http=challenge == "http-01")
        ini = ini.replace("[turn]", "[turn]\nrelay-plane = python")  # which starts sooner
        daemon = self.run_daemon("[daemon]\nworkers = 2\n" + ini)
        daemon.wait_for("rtcd .* is ready, with 2 workers")
        daemon.wait_for(ISSUED.format(", ".join(NAMES)))
        self.assertFalse([line for line in daemon.lines if "no certificate for" in line])
        return daemon

    def pid(self, daemon: Running, worker: int, start: int = 1) -> int:
        """Of a worker's nth process."""
        return int(daemon.wait_for(rf"worker {worker} is ready, process (\d+)", start)[1])

    def all_show(self, daemon: Running, starts: dict[int, int]) -> x509.Certificate:
        """The one certificate of the authority that all workers show, those of the nth start each."""
        deadline = time.monotonic() + DEADLINE_S
        pids = [self.pid(daemon, worker, start) for worker, start in starts.items()]
        while True:  # whoever is not the first one hears of it a moment later
            found = [self.shown_by(pid) for pid in pids]
            if len({one.serial_number for one in found}) == 1 and names_of(found[0]) == NAMES:
                return found[0]
            self.assertLess(time.monotonic(), deadline, [one.issuer for one in found])

    def shown_by(self, pid: int) -> x509.Certificate:
        """What this worker shows: the kernel chooses, so try until it is that one."""
        for _ in range(TRIES):
            with (socket.create_connection(("127.0.0.1", self.https), DEADLINE_S) as plain,
                  trusting().wrap_socket(plain, server_hostname=NAME) as client):
                if holder(client.getsockname()[1], self.https, pid):
                    return x509.load_der_x509_certificate(client.getpeercert(True) or b"")
        raise AssertionError(f"{TRIES} connections, and none came to process {pid}")
