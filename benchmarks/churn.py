"""Thousands of allocations that come and go: what is left in rtcd and in coturn, and what one allocation costs.

    make -C benchmarks && python benchmarks/churn.py [--allocations 5000] [--times 10]

Each time all of them are open at once, each with a channel, and then every one is deleted by its client. Memory and
descriptors are looked at while they are open and when they are gone; a descriptor that stays is a leaked socket. At the end
each port of the relay range is tried.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import subprocess
import time
from pathlib import Path

from servers import CHECKOUT, OPEN_FILES, Server, coturn_ready, rtcd_turn
from topology import Place

SETTLE_S = 7.0
"""A port rests for 5 s, and coturn takes 1 s to delete."""


def main() -> None:
    """Both servers, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--allocations", type=int, default=5000)
    parser.add_argument("--times", type=int, default=10)
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, OPEN_FILES), hard))
    for start, host in ((coturn_ready, "127.0.0.11"), (rtcd_turn, "127.0.0.12")):
        with start(Place(host)) as server:
            churn(server, host, given.allocations, given.times)


def churn(server: Server, host: str, allocations: int, times: int) -> None:
    """One line each time."""
    before, descriptors = server.memory()[0], open_descriptors(server)
    print(f"{server.name}: {before:.1f} MB, {descriptors} descriptors before")
    for number in range(1, times + 1):
        done = subprocess.run(
            [CHECKOUT / "benchmarks" / "build" / "turnload", "-m", "hold", "-s", f"{host}:3478", "-n", str(allocations),
             "-P", str(server.pid)], capture_output=True, text=True, check=True)
        seen = json.loads(done.stdout)
        time.sleep(SETTLE_S)
        held, gone = seen["rss1_kb"] / 1024, server.memory()[0]
        each, left = (held - before) * 1024 / allocations, open_descriptors(server) - descriptors
        print(f"  {number:2}: open {held:.1f} MB ({each:.1f} kB each) after {seen['setup_s']:.1f} s; gone {gone:.1f} MB,"
              f" {left:+} descriptors", flush=True)
    print(f"  ports that cannot be bound: {len(taken(host))}")


def open_descriptors(server: Server) -> int:
    """How many the process has."""
    return len(os.listdir(Path(f"/proc/{server.pid}/fd")))


def taken(host: str) -> list[int]:
    """Ports of the relay range that somebody holds."""
    found = []
    for port in range(10240, 65536):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trying:
            try:
                trying.bind((host, port))
            except OSError:
                found.append(port)
    return found


if __name__ == "__main__":
    main()
