"""TURN relay of rtcd beside Debian's coturn: packets a second, CPU, latency, allocations, memory.

    make -C benchmarks && python benchmarks/relay.py [--rounds 7] [--seconds 1.5] [--only c2p,echo] [--tree PATH ...]

Each server is on CPU 0, one of them working at a time, the generator on CPU 1. A round runs every case on every server;
the first server of a round changes. Ratios are made inside a round. ``--tree`` names further checkouts of rtcd to
measure in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
from pathlib import Path

from rounds import SERVER_CPU, Results, conclusion, conditions, generate, in_turn, table
from servers import CHECKOUT, Server, coturn_ready, rtcd_turn

PEER = "coturn"

TRAFFIC = {
    f"{mode} {count} alloc., {size} B{f', burst {burst}' if burst > 1 else ''}": (mode, count, size, burst)
    for count, size, burst in ((1, 172, 1), (50, 172, 1), (1000, 172, 1), (50, 1200, 8)) for mode in ("c2p", "p2c")
}
"""Closed loop, as fast as the server goes: client to peer and peer to client."""

ECHO_RATE = 10000
HELD = 1000


def main() -> None:
    """Run the rounds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="measured seconds of a run, after 0.5 s of warm-up")
    parser.add_argument("--only", default="", help="cases that begin so, with commas: c2p, p2c, echo, binding, alloc, hold")
    parser.add_argument("--tree", type=Path, action="append", default=[], help="one more checkout of rtcd to measure")
    given = parser.parse_args()
    wanted = tuple(given.only.split(",")) if given.only else ("",)
    conditions(given.rounds)
    trees = {"rtcd": CHECKOUT, **{f"rtcd {tree.name}": tree.resolve() for tree in given.tree}}
    hosts = {name: f"127.0.0.{number}" for number, name in enumerate((PEER, *trees), 11)}
    results = Results()
    try:
        for number in range(given.rounds):
            one_round(results, number, hosts, trees, given.seconds, wanted)
            print(f"round {number + 1} of {given.rounds} done", flush=True)
    finally:
        report(results, list(hosts))
        conclusion()


def one_round(
    results: Results, number: int, hosts: dict[str, str], trees: dict[str, Path], seconds: float, wanted: tuple[str, ...]
) -> None:
    """Fresh servers, and each case on each of them."""
    order = in_turn(list(hosts), number)
    if "hold".startswith(wanted):
        for name in order:
            fresh = functools.partial(start, name, hosts[name], trees)
            results.add("hold", name, generate(
                fresh, "turnload", "-m", "hold", "-s", f"{hosts[name]}:3478", "-n", HELD))
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(start(name, hosts[name], trees)) for name in order}

        def run(name: str, *arguments: object) -> dict[str, float]:
            lent = functools.partial(contextlib.nullcontext, servers[name])
            return generate(lent, "turnload", "-s", f"{hosts[name]}:3478", "-d", seconds, *arguments)

        for case, (mode, count, size, burst) in TRAFFIC.items():
            for name in order if case.startswith(wanted) else ():
                results.add(case, name, run(name, "-m", mode, "-n", count, "-p", size, "-B", burst))
        for case, arguments in (
            ("echo", ("-m", "echo", "-n", 50, "-R", ECHO_RATE)), ("binding", ("-m", "binding", "-n", 1)),
            ("alloc", ("-m", "alloc")),
        ):
            for name in order if case.startswith(wanted) else ():
                results.add(case, name, run(name, *arguments))


def start(name: str, host: str, trees: dict[str, Path]) -> Server:
    """One server, ready."""
    if name == PEER:
        return coturn_ready(host, cpu=SERVER_CPU)
    return rtcd_turn(host, tree=trees[name], cpu=SERVER_CPU, name=name)


def report(results: Results, names: list[str]) -> None:
    """The tables, as the README has them."""
    def rows(cases, *cells):
        return [[case if name == names[0] else "", name, *(cell(case, name) for cell in cells)]
                for case in cases if case in results.cases for name in names]

    def median(measure: str, digits: int = 0, scale: float = 1.0):
        return lambda case, name: results.median(case, name, measure, digits, scale)

    def ratio(measure: str, *, less: bool = False):
        return lambda case, name: results.ratio(case, name, PEER, measure, less_is_better=less)

    traffic = ["case", "server", "kpps", "x coturn", "CPU s per million packets", "x coturn", "server CPU %", "loss %"]
    cells = (median("pps", 0, 0.001), ratio("pps"), median("cpu_us_pkt", 2), ratio("cpu_us_pkt", less=True),
             median("cpu_pct"), median("loss_pct", 2))
    table("Relaying, as fast as it goes", traffic, rows(TRAFFIC, *cells))
    table("STUN Binding, as fast as it goes", traffic, rows(["binding"], *cells))
    table(f"Round trip at {ECHO_RATE} packets/s, 50 allocations", [
        "case", "server", "p50 us", "p95 us", "p99 us", "p99 x coturn", "CPU s per million packets", "x coturn"], rows(
        ["echo"], median("p50_us"), median("p95_us"), median("p99_us"), ratio("p99_us", less=True), median("cpu_us_pkt", 1),
        ratio("cpu_us_pkt", less=True)))
    table("Allocate, authenticated, and Refresh to zero: 16 at a time, each from an address of its own", [
        "case", "server", "cycles/s", "x coturn", "CPU us a cycle", "x coturn", "p99 us", "timeouts"], rows(
        ["alloc"], median("cycles_s"), ratio("cycles_s"), median("cpu_us_cycle"), ratio("cpu_us_cycle", less=True),
        median("p99_us"), median("timeouts")))
    table(f"{HELD} allocations held, each with a permission and a channel, in a fresh server", [
        "case", "server", "RSS MB before", "bytes an allocation", "x coturn", "CPU us an allocation", "x coturn"], rows(
        ["hold"], median("rss0_kb", 1, 1 / 1024), median("bytes_per_alloc"), ratio("bytes_per_alloc", less=True),
        median("cpu_us_per_alloc"), ratio("cpu_us_per_alloc", less=True)))


if __name__ == "__main__":
    main()
