"""``rtcd rehearse`` against a real daemon: two people by UDP, two by TLS, and two for whom there is no room."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

from tests.daemon.process import ROOT, DaemonTestCase, environment

INI = """
[doorway]
https = tcp:0:interface=127.0.0.1
http =
[web]
[signaling]
[ice]
[turn]
listen = 127.0.0.1
port = 0
tls = no
external-ip =
allow-loopback-peers = yes
relay-plane = python
total-quota = 2
"""


TRIES = 3


class RehearseTests(DaemonTestCase):
    def rehearse(self, *arguments: str, code: int = 0) -> tuple[dict[str, Any], str]:
        """Its report, and what it says on standard error. A machine with much else to do loses packets, and is tried again.
        """
        for _ in range(TRIES):
            done = subprocess.run([sys.executable, "-m", "rtcd.cli", "rehearse", *arguments, "--json"], cwd=ROOT,
                                  env=environment(), capture_output=True, text=True, timeout=60, check=False)
            if "of the packets were lost" not in done.stderr:
                break
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
        return found, done.stderr

    def test_people_call_each_other_by_relays_and_tell_how_it_was(self) -> None:
        """Each run leaves nothing behind, or the quota would end the next one."""
        daemon = self.run_daemon(INI, close_fds=True).started()  # one that is called rtcd, which a forked one is not
        url = f"https://127.0.0.1:{daemon.port()}"
        trusted = ("--url", url, "--trust", str(daemon.folder / "state/ca.crt"), "--seconds", "2")
        for relay in ("udp", "tls"):
            found, errors = self.rehearse(*trusted, "--relay", relay)
            self.assertEqual((found["calls"], found["relay"], found["url"]), (1, relay, url))
            self.assertEqual((found["fault"], errors), (None, ""))
            self.assertGreater(found["kbps"], 400)
            self.assertLess(found["loss_percent"], 5)
            self.assertTrue(0 < found["setup_ms"]["median"] < 20000, found)
            self.assertLess(found["rtt_ms"]["median"], 2000)
            self.assertGreater(found["daemon"]["percent"], 0)
            self.assertEqual(found["room"]["bound"], "about")
        daemon.ini.write_text(INI.replace("total-quota = 2", "total-quota = 1"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("total-quota: .* in force")
        found, errors = self.rehearse(*trusted, "--relay", "tcp", code=1)
        self.assertEqual((found["calls"], found["room"]), (0, {"calls": 0, "bound": "no more than"}))
        self.assertIn("call 1 of 1 did not connect: no relay by tcp: turn:127.0.0.1:", errors)
        self.assertIn("486", errors)
        _, errors = self.rehearse("--url", url, code=1)
        self.assertIn("its certificate is not trusted", errors)
        self.assertEqual(daemon.stop(), 0)

    def test_a_daemon_that_dies_while_they_talk_is_told_and_not_waited_for(self) -> None:
        """A call that ended midway is no good one."""
        daemon = self.run_daemon(INI, close_fds=True).started()
        command = [sys.executable, "-m", "rtcd.cli", "rehearse", "--url", f"https://127.0.0.1:{daemon.port()}", "--trust",
                   str(daemon.folder / "state/ca.crt"), "--seconds", "3"]
        with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as running:
            self.addCleanup(running.kill)
            assert running.stdout is not None
            for line in running.stdout:
                if "they talk" in line:
                    break
            time.sleep(0.5)
            daemon.process.kill()
            out, errors = running.communicate(timeout=40)
        self.assertEqual((running.returncode, errors), (1, "rtcd: the daemon's process ended while they talked\n"))
        self.assertNotIn("room for", out)
        self.assertGreater(float(out.partition("loss")[2].split()[0]), 20)

    def test_without_the_extra_it_says_what_to_install(self) -> None:
        """The rest of the command works without."""
        program = ("import sys; sys.modules['aiortc'] = None; from rtcd.cli.main import main; "
                   "sys.exit(main(['rehearse', '--url', 'https://a']))")
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment(), capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.stderr, f"rtcd: aiortc is not installed; run: {sys.executable} -m pip install aiortc\n")
        self.assertEqual(done.returncode, 1)
