"""`Poster`: one POST to the operator's own URL, on a connection of its own, of whose answer only the status counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, Agent, BrowserLikePolicyForHTTPS
from twisted.web.http_headers import Headers

from rtcd import __version__
from rtcd.outside.connection import Body, OneConnection

POST_S = 10.0
"""How long one may take, from the look-up of the host to the status."""


class Poster:
    """Posts JSON; redirections are not followed."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._policy = BrowserLikePolicyForHTTPS()

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Deferred[int]:
        """Fires with the status; fails with what networks fail with. It may be cancelled."""
        return Deferred.fromCoroutine(self._post(url, headers, body)).addTimeout(POST_S, self._reactor)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        connection = OneConnection(self._endpoint)
        agent = Agent.usingEndpointFactory(self._reactor, connection)
        sent = Headers({"Content-Type": ["application/json"], "User-Agent": [f"rtcd/{__version__}"]})
        for name, value in headers.items():
            sent.setRawHeaders(name, [value])
        try:
            response = await agent.request(b"POST", url.encode("ascii"), sent, Body(body))
            return int(response.code)
        finally:
            connection.close()

    def _endpoint(self, uri: URI) -> IStreamClientEndpoint:
        endpoint = HostnameEndpoint(self._reactor, uri.host, uri.port, timeout=POST_S)
        secure = uri.scheme == b"https"
        return cast(IStreamClientEndpoint, wrapClientTLS(
            self._policy.creatorForNetloc(uri.host, uri.port), endpoint) if secure else endpoint)
