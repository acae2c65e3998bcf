"""`Challenges`: what the authority is to find here while an order is open. No sockets, no certificates.

The doorway answers from this table: HTTP-01 (RFC 8555 §8.3) by rtcd.acme.resource, TLS-ALPN-01 (RFC 8737) during the
handshake. All of it is used on the reactor's thread; the thread of an order asks that one to put its proofs up.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from rtcd.tls.names import canonical

MAX_CHALLENGES = 128
"""Entries of each kind. A certificate has at most a hundred names, and one order is open at a time."""
DIGEST_BYTES = 32
"""SHA-256."""

_REVERSE_4 = re.compile(r"((?:[0-9]{1,3}\.){4})in-addr\.arpa", re.ASCII)
_REVERSE_6 = re.compile(r"((?:[0-9a-f]\.){32})ip6\.arpa", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


def is_token(text: str) -> bool:
    """Whether it looks like a token: base64url, and hence a file name that leads nowhere else (RFC 8555 §8.1)."""
    return _TOKEN.fullmatch(text) is not None


class Challenges:
    """Two tables: texts by token, digests by identifier."""

    __slots__ = ("_alpn", "_http", "changed", "everywhere")

    def __init__(self) -> None:
        self._http: dict[str, str] = {}
        self._alpn: dict[str, bytes] = {}
        self.changed: Callable[[], object] = lambda: None
        """Is told of every change, but not of `show`."""
        self.everywhere: Callable[[], Awaitable[object]] = _nowhere_else
        """Returns when every process of this daemon shows what is up here: only then may somebody be asked to look."""

    def shown(self) -> tuple[dict[str, str], dict[str, bytes]]:
        """All that is up: texts by token, digests by identifier."""
        return dict(self._http), dict(self._alpn)

    def show(self, http: dict[str, str], alpn: dict[str, bytes]) -> None:
        """What another process of this daemon has up, and nothing else. Raises `ValueError` for too many."""
        if max(len(http), len(alpn)) > MAX_CHALLENGES:
            raise ValueError(f"more than {MAX_CHALLENGES} challenges at once")
        self._http, self._alpn = dict(http), dict(alpn)

    @property
    def waiting(self) -> bool:
        """Whether a TLS-ALPN-01 proof is up; only then is there a reason to look for who asks for one."""
        return bool(self._alpn)

    def put_http(self, token: str, text: str) -> None:
        """Show the key authorization ``text`` under ``token``. Raises `ValueError` for no token, and when it is full."""
        if not is_token(token):
            raise ValueError("what the authority calls a token is none")
        _bound(self._http, token)
        self._http[token] = text
        self.changed()

    def drop_http(self, token: str) -> None:
        """Show it no more; nothing happens if it was not shown."""
        self._http.pop(token, None)
        self.changed()

    def put_alpn(self, name: str, digest: bytes) -> None:
        """Prove a host name or an address by the SHA-256 of the key authorization. Raises `ValueError` likewise."""
        if len(digest) != DIGEST_BYTES:
            raise ValueError("a digest of SHA-256 has 32 bytes")
        key = canonical(name)
        _bound(self._alpn, key)
        self._alpn[key] = digest
        self.changed()

    def clear(self) -> None:
        """Show nothing more of either kind."""
        self._http.clear()
        self._alpn.clear()
        self.changed()

    def http(self, token: str) -> str | None:
        """The key authorization for a token, or None if it is not ours."""
        return self._http.get(token)

    def alpn(self, name: str) -> bytes | None:
        """The digest for the server name of a ClientHello, as it was sent; None if there is none for it."""
        return self._alpn.get(from_sni(name))


async def _nowhere_else() -> None:
    """There is no other process."""


def from_sni(name: str) -> str:
    """The identifier that a server name in a ClientHello means: an address is sent as its reverse name (RFC 8738 §6)."""
    plain = canonical(name)
    four = _REVERSE_4.fullmatch(plain)
    if four is not None:
        return canonical(".".join(reversed(four[1].rstrip(".").split("."))))
    six = _REVERSE_6.fullmatch(plain)
    if six is not None:
        digits = "".join(reversed(six[1].split(".")))
        return canonical(":".join(digits[place:place + 4] for place in range(0, 32, 4)))
    return plain


def _bound(table: dict[str, str] | dict[str, bytes], key: str) -> None:
    if key not in table and len(table) >= MAX_CHALLENGES:
        raise ValueError(f"more than {MAX_CHALLENGES} challenges at once")
