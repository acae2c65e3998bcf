"""Chromium calls out of networks that let next to nothing out: each browser is in a network namespace behind nftables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple
from unittest import SkipTest

from playwright.sync_api import Browser, Page, sync_playwright

from tests.daemon.process import TWISTD
from tests.interop import require_program
from tests.interop.test_page import FAKE_PERMISSION, PageTestCase

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
SERVER = "10.83.0.1"
"""Private, and so denied as a peer: what calls go through is relays."""

FIREWALL = """
table netdev firewall {{
    counter passed {{ }}
    counter stopped {{ }}
    chain out {{
        type filter hook egress device "eth0" priority 0; policy drop;
        ether type arp accept
        ip daddr {server} meta l4proto {{ {protocols} }} th dport 443 counter name passed accept
        counter name stopped drop
    }}
}}
"""
"""Where the wire begins, so that nothing escapes it: no ARP but what it lets out, no IPv6. What is dropped there is lost
without an error, as in a firewall elsewhere. The loopback interface is not behind it."""

PROBE = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor

def answers(target):
    kind, host, port = target.split(":")
    stream = kind == "tcp"
    with socket.socket(type=socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as one:
        one.settimeout(float(sys.argv[1]))
        try:
            one.connect((host, int(port)))
            if not stream:
                one.send(bytes.fromhex("000100002112a442") + b"transaction!")
                one.recv(1000)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False
        return True

with ThreadPoolExecutor() as threads:
    print(*(one for one, good in zip(sys.argv[2:], threads.map(answers, sys.argv[2:])) if good))
"""
"""Prints which places answer. A closed port does: whoever says so has been reached."""

ANSWER_S, SILENCE_S = 30, 1
"""How long an answer is waited for that has to come, and one that must not."""

PATH = """async () => {
    const stats = new Map(await globalThis.rtcdCall.connection.getStats());
    const transport = [...stats.values()].find((one) => one.type === "transport" && one.selectedCandidatePairId);
    const local = stats.get(stats.get(transport.selectedCandidatePairId).localCandidateId);
    return [local.relayProtocol, local.url];
}"""


class Client(NamedTuple):
    """A namespace with a person in it."""

    namespace: str
    host: str


class Firewall(PageTestCase):
    """A daemon and two people in three networks, joined by a bridge. Certificates are believed by our authority alone."""

    def setUp(self) -> None:
        if os.geteuid() != 0:
            raise SkipTest("only root can make network namespaces")
        self.ip, self.nft, chromium, self.certutil = map(require_program, ("ip", "nft", "chromium", "certutil"))
        self.complaints = []
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.clients = self.make_network()
        self.wrappers = [self.wrapper(one, chromium) for one in self.clients]
        self._playwright = sync_playwright().start()
        self.addCleanup(self._playwright.stop)

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
            self.run_program(self.ip, "-n", one.namespace, "link", "set", "eth0", "up")
            self.run_program(self.ip, "-n", one.namespace, "route", "add", "default", "via", SERVER)
            found.append(one)
        return found

    def namespace(self, name: str) -> str:
        """A network namespace of this process, with a loopback interface."""
        full = f"rtcd-{os.getpid()}-{name}"
        self.run_program(self.ip, "netns", "add", full)
        self.addCleanup(self.run_program, self.ip, "netns", "delete", full)
        self.run_program(self.ip, "-n", full, "link", "set", "lo", "up")
        return full

    def wrapper(self, client: Client, chromium: str) -> str:
        """A program that is Chromium in the client's network."""
        path = self.folder / client.namespace
        path.write_text(f'#!/bin/sh\nexec {self.ip} netns exec {client.namespace} {chromium} "$@"\n')
        path.chmod(0o700)
        return str(path)

    def serve(self, turn: str) -> None:
        """Start the daemon with these lines in ``[turn]``, and have its authority believed in the browsers' home."""
        inside = (self.ip, "netns", "exec", self.server, *TWISTD, "-n", "--pidfile=")
        self.daemon = self.run_daemon(INI.format(turn=turn), command=inside).started()
        self.origin = f"https://{SERVER}"
        (authority,) = self.daemon.folder.rglob("ca.crt")
        home = self.folder / "home"
        database = home / ".pki" / "nssdb"
        database.mkdir(parents=True)
        for arguments in (("-N", "--empty-password"), ("-A", "-t", "C,,", "-n", "rtcd", "-i", str(authority))):
            self.run_program(self.certutil, "-d", f"sql:{database}", *arguments)
        self.environment = {**os.environ, "HOME": str(home)}

    def answering(self, client: Client, timeout_s: int, *places: str) -> set[str]:
        """Which of these places a client reaches."""
        command = (self.ip, "netns", "exec", client.namespace, sys.executable, "-c", PROBE, str(timeout_s), *places)
        return set(self.run_program(*command).split())

    def close_in(self, *protocols: str) -> None:
        """Let nothing out of the clients' networks but port 443 of the server by these protocols. Without the firewall
        all is reached that is not behind it."""
        rules = FIREWALL.format(server=SERVER, protocols=", ".join(protocols))
        allowed = {f"{kind}:{SERVER}:443" for kind in protocols}
        places = {one: self.places(one) for one in self.clients}
        for client, all_ in places.items():
            self.assertEqual(self.answering(client, ANSWER_S, *all_), all_)
        for client in self.clients:
            self.run_program(self.ip, "netns", "exec", client.namespace, self.nft, "-f", "-", given=rules)
        for client, all_ in places.items():
            self.assertEqual(self.answering(client, ANSWER_S, *allowed), allowed)
            self.assertEqual(self.answering(client, SILENCE_S, *all_ - allowed), set())

    def places(self, client: Client) -> set[str]:
        """Ports of the server, and of the other client."""
        (other,) = (one.host for one in self.clients if one != client)
        return {f"{kind}:{host}:{port}" for kind in ("tcp", "udp") for host, port in (
            (SERVER, 443), (SERVER, 3478), (SERVER, 5349), (other, 443), (other, 5000))}

    def packets(self, client: Client, counter: str) -> int:
        """What the firewall of a client has counted."""
        text = self.run_program(
            self.ip, "netns", "exec", client.namespace, self.nft, "list", "counter", "netdev", "firewall", counter)
        found = re.search(r"packets (\d+)", text)
        assert found is not None
        return int(found[1])

    def open(self, browser: Browser, path: str, **context: Any) -> Page:
        """A page whose certificate has to be good."""
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(ANSWER_S * 1000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.goto(self.origin + path)
        return page

    def call(self, room: str) -> list[tuple[str, str]]:
        """Two people see each other through relays; how each reaches theirs. The firewalls have let all of it pass."""
        stopped = {one: self.packets(one, "stopped") for one in self.clients}
        pages = []
        for wrapper in self.wrappers:
            self._chromium = wrapper
            page = self.join(self.browser(FAKE_PERMISSION), f"/r/{room}")
            self.state(page, "waiting", "connected")
            pages.append(page)
        found = []
        for page, client in zip(pages, self.clients, strict=True):
            self.state(page, "connected")
            passed = self.packets(client, "passed")
            statistics = self.rising(page)
            self.assertEqual((statistics["local"], statistics["remote"]), ("relay", "relay"))
            self.assertGreater(self.packets(client, "passed"), passed)
            found.append(tuple(page.evaluate(PATH)))
            self.assertGreater(self.packets(client, "stopped"), stopped[client], "Chromium tries all the rest too")
        self.assertEqual(self.complaints, [])
        return found

    def test_with_tcp_443_alone_a_call_goes_inside_tls(self) -> None:
        """Page, messages and media by one port. With ``tcp = no`` there is but ``turns:``, and its certificate is good."""
        self.serve("tcp = no")
        self.close_in("tcp")
        self.assertEqual(self.call("tls-room"), [("tls", f"turns:{SERVER}:443?transport=tcp")] * 2)

    def test_with_port_443_of_both_a_call_goes_by_udp(self) -> None:
        """Datagrams come through at that port, page and messages beside them. Which relay Chromium takes of several that
        work is a matter of moments, so the link leaves it those by UDP."""
        self.serve("")
        self.close_in("tcp", "udp")
        self.assertEqual(self.call("udp-room?tt=udp"), [("udp", f"turn:{SERVER}:443?transport=udp")] * 2)

    def test_with_tcp_443_alone_a_call_goes_as_things_are_set_when_nobody_sets_them(self) -> None:
        """By plain TCP or inside TLS, whichever connects."""
        self.serve("")
        self.close_in("tcp")
        ways = {("tcp", f"turn:{SERVER}:443?transport=tcp"), ("tls", f"turns:{SERVER}:443?transport=tcp")}
        self.assertEqual(set(self.call("default-room")) - ways, set())
