"""TURN relay of rtcd beside coturn: packets a second, CPU, latency, allocations, memory.

    make -C benchmarks && python benchmarks/relay.py [--rounds 7] [--seconds 1.5] [--only c2p,echo] [--tree PATH ...]
                          [--topology namespaces] [--coturn PATH] [--planes kernel,python]

Each server is on CPU 0, one of them working at a time, the generator on CPU 1. A round runs every case on every server;
the first server of a round changes. Ratios are made inside a round. ``--tree`` names further checkouts of rtcd to
measure in the same run, ``--coturn`` a newer turnserver beside Debian's, ``--planes`` what relays in rtcd.

A relay in the kernel does not work in the server's process. So in namespaces a server's CPU is all that its CPU did, and on
loopback there are three figures: the process, the machine less the generator, and the machine less the generator's looking
in vain, which has the generator's own sending and receiving in it as well.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import types
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from rounds import SERVER_CPU, Refused, Results, conclusion, conditions, generate, in_turn, priority, table
from servers import CHECKOUT, NotReady, Server, coturn_ready, coturn_version, knows_planes, rtcd_turn
from topology import TOPOLOGIES, Place

PEER = "coturn"
NOBODY = "no server"
PLANES = ("kernel", "python")

TRAFFIC = {
    f"{mode} {count} alloc., {size} B{f', burst {burst}' if burst > 1 else ''}": (mode, count, size, burst)
    for count, size, burst in ((1, 172, 1), (50, 172, 1), (1000, 172, 1), (1, 1200, 1), (50, 1200, 8))
    for mode in ("c2p", "p2c")
}
"""Closed loop, as fast as the server goes: client to peer and peer to client."""

ECHO_RATES = {"loopback": 10000, "namespaces": 15000}
"""About half of what coturn can do."""
NICE = -15
HELD = 1000
BOUND = 90.0
"""Percent of a CPU from which on it is what limits a run."""

Start = Callable[[Place], Server]


@dataclass
class Run:
    """The servers of a run, where they are, and what came out so far."""

    topology: str
    servers: dict[str, Start]
    places: dict[str, Place]
    alone: set[str]
    """Those that run only while they are measured, since their mere presence costs the others."""
    seconds: float
    wanted: tuple[str, ...]
    echo_rate: int
    results: Results = field(default_factory=Results)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)

    def measure(
        self, case: str, name: str, start: Callable[[], AbstractContextManager[object]], *arguments: object
    ) -> None:
        """One case on one server; one that refuses it is not asked again, and has a dash there."""
        if not case.startswith(self.wanted) or (case, name) in self.refused:
            return
        place = self.places.get(name, self.places[PEER])
        try:
            self.results.add(case, name, generate(start, "turnload", *place.generator(), *arguments))
        except Refused as why:
            if (name, str(why)) not in ((one, reason) for (_, one), reason in self.refused.items()):
                print(f"{name} has no {case}: {why}", flush=True)
            self.refused[case, name] = str(why)


def main() -> None:
    """Run the rounds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="measured seconds of a run, after 0.5 s of warm-up")
    parser.add_argument(
        "--only", default="", help="cases that begin so, with commas: c2p, p2c, echo, binding, alloc, hold, direct")
    parser.add_argument("--tree", type=Path, action="append", default=[], help="one more checkout of rtcd to measure")
    parser.add_argument(
        "--topology", choices=TOPOLOGIES, default="loopback", help="namespaces: each server between two networks; as root")
    parser.add_argument(
        "--coturn", metavar="PATH", help="one more turnserver, a new one: it gets --multiplex-peer and --udp-gso")
    parser.add_argument(
        "--planes", default=",".join(PLANES), help="what relays in rtcd, with commas; without this setting it runs once")
    parser.add_argument("--echo-rate", type=int, help="packets/s of the case echo (10000, in namespaces 15000)")
    parser.add_argument(
        "--nice", type=int, default=NICE if os.geteuid() == 0 else 0, help="niceness of servers and generator (%(default)s)")
    given = parser.parse_args()
    conditions(given.rounds)
    servers, kernel = contestants(given)
    print(f"{given.topology}; nice {given.nice}; {', '.join(servers)}", flush=True)
    with priority(given.nice), TOPOLOGIES[given.topology](list(servers)) as places:
        run = Run(
            given.topology, servers, places, kernel if given.topology == "loopback" else set(), given.seconds,
            tuple(given.only.split(",")) if given.only else ("",), given.echo_rate or ECHO_RATES[given.topology])
        try:
            for name in sorted(kernel):
                leave_out_unless_it_starts(run, name)
            for number in range(given.rounds):
                one_round(run, number)
                print(f"round {number + 1} of {given.rounds} done", flush=True)
        finally:
            report(run)
            conclusion()


def contestants(given: argparse.Namespace) -> tuple[dict[str, Start], set[str]]:
    """How each server is started, and which of them relay in the kernel."""
    servers: dict[str, Start] = {PEER: functools.partial(coturn_ready, cpu=SERVER_CPU)}
    kernel = set()
    if given.coturn:
        binary = os.path.abspath(given.coturn)
        name = f"{PEER} {coturn_version(binary)}"
        servers[name] = functools.partial(
            coturn_ready, cpu=SERVER_CPU, name=name, binary=binary,
            options=("--multiplex-peer", "--udp-gso", "--include-reason-string"))
    for tree_name, tree in {"rtcd": CHECKOUT, **{f"rtcd {tree.name}": tree.resolve() for tree in given.tree}}.items():
        for plane in given.planes.split(",") if knows_planes(tree) else [""]:
            name = f"{tree_name} {plane}".rstrip()
            servers[name] = functools.partial(rtcd_turn, tree=tree, cpu=SERVER_CPU, name=name, plane=plane)
            if plane not in ("", "python"):
                kernel.add(name)
    return servers, kernel


def leave_out_unless_it_starts(run: Run, name: str) -> None:
    """A relay in the kernel needs privileges and a kernel: say why it is not there, or what it says that it is."""
    try:
        with run.servers[name](run.places[name]) as server:
            for line in server.said("plane"):
                print(f"{name}: {line}")
    except NotReady as why:
        print(f"left out: {why}", flush=True)
        del run.servers[name]


def one_round(run: Run, number: int) -> None:
    """Fresh servers, and each case on each of them."""
    order = in_turn(list(run.servers), number)
    fresh = {name: functools.partial(run.servers[name], run.places[name]) for name in order}
    for name in order:
        run.measure("hold", name, fresh[name], "-m", "hold", "-n", HELD)
    nobody = functools.partial(contextlib.nullcontext, types.SimpleNamespace(pid=os.getpid(), name=NOBODY))
    run.measure("direct", NOBODY, nobody, "-m", "direct", "-n", 50, "-d", run.seconds)
    cases: dict[str, tuple[object, ...]] = {
        case: ("-m", mode, "-n", count, "-p", size, "-B", burst) for case, (mode, count, size, burst) in TRAFFIC.items()}
    cases["echo"] = ("-m", "echo", "-n", 50, "-R", run.echo_rate)
    cases["binding"] = ("-m", "binding", "-n", 1)
    cases["alloc"] = ("-m", "alloc")
    with contextlib.ExitStack() as stack:
        lent = {
            name: fresh[name] if name in run.alone
            else functools.partial(contextlib.nullcontext, stack.enter_context(fresh[name]())) for name in order}
        for case, arguments in cases.items():
            for name in order:
                run.measure(case, name, lent[name], "-d", run.seconds, *arguments)


def report(run: Run) -> None:
    """The tables, as the README has them."""
    results, names, apart = run.results, list(run.servers), run.topology == "namespaces"

    def rows(cases, *cells):
        return [[case if name == names[0] else "", name, *(cell(case, name) for cell in cells)]
                for case in cases if case in results.cases for name in names]

    def median(measure: str, digits: int = 0, scale: float = 1.0):
        return lambda case, name: results.median(case, name, measure, digits, scale)

    def ratio(measure: str, *, less: bool = False):
        return lambda case, name: results.ratio(case, name, PEER, measure, less_is_better=less)

    process = "cpuX" if apart else "cpu"
    traffic = ["case", "server", "kpps", "x coturn", "CPU s per million packets", "x coturn"]
    cells = [median("pps", 0, 0.001), ratio("pps"), median(f"{process}_us_pkt", 2), ratio(f"{process}_us_pkt", less=True)]
    if not apart:
        traffic += ["of the machine, without generator", "x coturn", "of the machine, with its work", "x coturn"]
        cells += [median("sys_us_pkt", 2), ratio("sys_us_pkt", less=True), median("work_us_pkt", 2),
                  ratio("work_us_pkt", less=True)]
    traffic += ["server CPU %", "generator busy %", "limit", "loss %"]
    cells += [median(f"{process}_pct"), median("gen_busy_pct"),
              lambda case, name: limit(results, case, name, f"{process}_pct"), median("loss_pct", 2)]
    table("Relaying, as fast as it goes", traffic, rows(TRAFFIC, *cells))
    table("Client to peer without a server, 50 sockets, 172 B: what the generator can do, and what its work costs", [
        "kpps", "CPU s per million packets of CPU 0", "of the machine, with the generator's work"], [
        [results.median("direct", NOBODY, "pps", 0, 0.001), results.median("direct", NOBODY, "cpuX_us_pkt", 2),
         results.median("direct", NOBODY, "work_us_pkt", 2)]] if "direct" in results.cases else [])
    table("STUN Binding, as fast as it goes", traffic, rows(["binding"], *cells))
    table(f"Round trip at {run.echo_rate} packets/s, 50 allocations", [
        "case", "server", "p50 us", "p95 us", "p99 us", "p99 x coturn", "CPU s per million packets", "x coturn"], rows(
        ["echo"], median("p50_us"), median("p95_us"), median("p99_us"), ratio("p99_us", less=True),
        median(f"{process}_us_pkt", 1), ratio(f"{process}_us_pkt", less=True)))
    table("Allocate, authenticated, and Refresh to zero: 16 at a time, each from an address of its own", [
        "case", "server", "cycles/s", "x coturn", "CPU us a cycle", "x coturn", "p99 us", "timeouts"], rows(
        ["alloc"], median("cycles_s"), ratio("cycles_s"), median(f"{process}_us_cycle"),
        ratio(f"{process}_us_cycle", less=True), median("p99_us"), median("timeouts")))
    table(f"{HELD} allocations held, each with a permission and a channel, in a fresh server", [
        "case", "server", "RSS MB before", "bytes an allocation", "x coturn", "CPU us an allocation", "x coturn"], rows(
        ["hold"], median("rss0_kb", 1, 1 / 1024), median("bytes_per_alloc"), ratio("bytes_per_alloc", less=True),
        median(f"{process}_us_per_alloc"), ratio(f"{process}_us_per_alloc", less=True)))
    for why in dict.fromkeys(f"{name}: {why}" for (_, name), why in run.refused.items()):
        print(f"\n-: refused by {why}")


def limit(results: Results, case: str, name: str, measure: str) -> str:
    """Whose CPU a run was limited by: the server's, or the generator's, so that the server could have done more."""
    server, generator = (results.middle(case, name, one) for one in (measure, "gen_busy_pct"))
    if server is None or generator is None:
        return "-"
    if server >= BOUND:
        return "server"
    return "generator" if generator >= BOUND else "neither"


if __name__ == "__main__":
    main()
