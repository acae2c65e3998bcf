"""``rtcd calls`` and ``rtcd call ID``: what became of the calls of the last day."""

from __future__ import annotations

import argparse
import itertools
import os
from datetime import UTC, datetime
from typing import Any

from rtcd.cli.control import Control, add_control, columns, show
from rtcd.config import ConfigError

LANGUAGES = ("en", "zh")


def add_to(verbs: Any) -> None:
    """Add the verbs to the command."""
    listing = verbs.add_parser("calls", help="lists calls and what became of them", allow_abbrev=False, description=(
        "Lists calls, those that are on first and then the last one first, and what became of them. The daemon has to run."))
    listing.set_defaults(run=_calls)
    listing.add_argument("--room", metavar="ROOM", help="only those in this room")
    listing.add_argument("--limit", metavar="N", type=number, default=50, help="at most so many (default: 50)")
    showing = verbs.add_parser("call", help="shows the record of a call", allow_abbrev=False, description=(
        "Shows the record of a call: how it went, and why. The daemon has to run."))
    showing.set_defaults(run=_call)
    showing.add_argument("id", metavar="ID", help="as rtcd calls shows it")
    for one in (listing, showing):
        one.add_argument("--language", choices=LANGUAGES, help="of the verdict (default: as LC_ALL or LANG says)")
        add_control(one)


def _calls(arguments: argparse.Namespace) -> int:
    language = _language(arguments)
    query = {} if arguments.room is None else {"room": arguments.room}
    found = {"calls": list(itertools.islice(Control(arguments).all("calls", **query), arguments.limit))}
    rows = [(one["id"], _moment(one.get("began_at")), "on" if one.get("ended_at") is None else "", one["room"],
             _said(one.get("verdict"), language)) for one in found["calls"]]
    return show(arguments, found, columns(rows) if rows else ["There are no records of calls."])


def _call(arguments: argparse.Namespace) -> int:
    from rtcd.calls.show import lines  # here, since no other verb needs records

    found = Control(arguments).get("calls", arguments.id)
    try:
        text = () if arguments.json else lines(found, _language(arguments))
    except ValueError as error:
        raise ConfigError("", "", f"{error}; the daemon is of another version") from None
    return show(arguments, found, text)


def number(text: str) -> int:
    """A number from 1 on. Raises ValueError, which argparse tells."""
    if (found := int(text)) < 1:
        raise ValueError
    return found


def _language(arguments: argparse.Namespace) -> str:
    from rtcd.doctor.report import language_of

    return language_of(arguments.language, os.environ)


def _said(verdict: Any, language: str) -> str:
    """The words of a verdict, which come in both languages."""
    texts = verdict.get("text") if isinstance(verdict, dict) else None
    return str(texts.get(language, texts.get("en", "")) if isinstance(texts, dict) else verdict or "")


def _moment(at: Any) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
