"""`RedisBackend`: rooms on a Redis, which every node of a cluster asks.

Two connections: questions go over one, and the other waits at our inbox, a stream of which each entry is numbered. A lost
connection is made anew and the inbox read on from where we were; a number that is missing, or a server that is another
one, or was started again, is told as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from rtcd.cluster import scripts
from rtcd.cluster.address import MINIMUM, too_old
from rtcd.cluster.backend import (
    BEAT_S,
    CLAIM_S,
    LEASE_S,
    MAX_INBOX,
    MAX_INBOX_BYTES,
    UNREACHABLE,
    Commit,
    Conflict,
    Dead,
    Entry,
    State,
    Stored,
    Totals,
)
from rtcd.cluster.codec import MAJOR
from rtcd.cluster.node import new_node
from rtcd.cluster.speaker import Speaker
from rtcd.cluster.strangers import Strangers
from rtcd.cluster.wire import Connection, Fault, Refusal, Wire
from rtcd.rooms.outcome import FULL_QUEUES, FULL_ROOMS, FULL_SEATS, StoreAway, StoreFull, StoreUnavailable

ANSWER_S = 2.5
"""How long Redis may take to answer; then it is taken for lost."""

BLOCK_S = 2.0
"""How long a question after new entries waits at Redis."""

AT_ONCE = 500
"""So many entries are read at a time."""

FIRST_AGAIN_S, LAST_AGAIN_S = 0.1, 1.0
"""Pauses between attempts: each twice as long as the one before, up to the last."""

DRAIN_S = 0.05
"""How long answers are still read when one of the two connections has ended."""

FOREIGN = "the nodes that are there are of another release of rtcd"

NOT_NOW = ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "NOREPLICAS", "MISCONF")
"""Errors with which Redis does nothing at all, nor will the next time. We connect anew, which takes a beat that is written:
so the store is away until it can be written to."""

FULL = ("OOM", "BUSY")
"""Errors with which it does nothing, but may do something else."""

ELSEWHERE = (*NOT_NOW, "NOPERM", "WRONGPASS", "UNBLOCKED", FOREIGN)
"""Errors after which it is better to connect anew."""

_packed = msgspec.msgpack.Encoder().encode
_payload = msgspec.msgpack.Decoder(tuple[str, int, str, bytes, bytes]).decode


class RedisBackend:
    """See `rtcd.cluster.backend.Backend`. ``prefix`` begins every key; ``keep_s`` is how long a key stays that nobody
    touches any more; without ``strangers`` nothing is shown or said of the secret that is signed with."""

    _log = Logger()
    outlives = True
    speaker: Speaker | None = None

    def __init__(
        self, reactor: Any, wire: Wire, prefix: str, keep_s: float, node: str = "", strangers: Strangers | None = None
    ) -> None:
        self.node = node or new_node()
        self._reactor = reactor
        self._wire = wire
        self._prefix = prefix
        self._keep = int(keep_s)
        self._strangers = strangers
        self._link: Connection | None = None
        self._made: list[Connection] = []
        self._run = ""
        """Which server it is, and since which start."""
        self._position = b"0-0"
        self._read_bytes = 0
        """So much was read of the inbox that Redis has not been told of."""
        self._number: int | None = 0
        """Of the last entry; None: whatever comes is the next one."""
        self._missed = False
        """Whether entries are missing, which is told when we are connected."""
        self._ahead_s = 0.0
        """By how much the clock of Redis is ahead of ours."""
        self._closed = False
        self._pause = FIRST_AGAIN_S
        self._again: IDelayedCall | None = None
        self._cutting: IDelayedCall | None = None
        self._said = ""
        self._beating = LoopingCall(self._beat)
        self._beating.clock = reactor

    @property
    def place(self) -> str:
        """See `rtcd.cluster.backend.Backend.place`."""
        return self._wire.address.shown

    @property
    def trouble(self) -> str:
        """See `rtcd.cluster.backend.Backend.trouble`."""
        return self._said

    @property
    def strangers(self) -> int:
        """See `rtcd.cluster.backend.Backend.strangers`."""
        return self._strangers.count if self._strangers is not None else 0

    def follow(self, entry: Callable[[Entry], None], state: Callable[[State], None]) -> None:
        """See `rtcd.cluster.backend.Backend.follow`."""
        self._entry, self._state = entry, state

    async def start(self) -> None:
        """See `rtcd.cluster.backend.Backend.start`."""
        self._beating.start(BEAT_S, now=False)
        await self._connect()

    async def close(self) -> None:
        """See `rtcd.cluster.backend.Backend.close`."""
        self._closed = True
        if self._beating.running:
            self._beating.stop()
        for call in (self._again, self._cutting):
            if call is not None and call.active():
                call.cancel()
        link = self._link
        if link is not None:
            try:
                await link.run(scripts.LEAVE, self._prefix, self.node, "now")
            except Fault as fault:
                self._log.debug("the store was not told that we end: {reason}", reason=str(fault))
        for one in self._made:
            await one.end()

    async def load(self, name: str) -> Stored | None:
        """See `rtcd.cluster.backend.Backend.load`."""
        return _stored(await self._ask("GET", f"{self._prefix}room:{name}"))

    async def commit(self, commit: Commit) -> int:
        """See `rtcd.cluster.backend.Backend.commit`."""
        def payload(effects: bytes) -> bytes:
            return _packed((commit.name, commit.serial, commit.author, effects, commit.news))

        bounds, mode = commit.bounds, "same" if commit.value is None else "write" if commit.value else "delete"
        answer, *values = await self._run_script(
            scripts.COMMIT, commit.name, commit.expected, mode, commit.value or b"",
            "" if commit.deadline is None else repr(commit.deadline), self._keep, commit.call,
            bounds.rooms, bounds.seats, bounds.queued, bounds.queued_total, payload(b"") if commit.news else b"", MAX_INBOX,
            repr(self._reactor.seconds() + self._ahead_s + ANSWER_S), MAX_INBOX_BYTES,
            *_rows(commit.seats), *_rows(commit.queued), *_rows(commit.holding),
            *_rows({node: payload(effects) for node, effects in commit.inbox.items()}))
        if answer == b"done":
            return int(values[0])
        if answer == b"conflict":
            raise Conflict(_stored(values[0]))
        if answer == b"late":
            raise StoreUnavailable(UNREACHABLE)
        said = {b"rooms": FULL_ROOMS.format(limit=bounds.rooms), b"seats": FULL_SEATS.format(limit=bounds.seats)}
        raise StoreFull(said.get(answer, FULL_QUEUES))

    async def due(self, now: float, limit: int) -> list[str]:
        """See `rtcd.cluster.backend.Backend.due`."""
        return _texts(await self._run_script(scripts.DUE, repr(now), limit, repr(now + CLAIM_S)))

    async def census(self, address: str) -> tuple[Totals, int]:
        """See `rtcd.cluster.backend.Backend.census`."""
        *totals, seats = await self._run_script(scripts.CENSUS, address)
        return Totals(*totals), seats

    async def totals(self) -> Totals:
        """See `rtcd.cluster.backend.Backend.totals`."""
        return (await self.census(""))[0]

    async def page(self, after: str, limit: int) -> list[tuple[str, Stored]]:
        """See `rtcd.cluster.backend.Backend.page`."""
        found = iter(await self._run_script(scripts.PAGE, f"({after}" if after else "-", limit))
        rooms = ((name.decode(), _stored(value)) for name, value in zip(found, found, strict=True))
        return [(name, stored) for name, stored in rooms if stored is not None]

    async def gone(self, now: float, limit: int) -> list[Dead]:
        """See `rtcd.cluster.backend.Backend.gone`; the clock is that of Redis."""
        return [Dead(node.decode(), _texts(rooms)) for node, rooms in await self._run_script(
            scripts.GONE, limit, int(CLAIM_S * 1000), LEASE_S)]

    async def held(self) -> list[str]:
        """See `rtcd.cluster.backend.Backend.held`."""
        return _texts(await self._ask("SMEMBERS", f"{self._prefix}held:{self.node}"))

    async def bury(self, node: str) -> None:
        """See `rtcd.cluster.backend.Backend.bury`."""
        await self._run_script(scripts.LEAVE, node, "dead")

    async def _run_script(self, script: str, *words: Any) -> Any:
        return await self._asked(lambda link: link.run(script, self._prefix, *words))

    async def _ask(self, *words: Any) -> Any:
        return await self._asked(lambda link: link.ask(*words))

    async def _asked(self, question: Callable[[Connection], Any]) -> Any:
        link = self._link
        if link is None:
            raise StoreAway(UNREACHABLE)
        try:
            return await question(link)
        except Refusal as refusal:
            self._complain(str(refusal))
            if refusal.is_one_of(ELSEWHERE) and link is self._link:
                self._cut()
            raise (StoreAway if refusal.is_one_of(NOT_NOW + FULL) else StoreUnavailable)(UNREACHABLE) from None
        except Fault:
            raise StoreUnavailable(UNREACHABLE) from None

    async def _connect(self) -> None:
        """One attempt; the next one comes by itself."""
        self._again = None
        made: list[Connection] = []
        try:
            link, reader = await self._both(made)
            run = await self._identified(link)
            for script in scripts.ALL:
                await link.ask("SCRIPT", "LOAD", script)
            known = await self._say_alive_to(link)
            if any(one.over for one in made):
                raise Fault("the connection was lost at once")
        except Fault as fault:
            _cut(made)
            self._complain(str(fault))
            self._try_again()
            return
        if self._closed:
            _cut(made)
            return
        before, self._run, self._link, self._made = self._run, run, link, made
        self._pause, self._said = FIRST_AGAIN_S, ""
        if not known:
            self._position, self._number = b"0-0", 0
        elif run != before:
            self._number = None
        for one in made:
            one.lost.addCallback(lambda _: self._lost(link, made))
        missed, self._missed = self._missed or not known, False
        self._state(State.BACK if not before or (run == before and not missed) else
                    State.RESET if run != before else State.MISSED)
        Deferred.fromCoroutine(self._read(link, reader)).addErrback(self._broken, made)

    async def _both(self, made: list[Connection]) -> tuple[Connection, Connection]:
        link = await self._wire.connect(ANSWER_S)
        made.append(link)
        reader = await self._wire.connect(BLOCK_S + ANSWER_S)
        made.append(reader)
        return link, reader

    async def _identified(self, link: Connection) -> str:
        lines = (await link.ask("INFO", "server")).decode(errors="replace").splitlines()
        said = dict(line.split(":", 1) for line in lines if ":" in line)
        version = said.get("redis_version", "0")
        if too_old(version):
            raise Fault(f"it is Redis {version}, and {MINIMUM} is the oldest that will do")
        return str(said.get("run_id", ""))

    async def _read(self, link: Connection, reader: Connection) -> None:
        """Wait at the inbox while the connection is that which is in use."""
        stream = f"{self._prefix}inbox:{self.node}"
        while self._link in (link, None) and not self._closed:
            try:
                answer = await reader.ask(
                    "XREAD", "COUNT", AT_ONCE, "BLOCK", int(BLOCK_S * 1000), "STREAMS", stream, self._position)
            except Fault:
                reader.cut()
                return
            if self._link not in (link, None):
                return
            for position, (head, payload) in answer[0][1] if answer else ():
                self._take(position, head, payload)

    def _take(self, position: bytes, head: bytes, payload: bytes) -> None:
        number, version = map(int, head.split(b":"))
        missed = self._number is not None and number != self._number + 1
        self._position, self._number = position, number
        self._read_bytes += len(payload)
        if missed:
            self._miss()
        try:
            name, serial, author, effects, news = _payload(payload)
        except msgspec.MsgspecError as error:
            self._log.error("an entry of the store cannot be read: {reason}", reason=str(error))
            return
        self._entry(Entry(name, version, serial, author, effects, news))

    def _beat(self) -> Deferred[None] | None:
        return Deferred.fromCoroutine(self._say_alive()) if self._link is not None else None

    async def _say_alive(self) -> None:
        try:
            known = await self._asked(self._say_alive_to)
        except StoreUnavailable:
            return
        if not known:
            self._position, self._number = b"0-0", 0
            self._miss()

    def _miss(self) -> None:
        """Entries are missing. What Redis has said before is read on while we are away, see `_lost`."""
        if self._link is None:
            self._missed = True
        else:
            self._state(State.MISSED)

    async def _say_alive_to(self, link: Connection) -> bool:
        """Beat; compares the clocks, and the secrets. Whether we were known."""
        before = self._reactor.seconds()
        size = self._read_bytes
        mark = self._strangers.mark(self.node) if self._strangers is not None else b""
        known, now, *marks = await link.run(
            scripts.BEAT, self._prefix, self.node, LEASE_S, self._keep, self._position, size, MAJOR, mark)
        if known < 0:
            raise Refusal(f"{FOREIGN} (form {now.decode()}, ours is {MAJOR}); bring every node to one release")
        self._read_bytes -= size
        self._ahead_s = float(now) - (before + self._reactor.seconds()) / 2
        if self._strangers is not None and self._strangers.see(*marks):
            self._tell_strangers(self._strangers.count)
        return bool(known)

    def _lost(self, link: Connection, made: list[Connection]) -> None:
        """One of the two connections is over. The other may still bring what Redis has said before."""
        if link is self._link:
            self._link = None
            if not self._closed:
                self._cutting = self._reactor.callLater(DRAIN_S, _cut, made)
                self._state(State.AWAY)
                self._try_again()

    def _cut(self) -> None:
        if self._link is not None:
            self._link.cut()

    def _try_again(self) -> None:
        if not self._closed and self._again is None:
            pause, self._pause = self._pause, min(2 * self._pause, LAST_AGAIN_S)
            self._again = self._reactor.callLater(pause, lambda: Deferred.fromCoroutine(self._connect()))

    def _complain(self, reason: str) -> None:
        """Once for each reason, until it is reached again."""
        if reason != self._said:
            self._said = reason
            self._log.warn("[rooms] store {store}: {reason}; nobody can join meanwhile, and rtcd doctor says what mends it",
                           store=self.place, reason=reason)

    def _tell_strangers(self, count: int) -> None:
        if count:
            self._log.warn("[rooms] store {store} is shared with processes that sign with another [credentials] secret"
                           " ({count}): TURN passwords and invitations from there do not hold here; give all machines the"
                           " same one",
                           store=self.place, count=count)
        else:
            self._log.info("[rooms] store {store}: everybody who shares it signs with a [credentials] secret of ours again",
                           store=self.place)

    def _broken(self, failure: Any, made: Iterable[Connection]) -> None:
        self._log.failure("reading the inbox failed; connecting anew", failure)
        _cut(made)


def _stored(value: bytes | None) -> Stored | None:
    if value is None:
        return None
    version, _, rest = value.partition(b":")
    return Stored(int(version), rest)


def _cut(made: Iterable[Connection]) -> None:
    for one in made:
        one.cut()


def _rows(rows: Mapping[str, Any]) -> tuple[Any, ...]:
    return (len(rows), *chain.from_iterable(rows.items()))


def _texts(values: Iterable[bytes]) -> list[str]:
    return [one.decode() for one in values]
