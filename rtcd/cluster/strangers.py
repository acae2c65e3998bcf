"""`Strangers`: nodes that share our rooms and sign with a secret that is not accepted here.

What such a node hands out (TURN passwords, invitations) does not hold here, although one client may be led to both. Each
node shows a mark of its secret beside its beat; one of a release without marks shows none, and nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Signer(Protocol):
    """What signs here: `rtcd.ice.credentials.Credentials`."""

    def mark(self, node: bytes) -> bytes:
        """What a node of this name shows of the secret that it signs with."""

    def accepts(self, node: bytes, mark: bytes) -> bool:
        """Whether what the node of this mark signs holds here."""


class Strangers:
    """Those that one node sees at one place."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._doubtful: frozenset[bytes] = frozenset()
        self.count = 0
        """How many there are."""

    def mark(self, node: str) -> bytes:
        """Ours; another one when the secret has changed."""
        return self._signer.mark(node.encode())

    def see(self, marks: Iterable[tuple[bytes, bytes]]) -> bool:
        """These are the marks of the living nodes. Whether there are strangers now and were none, or the other way around.
        One has to be seen twice: at a reload a mark is as old as the beat that brought it."""
        doubtful = frozenset(node for node, mark in marks if not self._signer.accepts(node, mark))
        before, self.count = self.count, len(doubtful & self._doubtful)
        self._doubtful = doubtful
        return bool(self.count) != bool(before)
