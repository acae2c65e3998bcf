"""What the importer says: what it kept, what it dropped and why, and what was wrong in the original.

Nothing here holds a secret: whoever makes a note hides it with `hidden` first. Those in URLs are hidden here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_SHOWN_CHARS = 80
"""Of a line of the original."""

MAX_NOTES = 2000
"""Of each kind; a file that makes more is none of a guide's."""


_USERINFO = re.compile(r"\b([a-z][a-z0-9+.-]{0,20}://|(?:turn|stun)s?:)[^\s'\"]*@", re.IGNORECASE)
"""Up to the last @, since a password may hold one."""


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A line of a file; 0 is the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One thing said of the original: ``what`` stands there, ``text`` is what there is to know."""

    where: Where
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.text}" if self.what else f"{self.where}: {self.text}"


@dataclass(slots=True)
class Report:
    """Notes by kind, in the order of files and lines once `sort` was called."""

    kept: list[Note] = field(default_factory=list)
    dropped: list[Note] = field(default_factory=list)
    wrong: list[Note] = field(default_factory=list)
    lost: list[Note] = field(default_factory=list)
    """Those of the dropped without which nothing may be made of the rest."""

    def keep(self, where: Where, what: str, text: str) -> None:
        """It is in the ini."""
        self._note(self.kept, where, what, text)

    def drop(self, where: Where, what: str, text: str) -> None:
        """It is not, and this is why."""
        self._note(self.dropped, where, what, text)

    def lose(self, where: Where, what: str, text: str) -> None:
        """It is not in the ini, which would let in whom it was to keep out."""
        self.drop(where, what, text)
        self._note(self.lost, where, what, text)

    def fault(self, where: Where, what: str, text: str) -> None:
        """It was wrong in the original."""
        self._note(self.wrong, where, what, text)

    def sort(self, files: list[str]) -> None:
        """Put the notes into the order of the files as they were given, and of lines."""
        for notes in (self.kept, self.dropped, self.wrong):
            notes.sort(key=lambda note: (files.index(note.where.file), note.where.line))

    @staticmethod
    def _note(notes: list[Note], where: Where, what: str, text: str) -> None:
        note = Note(where, shown(without_userinfo(what)), without_userinfo(" ".join(text.split())))
        if len(notes) < MAX_NOTES and note not in notes:
            notes.append(note)


def shown(text: str) -> str:
    """A piece of the original on one line, cut, without what a terminal would obey."""
    line = "".join(one if one.isprintable() else "?" for one in " ".join(text.split()))
    return line if len(line) <= MAX_SHOWN_CHARS else line[: MAX_SHOWN_CHARS - 1] + "…"


def without_userinfo(text: str) -> str:
    """The text with what stands in front of the hosts of its URLs hidden: a name, and perhaps a password."""
    return _USERINFO.sub(r"\1********@", text)


def hidden(user: str) -> str:
    """``name:password`` with the password hidden; a secret alone is hidden as a whole."""
    name, colon, _ = user.partition(":")
    return f"{name}:********" if colon else "********"
