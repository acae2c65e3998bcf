"""`Outbox`: what is to be sent to the operator's webhook, in its order, and when it is tried again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MAX_QUEUED = 1000
"""One more is dropped: whoever listens has been away for long."""
PAUSES_S = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Between the tries for one message; after the last one it is given up."""


@dataclass(slots=True)
class Message:
    """One event."""

    id: str
    """The same at every try, so that a message that came twice can be told."""
    body: bytes
    due: float
    tries: int = 0


class Outbox:
    """A bounded queue. The first message holds up the others, so that they arrive in their order."""

    def __init__(self) -> None:
        self._queue: deque[Message] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, message_id: str, body: bytes, now: float) -> bool:
        """Queue a message; False if there is no room."""
        if len(self._queue) >= MAX_QUEUED:
            return False
        self._queue.append(Message(message_id, body, now))
        return True

    def next_deadline(self) -> float | None:
        """When the first one is to be tried, or None."""
        return self._queue[0].due if self._queue else None

    def first(self, now: float) -> Message | None:
        """The one to try now."""
        return self._queue[0] if self._queue and self._queue[0].due <= now else None

    def done(self) -> None:
        """The first one has arrived, or will never."""
        self._queue.popleft()

    def failed(self, now: float) -> bool:
        """The first one did not arrive. True if it is given up; else it is tried again later."""
        message = self._queue[0]
        message.tries += 1
        if message.tries > len(PAUSES_S):
            self._queue.popleft()
            return True
        message.due = now + PAUSES_S[message.tries - 1]
        return False

    def clear(self, but: int = 0) -> int:
        """Forget all but the first so many; how many those were."""
        count = max(0, len(self._queue) - but)
        for _ in range(count):
            self._queue.pop()
        return count
