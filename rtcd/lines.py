"""The forms that a log event has as a line: for people in a file or on a terminal, for journald, and JSON for machines.

Every form is bounded, has nothing in it that cannot be encoded, and nothing that rtcd.words would hide. Where lines go is
rtcd.log's business.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from twisted.logger import LogEvent, LogLevel, formatEvent, formatTime

from rtcd.words import hides, scrub, visible

MAX_LINE_CHARS = 4096
"""A longer line for people is cut, and so is a longer message in JSON."""
MAX_TRACEBACK_CHARS = 16384
"""Of a longer traceback the end is kept, which says what happened."""
MAX_TOLD_CHARS = 8192
"""Of what the exception says in it."""
CONTINUED = "| "
"""How each line of it begins: no text of an exception looks like an event of its own."""
MAX_JSON_CHARS = 32768
"""Of a JSON line, as it is written: fields beyond it are left out, and ``cut`` says so."""
MAX_FIELD_CHARS = 1024
"""Of one field of it."""
MAX_KEY_CHARS = 128
MAX_FIELDS = 64

FIXED = ("time", "level", "system", "message", "traceback", "cut")
"""The keys that mean the same in every JSON line. A field of an event that has such a name gets an underscore behind it."""

PRIORITIES = {LogLevel.debug: 7, LogLevel.info: 6, LogLevel.warn: 4, LogLevel.error: 3, LogLevel.critical: 2}
"""sd-daemon(3)."""

_COLOURS = {LogLevel.debug: "2", LogLevel.warn: "33", LogLevel.error: "31", LogLevel.critical: "1;31"}
_TWISTEDS = frozenset(("format", "isError", "failure", "why", "printed", "system", "time", "logLevel", "message"))
"""What old-style events of Twisted have besides what they say, and others that an old-style observer has seen."""

_FRAMES = re.compile(r'Traceback .*\n(?:  File ".*", line \d+, in .*\n    .*\n)*')
"""How a failure's traceback begins; behind it stand the exception's type and text."""

Form = Callable[[LogEvent], str | None]
"""A line, or several, with the end of the last one; None if the event says nothing."""


def people(event: LogEvent) -> str | None:
    """Time, where it comes from, level, and text: what stands in a file."""
    return _lines(clean(event), time=True)


def terminal(event: LogEvent) -> str | None:
    """The same in the colour of its level."""
    text, colour = people(event), _COLOURS.get(_level(event), "")
    return f"\x1b[{colour}m{text[:-1]}\x1b[0m\n" if text and colour else text


def journal(event: LogEvent) -> str | None:
    """The same without the time, which journald knows, each line behind the priority of its level."""
    return _prioritised(event, _lines(clean(event), time=False))


def machines(event: LogEvent) -> str | None:
    """One JSON object without nesting: `FIXED`, then the event's own fields."""
    event = clean(event)
    message = _message(event)
    failure = event.get("log_failure")
    if not message and failure is None:
        return None
    found = {
        "time": _encoded(_when(event)),
        "level": _encoded(_level(event).name),
        "system": _encoded(_system(event)),
        "message": _encoded(message, MAX_LINE_CHARS),
    }
    if failure is not None:
        found["traceback"] = _encoded(_traceback(failure), MAX_TRACEBACK_CHARS, keep_end=True)
    size, cut = sum(len(key) + len(value) + 8 for key, value in found.items()), False
    for name, value in _own(event):
        key = _encoded(name + "_" * (name in FIXED), MAX_KEY_CHARS)[1:-1]
        shown = _value(value)
        size += len(key) + len(shown) + 6
        cut = size > MAX_JSON_CHARS or len(found) >= MAX_FIELDS
        if cut:
            break
        found[key] = shown
    pairs = [f'"{key}": {value}' for key, value in found.items()] + ['"cut": true'] * cut
    return "{" + ", ".join(pairs) + "}\n"


def machines_in_journal(event: LogEvent) -> str | None:
    """The same behind the priority of its level."""
    return _prioritised(event, machines(event))


def clean(event: LogEvent) -> LogEvent:
    """The event with what must not be shown taken out of its fields, before a text is made of them."""
    changed: LogEvent = {}
    for name, value in event.items():
        if name.startswith("log_"):
            continue
        shown = hides(name) or (scrub(value, MAX_LINE_CHARS) if isinstance(value, str) else value)
        if shown is not value:
            changed[name] = shown
    return {**event, **changed} if changed else event


def modern(event: LogEvent) -> LogEvent:
    """An old-style failure of Twisted's, whose text holds the traceback, as a new-style one that has it apart."""
    if not event.get("isError") or event.get("failure") is None or event.get("log_failure") is not None:
        return event
    return {**event, "log_failure": event["failure"], "log_format": "{log_text}",
            "log_text": str(event.get("why") or "Unhandled Error")}


def encodable(form: Form, encoding: str) -> Form:
    """A form of which everything can be written in this encoding."""

    def line(event: LogEvent) -> str | None:
        text = form(event)
        return None if text is None else text.encode(encoding, "backslashreplace").decode(encoding)

    return line


def _lines(event: LogEvent, *, time: bool) -> str | None:
    failure = event.get("log_failure")
    text = _message(event)
    if not text and failure is None:
        return None
    system = _system(event) if event.get("log_system") else f"{_system(event)}#{_level(event).name}"
    where = f"[{system} worker {event['log_worker']}] " if "log_worker" in event else f"[{system}] "
    when = formatTime(event.get("log_time")) + " " if time else ""
    head = (when + where + text)[:MAX_LINE_CHARS]
    if failure is None:
        return head + "\n"
    trace = _traceback(failure)[-MAX_TRACEBACK_CHARS:]
    return "\n".join([head, *(f"{CONTINUED}{visible(line)}" for line in trace.splitlines())]) + "\n"


def _message(event: LogEvent) -> str:
    """In one line."""
    return visible(scrub(formatEvent(event), MAX_LINE_CHARS).replace("\r\n", " ").replace("\n", " "))


def _traceback(failure: Any) -> str:
    try:
        text = failure.getTraceback()
    except Exception as fault:
        text = f"(no traceback: {type(fault).__name__})"
    frames = _FRAMES.match(text)
    end = frames.end() if frames is not None else 0
    kind, colon, told = text[end:].partition(": ")
    shown = [scrub(line) for line in text[max(0, end - MAX_TRACEBACK_CHARS):end].splitlines()]
    return "\n".join([*shown, kind + colon + scrub(told.rstrip("\n"), MAX_TOLD_CHARS)])


def _prioritised(event: LogEvent, text: str | None) -> str | None:
    if text is None:
        return None
    priority = f"<{PRIORITIES.get(_level(event), 6)}>"
    return "".join(f"{priority}{line}\n" for line in text.splitlines())


def _level(event: LogEvent) -> Any:
    return event.get("log_level") or LogLevel.info


def _system(event: LogEvent) -> str:
    return visible(str(event.get("log_system") or event.get("log_namespace") or "-"))[:MAX_FIELD_CHARS]


def _when(event: LogEvent) -> str:
    """ISO 8601, in UTC, by the millisecond."""
    try:
        moment = datetime.datetime.fromtimestamp(float(event["log_time"]), datetime.UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return "1970-01-01T00:00:00.000Z"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _own(event: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields that whoever logged has given, behind which of several workers it was."""
    old_style = "log_text" in event or "isError" in event
    if "log_worker" in event:
        yield "worker", event["log_worker"]
    for name, value in event.items():
        if name == "worker" and "log_worker" in event:
            yield "worker_", value
        elif not (name.startswith("log_") or (old_style and name in _TWISTEDS)):
            yield name, value


def _value(value: Any) -> str:
    """As JSON; what is no text, number, truth or null is shown as its text."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return json.dumps(int(value))
    if isinstance(value, float) and math.isfinite(value):
        return json.dumps(float(value))
    try:
        text = value[: 2 * MAX_FIELD_CHARS].decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    except Exception:  # whatever it is, the event is shown
        text = f"({type(value).__name__})"
    return _encoded(scrub(text, MAX_FIELD_CHARS), MAX_FIELD_CHARS)


def _encoded(text: str, most: int = MAX_FIELD_CHARS, *, keep_end: bool = False) -> str:
    """A JSON text in ASCII that every parser takes, at most ``most`` characters long besides its quotation marks."""
    shown = ""
    for size in (most, most // 12):  # at worst a character is written as twelve: two escapes of six
        part = text[-size:] if keep_end else text[:size]
        shown = json.dumps(part.encode("utf-8", "backslashreplace").decode())
        if len(shown) <= most + 2:
            break
    return shown
