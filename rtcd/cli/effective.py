"""What is in force: every key of every section that is on, its value, and where that comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rtcd.config import file_keys, key_of, show
from rtcd.initext import Value

if TYPE_CHECKING:
    from rtcd.reading import Reading

MASK = "********"
"""In the place of every secret, however long it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One key; ``line`` and ``variable`` say where it is set, ``file`` which file its value was read from."""

    section: str
    key: str
    value: tuple[str, ...]
    line: int = 0
    variable: str = ""
    file: str = ""

    @property
    def origin(self) -> str:
        """For people."""
        where = self.variable or (f"line {self.line}" if self.line else "default")
        return f"{where}, {self.file}" if self.file else where


def effective(reading: Reading) -> Iterator[Line]:
    """The keys of the sections that have no fault."""
    for section, settings in reading.settings.items():
        values = reading.written.sections.get(section, {})
        files = {key: one for one, key in file_keys(type(settings)).items()}
        for field in dataclasses.fields(settings):
            key = key_of(field)
            said, file = _said(values, key, files.get(key, ""))
            value = getattr(settings, field.name)
            shown = value if isinstance(value, tuple) else (show(value),)
            if field.metadata.get("secret"):
                shown = tuple(MASK for one in shown if one)
            yield Line(section, key, shown, said.line, said.source, file)


def table(lines: list[Line]) -> str:
    """For people: origins in front, so that a value can be read to its end."""
    width = max((len(one.origin) for one in lines), default=0)
    text, section = [], ""
    for one in lines:
        if one.section != section:
            section = one.section
            text.append(f"\n[{section}]")
        first, *more = one.value or ("",)
        text.append(f"{one.origin:{width}}  {one.key} = {first}".rstrip())
        text += [f"{'':{width}}      {value}" for value in more]
    return "\n".join(text) + "\n"


def _said(values: Mapping[str, Value], key: str, file_key: str) -> tuple[Value, str]:
    if key in values:
        return values[key], ""
    if file_key in values:
        return values[file_key], values[file_key].text.strip()
    return Value(""), ""


def as_json(lines: list[Line]) -> dict[str, dict[str, Any]]:
    """For machines: section to key to what is known of it."""
    found: dict[str, dict[str, Any]] = {}
    for one in lines:
        kind = "environment" if one.variable else "ini" if one.line else "default"
        said = {"value": list(one.value), "origin": kind, "line": one.line or None, "variable": one.variable or None,
                "file": one.file or None}
        found.setdefault(one.section, {})[one.key] = said
    return found
