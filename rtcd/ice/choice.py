"""Which TURN nodes a client is given: those that serve, near ones first, the same for a room as long as they serve. Rules
only.

The choice is by rendezvous: each node's score for a room is a hash of both, so that every daemon chooses alike without a
word between them, both ends of a call mostly get the same node, and a node that dies moves its own rooms alone. A score is
the weight by the negative logarithm of the hash as a share of one: a node of weight 2 comes first for twice as many rooms.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from rtcd.ice.health import DOUBT
from rtcd.ice.nodes import Node, Servers

MAX_NAMED = 2
"""Nodes of one answer: a second one, so that a call can leave the first at once; each is one more relay for every call."""


class Choice(NamedTuple):
    """What a client is given."""

    nodes: tuple[Node, ...]
    fallback: bool
    """Whether no node was usable and others were taken: perhaps it is we who cannot reach them."""


def score(node: Node, key: str) -> float:
    """The higher the better, for a room or client ``key``."""
    digest = hashlib.sha256(f"{key}\0{node.name}".encode("utf-8", "surrogatepass")).digest()
    share = (int.from_bytes(digest[:8], "big") + 0.5) / 2**64
    return -node.weight / math.log(share) if share < 1 else math.inf


def choose(nodes: Collection[Node], rank: Callable[[Node], int], region: str, key: str) -> Choice:
    """At most `MAX_NAMED`, the best first. ``rank``: 0 for a usable node, else the more the less is to be hoped of it, see
    `rtcd.ice.health.Health.rank`; those in doubt are taken only if none else is usable, and those above only if none is.
    ``region``: where the client is, empty if that is not known; those that are there go first, and others fill what is left.
    """
    ranks = {one: rank(one) for one in nodes}
    best = min(ranks.values(), default=0)
    serving = [one for one, place in ranks.items() if place == best <= DOUBT]
    ranked = sorted(serving or ranks, key=lambda one: (
        ranks[one], bool(region) and one.region != region, -score(one, key), one.name))
    return Choice(tuple(ranked[:MAX_NAMED]), not serving and bool(ranked))


def urls_of(chosen: Sequence[Node], servers: Servers, answers: Callable[[Node], bool]) -> tuple[list[str], list[str]]:
    """TURN and STUN URLs of an answer: every TURN URL of the first node, and of the second the first, since each is one more
    relay for every call. ``answers``: whether a node answers STUN's Binding."""
    turn = [url for place, node in enumerate(chosen) for url in (node.turn[:1] if place else node.turn)]
    stun = [url for node in chosen if answers(node) for url in node.stun]
    return turn, [*stun, *servers.others]
