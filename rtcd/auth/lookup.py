"""Users who are kept elsewhere: what an answer about one means, what is remembered of it, and which requests wait for it.

`Lookups` asks nobody itself: it says whom to ask for, and is told the answer. The asking is rtcd.auth.remote.
"""

from __future__ import annotations

import math
import re
from collections import Counter as Count
from collections import OrderedDict, deque

import msgspec

from rtcd.allocations.allocation import FiveTuple
from rtcd.auth.authenticator import Found, Keys, keys_of_password, parse_keys
from rtcd.bucket import Buckets, network
from rtcd.metrics import Counter

FOUND_S = 60.0
"""How long a user's keys are remembered: what a new password or a blocked user may take to count."""
UNKNOWN_S = 10.0
"""How long it is remembered that there is no such user."""
FAULT_S = 2.0
"""How long a user is taken for unknown without asking again when there was no good answer."""
REMEMBERED_USERS = 10000
"""Of each kind, known and unknown, so that made-up names displace no real ones; one more makes the longest unused one
forgotten."""
MAX_LOOKUPS = 20
"""Users asked for at once."""
MAX_WAITING = 1000
"""Requests that wait for an answer, in all; one more is dropped, and its client asks again or gives up."""
MAX_WAITING_FOR_USER = 16
"""Likewise for one user."""
MAX_WAITING_OF_NETWORK = 200
"""Likewise for one client network, so that a stranger leaves room for others while look-ups are slow."""
MAX_WAITING_BYTES = 2048
"""A longer request does not wait. Those that clients begin with have a few hundred bytes."""
MAX_WAIT_S = 10.0
"""A request that has waited longer is dropped: its client asked again meanwhile, or has gone."""
USERS_PER_S, USERS_AT_ONCE = 10.0, 50.0
"""How many users one client network may have asked for: an office whose people all come to work, and no dictionary."""


_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?(?:/[!-~]*)?")


def check_url(url: str) -> None:
    """Raises ValueError for what is no URL to ask at."""
    found = _URL.fullmatch(url)
    if found is None or "#" in url or not 0 < int(found[2] or 443) < 65536:
        raise ValueError("is no plain http or https URL; write it like https://accounts.example.org/turn, and a secret into"
                         " auth-url-token")


class _Answer(msgspec.Struct):
    key: str | None = None
    password: str | None = None
    expires: float | None = None


def parse_answer(status: int, body: bytes, username: str, realm: str, now: float) -> Found:
    """What an HTTP answer says about a user: 200 with ``{"key": "0x…"}`` or ``{"password": "…"}``, and perhaps
    ``"expires"`` in Unix seconds; 404 if there is none. Raises ValueError, which never tells the body, for all else."""
    if status == 404:
        return Found()
    if status != 200:
        raise ValueError(f"status {status}")
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise ValueError("an answer that is not the JSON that was asked for") from None
    if (answer.key is None) == (not answer.password):
        raise ValueError("an answer without a key or a password, or with both")
    keys = parse_keys(answer.key) if answer.key is not None else keys_of_password(username, realm, answer.password or "")
    expires_at = math.inf if answer.expires is None else answer.expires
    return Found(keys, expires_at) if now < expires_at else Found()


class Remembered:
    """What was found out about users, each for a while, at most `REMEMBERED_USERS`."""

    def __init__(self) -> None:
        self._table: OrderedDict[str, tuple[Found, float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def find(self, username: str, now: float) -> Found | None:
        """What is remembered; nothing from a future that a stepped clock has taken back."""
        entry = self._table.get(username)
        if entry is None:
            return None
        found, since, until = entry
        if not since <= now < until:
            del self._table[username]
            return None
        self._table.move_to_end(username)
        return found

    def put(self, username: str, found: Found, now: float, until: float) -> None:
        """Remember it."""
        self._table[username] = (found, now, until)
        self._table.move_to_end(username)
        if len(self._table) > REMEMBERED_USERS:
            self._table.popitem(last=False)


class Lookups:
    """Which users to ask for, one look-up a user at a time, and the requests that wait for them."""

    def __init__(self, late: Counter) -> None:
        """``late`` counts requests that were dropped since they had waited too long."""
        self._late = late
        self._known, self._unknown = Remembered(), Remembered()
        self._waiting: dict[str, dict[tuple[FiveTuple, bytes], tuple[bytes, float]]] = {}
        """Requests by user, then by client and transaction id: a retransmitted one waits once."""
        self._count = 0
        self._of_network: Count[str] = Count()
        self._queue: deque[str] = deque()
        """Users of `_waiting` who have not been asked for."""
        self._running: set[str] = set()
        self._rate = Buckets(USERS_PER_S, USERS_AT_ONCE)

    def find(self, username: str, now: float) -> Found | None:
        """What is remembered of the user; None if he has to be asked for."""
        return self._known.find(username, now) or self._unknown.find(username, now)

    def wait(self, username: str, data: bytes, five_tuple: FiveTuple, now: float) -> bool:
        """Let the request wait for that; False if it may not."""
        requests = self._waiting.get(username)
        key = (five_tuple, data[8:20])
        if requests is not None and key in requests:
            return True
        source = network(five_tuple.client[0])
        if len(data) > MAX_WAITING_BYTES or self._count >= MAX_WAITING or self._of_network[source] >= MAX_WAITING_OF_NETWORK:
            return False
        if requests is None:
            if not self._rate.allow(source, now):
                return False
            requests = self._waiting[username] = {}
            self._queue.append(username)
        elif len(requests) >= MAX_WAITING_FOR_USER:
            return False
        requests[key] = (data, now)
        self._count += 1
        self._of_network[source] += 1
        return True

    def next(self, now: float) -> str | None:
        """Whom to ask for now, if anybody; he counts as being asked for until `done`."""
        while self._queue and len(self._running) < MAX_LOOKUPS:
            username = self._queue.popleft()
            if any(now - since <= MAX_WAIT_S for _, since in self._waiting[username].values()):
                self._running.add(username)
                return username
            self._take(username, now)
        return None

    def done(self, username: str, found: Found | None, now: float) -> list[tuple[bytes, FiveTuple]]:
        """The answer is there, or None if there was no good one. Returns the requests that it lets go on."""
        self._running.discard(username)
        if found is None:
            self._unknown.put(username, Found(fault=True), now, now + FAULT_S)
        elif found.keys == Keys():
            self._unknown.put(username, found, now, now + UNKNOWN_S)
        else:
            self._known.put(username, found, now, min(now + FOUND_S, found.expires_at))
        return self._take(username, now)

    def _take(self, username: str, now: float) -> list[tuple[bytes, FiveTuple]]:
        requests = self._waiting.pop(username, {})
        self._count -= len(requests)
        self._of_network -= Count(network(five_tuple.client[0]) for five_tuple, _ in requests)
        fresh = [(data, five_tuple) for (five_tuple, _), (data, since) in requests.items() if now - since <= MAX_WAIT_S]
        self._late.value += len(requests) - len(fresh)
        return fresh
