"""What scripted clients speak, on asyncio: an HTTP request, and the client's end of a WebSocket. Any certificate will do."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from typing import Any

from tests.daemon.process import trusting

TLS = trusting()

CONNECT_S = 2.0
"""How long a machine may take to take a connection, which its kernel does alone, before it is given up."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Refused(Exception):
    """An answer came, and is no."""

    def __init__(self, status: int, body: bytes, head: bytes = b"") -> None:
        super().__init__(status, body)
        self.status = status
        self.again = b"\r\nretry-after:" in head.lower()
        """Whether it says when to ask again."""


async def _connect(address: tuple[str, int]) -> Streams:
    plain = socket.socket()
    plain.setblocking(False)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(plain, address), CONNECT_S)
        return await asyncio.open_connection(sock=plain, ssl=TLS, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def _head(address: tuple[str, int], line: str, *more: str) -> bytes:
    return "\r\n".join((line, f"Host: {address[0]}:{address[1]}", "Origin: https://localhost", *more, "", "")).encode()


async def request(address: tuple[str, int], method: str, path: str, body: bytes = b"") -> bytes:
    """One HTTP request; the body of its answer. Raises OSError, EOFError if none came, and `Refused`."""
    reader, writer = await _connect(address)
    try:
        writer.write(_head(address, f"{method} {path} HTTP/1.1", f"Content-Length: {len(body)}", "Connection: close") + body)
        answer = await reader.read()
    finally:
        writer.close()
    head, between, rest = answer.partition(b"\r\n\r\n")
    if not between:
        raise EOFError
    status = int(head.split(b" ", 2)[1])
    if b"chunked" in head.lower():
        rest = _joined(rest)
    if status != 200:
        raise Refused(status, rest, head)
    return rest


class WebSocket:
    """Text frames of JSON, each sent in one piece."""

    def __init__(self, streams: Streams) -> None:
        self._reader, self._writer = streams

    @classmethod
    async def open(cls, address: tuple[str, int]) -> WebSocket:
        """Raises OSError, EOFError and `Refused`."""
        streams = reader, writer = await _connect(address)
        writer.write(_head(
            address, "GET /ws HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}"))
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (EOFError, OSError):
            writer.close()
            raise
        status = int(head.split(b" ", 2)[1])
        if status != 101:
            writer.close()
            raise Refused(status, head)
        return cls(streams)

    def send(self, **fields: Any) -> None:
        """Send an object."""
        self._frame(0x81, json.dumps(fields).encode())

    async def receive(self) -> Any:
        """The next object, or None when the connection is over."""
        try:
            while True:
                first, size = await self._reader.readexactly(2)
                if size == 126:
                    size = int.from_bytes(await self._reader.readexactly(2), "big")
                elif size == 127:
                    size = int.from_bytes(await self._reader.readexactly(8), "big")
                body = await self._reader.readexactly(size)
                if first & 15 == 1:
                    return json.loads(body)
                if first & 15 == 9:
                    self._frame(0x8A, body)
                elif first & 15 == 8:
                    self._frame(0x88, body)
                    return None
        except (EOFError, OSError):
            return None

    def close(self) -> None:
        """Hang up as a browser does."""
        self._frame(0x88, (1000).to_bytes(2, "big"))
        self._writer.close()

    def vanish(self) -> None:
        """Be gone without a word."""
        self._writer.transport.abort()

    def _frame(self, first: int, body: bytes) -> None:
        size = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2, "big")
        if not self._writer.is_closing():
            self._writer.write(bytes([first]) + size + bytes(4) + body)


def _joined(chunks: bytes) -> bytes:
    body = b""
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        body, chunks = body + chunks[: int(size, 16)], chunks[int(size, 16) + 2 :]
    return body
