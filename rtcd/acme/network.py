"""`Network`: requests to an authority, bounded in size, and ended as soon as the order is to stop. Blocking.

The ``acme`` library signs and sends; here is what it leaves open. An authority may say anything, for any length of time.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from acme import messages
from acme.client import ClientNetwork
from josepy.jwa import ES256
from josepy.jwk import JWK
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from rtcd import __version__
from rtcd.acme.request import AcmeError, Request
from rtcd.acme.schedule import LONGEST_ASKED_S

TIMEOUT_S = 20
"""For a connection, and for each silence within an answer."""
MAX_ANSWER_BYTES = 1048576
"""Of an answer, unpacked. A chain of certificates is a hundredth of it."""
MAX_REDIRECTS = 3
"""From one request to another."""
NONCE_TRIES = 10
"""How often a request is sent again because the authority takes its nonce for none of its own (RFC 8555 §6.5)."""
_PART_BYTES = 4096
_WATCH_S = 0.2


class Network(ClientNetwork):
    """The connections of one order. `close` it in any case."""

    def __init__(self, key: JWK, request: Request, stop: threading.Event) -> None:
        """When ``stop`` is set, whatever is under way fails."""
        super().__init__(key, alg=ES256, user_agent=f"rtcd/{__version__} acme-python", timeout=TIMEOUT_S)
        if request.trust:
            self.verify_ssl = request.trust  # type: ignore[assignment]  # requests takes a path as well
        self._where = request.directory
        self._stop = stop
        self._last: Mapping[str, str] = {}
        self._made: list[socket.socket] = []
        self.session.adapters.clear()
        self.session.mount("https://", _Adapter(self._made))  # RFC 8555 §6.1: and nothing else
        self.session.max_redirects = MAX_REDIRECTS
        self.session.headers["Accept-Encoding"] = "identity"
        self.session.hooks["response"].append(self._read)
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="acme-watch", daemon=True).start()

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Sign and send; again with another nonce if need be."""
        for _ in range(NONCE_TRIES):
            try:
                return self._post_once(*args, **dict(kwargs))
            except messages.Error as error:
                if error.code != "badNonce" or self._stop.is_set():
                    raise
        return self._post_once(*args, **kwargs)

    def retry_after(self) -> float | None:
        """What the last answer asks for, in seconds; see `seconds_of`."""
        return seconds_of(self._last)

    def close(self) -> None:
        """Close the connections."""
        self._closed.set()
        self.session.close()

    def _read(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Requests calls this before it reads a body itself, which it would do to its end."""
        self._last = response.headers
        data = bytearray()
        try:
            for part in response.iter_content(_PART_BYTES):
                data += part
                if len(data) > MAX_ANSWER_BYTES:
                    raise AcmeError(f"{self._where} gave an answer of more than {MAX_ANSWER_BYTES} bytes")
                if self._stop.is_set():
                    raise AcmeError("stopped")
        except Exception:
            response.close()
            raise
        response._content = bytes(data)

    def _watch(self) -> None:
        """In a thread of its own: have what waits for an answer fail, also one made just now."""
        while not self._closed.wait(_WATCH_S):
            for one in tuple(self._made) if self._stop.is_set() else ():
                with suppress(OSError):  # it has ended by itself
                    socket.socket.shutdown(one, socket.SHUT_RDWR)  # not ssl's, which forgets that it is encrypted


class _Adapter(HTTPAdapter):
    """Notes the sockets of connections that are made, through a proxy or without: an answer may outlive its connection."""

    def __init__(self, made: list[socket.socket]) -> None:
        class Noted(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                if self.sock is not None:
                    made.append(self.sock)

        class Pool(HTTPSConnectionPool):
            ConnectionCls = Noted

        self._pool = Pool
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._use(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        self._use(manager)
        return manager

    def _use(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": self._pool}


def seconds_of(headers: Mapping[str, str]) -> float | None:
    """Retry-After (RFC 9110 §10.2.3) in seconds, bounded by the longest that is obeyed; None if there is none.

    A date is measured against that of the answer, so that our clock does not matter; without one it is not understood.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(LONGEST_ASKED_S, float(text) if len(text) < 10 else LONGEST_ASKED_S)
    try:
        asked = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError, OverflowError):
        return None
    return min(LONGEST_ASKED_S, max(0.0, asked.total_seconds()))
