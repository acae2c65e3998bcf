"""What is printed of the findings: text for people in their language, or JSON with field names that stay."""

from __future__ import annotations

import json
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rtcd.doctor import chinese, english
from rtcd.doctor.finding import Finding, Level, exit_code, ordered
from rtcd.doctor.words import Language

LANGUAGES: dict[str, Language] = {"en": english.LANGUAGE, "zh": chinese.LANGUAGE}
WIDTH = 110
"""Columns of a line of text; a command is never broken."""
_CLOSING = "。，：；、）"
"""Never begins a line."""
FORMAT = 1
"""Another number when a field of the JSON goes or means something else."""


def language_of(wanted: str | None, environment: Mapping[str, str]) -> str:
    """``en`` or ``zh``: as asked for, else as the first of LC_ALL, LC_MESSAGES and LANG that is set says."""
    if wanted:
        return wanted
    found = next((environment[one] for one in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(one)), "")
    return "zh" if found.lower().startswith("zh") else "en"


@dataclass(frozen=True, slots=True)
class Said:
    """A finding in words."""

    what: str
    evidence: str
    means: str
    mend: str


def said(finding: Finding, language: str) -> Said:
    """The texts of a finding."""
    texts = LANGUAGES[language].texts[finding.id]
    what, evidence, means, mend = (one.format_map(finding.values) for one in texts)
    if not finding.command and mend.endswith((":", "：")):
        mend = mend[:-1] + LANGUAGES[language].stop
    return Said(what, evidence, means, mend)


def as_json(findings: Iterable[Finding], language: str) -> str:
    """One object, for programs: ``format``, ``language``, ``result``, ``exit_code``, and ``findings``, the worst first, each
    with ``check``, ``id``, ``level``, ``what``, ``evidence``, ``means``, ``mend`` and ``command``, all of them texts."""
    found = ordered(findings)
    items = []
    for one in found:
        words = said(one, language)
        items.append({
            "check": one.check, "id": one.id, "level": one.level.value, "what": words.what, "evidence": words.evidence,
            "means": words.means, "mend": words.mend, "command": one.command})
    code = exit_code(found)
    result = ("ok", "degraded", "broken")[code]
    return json.dumps({"format": FORMAT, "language": language, "result": result, "exit_code": code, "findings": items},
                      ensure_ascii=False, indent=1) + "\n"


def as_text(findings: Iterable[Finding], language: str) -> str:
    """For people: each finding with its reasons, those that are well in a line each, and a sum."""
    found, words = ordered(findings), LANGUAGES[language]
    blocks = [_block(one, said(one, language), words) for one in found if one.level is not Level.OK]
    good = [f"{words.levels[one.level]}{words.colon}{said(one, language).what}" for one in found if one.level is Level.OK]
    counts = [f"{words.levels[level]} {sum(one.level is level for one in found)}" for level in Level]
    return "\n".join([*(f"{block}\n" for block in blocks), *good, "", words.separator.join(counts), ""])


def _block(finding: Finding, words: Said, language: Language) -> str:
    lines = [f"{language.levels[finding.level]}{language.colon}{words.what}  [{finding.id}]"]
    for label, text in ((language.evidence, words.evidence), (language.means, words.means), (language.mend, words.mend)):
        if text:
            lines += wrapped(f"    {label}{language.colon}", text)
    if finding.command:
        lines += [f"        {one}" for one in finding.command.splitlines()]
    return "\n".join(lines)


def wrapped(label: str, text: str) -> Sequence[str]:
    """A paragraph behind a label. Chinese has no spaces to break at and letters of two columns."""
    if not any(_wide(one) for one in text):
        return textwrap.wrap(f"{label}{text}", WIDTH, subsequent_indent="        ", break_long_words=False,
                             break_on_hyphens=False)
    lines, line, width = [], label, sum(1 + _wide(one) for one in label)
    for one in text:
        size = 1 + _wide(one)
        if width + size > WIDTH and (one == " " or (_wide(one) and one not in _CLOSING)):
            lines.append(line)
            line, width = "        ", 8
        line += one
        width += size
    return [*lines, line]


def _wide(one: str) -> bool:
    return unicodedata.east_asian_width(one) in "WF"
