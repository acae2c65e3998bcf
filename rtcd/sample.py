"""The shipped ``etc/rtcd.ini``, made from the ``Settings`` that the daemon reads it with, so that it cannot lag behind.

``python -m rtcd.sample > etc/rtcd.ini`` writes it again.
"""

from __future__ import annotations

import dataclasses
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from rtcd.config import key_of, show
from rtcd.plugin import plugins
from rtcd.schemas import SHARED, Schemas

WIDTH = 100
"""Longest line of a comment that is prose."""

FIRST = ("web", "signaling", "ice", "turn")
"""The order of services in the file; others follow by name."""

BOUNDS = {"en": ("at least {}", "at most {}", "from {} to {}"), "zh": ("至少 {}", "至多 {}", "{} 到 {}")}
"""With the least, the most, or both."""

INTRODUCTION = """\
Configuration of rtcd. It works as it is; every option is here with its default.

    twistd -n rtcd --config etc/rtcd.ini

A section named after a service turns that service on; remove the section and it is off. Uncomment an option to change
it. Several values go on lines of their own below the key, indented. SIGHUP reads the file again; the log says what is
in force then and what needs a restart. An unknown section or key is an error; the command rtcd check-config tells all
of them. An environment variable such as RTCD_TURN_PORT goes before the key that it names.
"""


def sample(schemas: Mapping[str, type[Any]]) -> str:
    """The text of an ini that holds every section, each option a comment with its default."""
    lines = [*_comment(INTRODUCTION)]
    for section, schema in schemas.items():
        lines += ["", "", f"[{section}]", *_comment(about(section, schema))]
        for field in dataclasses.fields(schema):
            lines += ["", *_option(field)]
    return "\n".join(lines) + "\n"


def about(section: str, schema: type[Any]) -> str:
    """What a section is for: the first words of its schema."""
    text = " ".join((schema.__doc__ or "").split()).replace(f"The ``[{section}]`` section", "")
    text = text.lstrip(":. ").replace("``", "")
    return text[:1].upper() + text[1:]


def _option(field: dataclasses.Field[Any]) -> Iterator[str]:
    key, meta = key_of(field), field.metadata
    yield from _comment(meta["text"] + _bounds(meta["minimum"], meta["maximum"]))
    first, *more = show(field.default).split("\n")
    yield f"# {key} = {first}".rstrip()
    yield from (f"# {line}" for line in more)
    if meta["from_file"]:
        yield from _comment("Or the name of a file that holds it, relative to this one; only one of the two may be set.")
        yield f"# {key}-file ="


def _bounds(minimum: float | None, maximum: float | None) -> str:
    text = bounds(minimum, maximum)
    return f" {text[:1].upper()}{text[1:]}." if text else ""


def bounds(minimum: float | None, maximum: float | None, language: str = "en") -> str:
    """The limits of a number in words; empty if there are none."""
    if minimum is None and maximum is None:
        return ""
    least, most, both = BOUNDS[language]
    if maximum is None:
        return least.format(minimum)
    return most.format(maximum) if minimum is None else both.format(minimum, maximum)


def _comment(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("    "):
            yield from ["#", f"# {paragraph.rstrip()}", "#"]
        elif paragraph.strip():
            yield from textwrap.wrap(paragraph, WIDTH, initial_indent="# ", subsequent_indent="# ",
                                     break_long_words=False, break_on_hyphens=False)


def shipped() -> str:
    """What ``etc/rtcd.ini`` has to hold."""
    return sample(shipped_schemas())


def shipped_schemas() -> dict[str, type[Any]]:
    """The shared sections, then those of rtcd's own services, in the order in which people are shown them."""
    own = {name: one for name, one in plugins().items() if getattr(one, "module", "").startswith("rtcd.")}
    services = sorted(own, key=lambda name: (*(name != one for one in FIRST), name))
    schemas = Schemas(own)
    return {name: schemas[name] for name in (*SHARED, *services)}


if __name__ == "__main__":
    sys.stdout.write(shipped())
