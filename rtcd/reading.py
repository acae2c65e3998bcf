"""Reading the whole configuration, ini and environment, as the daemon and the commands beside it do: every fault, and of
what has none, the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtcd import together
from rtcd.config import ConfigError, gather, placed
from rtcd.environment import merged, overrides
from rtcd.inifile import text_of
from rtcd.initext import NO_INI, Written, scan
from rtcd.interfaces import IServicePlugin
from rtcd.schemas import SHARED, Schemas

DEFAULT = "etc/rtcd.ini"
"""The ini that the daemon takes if none is named."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found. ``file`` is the ini's name, for messages; ``settings`` has the sections that have no fault, the
    shared ones always among them if they have none; ``written`` is all that is said anywhere; ``others`` are variables that
    begin like ours and set nothing. ``unread``: the ini could not be read, which is the last of the faults."""

    file: str
    settings: dict[str, Any]
    written: Written
    faults: list[ConfigError]
    others: list[str]
    unread: bool = False

    def placed(self, fault: ConfigError) -> ConfigError:
        """The fault, told where its key is written, or if it is not, where its section begins."""
        written = self.written
        return placed(fault, written.sections.get(fault.section, {}), written.lines.get(fault.section, 0))

    def checked(self) -> dict[str, Any]:
        """The settings. Raises the first fault, if there is any."""
        for fault in self.faults:
            raise fault
        return self.settings


def chosen(config: str | None, environment: Mapping[str, str], found: Mapping[str, IServicePlugin]) -> str | None:
    """The ini to read; None if there is none and the environment alone turns a service on. One that is named has to be
    there."""
    if config is not None or Path(DEFAULT).exists():
        return config or DEFAULT
    return None if alone(environment, found) else DEFAULT


def alone(environment: Mapping[str, str], found: Mapping[str, IServicePlugin]) -> bool:
    """Whether these variables turn a service on, so that no ini is needed."""
    return overrides(environment, Schemas(found), SHARED).turns_on(SHARED)


def read(file: str | None, found: Mapping[str, IServicePlugin], environment: Mapping[str, str]) -> Reading:
    """Read ini and environment. Never raises; of an ini that cannot be read nothing is known but that, and what is wrong in
    the environment, such as a misspelt variable that was to take its place."""
    said = overrides(environment, Schemas(found), SHARED)
    name, base = (file, Path(file).parent) if file is not None else (NO_INI, Path())
    try:
        written = merged(scan(text_of(file)) if file is not None else Written(), said)
    except ConfigError as fault:
        shared = {name: schema() for name, schema in SHARED.items()}
        return Reading(name, shared, Written(), [*said.faults, fault], said.others, unread=True)
    return understood(name, written, found, base, said.others)


def understood(
    file: str, written: Written, found: Mapping[str, IServicePlugin], base: Path = Path(), others: Sequence[str] = ()
) -> Reading:
    """What is written, understood. Never raises."""
    settings, faults = gather(written, Schemas(found), base)
    for name, schema in SHARED.items():
        if name not in written.sections:
            settings[name] = schema()
    return Reading(file, settings, written, faults, list(others))


def whole(reading: Reading, found: Mapping[str, IServicePlugin]) -> list[ConfigError]:
    """The faults of a reading, those of sections that do not go together, and what else would stop the start for certain."""
    from rtcd.foreseen import foreseen  # the daemon finds out by itself, and does without what that imports

    if reading.unread:
        return reading.faults
    faults = [*together.lacking(reading.settings, list(reading.written.sections), found), *foreseen(reading.settings)]
    return sorted([*reading.faults, *map(reading.placed, faults)], key=lambda fault: (fault.line, fault.source))
