"""Cloud metadata: a stand-in on loopback for each provider, as each behaves, and as none should."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from rtcd.allocations.addresses import External
from rtcd.outside import metadata
from rtcd.outside.metadata import (
    CLOUD_TIMEOUT_S,
    CLOUDS,
    CONNECT_TIMEOUT_S,
    MAX_ANSWER_BYTES,
    MAX_INTERFACES,
    REQUEST_TIMEOUT_S,
    Metadata,
)

MAC, MAC2 = "0e:49:61:0f:c3:11", "0e:49:61:0f:c3:12"
META = "/latest/meta-data/"
MACS = f"{META}network/interfaces/macs/"
AWS_TOKEN = "x-aws-ec2-metadata-token"
AZURE = "/metadata/instance/network/interface?api-version=2021-02-01"
BALANCER = "/metadata/loadbalancer?api-version=2020-10-01"
GCP = "/computeMetadata/v1/instance/network-interfaces/?recursive=true"

HANG = object()
Answer = Any


class StandIn(Resource):
    """A metadata service: what is at which path, and which header a request must have."""

    isLeaf = True

    def __init__(self, answers: dict[str, Answer], *, header: tuple[str, str] | None = None, token: str = "") -> None:
        """``token``: the name of a header whose value is to be fetched with PUT first; without it 401."""
        super().__init__()
        self.answers = answers
        self.header = header
        self.token = token
        self.asked: list[str] = []
        self.tokens = 0

    def render(self, request: Request) -> Any:
        """As servers of metadata do."""
        path = (request.uri or b"").decode()
        self.asked.append(f"{(request.method or b'').decode()} {path}")
        if request.method == b"PUT":
            answer = self.answers.get("PUT", 404)
            if answer == "token" and not request.getHeader(f"{self.token}-ttl-seconds"):
                answer = 400
        elif self.header is not None and request.getHeader(self.header[0]) != self.header[1]:
            answer = 403
        elif self.token and request.getHeader(self.token) != "token":
            answer = 401
        else:
            answer = self.answers.get(path, 404)
        if answer is HANG:
            request.notifyFinish().addErrback(lambda _: None)
            return NOT_DONE_YET
        if isinstance(answer, int):
            request.setResponseCode(answer)
            return b"<html>no such page</html>"
        return answer if isinstance(answer, bytes) else answer.encode()


class MetadataTestCase(TestCase):
    timeout = 30

    def serve(self, factory: Any) -> str:
        """The base URL of a server on loopback."""
        port: Any = cast(Any, reactor).listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"http://127.0.0.1:{port.getHost().port}"

    def find(self, **services: StandIn | str) -> Deferred[tuple[External, ...]]:
        """What is found if these clouds have these services, by name, and no other is there."""
        clouds = [replace(cloud, base=self.base(services[cloud.name])) for cloud in CLOUDS if cloud.name in services]
        return Deferred.fromCoroutine(Metadata(reactor, "Alibaba Cloud", clouds).find())

    def base(self, service: StandIn | str) -> str:
        """Where it is."""
        return service if isinstance(service, str) else self.serve(Site(service))


def aws(**more: Answer) -> StandIn:
    """Two interfaces; the token is a must, as by default on new machines."""
    return StandIn({
        "PUT": "token", MACS: f"{MAC}/\n{MAC2}/", f"{MACS}{MAC}/ipv4-associations/": "8.8.8.1",
        f"{MACS}{MAC}/ipv4-associations/8.8.8.1": "10.0.0.1", f"{MACS}{MAC2}/ipv4-associations/": "8.8.8.2\n8.8.8.3",
        f"{MACS}{MAC2}/ipv4-associations/8.8.8.2": "10.0.0.2", f"{MACS}{MAC2}/ipv4-associations/8.8.8.3": "10.0.0.3",
        f"{META}public-ipv4": "8.8.8.1", f"{META}local-ipv4": "10.0.0.1", **more}, token=AWS_TOKEN)


class Aws(MetadataTestCase):
    async def test_each_interface_tells_its_addresses_to_who_has_a_token(self) -> None:
        service = aws()
        self.assertEqual(await self.find(aws=service), (
            External("8.8.8.1", "10.0.0.1"), External("8.8.8.2", "10.0.0.2"), External("8.8.8.3", "10.0.0.3")))
        self.assertEqual(service.asked[0], "PUT /latest/api/token")

    async def test_an_older_service_is_asked_without_a_token(self) -> None:
        """Also one that only knows the primary address, as OpenStack does."""
        service = StandIn({f"{META}public-ipv4": "8.8.8.1\n", f"{META}local-ipv4": "10.0.0.1"})
        self.assertEqual(await self.find(aws=service), (External("8.8.8.1", "10.0.0.1"),))

    async def test_a_token_that_never_comes_is_done_without(self) -> None:
        """Within a container its packets may take no hop more, while the pages are there."""
        service = aws(PUT=HANG)
        service.token = ""
        self.assertEqual(len(await self.find(aws=service)), 3)

    async def test_a_token_that_is_no_token_is_not_sent(self) -> None:
        for token in ("", "a b", "x" * (metadata.MAX_TOKEN_CHARACTERS + 1), b"\xff\xfe"):
            service = aws(PUT=token)
            self.assertEqual(await self.find(aws=service), ())

    async def test_a_machine_without_a_public_address_has_none(self) -> None:
        service = StandIn({"PUT": "token", MACS: f"{MAC}/", f"{META}local-ipv4": "10.0.0.1"}, token=AWS_TOKEN)
        self.assertEqual(await self.find(aws=service), ())

    async def test_interfaces_and_addresses_are_bounded_and_no_path_of_theirs_is_followed(self) -> None:
        macs = [f"0e:49:61:0f:c3:{number:02x}/" for number in range(MAX_INTERFACES + 5)]
        publics = "\n".join(f"8.8.8.{number}" for number in range(1, MAX_INTERFACES + 6))
        service = StandIn({MACS: "\n".join(["../../", f"{MAC}?x", *macs]), **{
            f"{MACS}{mac}ipv4-associations/": "../x\n10.0.0.1\n" + (publics if mac == macs[0] else "") for mac in macs}})
        await self.find(aws=service)
        listings = [one for one in service.asked if one.endswith("ipv4-associations/")]
        self.assertEqual(len(listings), MAX_INTERFACES - 2)
        self.assertEqual(len([one for one in service.asked if "ipv4-associations/8" in one]), MAX_INTERFACES - 2)
        self.assertFalse([one for one in service.asked if ".." in one or "?" in one or one.endswith("/10.0.0.1")])


class Others(MetadataTestCase):
    async def test_gcp(self) -> None:
        answer = json.dumps([
            {"ip": "10.128.0.2", "accessConfigs": [{"externalIp": "8.8.8.1", "type": "ONE_TO_ONE_NAT"}]},
            {"ip": "10.129.0.2", "accessConfigs": [{"externalIp": "", "type": "ONE_TO_ONE_NAT"}]},
            {"ip": "10.130.0.2", "accessConfigs": [{"externalIp": "8.8.8.3"}]}, {"ip": "10.131.0.2"}])
        service = StandIn({GCP: answer}, header=("Metadata-Flavor", "Google"))
        self.assertEqual(await self.find(gcp=service), (
            External("8.8.8.1", "10.128.0.2"), External("8.8.8.3", "10.130.0.2")))

    async def test_azure(self) -> None:
        answer = json.dumps([{"macAddress": "000D3A", "ipv4": {
            "ipAddress": [{"privateIpAddress": "10.0.0.4", "publicIpAddress": "8.8.8.1"}],
            "subnet": [{"address": "10.0.0.0", "prefix": "24"}]}, "ipv6": {"ipAddress": []}}])
        service = StandIn({AZURE: answer}, header=("Metadata", "true"))
        self.assertEqual(await self.find(azure=service), (External("8.8.8.1", "10.0.0.4"),))

    async def test_an_azure_address_that_only_the_load_balancer_knows(self) -> None:
        interfaces = json.dumps([{"ipv4": {"ipAddress": [{"privateIpAddress": "10.0.0.4", "publicIpAddress": ""}]}}])
        balancer = json.dumps({"loadbalancer": {
            "publicIpAddresses": [{"frontendIpAddress": "8.8.8.1", "privateIpAddress": "10.0.0.4"}], "inboundRules": []}})
        for answers in ({AZURE: interfaces, BALANCER: balancer}, {BALANCER: balancer}):
            service = StandIn(answers, header=("Metadata", "true"))
            self.assertEqual(await self.find(azure=service), (External("8.8.8.1", "10.0.0.4"),))

    async def test_aliyun(self) -> None:
        """An elastic address first, then one that came with the machine; with the token where that is a must."""
        elastic = {f"{META}eipv4": "8.8.8.1", f"{META}private-ipv4": "172.16.0.1", "PUT": "token"}
        given = {f"{META}public-ipv4": "8.8.8.2", f"{META}private-ipv4": "172.16.0.1", f"{META}eipv4": ""}
        self.assertEqual(await self.find(aliyun=StandIn(elastic, token="x-aliyun-ecs-metadata-token")),
                         (External("8.8.8.1", "172.16.0.1"),))
        self.assertEqual(await self.find(aliyun=StandIn(given)), (External("8.8.8.2", "172.16.0.1"),))

    async def test_tencent(self) -> None:
        answers = {f"{META}public-ipv4": "8.8.8.1", f"{META}local-ipv4": "10.0.0.1"}
        self.assertEqual(await self.find(tencent=StandIn(answers)), (External("8.8.8.1", "10.0.0.1"),))
        del answers[f"{META}local-ipv4"]
        self.assertEqual(await self.find(tencent=StandIn(answers)), (External("8.8.8.1"),))


class Together(MetadataTestCase):
    def tencent(self) -> StandIn:
        """The last in the order, and simple."""
        return StandIn({f"{META}public-ipv4": "8.8.8.9"})

    async def test_of_several_answers_the_first_clouds_counts(self) -> None:
        self.assertEqual((await self.find(aws=aws(), tencent=self.tencent()))[0], External("8.8.8.1", "10.0.0.1"))

    async def test_a_cloud_that_has_nothing_of_use_leaves_it_to_the_next(self) -> None:
        for answers in ({}, {f"{META}public-ipv4": "10.0.0.1"}, {f"{META}public-ipv4": "127.0.0.1"},
                        {f"{META}public-ipv4": "169.254.169.254"}, {f"{META}public-ipv4": "<html>"},
                        {f"{META}public-ipv4": b"\xff" * 9}, {f"{META}public-ipv4": "8" * (MAX_ANSWER_BYTES + 1)},
                        {f"{META}public-ipv4": 500}, {f"{META}public-ipv4": ""}):
            self.assertEqual(await self.find(aws=StandIn(answers), tencent=self.tencent()), (External("8.8.8.9"),))

    async def test_json_of_another_shape_is_no_answer(self) -> None:
        for answer in ("", "{", "null", "7", '"8.8.8.8"', "{}", "[[]]", '[{"accessConfigs": 7}]', "[" * 20000, "\xff",
                       '[{"accessConfigs": [{"externalIp": 7}]}]',
                       '[{"ip": [], "accessConfigs": [{"externalIp": "10.0.0.1"}]}]',
                       '[{"ipv4": {"ipAddress": {"publicIpAddress": "8.8.8.8"}}}]', '[{"ipv4": "x"}]'):
            for name, path in (("gcp", GCP), ("azure", AZURE)):
                service = StandIn({path: answer, BALANCER: answer})
                found = await self.find(**{name: service, "tencent": self.tencent()})
                self.assertEqual(found, (External("8.8.8.9"),), answer)

    async def test_a_cloud_that_hangs_is_not_waited_for_long(self) -> None:
        self.patch(metadata, "REQUEST_TIMEOUT_S", 0.5)
        service = StandIn({"PUT": 404, MACS: HANG})
        self.assertEqual(await self.find(aws=service, tencent=self.tencent()), (External("8.8.8.9"),))

    async def test_a_cloud_that_is_not_there_is_not_waited_for(self) -> None:
        port: Any = cast(Any, reactor).listenTCP(0, Site(Resource()), interface="127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        nowhere = f"http://127.0.0.1:{number}"
        self.assertEqual(await self.find(aws=nowhere, gcp=nowhere, azure=nowhere), ())

    async def test_what_is_no_http_is_no_answer(self) -> None:
        ok = b"HTTP/1.1 200 OK\r\n"
        for babble in (b"SSH-2.0-x\r\n\r\n", ok + b"Content-Length: 50\r\n\r\n8.8.8.8", b"", b"HTTP/1.1 xyz OK\r\n\r\n",
                       ok + b"Content-Length: x\r\n\r\n8.8.8.8",
                       b"HTTP/1.1 302 F\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
                       ok + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n8.8.8.8\r\n", struct.pack("!200I", *range(200))):
            where = self.serve(Factory.forProtocol(babbler(babble)))
            found = await self.find(aws=where, gcp=where, azure=where, tencent=self.tencent())
            self.assertEqual(found, (External("8.8.8.9"),), babble)

    async def test_giving_up_leaves_nothing_open(self) -> None:
        """The reactor that the test ends with is clean, or it fails."""
        arrived: Deferred[None] = Deferred()

        class Slow(StandIn):
            def render(self, request: Request) -> Any:
                if not arrived.called:
                    arrived.callback(None)
                return super().render(request)

        waiting = self.find(aws=Slow({"PUT": HANG}))
        await arrived
        waiting.cancel()
        await self.assertFailure(waiting, CancelledError)


    async def test_a_peer_that_never_stops_is_hung_up_on(self) -> None:
        """In its headers, in a body, and in one that nobody wants."""
        self.patch(metadata, "REQUEST_TIMEOUT_S", 0.5)
        for head in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n"):
            lost: Deferred[None] = Deferred()
            where = self.serve(Factory.forProtocol(flooder(head, lost)))
            self.assertEqual(await self.find(gcp=where), ())
            await lost

    async def test_asking_makes_no_lines_in_the_log(self) -> None:
        """But at the level debug; it is done again and again."""
        events: list[Any] = []
        observer = cast(ILogObserver, events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        service = self.base(self.tencent())
        del events[:]
        await self.find(tencent=service)
        ours = [one for one in events if one["log_namespace"].startswith(("rtcd.", "twisted.web.client"))]
        self.assertEqual({one["log_level"] for one in ours}, {LogLevel.debug})


def flooder(head: bytes, lost: Deferred[None]) -> Callable[[], Protocol]:
    """A protocol that says this and then the same line for ever; tells when the other side has gone."""
    @implementer(IPushProducer)
    class Flooder(Protocol):
        _producing = False

        def dataReceived(self, _: bytes) -> None:
            if not self._producing:
                self._producing = True
                cast(Any, self.transport).write(head)
                cast(Any, self.transport).registerProducer(self, True)
                self.resumeProducing()

        def resumeProducing(self) -> None:
            self._producing = True
            while self._producing:
                cast(Any, self.transport).write(b"X-Never: ending\r\n" * 100)

        def pauseProducing(self) -> None:
            self._producing = False

        def stopProducing(self) -> None:
            self._producing = False

        def connectionLost(self, reason: Failure = connectionDone) -> None:
            self._producing = False
            lost.callback(None)

    return Flooder


def babbler(data: bytes) -> Callable[[], Protocol]:
    """A protocol that says this, whatever is asked, and hangs up."""
    class Babbler(Protocol):
        def dataReceived(self, _: bytes) -> None:
            assert self.transport is not None
            self.transport.write(data)
            self.transport.loseConnection()

    return Babbler


class Whom(SynchronousTestCase):
    """With a reactor in memory, which notes who is connected to."""

    def begin(self, maker: str) -> tuple[Any, Deferred[tuple[External, ...]]]:
        """All clouds are asked."""
        memory: Any = MemoryReactorClock()
        return memory, Deferred.fromCoroutine(Metadata(memory, maker).find())

    def test_only_link_local_addresses_are_asked_unless_the_machine_is_aliyuns(self) -> None:
        """100.100.100.200 may be somebody's elsewhere. All are asked at once."""
        link_local = ["169.254.169.254"] * 3 + ["169.254.0.23"]
        for maker, expected in (("", link_local), ("QEMU", link_local), (
                "Alibaba Cloud", [*link_local, "100.100.100.200"])):
            memory, waiting = self.begin(maker)
            self.assertEqual(sorted(client[0] for client in memory.tcpClients), sorted(expected))
            self.assertEqual({client[1] for client in memory.tcpClients}, {80})
            self.assertEqual({client[3] for client in memory.tcpClients}, {CONNECT_TIMEOUT_S})
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
            self.assertEqual(memory.getDelayedCalls(), [])

    def test_one_cloud_is_asked_so_long_and_no_longer(self) -> None:
        """A connection that never comes about ends by the request's time-out; the whole is bounded in any case."""
        memory, waiting = self.begin("")
        memory.pump([REQUEST_TIMEOUT_S, CLOUD_TIMEOUT_S])
        self.assertEqual(self.successResultOf(waiting), ())
        self.assertEqual(memory.getDelayedCalls(), [])
