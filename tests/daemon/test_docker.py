"""The container's files: what they copy is there, what they start starts, and their ports are those that rtcd opens."""

from __future__ import annotations

import fnmatch
import json
import re
import socket
import subprocess
import sys
import textwrap

from rtcd.config import parse
from rtcd.doorway.settings import DoorwaySettings
from rtcd.install.ports import planned
from rtcd.install.shipped import units
from rtcd.plugin import plugins
from rtcd.schemas import Schemas
from rtcd.served import opens_web
from rtcd.welcome import ports
from tests.daemon.process import ROOT, TWISTD, DaemonTestCase, environment

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = {name: (ROOT / name).read_text() for name in ("compose.yaml", "compose.one-port.yaml")}


def exec_form(instruction: str) -> list[str]:
    """The last such instruction's words."""
    found = re.findall(rf"^(?:HEALTHCHECK[^\n]*\\\n +)?{instruction} (\[.*\])$", DOCKERFILE, re.M)
    words: list[str] = json.loads(found[-1])
    return words


def inline_ini(text: str) -> str:
    """The ini that a compose file holds."""
    found = re.search(r"^    content: \|\n((?:      .*\n|\n)+)", text, re.M)
    assert found is not None
    return textwrap.dedent(found[1])


def published(ini: str) -> list[str]:
    """``443/tcp`` and the like, for what an ini opens but the relays."""
    settings = parse(ini, Schemas(plugins()))
    web = opens_web(settings, settings)
    directory = planned(settings.get("doorway", DoorwaySettings()), settings["turn"], units(), web=web)
    lines = [line.split()[:2] for line in ports(directory)]
    return sorted(f"{port}/{protocol}" for protocol, port in lines if "-" not in port)


class ContainerTests(DaemonTestCase):
    def test_both_stages_have_one_python_that_does_not_change_by_itself(self) -> None:
        """The libraries are where the second one looks, and the next minor version comes when somebody has tried it."""
        self.assertRegex("".join(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)), r"^(python:3\.\d+-slim)\1$")

    def test_the_context_has_what_the_wheel_is_made_of_and_nothing_of_the_machine(self) -> None:
        """State, secrets and what was built before stay out."""
        lines = [one for one in (ROOT / ".dockerignore").read_text().splitlines() if one and one[0] != "#"]
        self.assertEqual(lines[0], "*")
        let_in = {one[1:] for one in lines if one.startswith("!")}
        for one in let_in:
            self.assertTrue((ROOT / one).exists(), one)
        self.assertEqual(let_in, {"rtcd", "twisted", "systemd", "setup.py", "setup.cfg", "pyproject.toml", "README.md",
                                  "LICENSE", "MANIFEST.in"})
        again = [one for one in lines if one[0] not in "!*" or one.startswith("**")]
        for name in ("rtcd/__pycache__", "twisted/plugins/dropin.cache"):
            self.assertTrue(any(fnmatch.fnmatch(name, one) for one in again), name)

    def test_what_is_copied_between_stages_was_made_in_the_first(self) -> None:
        first, _, second = DOCKERFILE.rpartition("\nFROM ")
        for source in re.findall(r"^COPY --from=build (\S+)", second, re.M):
            self.assertIn(source, first)
        self.assertNotIn("pip", "".join(line for line in second.splitlines(keepends=True) if line.startswith("RUN")))

    def test_the_ports_of_the_image_are_those_of_its_ini(self) -> None:
        exposed = re.findall(r"^EXPOSE (.*)$", DOCKERFILE, re.M)[0].split()
        self.assertEqual(sorted(one for one in exposed if "-" not in one), published("[web]\n[turn]\n"))

    def test_one_port_is_one_port(self) -> None:
        """By TCP and by UDP; nothing else that clients are told of has to be published."""
        text = COMPOSE["compose.one-port.yaml"]
        mapped = [one.split(":")[1] for one in re.findall(r'^      - "(\S+)"$', text, re.M)]
        self.assertEqual(sorted(mapped), published(inline_ini(text)))
        self.assertEqual(sorted(mapped), ["8443/tcp", "8443/udp"])

    def test_the_host_has_the_usual_ports(self) -> None:
        found = published(inline_ini(COMPOSE["compose.yaml"]))
        self.assertTrue({"443/tcp", "443/udp", "80/tcp", "3478/udp"} <= set(found), found)
        command = json.loads(re.findall(r"^    command: (\[.*\])$", COMPOSE["compose.yaml"], re.M)[0])
        self.assertEqual(command[:2], ["--uid=rtcd", "--gid=rtcd"])
        self.assertEqual(command[2:], exec_form("CMD"))

    def test_what_the_image_starts_runs_and_is_found_healthy(self) -> None:
        """Its entry point and its health check, with the programs of this checkout; and ill when the daemon has gone."""
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        ini = inline_ini(COMPOSE["compose.one-port.yaml"]).replace("8443", str(port))
        entry = exec_form("ENTRYPOINT")
        self.assertEqual(entry[0], "/opt/rtcd/bin/twistd")
        self.assertEqual(exec_form("CMD")[:2], ["rtcd", "--config"])
        daemon = self.run_daemon(ini, command=(*TWISTD, *entry[1:])).started()
        check = exec_form("    CMD")
        self.assertEqual(check[0], "/opt/rtcd/bin/rtcd")
        command = [sys.executable, "-m", "rtcd.cli", *check[1:-1], str(daemon.ini)]
        for code, said in ((0, ""), (1, "rtcd: https 127.0.0.1:")):
            done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60,
                                  check=False)
            self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
            self.assertTrue(done.stderr.startswith(said) and bool(done.stderr) == bool(said), done.stderr)
            if not code:
                self.assertEqual(daemon.stop(), 0)
