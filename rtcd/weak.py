"""What nobody should rely on as a password or a secret, because it can be guessed."""

from __future__ import annotations

from collections.abc import Iterable

MIN_PASSWORD_CHARS = 8
"""A relay answers fast, and from every address again, so what is shorter is found by trying."""

MIN_DIGITS = 12
"""Digits alone have to be more, for the same reason."""

KNOWN = frozenset((
    "admin", "apprtc", "changeme", "coturn", "credential", "default", "guest", "letmein", "mypassword", "mysecret", "north",
    "openrelayproject", "passw0rd", "password", "password1", "password123", "qwerty", "qwertyuiop", "root", "secret",
    "secret123", "shared_secret", "sharedsecret", "static-auth-secret", "test", "test1234", "turn", "turnpassword",
    "turnserver", "username", "webrtc", "webrtc123", "your-secret", "yourpassword", "yoursecret", "yourstaticauthsecret",
))
"""What examples print, and what is tried first."""


def weakness(text: str, names: Iterable[str] = ()) -> str:
    """Why the password or secret is weak, as the end of a sentence; empty if it is not, as far as can be told.

    ``names`` are words that stand beside it, such as the user's name."""
    low = text.strip().lower()
    if any(low == one.strip().lower() for one in names):
        return "is the same as the user name"
    if low in KNOWN:
        return "is printed in guides"
    if len(low) < MIN_PASSWORD_CHARS:
        return f"has {len(low)} character{'' if len(low) == 1 else 's'} only"
    if low.isdigit() and len(low) < MIN_DIGITS:
        return "is nothing but digits"
    if len(set(low)) <= 2:
        return "is one character over and over"
    return ""
