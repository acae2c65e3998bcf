"""Signalling of rtcd beside Collider: messages and connections a second, CPU, latency, memory; and joins of rtcd.

    make -C benchmarks && python benchmarks/signalling.py [--collider PATH] [--rounds 7] [--seconds 1.5] [--only msg,join]

Each run has a fresh server on CPU 0 and the generator on CPU 1; a round runs every case on every server, and the first
server of a case changes. Ratios are made inside a round. Without ``--collider`` there is no peer and no ratio. The peer of
joins is a stub of Go's net/http (joinstub.go), if it was built: ``make -C benchmarks joinstub``.
With ``--workers 2`` the ini has ``[daemon] workers = 2``, and servers and generator share all CPUs, Collider's too.
``--tree`` names further checkouts of rtcd to measure in the same run. With Collider it has to run as root, for the root
directory in which Collider finds its certificate.
"""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rounds import BUILD, SERVER_CPU, Results, conclusion, conditions, generate, in_turn, priority, table
from servers import CHECKOUT, Server, collider, join_stub, make_certificate, room_server, rtcd_signalling

PEER, STUB = "Collider", "Go stub"
PLAIN, TLS = 18081, 18444
ROOMS = 50
RATES = (2000, 8000)
IDLE = 10_000


@dataclass(frozen=True, slots=True)
class Case:
    """One row: the generator's arguments, and what rtcd is told beside the rest."""

    title: str
    arguments: tuple[object, ...]
    tls: bool
    join: bool = True
    """Whether rtcd's clients join before they register, as it asks for unless told otherwise."""
    ping: int = 5
    peer: str = PEER


def cases() -> list[Case]:
    """Every row, in order."""
    both = (("plain", False), ("TLS", True))
    return [
        *(Case(f"msg {text}, {way}", ("-m", "msg", "-n", ROOMS, "-W", 2, "-p", size), tls)
          for size, text in ((300, "300 B"), (2500, "2.5 kB")) for way, tls in both),
        *(Case(f"rate {rate}/s, {way}", ("-m", "rate", "-n", 200, "-R", rate), tls) for rate in RATES for way, tls in both),
        *(Case(f"connect, {way}", ("-m", "connect", "-k", 16), tls, join=False) for way, tls in both),
        *(Case(f"join, {way}", ("-m", "join", "-k", 8), tls, peer=STUB) for way, tls in both),
        # the idle sockets of the generator do not answer pings
        *(Case(f"idle, {way}", ("-m", "idle", "-n", IDLE), tls, ping=600) for way, tls in both),
    ]


def main() -> None:
    """Run the rounds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collider", help="a Collider to compare with: its binary, not linked to shared libraries")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="measured seconds of a run, after 0.5 s of warm-up")
    parser.add_argument("--only", default="", help="cases that begin so, with commas: msg, rate, connect, join, idle")
    parser.add_argument("--workers", type=int, default=1, help="processes of rtcd; more than one: on all CPUs")
    parser.add_argument("--nice", type=int, default=0, help="of servers and generator, as root: -15 on a machine in use")
    parser.add_argument("--tree", type=Path, action="append", default=[], help="one more checkout of rtcd to measure")
    given = parser.parse_args()
    wanted = tuple(given.only.split(",")) if given.only else ("",)
    conditions(given.rounds)
    trees = {"rtcd": CHECKOUT, **{f"rtcd {tree.name}": tree.resolve() for tree in given.tree}}
    stub = str(BUILD / "joinstub")
    names = [*([PEER] if given.collider else []), *([STUB] if os.path.exists(stub) else []), *trees]
    cpu = SERVER_CPU if given.workers == 1 else None
    chosen = [case for case in cases() if case.title.startswith(wanted)]
    certificate = make_certificate()
    results = Results()
    with priority(given.nice), room_server() as url:

        def start(name: str, case: Case) -> Server:
            port = TLS if case.tls else PLAIN
            if name == PEER:
                return collider(given.collider, port, certificate, tls=case.tls, cpu=cpu, room_server=url)
            if name == STUB:
                return join_stub(stub, port, certificate, tls=case.tls, cpu=cpu)
            return rtcd_signalling(PLAIN, TLS, certificate, tree=trees[name], cpu=cpu, name=name, ping=case.ping,
                                   require=case.join, workers=given.workers)

        try:
            for number in range(given.rounds):
                for index, case in enumerate(chosen):
                    for name in in_turn(names, number + index):
                        if name in (PEER, STUB) and name != case.peer:
                            continue
                        results.add(case.title, name, run(
                            functools.partial(start, name, case), name, case, given.seconds, pinned=cpu is not None))
                print(f"round {number + 1} of {given.rounds} done", flush=True)
        finally:
            report(results, chosen, names)
            conclusion()


def run(start: Callable[[], Server], name: str, case: Case, seconds: float, *, pinned: bool) -> dict[str, float]:
    """One run of one case on one server."""
    return generate(
        start, "sigload", *case.arguments, "-s", f"127.0.0.1:{TLS if case.tls else PLAIN}", *(["-T"] if case.tls else []),
        *(["-f"] if case.join and case.peer == PEER and name != PEER else []), "-d", seconds, pinned=pinned)


def report(results: Results, chosen: list[Case], names: list[str]) -> None:
    """The tables, as the README has them."""
    def rows(kind: str, *cells):
        found = [case.title for case in chosen if case.title.startswith(kind) and case.title in results.cases]
        return [[title if first else "", name, *(cell(title, name) for cell in cells)]
                for title in found
                for first, name in zip((True, *[False] * len(names)),
                                       [one for one in names if results.values(title, one, "wall_s")], strict=False)]

    def median(measure: str, digits: int = 0, scale: float = 1.0):
        return lambda case, name: results.median(case, name, measure, digits, scale)

    def ratio(measure: str, *, less: bool = False, peer: str = PEER):
        return lambda case, name: results.ratio(case, name, peer, measure, less_is_better=less)

    speed = (median("rate"), ratio("rate"), median("cpu_us", 1), ratio("cpu_us", less=True), median("srv_busy", 0, 100))
    table(f"Messages, {ROOMS} rooms of two, one in flight each way, as fast as it goes", [
        "case", "server", "messages/s", "x Collider", "CPU s per million messages", "x Collider", "server CPU %"], rows(
        "msg", *speed))
    table("Latency at a fixed rate, 200 rooms, 300 B, from the moment a message was due", [
        "case", "server", "p50 us", "p99 us", "p99 x Collider", "CPU s per million messages", "x Collider"], rows(
        "rate", median("p50_us"), median("p99_us"), ratio("p99_us", less=True), median("cpu_us", 1),
        ratio("cpu_us", less=True)))
    cycles = ["case", "server", "cycles/s", "x peer", "CPU s per million cycles", "x peer", "server CPU %"]
    joins = (median("rate"), ratio("rate", peer=STUB), median("cpu_us", 1), ratio("cpu_us", less=True, peer=STUB),
             median("srv_busy", 0, 100))
    table("Connect, upgrade, register, close; 16 at a time; rtcd with require-join = no", cycles, rows("connect", *speed))
    table("POST /join and POST /leave on open connections; 8 at a time", cycles, rows("join", *joins))
    table(f"{IDLE} idle registered WebSockets in a fresh server", [
        "case", "server", "RSS MB before", "RSS bytes a socket", "x Collider", "CPU us to open one"], rows(
        "idle", median("rss0_kb", 1, 1 / 1024), median("rss_per_socket_b"), ratio("rss_per_socket_b", less=True),
        median("open_cpu_us")))


if __name__ == "__main__":
    main()
