"""The doctor's English: its texts are in the two modules beside. See `rtcd.doctor.words`."""

from __future__ import annotations

from rtcd.doctor import english_machine, english_network
from rtcd.doctor.finding import Level
from rtcd.doctor.words import Language

LANGUAGE = Language(
    {**english_machine.TEXTS, **english_network.TEXTS},
    {Level.BROKEN: "broken", Level.DEGRADED: "degraded", Level.NOTE: "note", Level.OK: "ok"},
    evidence="seen", means="means", mend="mend", separator=", ", colon=": ", stop=".")
