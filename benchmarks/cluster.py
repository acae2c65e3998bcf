"""Three daemons on one Redis under many scripted calls: nodes are killed one by one, or restarted one after the other; or
Redis is gone for a while with all that it knew, or its master is and Sentinel makes a replica the next one.

    python benchmarks/cluster.py [--rooms 200] [--every 4] [--apps 4] [--vanishing 0.25] [--topology namespaces]
                                 [--only kill,rolling,away,failover,cut,silent]

Everything is on loopback (127.0.0.11 to .13 and a unix socket) and ends by itself; or, as root, in network namespaces that
are gone at the end, one for each program and one for the clients, where there are two cases more: ``cut``, in which a
node's machine vanishes from the network, and ``silent``, in which that of Redis does. Each room has two clients at
different nodes, who say something about every ``--every`` seconds; every ``--apps``th room is one of phone apps, the others
are of pages. How they speak is in tests/interop/talkers.py, what of it may be lost in losses.py. A part ``--vanishing`` of
those at a killed node does not come back. While Redis is away somebody tries to join new rooms, a few times a second. Exit
1 if a message was lost, doubled or out of order that no ending node had on its way, if somebody was told not once that the
other is gone, if a seat was lost, if a join was answered otherwise than by 503 with Retry-After while Redis was away, or if
anything is left in the store. A Redis that was away has perhaps lost something, so pages connect anew and say once more
what was on its way. An app cannot find out that its node is not in the network any more, so in ``cut`` there are pages
alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from topology import machines

from tests.interop.cluster import LOOPBACK, MACHINES, Cluster, Node  # of the checkout, see topology
from tests.interop.crowd import Crowd, Figures
from tests.interop.wire import Refused, request
from tests.networks import Machine

CLIENTS = "clients"
MANY = "max-rooms = 100000\n"
GRACES = "grace = 10\npage-grace = 15"
CUT_GRACES = ""
"""As installed: a page that finds out by silence alone that its node is away takes longer than the others' graces."""
CUT_S = (20.0, 50.0)
"""How long cables are out: less than pages take to find out, and longer than seats last."""
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
    crowd.store_ends()
    cluster.redis.stop()
    clock.say("Redis is away")
    await asyncio.sleep(AWAY_S)
    since = time.monotonic()
    await asyncio.to_thread(cluster.redis.start)
    clock.say("Redis is back, and knows nothing")
    clock.say(await joiner.back(since))


async def silent(cluster: Cluster, crowd: Crowd, _: float, clock: Clock) -> None:
    """Redis is not in the network for a while, and has lost nothing; no connection to it is closed or refused."""
    joiner = Joiner(cluster, crowd.figures.faults)
    crowd.store_ends()
    cluster.redis.machine.unplug()
    clock.say("Redis is cut off")
    await asyncio.sleep(AWAY_S)
    since = time.monotonic()
    cluster.redis.machine.plug()
    clock.say("Redis is in the network again, as it was")
    clock.say(await joiner.back(since))


async def failover(cluster: Cluster, crowd: Crowd, _: float, clock: Clock) -> None:
    """The master ends; Sentinel has to find that out, and makes the replica the next one."""
    joiner = Joiner(cluster, crowd.figures.faults)
    since = time.monotonic()
    crowd.store_ends()
    cluster.redis.fail()
    clock.say("the master is gone")
    clock.say(await joiner.back(since))


async def cut(cluster: Cluster, crowd: Crowd, vanishing: float, clock: Clock) -> None:
    """The cables of two nodes are out, one after the other: nothing is closed, and nobody refuses a connection."""
    async def plug(node: Node, length_s: float) -> None:
        await asyncio.sleep(length_s)
        await asyncio.to_thread(node.machine.plug)
        clock.say("it is in the network again")

    async def back() -> None:
        await crowd.everybody_is_back()
        clock.say("all others are back")

    async def told() -> None:
        await crowd.everybody_is_told()
        clock.say("their peers know")

    for node, length_s in zip(cluster.nodes, CUT_S, strict=False):
        before = len(crowd.gone)
        await crowd.cut(node, vanishing)
        clock.say(f"cut {node.host} off; {len(crowd.gone) - before} clients are gone with it")
        await asyncio.gather(plug(node, length_s), back(), told())
        await asyncio.sleep(QUIET_S)


CASES = {"kill": kill, "rolling": rolling, "away": away, "failover": failover, "cut": cut, "silent": silent}
ALONE = {"cut", "silent"}
"""Cases that want machines which can vanish."""


async def measure(cluster: Cluster, name: str, options: argparse.Namespace) -> Figures:
    """One case, from the first join to the last leave."""
    clock = Clock()
    crowd = Crowd(cluster, options.rooms, apps=0 if name == "cut" else options.apps, name=name)
    await crowd.begin(options.every)
    clock.say(f"{options.rooms} calls")
    await asyncio.sleep(QUIET_S)
    await CASES[name](cluster, crowd, options.vanishing, clock)
    figures = await crowd.end()
    clock.say("all have left")
    figures.faults += cluster.remains() + cluster.complaints()
    return figures


@contextlib.contextmanager
def placed(topology: str) -> Iterator[Sequence[Machine]]:
    """The machines of the cluster; we are where clients are."""
    if topology == "loopback":
        yield LOOPBACK
        return
    with machines([CLIENTS, *MACHINES]) as made, made[CLIENTS].inside():
        yield [made[one] for one in MACHINES]


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=int, default=200)
    parser.add_argument("--every", type=float, default=4.0)
    parser.add_argument("--apps", type=int, default=4)
    parser.add_argument("--vanishing", type=float, default=0.25)
    parser.add_argument("--only", help="cases, with commas; all that the topology has")
    parser.add_argument(
        "--topology", choices=("loopback", "namespaces"), default="loopback", help="namespaces: a machine for each; as root")
    options = parser.parse_args()
    possible = [one for one in CASES if options.topology == "namespaces" or one not in ALONE]
    names = options.only.split(",") if options.only else possible
    if unknown := set(names) - set(possible):
        parser.error(f"--topology {options.topology} has no case {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave nothing behind then either
    faults = 0
    with placed(options.topology) as there:
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                rooms = MANY + (CUT_GRACES if name == "cut" else GRACES)
                cluster = Cluster(Path(folder), rooms=rooms, replicated=name == "failover", machines=there)
                try:
                    figures = asyncio.run(measure(cluster, name, options))
                finally:
                    cluster.end()
            print(f"\n{name}: {figures}\n" + "\n".join(figures.faults[:FAULTS]), flush=True)
            faults += len(figures.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
