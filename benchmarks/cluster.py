"""Three daemons on one Redis under many scripted calls: nodes are killed one by one, or restarted one after the other.

    python benchmarks/cluster.py [--rooms 200] [--every 4] [--apps 4] [--vanishing 0.25] [--only kill,rolling]

Everything is on loopback (127.0.0.11 to .13 and a unix socket) and ends by itself. Each room has two clients at different
nodes, who say something about every ``--every`` seconds; every ``--apps``th room is one of phone apps, the others are of
pages. How they speak is in tests/interop/talkers.py, what of it may be lost in losses.py. A part ``--vanishing`` of those at
a killed node does not come back. Exit 1 if a message was lost, doubled or out of order that no ending node had on its way,
if somebody was told not once that the other is gone, if a seat was lost, or if anything is left in the store.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path

from servers import CHECKOUT

sys.path.insert(0, str(CHECKOUT))

from tests.interop.cluster import Cluster  # of the checkout
from tests.interop.crowd import Crowd, Figures

GRACES = "grace = 10\npage-grace = 15\nmax-rooms = 100000"
QUIET_S = 3.0
"""Between two steps."""
FAULTS = 40
"""So many are printed."""


class Clock:
    """Says what happens, and when."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        """One line."""
        print(f"{time.monotonic() - self._begun:7.1f} s  {text}", flush=True)


async def kill(cluster: Cluster, crowd: Crowd, vanishing: float, clock: Clock) -> None:
    """Each node once."""
    for node in cluster.nodes:
        before = len(crowd.gone)
        await crowd.kill(node, vanishing)
        clock.say(f"killed {node.host}; {len(crowd.gone) - before} clients are gone with it")
        await crowd.everybody_is_back()
        clock.say("all others are back")
        await crowd.everybody_is_told()
        clock.say("their peers know")
        await crowd.start(node)
        clock.say("it runs again")
        await asyncio.sleep(QUIET_S)


async def rolling(cluster: Cluster, crowd: Crowd, _: float, clock: Clock) -> None:
    """Each node once."""
    for node in cluster.nodes:
        code = await crowd.stop(node)
        clock.say(f"stopped {node.host}: exit code {code}")
        await crowd.start(node)
        clock.say("it runs again")
        await crowd.everybody_is_back()
        clock.say("all are back")
        await asyncio.sleep(QUIET_S)


CASES = {"kill": kill, "rolling": rolling}


async def measure(cluster: Cluster, name: str, options: argparse.Namespace) -> Figures:
    """One case, from the first join to the last leave."""
    clock = Clock()
    crowd = Crowd(cluster, options.rooms, apps=options.apps, name=name)
    await crowd.begin(options.every)
    clock.say(f"{options.rooms} calls")
    await asyncio.sleep(QUIET_S)
    await CASES[name](cluster, crowd, options.vanishing, clock)
    figures = await crowd.end()
    clock.say("all have left")
    figures.faults += cluster.remains() + cluster.complaints()
    return figures


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=int, default=200)
    parser.add_argument("--every", type=float, default=4.0)
    parser.add_argument("--apps", type=int, default=4)
    parser.add_argument("--vanishing", type=float, default=0.25)
    parser.add_argument("--only", default=",".join(CASES))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave nothing behind then either
    faults = 0
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            cluster = Cluster(Path(folder), rooms=GRACES)
            try:
                figures = asyncio.run(measure(cluster, name, options))
            finally:
                cluster.end()
        print(f"\n{name}: {figures}\n" + "\n".join(figures.faults[:FAULTS]))
        faults += len(figures.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
