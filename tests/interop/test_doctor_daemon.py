"""The doctor beside a real daemon: all is well, then faults made on purpose, and the command that mends each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import SkipTest

from rtcd.doctor.facts import certificate, turnclient, websocket
from rtcd.doctor.report import said
from tests.daemon.process import DEADLINE_S, ROOT, TWISTD, Running, environment
from tests.doctor import DoctorTestCase
from tests.interop import require_program
from tests.interop.proxies import ProxyTestCase, free_port, plain_port

INI = """
[doorway]
https = tcp:{https}:interface=127.0.0.1
http =
proxy-from = 127.0.0.1
[web]
[signaling]
[ice]
[turn]
listen =
    127.0.0.1
    ::1
port = {port}
tls-port = {tls}
dtls = yes
external-ip =
relay-plane = python
max-port = 49200
peer-policy = strict
"""
COMMAND = (sys.executable, "-m", "rtcd.cli", "doctor", "--json")


def told(text: str) -> dict[str, Any]:
    """The findings of an output by their ids."""
    return {one["id"]: one for one in json.loads(text)["findings"]}


class Beside(DoctorTestCase):
    """A daemon in its own folder. It takes this machine for a proxy, so connections need a header."""

    def setUp(self) -> None:
        """The machine may be busy."""
        super().setUp()
        for module, name in ((turnclient, "ANSWER_S"), (turnclient, "CONNECT_S"), (websocket, "TIMEOUT_S"),
                             (certificate, "TIMEOUT_S")):
            self.patch(module, name, DEADLINE_S)

    def start(self) -> Running:
        """One with every way to the relay, by IPv4 and IPv6, that lets clients of rooms alone reach others. One of its ports
        is known by the environment alone, another by its sockets."""
        ini = INI.format(https=0, port=3478, tls=free_port())
        running = self.run_own(ini, extra={"RTCD_TURN_PORT": str(free_port())})
        self.ini = running.ini
        return running

    def test_all_ways_are_well_until_the_secret_is_another(self) -> None:
        """State and process are found by themselves. A secret that was put there after the start is refused, until the
        daemon has read it again; one of another server stays refused."""
        running = self.start()
        found = self.examine("daemon", "ports", "certificate", "relay", "websocket", "plane", "state", state=None)
        self.assertEqual(
            {name: str(one.level) for name, one in found.items()},
            {"daemon.up": "ok", "ports.open": "ok", "certificate.local": "note",
             "relay.good": "ok", "websocket.here": "ok", "plane.chosen": "ok", "state.good": "ok"})
        ways = found["relay.good"].values["ways"]
        for transport in ("udp", "tcp", "tls", "dtls"):
            for host in ("127.0.0.1", "[::1]"):
                self.assertIn(f"{transport} {host}:", ways)
        self.assertEqual(found["daemon.up"].values["pid"], str(running.process.pid))
        self.assertIn("POST /join first", found["websocket.here"].values["answer"])

        secret = running.folder / "state" / "turn-secret"
        secret.write_text("another secret that nobody knows\n")
        found = self.examine("relay", state=None)
        self.assertEqual(set(found), {"relay.secret-mismatch"})
        self.mended(found["relay.secret-mismatch"])
        running.wait_for("reloaded")
        self.assertEqual(set(self.examine("relay", state=None)), {"relay.good"})

        port = running.port("udp")
        self.ini = self.folder / "other.ini"
        self.ini.write_text(
            f"[ice]\nservers = turn:127.0.0.1:{port}?transport=udp\n[credentials]\nsecret = not the secret over there\n")
        self.assertEqual(set(self.examine("relay")), {"relay.other-secret"})
        self.ini.write_text(f"[ice]\nservers = turn:127.0.0.1:{port}?transport=udp\n[credentials]\nsecret-file = {secret}\n")
        self.assertEqual(set(self.examine("relay")), {"relay.good"})

    def test_a_user_of_the_relay_may_be_named(self) -> None:
        """By the command line, in either language; a wrong password is refused, and shown nowhere."""
        (self.folder / "password").write_text("wrong horse\n")
        text = INI.format(https=free_port(), port=free_port(), tls=free_port()) + "user = ann:right horse\n"
        running = self.run_own(text)
        done = subprocess.run(
            [*COMMAND, "-c", str(running.ini), "--only", "relay", "--user", "ann", "--password-file",
             str(self.folder / "password")], env=environment({"LC_ALL": "zh_CN.UTF-8", "PYTHONUTF8": "1"}), cwd=ROOT,
            capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr, set(told(done.stdout))), (2, "", {"relay.wrong-password"}))
        self.assertIn("中继不认识", done.stdout)
        self.assertNotIn("horse", done.stdout)
        self.ini = running.ini
        found = self.examine("relay", user="ann", password="right horse", state=None)  # the test's own
        self.assertEqual({name: str(one.level) for name, one in found.items()}, {"relay.good": "ok"})


class Behind(ProxyTestCase, DoctorTestCase):
    """nginx in front."""

    def test_a_proxy_that_passes_no_websocket_is_told_and_mended_by_the_lines_that_are(self) -> None:
        """The lines that the finding has are put where proxy_pass stands."""
        require_program("nginx")
        port, inner = free_port(), free_port()
        running = self.run_own(
            f"[doorway]\nhttps =\nhttp =\nplain = tcp:{inner}:interface=127.0.0.1\npublic-url = https://127.0.0.1:{port}\n"
            "[web]\n[signaling]\n")
        self.assertEqual(plain_port(running), inner)
        self.ini = running.ini
        text = (
            f"daemon off; pid {self.folder / 'pid'}; user root;\nevents {{}}\nhttp {{\naccess_log off;\n"
            f"proxy_temp_path {self.folder / 'proxy'}; client_body_temp_path {self.folder / 'body'};\n"
            f"server {{ listen 127.0.0.1:{port} ssl;\nssl_certificate {self.folder / 'cert.pem'};\n"
            f"ssl_certificate_key {self.folder / 'key.pem'};\n"
            f"location / {{ proxy_pass http://127.0.0.1:{inner}; proxy_set_header Host $http_host;\n}} }} }}\n")
        self._nginx_of(port, text)
        found = self.examine("websocket", state=None)
        self.assertEqual(set(found), {"websocket.here", "websocket.no-upgrade"})
        mend = said(found["websocket.no-upgrade"], "en").mend
        lines = mend[mend.index("proxy_http_version") : mend.index(" — ")]
        conf = self.folder / "nginx.conf"
        conf.write_text(text.replace("$http_host;\n}", f"$http_host;\n{lines}\n}}"))
        os.kill(int((self.folder / "pid").read_text()), 1)
        deadline = time.monotonic() + DEADLINE_S
        while set(found) != {"websocket.here", "websocket.public"}:  # nginx takes a moment, and does not tell when
            self.assertLess(time.monotonic(), deadline, found)
            found = self.examine("websocket", state=None)

    def _nginx_of(self, port: int, text: str) -> None:
        self._front(port, "nginx", text, ["-t", "-e", "stderr", "-c"], ["-e", "stderr", "-c"])


class Firewalled(DoctorTestCase):
    """A network namespace whose firewall is the test's."""

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid() != 0:
            raise SkipTest("only root can make network namespaces")
        self.ip, self.nft = require_program("ip"), require_program("nft")
        self.name = f"rtcd-{os.getpid()}-doctor"
        self.run_program(self.ip, "netns", "add", self.name)
        self.addCleanup(self.run_program, self.ip, "netns", "delete", self.name)
        self.inside = (self.ip, "netns", "exec", self.name)
        for arguments in (("link", "set", "lo", "up"), ("link", "add", "eth0", "type", "veth", "peer", "name", "eth1"),
                          ("address", "add", "10.83.0.1/24", "dev", "eth0"), ("link", "set", "eth0", "up"),
                          ("link", "set", "eth1", "up")):
            self.run_program(self.ip, "-n", self.name, *arguments)

    def run_program(self, *command: str, given: str = "") -> None:
        """It has to end well."""
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")

    def doctor(self, ini: Path, *only: str, wrapper: tuple[str, ...] = ()) -> dict[str, Any]:
        """What the command finds in there."""
        checks = [word for one in only for word in ("--only", one)]
        done = subprocess.run([*self.inside, *wrapper, *COMMAND, "-c", str(ini), *checks], env=environment(), cwd=ROOT,
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.stderr, "")
        return told(done.stdout)

    def test_udp_that_nftables_drop_is_let_in_by_the_command(self) -> None:
        """The rule is named, the relay loop ends where it does, and both are gone afterwards."""
        self.run_program(*self.inside, self.nft, "-f", "-", given=(
            "table inet filter {\nchain input {\ntype filter hook input priority 0; policy accept;\n"
            "udp dport 3478 drop\n}\n}\n"))
        running = self.run_daemon(
            "[turn]\nlisten = 10.83.0.1\ntls = no\ndtls = no\nexternal-ip =\nrelay-plane = python\n",
            command=(*self.inside, *TWISTD, "-n", "--pidfile=")).started()
        found = self.doctor(running.ini, "firewall", "relay")
        self.assertEqual({name: one["level"] for name, one in found.items()}, {
            "firewall.closed": "broken", "relay.silent": "broken", "relay.good": "ok"})
        self.assertIn("inet filter input", found["firewall.closed"]["evidence"])
        self.assertIn("udp 10.83.0.1:3478", found["relay.silent"]["evidence"])
        self.run_program(*self.inside, "/bin/sh", "-ec", found["firewall.closed"]["command"])
        self.assertEqual(set(self.doctor(running.ini, "firewall", "relay")), {"firewall.open", "relay.good"})

    def test_a_user_without_capabilities_gets_the_port_by_the_command(self) -> None:
        """Below 1024 that takes a right, and so does the kernel's relay."""
        setpriv = require_program("setpriv")
        self.ini.write_text("[doorway]\nhttps = tcp:443\nhttp =\n[web]\n[signaling]\n[turn]\nexternal-ip =\n")
        bare = (setpriv, "--inh-caps=-all", "--bounding-set=-all")
        found = self.doctor(self.ini, "ports", "plane", wrapper=bare)
        self.assertEqual({name: one["level"] for name, one in found.items()}, {
            "ports.no-right": "broken", "plane.no-right": "note", "ports.free": "ok"})
        self.run_program(*self.inside, "/bin/sh", "-ec", found["ports.no-right"]["command"])
        self.assertEqual(set(self.doctor(self.ini, "ports", wrapper=bare)), {"ports.free"})
