"""What clouds tell a machine about its public addresses, over HTTP at an address that leads no further than the host.

All of them are asked at once, for a moment; on a machine of none nothing answers. Which answers count, and for which of
our hosts, is rtcd.outside.external. Sources: the providers' pages on instance metadata (AWS, GCP, Azure, Aliyun, Tencent).
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TooSlow
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, RequestTransmissionFailed, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers

from rtcd.allocations.addresses import External
from rtcd.outside.connection import OneConnection
from rtcd.outside.external import is_public, usable

CONNECT_TIMEOUT_S = 1.0
"""On a machine of no cloud the packets often go nowhere."""
REQUEST_TIMEOUT_S = 1.5
"""For one request; a service that is there answers within milliseconds."""
CLOUD_TIMEOUT_S = 5.0
"""For all that is asked of one cloud."""
MAX_ANSWER_BYTES = 65536
MAX_INTERFACES = 16
"""Network interfaces that are asked about one by one, and public addresses of each."""
MAX_TOKEN_CHARACTERS = 1024

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_TOKEN = re.compile(r"[!-~]+", re.ASCII)


class Unreachable(Exception):
    """Nobody is there."""


class Silent(Exception):
    """Somebody is there and does not answer in time."""


class Refused(Exception):
    """An answer that is none: another status than 200, too long, broken."""


class Client:
    """Asks one metadata service."""

    def __init__(self, reactor: Any, base: str) -> None:
        self._reactor = reactor
        self._base = base
        self.headers: dict[str, str] = {}
        """Sent with each request."""

    async def text(self, path: str, method: bytes = b"GET", headers: Mapping[str, str] | None = None) -> str:
        """The body of the answer. Raises Unreachable, Silent, Refused."""
        request = Deferred.fromCoroutine(self._ask(path, method, self.headers | dict(headers or {})))
        request.addTimeout(REQUEST_TIMEOUT_S, self._reactor, _too_slow)
        try:
            body = await request
        except TooSlow:
            raise Silent(f"{self._base}{path} does not answer") from None
        except ConnectError as error:
            raise Unreachable(f"{self._base}: {error}") from None
        except ConnectingCancelledError:
            raise CancelledError from None
        except (RequestTransmissionFailed, ResponseFailed) as error:
            if any(reason.check(CancelledError) for reason in error.reasons):
                raise CancelledError from None
            raise Refused(f"{self._base}{path}: broken answer") from None
        return body.decode("ascii", "replace")

    async def lines(self, path: str) -> list[str]:
        """The same, by lines, of which there may be none; refusal is nothing. Raises Unreachable, Silent."""
        try:
            return [line.strip() for line in (await self.text(path)).splitlines() if line.strip()]
        except Refused:
            return []

    async def json(self, path: str) -> Any:
        """The same, as JSON. Raises Unreachable, Silent, Refused."""
        text = await self.text(path)
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise Refused(f"{self._base}{path}: no JSON") from None

    async def _ask(self, path: str, method: bytes, headers: Mapping[str, str]) -> bytes:
        connection = OneConnection(lambda uri: TCP4ClientEndpoint(  # numeric: nobody has to be asked for the address
            self._reactor, uri.host.decode("ascii"), uri.port, CONNECT_TIMEOUT_S))
        agent = Agent.usingEndpointFactory(self._reactor, connection)
        try:
            response = await agent.request(
                method, f"{self._base}{path}".encode(), Headers({name: [value] for name, value in headers.items()}))
            if response.code != 200:
                raise Refused(f"{self._base}{path}: status {response.code}")
            body = _Body()
            response.deliverBody(body)
            return await body.whole
        finally:
            connection.close()


def _too_slow(result: object, timeout_s: float) -> object:
    """However the work took its end by the time-out: cancelled connections and requests have failures of their own."""
    raise TooSlow


class _Body(Protocol):
    """Collects an answer up to the limit; whoever asked closes the connection."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        if self.whole.called:
            return
        self._data += data
        if len(self._data) > MAX_ANSWER_BYTES:
            self.whole.errback(Refused(f"an answer of more than {MAX_ANSWER_BYTES} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(self._data)
        else:
            self.whole.errback(Refused("an answer that breaks off"))


# Services like the one of EC2: a tree of short texts.

async def _let_in(client: Client, token: str) -> None:
    """A token in each further request, where such are given out; without one some answer as well."""
    try:
        text = (await client.text("/latest/api/token", b"PUT", {f"{token}-ttl-seconds": "60"})).strip()
    except (Silent, Refused):  # silent from within a container: the token's answer may take no hop more
        return
    if len(text) <= MAX_TOKEN_CHARACTERS and _TOKEN.fullmatch(text):
        client.headers = {token: text}


async def _interfaces(client: Client) -> list[External]:
    """Each public address with the private one of the network interface that it stands for."""
    found = []
    top = "/latest/meta-data/network/interfaces/macs/"
    for line in (await client.lines(top))[:MAX_INTERFACES]:
        mac = line.rstrip("/")
        if not _MAC.fullmatch(mac):
            continue
        for public in (await client.lines(f"{top}{mac}/ipv4-associations/"))[:MAX_INTERFACES]:
            if is_public(public):
                private = await client.lines(f"{top}{mac}/ipv4-associations/{public}")
                found += [External(public, one) for one in private[:1]]
    return found


async def _primary(client: Client, public_names: Sequence[str], private_name: str) -> list[External]:
    """The one public address, for the one private address."""
    for name in public_names:
        found = [External(one) for one in (await client.lines(f"/latest/meta-data/{name}"))[:1]]
        if usable(found):
            private = await client.lines(f"/latest/meta-data/{private_name}")
            return [External(found[0].public, *private[:1])]
    return []


async def _aws(client: Client) -> list[External]:
    await _let_in(client, "X-aws-ec2-metadata-token")
    return await _interfaces(client) or await _primary(client, ("public-ipv4",), "local-ipv4")


async def _aliyun(client: Client) -> list[External]:
    await _let_in(client, "X-aliyun-ecs-metadata-token")
    return await _primary(client, ("eipv4", "public-ipv4"), "private-ipv4")


async def _tencent(client: Client) -> list[External]:
    return await _primary(client, ("public-ipv4",), "local-ipv4")


# Services that tell JSON.

async def _gcp(client: Client) -> list[External]:
    client.headers = {"Metadata-Flavor": "Google"}
    answer = await client.json("/computeMetadata/v1/instance/network-interfaces/?recursive=true")
    return [External(_text(access, "externalIp"), _text(interface, "ip"))
            for interface in _items(answer) for access in _items(interface, "accessConfigs")]


async def _azure(client: Client) -> list[External]:
    """An address of the standard kind is told by the load balancer's page only."""
    client.headers = {"Metadata": "true"}
    try:
        answer = await client.json("/metadata/instance/network/interface?api-version=2021-02-01")
    except Refused:
        answer = None
    found = usable(External(_text(address, "publicIpAddress"), _text(address, "privateIpAddress"))
                   for interface in _items(answer) for family in ("ipv4", "ipv6")
                   for address in _items(_value(interface, family), "ipAddress"))
    if found:
        return list(found)
    balancer = _value(await client.json("/metadata/loadbalancer?api-version=2020-10-01"), "loadbalancer")
    return [External(_text(address, "frontendIpAddress"), _text(address, "privateIpAddress"))
            for address in _items(balancer, "publicIpAddresses")]


def _value(holder: object, key: str) -> object:
    return holder.get(key) if isinstance(holder, dict) else None


def _items(holder: object, key: str = "") -> list[object]:
    found = _value(holder, key) if key else holder
    return found[:MAX_INTERFACES] if isinstance(found, list) else []


def _text(holder: object, key: str) -> str:
    found = _value(holder, key)
    return found if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True)
class Cloud:
    """A provider: where its service is, and how to ask there."""

    name: str
    base: str
    ask: Callable[[Client], Awaitable[Sequence[External]]]
    maker: str = ""
    """If not empty: asked only on machines that call this their maker, since the address is no link-local one."""


CLOUDS = (
    Cloud("aws", "http://169.254.169.254", _aws),
    Cloud("gcp", "http://169.254.169.254", _gcp),
    Cloud("azure", "http://169.254.169.254", _azure),
    Cloud("aliyun", "http://100.100.100.200", _aliyun, "Alibaba"),
    Cloud("tencent", "http://169.254.0.23", _tencent),
)
"""In the order of preference, should several answer."""


class Metadata:
    """Asks all clouds."""

    _log = Logger()

    def __init__(self, reactor: Any, maker: str = "", clouds: Sequence[Cloud] = CLOUDS) -> None:
        """``maker``: of this machine, as it calls itself."""
        self._reactor = reactor
        self._clouds = [cloud for cloud in clouds if cloud.maker in maker]

    async def find(self) -> tuple[External, ...]:
        """What the first cloud knows that has a usable answer, first by the order of the clouds: one is believed when
        all before it are done. Never raises but when cancelled."""
        asked = [Deferred.fromCoroutine(self._ask(cloud)) for cloud in self._clouds]
        try:
            for one in asked:
                found = await one
                if found:
                    return found
        finally:
            for one in asked:
                one.addErrback(lambda failure: failure.trap(CancelledError) and None)
                one.cancel()
        return ()

    async def _ask(self, cloud: Cloud) -> tuple[External, ...]:
        async def ask() -> Sequence[External]:
            return await cloud.ask(Client(self._reactor, cloud.base))

        work = Deferred.fromCoroutine(ask())
        work.addTimeout(CLOUD_TIMEOUT_S, self._reactor, _too_slow)
        try:
            found = usable(await work)
        except CancelledError:
            raise
        except (Unreachable, Silent, Refused, TooSlow) as error:
            self._log.debug("metadata of {cloud}: {reason}", cloud=cloud.name, reason=str(error) or "too slow")
            return ()
        except Exception:
            self._log.failure("metadata of {cloud}", cloud=cloud.name)
            return ()
        self._log.debug("metadata of {cloud}: {found}", cloud=cloud.name, found=found)
        return found
