"""Secrets that everybody on this machine can read: those in the ini, and those in the files that it names.

The unit's service is a user that systemd makes at each start, so an ini that others may not read is one that it cannot read
either. What is in its state directory it can read, and nobody else comes there. Rights of a group are the operator's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtcd.config import ConfigError, file_keys, key_of
from rtcd.initext import NO_INI, Value
from rtcd.install.layout import STATE, Layout
from rtcd.reading import Reading
from rtcd.rights import closed_to

RUN = Path("/run")
"""What is below it has its rights from systemd or from what runs the container, which know best."""
PUBLIC = "-----BEGIN PUBLIC KEY-----"

FILES = {("turn", "users-file"), ("admin", "keys-file"), ("tls", "key")}
"""Keys that name files of secrets, besides every ``KEY-file``."""

IN_A_FILE = {("turn", "user"): "users-file"}
"""Which key names the file for a secret that has no ``KEY-file``."""

WITHOUT = {("rooms", "store"): "@"}
"""Keys that hold a secret only if this is in them."""

ALONE = "leave it to the daemon's user alone, with mode 600"


def exposed(reading: Reading) -> list[ConfigError]:
    """Warnings: files of secrets that everybody on this machine can read."""
    found = []
    for section, key, value, path in _named(reading):
        if not everybody_reads(path):
            continue
        mend = ALONE
        if _is_installed(reading):
            mend = (f"run: chmod go= {path}, and hand it to the service by LoadCredential=, as docs/certificates.md says"
                    if section == "tls" else f"move it to {STATE}, where the service alone comes, and name it there")
        found.append(ConfigError(section, key, f"{path} can be read by everybody on this machine; {mend}",
                                 line=value.line, source=value.source))
    return found


def held(reading: Reading) -> list[ConfigError]:
    """A warning if the ini itself holds a secret and everybody can read it."""
    if reading.file == NO_INI or not everybody_reads(Path(reading.file)):
        return []
    for section, settings in reading.settings.items():
        secret = {key_of(one) for one in type(settings).__dataclass_fields__.values() if one.metadata.get("secret")}
        for key, value in reading.written.sections.get(section, {}).items():
            if (key in secret and value.text and not value.source
                    and WITHOUT.get((section, key), "") in value.text):
                mend = (f"write it to a file in {STATE}, where the service alone comes, and name that as"
                        f" {_file_key(settings, section, key)}" if _is_installed(reading) else ALONE)
                return [ConfigError(section, key, f"is a secret in a file that everybody on this machine can read; {mend}",
                                    line=value.line)]
    return []


def everybody_reads(path: Path) -> bool:
    """Whether the file may be read by all where it is, whatever link leads to it."""
    try:
        real = path.resolve(strict=True)
        return RUN not in real.parents and not closed_to(real)
    except OSError:  # it is not there, or not for us
        return False


def _named(reading: Reading) -> Iterator[tuple[str, str, Value, Path]]:
    base = Path(reading.file).parent if reading.file != NO_INI else Path()
    for section, settings in reading.settings.items():
        files = file_keys(type(settings))
        for key, value in reading.written.sections.get(section, {}).items():
            if key in files and PUBLIC in str(getattr(settings, files[key].replace("-", "_"), "")):
                continue
            if key in files or (section, key) in FILES:
                for name in value.text.splitlines():
                    if name.strip():
                        yield section, key, value, (base / name.strip()).absolute()


def _file_key(settings: Any, section: str, key: str) -> str:
    named = {target: one for one, target in file_keys(type(settings)).items()}
    return named.get(key) or IN_A_FILE.get((section, key), "")


def _is_installed(reading: Reading) -> bool:
    return os.path.abspath(reading.file) == Layout().ini
