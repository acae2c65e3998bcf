"""Reads the configuration as far as it can be read: every fault, and settings of all that is without one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtcd import reading
from rtcd.config import ConfigError, section_from
from rtcd.doctor.checks.configuration import Facts
from rtcd.initext import NO_INI
from rtcd.plugin import plugins
from rtcd.schemas import SHARED, Schemas


@dataclass(frozen=True, slots=True)
class Configuration:
    """What an ini and the environment say."""

    ini: str
    """Its absolute path."""
    written: Mapping[str, Mapping[str, str]]
    """Sections and keys as they are set."""
    settings: Mapping[str, Any]
    """Section to settings: the shared ones, and of services those that are on. A key with a fault has its default."""
    facts: Facts
    faulty: frozenset[tuple[str, str]] = frozenset()
    """Sections and keys that have a default in the place of what is meant."""
    variables: frozenset[tuple[str, str]] = frozenset()
    """Sections and keys that the environment sets, and not the ini."""

    def on(self, section: str) -> bool:
        """Whether this service is on."""
        return section in self.facts.services


def read(path: Path | None, environment: Mapping[str, str] = os.environ) -> Configuration:
    """``path``: None if the environment says all. Never raises: a file that cannot be read is a fault too, or, where it is
    root's, something that is not seen."""
    ini = str(path.absolute()) if path is not None else NO_INI
    try:
        found = plugins()
        read = reading.read(str(path) if path is not None else None, found, environment)
    except ConfigError as error:
        return Configuration(ini, {}, {name: schema() for name, schema in SHARED.items()}, _facts(ini, [error], []))
    written = {section: {key: one.text for key, one in values.items()} for section, values in read.written.sections.items()}
    faults = reading.whole(read, found)
    settings, schemas = dict(read.settings), Schemas(found)
    for section in written.keys() - settings.keys():
        try:
            settings[section] = _section(section, written[section], schemas[section], path.parent if path else Path())
        except (ConfigError, KeyError):
            continue  # there is no such service, which is among the faults
    return Configuration(
        ini, written, settings, _facts(ini, faults, [one for one in settings if one not in SHARED]),
        frozenset((one.section, one.key) for one in faults),
        frozenset((section, key) for section, values in read.written.sections.items() for key, one in values.items()
                  if one.source))


def alone(environment: Mapping[str, str]) -> bool:
    """Whether these variables turn a service on, so that no ini is needed."""
    try:
        return reading.alone(environment, plugins())
    except ConfigError:
        return False


def _facts(ini: str, faults: Sequence[ConfigError], services: Sequence[str]) -> Facts:
    """What only root may read is no fault of what stands in it."""
    hidden = [one for one in faults if isinstance(one.__context__, PermissionError) and os.geteuid() != 0]
    return Facts(ini, [_shown(one) for one in faults if one not in hidden], services, [_shown(one) for one in hidden])


def _shown(fault: ConfigError) -> str:
    return f"{fault.source}: {fault}" if fault.source else str(fault)


def _section(section: str, values: Mapping[str, str], schema: type[Any], base: Path) -> Any:
    """Without the keys that are at fault."""
    left = dict(values)
    while True:
        try:
            return section_from(section, left, schema, base)
        except ConfigError as error:
            if left.pop(error.key, None) is None:
                return schema()
