"""The socket units of systemd, as their files say: which ports it opens, and under which names it hands them over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rtcd.doctor.facts.process import UNITS

MAX_UNITS = 500
MAX_BYTES = 1 << 16
_KINDS = {"ListenStream": "tcp", "ListenDatagram": "udp"}


class Handed(NamedTuple):
    """A socket that systemd opens."""

    unit: str
    name: str
    """FileDescriptorName."""
    protocol: str
    host: str
    port: int


def handed() -> list[Handed]:
    """All that have a port."""
    found: dict[str, list[Handed]] = {}
    for folder in UNITS:  # what stands first goes before what stands later
        for path in sorted(folder.glob("*.socket"))[:MAX_UNITS]:
            found.setdefault(path.name, list(_of(path)))
    return [one for several in found.values() for one in several]


def unit_of(protocol: str, port: int) -> str:
    """The unit that opens it, or nothing."""
    return next((one.unit for one in handed() if (one.protocol, one.port) == (protocol, port)), "")


def _of(path: Path) -> Iterator[Handed]:
    name, listens = path.name, list[tuple[str, str]]()
    more = sorted(one for folder in UNITS for one in (folder / f"{path.name}.d").glob("*.conf"))
    for key, value in (pair for one in (path, *more) for pair in _lines(one)):
        if key == "FileDescriptorName":
            name = value or path.name
        elif key in _KINDS:
            listens = [*listens, (key, value)] if value else []
    for key, value in listens:
        host, _, port = value.rpartition(":")
        if port.isascii() and port.isdigit():
            yield Handed(path.name, name, _KINDS[key], host.strip("[]") or "::", int(port))


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_BYTES)
    except OSError:
        return
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith(("#", ";")):
            yield key.strip(), value.strip()
