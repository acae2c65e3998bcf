"""The ini file: text in, frozen ``Settings`` dataclasses out, or a ``ConfigError``.

A section is named after its service and described by that service's ``Settings`` dataclass, whose fields are
declared with `option`. This module knows no section: whoever calls `parse` says which there are.
Nothing here opens a file, except what a ``*-file`` key names.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rtcd.fault import ConfigError as ConfigError
from rtcd.initext import Value, Written, scan, shown

T = TypeVar("T")

MAX_SECRET_FILE_BYTES = 65536
"""A file named by a ``*-file`` key holds a few lines, never more than this."""

MAX_DIGITS = 18
"""A whole number has no more."""

YES_OR_NO = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
"""What a switch may say, in any case."""


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
    found, faults = gather(scan(text), schemas, base)
    for fault in faults:
        raise fault
    return found


def gather(
    written: Written, schemas: Mapping[str, type[Any]], base: Path = Path(".")
) -> tuple[dict[str, Any], list[ConfigError]]:
    """What `parse` returns, of the sections that have no fault, and every fault that there is, by line."""
    found, faults = {}, list(written.faults)
    for section, values in written.sections.items():
        line = written.lines.get(section, 0)
        if section not in schemas:
            faults.append(ConfigError(
                section, "", f"no service has this name{hint(section, schemas)}; remove the section", line=line))
            continue
        try:
            schema = schemas[section]
        except ConfigError as fault:  # a plugin that cannot be imported
            fault.line = line
            faults.append(fault)
            continue
        settings, wrong = read_section(section, values, schema, base)
        for one in wrong:
            if not (one.line or one.source):
                one.line = line
        faults += wrong
        if not wrong:
            found[section] = settings
    return found, sorted(faults, key=lambda fault: (fault.line, fault.source))


def section_from(section: str, values: Mapping[str, str], schema: type[T], base: Path = Path(".")) -> T:
    """Make one ``Settings`` object of ini values. Raises `ConfigError`."""
    settings, faults = read_section(section, {key: Value(text) for key, text in values.items()}, schema, base)
    for fault in faults:
        raise fault
    return typing.cast(T, settings)


def read_section(
    section: str, values: Mapping[str, Value], schema: type[T], base: Path = Path(".")
) -> tuple[T | None, list[ConfigError]]:
    """One ``Settings`` object of values as they are written; None, and every fault, if there are any."""
    fields = {key_of(field): field for field in dataclasses.fields(typing.cast(Any, schema))}
    hints = typing.get_type_hints(schema)
    targets = {key: key for key in fields} | file_keys(schema)
    arguments: dict[str, Any] = {}
    faults: list[ConfigError] = []
    for key, value in values.items():
        try:
            target = targets.get(key)
            if target is None:
                raise _unknown(section, key, value, targets)
            if target != key and target in values:
                raise ConfigError(section, key, f"{target} is set as well; keep one of the two")
            text = value.text if target == key else _file_text(section, key, base / value.text.strip())
            arguments[target] = _value(section, key, text, fields[target], hints, base)
        except ConfigError as fault:
            faults.append(_at(value, fault))
    settings = _made(section, schema, fields, arguments, values, faults)
    return (None if faults else settings), faults


def _unknown(section: str, key: str, value: Value, known: Iterable[str]) -> ConfigError:
    if shown(key):
        return ConfigError(section, key, f"unknown key{hint(key, known)}; correct or remove it")
    return ConfigError(section, "", f"line {value.line} sets no key; correct or remove it, or indent it if it is a value")


def file_keys(schema: type[Any]) -> dict[str, str]:
    """The keys that name a file, each with the key whose value is in it."""
    return {f"{key_of(one)}-file": key_of(one) for one in dataclasses.fields(schema) if one.metadata.get("from_file")}


def _value(
    section: str, key: str, text: str, field: dataclasses.Field[Any], hints: Mapping[str, Any], base: Path
) -> Any:
    try:
        value = _convert(text, hints[field.name])
        _check(value, field.metadata)
    except ValueError as error:
        said = "" if field.metadata.get("secret") else f"{text.strip()!r} "
        raise ConfigError(section, key, f"{said}{error}") from None
    return _absolute(base, value) if field.metadata.get("path") else value


def placed(fault: ConfigError, values: Mapping[str, Value], line: int = 0) -> ConfigError:
    """The fault, told where its key is written, or the file that this is in; at ``line`` if neither is in ``values``."""
    return _at(values.get(fault.key) or values.get(f"{fault.key}-file") or Value("", line), fault)


def _at(value: Value, fault: ConfigError) -> ConfigError:
    fault.line, fault.source = value.line, value.source
    return fault


def _made(
    section: str, schema: type[T], fields: Mapping[str, dataclasses.Field[Any]], arguments: dict[str, Any],
    values: Mapping[str, Value], faults: list[ConfigError],
) -> T | None:
    """Build the object. It tells one fault at a time, so each is noted, its key left out, and the rest tried again. What
    names a key that is at fault already is its consequence, and is not told."""
    files = file_keys(schema)
    wrong = {files.get(fault.key, fault.key) for fault in faults}
    for _ in range(len(arguments) + 1):
        try:
            return schema(**{fields[key].name: value for key, value in arguments.items()})
        except ValueError as error:
            key, _, text = str(error).partition(": ")
            key, text = (key, text) if text else ("", key)
            if not any(re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", f"{key} {text}") for one in wrong if one):
                faults.append(placed(ConfigError(section, key, text), values))
            if arguments.pop(key, None) is None:
                break
            wrong.add(key)
    return None


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


def hint(word: str, known: Iterable[str]) -> str:
    """``, did you mean ...?`` if one of the known words is near."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f", did you mean {near[0]}?" if near else ""


def _file_text(section: str, key: str, path: Path) -> str:
    try:
        if path.is_fifo():  # opening it would wait for its writer
            raise ConfigError(section, key, f"{path} is no plain file; name one")
        with path.open(encoding="utf-8-sig") as file:
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
        if text.lower() not in YES_OR_NO:
            raise ValueError("is not yes or no")
        return YES_OR_NO[text.lower()]
    if kind is int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS):
            raise ValueError("is not a whole number")
        return int(text)
    if kind is float:
        try:
            number = float("x" if "_" in text else text)  # Python reads 1_000
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
        (meta.get("choices") or None, lambda v, limit: v not in limit, "is none of {}{}"),
    ]
    for one in one_by_one:
        for limit, broken, text in checks:
            if one is not None and limit is not None and broken(one, limit):
                several = isinstance(limit, tuple)
                raise ValueError(text.format(", ".join(limit) if several else limit, hint(one, limit) if several else ""))
