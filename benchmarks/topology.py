"""Where the servers and the load generator are: all on loopback, or each server between a client's and a peer's machine.

On loopback whoever sends also does the kernel's work of receiving, so a server's CPU is not all that a packet costs there.
In `namespaces` a server has a network of its own, by veth to where the clients and the peer are, and its CPU is a machine:
what comes in is handled on `SERVER_CPU`, and so is what goes out.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rounds import SERVER_CPU

BACKLOG = Path("/proc/sys/net/core/netdev_max_backlog")
BACKLOG_PACKETS = 20000
"""Packets that may wait for `SERVER_CPU`: more than turnload ever has in flight."""
CLONE_NEWNET = 0x40000000


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
        return ["ip", "netns", "exec", self.namespace, *command] if self.namespace else list(command)

    def client_socket(self) -> socket.socket:
        """A UDP socket where the clients are."""
        if not self.client_namespace:
            return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made: list[socket.socket] = []

        def make() -> None:  # in a thread of its own, which ends there
            with open(f"/run/netns/{self.client_namespace}") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) == 0:
                    made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if not made:
            raise SystemExit(f"network namespace {self.client_namespace} cannot be entered")
        return made[0]


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
    if os.geteuid() != 0:
        raise SystemExit("--topology namespaces makes network namespaces: run as root")
    for program in ("ip", "ethtool"):
        if not shutil.which(program):
            raise SystemExit(f"--topology namespaces wants {program}; apt-get install iproute2 ethtool")
    with contextlib.ExitStack() as stack:
        backlog = BACKLOG.read_text()
        stack.callback(BACKLOG.write_text, backlog)
        BACKLOG.write_text(str(max(int(backlog), BACKLOG_PACKETS)))
        yield {name: _between(stack, f"rtcd-bench-{os.getpid()}-{number}") for number, name in enumerate(names)}


def _between(stack: contextlib.ExitStack, prefix: str) -> Place:
    """One server's three namespaces, which the stack removes."""
    client, server, peer = (f"{prefix}-{role}" for role in ("client", "server", "peer"))
    for name in (client, server, peer):
        _run("ip", "netns", "add", name)
        stack.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
        _run("ip", "-n", name, "link", "set", "lo", "up")
    for outside, network, inside in ((client, "10.77.1", "clients"), (peer, "10.77.2", "peers")):
        _run("ip", "link", "add", "uplink", "netns", outside, "type", "veth", "peer", "name", inside, "netns", server)
        _run("ip", "-n", outside, "address", "add", f"{network}.2/24", "dev", "uplink")
        _run("ip", "-n", server, "address", "add", f"{network}.1/24", "dev", inside)
        for name, device in ((outside, "uplink"), (server, inside)):
            _run("ip", "-n", name, "link", "set", device, "up")
            # packets carry real checksums, and come one by one, as from a network card without offloads
            _run("ip", "netns", "exec", name, "ethtool", "-K", device, "tx", "off", "rx", "on", "gro", "off")
        _run("ip", "-n", outside, "route", "add", "default", "via", f"{network}.1")
        _run("ip", "netns", "exec", server, "sh", "-c",
             f"echo {1 << SERVER_CPU:x} >/sys/class/net/{inside}/queues/rx-0/rps_cpus")
    _run("ip", "netns", "exec", server, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    return Place("10.77.1.1", "10.77.2.1", "10.77.1.2", "10.77.2.2", server, client, peer)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}".strip())


TOPOLOGIES = {"loopback": loopback, "namespaces": namespaces}
