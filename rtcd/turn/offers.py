"""What the TURN service can be asked and told over the desk: its allocations, to end one, and users on trial.

``turn.allocations(after: int, limit: int) -> list[Account]``
    Those with a greater number, by number.
``turn.end(number: int) -> bool``
    End one at once; False if there is none of this number. Its client may make another one.
``turn.question() -> bytes``
    The transaction id of a question of the daemon's own, which is answered however many strangers ask.
``turn.look(host: str, user: str, until: float) -> bool``
    Watch for what comes from this host, and with the name of this user, who is to be one of `rtcd.peers.bound.trial_user`.
    To be asked before he is given a credential. False if too many are watched.
``turn.looked(user: str) -> list[Sight]``
    What came of him till now, as `rtcd.turn.sightings.Sight` has it.
``turn.forget(user: str)``
    The trial is over: end his allocations, let his credentials make no others, and watch no longer.
"""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Callable
from typing import Protocol

from rtcd.allocations.account import Account, account
from rtcd.desk import Desk
from rtcd.peers.bound import Bound, trial_over
from rtcd.turn.server import TurnServer
from rtcd.turn.sightings import Sightings


class Clock(Protocol):
    """Tells the time."""

    def seconds(self) -> float:
        """Unix seconds."""


def offer(
    desk: Desk, clock: Clock, server: Callable[[], TurnServer | None], changed: Callable[[], object]
) -> None:
    """``server()``: the one that runs, or None. ``changed`` is called when its deadlines may be others."""

    def allocations(after: int, limit: int) -> list[Account]:
        running, now = server(), clock.seconds()
        if running is None:
            return []
        behind = (one for one in running.allocations if one.number > after)
        chosen = heapq.nsmallest(limit, behind, key=lambda one: one.number)
        return [account(one, one.traffic.plus(running.relays(one).traffic(one)), now) for one in chosen]

    def end(number: int) -> bool:
        running = server()
        found = next((one for one in running.allocations if one.number == number), None) if running is not None else None
        if running is None or found is None:
            return False
        running.end(found, "ended by operator")
        changed()
        return True

    def question() -> bytes:
        running = server()
        own = running.own if running is not None else None
        return own.issue(clock.seconds()) if own is not None else secrets.token_bytes(12)

    desk.offer("turn.allocations", allocations)
    desk.offer("turn.question", question)
    desk.offer("turn.end", end)


def offer_sightings(
    desk: Desk, clock: Clock, server: Callable[[], TurnServer | None], sightings: Sightings, bound: Bound
) -> None:
    """Offer what concerns users on trial."""

    def forget(user: str) -> None:
        sightings.forget(user)
        trial_over(server(), bound, user, clock.seconds())

    desk.offer("turn.look", lambda host, user, until: sightings.look(host, user, until, clock.seconds()))
    desk.offer("turn.looked", sightings.looked)
    desk.offer("turn.forget", forget)
