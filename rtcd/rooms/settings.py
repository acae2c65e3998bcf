"""The ``[rooms]`` section."""

from __future__ import annotations

from dataclasses import dataclass

from rtcd.cluster.address import MEMORY, Address, parse_all
from rtcd.config import option
from rtcd.rooms.records import MAX_CAPACITY, Limits


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
        minimum=2, maximum=MAX_CAPACITY)
    lifetime: float = option(
        86400.0, "Seconds without any change after which a room is closed.", minimum=60)
    call_records: float = option(
        24.0, "Hours that a record of each call is kept, from which rtcd tells why it failed or by which path it went; "
        "0: none is made. Who came is in it by letters, addresses as networks.", minimum=0, maximum=744)
    max_rooms: int = option(10000, "How many rooms there may be at once.", minimum=1)
    max_clients_per_address: int = option(
        200, "How many seats the clients of one address may hold; behind one office address there can be many people.",
        minimum=1)
    max_messages: int = option(1024, "How many messages may wait for a client that is not there yet.", minimum=1)
    max_queue_bytes: int = option(1048576, "How many bytes one client's waiting messages may have.", minimum=1024)
    max_queue_bytes_per_address: int = option(
        16777216, "The same for all clients of one address.", minimum=1024)
    max_queue_bytes_total: int = option(134217728, "The same for all clients.", minimum=1024)

    store: tuple[str, ...] = option(
        (MEMORY,), "Where rooms are kept. memory: in this process. Several machines share them on Redis: "
        "redis://HOST:6379/0, rediss:// with TLS, redis+sentinel://HOST1,HOST2/NAME where Sentinels know the master; with "
        ":PASSWORD@ before the host, or store-password. Several lines: each has its share of the rooms.", secret=True)
    store_password: str | None = option(None, "The password of Redis, if store names none.", secret=True)
    store_prefix: str = option("rtcd:", "What every key in Redis begins with; daemons with the same one share their rooms.")
    store_ca: str | None = option(
        None, "PEM file of the authority that the certificate of Redis is from; unset: those that the system trusts.",
        path=True)

    def __post_init__(self) -> None:
        """Raises ValueError for a store that is none; no password is in its text."""
        try:
            found = self.redis
        except ValueError as error:
            raise ValueError(f"store: {error}") from None
        if self.store_ca and not any(one.tls for one in found):
            raise ValueError("store-ca: is read for rediss:// alone; change the URL in store or remove this key")
        if self.store_password and not found:
            raise ValueError("store-password: memory has no password; name a Redis in store or remove this key")

    @property
    def redis(self) -> tuple[Address, ...]:
        """The places that share the rooms among them; none: they are kept in this process."""
        return parse_all(self.store, self.store_password)

    @property
    def limits(self) -> Limits:
        """The part that the rules need."""
        return Limits(
            self.max_messages, self.max_queue_bytes, self.join_timeout, self.register_timeout, self.grace, self.lifetime,
            self.page_grace, self.capacity)
