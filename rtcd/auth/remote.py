"""`RemoteUsers`: asks the operator's own HTTP service for users that the ini does not have.

Which users are asked for, what is remembered and who waits is rtcd.auth.lookup; who asks for it is rtcd.auth.authenticator.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, BrowserLikePolicyForHTTPS, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers

from rtcd import __version__
from rtcd.allocations.allocation import FiveTuple
from rtcd.auth.authenticator import Found
from rtcd.auth.lookup import Lookups, parse_answer
from rtcd.bucket import Buckets
from rtcd.metrics import Metrics
from rtcd.outside.connection import Body, OneConnection

LOOKUP_S = 3.0
"""How long a look-up may take, from the connection to the last byte."""
MAX_ANSWER_BYTES = 4096
"""More than this is no answer about one user."""
WARN_EVERY_S = 60.0
"""Seconds between two lines about faults."""

RESULTS = ("found", "unknown", "fault", "late")
"""The labels of the counter."""


class RemoteUsers:
    """The Directory of rtcd.auth.authenticator. Neither method ever raises."""

    _log = Logger()

    def __init__(
        self, reactor: Any, clock: IReactorTime, url: str, token: str, realm: str,
        receive: Callable[[bytes, FiveTuple], None], metrics: Metrics,
    ) -> None:
        """``receive`` takes a request that has waited, as if it had just come."""
        self._reactor = reactor
        self._clock = clock
        self._url = url.encode("ascii")
        self._realm = realm
        self._receive = receive
        self._headers = Headers({
            "Content-Type": ["application/json"], "Accept": ["application/json"], "User-Agent": [f"rtcd/{__version__}"]})
        if token:
            self._headers.setRawHeaders("Authorization", [f"Bearer {token}"])
        self._counted = {result: metrics.counter("turn", "user_lookups", "Users asked for at auth-url.", result=result)
                         for result in RESULTS}
        self._lookups = Lookups(self._counted["late"])
        self._running: set[Deferred[None]] = set()
        self._policy = BrowserLikePolicyForHTTPS()
        self._lines = Buckets(1 / WARN_EVERY_S, 1.0, 1)
        self._stopped = False

    def find(self, username: str, now: float) -> Found | None:
        """What is known of a user by now; None if it has to be asked for."""
        return self._lookups.find(username, now)

    def wait(self, username: str, data: bytes, five_tuple: FiveTuple, now: float) -> bool:
        """Ask, and receive this request again when the answer is there. False if too many wait already."""
        if self._stopped or not self._lookups.wait(username, data, five_tuple, now):
            return False
        self._begin()
        return True

    def stop(self) -> None:
        """Ask no more, close every connection, and forget who waits."""
        self._stopped = True
        for one in list(self._running):
            one.cancel()

    def _begin(self) -> None:
        while not self._stopped and (username := self._lookups.next(self._clock.seconds())) is not None:
            running = Deferred.fromCoroutine(self._run(username))
            self._running.add(running)
            running.addErrback(lambda failure: self._log.failure("a look-up failed", failure=failure))
            running.addBoth(self._ended, running)

    def _ended(self, _result: object, running: Deferred[None]) -> None:
        self._running.discard(running)
        self._begin()

    async def _run(self, username: str) -> None:
        found: Found | None = None
        try:
            found = await Deferred.fromCoroutine(self._ask(username)).addTimeout(LOOKUP_S, self._clock)
            result = "found" if any(found.keys) else "unknown"
        except Exception as error:  # whatever is wrong over there, here it is one thing
            result = "fault"
            if not self._stopped and self._lines.allow("", self._clock.seconds()):
                reason = str(error) if isinstance(error, ValueError) else type(error).__name__
                self._log.warn("[turn] auth-url gave no good answer, and who is known only there is refused: {reason}",
                               reason=reason)
        if self._stopped:
            return
        self._counted[result].value += 1
        for data, five_tuple in self._lookups.done(username, found, self._clock.seconds()):
            self._receive(data, five_tuple)

    def _endpoint(self, uri: URI) -> IStreamClientEndpoint:
        endpoint = HostnameEndpoint(self._reactor, uri.host, uri.port, timeout=LOOKUP_S)
        secure = uri.scheme == b"https"
        return cast(IStreamClientEndpoint, wrapClientTLS(
            self._policy.creatorForNetloc(uri.host, uri.port), endpoint) if secure else endpoint)

    async def _ask(self, username: str) -> Found:
        """One request on a connection of its own. Raises ValueError for a bad answer, and what networks raise."""
        connection = OneConnection(self._endpoint)
        agent = Agent.usingEndpointFactory(self._reactor, connection)
        question = json.dumps({"username": username, "realm": self._realm}).encode()
        try:
            response = await agent.request(b"POST", self._url, self._headers, Body(question))
            body = _Body()
            response.deliverBody(body)
            answer = await body.done
            return parse_answer(response.code, answer, username, self._realm, self._clock.seconds())
        finally:
            connection.close()


class _Body(Protocol):
    """Collects a response of at most `MAX_ANSWER_BYTES`; `done` fires with it, or with ValueError."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= MAX_ANSWER_BYTES:
            self._parts.append(data)
        elif not self.done.called:
            self._parts.clear()
            self.done.errback(ValueError(f"an answer of more than {MAX_ANSWER_BYTES} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(ValueError("an answer that ends early"))
