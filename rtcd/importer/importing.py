"""`bring`: files in, an ini and a report out. Each is recognised by its content and read; then all are looked at together.

This knows no disk: whoever calls it has read the files and says what this machine is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtcd.fault import ConfigError
from rtcd.importer.constants import is_constants, read_constants
from rtcd.importer.coturn import DENYING
from rtcd.importer.draft import Draft
from rtcd.importer.facts import Facts, Machine, TurnFile
from rtcd.importer.faults import turn_faults
from rtcd.importer.iceservice import is_ice, read_ice
from rtcd.importer.nginx import is_nginx, read_nginx
from rtcd.importer.relay import translate
from rtcd.importer.report import Report
from rtcd.importer.site import SERVICES, propose_address, translate_constants, translate_ice, translate_nginx
from rtcd.importer.sitefaults import COLLIDER_PORT, ROOM_PORT, constants_faults, ice_faults, nginx_faults
from rtcd.importer.turnserver import is_command, is_conf, read_command, read_conf

MAX_FILE_CHARS = 2**18
"""Of one file; what guides print has a hundredth of it."""
MAX_FILES = 32
MAX_TAKEN_OUT = 200
"""Values that are taken out again, each after some more looks at the whole."""

KINDS = {"turnserver.conf": "a configuration of coturn", "turnserver": "a command line of coturn",
         "constants.py": "AppRTC's constants", "iceServers": "an answer of an ICE service",
         "nginx.conf": "a configuration "
         "of nginx"}

Judge = Callable[[str], Sequence[ConfigError]]
"""Takes the text of an ini and tells what the daemon would find wrong in it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import: what to call it, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The ini, what is to be said, and what each file was; ``unknown`` are files that nobody recognised, each with why."""

    ini: str
    report: Report
    kinds: dict[str, str]
    unknown: dict[str, str]


def recognise(text: str) -> str:
    """A key of `KINDS`; empty for what is none of them."""
    if is_ice(text) and not is_constants(text):
        return "iceServers"
    if is_constants(text):
        return "constants.py"
    if is_command(text):
        return "turnserver"
    if is_nginx(text):
        return "nginx.conf"
    return "turnserver.conf" if is_conf(text) else ""


def bring(sources: Sequence[Source], machine: Machine, judge: Judge) -> Outcome:
    """Import the files together. Raises ValueError if none of them is one that is understood, or what becomes of them would
    be no good: less strict than they are, or an ini that the daemon refuses."""
    facts, report, draft = Facts(machine), Report(), Draft()
    kinds: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for source in sources:
        text = source.text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        kind = recognise(text) if len(text) <= MAX_FILE_CHARS else ""
        try:
            _read(kind, source.name, text, facts)
        except ValueError as error:
            unknown[source.name] = str(error)
            continue
        kinds[source.name] = KINDS[kind]
    if not kinds:
        raise ValueError("; ".join(f"{name}: {why}" for name, why in unknown.items()))
    for nginx in facts.nginx:  # first: it knows the name that a certificate has to be for
        translate_nginx(nginx, draft, report, machine, facts.signaling_ports | {COLLIDER_PORT, ROOM_PORT})
        nginx_faults(nginx, facts, report)
    for turn in facts.turn:
        translate(turn, draft, report, machine)
        turn_faults(turn, facts, report)
    for constants in facts.constants:
        translate_constants(constants, draft, report)
        constants_faults(constants, facts, report)
    for ice in facts.ice:
        translate_ice(ice, draft, report)
        ice_faults(ice, facts, report)
    if facts.constants or facts.nginx:
        for name in SERVICES:
            draft.section(name)
    propose_address(facts, draft)
    draft.heading = ["Made by rtcd import of", *(f"    {name}: {kind}" for name, kind in kinds.items()),
                     "What is not here is as in the shipped etc/rtcd.ini, which explains every option."]
    _mend(draft, report, judge)
    if report.lost:
        raise ValueError("; ".join(f"{note}: it has to be corrected first, since without it relays would reach what it keeps"
                                   " them from" for note in report.lost))
    report.sort(list(kinds))
    return Outcome(draft.text(), report, kinds, unknown)


def _read(kind: str, name: str, text: str, facts: Facts) -> None:
    if kind == "turnserver.conf":
        facts.turn.append(TurnFile(name, tuple(read_conf(text))))
    elif kind == "turnserver":
        facts.turn.append(TurnFile(name, tuple(read_command(text)), command=True))
    elif kind == "constants.py":
        facts.constants.append(read_constants(name, text))
    elif kind == "iceServers":
        facts.ice.append(read_ice(name, text))
    elif kind == "nginx.conf":
        facts.nginx.append(read_nginx(name, text))
    elif len(text) > MAX_FILE_CHARS:
        raise ValueError(f"is longer than {MAX_FILE_CHARS} characters; no configuration is")
    else:
        raise ValueError("is neither of coturn nor of AppRTC nor of nginx, nor an answer of an ICE service; nothing is taken"
                         " from it")


def _mend(draft: Draft, report: Report, judge: Judge) -> None:
    """Take out what the daemon would not take, one value at a time, until it takes the rest. Raises ValueError if that does
    not come to an end."""
    for _ in range(MAX_TAKEN_OUT):
        faults = judge(draft.text())
        if not faults:
            return
        fault = faults[0]
        culprit = _culprit(draft, fault, judge)
        if culprit is None:
            raise ValueError(f"rtcd would not start on what becomes of it, and no option alone is to blame: {fault}")
        section, key, value = culprit
        for where in draft.remove(section, key, value):
            report.kept[:] = [note for note in report.kept
                              if note.where != where or not note.text.startswith(f"[{section}] {key} ")]
            (report.lose if (section, key) == DENYING else report.drop)(
                where, f"[{section}] {key}", f"rtcd does not take it: {fault.text}")
    raise ValueError(f"more than {MAX_TAKEN_OUT} values are such as rtcd does not take; correct the original")


def _culprit(draft: Draft, fault: ConfigError, judge: Judge) -> tuple[str, str, str] | None:
    """The value without which the fault is gone: of the key that it names, else of one that this does not go with."""

    def faulty(section: str, key: str, count: int) -> bool:
        return any(str(one) == str(fault) or ((one.section, one.key) == (section, key) and count > 0)
                   for one in judge(draft.cut(section, key, count).text()))

    own = draft.sections.get(fault.section, {})
    ordered = [(fault.section, fault.key)] if fault.key in own else []
    ordered += [(fault.section, key) for key in own if key != fault.key]
    ordered += [(section, key) for section, keys in draft.sections.items() if section != fault.section for key in keys]
    for section, key in ordered:
        if faulty(section, key, 0):
            continue
        values, good = draft.get(section, key), 0
        bad = len(values)
        while bad - good > 1:  # the first values are good, one more is not
            middle = (good + bad) // 2
            good, bad = (good, middle) if faulty(section, key, middle) else (middle, bad)
        return section, key, values[bad - 1]
    return None
