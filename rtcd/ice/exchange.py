"""`Exchange`: what is said to a TURN node to learn whether it serves: a Binding, and an Allocate with a credential that is
made for it and whose allocation is given back at once by a Refresh with lifetime 0 (RFC 8656 §7.1, §8.1). No sockets.

Messages in, messages out; whoever has the socket sends them, and unanswered ones again where they may be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from rtcd.ice.health import ALIVE, DEAD, DRAINING, FULL, Probe
from rtcd.stun.attributes import (
    ERROR_CODE,
    LIFETIME,
    NONCE,
    REALM,
    REQUESTED_TRANSPORT,
    USERNAME,
    XOR_RELAYED_ADDRESS,
)
from rtcd.stun.integrity import long_term_key, sign, verify
from rtcd.stun.message import Class, Message, Method, decode, encode

UDP = 17
"""The IP protocol of the relay that is asked for."""
TRANSACTION_BYTES = 12
MAX_CHALLENGES = 2
"""The first is how every client begins; a second one comes when its nonce has ended meanwhile."""
UNAUTHORIZED, STALE = 401, 438
VERDICTS = {300: (DRAINING, "sends clients elsewhere (300)"), 403: (DRAINING, "takes no new clients (403)"),
            486: (FULL, "has no allocation left (486)"), 508: (FULL, "has no port left (508)")}
"""What error codes of an Allocate with a good credential mean; any other is a failure."""
REFUSED = "does not know our credentials (401): its [credentials] secret is another one, or its clock is wrong"
NO_ANSWER, STUN_ALONE = "no answer", "answers STUN and no Allocate"


class Challenge(NamedTuple):
    """What a node wants to be told again. It is good for one client: the next probe, from another port, gets its own."""

    realm: str
    nonce: str


class Exchange:
    """One probe."""

    def __init__(self, username: str, password: str, token: Callable[[int], bytes]) -> None:
        """``token(n)``: so many random bytes."""
        self._user = username, password
        self._token = token
        self._challenge: Challenge | None = None
        self._challenges = 0
        self._pending: dict[bytes, tuple[Method, bytes, float]] = {}
        self._verdict: Probe | None = None
        self._owed = False
        """Whether the node may hold an allocation of ours, or will when it comes to our Allocate."""
        self._binding = False
        self._rtt_s: float | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is waited for any more."""
        return self._verdict is not None and not self._pending

    def begin(self, now: float) -> list[bytes]:
        """The first messages."""
        return [self._request(Method.BINDING, [], now), self._allocate(now)]

    def unanswered(self) -> list[bytes]:
        """To be sent again over what may lose them."""
        return [data for _, data, _ in self._pending.values()]

    def parting(self, now: float) -> list[bytes]:
        """To be sent once when nobody waits any more: what may have been allocated is given back, unheard. A node deals with
        it after the Allocate that it has not answered yet. Over streams the end of the connection says as much."""
        return [self._refresh(now)] if self._owed else []

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """Take what came; what to send upon it. What is no answer of the node to us is as if it had not come."""
        try:
            message = decode(data)
            asked = self._pending.get(message.transaction_id)
            if asked is None or message.method is not asked[0] or message.class_ not in (Class.SUCCESS, Class.ERROR):
                return []
            return self._answered(message, asked[2], now)
        except ValueError:
            return []

    def result(self, fault: str = "") -> Probe:
        """What it has come to: when `finished`, or when the time is over, or for ``fault``, which is what the network
        said."""
        if self._verdict is None:
            return Probe(DEAD, fault or (STUN_ALONE if self._binding else NO_ANSWER), self._binding, self._rtt_s)
        return replace(self._verdict, binding=self._binding, rtt_s=self._rtt_s)

    def _answered(self, message: Message, sent_at: float, now: float) -> list[bytes]:
        if message.class_ is Class.SUCCESS and message.method is not Method.BINDING and not self._signed(message):
            self._owed = self._owed or message.method is Method.ALLOCATE  # it may be one that asks for no credential
            return []  # whoever answers so does not have the secret
        told = message.get(ERROR_CODE) if message.class_ is Class.ERROR else None
        del self._pending[message.transaction_id]
        rtt_s = max(0.0, now - sent_at)
        self._rtt_s = rtt_s if self._rtt_s is None else min(self._rtt_s, rtt_s)
        if message.method is Method.BINDING:
            self._binding = message.class_ is Class.SUCCESS
            return []
        code = told[0] if told is not None else 0
        if message.method is Method.REFRESH:
            self._owed = False
            return [self._refresh(now)] if code == STALE and self._challenged(message, code) else []
        return self._allocated(message, now) if message.class_ is Class.SUCCESS else self._refused(message, code, now)

    def _allocated(self, message: Message, now: float) -> list[bytes]:
        if message.get(XOR_RELAYED_ADDRESS) is None:
            self._verdict = Probe(DEAD, "answers Allocate without a relay")
            return []
        self._verdict = Probe(ALIVE)
        return [self._refresh(now)]

    def _refused(self, message: Message, code: int, now: float) -> list[bytes]:
        self._owed = False
        if self._challenged(message, code):
            return [self._allocate(now)]
        if code == UNAUTHORIZED:
            self._verdict = Probe(DEAD, REFUSED, refused=True)
        else:
            self._verdict = Probe(*VERDICTS.get(code, (DEAD, f"refuses an Allocate ({code})")))
        return []

    def _challenged(self, message: Message, code: int) -> bool:
        """Whether it is to be asked again, with what it wants to be told."""
        realm, nonce, used = message.get(REALM), message.get(NONCE), self._challenge
        if code not in (UNAUTHORIZED, STALE) or realm is None or nonce is None or self._challenges >= MAX_CHALLENGES:
            return False
        if used is not None and code != STALE and used.realm == realm:
            return False
        self._challenges += 1
        self._challenge = Challenge(realm, nonce)
        return True

    def _allocate(self, now: float) -> bytes:
        self._owed = self._challenge is not None
        return self._request(Method.ALLOCATE, [REQUESTED_TRANSPORT.encode(UDP)], now)

    def _refresh(self, now: float) -> bytes:
        self._owed = True
        return self._request(Method.REFRESH, [LIFETIME.encode(0)], now)

    def _request(self, method: Method, attributes: list[bytes], now: float) -> bytes:
        transaction = self._token(TRANSACTION_BYTES)
        if method is not Method.BINDING and self._challenge is not None:
            realm, nonce = self._challenge
            data = encode(method, Class.REQUEST, transaction, [
                *attributes, USERNAME.encode(self._user[0]), REALM.encode(realm), NONCE.encode(nonce)])
            data = sign(data, self._key)
        else:
            data = encode(method, Class.REQUEST, transaction, attributes)
        self._pending[transaction] = method, data, now
        return data

    @property
    def _key(self) -> bytes:
        realm = self._challenge.realm if self._challenge is not None else ""
        return long_term_key(self._user[0], realm, self._user[1])

    def _signed(self, message: Message) -> bool:
        return message.integrity_at > 0 and verify(message.raw, message.integrity_at, self._key)
