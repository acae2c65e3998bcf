"""What a room costs: memory in a process and on Redis, and the CPU of both for what happens in rooms. For docs/planning.md.

    python benchmarks/planning.py [--rooms N] [--nodes N] [--hearing records|counts|nothing] [--redis PROGRAM]

No sockets of clients and no HTTP are in these figures: those are `signalling.py`'s. One room is two phone apps with a
socket each, which is a call; the messages have 300 bytes, as a candidate's, and are counted and recorded as in a daemon.
Redis is one that this starts, on a unix socket, with an append-only file in /tmp.

Every node hears what is new in every room, and the ends of all calls are on two. What a node costs that only hears is the
difference between a run with 2 `--nodes` and one with more, divided by how many more. With `--hearing records` it is a
process that keeps records, which the first worker is; with `counts` one where those are off; with `nothing` another worker,
without [turn].
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.task import deferLater

from rtcd.calls.keeper import CallKeeper
from rtcd.cluster.address import Address
from rtcd.cluster.redis import RedisBackend
from rtcd.cluster.shared import SharedRooms
from rtcd.cluster.wire import Wire
from rtcd.metrics import Metrics
from rtcd.rooms import room as rooms
from rtcd.rooms.diary import Diary
from rtcd.rooms.memory import MemoryRooms
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import switchboard
from rtcd.state import StateDirectory
from tests.fakes_turn import make_context
from tests.redis import RedisServer, ask

TEXT = json.dumps({"type": "candidate", "label": 0, "id": "0", "candidate":
                   "candidate:1 1 udp 2113937151 192.0.2.1 50000 typ host generation 0 ufrag abcd"}).ljust(300)
AT_ONCE = 50
"""Rooms in which something happens at the same time."""
SETTINGS = RoomsSettings(max_rooms=10**7, max_clients_per_address=10**7)


class Ear:
    """A socket that hears and keeps nothing."""

    def deliver(self, text: str) -> None:
        """A message."""

    def inform(self, text: str) -> None:
        """An event."""

    def close(self) -> None:
        """The end."""


async def come(store: Any, room: str, client: str) -> None:
    """Take a seat, and open a socket."""
    limits = store.limits
    await store.update(room, lambda one, now: rooms.join(one, now, limits, client, "192.0.2.1"))
    await store.update(room, lambda one, now: switchboard.register(one, now, limits, client), Ear())


async def call(stores: list[Any], room: str) -> None:
    """Two people are in a room."""
    for number, client in enumerate(("caller-0001", "callee-0002")):
        await come(stores[number % len(stores)], room, client)


async def say(stores: list[Any], room: str) -> None:
    """One message each way."""
    for number, client in enumerate(("caller-0001", "callee-0002")):
        store = stores[number % len(stores)]
        await store.update(room, lambda one, now, store=store, client=client: switchboard.send(  # type: ignore[misc]
            one, now, store.limits, client, TEXT))


async def go(stores: list[Any], room: str) -> None:
    """Both leave."""
    for number, client in enumerate(("caller-0001", "callee-0002")):
        store = stores[number % len(stores)]
        await store.update(room, lambda one, now, store=store, client=client: rooms.leave(  # type: ignore[misc]
            one, now, store.limits, client))


async def each(names: list[str], act: Callable[[str], Awaitable[Any]]) -> None:
    """Do it in every room, in several at once."""
    async def some(mine: list[str]) -> None:
        for one in mine:
            await act(one)

    await gatherResults([ensureDeferred(some(names[number::AT_ONCE])) for number in range(AT_ONCE)])


def resident() -> int:
    """Bytes of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def watched(store: Any, folder: str, hearing: str = "records") -> Any:
    """With those who watch the rooms of a daemon: the diary, and the keeper of records."""
    if hearing != "nothing":
        context: Any = make_context(reactor)
        context.rooms = store
        store.watch(Diary(context.metrics, lambda room, client: room))
        CallKeeper(context, StateDirectory(folder), 24.0 if hearing == "records" else 0.0).startService()
    return store


class Redis:
    """A server, its CPU and its memory."""

    def __init__(self, program: str) -> None:
        self.server = RedisServer(tempfile.mkdtemp(prefix="rtcd-planning-"), "--appendonly", "yes", program=program)

    def cpu(self) -> float:
        """Seconds so far, of the process alone."""
        fields = Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Bytes that it says its data take."""
        answer = ask(self.server.address, "INFO", "memory").decode()
        return int(answer.partition("used_memory:")[2].split()[0])

    def stop(self) -> None:
        """End it."""
        self.server.stop()


async def measure(name: str, stores: list[Any], count: int, redis: Redis | None) -> None:
    """Print what `count` calls cost: to come about, each message, to end."""
    names = [f"room-{number:06}" for number in range(count)]
    memory, inside = resident(), redis.memory() if redis else 0
    figures = []
    for what, act, events in (("two come", call, 1), ("message", say, 2), ("both leave", go, 1)):
        ours, theirs, began = time.process_time(), redis.cpu() if redis else 0.0, time.monotonic()
        await each(names, lambda room, act=act: act(stores, room))  # type: ignore[misc]
        took = time.monotonic() - began
        ours, theirs = time.process_time() - ours, (redis.cpu() if redis else 0.0) - theirs
        done = count * events
        figures.append(f"{what}: {1e6 * ours / done:.0f} us of Python, {1e6 * theirs / done:.0f} us of Redis, "
                       f"{done / took:.0f}/s")
        if act is call:
            figures.append(f"a room takes {(resident() - memory) / count:.0f} bytes of Python, "
                           f"{((redis.memory() if redis else 0) - inside) / count:.0f} of Redis")
    print(f"{name}, {count} rooms:", *figures, sep="\n    ", flush=True)


async def main(arguments: argparse.Namespace) -> None:
    """Both stores, one after the other."""
    folder = tempfile.mkdtemp(prefix="rtcd-planning-")
    store = watched(MemoryRooms(reactor, SETTINGS, Metrics()), folder)
    await measure("in one process", [store], arguments.rooms, None)
    await store.close()
    redis = Redis(arguments.redis)
    try:
        nodes: list[Any] = []
        for number in range(arguments.nodes):
            backend = RedisBackend(reactor, Wire(reactor, Address(path=redis.server.path)), "planning:", 3600)
            nodes.append(watched(SharedRooms(reactor, SETTINGS, Metrics(), backend), folder,
                                 arguments.hearing if number > 1 else "records"))
            await nodes[-1].start()
        while not all(one.reachable for one in nodes):
            await deferLater(reactor, 0.05, lambda: None)
        await measure(f"on Redis, {len(nodes)} nodes, the two ends of each call on different ones", nodes[:2],
                      arguments.rooms, redis)
        for one in nodes:
            await one.close()
    finally:
        redis.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=int, default=5000, metavar="N", help="calls at once (default: 5000)")
    parser.add_argument("--nodes", type=int, default=2, metavar="N", help="processes that share the Redis (default: 2)")
    parser.add_argument("--hearing", choices=("records", "counts", "nothing"), default="records",
                        help="what nodes do that hold no end of a call (default: records)")
    parser.add_argument("--redis", default="redis-server", metavar="PROGRAM")
    given = parser.parse_args()

    def begin() -> None:
        """In the reactor."""
        work = ensureDeferred(main(given))
        work.addErrback(lambda failure: failure.printTraceback())
        work.addBoth(lambda _: reactor.stop())  # type: ignore[attr-defined]

    reactor.callWhenRunning(begin)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
