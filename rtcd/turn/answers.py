"""`Answers`: what was answered a moment ago to requests that must not be carried out twice, for when they come again.

A datagram is sent again if its answer was lost. Permissions, channels and a longer lifetime may be asked for twice with no
harm, so only the others are kept: Allocate, and a Refresh that ends an allocation or uses up a ticket.
Source: RFC 8489 §6.3.1.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from rtcd.allocations.allocation import FiveTuple
from rtcd.stun.attributes import ERROR_CODE, LIFETIME, MOBILITY_TICKET, Malformed
from rtcd.stun.message import Message, Method, decode

KEPT_S = 40.0
"""A client gives up a request before that."""
MAX_ANSWERS = 4096
"""Answers kept at once; one more and the oldest is forgotten. Only users' requests are kept, never a stranger's."""

ATTRIBUTE_HEADER_BYTES = 4
INTEGRITY_BYTES = 16
"""So many of it are enough to tell requests of one user apart; a truncated one has no more."""


class Answer(NamedTuple):
    """An answer and the request that it is to."""

    integrity: bytes
    at: float
    data: bytes


class Answers:
    """The last of them, by five-tuple and transaction id. That a request is the same and no new one under an old id is
    told by its integrity, which covers all of it."""

    def __init__(self) -> None:
        self._table: OrderedDict[tuple[FiveTuple, bytes], Answer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def get(self, message: Message, five_tuple: FiveTuple, now: float) -> bytes | None:
        """The answer to this authenticated request, if it came before."""
        if not self._table:
            return None
        found = self._table.get((five_tuple, message.transaction_id))
        if found is None or not 0 <= now - found.at < KEPT_S or found.integrity != _integrity(message):
            return None
        return found.data

    def keep(self, message: Message, five_tuple: FiveTuple, now: float, data: bytes) -> None:
        """This was answered to an authenticated request."""
        table, key = self._table, (five_tuple, message.transaction_id)
        table.pop(key, None)
        table[key] = Answer(_integrity(message), now, data)
        while len(table) > MAX_ANSWERS or not 0 <= now - next(iter(table.values())).at < KEPT_S:
            table.popitem(last=False)


def _integrity(message: Message) -> bytes:
    start = (message.integrity_sha256_at or message.integrity_at) + ATTRIBUTE_HEADER_BYTES
    return message.raw[start : start + INTEGRITY_BYTES]


def is_done_once(message: Message) -> bool:
    """Whether a request that was answered would be answered otherwise if it were carried out again."""
    if message.method is Method.REFRESH:
        try:
            return MOBILITY_TICKET in message or message.get(LIFETIME) == 0
        except Malformed:
            return False
    return message.method is Method.ALLOCATE


def code_of(answer: bytes) -> int:
    """The error code of a response, 0 for success."""
    error = decode(answer).get(ERROR_CODE)
    return error[0] if error is not None else 0
