"""The text of an ini: which section and key stands at which line, and every line that is neither.

It is read as Python's ``configparser`` reads it, which tells no lines and stops at the first fault. ``=`` alone separates
key and value, ``#`` and ``;`` begin a line that is a comment, further lines of a value are indented more than its key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rtcd.fault import ConfigError

NO_INI = "environment"
"""What stands in messages in the place of the ini's name if there is none."""

MAX_KEY_CHARS = 32
"""A longer name is no key of anybody's."""

_KEY = re.compile(rf"(?=.{{1,{MAX_KEY_CHARS}}}$)[a-z]{{1,16}}[0-9]{{0,4}}(?:[_-][a-z0-9]{{1,12}})*_?")
_HEADER = re.compile(r"\[(.+)\]")
_OPTION = re.compile(r"(.*?)\s*=\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it is written. ``line`` is that of its key in the ini; ``source`` names the environment variable that
    holds it, and is empty if the ini does."""

    text: str
    line: int = 0
    source: str = ""


@dataclass(slots=True)
class Written:
    """Section to key to value, the line of each section's header, and the faults in the order of their lines."""

    sections: dict[str, dict[str, Value]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    faults: list[ConfigError] = field(default_factory=list)


def scan(text: str) -> Written:
    """Read the text; never raises. What is there twice counts as it stands first."""
    found = Written()
    section: str | None = None
    open_key = ""
    parts: list[str] | None = None
    deep = 0

    def close() -> None:
        nonlocal parts
        if section is not None and parts is not None and open_key not in found.sections[section]:
            found.sections[section][open_key] = Value("\n".join(parts).rstrip(), key_line)
        parts = None

    key_line = 0
    stray = False
    for number, line in enumerate(text.split("\n"), 1):
        value = line.strip()
        if value.startswith(("#", ";")):
            continue
        if not value:
            if parts is not None:
                parts.append("")
            continue
        indent = len(line) - len(line.lstrip())
        if parts is not None and indent > deep:
            parts.append(value)
            continue
        deep = indent
        header, option = _HEADER.match(value), _OPTION.match(value)
        if header:
            close()
            section = header[1]
            if section in found.sections:
                found.faults.append(ConfigError(section, "", "the section is there twice; join the two", line=number))
            found.sections.setdefault(section, {})
            found.lines.setdefault(section, number)
        elif section is None:
            if not stray:
                found.faults.append(ConfigError(
                    "", "", f"line {number} stands before any [section]; put it under one", line=number))
            stray = True
        elif option and option[1]:
            close()
            open_key, key_line, parts = option[1].lower(), number, [option[2]]
            if open_key in found.sections[section]:
                found.faults.append(ConfigError(
                    section, shown(open_key), "it is there twice; several values go on lines of their own below the key, "
                    "indented", line=number))
        else:  # what stands there is not told: it may be a password that is not indented
            found.faults.append(ConfigError(
                "", "", f"line {number} is neither [section] nor key = value; correct or remove it", line=number))
    close()
    return found


def shown(key: str) -> str:
    """The key if it looks like one, else nothing: a password that is not indented, and has ``=`` in it, is read as a key."""
    return key if _KEY.fullmatch(key) else ""
