"""aiortc's calls through our relays alone: two peers with a data channel and a picture, in a process of their own."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from rtcd.turn.service import Settings, TurnService
from tests.fakes_turn import make_context

CALL = """
import asyncio, functools, ssl, sys

from aiortc import (RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnection, RTCSessionDescription,
                    rtcicetransport)
from aiortc.mediastreams import VideoStreamTrack

scheme, port, transport, username, password = sys.argv[1:]

# aiortc has no setting for whom to trust.
trusting = ssl.create_default_context()
trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
made = rtcicetransport.Connection

def connection(**options):
    if options.get("turn_ssl"):
        options["turn_ssl"] = trusting
    return made(**options)

rtcicetransport.Connection = connection

def peer():
    url = f"{scheme}:127.0.0.1:{port}?transport={transport}"
    return RTCPeerConnection(RTCConfiguration([RTCIceServer([url], username, password)],
                                              iceTransportPolicy=RTCIceTransportPolicy.RELAY))

def relayed(description):
    found = [line.split()[7] for line in description.sdp.splitlines() if line.startswith("a=candidate:")]
    assert found and set(found) == {"relay"}, found
    return RTCSessionDescription(description.sdp, description.type)

async def main():
    a, b = peer(), peer()
    loop = asyncio.get_running_loop()
    answered, pictures = loop.create_future(), loop.create_future()
    channel = a.createDataChannel("words")
    channel.on("open", lambda: channel.send("ping"))
    channel.on("message", lambda text: answered.set_result(text))
    b.on("datachannel", lambda other: other.on("message", lambda text: other.send(text + "/pong")))

    async def watch(track):
        for _ in range(3):
            frame = await track.recv()
        pictures.set_result((frame.width, frame.height))

    b.on("track", lambda track: asyncio.ensure_future(watch(track)))
    a.addTrack(VideoStreamTrack())
    await a.setLocalDescription(await a.createOffer())
    await b.setRemoteDescription(relayed(a.localDescription))
    await b.setLocalDescription(await b.createAnswer())
    await a.setRemoteDescription(relayed(b.localDescription))
    print(await asyncio.wait_for(answered, 20), *await asyncio.wait_for(pictures, 20))
    await asyncio.gather(a.close(), b.close())

asyncio.run(main())
"""


class Aiortc(TestCase):
    timeout = 60
    relay_plane = "auto"

    def setUp(self) -> None:
        """A server on loopback that listens on everything."""
        self.context: Any = make_context(reactor, state=self.mktemp())
        self.service = TurnService(self.context, Settings(
            relay_plane=self.relay_plane,
            listen=("127.0.0.1",), port=0, tls_port=0, allow_loopback_peers=True, min_port=40000, max_port=65535))
        for one in (self.context.doorway, self.service):
            one.privilegedStartService()
            one.startService()
            self.addCleanup(one.stopService)

    def value(self, name: str, *labels: tuple[str, str]) -> float:
        """Of a metric."""
        return float(sum(one.value for one in self.context.metrics.samples()
                         if one.name == name and set(labels) <= set(one.labels)))

    async def call(self, scheme: str, transport: str, listener: str) -> None:
        """A whole call of peers who reach their relays by this transport, and by no other."""
        port = next(one.port for one in self.context.doorway.directory.listeners("turn") if one.transport == listener)
        credential = self.context.credentials.issue("ann", self.context.reactor.seconds())
        out, errors, code = await getProcessOutputAndValue(sys.executable, [
            "-c", CALL, scheme, str(port), transport, credential.username, credential.password])
        self.assertEqual((out.strip(), code), (b"ping/pong 640 480", 0), errors.decode(errors="replace")[-3000:])
        for direction in ("sent", "received"):
            self.assertGreater(self.value("rtcd_turn_relayed_bytes_total", ("direction", direction)), 2000)
        self.assertEqual(self.value("rtcd_turn_connections_total") > 0, listener != "udp")

    async def test_a_call_by_udp(self) -> None:
        await self.call("turn", "udp", "udp")

    async def test_a_call_by_tcp(self) -> None:
        await self.call("turn", "tcp", "tcp")

    async def test_a_call_by_tls(self) -> None:
        await self.call("turns", "tcp", "tls")


class AiortcOnSockets(Aiortc):
    relay_plane = "python"
