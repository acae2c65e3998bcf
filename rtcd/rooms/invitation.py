"""Invitations: links by which somebody gets into a room that asks strangers for more than its name.

An invitation is ``<Unix time of expiry>.<name>.<signature>``, name and signature in base64url. It is signed for one room
with a key that is made of the daemon's secret for this purpose alone (`rtcd.ice.credentials.Credentials.keys`), so nothing
is stored: it is good until it expires, or until the secret is another one. Whoever has the link may come, as often as he
likes; the name is a proposal to the page and proves nothing.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

from rtcd.rooms.declaration import shown

PURPOSE = b"rtcd: invitations to rooms"
"""Of the key."""

MAX_CHARS = 512
"""A longer one is none: a name has at most 40 characters."""

Shown: TypeAlias = Literal["", "good", "expired"]
"""What somebody who comes has shown: no invitation to this room, one that is good, or one that was."""

_FORM = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]{43})")


def invite(key: bytes, room: str, expires_at: int, name: str = "") -> str:
    """An invitation to a room until ``expires_at`` (Unix seconds), for somebody who is perhaps called ``name``."""
    label = _encode(shown(name).encode())
    return f"{expires_at}.{label}.{_encode(_sign(key, room, str(expires_at), label))}"


def examine(keys: Iterable[bytes], room: str, text: str, now: float) -> Shown:
    """What ``text`` is worth in this room; ``keys`` are those that invitations may be signed with."""
    found = _FORM.fullmatch(text) if len(text) <= MAX_CHARS else None
    if found is None:
        return ""
    expiry, label, signature = found.groups()
    signed = False
    for key in keys:
        right = _encode(_sign(key, room, expiry, label))
        signed = hmac.compare_digest(right, signature) or signed
    if not signed:
        return ""
    return "good" if now < int(expiry) else "expired"


def _sign(key: bytes, room: str, expiry: str, label: str) -> bytes:
    return hmac.digest(key, json.dumps([room, expiry, label]).encode(), "sha256")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
