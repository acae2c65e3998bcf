"""TURN nodes of their own: daemons with [turn] alone and a web daemon that names them; what becomes of a node that dies."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path
from typing import Any, cast

from playwright.sync_api import Page
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from rtcd.cli.control import Connection
from rtcd.ice.asking import Asking
from rtcd.ice.credentials import Credentials
from rtcd.ice.health import ALIVE, DEAD, DRAINING, Probe
from rtcd.ice.nodes import Node
from tests.daemon.process import Running
from tests.interop import require_program
from tests.interop.test_page import DEADLINE_S, INI, PageTestCase
from tests.interop.test_recovery import Watch, histories

SECRET = "correct horse battery staple"
AVOIDED_S = 10.0
"""So soon new credentials avoid a node that has died."""
BOUND_S = 20.0
"""How long a call may take to move over, on whatever machine."""

NODE = f"""
[credentials]
secret = {SECRET}
[turn]
listen = {{host}}
port = {{port}}
tcp = no
tls = no
external-ip =
allow-loopback-peers = yes
relay-plane = python
[log]
level = debug
"""

WEB = INI[: INI.index("[turn]")] + f"""
servers =
    {{0}} region=here
    {{1}} region=here
[credentials]
secret = {SECRET}
[admin]
[metrics]
listen =
"""

CHOSEN = """async () => {
    const [connection] = Object.values(globalThis.rtcdCall.connections);
    const stats = new Map(await connection.getStats());
    const transport = [...stats.values()].find((one) => one.type === "transport" && one.selectedCandidatePairId);
    return stats.get(stats.get(transport.selectedCandidatePairId).localCandidateId).url;
}"""


def free_port(host: str) -> int:
    """A UDP port that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class Nodes(PageTestCase):
    """Two on this machine, at loopback addresses; the second is not there at first."""

    def launch(self, **options: Any) -> None:
        """The first node, and a daemon that knows both."""
        self.places = {host: free_port(host) for host in ("127.0.0.2", "127.0.0.3")}
        self.urls = [f"turn:{host}:{port}?transport=udp" for host, port in self.places.items()]
        self.first = self.node("127.0.0.2")
        self.ini = WEB.format(*self.urls)
        super().launch(**options)

    def node(self, host: str) -> Running:
        """Start one."""
        return self.run_daemon(NODE.format(host=host, port=self.places[host])).started()

    def status(self) -> dict[str, Any]:
        """The nodes as the web daemon's administration has them, by their URLs."""
        connection = Connection(str(self.daemon.folder / "state" / "admin.sock"))
        try:
            connection.request("GET", "/admin/status")
            return {one["urls"][0]: one for one in json.loads(connection.getresponse().read())["nodes"]}
        finally:
            connection.close()

    def named(self) -> list[str]:
        """The TURN URLs of new credentials."""
        answer = self.post(f"{self.origin}/v1alpha/iceconfig")
        return [url for one in answer["iceServers"] for url in one["urls"]]

    def until_state(self, url: str, state: str) -> float:
        """Wait until a node is in a state; how long that took."""
        began = time.monotonic()
        while self.status()[url]["state"] != state:
            self.assertLess(time.monotonic() - began, AVOIDED_S, self.status())
            time.sleep(0.1)
        return time.monotonic() - began

    def avoided(self, url: str, since: float) -> float:
        """Wait until new credentials name a node no more; seconds since it died."""
        while url in self.named():
            self.assertLess(time.monotonic() - since, AVOIDED_S, self.status())
            time.sleep(0.1)
        return time.monotonic() - since

    def test_a_call_leaves_a_node_that_dies_for_one_that_it_knew_nothing_of(self) -> None:
        """The credentials it began with named the one alone; new ones avoid it. A node that is back is named again, and a
        call goes on over one that drains."""
        one, other = self.urls
        self.until_state(one, ALIVE)
        self.until_state(other, DEAD)
        self.assertEqual(self.named(), [one])
        _, *pages = self.pair("/r/nodes-room?it=relay")
        for page in pages:
            self.rising(page)
            self.assertEqual(page.evaluate(CHOSEN), one)
        second = self.node("127.0.0.3")
        self.until_state(other, ALIVE)
        self.assertEqual(set(self.named()), {one, other})
        self.first.process.kill()
        killed = time.monotonic()
        avoided = self.avoided(one, killed)
        self.comes_back(pages, killed)
        print(f"nodes: avoided after {avoided:.1f} s")  # noqa: T201 # figures for people
        self.assertEqual([page.evaluate(CHOSEN) for page in pages], [other, other])
        self.first.end()
        self.node("127.0.0.2")
        self.until_state(one, ALIVE)
        second.process.send_signal(signal.SIGUSR1)
        self.until_state(other, DRAINING)
        self.assertEqual(self.named(), [one])
        for page in pages:
            self.rising(page)
            self.assertEqual(page.evaluate(CHOSEN), other)

    def comes_back(self, pages: list[Page], since: float) -> None:
        """Wait until frames rise again on both pages."""
        watches = [Watch(page, since, stalled=False) for page in pages]
        while sum(one.look() for one in watches) < len(watches):
            if time.monotonic() - since > BOUND_S + DEADLINE_S:
                self.fail(f"frames stand still\n{histories(watches)}")
            time.sleep(0.1)
        took = [one.took_s or 0.0 for one in watches]
        print("nodes: call moved over after " + ", ".join(f"{one:.1f} s" for one in took))  # noqa: T201
        self.assertLess(max(took), BOUND_S, histories(watches))


STREAMS = f"""
[credentials]
secret = {SECRET}
[turn]
listen = 127.0.0.1
port = 0
tls-port = 0
external-ip =
relay-plane = python
"""


class Turnserver(ProcessProtocol):
    """Tells when it has ended."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def processEnded(self, reason: Failure) -> None:
        """Whatever the code is."""
        self.ended.callback(None)


class Asked(TestCase):
    """Nodes of others, and of ours by streams, asked as the prober does."""

    timeout = 60

    def setUp(self) -> None:
        self.asking = Asking(reactor, Credentials((SECRET,), 3600))

    async def ask(self, *urls: str, asking: Asking | None = None) -> Probe:
        """One probe."""
        return await (asking or self.asking)(Node(urls[0], urls))

    async def test_coturn_is_alive(self) -> None:
        """Debian's, with static-auth-secret; again too, as another user, since a quota takes its time to be free."""
        program, port, protocol = require_program("turnserver"), free_port("127.0.0.1"), Turnserver()
        spawn = cast(Any, reactor).spawnProcess
        process = spawn(protocol, program, [
            program, "-n", "-L", "127.0.0.1", "-p", str(port), "--no-tls", "--no-dtls", "--no-cli", "--use-auth-secret",
            f"--static-auth-secret={SECRET}", "--realm=example.org", "--allow-loopback-peers", "--user-quota=1",
            "--log-file", "stdout", "--pidfile", self.mktemp()], env=None)
        self.addCleanup(lambda: (process.signalProcess("KILL"), protocol.ended)[1])
        url = f"turn:127.0.0.1:{port}?transport=udp"
        probe = await self.ask(url)
        while probe.state == DEAD and probe.reason != "no answer":
            await deferLater(cast(Any, reactor), 0.1)  # it is not up yet
            probe = await self.ask(url)
        for found in (probe, await self.ask(url), await self.ask(f"turn:localhost:{port}")):
            self.assertEqual((found.state, found.binding, found.reason), (ALIVE, True, ""))
        wrong = Asking(reactor, Credentials(("another secret of somebody",), 3600))
        self.assertIn("401", (await self.ask(url, asking=wrong)).reason)

    async def test_a_node_of_streams_is_asked_by_them(self) -> None:
        """Whatever its certificate; and what is no TURN server, or nobody, is dead."""
        folder = Path(self.mktemp())
        node = Running(folder, STREAMS)
        self.addCleanup(node.end)
        node.started()
        for transport, url in (("udp", "turn:127.0.0.1:{}"), ("tcp", "turn:127.0.0.1:{}?transport=tcp"),
                               ("tls", "turns:localhost:{}?transport=tcp")):
            probe = await self.ask(url.format(node.port(transport)))
            self.assertEqual((probe.state, probe.binding, probe.reason), (ALIVE, True, ""), transport)
            self.assertGreater(probe.rtt_s or 0, 0)
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            probe = await self.ask(f"turns:127.0.0.1:{port}")
            self.assertEqual((probe.state, probe.reason), (DEAD, "no answer"))
        for url, reason in ((f"turn:127.0.0.1:{port}?transport=tcp", "refuses connections"),
                            (f"turn:127.0.0.1:{free_port('127.0.0.1')}", "nobody listens at its port"),
                            ("turn:nowhere.invalid", "its name has no address")):
            probe = await self.ask(url)
            self.assertEqual((probe.state, probe.reason), (DEAD, reason))
