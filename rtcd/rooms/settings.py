"""The ``[rooms]`` section."""

from __future__ import annotations

from dataclasses import dataclass

from rtcd.config import option
from rtcd.rooms.records import Limits


@dataclass(frozen=True, slots=True)
class RoomsSettings:
    """Shared by every service that touches rooms."""

    join_timeout: float = option(
        45.0, "Seconds a client that has joined may take to open its WebSocket before its seat is free again.",
        minimum=1, maximum=600)
    register_timeout: float = option(
        10.0, "Seconds a client that posted without joining (require-join = no) may take to register.",
        minimum=1, maximum=600)
    grace: float = option(
        10.0, "Seconds a client whose WebSocket was lost may take to come back; then its seat is free and the other "
        "client is told bye.", minimum=0, maximum=600)
    page_grace: float = option(
        30.0, "The same for the call page, whose calls go on meanwhile.", minimum=0, maximum=600)
    capacity: int = option(
        6, "How many call pages a room takes, each connected to each. With a phone app in it a room takes two.",
        minimum=2, maximum=6)
    lifetime: float = option(
        86400.0, "Seconds without any change after which a room is closed.", minimum=60)
    max_rooms: int = option(10000, "How many rooms there may be at once.", minimum=1)
    max_clients_per_address: int = option(
        200, "How many seats the clients of one address may hold; behind one office address there can be many people.",
        minimum=1)
    max_messages: int = option(1024, "How many messages may wait for a client that is not there yet.", minimum=1)
    max_queue_bytes: int = option(1048576, "How many bytes one client's waiting messages may have.", minimum=1024)
    max_queue_bytes_per_address: int = option(
        16777216, "The same for all clients of one address.", minimum=1024)
    max_queue_bytes_total: int = option(134217728, "The same for all clients.", minimum=1024)

    @property
    def limits(self) -> Limits:
        """The part that the rules need."""
        return Limits(
            self.max_messages, self.max_queue_bytes, self.join_timeout, self.register_timeout, self.grace, self.lifetime,
            self.page_grace, self.capacity)
