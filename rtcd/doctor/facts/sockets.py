"""The sockets that are open on this machine, by the kernel's tables, and whose they are."""

from __future__ import annotations

import ipaddress
import struct
import sys
from collections.abc import Collection
from typing import NamedTuple

from rtcd.doctor.facts.process import PROC, Process, processes

TABLES = (("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp"))
_OPEN = {"tcp": "0A", "udp": "07"}
"""Listening; connected to nobody."""


class Socket(NamedTuple):
    """One that takes what strangers send."""

    protocol: str
    host: str
    port: int
    user: int
    inode: str


def sockets() -> list[Socket]:
    """All of them."""
    found = []
    for table, protocol in TABLES:
        try:
            lines = (PROC / "self" / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _OPEN[protocol]:
                found.append(Socket(protocol, *_address(fields[1]), int(fields[7]), fields[9]))
    return found


def of_process(process: Process) -> list[Socket]:
    """Those of one process; none if we may not see them."""
    held = set(process.opened() or ())
    return [one for one in sockets() if f"socket:[{one.inode}]" in held] if held else []


def owners(inodes: Collection[str], first: Process | None = None) -> dict[str, Process]:
    """The processes that hold these, as far as we may see them. ``first`` is asked before the others: systemd keeps what it
    has handed over."""
    wanted = {f"socket:[{one}]": one for one in inodes}
    found: dict[str, Process] = {}
    for process in ([first] if first is not None else []) + (list(processes()) if wanted else []):
        for opened in process.opened() or ():
            if opened in wanted:
                found.setdefault(wanted[opened], process)
        if len(found) == len(wanted):
            break
    return found


def _address(text: str) -> tuple[str, int]:
    """The kernel prints hosts as words of the machine's own byte order."""
    host, _, port = text.partition(":")
    raw = bytes.fromhex(host)
    order = "<" if sys.byteorder == "little" else ">"
    raw = b"".join(struct.pack("!I", word) for (word,) in struct.iter_unpack(f"{order}I", raw))
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address), int(port, 16)
