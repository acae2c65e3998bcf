"""Ports that are held for a second Allocate: EVEN-PORT with its R bit, and the RESERVATION-TOKEN that claims them.

The plane holds the sockets; here is for how long, and for which token. Source: RFC 8656 §7.2 steps 6 to 8.
"""

from __future__ import annotations

from typing import NamedTuple

from rtcd.stun.attributes import Family

RESERVATION_S = 30.0
"""How long a port is held."""
MAX_RESERVATIONS = 500
"""Ports held at once; one more is answered with 508."""
TOKEN_BYTES = 8


class Reservation(NamedTuple):
    """A port that is held."""

    family: Family
    host: str
    expires_at: float
    user: str
    """Whose quota it counts against until it is claimed, and ..."""
    network: str
    """... that of which client network."""


class Reservations:
    """All of them, by token. A token is good once, for whoever brings it."""

    def __init__(self) -> None:
        self._held: dict[bytes, Reservation] = {}
        self._deadline: float | None = None

    @property
    def full(self) -> bool:
        """Whether not one more may be held."""
        return len(self._held) >= MAX_RESERVATIONS

    def add(self, token: bytes, family: Family, host: str, user: str, network: str, now: float) -> None:
        """The plane holds a port under this token from now on."""
        self._held[token] = Reservation(family, host, now + RESERVATION_S, user, network)
        self._find_deadline()

    def held(self, now: float, but: bytes) -> list[Reservation]:
        """What is held for quotas to count, ``but`` for the token that is about to be used."""
        return [one for token, one in self._held.items() if now < one.expires_at and token != but]

    def get(self, token: bytes, now: float) -> Reservation | None:
        """What is held under a token, unless its time is over."""
        found = self._held.get(token)
        return found if found is not None and now < found.expires_at else None

    def remove(self, token: bytes) -> None:
        """It is used, or given up."""
        if self._held.pop(token, None) is not None:
            self._find_deadline()

    def next_deadline(self) -> float | None:
        """When the first one ends, or None."""
        return self._deadline

    def ended(self, now: float) -> list[bytes]:
        """The tokens whose time is over; they stay until `remove`."""
        return [token for token, one in self._held.items() if now >= one.expires_at]

    def _find_deadline(self) -> None:
        """Here, since reservations are rare and every packet asks for the deadline."""
        self._deadline = min((one.expires_at for one in self._held.values()), default=None)
