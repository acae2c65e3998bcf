"""Who may read a file, by the mode bits of the file and of the folders on the way to it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

EVERYBODY = -1
"""A user whom nothing belongs to: what is open to him is open to all, but for the owner of a file that shuts himself out."""


def closed_to(path: Path, user: int = EVERYBODY, groups: frozenset[int] = frozenset()) -> list[Path]:
    """What keeps a user from reading a file: folders that he may not enter, and the file. Raises OSError."""
    if user == 0:
        return []
    found = []
    for way in dict.fromkeys((path.absolute(), path.resolve(strict=True))):  # a link is followed by folders of its own
        found += [one for one in reversed(way.parents) if not _may(one.stat(), user, groups, 1)]
    real = path.resolve()
    return list(dict.fromkeys([*found, *([] if _may(real.stat(), user, groups, 4) else [real])]))


def _may(status: os.stat_result, user: int, groups: frozenset[int], bit: int) -> bool:
    mode = stat.S_IMODE(status.st_mode)
    shift = 6 if status.st_uid == user else 3 if status.st_gid in groups else 0
    return bool(mode >> shift & bit)
