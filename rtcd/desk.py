"""`Desk`: where services say what they can be asked, for those who look after the daemon: admin, doctor, records of calls.

A topic is ``service.noun`` for what is asked and ``service.verb`` for what is done. Whoever offers a topic says in its
docstring what it takes and returns; values are plain records, so that they can be shown. Nothing of a packet's or a
message's path goes over the desk. The service behind a topic may be off: whoever asks looks whether it is offered, and does
without what it would say, as the check of phones does without the sights of a relay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class NotOffered(LookupError):
    """Nobody offers the topic: the service is not on."""


class Desk:
    """Topics by name; each is offered by one service."""

    def __init__(self) -> None:
        self._offered: dict[str, Callable[..., Any]] = {}

    def offer(self, topic: str, answer: Callable[..., Any]) -> None:
        """From now on ``ask(topic, ...)`` is ``answer(...)``. Raises ValueError if somebody offers it already."""
        if topic in self._offered:
            raise ValueError(f"{topic} is offered already")
        self._offered[topic] = answer

    def ask(self, topic: str, *arguments: Any) -> Any:
        """What the topic's service answers, perhaps a coroutine. Raises `NotOffered`, and whatever the service raises."""
        if topic not in self._offered:
            raise NotOffered(topic)
        return self._offered[topic](*arguments)

    async def answer(self, topic: str, *arguments: Any) -> Any:
        """The same for who can wait: what the service answers, when it has."""
        found = self.ask(topic, *arguments)
        return await found if hasattr(found, "__await__") else found

    def offers(self, topic: str) -> bool:
        """Whether it can be asked."""
        return topic in self._offered
