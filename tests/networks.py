"""Network namespaces for tests and benchmarks: made, removed and entered, and machines at one switch. For root alone."""

from __future__ import annotations

import array
import contextlib
import ctypes
import fcntl
import os
import shlex
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NETWORK = "10.84.0"
"""Of machines at a switch: the first three numbers of their addresses."""

DISABLE_IPV6 = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
"""Not there in a kernel without IPv6."""

_NEW_NETWORK = 0x40000000
_ETHTOOL, _SET_TX_CHECKSUM, _SET_GENERIC_RECEIVE = 0x8946, 0x17, 0x2C
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a program runs: at an address of this machine, or in a namespace that is a machine of its own at a switch."""

    host: str
    namespace: str = ""
    switch: str = ""
    """The namespace at whose bridge its cable ends."""

    def command(self, *command: str) -> list[str]:
        """This command, there. The process is the same: ip becomes the command."""
        return within(self.namespace, command)

    def inside(self) -> contextlib.AbstractContextManager[None]:
        """What is opened meanwhile, and threads that begin meanwhile, are there."""
        return inside(self.namespace) if self.namespace else contextlib.nullcontext()

    def unplug(self) -> None:
        """Pull its cable out: from now on nobody hears of it, not even that it is gone."""
        ip("-n", self.switch, "link", "set", _cable(self.host), "down")

    def plug(self) -> None:
        """Put its cable in again."""
        ip("-n", self.switch, "link", "set", _cable(self.host), "up")


@contextlib.contextmanager
def switched(prefix: str, names: Sequence[str]) -> Iterator[dict[str, Machine]]:
    """Machines of these names, each in a namespace ``prefix-name`` of its own with one cable to a switch, a bridge in
    ``prefix-switch``. They speak IPv4 alone. All are gone at the end, with what is in them."""
    with contextlib.ExitStack() as stack:
        switch = stack.enter_context(namespace(f"{prefix}-switch", ipv6=False))
        ip("-n", switch, "link", "add", "br0", "type", "bridge")
        ip("-n", switch, "link", "set", "br0", "up")
        machines = {}
        for number, name in enumerate(names, 1):
            there = stack.enter_context(namespace(f"{prefix}-{name}", ipv6=False))
            one = machines[name] = Machine(f"{NETWORK}.{number}", there, switch)
            ip("-n", there, "link", "add", "eth0", "type", "veth", "peer", _cable(one.host), "netns", switch)
            ip("-n", switch, "link", "set", _cable(one.host), "master", "br0", "up")
            ip("-n", there, "address", "add", f"{one.host}/24", "dev", "eth0")
            ip("-n", there, "link", "set", "eth0", "up")
            ip("-n", there, "route", "add", "default", "dev", "eth0")  # without one Chromium has no candidates
        yield machines


@contextlib.contextmanager
def namespace(name: str, *, ipv6: bool = True) -> Iterator[str]:
    """A network namespace with a loopback interface, gone at the end."""
    try:
        ip("netns", "add", name)
        if not ipv6:  # an address of it is tried for a second or two before it counts, which is a change to a browser
            with inside(name), contextlib.suppress(FileNotFoundError):
                DISABLE_IPV6.write_text("1")
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """What is opened meanwhile is in this network namespace."""
    home, there = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        _enter(there)
        yield
    finally:
        _enter(home)
        os.close(there)
        os.close(home)


def within(name: str, command: Sequence[str]) -> list[str]:
    """This command in a namespace; an empty name is the one that we are in."""
    return ["ip", "netns", "exec", name, *command] if name else list(command)


def program(path: Path, command: Sequence[str]) -> str:
    """Make a file that is this command, for who wants a path alone."""
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o700)
    return str(path)


def bare(link: str) -> None:
    """An interface that computes the checksums of what it sends, and gathers nothing that it receives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in (_SET_TX_CHECKSUM, _SET_GENERIC_RECEIVE):
            value = array.array("I", [command, 0])
            fcntl.ioctl(sock, _ETHTOOL, struct.pack("16sP16x", link.encode(), value.buffer_info()[0]))


def ip(*arguments: str) -> str:
    """Run ``ip``, which has to end well."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise AssertionError(f"ip {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def _cable(host: str) -> str:
    return f"port{host.rpartition('.')[2]}"


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "cannot enter the network namespace")

