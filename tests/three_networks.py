"""A client's, a server's and a peer's network, joined by cables: namespaces of this process, for its own sockets.

Interfaces have no offloading, so that packets have their checksums as they come from a wire.
"""

from __future__ import annotations

import contextlib
import os
from unittest import SkipTest

from tests.networks import bare, inside, ip, namespace

CLIENT, SERVER, PEER = "client", "server", "peer"
HOSTS = {
    4: {"client": "10.77.1.2", "server": "10.77.1.1", "relay": "10.77.2.1", "peer": "10.77.2.2"},
    6: {"client": "fd77:1::2", "server": "fd77:1::1", "relay": "fd77:2::1", "peer": "fd77:2::2"},
}
"""By IP version. The server is reached by its first address, relays are at the second."""


class ThreeNetworks:
    """Made by `open`, gone after `close`."""

    def __init__(self) -> None:
        self._names = {one: f"rtcd-{os.getpid()}-{one}" for one in (CLIENT, SERVER, PEER)}
        self._made = contextlib.ExitStack()

    def open(self, *, offload: bool = False) -> None:
        """Make them. Raises SkipTest for who may not. ``offload``: leave checksums to hardware, which there is none."""
        if os.geteuid() != 0:
            raise SkipTest("only root can make network namespaces")
        for name in self._names.values():
            self._made.enter_context(namespace(name))
        for number, end in ((1, CLIENT), (2, PEER)):
            here, there = self._names[SERVER], self._names[end]
            ip("-n", here, "link", "add", f"to-{end}", "type", "veth", "peer", "eth0", "netns", there)
            for name, link, last in ((here, f"to-{end}", 1), (there, "eth0", 2)):
                ip("-n", name, "address", "add", f"10.77.{number}.{last}/24", "dev", link)
                ip("-n", name, "address", "add", f"fd77:{number}::{last}/64", "dev", link, "nodad")
                if not offload:
                    with inside(name):
                        bare(link)
                ip("-n", name, "link", "set", link, "up")
            ip("-n", there, "route", "add", "default", "via", f"10.77.{number}.1")
            ip("-n", there, "-6", "route", "add", "default", "via", f"fd77:{number}::1")

    def close(self) -> None:
        """With all that is in them."""
        self._made.close()

    def name(self, which: str) -> str:
        """As ``ip netns`` knows it."""
        return self._names[which]

    def inside(self, which: str) -> contextlib.AbstractContextManager[None]:
        """What is opened meanwhile is in that network."""
        return inside(self._names[which])

    def ip(self, which: str, *arguments: str) -> str:
        """Run ``ip`` there."""
        return ip("-n", self._names[which], *arguments)
