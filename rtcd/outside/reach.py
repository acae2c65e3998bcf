"""`Reach`: which of the names that this daemon might have lead to it from the internet, so that asking for them makes sense.

For ``[tls] mode = auto``, where nobody has said which names are ours: an authority counts attempts that fail. What looks
like a public name is rtcd.outside.names'.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.internet.defer import TimeoutError as TooSlow
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, RequestTransmissionFailed, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from rtcd.acme.challenges import Challenges
from rtcd.acme.resource import CHALLENGE_PATH
from rtcd.machine import own_addresses
from rtcd.outside.connection import OneConnection
from rtcd.outside.names import public_name
from rtcd.outside.outside import Lookups
from rtcd.tls.names import canonical, is_address
from rtcd.tls.unverified import Unverified

PROBE_S = 5.0
"""For one connection to ourselves and the answer on it."""
MAX_NAMES = 32
"""Candidates that are looked at."""
MAX_PROBES = 4
"""Addresses of one name that are tried."""
MAX_PROBE_BYTES = 65536
"""Of what comes on the connection of a probe: handshake, headers and answer. Ours takes less than a tenth of it."""
HTTP_PORT, HTTPS_PORT = 80, 443
"""Where an authority comes to, whatever our own listeners are."""


class Reach:
    """Asks the DNS, and knocks at our own door from without."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        challenges: Challenges,
        *,
        own: Callable[[], Iterable[str]] = own_addresses,
        resolve: Callable[[str], Any] | None = None,
        is_public: Callable[[str], bool] = public_name,
        ports: tuple[int, int] = (HTTP_PORT, HTTPS_PORT),
    ) -> None:
        """``own``: the addresses of this machine; ``resolve``: awaited for those of a name; ``ports``: HTTP, HTTPS."""
        self._reactor = reactor
        self._challenges = challenges
        self._own = own
        self._resolve = resolve or Lookups(reactor, None).resolve
        self._is_public = is_public
        self._http_port, self._https_port = ports

    async def of(self, names: Sequence[str], *, http: bool, outside: Collection[str] = ()) -> tuple[str, ...]:
        """The names, in their order, that lead here. Never raises but when cancelled.

        ``http``: our HTTP listener shows challenges, so probes go there; otherwise they go to the HTTPS port.
        ``outside``: addresses that are known to lead here, as from a cloud's metadata.
        """
        candidates = list(dict.fromkeys(canonical(name) for name in names))
        looked_at = [name for name in candidates if self._is_public(name)][:MAX_NAMES]
        ours = {canonical(one) for one in (*self._own(), *outside)}
        work = gatherResults(
            [Deferred.fromCoroutine(self._leads_here(name, ours, http)) for name in looked_at], consumeErrors=True)
        try:
            answers = await work
        except FirstError as error:
            error.subFailure.raiseException()
        found = tuple(name for name, good in zip(looked_at, answers, strict=True) if good)
        left_out = [name for name in candidates if name not in found]
        if left_out:
            self._log.debug("an authority would not find us as {names}", names=", ".join(left_out))
        return found

    async def _leads_here(self, name: str, ours: Collection[str], http: bool) -> bool:
        addresses = [name] if is_address(name) else [canonical(one) for one in await self._resolve(name)]
        public = [one for one in addresses if self._is_public(one)]
        if any(one in ours for one in public):
            return True
        for address in public[:MAX_PROBES]:
            if await self._probe(name, address, http):
                return True
        return False

    async def _probe(self, name: str, address: str, http: bool) -> bool:
        """Whether a secret that we show comes back from there."""
        token, text = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
        try:
            self._challenges.put_http(token, text)
        except ValueError:
            return False
        try:
            await self._challenges.everywhere()
            knocking = Deferred.fromCoroutine(self._get(name, address, http, token, len(text)))
            knocking.addTimeout(PROBE_S, self._reactor, _too_slow)
            return secrets.compare_digest(await knocking, text.encode())
        except Exception as error:  # whatever is wrong over there, it is not us
            if _is_cancelled(error):
                raise CancelledError from None
            self._log.debug("{name} at {peer} is not us: {reason}", name=name, peer=address, reason=str(error))
            return False
        finally:
            self._challenges.drop_http(token)

    def _endpoint(self, name: str, address: str, http: bool) -> IStreamClientEndpoint:
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        plain = _Bounded(kind(self._reactor, address, self._http_port if http else self._https_port, PROBE_S))
        return plain if http else wrapClientTLS(Unverified(name), plain)

    async def _get(self, name: str, address: str, http: bool, token: str, length: int) -> bytes:
        connection = OneConnection(lambda _: self._endpoint(name, address, http))
        agent = Agent.usingEndpointFactory(self._reactor, connection)
        host = f"[{name}]" if ":" in name else name
        try:
            url = f"{'http' if http else 'https'}://{host}{CHALLENGE_PATH}/{token}"
            response = await agent.request(b"GET", url.encode("ascii"))
            if response.code != 200:
                raise ValueError(f"status {response.code}")
            body = _Body(length)
            response.deliverBody(body)
            return await body.done
        finally:
            connection.close()


def _too_slow(result: object, timeout_s: float) -> object:
    """However the work took its end by the time-out: cancelled connections and requests have failures of their own."""
    raise TooSlow(f"no answer within {timeout_s:.0f} seconds")


def _is_cancelled(error: Exception) -> bool:
    if isinstance(error, ResponseFailed | RequestTransmissionFailed):
        return any(reason.check(CancelledError) for reason in error.reasons)
    return isinstance(error, CancelledError | ConnectingCancelledError)


@implementer(IStreamClientEndpoint)
class _Bounded:
    """Connects; what has sent `MAX_PROBE_BYTES` is hung up on."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Connect, with a counter between."""
        counting = WrappingFactory(cast(Factory, factory))
        counting.protocol = _Counted
        counting.noisy = False
        connecting: Deferred[Any] = self._endpoint.connect(counting)
        return connecting.addCallback(lambda counted: counted.wrappedProtocol)


class _Counted(ProtocolWrapper):
    """Counts what comes."""

    _left = MAX_PROBE_BYTES

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.abortConnection()
        else:
            super().dataReceived(data)


class _Body(Protocol):
    """Collects an answer of a known length; a longer one is none."""

    def __init__(self, length: int) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._length = length
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        if self.done.called:
            return
        self._data += data
        if len(self._data) > self._length:
            self.done.errback(ValueError("another answer than ours"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(self._data)
        else:
            self.done.errback(ValueError("an answer that breaks off"))
