"""Start-up time and memory of rtcd beside coturn's turnserver and Collider.

    python benchmarks/startup.py [--collider PATH] [--rounds 11]

From exec to READY=1 on NOTIFY_SOCKET, where a server tells it, and to its first answer: HTTPS and STUN of rtcd with every
service, STUN of turnserver, HTTPS of Collider. A first start makes rtcd's secrets, its local authority and certificate.
RSS and PSS after the start, and of rtcd after 1000 joins that are held. The other CPU is left to whoever asks.
"""

from __future__ import annotations

import argparse
import functools
import http.client
import os
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rounds import (
    ATTEMPTS,
    QUIET,
    SERVER_CPU,
    Results,
    Watch,
    conclusion,
    conditions,
    in_turn,
    repeated,
    table,
    wait_for_quiet,
)
from servers import (
    DEADLINE_S,
    Server,
    answers_http,
    answers_stun,
    collider_unready,
    coturn,
    make_certificate,
    room_server,
    rtcd,
)
from topology import Place

RTCD, COTURN = "127.0.0.11", "127.0.0.12"
HTTPS, PLAIN = 18444, 18081
JOINS = 1000

INI = f"""
[daemon]
state-directory = state
[doorway]
https = tcp:{HTTPS}:interface=127.0.0.1
http =
plain = tcp:{PLAIN}:interface=127.0.0.1
[rooms]
max-clients-per-address = {JOINS}
join-timeout = 600
[web]
join-rate = 0
[signaling]
[ice]
[turn]
listen = {RTCD}
tls = no
unauth-rate = 0
"""


class Ready:
    """A NOTIFY_SOCKET, and when READY=1 came."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rtcd-bench-")
        self.path = os.path.join(self._folder.name, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self.at: float | None = None
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def end(self, wait_s: float) -> float | None:
        """When it came, as time.monotonic has it; None if it has not come so much later."""
        self._thread.join(wait_s)
        self._socket.close()
        self._folder.cleanup()
        return self.at

    def _wait(self) -> None:
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            try:
                if select.select([self._socket], [], [], 0.1)[0] and b"READY=1" in self._socket.recv(4096):
                    self.at = time.monotonic()
                    return
            except (OSError, ValueError):
                return


def main() -> None:
    """Run the rounds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collider", help="a Collider to compare with: its binary, not linked to shared libraries")
    parser.add_argument("--rounds", type=int, default=11)
    given = parser.parse_args()
    conditions(given.rounds)
    certificate, results = make_certificate(), Results()
    measures: dict[str, Callable[[], dict[str, float]]] = {
        "rtcd, all services": functools.partial(start_rtcd, first=False),
        "rtcd, first start": functools.partial(start_rtcd, first=True),
        "coturn": start_coturn,
    }
    if given.collider:
        measures["Collider"] = functools.partial(start_collider, given.collider, certificate)
    for number in range(given.rounds):
        for name in in_turn(list(measures), number):
            results.add("start", name, undisturbed(name, measures[name]))
        print(f"round {number + 1} of {given.rounds} done", flush=True)

    def row(name: str, *cells: tuple[str, int]) -> list[str]:
        return [name, *(results.median("start", name, measure, digits) for measure, digits in cells)]

    table("From exec, ms", ["server", "READY=1", "first STUN answer", "first HTTPS answer", "CPU ms until then"], [
        row(name, ("ready", 0), ("stun", 0), ("https", 0), ("cpu", 0)) for name in measures])
    table("Memory, MB", [
        "server", "RSS after the start", "PSS", f"RSS with {JOINS} joins held", "PSS", "bytes a join (PSS)"], [
        row(name, ("rss", 1), ("pss", 1), ("joined_rss", 1), ("joined_pss", 1), ("join_bytes", 0)) for name in measures])
    conclusion()


def undisturbed(name: str, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """A start while others used little of the machine, or the one of `ATTEMPTS` while they used least."""
    seen: list[dict[str, float]] = []
    for _ in range(ATTEMPTS):
        wait_for_quiet()
        seen.append(measure())
        others = seen[-1]["others"]
        if others <= QUIET:
            break
        repeated.append(f"others used {others:.2f} CPUs: start of {name}")
    return min(seen, key=lambda one: one["others"])


def start_rtcd(*, first: bool) -> dict[str, float]:
    """A start, in a state directory of its own; unless it is to be the first one, another one goes before."""
    with tempfile.TemporaryDirectory(prefix="rtcd-bench-") as state:
        ini = INI.replace("= state\n", f"= {state}\n")
        if not first:
            with rtcd(ini, cpu=SERVER_CPU) as server:
                server.ready(lambda: answers_http(HTTPS, tls=True))
        ready = Ready()
        with rtcd(ini, cpu=SERVER_CPU, environment={"NOTIFY_SOCKET": ready.path}) as server:
            found = begun(server, ready, RTCD, lambda: answers_http(HTTPS, tls=True))
            joins(PLAIN)
            rss, pss = server.memory()
        return {**found, "joined_rss": rss, "joined_pss": pss, "join_bytes": (pss - found["pss"]) * 2**20 / JOINS}


def start_coturn() -> dict[str, float]:
    """A start of turnserver, UDP only."""
    ready = Ready()
    with coturn(Place(COTURN), cpu=SERVER_CPU, environment={"NOTIFY_SOCKET": ready.path}) as server:
        return begun(server, ready, COTURN)


def start_collider(binary: str, certificate: dict[str, str]) -> dict[str, float]:
    """A start of Collider with TLS."""
    ready = Ready()
    with room_server() as url, collider_unready(
            binary, HTTPS, certificate, tls=True, cpu=SERVER_CPU, room_server=url) as server:
        return begun(server, ready, "", lambda: answers_http(HTTPS, "/status", tls=True))


def begun(server: Server, ready: Ready, host: str, https: Callable[[], bool] | None = None) -> dict[str, float]:
    """Milliseconds until it answers, and its memory then."""
    found, watch = {}, Watch(server.pid)
    if host:
        found["stun"] = server.ready(lambda: answers_stun(Place(host))) * 1000
    if https is not None:
        found["https"] = server.ready(https) * 1000
    found["others"] = watch.others()
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    found["cpu"] = sum(map(int, fields[11:13])) * 1000 / os.sysconf("SC_CLK_TCK")
    found["rss"], found["pss"] = server.memory()
    at = ready.end(0.5 if host else 0)
    if at is not None:
        found["ready"] = (at - server.started_at) * 1000
    return found


def joins(port: int) -> None:
    """Two to a room; they stay."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for number in range(JOINS):
        connection.request("POST", f"/join/bench{number // 2}")
        answer = connection.getresponse()
        if b'"SUCCESS"' not in answer.read():
            raise SystemExit(f"join {number} was refused: {answer.status}")
    connection.close()


if __name__ == "__main__":
    main()
