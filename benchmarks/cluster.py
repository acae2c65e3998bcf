"""Three daemons on one Redis under many scripted calls: nodes are killed one by one, or restarted one after the other; or
Redis is gone for a while with all that it knew, or its master is and Sentinel makes a replica the next one.

    python benchmarks/cluster.py [--rooms 200] [--every 4] [--apps 4] [--vanishing 0.25] [--only kill,rolling,away,failover]

Everything is on loopback (127.0.0.11 to .13 and a unix socket) and ends by itself. Each room has two clients at different
nodes, who say something about every ``--every`` seconds; every ``--apps``th room is one of phone apps, the others are of
pages. How they speak is in tests/interop/talkers.py, what of it may be lost in losses.py. A part ``--vanishing`` of those at
a killed node does not come back. While Redis is away somebody tries to join new rooms, a few times a second. Exit 1 if a
message was lost, doubled or out of order that no ending node had on its way, if somebody was told not once that the other is
gone, if a seat was lost, if a socket broke or a join was answered otherwise than by 503 with Retry-After because Redis was
away, or if anything is left in the store.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from servers import CHECKOUT

sys.path.insert(0, str(CHECKOUT))

from tests.interop.cluster import Cluster  # of the checkout
from tests.interop.crowd import Crowd, Figures
from tests.interop.wire import Refused, request

GRACES = "grace = 10\npage-grace = 15\nmax-rooms = 100000"
QUIET_S = 3.0
"""Between two steps."""
AWAY_S = 20.0
ASK_S = 0.25
"""From one join of those who try them to the next."""
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


class Joiner:
    """Somebody who tries to join one new room after another, at one node after another, and leaves again."""

    def __init__(self, cluster: Cluster, faults: list[str]) -> None:
        self._nodes = cluster.nodes
        self._faults = faults
        self._refused = 0
        self._longest_s = self._back_at = 0.0
        self._task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        number = 0
        while not self._back_at:
            number += 1
            answer = await self._ask(number, f"/join/new-{number}")
            if answer is not None:
                leave = f"/leave/new-{number}/{json.loads(answer)['params']['client_id']}"
                while await self._ask(number, leave) is None:
                    await asyncio.sleep(ASK_S)
                self._back_at = time.monotonic() if self._refused else 0.0
            await asyncio.sleep(ASK_S)

    async def _ask(self, number: int, path: str) -> bytes | None:
        since = time.monotonic()
        try:
            return await request(self._nodes[number % len(self._nodes)].address, "POST", path)
        except Refused as error:
            self._refused += 1
            self._longest_s = max(self._longest_s, time.monotonic() - since)
            if error.status != 503 or not error.again:
                self._faults.append(f"{path}: {error}")
            return None

    async def back(self, since: float) -> str:
        """Wait until somebody has joined and left who came after one that was refused."""
        await self._task
        return (f"{self._refused} joins and leaves were refused, each within {self._longest_s:.1f} s; the first that were "
                f"not: {self._back_at - since:.1f} s later")


async def away(cluster: Cluster, crowd: Crowd, _: float, clock: Clock) -> None:
    """Redis ends, and begins anew with nothing."""
    joiner = Joiner(cluster, crowd.figures.faults)
    cluster.redis.stop()
    clock.say("Redis is away")
    await asyncio.sleep(AWAY_S)
    since = time.monotonic()
    await asyncio.to_thread(cluster.redis.start)
    clock.say("Redis is back, and knows nothing")
    clock.say(await joiner.back(since))
    await _untouched(crowd)


async def failover(cluster: Cluster, crowd: Crowd, _: float, clock: Clock) -> None:
    """The master ends; Sentinel has to find that out, and makes the replica the next one."""
    joiner = Joiner(cluster, crowd.figures.faults)
    since = time.monotonic()
    cluster.redis.fail()
    clock.say("the master is gone")
    clock.say(await joiner.back(since))
    await _untouched(crowd)


async def _untouched(crowd: Crowd) -> None:
    await asyncio.sleep(QUIET_S)
    crowd.figures.faults += [f"{one.room}: its socket broke" for one in crowd.clients if len(one.story.sockets) > 1]


CASES = {"kill": kill, "rolling": rolling, "away": away, "failover": failover}


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
            cluster = Cluster(Path(folder), rooms=GRACES, replicated=name == "failover")
            try:
                figures = asyncio.run(measure(cluster, name, options))
            finally:
                cluster.end()
        print(f"\n{name}: {figures}\n" + "\n".join(figures.faults[:FAULTS]))
        faults += len(figures.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
