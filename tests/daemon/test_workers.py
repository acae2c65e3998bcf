"""Several workers that are one daemon, with real processes: shared ports, rooms, figures, orders, and a worker that dies."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

from rtcd.stun.attributes import LIFETIME
from rtcd.stun.message import Method
from tests.daemon.process import DEADLINE_S, TURN, WEB, DaemonTestCase, Running, WebSocket, trusting
from tests.daemon.test_drain import TurnClient
from tests.fakes_turn import UDP

TOKEN = "t" * 32
INI = f"""
[daemon]
workers = 2
[rooms]
grace = 2
{WEB}
[ice]
[check]
[admin]
token = {TOKEN}
[metrics]
listen = tcp:0:interface=127.0.0.1
{TURN}
user = u:p
"""


class WorkersTests(DaemonTestCase):
    """Real ones."""

    daemon: Running

    def test_two_workers_are_one_daemon(self) -> None:
        """One life of them, since to start them takes seconds: a call across them, one page of figures and one
        administration, the death of one, a reload, and a drain."""
        self.daemon = daemon = self.run_daemon(INI)
        daemon.wait_for("rtcd .* is ready, with 2 workers")
        first, second = (int(daemon.wait_for(rf"worker {one} is ready, process (\d+)")[1]) for one in (1, 2))

        one, other = (self.post(f"{self.url}/join/team")["params"] for _ in range(2))
        here, there = self.registered(one, first), self.registered(other, second)
        self.assertEqual((one["is_initiator"], other["is_initiator"]), ("true", "false"))
        here.send(cmd="send", msg="hello")
        self.assertEqual(there.receive(), {"msg": "hello", "error": ""})
        there.send(cmd="send", msg="and you")
        self.assertEqual(here.receive(), {"msg": "and you", "error": ""})

        relays = [TurnClient(daemon.port("udp")) for _ in range(12)]
        for relay in relays:
            self.addCleanup(relay.socket.close)
            self.assertEqual(relay.ask(Method.ALLOCATE, UDP), 0)
        numbers = [found["id"] for found in self.api("/allocations")["allocations"]]
        self.assertEqual(len(numbers), 12)
        self.assertEqual({number % 2 for number in numbers}, {0, 1}, "all in one worker")
        kept = sum(number % 2 == 0 for number in numbers)
        figures = self.figures()
        self.assertEqual({name: figures.get(name) for name in FIGURES}, FIGURES)
        self.assertEqual(figures["process_max_fds"], resource.prlimit(second, resource.RLIMIT_NOFILE)[0])
        self.assertEqual(self.api("/status")["counts"], {"rooms": 1, "seats": 2, "allocations": 12})
        self.assertTrue(json.loads(self.get(f"{self.url}/readyz")[1])["ready"])
        self.a_check_is_kept_whichever_worker_is_asked()

        daemon.ini.write_text(INI + "what = is this")
        os.kill(second, signal.SIGKILL)
        daemon.wait_for(r"worker 2 has ended \(signal 9\); it is started again$")
        self.assertEqual(json.loads(here.receive()["msg"]), {"type": "bye"})
        daemon.wait_for("worker 2 is ready", 2)  # by the configuration in force: the ini is broken by now
        answers = [relay.ask(Method.REFRESH, LIFETIME.encode(600)) for relay in relays]
        self.assertEqual(sorted(answers), [0] * kept + [437] * (12 - kept))
        after = self.figures()
        self.assertEqual((after["rtcd_daemon_worker_ends_total"], after["rtcd_turn_allocations_open"]), (1.0, kept))
        self.assertEqual(after["rtcd_rooms_messages_total"], 2.0)

        daemon.ini.write_text(INI.replace("grace = 2", "grace = 3"))
        said = self.api("/reload", b"")["lines"]
        self.assertEqual(said, ["[rooms] grace: 2 -> 3: in force"])
        daemon.process.send_signal(signal.SIGHUP)
        for worker in (1, 2):
            daemon.wait_for(rf"worker {worker}\] reloaded: nothing has changed")

        daemon.process.send_signal(signal.SIGUSR1)
        for relay in relays:
            relay.ask(Method.REFRESH, LIFETIME.encode(0))
        here.close()
        self.assertEqual((daemon.wait(), daemon.errors()), (0, ""))
        daemon.wait_for("drained: nothing goes on in any worker")
        for line in daemon.lines:
            if match := re.search(r"is ready, process (\d+)", line):
                self.assertFalse(Path(f"/proc/{match[1]}").exists())
        self.assertNotIn(TOKEN, "\n".join(daemon.lines))

    def test_what_the_first_worker_cannot_do_is_said_once(self) -> None:
        """As one process says it: one line, exit code 1."""
        daemon = self.run_daemon(INI + "relay-ip = 192.0.2.77\n")
        self.assertEqual(daemon.wait(), 1)
        self.assertRegex(daemon.errors(), r"^rtcd.ini: \[turn\] relay-ip: 192\.0\.2\.77 cannot be used [^\n]*\n$")

    # What the tests ask.

    @property
    def url(self) -> str:
        """Of the site."""
        return f"https://127.0.0.1:{self.daemon.port()}"

    def registered(self, client: dict[str, Any], worker: int) -> WebSocket:
        """A WebSocket of a client at this worker, by its process number: the kernel chooses, so try until it is that one."""
        for _ in range(40):
            found = WebSocket(self.daemon.port())
            self.addCleanup(found.close)
            if holder(found._socket.getsockname()[1], self.daemon.port(), worker):
                found.send(cmd="register", roomid="team", clientid=client["client_id"])
                return found
            found.close()
        raise AssertionError(f"40 connections, and none came to process {worker}")

    def a_check_is_kept_whichever_worker_is_asked(self) -> None:
        """Each request is a connection of its own, to either."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        for _ in range(6):
            begun = self.asked(f"{self.url}/check/start", b"{}", headers)
            self.asked(f"{self.url}/check/report/{begun['id']}", b'{"paths": []}', headers)
        self.assertEqual([one["number"] for one in self.api("/checks")["checks"]], [1, 2, 3, 4, 5, 6])

    def figures(self) -> dict[str, float]:
        """Name, with labels, to value."""
        port = self.daemon.wait_for(r"metrics listens on tcp \S+:(\d+)$")[1]
        text = self.asked(f"http://127.0.0.1:{port}/metrics", None, {}, plain=True)
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}

    def api(self, path: str, body: bytes | None = None) -> Any:
        """Of the administration, by HTTPS, and so by either worker."""
        return self.asked(f"{self.url}/admin{path}", body, {"Authorization": f"Bearer {TOKEN}",
                                                            "Content-Type": "application/json"})

    def asked(self, url: str, body: bytes | None, headers: dict[str, str], *, plain: bool = False) -> Any:
        """The answer; an error fails the test."""
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=trusting()), urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(url, body, headers), timeout=DEADLINE_S) as answer:
            text = answer.read().decode()
        return text if plain else json.loads(text)


FIGURES = {
    "rtcd_rooms_rooms": 1.0, "rtcd_rooms_seats": 2.0, "rtcd_rooms_calls": 1.0, "rtcd_signaling_registered": 2.0,
    "rtcd_turn_relay_ports": 1024.0, "rtcd_turn_allocations_open": 12.0, "rtcd_rooms_messages_total": 2.0,
    'rtcd_daemon_worker_up{worker="1"}': 1.0, 'rtcd_daemon_worker_up{worker="2"}': 1.0,
}
"""Some, when a call is on across both workers."""


def holder(port: int, server: int, pid: int) -> bool:
    """Whether this process holds the server's end of a connection from this port."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            ends = [int(one.partition(":")[2], 16) for one in fields[1:3]]
            if ends == [server, port] and fields[9] != "0":  # 0: not accepted yet
                return f"socket:[{fields[9]}]" in descriptors(pid)
        time.sleep(0.01)
    raise AssertionError("the connection is not there")


def descriptors(pid: int) -> set[str]:
    """What the descriptors of a process are."""
    found = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(os.readlink(one))
        except OSError:  # just closed
            continue
    return found
