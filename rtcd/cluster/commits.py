"""From the outcome of a change to the one step that a backend is asked to take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from rtcd.cluster.backend import Bounds, Commit
from rtcd.cluster.codec import decode_room, encode_effects, encode_news, encode_room
from rtcd.rooms.outcome import Attach, Effect, Outcome, news
from rtcd.rooms.records import Limits, Room
from rtcd.rooms.room import next_deadline
from rtcd.rooms.snapshot import notices


class Known(NamedTuple):
    """A room as a node knows it; perhaps another one has changed it since."""

    version: int = 0
    """0: there is no such room."""
    room: Room = Room()
    holders: Mapping[str, str] = {}
    """By client that has a socket: the node that holds it. And by client that has none any more: the node that still gives
    back what came for its last one, which the client's next one waits for."""
    basis: int = 0
    """The version that it was put back from, if it was."""

    def settles(self, client: str) -> bool:
        """Whether a client's last socket is gone, and a node still gives back what came for that."""
        one = self.room.client(client)
        return one is not None and not one.registered and client in self.holders

    def held_by(self, node: str) -> list[str]:
        """The clients whose sockets a node holds."""
        return [client for client, holder in self.holders.items() if holder == node]


NO_ROOM = Known()


def known_from(version: int, value: bytes) -> Known:
    """What is known when this was read. Raises StoreUnavailable, see `rtcd.cluster.codec.decode_room`."""
    shared = decode_room(value)
    return Known(version, shared.room, shared.holders, shared.basis)


class Author(NamedTuple):
    """Who commits, and by which limits."""

    node: str
    limits: Limits
    bounds: Bounds


def commit_of(
    name: str, known: Known, outcome: Outcome[Any], by: Author, serial: int, *, attaches: bool = False, forced: bool = False,
    without: str = "", back: Known | None = None, settling: Collection[str] = (),
) -> tuple[Commit | None, Known]:
    """The step that makes ``outcome`` of the known room, and what is known when it is done, but for the version. None: there
    is nothing to do.

    ``attaches``: the author has a socket for an `Attach`. ``forced``: write the room even if it is as it was. ``without``:
    a node that is to hold no socket in it, whoever says so. ``back``: what the outcome comes from, if the store has lost it
    and is to have it back. ``settling``: clients whose sockets at the author are gone, for which it has not given back yet
    what came for these.
    """
    before, after, basis = known.room, outcome.room, back or known
    holds = dict(basis.holders)
    effects = (*outcome.effects, *notices(before, outcome, by.limits))
    inbox = _routed(effects, holds, by.node if attaches else "")
    listening = {one.id for one in after.clients if one.registered} | {one.id for one in after.departed if one.registered}
    for one in after.clients:
        if not one.registered and (one.id in settling if holds.get(one.id) == by.node else basis.settles(one.id)):
            listening.add(one.id)
    holds = {client: node for client, node in holds.items() if client in listening and node != without}
    said = news(before, outcome)
    written = forced or after is not before or holds != known.holders
    if not known.version and after.empty:
        written, after, holds = False, Room(), {}
    if not (written or inbox or said):
        return None, known
    commit = Commit(
        name, known.version, None, by.bounds, author=by.node, serial=serial,
        inbox={node: encode_effects(ones) for node, ones in inbox.items()}, news=encode_news(said) if said else b"")
    if not written:
        return commit, known
    more = _grown(Counter(one.address for one in after.clients), Counter(one.address for one in before.clients))
    queued = {} if after.clients is before.clients else _grown(after.queued_bytes(), before.queued_bytes())
    had, has = set(known.holders.values()), set(holds.values())
    holding = dict.fromkeys(has - had, 1) | dict.fromkeys(had - has, -1)
    if without:
        holding[without] = -1
    return Commit(
        name, known.version, b"" if after.empty else encode_room(after, holds, back.version if back else 0), by.bounds,
        next_deadline(after, by.limits), more, queued, after.call - before.call, holding, commit.inbox, commit.news,
        by.node, serial), Known(known.version, after, holds)


def _routed(effects: tuple[Effect, ...], holds: dict[str, str], attaching: str) -> dict[str, list[Effect]]:
    """By node the effects for its sockets. An attach makes ``attaching`` the holder, if it names a node."""
    inbox: dict[str, list[Effect]] = {}
    for effect in effects:
        if isinstance(effect, Attach):
            if not attaching:
                continue
            holds[effect.client] = attaching
        holder = holds.get(effect.client)
        if holder is not None:
            inbox.setdefault(holder, []).append(effect)
    return inbox


def _grown(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """By key how much more there is; what is as it was is left out."""
    more = {key: after.get(key, 0) - before.get(key, 0) for key in (*after, *before)}
    return {key: number for key, number in more.items() if number}
