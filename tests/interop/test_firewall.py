"""Chromium calls out of networks that let next to nothing out: each browser is in a network namespace behind nftables."""

from __future__ import annotations

import re
import sys

from tests.interop.namespaces import SERVER, Client, NetworkTestCase
from tests.interop.test_page import FAKE_PERMISSION

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


class Firewall(NetworkTestCase):
    """Nothing gets out but what the test lets out."""

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

    def call(self, room: str) -> list[tuple[str, str]]:
        """Two people see each other through relays; how each reaches theirs. The firewalls have let all of it pass."""
        stopped = {one: self.packets(one, "stopped") for one in self.clients}
        pages = []
        for number in range(len(self.clients)):
            page = self.join(self.browser_of(number, FAKE_PERMISSION), f"/r/{room}")
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
