"""`Source`: the bytes of one input, read as decisions. It never ends: behind the last byte there are zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Source:
    """Few bytes a decision, the same ones always, so that a changed byte changes one decision."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Whether there is a byte left."""
        return self._at < len(self._data)

    def byte(self) -> int:
        """The next one."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def number(self, size: int) -> int:
        """Of so many bytes."""
        return int.from_bytes(bytes(self.byte() for _ in range(size)), "big")

    def flag(self) -> bool:
        """One time in two."""
        return bool(self.byte() & 1)

    def rarely(self) -> bool:
        """One time in sixteen."""
        return self.byte() >= 0xF0

    def pick(self, choices: Sequence[T]) -> T:
        """One of at most 256."""
        return choices[self.byte() % len(choices)]

    def take(self, most: int = 255) -> bytes:
        """Some bytes, told by their number; fewer at the end."""
        size = min(self.byte(), most)
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def rest(self) -> bytes:
        """All that is left."""
        found = self._data[self._at :]
        self._at = len(self._data)
        return found
