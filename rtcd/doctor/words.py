"""The form of a catalogue: what is said of a finding, in one language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rtcd.doctor.finding import Level


class Words(NamedTuple):
    """The texts of one id, with a ``{name}`` for each value that they show."""

    what: str
    """A sentence."""
    evidence: str = ""
    """How it is known."""
    means: str = ""
    """What a user has of it."""
    mend: str = ""
    """What to do; the command, if there is one, stands below it."""


@dataclass(frozen=True, slots=True)
class Language:
    """A catalogue."""

    texts: Mapping[str, Words]
    levels: Mapping[Level, str]
    evidence: str
    """What stands before the evidence; likewise the next two."""
    means: str
    mend: str
    separator: str
    """Between the counts at the end."""
    colon: str
    """Between a level or label and what it is of."""
    stop: str
    """What a sentence ends with that announces a command when there is none."""
