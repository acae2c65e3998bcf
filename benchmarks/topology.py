"""Where the servers and the load generator are: all on loopback, or each server between a client's and a peer's machine, or
each program on a machine of its own at one switch.

On loopback whoever sends also does the kernel's work of receiving, so a server's CPU is not all that a packet costs there.
In `namespaces` a server has a network of its own, by veth to where the clients and the peer are, and its CPU is a machine:
what comes in is handled on `SERVER_CPU`, and so is what goes out. How namespaces are made is in `tests.networks`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rounds import SERVER_CPU

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.networks import Machine, bare, inside, ip, namespace, switched, within  # of the checkout

BACKLOG = Path("/proc/sys/net/core/netdev_max_backlog")
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
BACKLOG_PACKETS = 20000
"""Packets that may wait for `SERVER_CPU`: more than turnload ever has in flight."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server is, and how the generator reaches it. A namespace that is empty is the one of this process."""

    host: str
    """The address that it listens on."""
    relay: str = ""
    """The address of its relays; empty for the same."""
    client: str = "127.0.0.2"
    peer: str = "127.0.0.3"
    namespace: str = ""
    client_namespace: str = ""
    peer_namespace: str = ""

    def generator(self) -> list[str]:
        """The arguments of turnload. The peer gets a port of its own in every run, which no server knows from before."""
        arguments = ["-s", f"{self.host}:3478", "-l", self.client, "-L", f"{self.peer}:0"]
        if self.namespace:
            arguments += ["-N", self.client_namespace, "-A", self.peer_namespace]
        return arguments

    def command(self, command: Sequence[str]) -> list[str]:
        """This command, where the server is. The process is the same: ip becomes the command."""
        return within(self.namespace, command)

    def client_socket(self) -> socket.socket:
        """A UDP socket where the clients are."""
        with inside(self.client_namespace) if self.client_namespace else contextlib.nullcontext():
            return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


@contextlib.contextmanager
def loopback(names: Sequence[str]) -> Iterator[dict[str, Place]]:
    """An address for each server, which no other benchmark on this machine has.

    A turnserver takes a port that another one has, and each then gets some of the packets.
    """
    high, low = divmod(os.getpid(), 250)
    places = {name: Place(f"127.{1 + high % 250}.{1 + low}.{number}") for number, name in enumerate(names, 11)}
    for place in places.values():
        with place.client_socket() as trying:
            try:
                trying.bind((place.host, 3478))
            except OSError as why:
                raise SystemExit(f"UDP port 3478 is not free on {place.host}: {why.strerror}")
    yield places


@contextlib.contextmanager
def namespaces(names: Sequence[str]) -> Iterator[dict[str, Place]]:
    """Three network namespaces for each server, gone at the end: client <-> server <-> peer.

    No server shares an interface with another one, so that what one attaches to its interfaces costs only its own packets.
    """
    _check_allowed()
    with contextlib.ExitStack() as stack:
        backlog = BACKLOG.read_text()
        stack.callback(BACKLOG.write_text, backlog)
        BACKLOG.write_text(str(max(int(backlog), BACKLOG_PACKETS)))
        yield {name: _between(stack, f"{_prefix()}-{number}") for number, name in enumerate(names)}


def machines(names: Sequence[str]) -> contextlib.AbstractContextManager[dict[str, Machine]]:
    """A network namespace for each of these at one switch, gone at the end."""
    _check_allowed()
    return switched(_prefix(), names)


def _between(stack: contextlib.ExitStack, prefix: str) -> Place:
    """One server's three namespaces, which the stack removes."""
    client, server, peer = (f"{prefix}-{role}" for role in ("client", "server", "peer"))
    for name in (client, server, peer):
        stack.enter_context(namespace(name))
    for outside, network, port in ((client, "10.77.1", "clients"), (peer, "10.77.2", "peers")):
        ip("link", "add", "uplink", "netns", outside, "type", "veth", "peer", "name", port, "netns", server)
        ip("-n", outside, "address", "add", f"{network}.2/24", "dev", "uplink")
        ip("-n", server, "address", "add", f"{network}.1/24", "dev", port)
        for name, device in ((outside, "uplink"), (server, port)):
            ip("-n", name, "link", "set", device, "up")
            with inside(name):  # packets carry real checksums, and come one by one, as from a network card without offloads
                bare(device)
        ip("-n", outside, "route", "add", "default", "via", f"{network}.1")
        steer = f"echo {1 << SERVER_CPU:x} >/sys/class/net/{port}/queues/rx-0/rps_cpus"
        subprocess.run(within(server, ["sh", "-c", steer]), check=True)
    with inside(server):
        FORWARD.write_text("1")
    return Place("10.77.1.1", "10.77.2.1", "10.77.1.2", "10.77.2.2", server, client, peer)


def _prefix() -> str:
    return f"rtcd-bench-{os.getpid()}"


def _check_allowed() -> None:
    if os.geteuid() != 0:
        raise SystemExit("--topology namespaces makes network namespaces: run as root")
    if not shutil.which("ip"):
        raise SystemExit("--topology namespaces wants ip; apt-get install iproute2")


TOPOLOGIES = {"loopback": loopback, "namespaces": namespaces}
