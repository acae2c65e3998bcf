"""`CallKeeper`: watches rooms and TURN, takes what pages report, and keeps a record of each call.

What goes into a record is decided by ``changes`` and ``report``, what it means by ``verdict``. Here are the clock, the table
of calls that are on, and what others ask.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from rtcd.alarm import Alarm
from rtcd.bucket import network
from rtcd.calls import changes, show
from rtcd.calls.archive import Archive
from rtcd.calls.file import InThread, RecordFile
from rtcd.calls.live import MAX_SHARING, Live, Whose
from rtcd.calls.lone import MAX_LONE, Lone, Lones
from rtcd.calls.record import Call, shown_name
from rtcd.calls.relays import Relays
from rtcd.calls.report import Report, taken
from rtcd.context import Context
from rtcd.log import debugging
from rtcd.peers.candidates import described
from rtcd.rooms.outcome import Came, Gone, TurnedAway
from rtcd.rooms.records import LOOPBACK_CLIENTS
from rtcd.state import StateDirectory
from rtcd.turn.news import Began, Challenged, Denied, Ended, Failed, TurnNews
from rtcd.words import word

WRITE_S = 300.0
"""From one writing to the next, if anything has changed."""
AT_ONCE = 200
"""So many records that were not made yet are made in one go before they are written; the next ones `AGAIN_S` later."""
AGAIN_S = 0.05
LATE_S = 10.0
"""So long after its end a call takes what is still on its way: the end of its relays, the last report of a page."""
MAX_LATE = 2000
MAX_OPEN = 10_000
"""Calls that are on; there are no records of more."""
MAX_ALL_EVENTS = 100_000
"""Entries in the time lines of all calls that are on; beyond it, one that grows keeps its last `FEW_EVENTS`."""
FEW_EVENTS = 16
MAX_TEXTS = 1000
"""Texts of one client that are read for candidates."""
MAX_LISTED = 1000
HOUR_S = 3600.0
ID_BYTES = 6

_CALL = "tag={tag}- room={room} call={call}"


class CallKeeper(Service):
    """Offers ``calls.list``, ``calls.show`` and ``calls.report`` on the desk."""

    name = "calls"
    _log = Logger()

    def __init__(
        self, context: Context, state: StateDirectory, hours: float, in_thread: InThread | None = None
    ) -> None:
        """``hours``: how long records are kept; 0: none are made. ``in_thread`` runs what waits for the disk."""
        self._context = context
        self._reactor = context.reactor
        self._hours = hours
        self._archive = Archive()
        self._open: dict[str, Live | Lone] = {}
        self._late: OrderedDict[str, Live | Lone] = OrderedDict()
        """By id, the one that ended first first."""
        self._lones = Lones()
        """Those of both that are lone."""
        self._events = 0
        """In the time lines of these and of those that are on."""
        self._relays = Relays(context)
        self._whose = Whose(context.credentials)
        self._file = RecordFile(state, in_thread or (
            lambda work: deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)))
        self._write_at = 0.0
        self._alarm = Alarm(context.reactor, self._deadline, self._ring)
        metrics, desk = context.metrics, context.desk
        self._recorded = metrics.counter("calls", "recorded", "Calls that are over and were recorded.")
        self._unrecorded = metrics.counter("calls", "unrecorded", "Arrivals in calls too many to be recorded.")
        self._reports = metrics.counter("calls", "reports", "Reports of pages taken.")
        metrics.gauge("calls", "kept", "Records of calls that are kept.", lambda: len(self._archive))
        rooms: Any = context.rooms
        rooms.watch(self)
        desk.offer("calls.list", self.listed)
        desk.offer("calls.show", self.shown)
        desk.offer("calls.report", self.report)

    def startService(self) -> None:
        """Read what was kept, and ask TURN to tell us."""
        super().startService()
        if self._context.desk.offers("turn.observe"):
            self._context.desk.ask("turn.observe", self._told)
        if self._hours:
            self._load()
        else:
            self._file.remove()
        self._write_at = self._now() + WRITE_S
        self._alarm.set()

    def stopService(self) -> Deferred[None]:
        """Every call ends here, as far as records go; fires when they are on the disk."""
        super().stopService()
        self._alarm.cancel()
        for live in list(self._open.values()):
            self._end(self._whole(live), "stopped")
        for one in list(self._late.values()):
            self._keep(one)
        return Deferred.fromCoroutine(self._file.finish(self._archive.lines))

    def use(self, hours: float) -> None:
        """Keep records for so long from now on (a reload)."""
        self._hours = hours
        self._expire(self._now())
        if not hours:
            self._whose = Whose(self._context.credentials)
            self._open.clear()
            self._late.clear()
            self._lones = Lones()
            self._events = 0
            self._archive.clear()
        self._file.stale = True
        self._write_at = self._now()
        self._alarm.set()

    # What the desk is asked.

    def listed(
        self, room: str | None = None, since: float = 0.0, limit: int = 100, after: str | None = None
    ) -> list[dict[str, Any]]:
        """Summaries (`rtcd.calls.show.summary`), those of calls that are on first and then the last one first: of one room
        if given, that are on or ended at ``since`` or later, at most ``limit`` and `MAX_LISTED`, behind the one with the id
        ``after``; if that is no more, nothing."""
        now = self._now()
        self._expire(now)
        room = None if room is None else shown_name(room)
        calls = (one for one in self._listed(room, since, after) if not one.ended_at or one.ended_at >= since)
        return [show.summary(one, now) for one in islice(calls, max(0, min(limit, MAX_LISTED)))]

    def _listed(self, room: str | None, since: float, after: str | None) -> Iterator[Call]:
        """No record is made that is not asked for."""
        for one in self._those():
            if room not in (None, shown_name(one.room)):
                continue
            if after is None:
                yield self._whole(one).call
            elif _id(one) == after:
                after = None
        yield from self._archive.calls(room, since, after)

    def shown(self, id_: str) -> dict[str, Any] | None:
        """The record of a call (`rtcd.calls.show.whole`), on or over; None if there is none."""
        now = self._now()
        self._expire(now)
        call = next((self._whole(one).call for one in self._those() if _id(one) == id_), None) or self._archive.get(id_)
        return None if call is None else show.whole(call, now)

    def report(self, room: str, client: str, report: Report) -> bool:
        """Take a page's report (`rtcd.calls.report.Reports`). False if it is nobody who is in a call of this room, or was a
        moment ago. Where no records are made it is thrown away."""
        if not self._hours:
            return True
        if room not in self._open and len(self._open) >= MAX_OPEN:
            return True  # it may be one that there is no record of
        live = self._call_of(room, client)
        if live is None or client in LOOPBACK_CLIENTS:
            return False
        self._reports.value += 1
        self._set(live, taken(live.call, self._now(), live.clients[client].letter, report, live.pages))
        return True

    def _call_of(self, room: str, client: str) -> Live | None:
        """That it is in, or was till now."""
        for one in chain((self._open.get(room),), reversed(self._late.values())):
            if one is None or one.room != room:
                continue
            if isinstance(one, Live):
                if client in one.clients:
                    return one
            elif client == one.client:
                return self._made(one)
        return None

    # What the rooms tell.

    def said(self, room: str, client: str, text: str, here: bool = True) -> None:
        """A client gave a text for others (`rtcd.rooms.outcome.Listener`)."""
        live = self._open.get(room)
        if live is None:
            return
        if isinstance(live, Lone):
            live = self._made(live)
        one = live.clients.get(client)
        if one is None or one.texts >= MAX_TEXTS:
            return
        one.texts += 1
        found = described(text)
        if found.message:
            self._file.stale = True
            if not live.repeats(one.letter, found):
                self._set(live, changes.said(live.call, self._now(), one.letter, found.message, found.candidates))

    def happened(self, room: str, news: Came | Gone | TurnedAway, *, here: bool = True) -> None:
        """What is new in a room (`rtcd.rooms.outcome.Watcher`)."""
        if not self._hours or not self.running:
            return
        live = self._open.get(room)
        if isinstance(live, Lone):
            if isinstance(news, Gone) and news.client == live.client:
                self._left(live, news.why)
                return
            live = self._made(live)
        elif live is None and isinstance(news, Came) and self._is_lone(room, news):
            return
        now = self._now()
        if isinstance(news, Came):
            live = live or self._begin(room, now)
            if live is not None:
                self._came(live, news, now)
        elif live is None:
            return
        elif isinstance(news, TurnedAway):
            self._set(live, changes.turned_away(live.call, now, "page" if news.page else "app", news.why))
        elif isinstance(news, Gone) and news.client in live.clients:
            client = live.clients[news.client]
            client.here = False
            self._set(live, changes.gone(live.call, now, client.letter, news.why))
            if live.empty:
                self._end(live, news.why)

    def _begin(self, room: str, now: float) -> Live | None:
        if len(self._open) >= MAX_OPEN:
            self._unrecorded.value += 1
            return None
        turn, places = self._relays.now()
        live = self._open[room] = Live(room, Call(
            secrets.token_hex(ID_BYTES), shown_name(room), now, turn=turn, places=places,
            tag=self._context.credentials.room_tag(room)))
        if debugging():
            self._log.debug(f"call_began {_CALL}", **_named(live.call))
        return live

    def _is_lone(self, room: str, news: Came) -> bool:
        """Begin a call with no more than that, unless there is more to it."""
        if (news.registered or news.client in LOOPBACK_CLIENTS or len(self._open) >= MAX_OPEN
                or len(self._lones) >= MAX_LONE or debugging()):
            return False
        lone = Lone(secrets.token_hex(ID_BYTES), room, self._now(), news.client, news.page, news.address,
                    *self._relays.now(), tags=self._context.credentials.tags)
        self._open[room] = lone
        self._lones.add(lone)
        self._file.stale = True
        return True

    def _left(self, lone: Lone, why: str) -> None:
        """It has ended as it began."""
        now = self._now()
        lone.left_at, lone.why, lone.until = now, why, now + LATE_S
        self._file.stale = True
        self._is_late(lone, lone.id)

    def _made(self, lone: Lone) -> Live:
        """From now on there is a record, and it may be told of TURN."""
        self._lones.remove(lone)
        live = Live(lone.room, lone.call())
        client = self._whose.add(
            live, lone.client, lone.address, lone.tags.users_since(lone.room, lone.client))
        live.pages[lone.page or "app"] = client.letter
        if lone.left_at is None:
            self._open[lone.room] = live
        else:
            client.here, live.until = False, lone.until
            self._late[lone.id] = live
        self._events += len(live.call.events)
        return live

    def _came(self, live: Live, news: Came, now: float) -> None:
        name = news.client
        client = live.clients.get(name) or self._whose.add(live, name, news.address)
        client.here = True
        live.pages[news.page or "app"] = client.letter
        kind = "loopback" if name in LOOPBACK_CLIENTS else "page" if news.page else "app"
        self._set(live, changes.came(live.call, now, client.letter, kind, news.address, registered=news.registered))

    def _end(self, live: Live, why: str) -> None:
        """Nobody is in it any more, or it is over for us."""
        now = self._now()
        for client in live.clients.values():
            if client.here:
                client.here = False
                self._set(live, changes.gone(live.call, now, client.letter, why))
        self._set(live, changes.ended(live.call, now, why))
        live.until = now + LATE_S
        self._is_late(live, live.call.id)

    def _is_late(self, live: Live | Lone, id_: str) -> None:
        del self._open[live.room]
        self._late[id_] = live
        while len(self._late) > MAX_LATE:
            self._keep(next(iter(self._late.values())))
        if len(self._late) == 1:  # else it is set for another one, which was earlier
            self._alarm.set()

    def _keep(self, live: Live | Lone) -> None:
        """It changes no more."""
        if isinstance(live, Lone) and not debugging():
            del self._late[live.id]
            self._lones.remove(live)
            self._archive.add_lone(live)
            self._recorded.value += 1
            return
        live = self._whole(live)
        if self._late.pop(live.call.id, None) is not None:
            self._events -= len(live.call.events)
        self._whose.forget(live)
        self._archive.add(live.call)
        self._recorded.value += 1
        if debugging():
            self._log.debug(f"call_ended {_CALL} verdict={{verdict}}", **_named(live.call),
                            verdict=show.summary(live.call, self._now())["verdict"]["id"])

    def _set(self, live: Live, call: Call) -> None:
        grown = len(call.events) - len(live.call.events)
        if grown > 0 and self._events + grown > MAX_ALL_EVENTS:
            call = changes.shortened(call, FEW_EVENTS)
            grown = len(call.events) - len(live.call.events)
        self._events += grown
        live.call = call
        self._file.stale = True

    def _those(self) -> tuple[Live | Lone, ...]:
        """The calls that are on, and those that were, the last one first."""
        return (*reversed(self._open.values()), *reversed(self._late.values()))

    def _calls(self) -> list[Live]:
        """The same, with their records."""
        return [self._whole(one) for one in self._those()]

    def _whole(self, one: Live | Lone) -> Live:
        return self._made(one) if isinstance(one, Lone) else one

    # What TURN tells.

    def _told(self, news: TurnNews) -> None:
        now = self._now()
        if isinstance(news, Challenged):
            at = network(news.host)
            lones = self._lones.at(at)
            sharing = len(lones) + len(self._whose.at(at))
            for lone in lones:
                if sharing <= MAX_SHARING:
                    self._made(lone)
                elif lone.left_at is None:  # all that its record would tell
                    lone.crowded = True
            there = self._whose.at(at)
            for client in there:
                call, letter = client.live.call, client.letter
                if client.here and sharing <= MAX_SHARING:
                    self._set(client.live, changes.knocked(call, now, letter, news.transport))
                elif client.here and (after := changes.crowded(call, letter)) is not call:
                    self._set(client.live, after)
            return
        self._whose.catch_up(lambda: [one for one in self._those() if isinstance(one, Live)])
        whose = self._whose.of_user(news.user)
        if whose is None and "-" in news.user:  # as in the users of clients; of one who came alone, perhaps
            for lone in self._lones.of(news.user.partition("-")[0]):
                self._made(lone)
            whose = self._whose.of_user(news.user)
        if whose is None:
            return
        call, letter = whose.live.call, whose.letter
        if isinstance(news, Began):
            call = changes.relay_began(call, now, letter, news.transport)
        elif isinstance(news, Ended):
            call = changes.relay_ended(call, now, letter, news.transport, news.reason,
                                       news.traffic.sent_bytes, news.traffic.received_bytes)
        elif isinstance(news, Denied):
            call = changes.peer_denied(call, now, letter, news.host, news.reason)
        elif isinstance(news, Failed):
            call = changes.relay_refused(call, now, letter, news.method, news.code, news.reason)
        self._set(whose.live, call)

    # Time and the file.

    def _now(self) -> float:
        return float(self._reactor.seconds())

    def _deadline(self) -> float:
        late = next(iter(self._late.values()), None)
        return self._write_at if late is None else min(late.until, self._write_at)

    def _ring(self, now: float) -> None:
        while self._late and next(iter(self._late.values())).until <= now:
            self._keep(next(iter(self._late.values())))
        if now >= self._write_at:
            self._expire(now)
            if not self._file.stale or self._file.busy:
                self._write_at = now + WRITE_S
            elif self._make_some():
                self._write_at = now + WRITE_S
                self._write()
            else:
                self._write_at = now + AGAIN_S

    def _make_some(self) -> bool:
        """Records, of those who came alone. Whether all that are to be written now are made, but for a few."""
        lones = self._lones.first(AT_ONCE)
        for lone in lones:
            self._made(lone)
        return self._archive.make_lines(AT_ONCE - len(lones)) and len(self._lones) < AT_ONCE

    def _write(self) -> None:
        if self._hours:
            self._file.write(self._archive.lines(one.call for one in self._calls()))
        else:
            self._file.remove()

    def _expire(self, now: float) -> None:
        before = len(self._archive)
        self._archive.expire(now - self._hours * HOUR_S)
        self._file.stale = self._file.stale or len(self._archive) < before

    def _load(self) -> None:
        bad = self._archive.load(self._file.read())
        if bad:
            self._log.warn("{count} lines of the file of calls are no records, and are left out", count=bad)
        self._expire(self._now())


def _id(one: Live | Lone) -> str:
    return one.id if isinstance(one, Lone) else one.call.id


def _named(call: Call) -> dict[str, str]:
    return {"tag": call.tag, "room": word(call.room), "call": call.id}
