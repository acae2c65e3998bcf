"""Three daemons that share their rooms on a real Redis, each at its own address or on its own machine; and a front before
them for browsers.

A front is what DNS with several addresses, or a load balancer, is in real life: it leads a connection to the first node of
its order that takes it. It and scripted clients have a loop of their own, since a thread with Playwright in it can run none.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.daemon.process import TWISTD, Running
from tests.networks import Machine
from tests.redis import HERE, RedisServer, Replicated, ask, free_port

T = TypeVar("T")

NODES = 3
STORES = 3
"""Master or only one, replica, Sentinel."""

MACHINES = ("node-1", "node-2", "node-3", "redis", "replica", "sentinel")
"""Names for machines of a cluster, in the order in which it wants them; who speaks to it is on another one."""

LOOPBACK = (*(Machine(f"127.0.0.{number}") for number in range(11, 11 + NODES)), *[HERE] * STORES)

INI = """
[daemon]
state-directory = {folder}
[credentials]
secret = one secret that all nodes of the test have
[doorway]
https = tcp:{port}:interface={host}
http =
handshake-rate = 0
[web]
join-rate = 0
[signaling]
register-rate = 0
[rooms]
store = {store}
max-clients-per-address = 100000
{rooms}
"""


class Node:
    """One daemon of a cluster; it can be ended in either way and started again at the same port."""

    def __init__(self, folder: Path, machine: Machine, ini: Callable[..., str]) -> None:
        folder.mkdir(parents=True)
        self.machine = machine
        self.host = machine.host
        self.port = 0
        self._folder = folder
        self._ini = ini
        self._starts = 0
        self.running = self._run()

    def _run(self) -> Running:
        self._starts += 1
        return Running(self._folder / f"start-{self._starts}", self._ini(host=self.host, port=self.port),
                       command=self.machine.command(*TWISTD, "-n", "--pidfile="))

    def started(self) -> Node:
        """Wait until it serves, and is at the Redis."""
        self.running.started()
        self.running.wait_for("the store of rooms is reached")
        self.port = self.running.port()
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Where it serves."""
        return self.host, self.port

    def kill(self) -> None:
        """kill -9"""
        self.running.process.kill()
        self.running.wait()

    def stop(self) -> int:
        """What systemd does; the exit code."""
        return self.running.stop(signal.SIGTERM)

    def start(self) -> None:
        """Start it again."""
        self.running.end()
        self.running = self._run()
        self.started()


class Cluster:
    """A Redis and its nodes, without relays. ``rooms``: more lines of [rooms]; ``replicated``: with Sentinel; ``machines``:
    those of the nodes, then of the stores."""

    def __init__(
        self, folder: Path, *, rooms: str = "", replicated: bool = False, machines: Sequence[Machine] = LOOPBACK,
    ) -> None:
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        stores = machines[NODES:]
        self.redis: Any = Replicated(str(folder / "redis"), machines=stores) if replicated else RedisServer(
            str(folder / "redis"), port=free_port() if stores[0].namespace else 0, machine=stores[0])
        self.nodes: list[Node] = []
        try:
            for number in range(NODES):
                ini = functools.partial(
                    INI.format, folder=folder / f"state-{number}", store=self.redis.url, rooms=rooms)
                self.nodes.append(Node(folder / f"node-{number}", machines[number], ini))
            for node in self.nodes:
                node.started()
        except BaseException:
            self.end()
            raise

    def left(self) -> list[str]:
        """Rooms that the store still has."""
        return sorted(one.decode() for one in ask(self.redis.address, "KEYS", "rtcd:room:*").split() if b":room:" in one)

    def remains(self) -> list[str]:
        """What the store still has, or counts, when everybody has left: nothing."""
        words = [one for one in ask(self.redis.address, "HGETALL", "rtcd:totals").decode().split() if one[0] not in "*$"]
        return [*self.left(), *(f"{value} {key}" for key, value in zip(words[::2], words[1::2], strict=True)
                                if key not in ("version", "form", "beat", "spared") and value != "0")]

    def complaints(self) -> list[str]:
        """Lines of the nodes' logs that tell of a fault of ours."""
        return [line for node in self.nodes for line in (*node.running.lines, *node.running.errors().splitlines())
                if "#error" in line or "#critical" in line or "Traceback" in line or "Unhandled" in line]

    def end(self) -> None:
        """Leave nothing behind."""
        for node in self.nodes:
            with contextlib.suppress(OSError):  # who forks them may be gone, if all of us were told to end
                node.running.end()
        self.redis.stop()


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start something there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Do something there and wait for it."""
        return self.begin(work).result(timeout_s)

    def end(self) -> None:
        """Cancel what still goes on."""
        async def cancel() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for one in others:
                one.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.run(cancel(), 10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Front:
    """Leads each connection to the first of its nodes that takes it, the one named last time before the others."""

    def __init__(self, nodes: Sequence[Node], first: int, host: str) -> None:
        self._order = [*nodes[first:], *nodes[:first]]
        self._host = host
        self._port = 0
        self.led: list[str] = []
        """The hosts to which connections were led."""

    async def open(self) -> Front:
        """Listen."""
        server = await asyncio.start_server(self._take, self._host, 0)
        self._port = server.sockets[0].getsockname()[1]
        return self

    @property
    def origin(self) -> str:
        """What browsers come to."""
        return f"https://{self._host}:{self._port}"

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for node in self._order:
            try:
                there, back = await asyncio.open_connection(*node.address)
            except OSError:
                continue
            self.led.append(node.host)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
            return
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
