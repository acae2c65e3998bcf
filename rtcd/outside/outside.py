"""`Outside`: finds out again and again how our relays look from outside, and tells of it when that has changed.

It starts after the sockets are open and nobody waits for it. What counts is decided in rtcd.outside.external; whom it asks
is `Lookups`: the DNS, clouds (rtcd.outside.metadata), and the operator's STUN server (rtcd.outside.reflexive).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TooSlow
from twisted.internet.interfaces import IDelayedCall, IHostResolution, IResolutionReceiver
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from rtcd.allocations.addresses import External, canonical_host
from rtcd.machine import maker
from rtcd.outside.external import MAX_ANSWERS, Findings, is_public
from rtcd.outside.metadata import Metadata
from rtcd.outside.reflexive import reflexive_host
from rtcd.stun.attributes import Address, family_of

T = TypeVar("T")

RESOLVE_TIMEOUT_S = 5.0
MAX_REFLEXIVE = 8
"""Of so many of our addresses the STUN server is asked."""


class Asking(Protocol):
    """Whom `Outside` asks. None of these raises; an empty answer is a failure."""

    async def resolve(self, name: str) -> Sequence[str]:
        """The addresses of a host name."""

    async def clouds(self) -> Sequence[External]:
        """What a cloud tells about this machine."""

    async def reflexive(self, host: str) -> str:
        """How our address looks to a STUN server."""


class Lookups:
    """The world."""

    def __init__(self, reactor: Any, stun_server: Address | None) -> None:
        self._reactor = reactor
        self._stun_server = stun_server
        self._metadata = Metadata(reactor, maker())

    async def resolve(self, name: str) -> Sequence[str]:
        return await resolve(self._reactor, name)

    async def clouds(self) -> Sequence[External]:
        return await self._metadata.find()

    async def reflexive(self, host: str) -> str:
        if self._stun_server is None:
            return ""
        name, port = self._stun_server
        try:
            servers: Sequence[str] = (canonical_host(name),)
        except ValueError:
            servers = await self.resolve(name)
        for server in servers:
            if family_of(server) == family_of(host):
                return await reflexive_host(self._reactor, host, (server, port))
        return ""


async def resolve(reactor: Any, name: str) -> Sequence[str]:
    """The addresses of a host name, none if it has none or the DNS takes too long."""
    receiver = _Addresses()
    reactor.nameResolver.resolveHostName(receiver, name)
    receiver.complete.addTimeout(RESOLVE_TIMEOUT_S, reactor)
    try:
        return await receiver.complete
    except TooSlow:
        return ()


@implementer(IResolutionReceiver)
class _Addresses:
    """Collects what the resolver finds; what comes after the time-out is forgotten."""

    def __init__(self) -> None:
        self.complete: Deferred[Sequence[str]] = Deferred()
        self._found: list[str] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """It cannot be stopped where threads do it."""

    def addressResolved(self, address: Any) -> None:
        """One more."""
        if len(self._found) < MAX_ANSWERS:
            self._found.append(address.host)

    def resolutionComplete(self) -> None:
        """That was all."""
        if not self.complete.called:
            self.complete.callback(tuple(dict.fromkeys(self._found)))


class Outside:
    """The timer and the steps of a check."""

    _log = Logger()

    def __init__(
        self, clock: Any, findings: Findings, asking: Asking, interval_s: float, take: Callable[[Sequence[External]], bool]
    ) -> None:
        """``interval_s``: from the end of one check to the next, 0 for a single one. ``take(mapping)`` is told after each
        check, and returns whether that is a change."""
        self._clock = clock
        self.findings = findings
        self._asking = asking
        self._interval_s = interval_s
        self._take = take
        self._timer: IDelayedCall | None = None
        self._check: Deferred[None] | None = None
        self._warned = self._stopped = False

    def start(self) -> None:
        """Begin with the first turn of the reactor, if there is anything to find out."""
        for one in self.findings.plan.fixed:
            if not is_public(one.public):
                self._log.warn("[turn] external-ip: {external} is no address of the internet; clients there will not reach"
                               " it", external=one.public)
        if self.findings.plan.named or self.findings.lacking():
            self._timer = self._clock.callLater(0, self._begin)

    def stop(self) -> Deferred[None]:
        """Give up what is under way; fires when its sockets are closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stopped = True
        check = self._check
        if check is None:
            check = Deferred()
            check.callback(None)
        check.cancel()
        return check

    def _begin(self) -> None:
        self._timer = None
        self._check = check = Deferred.fromCoroutine(self._look())
        check.addErrback(self._failed)
        check.addCallback(self._again)

    def _failed(self, failure: Failure) -> None:
        if not self._stopped:
            self._log.failure("external addresses cannot be checked", failure)

    def _again(self, _: None) -> None:
        self._check = None
        if self._interval_s and not self._stopped:
            self._timer = self._clock.callLater(self._interval_s, self._begin)

    async def _look(self) -> None:
        findings = self.findings
        names = findings.plan.named
        for named, addresses in zip(names, await _all([self._asking.resolve(one.name) for one in names]), strict=True):
            if not findings.resolved(named, addresses):
                self._log.debug("no public address of ours: {name} is {addresses}", name=named.name, addresses=addresses)
        if findings.lacking():
            told = list(await self._asking.clouds())
            rest = findings.found(told)[:MAX_REFLEXIVE]
            seen = await _all([self._asking.reflexive(host) for host in rest])
            findings.found([*told, *map(External, seen, rest)])
        if self._take(findings.mapping()):
            shown = ", ".join(f"{one.private or 'each of its family'} is {one.public}" for one in findings.mapping())
            self._log.info("external addresses are now: {shown}", shown=shown or "none")
        if findings.is_stranded() and not self._warned:
            self._warned = True
            self._log.warn("no public address was found and every relay is at a private one: clients elsewhere cannot"
                           " reach them; set [turn] external-ip or stun-server, or empty external-ip in a closed network")


async def _all(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All results, waited for together."""
    return await gatherResults([Deferred.fromCoroutine(one) for one in work], consumeErrors=True)
