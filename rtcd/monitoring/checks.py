"""What has to hold for the daemon to serve a call: the checks of rtcd.monitoring.readiness, on the living daemon."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, gatherResults
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from rtcd.context import Context
from rtcd.doorway.directory import Listener
from rtcd.rooms.outcome import Outcome, StoreUnavailable
from rtcd.rooms.records import Room

NAMES = ("accepting", "certificate", "listeners", "nodes", "rooms", "turn")
"""The checks; a label of the metrics."""

ELSEWHERE = frozenset(("nodes", "rooms"))
"""Those of what daemons share: if it fails it fails for all of them, and no other one would serve better."""

MAX_ASKED = 8
"""So many of the addresses that TURN listens on are asked, the first ones."""

ANSWER_S = 1.0
"""How long an answer of our own may take."""

NO_ROOM = "readyz"
"""The room that the store is asked for, and that is not changed."""

_NO_ANSWER = "no answer by UDP from"
_STREAMS = ("tcp", "tls")

Ask = Callable[[Any, Listener, bytes], Coroutine[Deferred[Any], Any, bool]]
Taking = Callable[[Any], set[tuple[str, int]]]


class Checks:
    """The checks of one daemon. ``ask`` asks a TURN listener of ours, ``taking`` tells where the reactor takes TCP
    connections; see rtcd.monitoring.probe."""

    def __init__(self, context: Context, ask: Ask, taking: Taking) -> None:
        self._context = context
        self._ask = ask
        self._taking = taking
        self._expected: set[tuple[str, str, str, int]] | None = None

    def started(self) -> None:
        """Everything is open: what listens now has to go on listening."""
        self._expected = self._listening()

    async def accepting(self) -> str:
        """New calls are taken."""
        desk = self._context.desk
        draining = desk.offers("daemon.draining") and desk.ask("daemon.draining")
        return "it drains: nothing new is taken" if draining else ""

    async def certificate(self) -> str:
        """What TLS shows is good by its dates now; a daemon without TLS has nothing to show."""
        now = self._context.reactor.seconds()
        bad = [one for one in self._context.doorway.certificates.chains if not one.is_valid(now)]
        if not bad:
            return ""
        expired = any(one.expires_at() <= now for one in bad)
        return "it has expired; renew it" if expired else "it is not valid yet; check the clock"

    async def listeners(self) -> str:
        """All that were open at the start are open; those of TCP are looked at, UDP is asked by `turn`."""
        if self._expected is None:
            return "the daemon is starting"
        taking = self._taking(self._context.reactor)
        deaf = {one for one in self._expected if one[1] in _STREAMS and one[3] and one[2:] not in taking}
        missing = sorted(self._expected - self._listening() | deaf)
        return "; ".join(f"{service} does not listen on {transport} port {port} any more"
                         for service, transport, _, port in missing[:MAX_ASKED])

    async def nodes(self) -> str:
        """Of the TURN nodes that [ice] servers names one serves; a daemon that names none has none to lack."""
        desk = self._context.desk
        return str(desk.ask("ice.trouble")) if desk.offers("ice.trouble") else ""

    async def rooms(self) -> str:
        """The store of rooms can be reached, which takes a beat that it has written; of several each."""
        store: Any = self._context.rooms
        stores, faults = getattr(store, "stores", (store,)), []
        for one in stores:
            try:
                await one.update(NO_ROOM, _unchanged)
            except StoreUnavailable as fault:
                trouble = getattr(one, "trouble", "")
                faults.append(f"[rooms] store {one.place}: {trouble}" if trouble else str(fault))
        return f"{len(faults)} of {len(stores)} stores: {faults[0]}" if faults and len(stores) > 1 else "".join(faults)

    async def turn(self) -> str:
        """STUN and TURN answer by UDP, wherever they listen for it."""
        asked = [one for one in self._context.doorway.directory.listeners("turn")
                 if one.transport == "udp" and one.last_port is None][:MAX_ASKED]
        found = await gatherResults([self._answers(one) for one in asked], consumeErrors=True)
        silent: dict[str, list[str]] = {}
        for one, why in zip(asked, found, strict=True):
            if why:
                silent.setdefault(why, []).append(f"{one.host} port {one.port}")
        return "; ".join(f"{why} {', '.join(places)}" for why, places in silent.items())

    def _answers(self, listener: Listener) -> Deferred[str]:
        """What there is to be said of it before its place; nothing if it answers."""
        reactor, desk = self._context.reactor, self._context.desk
        transaction_id = desk.ask("turn.question") if desk.offers("turn.question") else secrets.token_bytes(12)
        asking = Deferred.fromCoroutine(self._ask(reactor, listener, transaction_id)).addTimeout(ANSWER_S, reactor)
        return asking.addCallbacks(lambda answers: "" if answers else _NO_ANSWER, _unanswered)

    def _listening(self) -> set[tuple[str, str, str, int]]:
        return {(one.service, one.transport, one.host, one.port) for one in self._context.doorway.directory.listeners()}


def _unanswered(failure: Failure) -> str:
    if failure.check(CannotListenError):
        fault: Any = failure.value
        return f"no UDP socket to ask from ({getattr(fault.socketError, 'strerror', None) or fault.socketError}):"
    failure.trap(TimeoutError)
    return _NO_ANSWER


def _unchanged(room: Room, now: float) -> Outcome[None]:
    return Outcome(room, None)
