"""`ShortWay`: how a text goes in a room whose floor we have (``floors``): what `rtcd.rooms.memory.MemoryRooms.relay` is for
rooms of one process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcd.cluster.backend import Entry
from rtcd.cluster.commits import NO_ROOM, known_from
from rtcd.cluster.speaker import Floor, Row, Speaker, Way, rows_of
from rtcd.rooms.outcome import Outcome, Said
from rtcd.rooms.room import may_be_bye, straight

if TYPE_CHECKING:
    from rtcd.cluster.shared import SharedRooms


class ShortWay:
    """Of one `SharedRooms`."""

    def __init__(self, rooms: SharedRooms, speaker: Speaker) -> None:
        self._rooms = rooms
        self._inbox = rooms.inbox
        self._clock = rooms.clock
        self._speaker = speaker

    def relay(self, room: str, client: str, text: str) -> bool:
        """Do what `SharedRooms.update` with ``rtcd.signaling.switchboard.send`` would, if that is to hand a text to others
        and no more. False if nothing was done: the ordinary way has to be gone, and perhaps not the next time."""
        speaker = self._speaker
        floor = speaker.floors.get(room)
        if floor is None or may_be_bye(text) or self._rooms.closed or self._clock.seconds() >= speaker.until:
            return False
        try:
            way = floor.ways[client]
        except KeyError:
            way = floor.ways[client] = self._way(room, floor, client)
        if way is None:
            return False
        here, others = way
        sockets = self._inbox.sockets
        for one in here:
            if one not in sockets:  # it is about to be told lost
                return False
        self._inbox.watchers.said(room, client, text)
        for _, one_client in here:
            self._inbox.deliver(room, one_client, text, client)
        for node, clients in others:
            speaker.pass_on(node, Row(room, client, clients, text))
        return True

    def is_text(self, name: str, outcome: Outcome[Any]) -> bool:
        """Whether an outcome that changes nothing is all said by clients whose sockets are here. It keeps its place among
        what they say by the short way, since a client's next text comes when this one has been handed over; that of a client
        with a socket elsewhere would not."""
        sockets = self._inbox.sockets
        return bool(outcome.events) and all(
            isinstance(one, Said) and (name, one.client) in sockets for one in outcome.events)

    def rests(self, name: str, version: int) -> None:
        """A text has gone the ordinary way and changed nothing: the next ones may go the short one."""
        if name not in self._speaker.floors:
            self._speaker.say("rest", name, version)

    def take(self, entry: Entry, *, here: bool) -> None:
        """Texts that another process has passed on."""
        for room, client, to, text in rows_of(entry.data):
            self._inbox.watchers.said(room, client, text, here=here)
            for one in to:
                self._inbox.deliver(room, one, text, client)

    def _way(self, name: str, floor: Floor, client: str) -> Way:
        rooms, node = self._rooms, self._speaker.node
        known = rooms.known.get(name, NO_ROOM)
        if known.version != floor.version:
            known = rooms.remember(name, known_from(floor.version, floor.value))
        others = straight(known.room, client)
        if others is None or any(one not in known.holders for one in others):
            return None
        to: dict[str, list[str]] = {one: [] for one in self._speaker.hearing}
        for one in others:
            if known.holders[one] != node:
                to.setdefault(known.holders[one], []).append(one)
        return (tuple((name, one) for one in others if known.holders[one] == node),
                tuple((other, tuple(clients)) for other, clients in to.items()))
