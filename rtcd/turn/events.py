"""What the TURN service tells about itself: counters and log lines. The rules are rtcd.turn.server's.

A log line is the name of the event and then ``field=value``, always in the order of `_CLIENT` and what follows it; no value
has a space or a quotation mark in it, so that programs can read them (docs/operating.md, etc/fail2ban).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from rtcd.allocations.allocation import Allocation, FiveTuple, Traffic
from rtcd.bucket import Buckets, network
from rtcd.metrics import Counter, Metrics
from rtcd.plane.relay import DROPS
from rtcd.stun.attributes import Address
from rtcd.stun.message import Method

MAX_SHOWN_NAME = 64
"""Characters of a name that a stranger made up, in the log."""

MAX_LINES = 20.0
"""Lines a second about failed passwords, whoever they come from."""


_CLIENT = "address={address} port={port} transport={transport} user={user}"
_TRAFFIC = " ".join(f"{one}={{{one}}}" for one in Traffic._fields)
_ALLOCATION = f"{_CLIENT} relayed={{relayed}}"


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
        self._created = metrics.counter("turn", "allocations", "Allocations made.")
        self._traffic = [
            metrics.counter("turn", f"relayed_{unit}", f"Relayed {unit} of payload.", direction=direction)
            for direction in ("sent", "received") for unit in ("packets", "bytes")
        ]
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

    def relay_drops(self) -> dict[str, Counter]:
        """The counters of the relay plane."""
        return {reason: self._drop_counter(reason) for reason in DROPS}

    def answered(self, method: Method, code: int) -> None:
        counter = self._answers.get((method, code))
        if counter is None:
            text = "Responses by method and error code."
            counter = self._answers[method, code] = self._metrics.counter(
                "turn", "responses", text, method=method.name.lower(), code=str(code or "ok"))
        counter.value += 1

    def dropped(self, reason: str) -> None:
        counter = self._dropped.get(reason)
        if counter is None:
            counter = self._dropped[reason] = self._drop_counter(reason.replace(" ", "-"))
        counter.value += 1

    def auth_failed(self, five_tuple: FiveTuple, username: str, now: float) -> None:
        """One line a second for each network, and `MAX_LINES` in all, in a form that fail2ban can read."""
        self._failed.value += 1
        if self._lines.allow(network(five_tuple.client[0]), now) and self._all_lines.allow("", now):
            self._log.info(f"auth_fail {_CLIENT}", **_client(five_tuple, username))

    def refused(self, five_tuple: FiveTuple, user: str, code: int, reason: str) -> None:
        name = "quota_refused" if code == 486 else "capacity_refused"
        self._debug(f"{name} {_CLIENT} reason={{reason}}", **_client(five_tuple, user), reason=reason or "-")

    def peer_denied(self, allocation: Allocation, peer: Address, reason: str) -> None:
        self._denied.value += 1
        self._debug(f"peer_denied {_ALLOCATION} peer={{peer}} reason={{reason}}", **_allocation(allocation),
                    peer=_shown(peer), reason=_word(reason))

    def peer_unsignalled(self, allocation: Allocation, peer: Address, reason: str, refused: bool, now: float) -> None:
        """A line a minute for each user, and `MAX_LINES` a second in all; addresses are told at the level debug alone."""
        self._strange[refused].value += 1
        told = {"reason": _word(reason), "verdict": _VERDICTS[refused]}
        self._debug(f"peer_unsignalled {_ALLOCATION} peer={{peer}} reason={{reason}} verdict={{verdict}}",
                    **_allocation(allocation), peer=_shown(peer), **told)
        if self._strange_lines.allow(allocation.user, now) and self._all_strange_lines.allow("", now):
            user = _allocation(allocation)["user"]
            self._log.info("peers_unsignalled user={user} reason={reason} verdict={verdict}", user=user, **told)

    def allocation_created(self, allocation: Allocation) -> None:
        self._created.value += 1
        self.allocation_changed(allocation.five_tuple)
        self._debug(f"allocation_created {_ALLOCATION}", **_allocation(allocation))

    def allocation_refreshed(self, allocation: Allocation, lifetime_s: int) -> None:
        self._debug(f"allocation_refreshed {_ALLOCATION} lifetime={{lifetime}}", **_allocation(allocation),
                    lifetime=lifetime_s)

    def allocation_moved(self, allocation: Allocation, old: FiveTuple) -> None:
        self._debug(f"allocation_moved {_ALLOCATION} from={{old}} by={{by}}", **_allocation(allocation),
                    old=_shown(old.client), by=old.transport)
        self.allocation_changed(old)
        self.allocation_changed(allocation.five_tuple)

    def allocation_ended(self, allocation: Allocation, reason: str, traffic: Traffic) -> None:
        self._ended = self._ended.plus(traffic)
        self.allocation_changed(allocation.five_tuple)
        self._debug(
            f"allocation_ended {_ALLOCATION} reason={{reason}} {_TRAFFIC}", **_allocation(allocation), reason=_word(reason),
            **traffic._asdict())
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

    def _drop_counter(self, reason: str) -> Counter:
        return self._metrics.counter("turn", "dropped_packets", "Datagrams that were dropped, by reason.", reason=reason)


def _client(five_tuple: FiveTuple, user: str) -> dict[str, object]:
    host, port = five_tuple.client
    return {"address": host, "port": port, "transport": five_tuple.transport, "user": _name(user)}


def _allocation(allocation: Allocation) -> dict[str, object]:
    return {**_client(allocation.five_tuple, allocation.user), "relayed": ",".join(map(_shown, allocation.shown.values()))}


def _name(text: str) -> str:
    """A name that a stranger may have made up, without what would end a field or a line."""
    return "".join(one if one.isprintable() and one not in ' "' else "?" for one in text[:MAX_SHOWN_NAME]) or "-"


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _word(reason: str) -> str:
    return reason.replace(" ", "-")
