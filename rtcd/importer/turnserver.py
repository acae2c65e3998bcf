"""Reading what coturn reads: ``turnserver.conf``, or its command line in a text file. Options out, judged by nobody yet."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from rtcd.importer.coturn import RULES, SHORT, SHORT_WITHOUT_MEANING

_ENDS = {"&", "&&", ";", "|", "||", ">", ">>", "<"}
_REDIRECTED = re.compile(r"[0-9]?>{1,2}.*|<.*|&")
_FRONT = {"sudo", "nohup", "exec", "env", "nice", "setsid", "command"}
_CONF = re.compile(r"([A-Za-z][\w-]*)(?:\s*=\s*|\s+|$)(.*)")


@dataclass(frozen=True, slots=True)
class Option:
    """One option by its long name. ``value`` is empty for a flag; ``known`` is False for what coturn does not know."""

    name: str
    value: str
    line: int
    known: bool = True
    short: str = ""
    """The letter that stood for it on a command line."""

    @property
    def said(self) -> str:
        """As it stands in the original; its value has to be hidden by whoever shows it."""
        if self.short:
            return f"-{self.short} {self.value}".strip()
        return f"{self.name}={self.value}" if self.value else self.name


def read_conf(text: str) -> list[Option]:
    """The options of a ``turnserver.conf``. A line that is none is skipped, as coturn does."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        match = None if line.startswith("#") else _CONF.fullmatch(line)
        if match:
            name, value = match[1], _unquoted(match[2].strip())
            found.append(Option(name, value, number, name in RULES))
    return found


def read_command(text: str) -> list[Option]:
    """The options of the first command line that starts ``turnserver``; a backslash at its end continues a line."""
    words = list(_words(text))
    found: list[Option] = []
    at = 0
    while at < len(words):
        word, line = words[at]
        at += 1
        following = words[at][0] if at < len(words) else ""
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            if not equals and _takes_value(name) and name != "stale-nonce" and following and not following.startswith("-"):
                value, at = following, at + 1
            found.append(Option(name, value, line, name in RULES))
        elif word.startswith("-") and len(word) > 1:
            letters = word[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                name = SHORT.get(letter, letter)
                needs = _takes_value(name) if letter in SHORT else SHORT_WITHOUT_MEANING.get(letter, False)
                value = ""
                if needs:
                    value, letters = letters, ""
                    if not value and following:
                        value, at = following, at + 1
                found.append(Option(name, value.removeprefix("="), line, letter in SHORT or letter in SHORT_WITHOUT_MEANING,
                                    letter))
    return found


def is_command(text: str) -> bool:
    """Whether a line of the text starts ``turnserver``."""
    return any(_start(shlex_or_split(line)) is not None for line in text.split("\n") if "turnserver" in line)


def is_conf(text: str) -> bool:
    """Whether the text looks like a ``turnserver.conf``: most of its lines are options, and one is coturn's."""
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    options = [match[1] for match in map(_CONF.fullmatch, lines) if match and not match[2].endswith((";", "{"))]
    known = [one for one in options if one in RULES]
    return bool(known) and 2 * len(known) >= len(lines)


def shlex_or_split(line: str) -> list[str]:
    """The words of a line as a shell sees them, or at least those between blanks."""
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return line.split()


def _start(words: list[str]) -> int | None:
    """Where the options begin, if the line starts ``turnserver``."""
    for index, word in enumerate(words):
        if word.rpartition("/")[2] == "turnserver":
            return index + 1
        if word not in _FRONT and word != "$" and not re.fullmatch(r"\w+=\S*|-\S+", word):
            return None
    return None


def _words(text: str) -> Iterator[tuple[str, int]]:
    """The words behind ``turnserver``, with their lines."""
    going = False
    for number, line in enumerate(text.split("\n"), 1):
        if not going and "turnserver" not in line:
            continue
        goes_on = line.rstrip().endswith("\\")
        words = shlex_or_split(line.rstrip().removesuffix("\\"))
        if not going:
            start = _start(words)
            if start is None:
                continue
            words = words[start:]
        for word in words:
            if word in _ENDS or _REDIRECTED.fullmatch(word):
                return
            yield word, number
        if not goes_on:
            return
        going = True


def _takes_value(name: str) -> bool:
    return name in RULES and not RULES[name].flag


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
