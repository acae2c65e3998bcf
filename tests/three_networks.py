"""A client's, a server's and a peer's network, joined by cables: namespaces of this process, for its own sockets.

Interfaces have no offloading, so that packets have their checksums as they come from a wire.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from unittest import SkipTest

CLIENT, SERVER, PEER = "client", "server", "peer"
HOSTS = {
    4: {"client": "10.77.1.2", "server": "10.77.1.1", "relay": "10.77.2.1", "peer": "10.77.2.2"},
    6: {"client": "fd77:1::2", "server": "fd77:1::1", "relay": "fd77:2::1", "peer": "fd77:2::2"},
}
"""By IP version. The server is reached by its first address, relays are at the second."""

_NEW_NETWORK = 0x40000000
_ETHTOOL, _SET_TX_CHECKSUM, _SET_GENERIC_RECEIVE = 0x8946, 0x17, 0x2C
_libc = ctypes.CDLL(None, use_errno=True)


class ThreeNetworks:
    """Made by `open`, gone after `close`."""

    def __init__(self) -> None:
        self._names = {one: f"rtcd-{os.getpid()}-{one}" for one in (CLIENT, SERVER, PEER)}

    def open(self, *, offload: bool = False) -> None:
        """Make them. Raises SkipTest for who may not. ``offload``: leave checksums to hardware, which there is none."""
        if os.geteuid() != 0:
            raise SkipTest("only root can make network namespaces")
        for name in self._names.values():
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        for number, end in ((1, CLIENT), (2, PEER)):
            here, there = self._names[SERVER], self._names[end]
            _ip("-n", here, "link", "add", f"to-{end}", "type", "veth", "peer", "eth0", "netns", there)
            for name, link, last in ((here, f"to-{end}", 1), (there, "eth0", 2)):
                _ip("-n", name, "address", "add", f"10.77.{number}.{last}/24", "dev", link)
                _ip("-n", name, "address", "add", f"fd77:{number}::{last}/64", "dev", link, "nodad")
                if not offload:
                    with inside(name):
                        bare(link)
                _ip("-n", name, "link", "set", link, "up")
            _ip("-n", there, "route", "add", "default", "via", f"10.77.{number}.1")
            _ip("-n", there, "-6", "route", "add", "default", "via", f"fd77:{number}::1")

    def close(self) -> None:
        """With all that is in them."""
        for name in self._names.values():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def name(self, which: str) -> str:
        """As ``ip netns`` knows it."""
        return self._names[which]

    def inside(self, which: str) -> contextlib.AbstractContextManager[None]:
        """What is opened meanwhile is in that network."""
        return inside(self._names[which])

    def ip(self, which: str, *arguments: str) -> str:
        """Run ``ip`` there."""
        return _ip("-n", self._names[which], *arguments)


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


def bare(link: str) -> None:
    """An interface that computes the checksums of what it sends, and gathers nothing that it receives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in (_SET_TX_CHECKSUM, _SET_GENERIC_RECEIVE):
            value = array.array("I", [command, 0])
            fcntl.ioctl(sock, _ETHTOOL, struct.pack("16sP16x", link.encode(), value.buffer_info()[0]))


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "cannot enter the network namespace")


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise AssertionError(f"ip {' '.join(arguments)}: {done.stderr}")
    return done.stdout
