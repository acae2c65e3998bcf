"""What of the messages of `talkers` did not come, and whether a node that ended is the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.interop.talkers import UNANSWERED, Client, Held, Place


@dataclass(frozen=True)
class Blow:
    """Something that was done to a node."""

    place: Place
    at: float
    killed: bool
    """Or cut off: it passed nothing on any more."""


@dataclass
class Losses:
    """What did not come, of all that was sent."""

    on_the_way: int = 0
    """Went through the sender's own node when that ended, or were not answered, or said by one who was refused."""
    to_the_dead: int = 0
    """Were for a client whose node had been killed and which was not back yet."""
    faults: list[str] = field(default_factory=list)
    """All others."""

    def look(self, sender: Client, receiver: Client, blows: Sequence[Blow], slack_s: float) -> None:
        """At one direction of a call. What was sent up to ``slack_s`` before a blow may have been on its way then."""
        for number in sorted(sender.story.sent.keys() - receiver.story.came):
            one = sender.story.sent[number]
            held = sender.story.sockets[one.socket - 1] if one.socket > 0 else None
            if one.socket == UNANSWERED or (held and (held.refused or _ended(held, one.at, blows, slack_s))):
                self.on_the_way += 1
            elif any(blow.killed and _deaf(receiver, blow, one.at, slack_s) for blow in blows):
                self.to_the_dead += 1
            else:
                self.faults.append(
                    f"{number} of {sender.room}, sent at {one.at:.2f} by {one.socket or 'POST'}; the other's: "
                    + ", ".join(f"{held.place.address[0]} {held.since or 0:.2f}-{held.until:.2f}"
                                for held in receiver.story.sockets)
                    + f"; blows: {[(blow.place.address[0], round(blow.at, 2)) for blow in blows]}")


def _ended(held: Held, at: float, blows: Sequence[Blow], slack_s: float) -> bool:
    return any(blow.place is held.place and blow.at - slack_s <= at <= held.until for blow in blows)


def _deaf(receiver: Client, blow: Blow, at: float, slack_s: float) -> bool:
    """Whether a message of that moment was for a socket at a node that had been killed."""
    sockets = [one for one in receiver.story.sockets if one.since is not None]
    if not any(one.place is blow.place and (one.since or 0) <= blow.at <= one.until + slack_s for one in sockets):
        return False
    return blow.at - slack_s <= at <= min((one.since or 0 for one in sockets if (one.since or 0) > blow.at), default=at)
