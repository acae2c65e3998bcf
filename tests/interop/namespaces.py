"""A daemon and two people in three networks, joined by a bridge; as root, since only root can make network namespaces."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple
from unittest import SkipTest

from playwright.sync_api import Browser, Page

from tests.daemon.process import TWISTD
from tests.interop import nss, require_program
from tests.interop.test_page import DEADLINE_S, PageTestCase
from tests.networks import namespace, program, within

SERVER = "10.83.0.1"
"""Private, and so denied as a peer: what calls go through is relays, or the bridge."""

INI = """
[doorway]
https = tcp:443
http =
[web]
[signaling]
[ice]
[turn]
{turn}
[log]
level = debug
"""


class Client(NamedTuple):
    """A namespace with a person in it."""

    namespace: str
    host: str


class NetworkTestCase(PageTestCase):
    """Each browser is in a network of its own. Certificates are believed by our authority alone."""

    def setUp(self) -> None:
        if os.geteuid() != 0:
            raise SkipTest("only root can make network namespaces")
        self.ip, self.nft, chromium, _ = map(require_program, ("ip", "nft", "chromium", "certutil"))
        self.complaints = []
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.clients = self.make_network()
        self.wrappers = [self.wrapper(one, chromium) for one in self.clients]

    def run_program(self, *command: str, given: str = "") -> str:
        """What a program prints, which has to end well."""
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        return done.stdout

    def make_network(self) -> list[Client]:
        """The server's namespace, which is the bridge too, and the clients'. With them goes all that is in them."""
        self.server = self.namespace("server")
        self.run_program(self.ip, "-n", self.server, "link", "add", "br0", "type", "bridge")
        self.run_program(self.ip, "-n", self.server, "address", "add", f"{SERVER}/24", "dev", "br0")
        self.run_program(self.ip, "-n", self.server, "link", "set", "br0", "up")
        found = []
        for number in (2, 3):
            one = Client(self.namespace(f"client{number}"), f"10.83.0.{number}")
            self.run_program(self.ip, "-n", one.namespace, "link", "add", "eth0", "type", "veth",
                             "peer", f"veth{number}", "netns", self.server)
            self.run_program(self.ip, "-n", self.server, "link", "set", f"veth{number}", "master", "br0", "up")
            self.run_program(self.ip, "-n", one.namespace, "address", "add", f"{one.host}/24", "dev", "eth0")
            self.link_up(one)
            found.append(one)
        return found

    def link_up(self, client: Client) -> None:
        """Bring a client's interface up; its way out leads through the server."""
        self.run_program(self.ip, "-n", client.namespace, "link", "set", "eth0", "up")
        self.run_program(self.ip, "-n", client.namespace, "route", "add", "default", "via", SERVER)

    def namespace(self, name: str) -> str:
        """A network namespace of this process, with a loopback interface."""
        return self.enterContext(namespace(f"rtcd-{os.getpid()}-{name}", ipv6=False))

    def wrapper(self, client: Client, chromium: str) -> str:
        """A program that is Chromium in the client's network."""
        return program(self.folder / client.namespace, within(client.namespace, [chromium]))

    def start(self, turn: str) -> None:
        """Start the daemon with these lines in ``[turn]``; again, it has the state and the ports that it had."""
        command = within(self.server, [*TWISTD, "-n", "--pidfile="])
        self.daemon = self.run_daemon_in(self.folder / "daemon", INI.format(turn=turn), command=command).started()

    def serve(self, turn: str) -> None:
        """Start the daemon for the first time, and have its authority believed in the browsers' home."""
        self.start(turn)
        self.origin = f"https://{SERVER}"
        (authority,) = self.daemon.folder.rglob("ca.crt")
        self.environment = nss.home(authority, self.folder / "home")

    def browser_of(self, number: int, *more: str) -> Browser:
        """Start Chromium in the network of this client."""
        self._chromium = self.wrappers[number]
        return self.browser(*more)

    def open(self, browser: Browser, path: str, **context: Any) -> Page:
        """A page whose certificate has to be good."""
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(DEADLINE_S * 1000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.goto(self.origin + path)
        return page
