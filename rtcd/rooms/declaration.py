"""What a page says of itself when it joins: the body of ``/join``. Whoever sends none, or another one, is an app."""

from __future__ import annotations

import hmac
import re
import unicodedata
from dataclasses import dataclass

import msgspec

from rtcd.rooms.records import Card, Secret

MAX_BODY_BYTES = 4096
"""A longer body is no declaration."""

MAX_SHOWN_CHARS = 40
"""What is left of a page's name."""

MAX_PASSWORD_CHARS = 128
"""A longer password is never right, and cannot be set."""

SALT_BYTES = 16
"""Random bytes that a password's hash is made with."""

_TAG = re.compile(r"[0-9a-f]{16}")

_REORDERING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the writing direction of what stands behind a name."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """A page that wants to join."""

    card: Card
    password: str = ""
    was: str = ""
    """The client that it was before, if it comes back; it alone can know the name."""


class _Page(msgspec.Struct):
    id: str
    name: str = ""
    password: str | None = None
    was: str | None = None


class _Body(msgspec.Struct):
    page: _Page


_decode = msgspec.json.Decoder(_Body).decode


def declared(body: bytes) -> Declaration | None:
    """Read ``{"page": {"id": …, "name": …, "password": …, "was": …}}``; None if it is anything else."""
    if not body or len(body) > MAX_BODY_BYTES:
        return None
    try:
        page = _decode(body).page
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not _TAG.fullmatch(page.id):
        return None
    return Declaration(Card(page.id, shown(page.name)), page.password or "", page.was or "")


def shown(name: str) -> str:
    """A name as others see it: one line without control characters, at most `MAX_SHOWN_CHARS` long."""
    plain = "".join(one for one in _REORDERING.sub("", name) if one.isspace() or unicodedata.category(one) != "Cc")
    return " ".join(plain.split())[:MAX_SHOWN_CHARS].strip()


def hashed(password: str, salt: bytes) -> Secret | None:
    """What is kept of a password; None of one that is empty. Raises ValueError if it is too long.

    Spaces around it do not count, nor does the way in which a keyboard makes its accents.
    """
    text = unicodedata.normalize("NFC", password.strip())
    if len(text) > MAX_PASSWORD_CHARS:
        raise ValueError(f"a password may have {MAX_PASSWORD_CHARS} characters")
    return Secret(salt, hmac.digest(salt, text.encode(), "sha256")) if text else None


def matches(secret: Secret, password: str) -> bool:
    """Whether this is the password."""
    try:
        found = hashed(password, secret.salt)
    except ValueError:
        return False
    return found is not None and hmac.compare_digest(found.digest, secret.digest)
