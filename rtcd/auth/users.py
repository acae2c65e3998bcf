"""The text of a users file: who is in it, and changes to it that leave every other line alone.

A line is a user as in ``[turn] user``, which the authenticator reads; it may be blank, or a comment that begins with ``#``.
The file itself is read by rtcd.auth.userfile and written by rtcd.cli.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping

from rtcd.auth.authenticator import Keys
from rtcd.stun.attributes import MAX_USERNAME_BYTES
from rtcd.stun.integrity import opaque_string

MAX_FILE_BYTES = 2**22
"""Room for `rtcd.auth.authenticator.MAX_USERS` and a comment for each; a file that is longer is something else."""


def decode(data: bytes) -> str:
    """The text of a users file. Raises ValueError for what is none."""
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"is longer than {MAX_FILE_BYTES} bytes; use time-limited names for so many users")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8; save it as that") from None


def parse(text: str, keys: Callable[[Iterable[str]], dict[str, Keys]], others: Mapping[str, Keys]) -> dict[str, Keys]:
    """The users of the text and the ``others``, who are in the ini. ``keys`` reads lines, as the authenticator's
    `parse_users` does. Raises ValueError that never tells a password."""
    found = keys(line.strip() for line in text.split("\n"))
    both = sorted(found.keys() & others.keys())
    if both:
        raise ValueError(f"{both[0]!r} is in user as well; keep one of the two")
    return {**others, **found}


def names(text: str) -> list[str]:
    """Who is in it, in the order of the lines."""
    return [name for name in map(_name, text.split("\n")) if name]


def checked_name(name: str) -> str:
    """``name`` as it is stored. Raises ValueError if no line could hold it."""
    if not name or name != name.strip() or ":" in name or name.startswith("#") or any(
            unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in name):
        raise ValueError("a name has no colon, no # in front, no blank at its ends and no control characters")
    stored = opaque_string(name)  # which may be twice as long
    if len(stored.encode()) > MAX_USERNAME_BYTES:
        raise ValueError(f"a name has at most {MAX_USERNAME_BYTES} bytes")
    return stored


def put(text: str, name: str, key: str) -> str:
    """The text with this user, in the place of an older line of his, else at the end."""
    lines = text.split("\n")
    fresh = f"{name}:{key}"
    for at, line in enumerate(lines):
        if _name(line) == name:
            lines[at] = fresh
            return "\n".join(lines)
    if lines[-1]:
        lines.append("")
    return "\n".join([*lines[:-1], fresh, ""])


def without(text: str, name: str) -> str:
    """The text without this user; itself if he is not in it."""
    return "\n".join(line for line in text.split("\n") if _name(line) != name)


def _name(line: str) -> str:
    """Whose line it is; nobody's if it is blank or a comment."""
    line = line.strip()
    return "" if line.startswith("#") else opaque_string(line.partition(":")[0])
