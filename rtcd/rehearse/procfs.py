"""What ``/proc`` says of who listens at a port and of processor time, read from its texts. Rules only: opens no file."""

from __future__ import annotations

from collections.abc import Iterable

_LISTENING = "0A"


def listening(table: str, port: int) -> set[str]:
    """The inodes of sockets that listen at a port, by ``/proc/net/tcp`` or ``tcp6``."""
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            found.add(fields[9])
    return found


def holds(links: Iterable[str], inodes: set[str]) -> bool:
    """Whether one of the targets of ``/proc/PID/fd/*`` is one of these sockets."""
    return any(f"socket:[{inode}]" in links for inode in inodes)


def ticks_of_process(stat: str) -> int:
    """User and system time by ``/proc/PID/stat``, whose second field may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def ended(stat: str) -> bool:
    """Whether a process is one no more, by ``/proc/PID/stat``: nobody has asked yet how it ended."""
    return stat.rpartition(")")[2].split()[:1] in (["Z"], ["X"])


def ticks_of_interrupts(stat: str) -> int:
    """Time of hardware and software interrupts of all processors, by ``/proc/stat``."""
    fields = stat.partition("\n")[0].split()
    return int(fields[6]) + int(fields[7])
