"""The configuration as the parent hands it to its workers: the settings themselves, and no names of files to read.

So a worker that is started again is what the others are, whatever stands in the ini by now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


def packed(settings: Mapping[str, Any]) -> bytes:
    """Section to settings, as bytes."""
    return msgspec.msgpack.encode(dict(settings))


def unpacked(data: bytes, schemas: Mapping[str, type[Any]]) -> dict[str, Any]:
    """What `packed` was given. ``schemas``: section to dataclass. Raises ValueError for what is none of it."""
    sections = msgspec.msgpack.decode(data, type=dict[str, msgspec.Raw])
    return {name: msgspec.msgpack.decode(text, type=schemas[name]) for name, text in sections.items()}
