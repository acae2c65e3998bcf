"""A phone app: says on the wire what AppRTCMobile says, in its order, and is a real peer by aiortc. A process of its own.

``python -m tests.interop.phone ORIGIN ROOM`` prints a JSON object a line: what /join said, how many pictures have been
decoded, what came from the other side. The line ``hang up`` on standard input ends it as Android does; a closed standard
input is a crash: nothing is said.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import urllib.request
from typing import Any

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack
from aiortc.sdp import candidate_from_sdp
from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol

HTTP = {"origin": "https://appr.tc"}
ANDROID_ORIGIN = "https://www.google.com"

TRUSTING = ssl.create_default_context()
TRUSTING.check_hostname, TRUSTING.verify_mode = False, ssl.CERT_NONE


def tell(**what: Any) -> None:
    """Print a line for the test."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def request(url: str, method: str = "POST", body: bytes = b"") -> bytes:
    """One HTTP request."""
    asked = urllib.request.Request(url, data=body, headers=HTTP, method=method)
    if body:
        asked.add_header("Content-Type", "text/plain; charset=utf-8")
    with urllib.request.urlopen(asked, timeout=8, context=TRUSTING) as answer:
        return bytes(answer.read())


class Phone:
    """One call."""

    def __init__(self, origin: str, room: str) -> None:
        self.origin = origin
        self.room = room
        self.params: dict[str, Any] = {}
        self.frames = 0
        self.ended = False
        self.connection = RTCPeerConnection()
        self.connection.addTrack(AudioStreamTrack())
        self.connection.addTrack(VideoStreamTrack())
        self.connection.on("track", self._watch)
        self._tasks: set[asyncio.Task[None]] = set()
        self._early: list[dict[str, Any]] = []
        self.socket: Any = None

    @property
    def initiator(self) -> bool:
        """What /join said."""
        return bool(self.params["is_initiator"] == "true")

    async def start(self) -> None:
        """Join, look up the ICE servers, open the WebSocket, register; then speak as initiator or as callee."""
        answer = json.loads(await asyncio.to_thread(request, f"{self.origin}/join/{self.room}"))
        tell(joined=answer["result"], **{key: answer[key] for key in answer if key not in ("result", "params")})
        if answer["result"] != "SUCCESS":
            return
        self.params = answer["params"]
        servers = json.loads(await asyncio.to_thread(request, self.params["ice_server_url"]))["iceServers"]
        tell(initiator=self.initiator, messages=len(self.params["messages"]), servers=len(servers))
        factory = WebSocketClientFactory(self.params["wss_url"], origin=ANDROID_ORIGIN)
        factory.protocol = lambda: Socket(self)
        host, port = self.origin.removeprefix("https://").rsplit(":", 1)
        await asyncio.get_running_loop().create_connection(factory, host, int(port), ssl=TRUSTING)

    def registered(self) -> None:
        """The socket is ours: begin."""
        self._run(self._begin())

    async def _begin(self) -> None:
        if self.initiator:
            await self.connection.setLocalDescription(await self.connection.createOffer())
            await self._say({"type": "offer", "sdp": self.connection.localDescription.sdp})
        for text in self.params["messages"]:
            await self.take(json.loads(text))

    def received(self, frame: dict[str, Any]) -> None:
        """A frame of the server: both keys are strings, exactly one is not empty."""
        if set(frame) != {"msg", "error"} or bool(frame["msg"]) == bool(frame["error"]):
            tell(crash=f"a frame that a phone cannot read: {frame}")
        elif frame["error"]:
            tell(crash=frame["error"])
        else:
            self._run(self.take(json.loads(frame["msg"])))

    async def take(self, message: dict[str, Any]) -> None:
        """A peer's message; an unknown type ends an Android call."""
        kind = message["type"]
        if kind in ("offer", "answer"):
            if (kind == "offer") == self.initiator:
                tell(crash=f"{kind} while initiator is {self.initiator}")
                return
            await self.connection.setRemoteDescription(RTCSessionDescription(message["sdp"], kind))
            for one in self._early:
                await self._candidate(one)
            if kind == "offer":
                await self.connection.setLocalDescription(await self.connection.createAnswer())
                await self._say({"type": "answer", "sdp": self.connection.localDescription.sdp})
        elif kind == "candidate":
            if self.connection.remoteDescription is None:
                self._early.append(message)
            else:
                await self._candidate(message)
        elif kind == "bye":
            tell(bye=True)
            await self.hang_up()
        else:
            tell(crash=f"a type that no phone knows: {kind}")

    async def _candidate(self, message: dict[str, Any]) -> None:
        made = candidate_from_sdp(message["candidate"].removeprefix("candidate:"))
        made.sdpMid, made.sdpMLineIndex = message["id"], message["label"]
        await self.connection.addIceCandidate(made)

    async def _say(self, message: dict[str, Any]) -> None:
        text = json.dumps(message).replace("/", "\\/")
        if self.initiator:
            answer = await asyncio.to_thread(request, f"{self.origin}/message/{self._path}", body=text.encode())
            if json.loads(answer)["result"] != "SUCCESS":
                tell(crash=answer.decode())
        else:
            self.send({"cmd": "send", "msg": text})

    def send(self, frame: dict[str, Any]) -> None:
        """A command of Collider's protocol."""
        self.socket.sendMessage(json.dumps(frame).replace("/", "\\/").encode())

    @property
    def _path(self) -> str:
        return f"{self.room}/{self.params['client_id']}"

    async def hang_up(self) -> None:
        """/leave, bye and DELETE at once, then the socket; once."""
        if self.ended:
            return
        self.ended = True
        post = asyncio.to_thread(request, f"{self.origin}/leave/{self._path}")
        delete = asyncio.to_thread(request, f"{self.params['wss_post_url']}/{self._path}", "DELETE")
        self.send({"cmd": "send", "msg": '{"type": "bye"}'})
        await asyncio.gather(post, delete)
        self.socket.sendClose(1000)
        await self.connection.close()
        tell(left=True)
        os._exit(0)

    def _watch(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._run(self._look(track))

    async def _look(self, track: MediaStreamTrack) -> None:
        while True:
            await track.recv()
            self.frames += 1
            if self.frames in (1, 20):
                tell(frames=self.frames)

    def _run(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and self.connection.connectionState != "closed":
            tell(trouble=repr(task.exception()))


class Socket(WebSocketClientProtocol):  # type: ignore[misc] # Autobahn is untyped
    """The WebSocket of a phone."""

    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self.phone = phone

    def onOpen(self) -> None:
        """Register at once."""
        self.phone.socket = self
        self.phone.send({"cmd": "register", "roomid": self.phone.room, "clientid": self.phone.params["client_id"]})
        self.phone.registered()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A frame."""
        self.phone.received(json.loads(payload))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """A call ends with its socket."""
        tell(closed=code)


async def main(origin: str, room: str) -> None:
    """The whole life of a phone."""
    phone = Phone(origin, room)
    await phone.start()
    loop, lines = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    if await lines.readline() == b"hang up\n":
        await phone.hang_up()
    os._exit(0)  # a crash: no word to anybody


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
