"""The embedded store: a `Hub` in one process, and others that reach it over a unix socket.

`HubServer` answers, `rtcd.cluster.local.SocketBackend` is the backend of those who ask; that of the process with the hub is
in ``inside``. A frame is four bytes of length and msgpack: ``[number, question, *arguments]``, answered by ``[number, kind,
*values]``; what has number 0 is not answered, or was not asked for. Who can open the socket can read every room: keep it in
a directory of ours, mode 0600.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

from rtcd.alarm import Alarm
from rtcd.cluster.backend import PASSED, Bounds, Commit, Conflict, Dead, Entry, Stored, Totals
from rtcd.cluster.floors import Floors
from rtcd.cluster.hub import Hub
from rtcd.cluster.line import MAX_FRAME_BYTES
from rtcd.cluster.node import new_node
from rtcd.rooms.outcome import StoreFull

CUT_S = 2.0
"""How long a process whose connection has ended may take to come back before it is dead."""

BATCH_BYTES = 1048576
"""Entries are sent together up to about so much."""

PAGE_BYTES = 8388608
"""So many bytes of rooms are listed in one answer, or one room: a frame has an end, and many rooms in which much waits are
beyond it."""

MAX_BEHIND = 1000
MAX_BEHIND_BYTES = 4194304
"""Entries, and bytes, that wait for a process beyond which others pass no texts on to it, for a while."""

PUSHED = 200
"""So many entries are sent before the process has said that it has them."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class HubServer(Factory):
    """The hub and who follows it. As a factory it serves `SocketBackend`."""

    _log = Logger()
    noisy = False

    def __init__(self, hub: Hub, clock: Any) -> None:
        self.hub = hub
        self.clock = clock
        self.name = new_node()
        self.ending = False
        self.floors = Floors(hub, lambda node: node in self._wakes)
        self._wakes: dict[str, Callable[[], None]] = {}
        self._followers: dict[str, Callable[[list[str]], object]] = {}
        """By node: who is told which nodes have watchers."""
        self._hearing: list[str] = []
        self._alarm = Alarm(clock, lambda: self.floors.next_deadline, self.floors.expire)
        self._reading = 0
        self._woken: dict[str, None] = {}
        self.connections: set[_Served] = set()
        hub.appended = self._appended

    def buildProtocol(self, addr: Any) -> _Served:
        """One for a process that connects."""
        return _Served(self)

    def follow(self, node: str, wake: Callable[[], None]) -> None:
        """``wake`` is called when the node's inbox has something new."""
        self._wakes[node] = wake

    def unfollow(self, node: str, wake: Callable[[], None]) -> None:
        """It is gone; if it does not come back it is dead."""
        if self._wakes.get(node) == wake:
            del self._wakes[node]
            self.clear(node)
            known = self.hub.nodes.get(node)
            if known is not None:
                known.lives_until = min(known.lives_until, self.clock.seconds() + CUT_S)

    def commit(self, node: str, seen: int, commit: Commit, done: Callable[[int | Exception], object]) -> None:
        """Do a node's commit when nobody has the floor in its room, see `rtcd.cluster.floors`, and tell ``done`` what came
        of it. ``seen``: the number of the last grant that the node knew of."""
        def work() -> None:
            try:
                found: int | Exception = self.hub.commit(commit)
            except Exception as fault:  # who has committed deals with it
                found = fault
            done(found)

        if commit.text:
            work()
            return
        self.floors.commit(node, seen, commit.name, work, self.clock.seconds())
        self._set_alarm()

    def back(self, node: str, name: str, number: int) -> None:
        """A node has given back the floor of a room."""
        self.floors.back(node, name, number)
        self._set_alarm()

    def clear(self, node: str) -> int:
        """A node has given back every floor; returns the number of its last grant."""
        self.floors.left(node)
        self._set_alarm()
        return self.floors.last(node)

    def pass_on(self, author: str, parts: Iterable[tuple[str, bytes]]) -> bool:
        """Texts for nodes. False if one of them does not keep up."""
        keeps_up = True
        for node, data in parts:
            self.hub.append(node, Entry("", 0, 0, author, b"", b"", PASSED, data))
            known = self.hub.nodes.get(node)
            keeps_up = keeps_up and (known is None or (len(known.inbox) < MAX_BEHIND and known.size < MAX_BEHIND_BYTES))
        return keeps_up

    def hear(self, node: str, told: Callable[[list[str]], object], *, hears: bool) -> list[str]:
        """A node has watchers, or has not; ``told`` is told who has whenever that changes. Returns who has now."""
        self._followers[node] = told
        if hears and node not in self._hearing:
            self._hearing.append(node)
            self._tell_hearing()
        return self._hearing

    def forget(self, node: str) -> None:
        """It is no node any more, and has no floor."""
        self.floors.forget(node)
        self._set_alarm()
        self._followers.pop(node, None)
        if node in self._hearing:
            self._hearing.remove(node)
            self._tell_hearing()

    def together(self, work: Callable[[], None]) -> None:
        """What this appends to inboxes is sent when it has been done, many entries in one."""
        self._reading += 1
        try:
            work()
        finally:
            self._reading -= 1
            if not self._reading:
                while self._woken:
                    self.send_now(next(iter(self._woken)))

    def send_now(self, node: str) -> None:
        """Send what was to wait a little."""
        if node in self._woken:
            del self._woken[node]
            wake = self._wakes.get(node)
            if wake is not None:
                wake()

    def bury(self, node: str) -> None:
        """See `rtcd.cluster.backend.Backend.bury`."""
        self.hub.bury(node, self.clock.seconds())
        if node not in self.hub.nodes:
            self.forget(node)

    def leave(self, node: str) -> None:
        """A node ends. If it still holds sockets, since it could not say that they are lost, it is dead."""
        self.hub.leave(node, self.clock.seconds())
        if node in self.hub.nodes:
            self.clear(node)
        else:
            self.forget(node)

    def fault(self, fault: Exception) -> None:
        """A commit has failed as none should."""
        self._log.failure("a commit failed", Failure(fault))

    def end(self) -> None:
        """The daemon ends with all its processes: from now on closing a process's rooms says bye in them."""
        self.ending = True
        for one in self.connections:
            one.push("ending")

    def _appended(self, node: str) -> None:
        if self._reading:
            self._woken[node] = None
            return
        wake = self._wakes.get(node)
        if wake is not None:
            wake()

    def _set_alarm(self) -> None:
        if self.floors.next_deadline is None:
            self._alarm.cancel()
        else:
            self._alarm.set()

    def _tell_hearing(self) -> None:
        for told in list(self._followers.values()):
            told(self._hearing)


class _Served(Int32StringReceiver):
    """The hub's end of a connection."""

    MAX_LENGTH = MAX_FRAME_BYTES

    def __init__(self, server: HubServer) -> None:
        self._server = server
        self._hub = server.hub
        self._node = ""
        self._sent = self._has = 0

    def connectionMade(self) -> None:
        """A process has connected; it says who it is."""
        self._server.connections.add(self)

    def connectionLost(self, reason: Any = None) -> None:
        """It is gone."""
        self._server.connections.discard(self)
        self._server.unfollow(self._node, self._push)

    def dataReceived(self, data: bytes) -> None:
        """Questions, perhaps several."""
        self._server.together(lambda: super(_Served, self).dataReceived(data))

    def stringReceived(self, string: bytes) -> None:
        """A question, or what is not answered."""
        number, question, *arguments = _decode(string)
        if not number:
            getattr(self, f"_hear_{question}")(*arguments)
            return
        if question == "commit":
            seen, name, expected, value, bounds, *others = arguments
            self._server.commit(self._node, seen, Commit(name, expected, value, Bounds(**bounds), *others),
                                lambda found: self._committed(number, found))
            return
        self._send(number, "done", getattr(self, f"_do_{question}")(*arguments))
        if question == "hello":
            self._push()

    def _committed(self, number: int, found: int | Exception) -> None:
        self._server.send_now(self._node)  # its own entry before the answer
        if isinstance(found, Conflict):
            self._send(number, "conflict", found.stored)
        elif isinstance(found, StoreFull):
            self._send(number, "full", str(found))
        elif isinstance(found, Exception):
            self._server.fault(found)
            transport: Any = self.transport
            transport.abortConnection()
        else:
            self._send(number, "done", found)

    def push(self, what: str, *values: Any) -> None:
        """Say something that was not asked for."""
        self._send(0, what, *values)

    def _do_hello(self, node: str, has: int, hears: bool) -> Any:
        self._node = node
        grants = self._server.clear(node)
        known = self._hub.beat(node, self._server.clock.seconds())
        self._has = self._sent = has if known else 0
        self._server.follow(node, self._push)
        hearing = self._server.hear(node, self._tell_hearing, hears=hears)
        return self._server.name, known, self._server.ending, grants, hearing

    def _do_beat(self, has: int) -> tuple[bool, bool]:
        self._has = has
        known = self._hub.beat(self._node, self._server.clock.seconds())
        if not known:
            self._has = self._sent = 0
        self._push()
        return known, self._server.floors.answers(self._node)

    def _do_clear(self) -> int:
        return self._server.clear(self._node)

    def _hear_back(self, name: str, number: int) -> None:
        self._server.back(self._node, name, number)

    def _hear_hear(self) -> None:
        self._server.hear(self._node, self._tell_hearing, hears=True)

    def _hear_pass(self, parts: list[tuple[str, bytes]]) -> None:
        if not self._server.pass_on(self._node, parts):
            self.push("slowly")

    def _hear_rest(self, name: str, version: int) -> None:
        self._server.floors.rest(name, version)

    def _hear_has(self, has: int) -> None:
        self._has = has
        self._push()

    def _do_load(self, name: str) -> Stored | None:
        return self._hub.load(name)

    def _do_due(self, now: float, limit: int) -> list[str]:
        return self._hub.due(now, limit)

    def _do_census(self, address: str) -> tuple[Totals, int]:
        return self._hub.census(address)

    def _do_totals(self) -> Totals:
        return self._hub.totals()

    def _do_page(self, after: str, limit: int) -> list[tuple[str, Stored]]:
        size, found = 0, self._hub.page(after, limit)
        for number, (_, stored) in enumerate(found):
            size += len(stored.value)
            if size > PAGE_BYTES and number:
                return found[:number]
        return found

    def _do_gone(self, now: float, limit: int) -> list[Dead]:
        return self._hub.gone(now, limit)

    def _do_held(self) -> list[str]:
        return self._hub.held(self._node)

    def _do_bury(self, node: str) -> None:
        self._server.bury(node)

    def _do_leave(self) -> None:
        self._server.leave(self._node)

    def _tell_hearing(self, nodes: list[str]) -> None:
        self.push("hearing", nodes)

    def _push(self) -> None:
        """Send what is new, as much as may be on its way."""
        if self._sent - self._has >= PUSHED:
            return
        entries, missed = self._hub.read(self._node, self._has, self._sent - self._has + PUSHED)
        if missed:
            self._has = self._sent = entries[0][0] - 1 if entries else self._hub.nodes[self._node].last
            self.push("missed", self._has)
        batch: list[Entry] = []
        size = 0
        for number, entry in entries:
            if number > self._sent:
                self._sent = number
                batch.append(entry)
                size += entry.size
                if size > BATCH_BYTES:
                    self.push("entries", number, batch)
                    batch, size = [], 0
        if batch:
            self.push("entries", self._sent, batch)

    def _send(self, number: int, kind: str, *values: Any) -> None:
        self.sendString(_encode((number, kind, *values)))
