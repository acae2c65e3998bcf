"""What the TURN service tells about itself: counters and log lines. The rules are rtcd.turn.server's.

A log line is the name of the event and then ``field=value``, always in the order of `_CLIENT` and what follows it; no value
has a space or a quotation mark in it, so that programs can read them (docs/operating.md, etc/fail2ban).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import get_args

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic, Transport
from rtcd.bucket import Buckets, network
from rtcd.metrics import Counter, Metrics
from rtcd.plane.relay import DROPS as PLANE_DROPS
from rtcd.stun.attributes import Address
from rtcd.stun.message import Method
from rtcd.turn.counted import ANSWERS, DROPS, ENDS
from rtcd.turn.news import Began, Challenged, Denied, Ended, Failed, Listener, TurnNews
from rtcd.words import word

MAX_SHOWN_NAME = 64
"""Characters of a name that a stranger made up, in the log."""

MAX_LINES = 20.0
"""Lines a second about failed passwords, whoever they come from."""


_CLIENT = "address={address} port={port} transport={transport} user={user}"
_TRAFFIC = " ".join(f"{one}={{{one}}}" for one in Traffic._fields)
_ALLOCATION = f"{_CLIENT} relayed={{relayed}}"


TRANSPORTS: tuple[str, ...] = get_args(Transport)
"""By which clients come."""
_VERDICTS = ("let-through", "refused")


class Events:
    """The server's Observer."""

    _log = Logger()

    def __init__(
        self, metrics: Metrics, allocations: Callable[[], int], relayed: Callable[[], Traffic] = Traffic
    ) -> None:
        """``allocations()``: how many there are. ``relayed()``: what those have moved so far."""
        self._metrics = metrics
        self._debug = self._log.debug  # each look-up through the class makes a new Logger
        self._answers: dict[tuple[Method, int], Counter] = {}
        self._dropped: dict[str, Counter] = {}
        self._failed = metrics.counter("turn", "auth_failures", "Requests with a name and a wrong password.")
        self._denied = metrics.counter("turn", "denied_peers", "Requests for peers that the policy refuses.")
        self._created = {one: metrics.counter(
            "turn", "allocations", "Allocations made, by the client's transport.", transport=one) for one in TRANSPORTS}
        self._ends: dict[str, Counter] = {}
        self._open = dict.fromkeys(TRANSPORTS, 0)
        for one in TRANSPORTS:
            metrics.gauge("turn", "allocated_clients", "Clients with an allocation now, by their transport.",
                          functools.partial(self._open.__getitem__, one), transport=one)
        self._traffic = [
            metrics.counter("turn", f"relayed_{unit}", f"Relayed {unit} of payload.", direction=direction)
            for direction in ("sent", "received") for unit in ("packets", "bytes")
        ]
        for method, codes in ANSWERS.items():
            for code in codes:
                self._answer_counter(method, code)
        for reason in ENDS:
            self._end_counter(reason)
        for reason in DROPS:
            self._dropped[reason] = self._drop_counter(_word(reason))
        self.shortcut = metrics.counter(
            "turn", "kernel_packets", "Relayed packets that the kernel moved by itself, both directions.")
        self._relayed = relayed
        self._ended = Traffic()
        metrics.before_reading(self._count_traffic)
        metrics.gauge("turn", "allocations_open", "Allocations there are now.", allocations)
        self._allocations = allocations
        self._idle: list[Deferred[None]] = []
        self.allocation_changed: Callable[[FiveTuple], object] = lambda five_tuple: None
        """Called when the allocation of a five-tuple came or went."""
        self._lines = Buckets(1.0, 1.0)
        self._strange_lines = Buckets(1 / 60, 1.0)
        self._strange = {refused: metrics.counter(
            "turn", "unsignalled_peers", "Requests for peers that nobody in the client's room signalled.",
            verdict=_VERDICTS[refused]) for refused in (False, True)}
        self._all_strange_lines = Buckets(MAX_LINES, MAX_LINES, 1)
        self._all_lines = Buckets(MAX_LINES, MAX_LINES, 1)
        self._listeners: list[Listener] = []
        self.user_of: Callable[[str, float], str] = lambda username, now: username
        """The user in a name, whatever its password."""

    def observe(self, listener: Listener) -> None:
        """From now on tell ``listener`` what happens to users."""
        self._listeners.append(listener)

    def _tell(self, news: TurnNews) -> None:
        for listener in self._listeners:
            try:
                listener(news)
            except Exception:
                self._log.failure("a listener did not take {news}", news=type(news).__name__)

    def relay_drops(self) -> dict[str, Counter]:
        """The counters of the relay plane."""
        return {reason: self._drop_counter(reason) for reason in PLANE_DROPS}

    def answered(self, method: Method, code: int) -> None:
        counter = self._answers.get((method, code))
        if counter is None:
            counter = self._answer_counter(method, code)
        counter.value += 1

    def dropped(self, reason: str) -> None:
        counter = self._dropped.get(reason)
        if counter is None:
            counter = self._dropped[reason] = self._drop_counter(_word(reason))
        counter.value += 1

    def auth_failed(self, five_tuple: FiveTuple, username: str, now: float) -> None:
        """One line a second for each network, and `MAX_LINES` in all, in a form that fail2ban can read."""
        self._failed.value += 1
        if self._lines.allow(network(five_tuple.client[0]), now) and self._all_lines.allow("", now):
            self._log.info(f"auth_fail {_CLIENT}", **_client(five_tuple, username))
        if self._listeners:
            self._tell(Failed(self.user_of(username, now), "", 401))

    def challenged(self, five_tuple: FiveTuple) -> None:
        """No line: every client begins so."""
        if self._listeners:
            self._tell(Challenged(five_tuple.client[0], five_tuple.transport))

    def request_failed(self, user: str, method: Method, code: int, reason: str) -> None:
        """No line: what an operator can do something about has its own."""
        if self._listeners:
            self._tell(Failed(user, method.name.lower(), code, reason))

    def refused(self, five_tuple: FiveTuple, user: str, code: int, reason: str) -> None:
        name = "quota_refused" if code == 486 else "capacity_refused"
        self._debug(f"{name} {_CLIENT} reason={{reason}}", **_client(five_tuple, user), reason=reason or "-")

    def peer_denied(self, allocation: Allocation, peer: Address, reason: str) -> None:
        self._denied.value += 1
        self._debug(f"peer_denied {_ALLOCATION} peer={{peer}} reason={{reason}}", **_allocation(allocation),
                    peer=_shown(peer), reason=_word(reason))
        if self._listeners:
            self._tell(Denied(allocation.user, peer[0], reason))

    def peer_unsignalled(self, allocation: Allocation, peer: Address, reason: str, refused: bool, now: float) -> None:
        """A line a minute for each user, and `MAX_LINES` a second in all; addresses are told at the level debug alone."""
        self._strange[refused].value += 1
        told = {"reason": _word(reason), "verdict": _VERDICTS[refused]}
        self._debug(f"peer_unsignalled {_ALLOCATION} peer={{peer}} reason={{reason}} verdict={{verdict}}",
                    **_allocation(allocation), peer=_shown(peer), **told)
        if refused and self._listeners:
            self._tell(Denied(allocation.user, peer[0], reason))
        if self._strange_lines.allow(allocation.user, now) and self._all_strange_lines.allow("", now):
            user = _allocation(allocation)["user"]
            self._log.info("peers_unsignalled user={user} reason={reason} verdict={verdict}", user=user, **told)

    def allocation_created(self, allocation: Allocation) -> None:
        transport = allocation.five_tuple.transport
        self._created[transport].value += 1
        self._open[transport] += 1
        self.allocation_changed(allocation.five_tuple)
        self._debug(f"allocation_created {_ALLOCATION}", **_allocation(allocation))
        if self._listeners:
            self._tell(Began(allocation.user, transport))

    def allocation_refreshed(self, allocation: Allocation, lifetime_s: int) -> None:
        self._debug(f"allocation_refreshed {_ALLOCATION} lifetime={{lifetime}}", **_allocation(allocation),
                    lifetime=lifetime_s)

    def allocation_moved(self, allocation: Allocation, old: FiveTuple) -> None:
        self._open[old.transport] -= 1
        self._open[allocation.five_tuple.transport] += 1
        self._debug(f"allocation_moved {_ALLOCATION} from={{old}} by={{by}}", **_allocation(allocation),
                    old=_shown(old.client), by=old.transport)
        self.allocation_changed(old)
        self.allocation_changed(allocation.five_tuple)

    def allocation_ended(self, allocation: Allocation, reason: str, traffic: Traffic) -> None:
        self._ended = self._ended.plus(traffic)
        self._open[allocation.five_tuple.transport] -= 1
        counter = self._ends.get(reason)
        if counter is None:
            counter = self._end_counter(reason)
        counter.value += 1
        self.allocation_changed(allocation.five_tuple)
        self._debug(
            f"allocation_ended {_ALLOCATION} reason={{reason}} {_TRAFFIC}", **_allocation(allocation), reason=_word(reason),
            **traffic._asdict())
        if self._listeners:
            self._tell(Ended(allocation.user, allocation.five_tuple.transport, reason, traffic))
        if self._idle and not self._allocations():
            waiting, self._idle = self._idle, []
            for one in waiting:
                one.callback(None)

    def idle(self) -> Deferred[None]:
        """Fires when there is no allocation."""
        if not self._allocations():
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._idle.append(waiting)
        return waiting

    def _count_traffic(self) -> None:
        for counter, amount in zip(self._traffic, self._ended.plus(self._relayed()), strict=True):
            counter.value = amount

    def _answer_counter(self, method: Method, code: int) -> Counter:
        counter = self._answers[method, code] = self._metrics.counter(
            "turn", "responses", "Responses by method and error code.", method=method.name.lower(), code=str(code or "ok"))
        return counter

    def _end_counter(self, reason: str) -> Counter:
        counter = self._ends[reason] = self._metrics.counter(
            "turn", "allocations_ended", "Allocations that have ended, by reason.", reason=_word(reason))
        return counter

    def _drop_counter(self, reason: str) -> Counter:
        return self._metrics.counter("turn", "dropped_packets", "Datagrams that were dropped, by reason.", reason=reason)


def _client(five_tuple: FiveTuple, user: str) -> dict[str, object]:
    host, port = five_tuple.client
    return {"address": host, "port": port, "transport": five_tuple.transport, "user": _name(user)}


def _allocation(allocation: Allocation) -> dict[str, object]:
    return {**_client(allocation.five_tuple, allocation.user), "relayed": ",".join(map(_shown, allocation.shown.values()))}


def _name(text: str) -> str:
    """A name that a stranger may have made up, without what would end a field or a line."""
    return word(text, MAX_SHOWN_NAME)


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _word(reason: str) -> str:
    return reason.replace(" ", "-")
