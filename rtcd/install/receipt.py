"""`Receipt`: what an installation has made, so that removing it takes that and nothing else. JSON in a file of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_BYTES = 65536
"""A receipt has a dozen lines."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """``files``: path to SHA-256 of what was written there. ``program``: whether the virtual environment is ours too.
    ``enabled``: units that were enabled."""

    version: str
    files: Mapping[str, str] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    program: bool = False
    enabled: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The text of the file."""
        return (json.dumps({
            "version": self.version, "files": dict(sorted(self.files.items())), "directories": list(self.directories),
            "program": self.program, "enabled": list(self.enabled)}, indent=2) + "\n").encode()


def decode(data: bytes) -> Receipt:
    """Read one. Raises ValueError with a sentence."""
    try:
        found = json.loads(data)
        receipt = Receipt(found["version"], dict(found["files"]), tuple(found["directories"]), found["program"],
                          tuple(found["enabled"]))
    except (ValueError, KeyError, TypeError):
        raise ValueError("is no record of an installation") from None
    texts = (receipt.version, *receipt.files, *receipt.files.values(), *receipt.directories, *receipt.enabled)
    if not isinstance(receipt.program, bool) or not all(isinstance(one, str) for one in texts):
        raise ValueError("is no record of an installation")
    return receipt


def digest(data: bytes) -> str:
    """What a receipt keeps of a file."""
    return hashlib.sha256(data).hexdigest()
