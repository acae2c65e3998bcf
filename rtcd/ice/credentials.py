"""Time-limited TURN names and passwords: issued and checked here, so the two cannot disagree.

The name is ``<Unix time of expiry><separator><user>``, the password base64(HMAC-SHA1(secret, name))
(draft-uberti-behave-turn-rest-00 §2.2). Nothing is stored; several secrets may be valid while one replaces another.
"""

from __future__ import annotations

import base64
import functools
import hmac
from dataclasses import dataclass

SECRET_FILE = "turn-secret"
"""In the state directory: the secret of a daemon whose ini names none."""
MAX_EXPIRY_DIGITS = 12
"""Unix times have ten digits today; more than twelve is no time."""


TAG_PURPOSE = b"rtcd: tags of rooms and clients"
"""Makes the key of tags another one than the secret that signs passwords."""
ROOM_TAG_BYTES = 8
CLIENT_TAG_BYTES = 10
"""As many random bytes as a client's name has: a tag is as hard to meet by accident."""
CACHED_ROOMS = 1024
"""Rooms whose key and tag are remembered: a call asks for them several times."""
MARK_PURPOSE = b"rtcd: marks of nodes"
"""Makes the key of marks another one likewise. To try a secret on a mark takes no less than to try it on a name and its
password, which every client is given: so a slower derivation would guard nothing, and who reads marks guesses no secret
that clients could not guess."""
MARK_BYTES = 16
PROBE_USER = "rtcd-probe-"
"""Begins the user of a daemon that looks whether a TURN node serves: nobody's call, so that nobody is told of it."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client is given."""

    username: str
    password: str
    expires_at: int
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about a name: the passwords that would be right for it, or why there is none."""

    passwords: tuple[str, ...]
    user: str
    """The part behind the separator: what quotas count."""
    expires_at: int
    reason: str = ""
    """Empty, ``no time-limited name`` or ``expired``."""


class Tags:
    """What rooms and clients are called under the secrets of one time."""

    __slots__ = ("_keys", "next")

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = keys
        self.next: Tags | None = None
        """Those that took their place."""

    def room_tags(self, room: str) -> tuple[str, ...]:
        """One a secret, the signing one first."""
        return tuple(_room(key, room)[1] for key in self._keys)

    def users_since(self, room: str, client: str) -> tuple[str, ...]:
        """As `Credentials.users_of`, of these secrets and all that came after."""
        found: dict[str, None] = {}
        tags: Tags | None = self
        while tags is not None:
            found.update(dict.fromkeys(_user(key, room, client) for key in tags._keys))
            tags = tags.next
        return tuple(found)


class Credentials:
    """Issues and checks names with the daemon's shared secrets, the first of which signs.

    Raises ValueError without a secret.
    """

    def __init__(
        self, secrets: tuple[str, ...], lifetime_s: int, separator: str = ":", *, generated: bool = False
    ) -> None:
        self.generated = generated
        """The secret was made here, so no other machine knows it."""
        if not secrets or not all(secrets):
            raise ValueError("secret: at least one is needed, and none may be empty")
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._tag_keys = self.keys(TAG_PURPOSE)
        self.tags = Tags(self._tag_keys)
        self._separator = separator
        self.lifetime_s = lifetime_s
        self.generation = 0
        """Another number whenever the secrets may have changed."""

    def take(self, other: Credentials) -> None:
        """Go by the secrets of ``other`` from now on."""
        self._secrets, self._separator = other._secrets, other._separator
        self._tag_keys = other._tag_keys
        tags = Tags(other._tag_keys)
        self.tags.next, self.tags = tags, tags
        self.lifetime_s, self.generated = other.lifetime_s, other.generated
        self.generation += 1

    def users_of(self, room: str, client: str) -> tuple[str, ...]:
        """The users that names bound to this client of this room are made out to: one a secret, the signing one first.

        ``<room tag>-<client tag>``: truncated HMACs, so that whoever has the secret can tell which names belong to a
        client or a room, and nobody else learns what room or client it is.
        """
        return tuple(_user(key, room, client) for key in self._tag_keys)

    def room_tag(self, room: str) -> str:
        """The first half of these users, of the signing secret."""
        return _room(self._tag_keys[0], room)[1]

    def keys(self, purpose: bytes) -> tuple[bytes, ...]:
        """Keys for something else that is signed here: one a secret, the signing one first."""
        return tuple(hmac.digest(secret, purpose, "sha256") for secret in self._secrets)

    def mark(self, node: bytes) -> bytes:
        """What a node of this name shows the others of a cluster: they can tell by it whether they accept what it signs."""
        return self._marks(node)[0]

    def accepts(self, node: bytes, mark: bytes) -> bool:
        """Whether names are valid here that the node of this mark issues: by the signing secret or an older one."""
        return any(hmac.compare_digest(one, mark) for one in self._marks(node))

    def issue(self, user: str, now: float, lifetime_s: int | None = None) -> Credential:
        """A name for ``user``, valid for so long from ``now``, or for the configured time."""
        expires_at = int(now) + (self.lifetime_s if lifetime_s is None else lifetime_s)
        username = f"{expires_at}{self._separator}{user}"
        return Credential(username, _sign(self._secrets[0], username), expires_at)

    def verify(self, username: str, now: float) -> Verdict:
        """The passwords that would be right for ``username``; the caller compares, in constant time."""
        expiry, _, user = username.partition(self._separator)
        if not (expiry.isascii() and expiry.isdigit() and len(expiry) <= MAX_EXPIRY_DIGITS):
            return Verdict((), "", 0, "no time-limited name")
        if now >= int(expiry):
            return Verdict((), user, int(expiry), "expired")
        return Verdict(tuple(_sign(secret, username) for secret in self._secrets), user, int(expiry))

    def _marks(self, node: bytes) -> list[bytes]:
        """One a secret; the separator decides with it what is accepted."""
        said = self._separator.encode() + node
        return [hmac.digest(key, said, "sha256")[:MARK_BYTES].hex().encode() for key in self.keys(MARK_PURPOSE)]


def _user(key: bytes, room: str, client: str) -> str:
    room_key, tag = _room(key, room)
    return f"{tag}-{hmac.digest(room_key, b'=' + _bytes(client), 'sha256')[:CLIENT_TAG_BYTES].hex()}"


@functools.lru_cache(CACHED_ROOMS)
def _room(key: bytes, room: str) -> tuple[bytes, str]:
    """The key of a room, and its tag."""
    room_key = hmac.digest(key, _bytes(room), "sha256")
    return room_key, hmac.digest(room_key, b"", "sha256")[:ROOM_TAG_BYTES].hex()


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")  # JSON may hold half a character, and names of it are names too


def _sign(secret: bytes, username: str) -> str:
    return base64.b64encode(hmac.digest(secret, username.encode(), "sha1")).decode()
