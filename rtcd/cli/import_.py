"""``rtcd import``: an ini made of what other programs were configured with, and what was wrong in that."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtcd.cli.editing import Edited
from rtcd.config import ConfigError

if TYPE_CHECKING:
    from rtcd.importer.facts import Certificate
    from rtcd.importer.importing import Outcome
    from rtcd.importer.report import Note

MAX_INI_BYTES = 2**20

HEADINGS = (("wrong", "Wrong in the original"), ("dropped", "Dropped"), ("kept", "Kept"))


def add_to(verbs: Any) -> None:
    """Add the verb to the command."""
    about = "makes an ini of configurations of coturn, AppRTC and nginx"
    parser = verbs.add_parser("import", help=about, allow_abbrev=False, description=(
        f"{about.capitalize()}, and tells what was kept, what was dropped and why, and what was wrong in the original. Takes"
        " turnserver.conf, a command line of turnserver, AppRTC's constants.py, nginx.conf and an answer of an ICE service,"
        " each recognised by its content. Name all of them in one call: some faults show only between two files. The ini"
        " goes to standard output and the rest to standard error, unless -o says otherwise."))
    parser.set_defaults(run=run)
    parser.add_argument("files", metavar="FILE", nargs="+", help="what to read; nothing of it is executed")
    parser.add_argument("-o", "--output", metavar="INI", help="write the ini to this file, which must not be there yet")
    parser.add_argument("--json", action="store_true", help="answer with a JSON object, the ini in it if there is no -o")


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """``rtcd import``"""
    from rtcd.importer.facts import Machine
    from rtcd.importer.importing import MAX_FILE_CHARS, MAX_FILES, Source, bring

    names = list(dict.fromkeys(arguments.files))
    if len(names) > MAX_FILES:
        raise ConfigError("", "", f"more than {MAX_FILES} files at once; name those of one installation")
    sources = [Source(name, _text(name, 4 * MAX_FILE_CHARS)) for name in names]
    now = clock()
    machine = Machine(_addresses(), now, lambda cert, key, hosts: _look(cert, key, hosts, now))
    try:
        outcome = bring(sources, machine, _judge())
    except ValueError as error:
        raise ConfigError("", "", str(error)) from None
    if arguments.output:
        with Edited(arguments.output, MAX_INI_BYTES) as file:
            if not file.new:
                raise ConfigError("", "", f"{arguments.output}: is there already; name another, or remove it first")
            file.write(outcome.ini.encode())
    if arguments.json:
        sys.stdout.write(json.dumps(_record(outcome, arguments.output), indent=2, ensure_ascii=False) + "\n")
    elif arguments.output:
        sys.stdout.write(_told(outcome, arguments.output))
    else:
        sys.stderr.write(_told(outcome, ""))
        sys.stderr.flush()
        sys.stdout.write(outcome.ini)
    return 0


def _text(name: str, max_bytes: int) -> str:
    """What is no UTF-8 comes from a machine that is older, and then any 8-bit set will do for what is looked for."""
    try:
        if Path(name).is_fifo():
            raise ConfigError("", "", f"{name}: is no plain file; name one")
        with open(name, "rb") as file:
            data = file.read(max_bytes + 4)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError("", "", f"{name}: cannot be read ({reason}); check the path and its rights") from None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _addresses() -> frozenset[str]:
    from rtcd.machine import own_addresses

    return frozenset(own_addresses())


def _judge() -> Callable[[str], Sequence[ConfigError]]:
    from rtcd.initext import NO_INI, scan
    from rtcd.plugin import plugins
    from rtcd.reading import understood, whole

    found = plugins()
    return lambda text: whole(understood(NO_INI, scan(text), found), found)


def _look(cert: str, key: str, hosts: Iterable[str], now: float) -> Certificate:
    """Have a look at a certificate as the daemon would."""
    from rtcd.importer.facts import Certificate
    from rtcd.tls.authority import names_of
    from rtcd.tls.chain import Unreadable, load_chain
    from rtcd.tls.names import uncovered

    try:
        chain = load_chain(Path(cert), Path(key), None, now)
    except Unreadable as error:
        return Certificate(error.text, None)
    except ConfigError as error:
        return Certificate(error.text)
    leaf = chain.certificates[0]
    if leaf.issuer == leaf.subject:
        return Certificate(f"{cert} is self-signed", True)
    missing = uncovered(hosts, [names_of(leaf)])
    return Certificate(f"{cert} is not for {missing[0]}" if missing else "")


def _told(outcome: Outcome, output: str) -> str:
    lines = [f"{name}: {kind}" for name, kind in outcome.kinds.items()]
    lines += [f"{name}: not read: {why}" for name, why in outcome.unknown.items()]
    for attribute, heading in HEADINGS:
        notes: list[Note] = getattr(outcome.report, attribute)
        lines += ["", f"{heading}: {'nothing' if not notes else len(notes)}", *(f"  {note}" for note in notes)]
    if output:
        lines += ["", f"{output} is written. Look it through, then: rtcd check-config -c {output} && "
                  f"twistd -n rtcd --config {output}"]
    return "\n".join(lines) + "\n"


def _record(outcome: Outcome, output: str | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "files": outcome.kinds, "unread": outcome.unknown,
        **{attribute: [{"file": note.where.file, "line": note.where.line or None, "original": note.what or None,
                        "text": note.text} for note in getattr(outcome.report, attribute)] for attribute, _ in HEADINGS}}
    return made | ({"output": output} if output else {"ini": outcome.ini})
