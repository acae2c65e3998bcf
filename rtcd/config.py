"""The ini file: text in, frozen ``Settings`` dataclasses out, or a ``ConfigError``.

A section is named after its service and described by that service's ``Settings`` dataclass, whose fields are
declared with `option`. This module knows no section: whoever calls `parse` says which there are.
Nothing here opens a file, except what a ``*-file`` key names.
"""

from __future__ import annotations

import configparser
import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

MAX_SECRET_FILE_BYTES = 65536
"""A file named by a ``*-file`` key holds a few lines, never more than this."""

MAX_DIGITS = 18
"""A whole number has no more."""

_YES = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


class ConfigError(Exception):
    """The operator's mistake, said in one line: ``[section] key: what is wrong; how to mend it``."""

    def __init__(self, section: str, key: str, text: str) -> None:
        where = f"[{section}] {key}: " if key else f"[{section}]: " if section else ""
        super().__init__(" ".join(f"{where}{text}".split()))
        self.section = section
        self.key = key


def option(
    default: Any,
    text: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
    from_file: bool | None = None,
    path: bool = False,
) -> Any:
    """Declare one key of a ``Settings`` dataclass.

    The key is the field's name with dashes; a trailing underscore (for Python's reserved words) is dropped.
    ``default`` is a value of the field's type. ``text`` is what the shipped ini says above the key.
    ``secret`` keeps the value out of logs and adds a second key, ``KEY-file``, whose file's text is the value;
    ``from_file`` set to False leaves that key out. ``path``: the value names a file, or several, relative to the ini.
    """
    if choices:
        text = f"{text} One of: {', '.join(choices)}."
    meta = {"text": text, "minimum": minimum, "maximum": maximum, "choices": choices, "secret": secret,
            "from_file": secret if from_file is None else from_file, "path": path}
    return dataclasses.field(default=default, metadata=meta)


def key_of(field: dataclasses.Field[Any]) -> str:
    """The ini key of a ``Settings`` field."""
    return field.name.rstrip("_").replace("_", "-")


def parse(text: str, schemas: Mapping[str, type[Any]], base: Path = Path(".")) -> dict[str, Any]:
    """Read ini ``text`` into one ``Settings`` object for each section that it holds.

    ``schemas`` maps section names to dataclasses; ``base`` is where relative ``*-file`` paths start.
    Raises `ConfigError` for an unknown section or key, a value that does not fit, or text that is no ini.
    """
    found = {}
    for section, values in sections(text).items():
        if section not in schemas:
            raise ConfigError(section, "", f"no service has this name{_hint(section, schemas)}; remove the section")
        found[section] = section_from(section, values, schemas[section], base)
    return found


def sections(text: str) -> dict[str, dict[str, str]]:
    """The keys and values of each section as they are written. Raises `ConfigError` for text that is no ini."""
    ini = configparser.RawConfigParser(
        delimiters=("=",), comment_prefixes=("#", ";"), inline_comment_prefixes=None, default_section="\0",
    )
    try:
        ini.read_string(text)
    except configparser.DuplicateOptionError as error:
        mend = "it is there twice; several values go on lines of their own below the key, indented"
        raise ConfigError(error.section, error.option, mend) from None
    except configparser.DuplicateSectionError as error:
        raise ConfigError(error.section, "", "the section is there twice; join the two") from None
    except configparser.MissingSectionHeaderError as error:
        raise ConfigError("", "", f"line {error.lineno} stands before any [section]; put it under one") from None
    except configparser.ParsingError as error:
        line = error.errors[0][0]
        what = text.split("\n")[line - 1].strip()
        raise ConfigError("", "", f"line {line} is neither [section] nor key = value: {what[:60]!r}") from None
    return {section: dict(ini[section]) for section in ini.sections()}


def section_from(section: str, values: Mapping[str, str], schema: type[T], base: Path = Path(".")) -> T:
    """Make one ``Settings`` object of ini values. Raises `ConfigError`."""
    fields = {key_of(field): field for field in dataclasses.fields(typing.cast(Any, schema))}
    hints = typing.get_type_hints(schema)
    secrets = {f"{key}-file": key for key, field in fields.items() if field.metadata.get("from_file")}
    known = [*fields, *secrets]
    arguments: dict[str, Any] = {}
    for key, raw in values.items():
        target = key
        if key in secrets:
            target = secrets[key]
            if target in values:
                raise ConfigError(section, key, f"{target} is set as well; keep one of the two")
            raw = _file_text(section, key, base / raw.strip())
        elif key not in fields:
            raise ConfigError(section, key, f"unknown key{_hint(key, known)}; correct or remove it")
        field = fields[target]
        try:
            value = _convert(raw, hints[field.name])
            _check(value, field.metadata)
        except ValueError as error:
            shown = "" if field.metadata.get("secret") else f"{raw.strip()!r} "
            raise ConfigError(section, key, f"{shown}{error}") from None
        arguments[field.name] = _absolute(base, value) if field.metadata.get("path") else value
    try:
        return schema(**arguments)
    except ValueError as error:
        key, _, text = str(error).partition(": ")
        raise ConfigError(section, key if text else "", text or key) from None


def _absolute(base: Path, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(str((base / one).absolute()) for one in value)
    return str((base / value).absolute()) if value else value


def show(value: object) -> str:
    """The ini text of a value (the inverse of reading it)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, tuple):
        return "\n    ".join(["", *value]) if len(value) > 1 else "".join(value)
    return str(value)


def changes(old: Any, new: Any) -> dict[str, str]:
    """Which keys differ between two ``Settings`` of one section: key to ``old -> new``, secrets masked."""
    found = {}
    for field in dataclasses.fields(new):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after:
            masked = field.metadata.get("secret")
            found[key_of(field)] = "changed" if masked else f"{_flat(before)} -> {_flat(after)}"
    return found


def _flat(value: object) -> str:
    return " ".join(show(value).split()) or "(none)"


def _hint(word: str, known: typing.Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f", did you mean {near[0]}?" if near else ""


def _file_text(section: str, key: str, path: Path) -> str:
    try:
        if path.is_fifo():  # opening it would wait for its writer
            raise ConfigError(section, key, f"{path} is no plain file; name one")
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_SECRET_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(section, key, f"{path} cannot be read ({_reason(error)}); check the path and its rights") from None
    if not text.strip():
        raise ConfigError(section, key, f"{path} is empty; write the value into it or remove the key")
    if len(text) > MAX_SECRET_FILE_BYTES:
        raise ConfigError(section, key, f"{path} is longer than {MAX_SECRET_FILE_BYTES} characters")
    return text


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _convert(raw: str, kind: Any) -> Any:
    text = raw.strip()
    if isinstance(kind, types.UnionType):
        if not text:
            return None
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    if kind is bool:
        if text.lower() not in _YES:
            raise ValueError("is not yes or no")
        return _YES[text.lower()]
    if kind is int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS):
            raise ValueError("is not a whole number")
        return int(text)
    if kind is float:
        try:
            number = float(text)
        except ValueError:
            raise ValueError("is not a number") from None
        if number != number or number in (float("inf"), float("-inf")):
            raise ValueError("is not a number")
        return number
    if typing.get_origin(kind) is tuple:
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    if "\n" in text:
        raise ValueError("takes one line only")
    return text


def _check(value: Any, meta: Mapping[str, Any]) -> None:
    one_by_one = value if isinstance(value, tuple) else (value,)
    checks: list[tuple[Any, Callable[[Any, Any], bool], str]] = [
        (meta.get("minimum"), lambda v, limit: v < limit, "is less than {}"),
        (meta.get("maximum"), lambda v, limit: v > limit, "is more than {}"),
        (meta.get("choices") or None, lambda v, limit: v not in limit, "is none of {}"),
    ]
    for one in one_by_one:
        for limit, broken, text in checks:
            if one is not None and limit is not None and broken(one, limit):
                raise ValueError(text.format(", ".join(limit) if isinstance(limit, tuple) else limit))
