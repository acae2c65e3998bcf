"""Reading the file of an ini; what its text means is rtcd.initext's."""

from __future__ import annotations

from rtcd.fault import ConfigError

MAX_INI_BYTES = 2**20
"""A longer file is something else."""


def text_of(file: str) -> str:
    """The text of an ini. Raises `ConfigError`."""
    try:
        with open(file, encoding="utf-8-sig") as opened:
            text = opened.read(MAX_INI_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError("", "", f"cannot be read ({reason}); name the file with --config") from None
    if len(text) > MAX_INI_BYTES:
        raise ConfigError("", "", f"is longer than {MAX_INI_BYTES} characters; name the daemon's ini with --config")
    return text
