"""`Person`: one end of a call without a screen: a seat in a room and a real peer connection that goes by a relay alone."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from typing import Any

from aioice import stun, turn
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidAccessError, InvalidStateError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcicetransport import parse_stun_turn_uri
from aiortc.sdp import candidate_from_sdp

from rtcd.rehearse.figures import Reading
from rtcd.rehearse.media import Clip, Replay
from rtcd.rehearse.seat import Refused, Seat, reason, urls_of

RELAY_S = 6.0
"""aioice itself gives up after five."""
LEAVE_S = 5.0
"""How long the end of a peer connection may take, at which relays are given back."""

_NONSENSE = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, RecursionError,
             InvalidAccessError, InvalidStateError)
"""What aiortc raises for a description or candidate that is none, and we for a message."""


class Person:
    """``relay``: the transport to the TURN server, ``udp``, ``tcp`` or ``tls``."""

    def __init__(self, seat: Seat, relay: str, trust: ssl.SSLContext, clips: Sequence[Clip]) -> None:
        self._seat = seat
        self._relay = relay
        self._trust = trust
        self._clips = clips
        self._connection: RTCPeerConnection | None = None
        self._server: RTCIceServer | None = None
        self._heard: dict[str, asyncio.Event] = {}
        self._lost = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.state = "new"
        """Of the peer connection."""

    async def join(self) -> None:
        """Take the seat, learn of the relay, get ready to speak. Raises `Refused`."""
        await self._seat.join()
        self._server = _chosen(await self._seat.ice_servers(), self._relay)
        self._connection = connection = RTCPeerConnection(RTCConfiguration(
            [self._server], iceTransportPolicy=RTCIceTransportPolicy.RELAY, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        connection.on("track", self._listen)
        connection.on("connectionstatechange", self._changed)
        for clip in self._clips:
            self._heard[clip.kind] = asyncio.Event()
            sender = connection.addTrack(Replay(clip))
            if self._relay == "tls":
                _trust(sender, self._trust)

    async def talk(self) -> None:
        """Offer, or answer, until there is nothing more to agree on. Raises `Refused`."""
        connection = self._open()
        if self._seat.initiator:
            await connection.setLocalDescription(await connection.createOffer())
            await self._describe()
        while connection.remoteDescription is None:
            text = await self._seat.messages.get()
            if text is None:
                raise Refused("the WebSocket was closed before there was an answer")
            try:
                await self._take(json.loads(text))
            except _NONSENSE as error:
                raise Refused(f"what the other one says makes no sense ({type(error).__name__}); a proxy may change it, or"
                              " this is another server") from None

    async def heard_all(self) -> bool:
        """Wait until the first sound and the first picture of the other one are there; False if there is no way to them."""
        waits = [asyncio.ensure_future(one.wait()) for one in (self._lost, *self._heard.values())]
        try:
            while not self._lost.is_set() and not all(one.is_set() for one in self._heard.values()):
                await asyncio.wait([one for one in waits if not one.done()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        return not self._lost.is_set()

    async def read(self) -> Reading:
        """What has come from the other one so far, and gone to him."""
        found = list((await self._open().getStats()).values())
        inbound = [one for one in found if one.type == "inbound-rtp"]
        trips = [one.roundTripTime for one in found if one.type == "remote-inbound-rtp" and one.roundTripTime]
        transports = {one.id: one.bytesReceived for one in found if one.type == "transport"}
        return Reading(sum(one.packetsReceived for one in inbound), sum(one.packetsLost for one in inbound),
                       sum(transports.values()), sum(one.packetsSent for one in found if one.type == "outbound-rtp"),
                       max(trips, default=None))

    @property
    def ended(self) -> str:
        """What is not there any more of what a call needs; nothing if all is."""
        if self.state != "connected":
            return "connection"
        return "" if self._seat.connected else "WebSocket"

    async def leave(self) -> None:
        """Hang up, in bounded time: a relay that is gone is waited for no longer than `LEAVE_S`."""
        for task in self._tasks:
            task.cancel()
        if self._connection is not None:
            closing = asyncio.ensure_future(self._connection.close())
            done, late = await asyncio.wait([closing], timeout=LEAVE_S)
            for one in late:
                one.cancel()
            for one in done:
                one.exception()  # it is as good as closed
        await self._seat.leave()

    async def why_no_relay(self) -> str:
        """Ask the TURN server once more, and say what it says: aiortc does not tell."""
        assert self._server is not None
        url = _url(self._server)
        where = parse_stun_turn_uri(url)
        try:
            async with asyncio.timeout(RELAY_S):
                transport, _ = await turn.create_turn_endpoint(
                    asyncio.DatagramProtocol, (where["host"], where["port"]), self._server.username,
                    self._server.credential, ssl=self._trust if self._relay == "tls" else None,
                    transport=where["transport"])
            transport.close()
        except stun.TransactionFailed as error:
            return f"{url}: refused with {error.response.attributes.get('ERROR-CODE')}; the daemon's log says more"
        except (OSError, TimeoutError, stun.TransactionError) as error:
            why = "no answer" if isinstance(error, stun.TransactionError) else reason(error)
            return f"{url}: {why}; is the port open, in the firewall and in the cloud's, and does the name lead here?"
        return f"{url}: gave a relay at a second try only; the way to it, or this machine, is overloaded"

    async def _take(self, message: dict[str, Any]) -> None:
        kind, connection = message["type"], self._open()
        if kind in ("offer", "answer"):
            await connection.setRemoteDescription(RTCSessionDescription(message["sdp"], kind))
            if kind == "offer":
                await connection.setLocalDescription(await connection.createAnswer())
                await self._describe()
        elif kind == "candidate" and connection.remoteDescription is not None:
            candidate = candidate_from_sdp(message["candidate"].removeprefix("candidate:"))
            candidate.sdpMid, candidate.sdpMLineIndex = message["id"], message["label"]
            await connection.addIceCandidate(candidate)
        elif kind == "bye":
            raise Refused("the other one has hung up")

    async def _describe(self) -> None:
        """Send what we have to offer, with all candidates in it."""
        described = self._open().localDescription
        if "a=candidate:" not in described.sdp:
            raise Refused(f"no relay by {self._relay}: {await self.why_no_relay()}")
        await self._seat.say({"type": described.type, "sdp": described.sdp})

    def _changed(self) -> None:
        self.state = self._open().connectionState
        if self.state in ("failed", "closed"):
            self._lost.set()

    def _listen(self, track: MediaStreamTrack) -> None:
        task = asyncio.ensure_future(self._hear(track))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hear(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                await track.recv()
                if track.kind in self._heard:
                    self._heard[track.kind].set()
        except MediaStreamError:
            pass

    def _open(self) -> RTCPeerConnection:
        assert self._connection is not None
        return self._connection


def _trust(sender: RTCRtpSender, trust: ssl.SSLContext) -> None:
    """Whom the relay's TLS is to be trusted by: aiortc has no setting for it, and no public way to it. Raises `Refused`."""
    try:
        connection = sender.transport.transport.iceGatherer._connection
        assert hasattr(connection, "turn_ssl")
    except (AttributeError, AssertionError):
        raise Refused("this version of aiortc cannot be told whom to trust; rehearse with --relay udp") from None
    connection.turn_ssl = trust


def _chosen(servers: Sequence[dict[str, Any]], relay: str) -> RTCIceServer:
    """The first relay by this transport. Raises `Refused`."""
    prefix, query = ("turns:", "tcp") if relay == "tls" else ("turn:", relay)
    named = []
    for server in servers:
        for url in urls_of(server):
            named.append(url)
            if url.startswith(prefix) and url.partition("?transport=")[2] == query:
                try:
                    parse_stun_turn_uri(url)
                except ValueError:
                    raise Refused(f"{url}: aiortc takes no such address; use a host name in --url") from None
                return RTCIceServer([url], server.get("username"), server.get("credential"))
    raise Refused(f"the daemon names no relay by {relay}, only: {', '.join(named) or 'nothing'}")


def _url(server: RTCIceServer) -> str:
    return server.urls if isinstance(server.urls, str) else server.urls[0]
