"""Visits signalling as a browser does: at the listener here, and at the public address through whatever stands in front.

The register is of a client that no room knows: it is answered with an error, which has then come through all the way, and no
room is touched. A server that takes anybody (``require-join = no``) answers a ping.
"""

from __future__ import annotations

import base64
import os
import secrets
import socket
import ssl
from typing import Any

from rtcd.doctor.checks.websocket import (
    CONNECT,
    DNS,
    GARBAGE,
    SHAKE,
    SILENT,
    STATUS,
    SWITCHING,
    TIMEOUT,
    Facts,
    Visit,
)
from rtcd.doctor.facts.subject import Subject
from rtcd.front.origin import Authority, Base
from rtcd.tls.names import is_address

TIMEOUT_S = 5.0
MAX_HEAD_BYTES = 16384
"""Of an answer's head."""
MAX_FRAME_BYTES = 65536
_CLOSE, _PING, _PONG, _TEXT = 8, 9, 10, 1


def gather(subject: Subject) -> Facts | None:
    """Nothing without signalling."""
    signaling, base = subject.section("signaling"), subject.public
    if signaling is None:
        return None
    visits = []
    here = _here(subject) if subject.daemon.pid else None
    if here is not None:
        visits.append(visit(*here, signaling.path, public=False, preface=subject.preface(here[1], here[0].port)))
    if base is not None and (subject.daemon.pid or subject.section("doorway").plain):
        visits.append(visit(base, base.authority.host, signaling.path, public=True))
    return Facts(visits, subject.daemon, bool(subject.section("doorway").plain)) if visits else None


def _here(subject: Subject) -> tuple[Base, str] | None:
    """Our own listener and the address to come to it by: with TLS if there is one."""
    for key, scheme in (("[doorway] https", "https"), ("[doorway] plain", "http")):
        for one in subject.wanted():
            if one.key == key:
                host = subject.door(one.host)
                asked = subject.public.authority.host if subject.public is not None else host
                return Base(scheme, Authority(asked, one.port)), host
    return None


def visit(base: Base, host: str, path: str, *, public: bool, preface: bytes = b"") -> Visit:
    """One. ``host``: where to connect to, by name or number; ``preface``: what is sent before anything else."""
    scheme = "wss" if base.scheme == "https" else "ws"
    shown = Authority(base.authority.host if public else host, base.port)
    url = f"{scheme}://{shown.bracketed}:{base.port}{base.prefix}{path}"
    try:
        found = socket.getaddrinfo(host, base.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Visit(url, public, DNS, _text(error))
    reached, failed = None, Visit(url, public, DNS, "no address")
    for family, kind, protocol, _, address in found:
        reached = socket.socket(family, kind, protocol)
        reached.settimeout(TIMEOUT_S)
        try:
            reached.connect(address)
            reached.sendall(preface)
            break
        except OSError as error:
            reached.close()
            reached = None
            end = TIMEOUT if isinstance(error, TimeoutError) else CONNECT
            failed = Visit(url, public, end, _text(error), address=str(address[0]))
    if reached is None:
        return failed
    with reached:
        return _speak(reached, base, path, Visit(url, public, address=str(reached.getpeername()[0])))


def _speak(reached: socket.socket, base: Base, path: str, so_far: Visit) -> Visit:
    def ended(end: str, reason: str = "", status: int = 0, server: str = "") -> Visit:
        return Visit(so_far.url, so_far.public, end, reason, status, server, "", so_far.address)

    speaking: Any = reached
    if base.scheme == "https":
        try:
            speaking = _encrypted(reached, base.authority.host)
        except TimeoutError:
            return ended(TIMEOUT, "no answer to the handshake")
        except (OSError, ValueError) as error:
            return ended(SHAKE, _text(error))
    with speaking:
        try:
            speaking.sendall(_request(base, path))
            head, rest = _head(speaking)
        except TimeoutError:
            return ended(SILENT, "no answer to the request")
        except (OSError, ValueError) as error:
            return ended(GARBAGE, _text(error))
        status, server = head
        if status != SWITCHING:
            return ended(STATUS, "", status, server)
        try:
            answer = _register(speaking, rest)
        except (OSError, ValueError) as error:
            return ended(SILENT, _text(error), status, server)
    return Visit(so_far.url, so_far.public, "", "", status, server, answer, so_far.address)


def _encrypted(reached: socket.socket, name: str) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what is wrong with the certificate is told by another check
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(reached, server_hostname=None if is_address(name) else name)


def _request(base: Base, path: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    host = base.origin.partition("://")[2]
    return (f"GET {base.prefix}{path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {base.origin}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "User-Agent: rtcd-doctor\r\n\r\n").encode("ascii")


def _head(speaking: Any) -> tuple[tuple[int, str], bytes]:
    """Status and server, and what has come behind the head. Raises ValueError if it is no HTTP."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = speaking.recv(4096)
        if not more or len(data) + len(more) > MAX_HEAD_BYTES:
            raise ValueError("the connection was closed" if not more else "no HTTP")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if not words[0].startswith("HTTP/") or len(words) < 2 or not words[1].isdigit():
        raise ValueError(f"no HTTP: {first[:60]!r}")
    server = next((one.partition(":")[2].strip() for one in lines if one.lower().startswith("server:")), "")
    return (int(words[1]), server), rest


def _register(speaking: Any, rest: bytes) -> str:
    """Register and ping; what comes back first that is an answer. Raises OSError and ValueError."""
    room, client = (secrets.token_hex(8) for _ in range(2))
    text = f'{{"cmd":"register","roomid":"doctor-{room}","clientid":"{client}"}}'
    speaking.sendall(_frame(_TEXT, text.encode()) + _frame(_PING, b"doctor"))
    data = bytearray(rest)
    while True:
        frame = _parsed(data)
        if frame is None:
            more = speaking.recv(4096)
            if not more:
                raise ValueError("closed without an answer")
            data += more
            continue
        kind, payload, size = frame
        del data[:size]
        if kind == _PONG:
            speaking.sendall(_frame(_CLOSE, b"\x03\xe8"))
            return "pong"
        if kind == _TEXT:
            return payload.decode("utf-8", "replace")
        if kind == _CLOSE:
            return f"closed {payload[2:].decode('utf-8', 'replace')}".strip()


def _frame(kind: int, payload: bytes) -> bytes:
    """One, masked, of fewer than 126 bytes (RFC 6455 §5.2)."""
    mask = os.urandom(4)
    masked = bytes(one ^ mask[place & 3] for place, one in enumerate(payload))
    return bytes((0x80 | kind, 0x80 | len(payload))) + mask + masked


def _parsed(data: bytearray) -> tuple[int, bytes, int] | None:
    """Kind, payload and size of the first frame, None if it is not whole. Raises ValueError if it is too long."""
    if len(data) < 2:
        return None
    length, at = data[1] & 0x7F, 2
    if length >= 126:
        at = 4 if length == 126 else 10
        if len(data) < at:
            return None
        length = int.from_bytes(data[2:at], "big")
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {length} bytes")
    if len(data) < at + length:
        return None
    return data[0] & 0x0F, bytes(data[at : at + length]), at + length


def _text(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error) or type(error).__name__
