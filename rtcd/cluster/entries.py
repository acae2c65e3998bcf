"""`OwnEntries`: what a process waits for when it has committed: its own entry, with which the change is carried out."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from rtcd.cluster.backend import UNREACHABLE, Commit, Entry
from rtcd.rooms.outcome import Socket, StoreUnavailable

ENTRY_S = 5.0
"""How long an update that is done waits for its own entry; then it answers all the same."""


class OwnEntries:
    """Of the process that is called ``node``."""

    def __init__(self, clock: IReactorTime, node: str) -> None:
        self._clock = clock
        self._node = node
        self._waiting: dict[int, Deferred[bool]] = {}
        self._attaching: dict[int, Socket] = {}

    async def after(self, committing: Coroutine[Any, Any, int], commit: Commit, socket: Socket | None) -> int:
        """Wait until a commit is made, and its entry, if one comes back to us, is carried out. ``socket``: what its `Attach`
        is about. Returns the version. Raises StoreUnavailable if that socket may not be attached, and what ``committing``
        does."""
        serial, own = commit.serial, None
        if commit.returns(self._node):
            own = self._waiting[serial] = Deferred()
        if socket is not None:
            self._attaching[serial] = socket
        try:
            version = await committing
            if own is not None and not await self._came(own) and socket is not None:
                raise StoreUnavailable(UNREACHABLE)
            return version
        finally:
            self._waiting.pop(serial, None)
            self._attaching.pop(serial, None)

    def attached_by(self, entry: Entry) -> Socket | None:
        """The socket that an entry of ours attaches, if it does."""
        return self._attaching.get(entry.serial)

    def carried_out(self, entry: Entry) -> None:
        """One of ours has come, and was."""
        own = self._waiting.get(entry.serial)
        if own is not None and not own.called:
            own.callback(True)

    def give_up(self) -> None:
        """Entries are missing, perhaps those that are waited for."""
        for own in list(self._waiting.values()):
            if not own.called:
                own.callback(False)

    async def _came(self, own: Deferred[bool]) -> bool:
        """Whether it has come in time."""
        if own.called:
            return await own
        timer = self._clock.callLater(ENTRY_S, own.callback, False)
        came = await own
        if timer.active():
            timer.cancel()
        return came
