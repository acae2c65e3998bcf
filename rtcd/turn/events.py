"""What the TURN service tells about itself: counters and log lines. The rules are rtcd.turn.server's."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from rtcd.bucket import Buckets, network
from rtcd.metrics import Counter, Metrics
from rtcd.plane.relay import DROPS
from rtcd.stun.attributes import Address
from rtcd.stun.message import Method
from rtcd.turn.allocation import Allocation, FiveTuple, Traffic

MAX_SHOWN_NAME = 64
"""Characters of a name that a stranger made up, in the log."""

MAX_LINES = 20.0
"""Lines a second about failed passwords, whoever they come from."""


class Events:
    """The server's Observer."""

    _log = Logger()

    def __init__(self, metrics: Metrics, allocations: Callable[[], int]) -> None:
        """``allocations()``: how many there are."""
        self._metrics = metrics
        self._debug = self._log.debug  # each look-up through the class makes a new Logger
        self._answers: dict[tuple[Method, int], Counter] = {}
        self._dropped: dict[str, Counter] = {}
        self._failed = metrics.counter("turn", "auth_failures", "Requests with a name and a wrong password.")
        self._denied = metrics.counter("turn", "denied_peers", "Requests for peers that the policy refuses.")
        self._created = metrics.counter("turn", "allocations", "Allocations made.")
        self._traffic = [
            metrics.counter("turn", f"relayed_{unit}", f"Relayed {unit} of ended allocations.", direction=direction)
            for direction in ("sent", "received") for unit in ("packets", "bytes")
        ]
        metrics.gauge("turn", "allocations_open", "Allocations there are now.", allocations)
        self._lines = Buckets(1.0, 1.0)
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
        host, port = five_tuple.client
        if self._lines.allow(network(host), now) and self._all_lines.allow("", now):
            name = "".join(one if one.isprintable() and one not in ' "' else "?" for one in username[:MAX_SHOWN_NAME])
            self._log.info("auth_fail address={address} port={port} transport={transport} user={user}",
                           address=host, port=port, transport=five_tuple.transport, user=name)

    def peer_denied(self, allocation: Allocation, peer: Address, reason: str) -> None:
        self._denied.value += 1
        self._log.debug("refused peer {peer} to {user}: {reason}", peer=peer, user=allocation.user, reason=reason)

    def allocation_created(self, allocation: Allocation) -> None:
        self._created.value += 1

    def allocation_ended(self, allocation: Allocation, reason: str, traffic: Traffic) -> None:
        for counter, amount in zip(self._traffic, traffic, strict=True):
            counter.value += amount
        self._debug("allocation {relayed} of {user} at {five_tuple} ended: {reason}; {traffic}", relayed=allocation.shown,
                    user=allocation.user, five_tuple=allocation.five_tuple, reason=reason, traffic=traffic)

    def _drop_counter(self, reason: str) -> Counter:
        return self._metrics.counter("turn", "dropped_packets", "Datagrams that were dropped, by reason.", reason=reason)
