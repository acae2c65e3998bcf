"""The ini of the daemon as far as a verb needs it: other sections and keys may name what this user cannot read."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rtcd import config as reader
from rtcd.config import ConfigError
from rtcd.environment import merged, overrides
from rtcd.inifile import text_of
from rtcd.initext import NO_INI, Value, Written, scan

T = TypeVar("T")

PLACES = ("etc/rtcd.ini", "/etc/rtcd/rtcd.ini")
"""Where the ini is looked for if none is named: in a checkout, then as docs/operating.md installs it."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    parser.add_argument("-c", "--config", metavar="INI",
                        help=f"the daemon's configuration (default: {PLACES[0]}, else {PLACES[1]})")


def place(config: str | None) -> str:
    """The ini that is meant, whether it is there or not."""
    return config or next((one for one in PLACES if Path(one).exists()), PLACES[0])


def read_section(config: str | None, section: str, schema: type[T], keys: Collection[str]) -> tuple[str, T]:
    """What to call the configuration, and its section with these keys only, those of the environment before those of the
    ini, which need not be there then. Raises ConfigError."""
    path, found, alone = _found(config, {section: schema})
    try:
        if section not in found:
            raise ConfigError(section, "", "is not in this file; name the daemon's with --config")
        values = {key: value for key, value in found[section].items() if key in keys}
        settings, faults = reader.read_section(section, values, schema, Path(path).parent if not alone else Path())
        for fault in faults:
            raise fault
    except ConfigError as error:
        raise ConfigError("", "", error.said(path)) from None
    assert settings is not None
    return (NO_INI if alone else path), settings


def read_sections(config: str | None, schemas: Mapping[str, type[Any]]) -> tuple[str, dict[str, dict[str, str]]]:
    """What to call the configuration, and what stands in its sections, unchecked; ``schemas`` have the keys that the
    environment may set. Raises ConfigError."""
    path, found, alone = _found(config, schemas)
    return NO_INI if alone else path, {
        section: {key: value.text for key, value in values.items()} for section, values in found.items()}


def _found(config: str | None, schemas: Mapping[str, type[Any]]) -> tuple[str, dict[str, dict[str, Value]], bool]:
    """The path of the ini, what it and the environment say, and whether that is the environment alone."""
    said = overrides(os.environ, schemas)
    path = place(config)
    alone = config is None and not Path(path).exists() and said.turns_on()
    try:
        written = Written() if alone else scan(text_of(path))
    except ConfigError as error:
        raise ConfigError("", "", f"{path}: {error}") from None
    for fault in written.faults:
        raise ConfigError("", "", f"{path}: {fault}")
    return path, merged(written, said).sections, alone
