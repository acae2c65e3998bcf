"""``rtcd check-config``: every fault of the configuration, what is unwise in it, and what is in force."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtcd.cli.ini import add_config, place
from rtcd.config import ConfigError
from rtcd.workers.count import AUTO

if TYPE_CHECKING:
    from rtcd.reading import Reading


def add_to(verbs: Any) -> None:
    """Add the verb to the command."""
    about = "tells every fault of the configuration"
    parser = verbs.add_parser("check-config", help=about, allow_abbrev=False, description=(
        f"{about.capitalize()}, as the daemon would read it, with the environment's RTCD_ variables: one a line, with file"
        " and line. The exit code is 1 if there is one. Ports, certificates and the network are not looked at: see rtcd"
        " doctor."))
    parser.set_defaults(run=run)
    add_config(parser)
    parser.add_argument("--effective", action="store_true",
                        help="also show every key with its value, secrets masked, and where it comes from")
    parser.add_argument("--json", action="store_true", help="answer with a JSON object")


def run(arguments: argparse.Namespace) -> int:
    """``rtcd check-config``"""
    from rtcd.plugin import plugins  # with Twisted's search for plugins, which the other verbs do without
    from rtcd.reading import chosen, read, whole

    found = plugins()
    path: str | None = place(arguments.config)
    if arguments.config is None and not Path(str(path)).exists():
        path = chosen(None, os.environ, found)
    reading = read(path, found, os.environ)
    faults = whole(reading, found)
    _tell(arguments, reading.file, faults, list(_warnings(reading)), reading if arguments.effective else None)
    return 1 if faults else 0


def _warnings(reading: Reading) -> Iterable[ConfigError]:
    from rtcd.exposed import exposed, held
    from rtcd.unwise import unwise
    from rtcd.workers import cores

    for one in unwise(reading.settings, cores.number(AUTO)):
        yield reading.placed(one)
    yield from held(reading)
    yield from exposed(reading)
    for name in reading.others:
        yield ConfigError("", "", "sets nothing: it begins like a variable of rtcd and names no section", source=name)


def _tell(
    arguments: argparse.Namespace, file: str, faults: list[ConfigError], warnings: list[ConfigError],
    reading: Reading | None,
) -> None:
    from rtcd.cli.effective import as_json, effective, table

    lines = list(effective(reading)) if reading is not None else []
    if arguments.json:
        answer: dict[str, Any] = {"file": file, "faults": [_record(file, one) for one in faults],
                                  "warnings": [_record(file, one) for one in warnings]}
        if reading is not None:
            answer["effective"] = as_json(lines)
        sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")
        return
    for one in faults:
        sys.stdout.write(f"{_where(file, one)}: {one}\n")
    for one in warnings:
        sys.stdout.write(f"{_where(file, one)}: warning: {one}\n")
    count = len(faults)
    sys.stdout.write(f"{file}: {'no fault' if not count else '1 fault' if count == 1 else f'{count} faults'}\n")
    if lines:
        sys.stdout.write(table(lines))


def _where(file: str, fault: ConfigError) -> str:
    return fault.source or (f"{file}:{fault.line}" if fault.line else file)


def _record(file: str, fault: ConfigError) -> dict[str, Any]:
    """What and mend are the two halves of the line."""
    what, _, mend = fault.text.partition("; ")
    return {"file": None if fault.source else file, "line": fault.line or None, "variable": fault.source or None,
            "section": fault.section or None, "key": fault.key or None, "what": what, "mend": mend or None}
