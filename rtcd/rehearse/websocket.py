"""`Socket`: the WebSocket of Collider, by Autobahn on asyncio.

Autobahn serves Twisted or asyncio in one process, never both: nobody but a rehearsal that runs imports this.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.exception import Disconnected


class Socket(WebSocketClientProtocol):  # type: ignore[misc] # Autobahn is untyped
    """The WebSocket of a seat. ``take`` gets what the other one says, and None at the end."""

    def __init__(self, take: Callable[[str | None], object], opened: asyncio.Future[None]) -> None:
        super().__init__()
        self._hand_on = take
        self._opened = opened
        self.closed = asyncio.Event()

    @classmethod
    async def opened_at(
        cls, wss: str, url: str, trust: ssl.SSLContext, take: Callable[[str | None], object]
    ) -> Socket:
        """Connect and shake hands as a page of ``url`` does it. Raises OSError."""
        site, parts = urlsplit(url), urlsplit(wss)
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        factory = WebSocketClientFactory(wss, origin=f"{site.scheme}://{site.netloc}")
        factory.setProtocolOptions(closeHandshakeTimeout=0)  # whose end is a line on standard error; see Seat.leave
        factory.protocol = lambda: cls(take, opened)
        _, made = await loop.create_connection(factory, parts.hostname or "", parts.port or 443, ssl=trust)
        await opened
        socket: Socket = made
        return socket

    def say(self, text: str) -> None:
        """Send a frame. Raises ConnectionResetError if it is closed."""
        try:
            self.sendMessage(text.encode())
        except Disconnected:
            raise ConnectionResetError from None

    def onOpen(self) -> None:
        """Others may speak now."""
        if not self._opened.done():
            self._opened.set_result(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A frame of Collider: a message, or why there is none."""
        try:
            frame = json.loads(payload)
        except ValueError:
            return
        if isinstance(frame, dict) and isinstance(frame.get("msg"), str) and frame["msg"]:
            self._hand_on(frame["msg"])

    def onClose(self, wasClean: bool, code: int | None, why: str | None) -> None:
        """No more of them."""
        if not self._opened.done():
            self._opened.set_exception(ConnectionRefusedError(0, why or "the handshake was refused"))
        self._hand_on(None)
        self.closed.set()
