"""``[rooms] store``: where Redis is. Text in, values out; nothing here is connected to, and no password is in an error."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

MEMORY = "memory"
"""The store of one process."""

LIBRARY = "txredisapi"
"""The Python package that speaks to Redis for us."""

MINIMUM = "6.2"
"""The oldest Redis that has all that the scripts use."""

REDIS_PORT = 6379
SENTINEL_PORT = 26379

_HARMLESS = ("WRONGPASS ", "NOPERM ", "ERR AUTH <password> called without any password configured")

_FORM = "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss://… (TLS), redis+sentinel://HOST[:PORT],…/NAME[/DB] or unix:///PATH"


def auth_fault(text: str) -> str:
    """What may be shown of the error that AUTH was answered with: others than the known ones may repeat the password."""
    return text if text.startswith(_HARMLESS) else f"AUTH is refused: {text.split(' ', 1)[0]}"


@dataclass(frozen=True, slots=True)
class Address:
    """One Redis: a server, or a master that Sentinels know by name."""

    hosts: tuple[tuple[str, int], ...] = ()
    """Host and port; of the Sentinels, if there is a ``master``."""
    master: str = ""
    path: str = ""
    """Of a unix socket, in the place of hosts."""
    database: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False

    @property
    def shown(self) -> str:
        """For people: everything but who we say that we are."""
        if self.path:
            return f"unix://{self.path}"
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        scheme = ("rediss" if self.tls else "redis") + ("+sentinel" if self.master else "")
        return "/".join([f"{scheme}://{hosts}", *filter(None, [self.master, str(self.database or "")])])


def parse(text: str) -> Address:
    """Read one URL. Raises ValueError with a text that has nothing of the URL in it, since there may be a password."""
    scheme, separator, rest = text.partition("://")
    schemes = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "unix")
    if not separator or scheme not in schemes:
        raise ValueError(f"is neither memory nor {_FORM}")
    if "?" in rest or "#" in rest:
        raise ValueError(f"has a ? or #, which belongs into no {_FORM}; in a password write %3F or %23")
    said, at, place = rest.rpartition("@")
    user, colon, password = said.partition(":")
    if at and not colon:
        raise ValueError("has a user and no password: write USER:PASSWORD@, or :PASSWORD@ for a password alone")
    if scheme == "unix":
        if not place.startswith("/"):
            raise ValueError("names no absolute path: write unix:///run/redis/redis-server.sock")
        return Address(path=place, user=unquote(user), password=unquote(password))
    where, _, path = place.partition("/")
    parts = path.split("/") if path else []
    sentinel = scheme.endswith("+sentinel")
    master = unquote(parts.pop(0)) if sentinel and parts else ""
    if sentinel and not master:
        raise ValueError("does not say by which name the Sentinels know the master: write …/NAME behind the hosts")
    if len(parts) > 1 or (parts and parts[0] and not (parts[0].isascii() and parts[0].isdigit())):
        raise ValueError("has something else behind the host than the number of a database")
    hosts = tuple(_host(one, SENTINEL_PORT if sentinel else REDIS_PORT) for one in where.split(","))
    if len(hosts) > 1 and not sentinel:
        raise ValueError("names several hosts: write one URL a line to share the rooms out, or redis+sentinel://")
    database = int(parts[0]) if parts and parts[0] else 0
    return Address(hosts, master, "", database, unquote(user), unquote(password), scheme.startswith("rediss"))


def parse_all(lines: Sequence[str], password: str | None = None) -> tuple[Address, ...]:
    """Read every line; none, or ``memory`` alone, is no Redis. ``password`` is for those that name none. Raises ValueError.
    """
    if not lines or tuple(lines) == (MEMORY,):
        return ()
    if MEMORY in lines:
        raise ValueError("names memory beside a Redis: keep one of them")
    found = [parse(one) for one in lines]
    if len({one.shown for one in found}) < len(found):
        raise ValueError("names the same Redis twice")
    return tuple(replace(one, password=password) if password and not one.password else one for one in found)


def too_old(version: str) -> bool:
    """Whether a Redis of this version has not all that the scripts use; one that says none has not."""
    return _numbers(version) < _numbers(MINIMUM)


def shard_of(room: str, shards: Sequence[str]) -> int:
    """Which of several places keeps a room: the one whose name and the room's together have the greatest hash. If a place
    is added, or taken away, only its own rooms move."""
    def weight(number: int) -> bytes:
        return hashlib.blake2b(f"{shards[number]}\0{room}".encode(errors="surrogatepass"), digest_size=8).digest()

    return max(range(len(shards)), key=weight)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(one) for one in version.split(".")[:2] if one.isascii() and one.isdigit())


def _host(text: str, port: int) -> tuple[str, int]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
    else:
        host, colon, number = text.partition(":")
        rest = colon + number
    if rest:
        digits = rest.removeprefix(":")
        if not (rest.startswith(":") and digits.isascii() and digits.isdigit() and 0 < int(digits) < 65536):
            raise ValueError("has a port that is no number from 1 to 65535")
        port = int(digits)
    if not host:
        raise ValueError(f"names no host: {_FORM}")
    return host, port
