"""`OneConnection`: the connection of one request of an Agent, which can be closed at any moment; `Body`: what it sends.

An Agent alone would let a peer that goes on sending keep it open, and would make lines in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class OneConnection:
    """To be given to ``Agent.usingEndpointFactory``; ``reach`` makes the endpoint of a URI."""

    def __init__(self, reach: Callable[[URI], IStreamClientEndpoint]) -> None:
        self._reach = reach
        self._endpoint: Any = None
        self._protocol: Any = None

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """The Agent asks for the endpoint of a request."""
        self._endpoint = self._reach(uri)
        return self

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """The Agent connects."""
        cast(Factory, factory).noisy = False
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addCallback(self._connected)

    def _connected(self, protocol: Any) -> Any:
        self._protocol = protocol
        return protocol

    def close(self) -> None:
        """At once; once is enough."""
        protocol, self._protocol = self._protocol, None
        if protocol is not None and protocol.transport is not None:
            protocol.transport.abortConnection()


@implementer(IBodyProducer)
class Body:
    """A request's body that is there already."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.length = len(data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """All at once."""
        consumer.write(self.data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is sent already."""

    def resumeProducing(self) -> None:
        """Likewise."""

    def stopProducing(self) -> None:
        """Likewise."""
