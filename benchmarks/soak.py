"""TURN relay of rtcd for a long time: allocations come and go under traffic, and each has to get its own packets alone.

    make -C benchmarks && python benchmarks/soak.py [--minutes 30] [--rate 100000] [--allocations 200] [--seconds-each 5]
                          [--plane kernel] [--tree PATH]

As root: it makes the network namespaces of ``relay.py --topology namespaces``. The server is on CPU 0, the generator on
CPU 1; what turnsoak.c says at its top is done and checked. Every so often (``--every``) the daemon's memory, descriptors,
sockets and flows in the kernel are looked at. In the end all allocations are gone, and descriptors, sockets and flows have
to be as many as in the beginning. Exit 1 if they are not, if a packet went astray or was damaged, or if the log has an
error.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rounds import BUILD, GENERATOR_CPU, SERVER_CPU, table
from servers import CHECKOUT, TURN, Server, answers_stun, rtcd
from topology import Place, namespaces

PROGRAM = BUILD / "turnsoak"
OVERTIME_S = 90.0
"""The generator is ended by force so long after its traffic; it does so itself before."""
SETTLE_S = 20.0
"""So long after the last allocation has run out all has to be as it was."""
ERRORS = re.compile(r"#(error|critical)\]|Traceback|Unhandled")
WARNINGS = re.compile(r"#warn\]")
SHORTCUT = re.compile(r"kernel has relayed (\d+) packets")
HASH = "1"
"""BPF_MAP_TYPE_HASH in fdinfo."""
LINES = 40
"""So much of a log is printed."""

WRONG = {
    "wrong": "packets that reached a wrong owner", "damaged": "damaged packets", "stale": "packets of an ended allocation",
    "doubled": "packets that came twice", "twice": "relays given to two at once",
    "mismatch": "allocations that outlived their Refresh 0", "refused": "requests refused",
}
"""What turnsoak counts that must not be."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The daemon and the machine at one moment."""

    at: float
    rss_mb: float
    descriptors: int
    sockets: int
    flows: int
    daemon_s: float
    """CPU of the daemon so far ..."""
    server_s: float
    """... of all that is done on its CPU ..."""
    machine_s: float
    """... and on all of them."""

    def left(self, before: Seen) -> dict[str, tuple[int, int]]:
        """What has to be as it was before: then and now."""
        return {
            "descriptors": (before.descriptors, self.descriptors), "UDP sockets": (before.sockets, self.sockets),
            "flows in the kernel": (before.flows, self.flows)}


@dataclass
class Soak:
    """What came out of a run."""

    before: Seen
    samples: list[Seen] = field(default_factory=list)
    after: Seen | None = None
    told: dict[str, Any] = field(default_factory=dict)
    """What the generator has counted, by its last line."""
    said: str = ""
    """What the generator had to complain of."""
    faults: list[str] = field(default_factory=list)
    """Why the run is not valid."""


def main() -> None:
    """One run, and its verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=100000, help="packets/s offered, all directions together (%(default)s)")
    parser.add_argument("--allocations", type=int, default=200, help="at a time, at most 2000 (%(default)s)")
    parser.add_argument("--seconds-each", type=float, default=5.0, help="that an allocation lives, about (%(default)s)")
    parser.add_argument("--plane", choices=("kernel", "python"), default="kernel", help="what relays")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between looks at the daemon (%(default)s)")
    parser.add_argument("--peers", type=int, default=8, help="sockets of peers (%(default)s)")
    parser.add_argument("--grace", type=float, default=50.0, help="ms that a packet may come after its end (%(default)s)")
    parser.add_argument("--tree", type=Path, default=CHECKOUT, help="another checkout of rtcd to run")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if not PROGRAM.exists():
        raise SystemExit(f"{PROGRAM} is not there; build it with: make -C benchmarks")
    if given.plane == "kernel" and not shutil.which("bpftool"):
        raise SystemExit("the flows in the kernel are counted by bpftool; apt-get install bpftool")
    lifetime = longest_life(given.seconds_each)
    with namespaces(["rtcd"]) as places:
        place = places["rtcd"]
        ini = TURN.format(host=place.host, relay=place.relay, port=3478,
                          plane=f"relay-plane = {given.plane}\nmax-lifetime = {lifetime}")
        with rtcd(ini, tree=given.tree.resolve(), cpu=SERVER_CPU, name=f"rtcd {given.plane}", place=place) as server:
            server.ready(lambda: answers_stun(place))
            time.sleep(1)
            print(f"{server.name}: {given.minutes:g} min, {given.rate} packets/s, {given.allocations} allocations of about "
                  f"{given.seconds_each:g} s, lifetime {lifetime} s\n", flush=True)
            soak = Soak(look(server))
            try:
                generate(soak, server, place, given)
                settle(soak, server, lifetime + SETTLE_S)
            except (FileNotFoundError, ProcessLookupError):
                soak.faults.append("the daemon has ended")
            soak.faults += [f"{soak.told[key]} {what}" for key, what in WRONG.items() if soak.told.get(key)]
            log = read_to_the_end(soak, server)
    verdict(soak, log)
    sys.exit(1 if soak.faults else 0)


def longest_life(each: float) -> int:
    """Seconds after which the server ends an allocation by itself: no sooner than any is ended by its client. turnsoak asks
    for as many, but rtcd gives 600 at least, as RFC 8656 has it, unless the ini says less."""
    return int(1.5 * each) + 2


def generate(soak: Soak, server: Server, place: Place, given: argparse.Namespace) -> None:
    """Traffic, and a look at the daemon whenever the generator tells how it goes."""
    seconds = given.minutes * 60
    command = [
        PROGRAM, "-s", f"{place.host}:3478", "-l", place.client, "-L", place.peer, "-N", place.client_namespace,
        "-A", place.peer_namespace, "-n", given.allocations, "-e", given.peers, "-d", seconds, "-S", given.seconds_each,
        "-R", given.rate, "-g", given.grace, "-i", given.every, "-c", GENERATOR_CPU]
    columns = ["s", "live", "RSS MB", "descriptors", "UDP sockets", "flows", "daemon CPU %", f"CPU {SERVER_CPU} %",
               "machine CPU %", "sent/s", "received/s", "lost", "faults"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    with running(soak, [str(part) for part in command], seconds + OVERTIME_S) as generator:
        assert generator.stdout is not None
        last = soak.before
        for line in generator.stdout:
            soak.told = told = json.loads(line)
            if told["final"]:
                break
            seen = look(server)
            soak.samples.append(seen)
            print(row(told, last, seen), flush=True)
            last = seen
        if generator.wait() not in (0, 1) or not soak.told.get("final"):
            soak.faults.append(f"the generator ended with {generator.returncode}")


@contextlib.contextmanager
def running(soak: Soak, command: list[str], most: float) -> Iterator[subprocess.Popen[str]]:
    """A generator that does not outlive this, nor run longer than so many seconds."""
    with tempfile.TemporaryFile("w+") as said:
        generator = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
        timer = threading.Timer(most, generator.kill)
        timer.start()
        try:
            yield generator
        finally:
            timer.cancel()
            generator.kill()
            generator.wait()
            said.seek(0)
            soak.said = said.read()


def row(told: dict[str, Any], last: Seen, seen: Seen) -> str:
    """A line of the table of samples."""
    wall = seen.at - last.at
    cpus = (100 * used / wall for used in (
        seen.daemon_s - last.daemon_s, seen.server_s - last.server_s, seen.machine_s - last.machine_s))
    cells = [f"{told['seconds']:.0f}", told["live"], f"{seen.rss_mb:.1f}", seen.descriptors, seen.sockets, seen.flows,
             *(f"{one:.0f}" for one in cpus), told["sent_pps"], told["received_pps"], told["lost"],
             sum(told[key] for key in WRONG)]
    return f"| {' | '.join(map(str, cells))} |"


def settle(soak: Soak, server: Server, most: float) -> None:
    """Wait until all is as it was before, or for so many seconds."""
    until = time.monotonic() + most
    while True:
        soak.after = look(server)
        left = [f"{what}: {then} before, {now} after" for what, (then, now) in soak.after.left(soak.before).items()
                if then != now]
        if not left or time.monotonic() > until:
            soak.faults += left
            return
        time.sleep(0.5)


def look(server: Server) -> Seen:
    """Memory, descriptors, sockets and flows of the daemon, and the CPU used until now. Raises OSError if it has ended."""
    if server.process.poll() is not None:
        raise ProcessLookupError
    process = Path(f"/proc/{server.pid}")
    used = 0
    for task in (process / "task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            used += int((task / "schedstat").read_text().split()[0])
    # of the network namespace that the daemon is in, IPv6 too
    sockets = sum(len((process / "net" / name).read_text().splitlines()) - 1 for name in ("udp", "udp6"))
    return Seen(
        time.monotonic(), server.memory()[0], len(os.listdir(process / "fd")), sockets, flows(process), used / 1e9,
        busy(f"cpu{SERVER_CPU}"), busy("cpu"))


def flows(process: Path) -> int:
    """The elements of the hash maps that the process has: each is a direction of a channel. 0 if it has none."""
    maps = set()
    for info in (process / "fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            fields = dict(line.split(":\t", 1) for line in info.read_text().splitlines() if ":\t" in line)
            if fields.get("map_type") == HASH:
                maps.add(fields["map_id"])
    found = 0
    for number in maps:
        dump = subprocess.run(["bpftool", "map", "dump", "id", number], capture_output=True, text=True, check=True).stdout
        found += int(dump.rsplit("Found", 1)[1].split()[0])
    return found


def busy(name: str) -> float:
    """Seconds that this CPU, or with "cpu" all together, has worked."""
    ticks = next(line.split()[1:9] for line in Path("/proc/stat").read_text().splitlines() if line.split()[0] == name)
    return sum(int(one) for place, one in enumerate(ticks) if place not in (3, 4)) / os.sysconf("SC_CLK_TCK")


def read_to_the_end(soak: Soak, server: Server) -> str:
    """Ask the daemon to end; its whole log."""
    if server.process.poll() is None:
        server.process.terminate()
        try:
            server.process.wait(10)
        except subprocess.TimeoutExpired:
            soak.faults.append("the daemon did not end when it was told to")
    log = (server.folder / "log").read_text(errors="replace")
    if ERRORS.search(log):
        soak.faults.append("the log has an error")
    return log


def verdict(soak: Soak, log: str) -> None:
    """The tables, what the log and the generator complain of, and what it comes to."""
    told = soak.told
    if told:
        shortcut = SHORTCUT.search(log)
        table("Traffic", ["what", "count"], [[what, str(count)] for what, count in {
            "packets sent": told["sent"], "received": told["received"],
            "lost": f"{told['lost']} ({100 * told['lost'] / max(1, told['sent']):.4f} %)",
            "sent up, down, across": ", ".join(str(told[f"sent_{way}"]) for way in ("up", "down", "across")),
            "lost up, down, across": ", ".join(str(told[f"lost_{way}"]) for way in ("up", "down", "across")),
            "not sent: nobody was live, or it was too late": told["not_sent"],
            "sent late, of these received in time": f"{told['late_sent']}, {told['late_received']}",
            "relayed by the kernel, for clients that had closed too": shortcut[1] if shortcut else "none",
            "allocations made": told["made"], "ended by Refresh 0": told["by_refresh"], "by expiry": told["by_expiry"],
            "left by a client that closed": told["by_closing"], "five-tuples taken over after 437": told["taken_over"],
            "expiries skipped": told["expiry_skipped"], "refreshed in between": told["refreshed"],
            "received though the lifetime was over for a second": told["overdue"],
            "requests never answered": told["timeouts"], "Data indications": told["indications"],
            "indications of ICMP errors": told["unreachable"],
        }.items()])
    rows = [[what, "0", str(told.get(key, "-")), "ok" if told.get(key) == 0 else "NOT OK"] for key, what in WRONG.items()]
    if soak.after is not None:
        rows += [[what, str(then), str(now), "ok" if then == now else "NOT OK"]
                 for what, (then, now) in soak.after.left(soak.before).items()]
        rows += memory(soak, soak.after)
    errors = [line for line in log.splitlines() if ERRORS.search(line)]
    rows.append(["lines of the log with an error", "0", str(len(errors)), "NOT OK" if errors else "ok"])
    table("Verdict", ["what", "before, or as it should be", "after", "verdict"], rows)
    for title, lines in (
            ("the generator says", soak.said.splitlines()), ("warnings", list(filter(WARNINGS.search, log.splitlines())))):
        if lines:
            print(f"\n{title}:\n" + "\n".join(lines[:LINES]))
    if errors:
        print("\nthe log from the first error on:\n" + "\n".join(log[log.index(errors[0]):].splitlines()[:LINES]))
    print("\n" + ("NOT VALID: " + "; ".join(soak.faults) if soak.faults else "valid"))


def memory(soak: Soak, after: Seen) -> list[list[str]]:
    """How memory grew once the first tenth of the time was over."""
    rows = [["RSS MB", f"{soak.before.rss_mb:.1f}", f"{after.rss_mb:.1f}", ""]]
    start = soak.before.at
    late = [one for one in soak.samples if one.at - start >= 0.1 * (soak.samples[-1].at - start)]
    if len(late) > 1:
        slope = statistics.linear_regression([one.at for one in late], [one.rss_mb for one in late]).slope * 3600
        rows.append(["RSS MB after a tenth of the time", f"{late[0].rss_mb:.1f}", f"{late[-1].rss_mb:.1f}",
                     f"{late[-1].rss_mb - late[0].rss_mb:+.1f} MB, {slope:+.1f} MB an hour"])
    return rows


if __name__ == "__main__":
    main()
