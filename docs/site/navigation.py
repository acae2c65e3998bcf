"""Which page stands where: from the sections of mkdocs.yml and the pages that there are, to what mkdocs takes as ``nav``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LAST = "more"
"""The section of pages that no other one names."""


def navigation(
    sections: Mapping[str, Iterable[str]], titles: Mapping[str, str], pages: Iterable[str]
) -> list[dict[str, Any]]:
    """``pages`` are names without their ending. A name without a page is passed over, an empty section left out."""
    there = set(pages)
    named = {one for names in sections.values() for one in names}
    found = []
    for section, names in sections.items():
        chosen = [one for one in names if one in there] + (sorted(there - named) if section == LAST else [])
        if chosen:
            found.append({titles[section]: [f"{one}.md" for one in chosen]})
    return found
