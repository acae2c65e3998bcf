"""`Diary`: counts what happens in rooms, and writes down, at the level debug, who came and who is gone.

What clients say is counted and never kept. Lines call a client by its tag, see rtcd.ice.tags.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from rtcd.log import debugging
from rtcd.metrics import Metrics
from rtcd.rooms.outcome import Came, Gone, TurnedAway
from rtcd.words import word


class Diary:
    """A `rtcd.rooms.outcome.Listener`. ``tag(room, client)`` tells what a client is called."""

    _log = Logger()

    def __init__(self, metrics: Metrics, tag: Callable[[str, str], object]) -> None:
        self._tag = tag
        self._debug = self._log.debug  # each look-up through the class makes a new Logger
        self._came = metrics.counter("rooms", "came", "Clients that have taken a seat.")
        self._gone = metrics.counter("rooms", "gone", "Clients that have lost their seat, for whatever reason.")
        self._said = metrics.counter("rooms", "messages", "Messages that clients have given for others in their room.")

    def said(self, room: str, client: str, text: str, here: bool = True) -> None:
        """See `rtcd.rooms.outcome.Listener`. What another daemon was told is counted there."""
        if here:
            self._said.value += 1

    def happened(self, room: str, news: Came | Gone | TurnedAway, *, here: bool = True) -> None:
        """See `rtcd.rooms.outcome.Watcher`. What another daemon did is counted there."""
        if not here:
            return
        if isinstance(news, Came):
            self._came.value += not news.seated
            if debugging():
                self._debug("client_came tag={tag} room={room}", tag=self._tag(room, news.client), room=word(room))
        elif isinstance(news, Gone):
            self._gone.value += 1
            if debugging():
                self._debug("client_gone tag={tag} room={room}", tag=self._tag(room, news.client), room=word(room))
