"""A client of TURN inside TLS on a blocking socket, which knows no more than Allocate and Refresh."""

from __future__ import annotations

import hashlib
import socket
from typing import Any

from aioice import stun

from tests.daemon.process import DEADLINE_S, trusting

UDP = 0x11000000
"""REQUESTED-TRANSPORT of a relay for UDP."""
HEADER_BYTES = 20


class Turns:
    """One connection; ``source``: the address that it comes from."""

    def __init__(self, port: int, username: str, password: str, source: str = "127.0.0.1") -> None:
        plain = socket.create_connection(("127.0.0.1", port), DEADLINE_S, source_address=(source, 0))
        self._socket = trusting().wrap_socket(plain, server_hostname="localhost")
        self._username = username
        self._password = password
        self._challenge: dict[str, Any] = {}

    def allocate(self) -> Any:
        """Ask for a relay: the attributes of the answer."""
        return self._request(stun.Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})

    def refresh(self) -> Any:
        """Ask that the relay stay: the attributes of the answer."""
        return self._request(stun.Method.REFRESH, {"LIFETIME": 600})

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _request(self, method: Any, attributes: dict[str, Any]) -> Any:
        while True:
            message = stun.Message(method, stun.Class.REQUEST, attributes={**attributes, **self._challenge})
            if self._challenge:
                login = f"{self._username}:{self._challenge['REALM']}:{self._password}"
                message.add_message_integrity(hashlib.md5(login.encode()).digest())
            self._socket.sendall(bytes(message))
            answer = stun.parse_message(self._receive())
            if answer.message_class == stun.Class.RESPONSE:
                return answer.attributes
            if answer.error_code != 401 or self._challenge:
                raise AssertionError(f"{method.name} is answered {answer.attributes}")
            self._challenge = {"USERNAME": self._username, **{
                name: answer.attributes[name] for name in ("REALM", "NONCE")}}

    def _receive(self) -> bytes:
        data = b""
        while len(data) < HEADER_BYTES or len(data) < HEADER_BYTES + int.from_bytes(data[2:4], "big"):
            more = self._socket.recv(2048)
            if not more:
                raise AssertionError("the server has closed")
            data += more
        return data
