"""`Seat`: one client of a room in the words of AppRTC: join, ICE servers, WebSocket, messages, leave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rtcd.words import visible

if TYPE_CHECKING:
    from rtcd.rehearse.websocket import Socket

HTTP_S = 10.0
"""How long one request may take."""
CLOSE_S = 2.0
"""And the end of a WebSocket."""
MAX_ANSWER_BYTES = 1 << 20
"""No answer of a room server is longer."""
MAX_WAITING = 256
"""Messages of the other one that may wait to be read; there are a handful in a call."""

NEEDED = frozenset(("client_id", "is_initiator", "messages", "wss_url"))
"""What of the answer to joining a call cannot do without."""


MAX_SAID_CHARS = 1000
"""Of what the server does not do; some of it are words of the server's own."""


class Refused(Exception):
    """The server does not do what is needed; the text is a sentence for people, with nothing that steers a terminal."""

    def __init__(self, text: str) -> None:
        super().__init__(visible(text[:MAX_SAID_CHARS])[:MAX_SAID_CHARS])


class Seat:
    """Joined, and connected to the signalling server. ``trust`` judges certificates."""

    def __init__(self, url: str, room: str, trust: ssl.SSLContext) -> None:
        self._url = url.rstrip("/")
        self._room = room
        self._trust = trust
        self._socket: Socket | None = None
        self._params: dict[str, Any] = {}
        self.messages: asyncio.Queue[str | None] = asyncio.Queue(MAX_WAITING)
        """What the other one says; None when the WebSocket is closed."""

    @property
    def initiator(self) -> bool:
        """Whether it is this one who makes the offer."""
        return bool(self._params["is_initiator"] == "true")

    @property
    def connected(self) -> bool:
        """Whether the WebSocket is open."""
        return self._socket is not None and not self._socket.closed.is_set()

    async def join(self) -> None:
        """Take a seat, and open and register the WebSocket. Raises `Refused`."""
        url = f"{self._url}/join/{self._room}"
        answer = await self._ask(url)
        if answer.get("result") != "SUCCESS":
            raise Refused(f"{url}: nobody is let in: {answer.get('reason') or answer.get('result') or answer}")
        params = answer.get("params")
        if not isinstance(params, dict) or not params.keys() >= NEEDED or not all(
                isinstance(one, str) for one in (params["client_id"], params["wss_url"], *_list(params["messages"]))):
            raise Refused(f"{url}: answers, but is no rtcd")
        self._params = params
        for text in params["messages"]:
            self._take(text)
        from rtcd.rehearse.websocket import Socket  # makes Autobahn one of asyncio's in the whole process

        wss = self._params["wss_url"]
        try:
            async with asyncio.timeout(HTTP_S):
                self._socket = await Socket.opened_at(wss, self._url, self._trust, self._take)
        except (OSError, ValueError) as error:
            raise Refused(f"{wss}: no WebSocket ({reason(error)}); a proxy in front may not let it through") from None
        self._send({"cmd": "register", "roomid": self._room, "clientid": self._params["client_id"]})

    async def ice_servers(self) -> list[dict[str, Any]]:
        """Those of this client, with its credential. Raises `Refused`."""
        url = self._params.get("ice_server_url")
        if not url:
            raise Refused(f"{self._url}: names no ICE servers; turn [ice] on")
        found = _list((await self._ask(url)).get("iceServers", []))
        if not all(isinstance(one, dict) and all(isinstance(url, str) for url in urls_of(one)) for one in found):
            raise Refused(f"{_place(url)}: answers, but names no ICE servers")
        return found

    async def say(self, message: dict[str, Any]) -> None:
        """To the other one: by HTTP as the initiator, who may be alone yet, else by WebSocket."""
        text = json.dumps(message)
        if self.initiator:
            await self._ask(f"{self._url}/message/{self._path}", text.encode())
        else:
            self._send({"cmd": "send", "msg": text})

    async def leave(self) -> None:
        """Say bye, free the seat, close. Does what it can; nothing is raised."""
        if self._socket is not None:
            with contextlib.suppress(Refused):  # it is closed already
                self._send({"cmd": "send", "msg": '{"type": "bye"}'})
        if self._params:
            with contextlib.suppress(Refused):  # the server takes the seat back by itself
                await self._ask(f"{self._url}/leave/{self._path}")
        if self._socket is not None:
            self._socket.sendClose(1000)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._socket.closed.wait(), CLOSE_S)

    @property
    def _path(self) -> str:
        return f"{self._room}/{self._params['client_id']}"

    def _take(self, text: str | None) -> None:
        if not self.messages.full():
            self.messages.put_nowait(text)

    def _send(self, frame: dict[str, Any]) -> None:
        assert self._socket is not None
        try:
            self._socket.say(json.dumps(frame))
        except ConnectionError:
            raise Refused(f"{self._url}: the WebSocket was closed") from None

    async def _ask(self, url: str, body: bytes = b"") -> dict[str, Any]:
        return await asyncio.to_thread(self._request, url, body)

    def _request(self, url: str, body: bytes) -> dict[str, Any]:
        if not url.startswith("https://"):
            raise Refused(f"{_place(url)}: is no https, which browsers need; is there a proxy that rtcd does not know of?")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._trust))  # as the others go
        try:
            request = urllib.request.Request(url, body, method="POST")  # noqa: S310 # https alone
            with opener.open(request, timeout=HTTP_S) as answer:
                data = answer.read(MAX_ANSWER_BYTES)
            found = json.loads(data) if data else {}
        except urllib.error.HTTPError as error:
            with error:
                told = error.read(300).decode(errors="replace")
            raise Refused(f"{_place(url)}: status {error.code}: {told}") from None
        except (OSError, ValueError, RecursionError, HTTPException) as error:
            raise Refused(f"{_place(url)}: {reason(error)}") from None
        if not isinstance(found, dict):
            raise Refused(f"{_place(url)}: is no rtcd")
        return found


def urls_of(server: dict[str, Any]) -> list[Any]:
    """The addresses of an ICE server, which may be one or several."""
    urls = server.get("urls", [])
    return [urls] if isinstance(urls, str) else _list(urls)


def _list(value: Any) -> list[Any]:
    """Something that is no list has one element, which is no text either."""
    return value if isinstance(value, list) else [None]


def reason(error: BaseException) -> str:
    """What went wrong, in a few words, without the layers around it."""
    inner = getattr(error, "reason", error)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {inner.verify_message}; name its authority with --trust"
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    return str(getattr(inner, "strerror", None) or inner or type(inner).__name__)


def _place(url: str) -> str:
    """Without the arguments, which may be secret, and the client, who is."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{'/'.join(parts.path.split('/')[1:3])}"
