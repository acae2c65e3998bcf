"""Which sections an ini may have: the shared ones, and one for each service plugin. Who reads the ini starts here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rtcd.acme.settings import AcmeSettings
from rtcd.daemon import DaemonSettings
from rtcd.doorway.settings import DoorwaySettings
from rtcd.ice.settings import CredentialsSettings
from rtcd.interfaces import IServicePlugin
from rtcd.log import LogSettings
from rtcd.rooms.settings import RoomsSettings
from rtcd.tls.settings import TlsSettings

SHARED: dict[str, type[Any]] = {
    "daemon": DaemonSettings,
    "log": LogSettings,
    "doorway": DoorwaySettings,
    "tls": TlsSettings,
    "acme": AcmeSettings,
    "rooms": RoomsSettings,
    "credentials": CredentialsSettings,
}
"""Sections that are no service: they are in force whether the ini holds them or not."""


class Schemas(Mapping[str, type[Any]]):
    """Section to dataclass; a plugin's module is imported only when its section is asked for."""

    def __init__(self, found: Mapping[str, IServicePlugin]) -> None:
        self._found = found

    def __getitem__(self, section: str) -> type[Any]:
        return SHARED[section] if section in SHARED else self._found[section].settings

    def __iter__(self) -> Iterator[str]:
        return iter([*SHARED, *self._found])

    def __len__(self) -> int:
        return len(SHARED) + len(self._found)

    def __contains__(self, section: object) -> bool:
        return section in SHARED or section in self._found
