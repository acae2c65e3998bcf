"""The ini of the daemon as far as a verb needs it: other sections and keys may name what this user cannot read."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

from rtcd.config import ConfigError, section_from, sections

T = TypeVar("T")

PLACES = ("etc/rtcd.ini", "/etc/rtcd/rtcd.ini")
"""Where the ini is looked for if none is named: in a checkout, then as docs/operating.md installs it."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    parser.add_argument("-c", "--config", metavar="INI",
                        help=f"the daemon's configuration (default: {PLACES[0]}, else {PLACES[1]})")


def read_section(config: str | None, section: str, schema: type[T], keys: Collection[str]) -> tuple[str, T]:
    """The path of the ini, and its section with these keys only. Raises ConfigError."""
    path = Path(config or next((one for one in PLACES if Path(one).exists()), PLACES[0]))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError("", "", f"{path}: cannot be read ({reason}); name the file with --config") from None
    try:
        found = sections(text)
        if section not in found:
            raise ConfigError(section, "", "is not in this file; name the daemon's with --config")
        values = {key: value for key, value in found[section].items() if key in keys}
        return str(path), section_from(section, values, schema, path.parent)
    except ConfigError as error:
        raise ConfigError("", "", f"{path}: {error}") from None
