"""A whole room server in memory, and clients that speak to it exactly as the web page and the phone apps do.

What each app sends (headers, bodies, order) is written down here once, from the protocol's description; the tests
of calls only say what happens.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import txaio
from twisted.internet.defer import Deferred, execute
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from rtcd.calls.keeper import CallKeeper
from rtcd.context import Context
from rtcd.daemon import Reloads
from rtcd.doorway.directory import Listener
from rtcd.doorway.settings import DoorwaySettings
from rtcd.ice.credentials import Credentials
from rtcd.ice.service import IceService
from rtcd.ice.settings import Settings as IceSettings
from rtcd.metrics import Metrics
from rtcd.rooms.memory import MemoryRooms
from rtcd.rooms.outcome import StoreAway
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling.service import SignalingService
from rtcd.signaling.settings import Settings as SignalingSettings
from rtcd.state import StateDirectory
from rtcd.turn.news import Listener as Listening
from rtcd.turn.news import TurnNews
from rtcd.web.service import WebService
from rtcd.web.settings import Settings as WebSettings
from tests.fakes import Dialled, FakeAnswer, FakeDesk, dial, make_doorway, make_request

MASK = b"\x01\x02\x03\x04"


class Server:
    """Rooms, signalling and credentials behind one doorway, on a fake reactor. No port is open."""

    def __init__(
        self,
        case: SynchronousTestCase,
        *,
        rooms: RoomsSettings | None = None,
        signaling: SignalingSettings | None = None,
        web: WebSettings | None = None,
        ice: IceSettings | None = None,
        doorway: DoorwaySettings | None = None,
        pages: bool = True,
        records: StateDirectory | None = None,
    ) -> None:
        """``records``: where records of calls are kept, for 24 hours; else there are none."""
        self.clock: Any = MemoryReactorClock()
        self.clock.advance(1_700_000_000)
        case.patch(txaio.tx.config, "loop", self.clock)  # whose timers Autobahn uses
        self.metrics = Metrics()
        self.doorway = make_doorway(self.clock, case.mktemp(), doorway, metrics=self.metrics)
        self.rooms = MemoryRooms(self.clock, rooms or RoomsSettings(), self.metrics)
        self.reloads = Reloads()
        self.context = Context(
            self.clock, self.doorway, self.rooms, Credentials(("a secret of the test",), 43200), self.metrics, self.reloads,
            FakeDesk())
        self.told: list[Listening] = []
        """Who listens to TURN, which is not there."""
        self.context.desk.offer("turn.observe", self.told.append)
        self.keeper: CallKeeper | None = None
        if records is not None:
            self.keeper = CallKeeper(self.context, records, 24, lambda work: execute(work))
        self.doorway.directory.opened(Listener("turn", "udp", "0.0.0.0", 3478))
        self.doorway.directory.opened(Listener("turn", "udp", "0.0.0.0", 49152, 50175))
        self.signaling = SignalingService(self.context, signaling or SignalingSettings(ping_interval=0))
        services: list[Any] = [self.signaling] if self.keeper is None else [self.keeper, self.signaling]
        if pages:
            services.append(WebService(self.context, web or WebSettings(join_rate=0)))
            services.append(IceService(self.context, ice or IceSettings(), lambda node: Deferred()))
        self.dialled: list[Dialled] = []
        for service in services:
            service.startService()

    def turn(self, news: TurnNews) -> None:
        """Something happens at TURN."""
        for listener in self.told:
            listener(news)

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, **more: Any
    ) -> FakeAnswer:
        """One HTTP request."""
        return make_request(self.doorway, method, path, body, headers, clock=self.clock, **more)

    def json(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        """One HTTP request that must be answered 200 with JSON."""
        answer = self.request(method, path, body, headers)
        if answer.code != 200:
            raise AssertionError(f"{method} {path}: {answer.code} {answer.body!r}")
        return json.loads(answer.body)

    def wait(self, seconds: float) -> None:
        """Time passes; connections that end meanwhile end at both ends."""
        self.clock.advance(seconds)
        for one in self.dialled:
            one.settle()

    def lose_store(self, case: SynchronousTestCase) -> list[bool]:
        """The store of rooms is away, as one in another process may be, until what is returned holds False."""
        update, away = self.rooms.update, [True]

        async def perhaps(*arguments: Any) -> Any:
            if away[0]:
                raise StoreAway("the rooms cannot be reached; try again later")
            return await update(*arguments)

        case.patch(self.rooms, "update", perhaps)
        return away

    def seats(self, room: str) -> list[str]:
        """Who holds a seat in a room."""
        return [one.id for one in self.rooms._rooms[room].clients] if room in self.rooms._rooms else []


class WebSocket:
    """The client's end of a WebSocket, with a handshake of the test's choosing."""

    def __init__(self, server: Server, lines: list[str], path: str = "/ws") -> None:
        self.server = server
        self._dialled: Dialled = dial(server.clock, server.doorway.site)
        server.dialled.append(self._dialled)
        handshake = [f"GET {path} HTTP/1.1", *lines, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]
        self.head, _, self._rest = self._dialled.send("\r\n".join(handshake).encode()).partition(b"\r\n\r\n")
        self._seen = len(self.head) + 4
        self.code = int(self.head.split(b" ")[1])

    def send(self, text: str) -> None:
        """Send one text frame."""
        self.send_frame(0x81, text.encode())

    def send_frame(self, first: int, payload: bytes) -> None:
        """Send one masked frame whose first byte is ``first``."""
        size = len(payload)
        if size < 126:
            head = bytes((first, 0x80 | size))
        elif size < 65536:
            head = struct.pack("!BBH", first, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", first, 0x80 | 127, size)
        masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
        self._dialled.send(head + MASK + masked)

    def frames(self) -> list[tuple[int, bytes]]:
        """The frames that came since the last call: (opcode, payload)."""
        self._dialled.settle()
        data = self._dialled.received[self._seen :]
        found = []
        while len(data) >= 2:
            opcode, size, start = data[0] & 15, data[1] & 127, 2
            if size == 126:
                size, start = struct.unpack_from("!H", data, 2)[0], 4
            elif size == 127:
                size, start = struct.unpack_from("!Q", data, 2)[0], 10
            if len(data) < start + size:
                break
            found.append((opcode, data[start : start + size]))
            data = data[start + size :]
            self._seen += start + size
        return found

    def received(self) -> list[dict[str, str]]:
        """The JSON of the text frames that came since the last call."""
        return [json.loads(payload) for opcode, payload in self.frames() if opcode == 1]

    def messages(self) -> list[str]:
        """The peers' messages among them; an error frame fails the test."""
        found = []
        for frame in self.received():
            if frame["error"] or not frame["msg"]:
                raise AssertionError(f"an error frame: {frame}")
            found.append(frame["msg"])
        return found

    def vanish(self) -> None:
        """The connection is gone without a close frame."""
        self._dialled.hang_up()

    def close(self) -> None:
        """Close as the protocol says."""
        self.send_frame(0x88, b"\x03\xe8")

    @property
    def closed(self) -> bool:
        """The server has ended it."""
        self._dialled.settle()
        return self._dialled.closed or any(opcode == 8 for opcode, _ in self.frames())


class Caller:
    """One participant; subclasses say how their app spells things."""

    http: dict[str, str]
    """Headers of every HTTP request."""
    handshake: list[str]

    def __init__(self, server: Server, room: str) -> None:
        self.server = server
        self.room = room
        self.params: dict[str, Any] = {}
        self.socket: WebSocket | None = None

    @property
    def id(self) -> str:
        """The name that /join gave."""
        return str(self.params["client_id"])

    @property
    def is_initiator(self) -> bool:
        """What /join said."""
        return bool(self.params["is_initiator"] == "true")

    @property
    def ws(self) -> WebSocket:
        """The socket, which must be open."""
        if self.socket is None:
            raise AssertionError("the socket is not open")
        return self.socket

    def join(self) -> str:
        """POST /join; returns the result."""
        answer = self.server.json("POST", f"/join/{self.room}", headers=self.http)
        if answer["result"] == "SUCCESS":
            self.params = answer["params"]
        return str(answer["result"])

    def open(self) -> None:
        """Open the WebSocket."""
        self.socket = WebSocket(self.server, self.handshake)
        if self.socket.code != 101:
            raise AssertionError(f"the handshake was answered {self.socket.code}")

    def register(self) -> None:
        """Say who we are."""
        self.ws.send(self.dump({"cmd": "register", "roomid": self.room, "clientid": self.id}))

    def post(self, message: dict[str, Any]) -> str:
        """POST /message, as the initiator sends everything."""
        headers = self.http | {"Content-Type": self.content_type}
        answer = self.server.json("POST", f"/message/{self.room}/{self.id}", self.dump(message).encode(), headers)
        return str(answer["result"])

    def send(self, message: dict[str, Any]) -> None:
        """Send over the socket, as the callee sends everything."""
        self.ws.send(self.dump({"cmd": "send", "msg": self.dump(message)}))

    def leave(self) -> None:
        """POST /leave."""
        answer = self.server.request("POST", f"/leave/{self.room}/{self.id}", headers=self.http)
        if (answer.code, answer.body) != (200, b""):
            raise AssertionError(f"/leave: {answer.code} {answer.body!r}")

    def delete(self) -> None:
        """DELETE on the signalling's HTTP half."""
        answer = self.server.request("DELETE", f"/sig/{self.room}/{self.id}", headers=self.http)
        if (answer.code, answer.body) != (200, b"OK\n"):
            raise AssertionError(f"DELETE: {answer.code} {answer.body!r}")

    def start(self) -> None:
        """Join, open, register."""
        if self.join() != "SUCCESS":
            raise AssertionError("the room is full")
        self.open()
        self.register()

    def hang_up(self) -> None:
        """Leave, say bye, close, DELETE: the order of the web page and of iOS."""
        self.leave()
        self.send({"type": "bye"})
        self.ws.close()
        self.delete()

    def crash(self) -> None:
        """Nothing is said."""
        self.ws.vanish()

    content_type = "text/plain;charset=UTF-8"

    def dump(self, value: dict[str, Any]) -> str:
        """JSON in the app's spelling."""
        return json.dumps(value, separators=(",", ":"))


class Page(Caller):
    """AppRTC's web page in a browser: a client that does not say what it is."""

    http = {"Origin": "https://192.0.2.1:8443", "Referer": "https://192.0.2.1:8443/r/x"}  # noqa: RUF012
    handshake = [  # noqa: RUF012
        "Host: 192.0.2.1:8443", "Connection: Upgrade", "Pragma: no-cache", "Upgrade: websocket",
        "Origin: https://192.0.2.1:8443", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ]


class MeshPage(Page):
    """Our own page, which says what it is when it joins, and speaks to one other page at a time."""

    def __init__(self, server: Server, room: str, tag: str, name: str = "") -> None:
        """``tag`` may be short; it is filled up."""
        super().__init__(server, room)
        self.tag = tag.zfill(16)
        self.name = name
        self.was = ""
        self.answer: dict[str, Any] = {}
        """The last one to a join."""
        self.snapshot: dict[str, Any] = {}
        """The last one that it was told."""
        self.heard: list[str] = []
        """What apps said, and the errors that it got."""

    def join(self, password: str = "", **more: Any) -> str:
        """POST /join with the declaration; returns the result."""
        page = {"id": self.tag, "name": self.name, "password": password, "was": self.was, **more}
        self.answer = self.server.json("POST", f"/join/{self.room}", json.dumps({"page": page}).encode(), self.http)
        if self.answer["result"] == "SUCCESS":
            self.params, self.snapshot = self.answer["params"], self.answer["room"]
            self.was = self.id
        return str(self.answer["result"])

    def again(self) -> MeshPage:
        """The same tab after it was loaded anew: another tag, no socket, and the memory of who it was."""
        page = MeshPage(self.server, self.room, f"a{self.tag[1:]}", self.name)
        page.was = self.was
        return page

    def ice(self) -> Any:
        """The lookup, at the URL in the answer to the join."""
        return self.server.json("POST", self.params["ice_server_url"].partition("8443")[2], headers=self.http)

    def command(self, cmd: str, **fields: Any) -> None:
        """Send a command."""
        self.ws.send(self.dump({"cmd": cmd, **fields}))

    def direct(self, to: MeshPage, message: dict[str, Any]) -> None:
        """A peer message for another page."""
        self.command("direct", to=to.tag, msg=self.dump(message))

    def events(self) -> list[dict[str, Any]]:
        """The events since the last call; snapshots are kept instead."""
        found: list[dict[str, Any]] = []
        for frame in self.ws.received():
            event: Any = frame.get("room")
            if event is None:
                self.heard.append(frame["msg"] or frame["error"])
            elif (frame["msg"], frame["error"]) != ("", ""):
                raise AssertionError(f"not only an event: {frame}")
            elif event["event"] == "room":
                self.snapshot = {key: value for key, value in event.items() if key != "event"}
            else:
                found.append(event)
        return found

    def members(self) -> list[str]:
        """The tags in the last snapshot, without the zeros in front."""
        self.events()
        return [one["id"].lstrip("0") for one in self.snapshot["members"]]


class Android(Caller):
    """AppRTCMobile for Android."""

    http = {"origin": "https://appr.tc"}  # noqa: RUF012
    handshake = [  # noqa: RUF012
        "Host: 192.0.2.1", "Upgrade: WebSocket", "Connection: Upgrade", "Origin: https://www.google.com",
        "Sec-WebSocket-Version: 13",
    ]
    content_type = "text/plain; charset=utf-8"

    def dump(self, value: dict[str, Any]) -> str:
        """Android's JSON escapes slashes; its bye has a space."""
        if value == {"type": "bye"}:
            return '{"type": "bye"}'
        return super().dump(value).replace("/", "\\/")

    def ice(self) -> Any:
        """The lookup: an empty POST with the reference's Referer, from the URL in the join answer."""
        path = self.params["ice_server_url"].partition("8443")[2]
        return self.server.json("POST", path, headers={"REFERER": "https://appr.tc", "Content-Length": "0"})

    def hang_up(self) -> None:
        """All three start at once on different connections; this order is the worst one."""
        self.delete()
        self.leave()
        self.send({"type": "bye"})
        self.ws.close()


class IPhone(Caller):
    """AppRTCMobile for iOS."""

    http: dict[str, str] = {}  # noqa: RUF012
    handshake = [  # noqa: RUF012
        "Host: 192.0.2.1:8443", "Upgrade: websocket", "Connection: Upgrade", "Origin: https://192.0.2.1:8443",
        "Sec-WebSocket-Version: 13",
    ]
    content_type = "application/x-www-form-urlencoded"

    def dump(self, value: dict[str, Any]) -> str:
        """iOS pretty-prints and escapes slashes."""
        return json.dumps(value, indent=2, separators=(",", " : ")).replace("/", "\\/")

    def ice(self) -> Any:
        """GET /params, then a POST to the URL in it."""
        url = self.server.json("GET", "/params")["ice_server_url"]
        if not isinstance(url, str):
            raise AssertionError("iOS needs a string")
        return self.server.json("POST", url.partition("8443")[2], headers={"referer": "https://appr.tc"})
