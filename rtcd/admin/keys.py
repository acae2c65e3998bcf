"""Who may do what: scopes, and the file of API keys. The keys themselves are not in it, only what they hash to.

A line of the file is ``name:scope,scope:SHA-256 of the key in hexadecimal``; ``rtcd admin-key`` makes one with its key.
A key has 256 random bits, so one round of SHA-256 is enough.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

SCOPES = {
    "read": "see rooms, calls, relays, figures and the state of the daemon",
    "rooms": "make rooms, invite into them, lock them, send them by relays, and close them",
    "kick": "remove people from rooms, and end relays",
    "credentials": "get TURN credentials for others",
    "drain": "have the configuration read again, and let the daemon end with its last call",
}
"""What each allows."""

ALL = frozenset(SCOPES)

MAX_KEYS = 1000
MAX_FILE_BYTES = 262144
KEY_BYTES = 32
PREFIX = "rtcd_"
"""Keys begin with this, so that programs which look for secrets in the wrong place recognise them."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks, and what he may do."""

    name: str
    scopes: frozenset[str]
    session: bool = False
    """He comes with a cookie, which a browser sends whoever made it ask."""


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the file."""

    name: str
    scopes: frozenset[str]
    digest: str


def parse(text: str) -> tuple[Key, ...]:
    """Read the file. Raises ValueError that names the line, but nothing of what stands in it."""
    found: dict[str, Key] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        try:
            key = _key(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if key.name in found:
            raise ValueError(f"line {number}: the name {key.name} is there twice; remove one of the lines")
        found[key.name] = key
    if len(found) > MAX_KEYS:
        raise ValueError(f"holds more than {MAX_KEYS} keys")
    return tuple(found.values())


def checked_scopes(text: str) -> frozenset[str]:
    """Scopes with commas between them. Raises ValueError."""
    scopes = frozenset(one.strip() for one in text.split(","))
    wrong = sorted(scopes - ALL)
    if wrong:
        raise ValueError(f"{', '.join(wrong) or 'nothing'} is no scope; write some of {', '.join(SCOPES)}")
    return scopes


def checked_name(name: str) -> str:
    """A name for a key. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 letters, digits and . _ -")
    return name


def digest(secret: str) -> str:
    """What is kept of a key or a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def make(name: str, scopes: str, token: Callable[[int], str]) -> tuple[str, str]:
    """A new key, and the line for it. ``token(n)``: text made of so many unguessable bytes. Raises ValueError."""
    allowed = checked_scopes(scopes)
    secret = PREFIX + token(KEY_BYTES)
    return secret, f"{checked_name(name)}:{','.join(one for one in SCOPES if one in allowed)}:{digest(secret)}"


def find(keys: Iterable[Key], given: str) -> Key | None:
    """Whose key it is; takes as long whether there is one or not."""
    found, shown = None, digest(given)
    for key in keys:
        if hmac.compare_digest(key.digest, shown):
            found = key
    return found


def _key(line: str) -> Key:
    parts = line.split(":")
    if len(parts) != 3:
        raise ValueError("is not name:scopes:hash; make one with: rtcd admin-key NAME --scopes read,rooms")
    name, scopes, hashed = (one.strip() for one in parts)
    if not _DIGEST.fullmatch(hashed):
        raise ValueError("the third part is no SHA-256 in 64 small hexadecimal digits")
    return Key(checked_name(name), checked_scopes(scopes), hashed)
