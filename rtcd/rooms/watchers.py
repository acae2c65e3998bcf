"""`Watchers`: who is told what happens in the rooms of a store, and what is said in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.logger import Logger

from rtcd.rooms.outcome import News, Said, Watcher

Listener = Callable[[str, str, str, bool], object]
"""``said(room, client, text, here)`` of a `rtcd.rooms.outcome.Listener`."""


class Watchers:
    """Of one store. What one of them raises is logged, and the next is told all the same."""

    _log = Logger()

    def __init__(self) -> None:
        self._all: list[Watcher] = []
        self._listeners: list[Listener] = []

    def __bool__(self) -> bool:
        return bool(self._all)

    @property
    def listen(self) -> bool:
        """Whether somebody wants to be told what is said."""
        return bool(self._listeners)

    def add(self, watcher: Watcher) -> None:
        """From now on tell this one too. Who has no ``said`` is not told of texts, of which there are far more than of
        anything else."""
        self._all.append(watcher)
        said: Listener | None = getattr(watcher, "said", None)
        if said is not None:
            self._listeners.append(said)

    def tell(self, room: str, news: Iterable[News], *, here: bool = True) -> None:
        """What is new in a room."""
        for one in news:
            if isinstance(one, Said):
                self.said(room, one.client, one.text, here=here)
                continue
            for watcher in self._all:
                try:
                    watcher.happened(room, one, here=here)
                except Exception:
                    self._log.failure("a watcher did not take {news}", news=type(one).__name__)

    def said(self, room: str, client: str, text: str, *, here: bool = True) -> None:
        """The news that a client has given a text for others."""
        for listener in self._listeners:
            try:
                listener(room, client, text, here)
            except Exception:
                self._log.failure("a watcher did not take {news}", news=Said.__name__)
