"""What a page reports of its check, as JSON: bounded in every part, since anybody may send it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

MAX_PATHS = 32
MAX_CODES = 8
MAX_REPORT_BYTES = 16384
"""A report of `MAX_PATHS` paths has a quarter of that."""
MAX_MS = 600000


class Seen(Struct, forbid_unknown_fields=True, frozen=True):
    """How one path was, as the page has it."""

    id: Annotated[str, Meta(max_length=40)]
    ok: bool
    ms: Annotated[int, Meta(ge=0, le=MAX_MS)] | None = None
    """Round trip through it."""
    relayed: Annotated[int, Meta(ge=0, le=2)] = 0
    """TURN: how many of the two connections got a relay."""
    mapped: bool = False
    """STUN: whether a server-reflexive address was seen; a browser shows none that it has itself."""
    codes: Annotated[list[Annotated[int, Meta(ge=0, le=9999)]], Meta(max_length=MAX_CODES)] = []
    """STUN and TURN error codes; 701 says that no answer came."""
    status: Annotated[int, Meta(ge=0, le=999)] = 0
    """WebSocket: what the address answered to an ordinary request, or 0."""


class Report(Struct, forbid_unknown_fields=True, frozen=True):
    """A whole check."""

    paths: Annotated[list[Seen], Meta(max_length=MAX_PATHS)]
    webrtc: bool = True
    """Whether the browser has peer connections at all."""


def read(data: bytes) -> Report:
    """Raises ValueError, with a sentence that says what was expected where."""
    if len(data) > MAX_REPORT_BYTES:
        raise ValueError(f"A report has at most {MAX_REPORT_BYTES} bytes.")
    try:
        return msgspec.json.decode(data, type=Report)
    except msgspec.ValidationError as error:
        raise ValueError(f"The report is not what is wanted: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("The report is no JSON in UTF-8.") from None
