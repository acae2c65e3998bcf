"""What a client's ``Accept-*`` headers and its validators mean (RFC 9110 §12.5 and §13.1): which of several is sent.

Pure: a header in, the choice out. What is malformed is left out, and counts as not said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_ITEMS = 32
"""Of a header, so many are read: browsers name five codings and a few languages."""

LANGUAGES = ("en", "zh-CN")
"""Those that there are texts in; the first is for everybody who has asked for none of them."""

_ITEM = re.compile(r"\s*([A-Za-z0-9*][A-Za-z0-9*_.+-]{0,63})\s*(?:;\s*[qQ]\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?")
_LEAST = 0.0001
"""Weight of the plain form where nothing is said of it: any other that is wanted at all comes first."""


def weights(header: str) -> dict[str, float]:
    """Weight by name in lower case, the first of a name counts; in the order of the header."""
    found: dict[str, float] = {}
    for one in header.split(",", MAX_ITEMS)[:MAX_ITEMS]:
        item = _ITEM.fullmatch(one)
        if item:
            found.setdefault(item[1].lower(), float(item[2] or 1))
    return found


def coding(header: str, offered: Sequence[str]) -> str:
    """Which content coding to send. ``offered``: those that there are besides ``identity``, the ones we like best first.

    A client that forbids even that gets it all the same: it can read it, or say so.
    """
    asked = weights(header)
    rest = asked.get("*", 0.0)
    best = max(offered, key=lambda one: asked.get(one, rest), default="identity")
    weight = asked.get(best, rest)
    plain = asked.get("identity", asked.get("*", _LEAST))
    return best if weight > 0 and weight >= plain else "identity"


def language(cookie: str | None, header: str) -> str:
    """The reader's: what was chosen on the page, which a cookie tells, else the best of the browser's that there is."""
    if cookie in LANGUAGES:
        return str(cookie)
    asked = weights(header)
    for name in sorted(asked, key=asked.__getitem__, reverse=True):
        for one in LANGUAGES:
            if asked[name] > 0 and one.partition("-")[0] == name.partition("-")[0]:
                return one
    return LANGUAGES[0]


def has(header: str, tag: str) -> bool:
    """Whether an ``If-None-Match`` names this entity tag, by weak comparison: proxies that compress make it weak."""
    known = {one.strip().removeprefix("W/") for one in header.split(",", MAX_ITEMS)[:MAX_ITEMS]}
    return tag in known or "*" in known
