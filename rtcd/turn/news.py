"""What happens to users of TURN, for whoever asked to be told (``turn.observe``): values, no rules.

Told are beginnings, refusals and ends; nothing is told for a packet, nor for a refresh that goes well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from rtcd.allocations.allocation import Traffic


@dataclass(frozen=True, slots=True)
class Challenged:
    """Somebody asked for an allocation without credentials, as every client does first, and was told to bring some."""

    host: str
    transport: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A request of ``user`` was answered with an error."""

    user: str
    """Without the time in front of it. One whose password was wrong has not proved to be that user."""
    method: str
    """``allocate``, ``refresh``, …; empty where only the password is known to be wrong."""
    code: int
    reason: str = ""
    """Which limit it was, if it was one."""


@dataclass(frozen=True, slots=True)
class Denied:
    """A relay of ``user`` may not reach this peer."""

    user: str
    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class Began:
    """``user`` has an allocation, by way of ``transport``: ``udp``, ``tcp``, ``tls`` or ``dtls``."""

    user: str
    transport: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An allocation is gone."""

    user: str
    transport: str
    reason: str
    """``refreshed to 0``, ``expired``, ``client left``, ``shut down``."""
    traffic: Traffic


TurnNews: TypeAlias = Challenged | Failed | Denied | Began | Ended


class Listener(Protocol):
    """Is told; never waits. What it raises is logged and changes nothing."""

    def __call__(self, news: TurnNews, /) -> object:
        """Something happened."""
