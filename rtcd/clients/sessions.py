"""Clients that come by DTLS: the table that lets sessions in, bounds and times them, and tells whose a datagram is.

OpenSSL is in rtcd.clients.dtls, the cookies that come before any state are in rtcd.clients.records. A session is a path of
the relay plane's (IClientPath), and its five-tuple says ``dtls``. Sources: RFC 7350, RFC 6347 §4.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from rtcd.alarm import Alarm
from rtcd.allocations.allocation import FiveTuple
from rtcd.bucket import network
from rtcd.clients.connections import HANDSHAKE_S, Limits, Wait, Waits
from rtcd.clients.dtls import Contexts, Session
from rtcd.clients.records import HANDSHAKE, Cookies, Hello, hello_verify_request, is_encrypted, parse_hello
from rtcd.front.origin import is_loopback
from rtcd.interfaces import IRelayPlane
from rtcd.metrics import Metrics
from rtcd.tls.certificates import Certificates

MAX_HANDSHAKES = 1024
"""At once, beside the sessions that there are; one more drops the one that has taken longest."""

FLIGHTS: dict[Wait, float] = {"flight-1": 1.0, "flight-2": 2.0, "flight-4": 4.0}
"""Seconds after which a flight is sent again, once each, in this order (RFC 6347 §4.2.4.1)."""
_AGAIN: dict[Wait, Wait] = {"flight-1": "flight-2", "flight-2": "flight-4"}

_REFUSED = "DTLS sessions refused or ended by us, by reason."
_DROPPED = "Datagrams at the DTLS part that were dropped, by reason."


class Sessions:
    """The table of sessions.

    ``receive(message, five_tuple)`` takes STUN messages and answers through the plane; ``allocated(five_tuple)`` tells
    whether there is an allocation; ``closed(five_tuple)`` is called once when a session has ended.
    ``may_answer(host, now)``: whether a host that is perhaps not the sender may be answered once more.
    ``token(n)``: so many unguessable bytes.
    """

    def __init__(
        self, clock: IReactorTime, limits: Limits, metrics: Metrics, certificates: Certificates,
        receive: Callable[[bytes, FiveTuple], None], allocated: Callable[[FiveTuple], bool],
        closed: Callable[[FiveTuple], None], may_answer: Callable[[str, float], bool], token: Callable[[int], bytes],
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._receive = receive
        self._allocated = allocated
        self._closed = closed
        self._may_answer = may_answer
        self._contexts = Contexts(certificates)
        self._cookies = Cookies(token)
        self._plane: Any = None
        """The relay plane while the service runs; nobody is let in without."""
        self._live: dict[FiveTuple, Session] = {}
        self._shaking: dict[FiveTuple, Session] = {}
        """Handshakes; there may be a live session of the same client, which lasts until its successor is complete."""
        self._per_network: Counter[str] = Counter()
        self._waits: Waits[Session] = Waits(_waits(limits))
        self._alarm = Alarm(clock, self._waits.next_deadline, self._expire)
        self._opened = metrics.counter("turn", "dtls_sessions", "DTLS handshakes completed.")
        self._refused = {
            reason: metrics.counter("turn", "refused_dtls_sessions", _REFUSED, reason=reason)
            for reason in ("total", "address", "oldest", "handshake", "no-allocation", "certificate")
        }
        self._dropped = {
            reason: metrics.counter("turn", "dtls_dropped", _DROPPED, reason=reason)
            for reason in ("no-session", "malformed", "again", "too-long", "no-protocol")
        }
        metrics.gauge("turn", "dtls_sessions_open", "DTLS sessions and handshakes there are now.", lambda: len(self))

    def __len__(self) -> int:
        return len(self._live) + len(self._shaking)

    def use(self, limits: Limits) -> None:
        """Go by these limits from now on (a reload); sessions that there are stay."""
        self._limits = limits
        self._waits.limits = _waits(limits)
        self._alarm.set()

    def start(self, plane: IRelayPlane) -> None:
        """Let clients in."""
        self._plane = plane

    def stop(self) -> None:
        """Say goodbye to everybody and let nobody in."""
        for one in [*self._live.values(), *self._shaking.values()]:
            one.close()
            self._forget(one)
        self._plane = None
        self._alarm.cancel()

    def receive(self, data: bytes, five_tuple: FiveTuple) -> None:
        """A datagram that holds records, as it came by UDP."""
        if self._plane is None:
            return
        key = FiveTuple("dtls", five_tuple.client, five_tuple.server)
        hello = parse_hello(data) if data[0] == HANDSHAKE else None
        if hello is not None:
            self._hello(hello, data, key)
            return
        live, shaking = self._live.get(key), self._shaking.get(key)
        if live is None and shaking is None:
            self._dropped["no-session"].value += 1
        if live is not None and (shaking is None or is_encrypted(data)):
            live.receive(data)
        if shaking is not None:
            shaking.receive(data)

    def allocation_changed(self, five_tuple: FiveTuple) -> None:
        """An allocation came or went: the clock stops, or runs again."""
        one = self._live.get(five_tuple)
        if one is None:
            return
        if self._allocated(five_tuple):
            self._waits.end("allocation", one)
        else:
            self._begin("allocation", one)

    # Called by the sessions (rtcd.clients.dtls.Table).

    def emit(self, session: Session, datagram: bytes) -> None:
        """By the socket that the client has come to."""
        if self._plane is not None:
            self._plane.respond(datagram, _by_udp(session.five_tuple))

    def flight_sent(self, session: Session) -> None:
        """The clock for sending it again begins anew."""
        for kind in FLIGHTS:
            self._waits.end(kind, session)
        self._begin("flight-1", session)

    def shaken(self, session: Session) -> None:
        """It takes the place of the one before, which ends, and its allocation with it (RFC 6347 §4.2.8)."""
        key = session.five_tuple
        del self._shaking[key]
        before = self._live.get(key)
        if before is not None:
            before.drop()
            self._forget(before)
        self._opened.value += 1
        self._waits.forget(session)
        self._live[key] = session
        self._plane.attach(key, session)
        self._begin("allocation", session)

    def message(self, session: Session, data: bytes) -> None:
        """One STUN message or one ChannelData message."""
        if data[0] < 4:
            self._receive(data, session.five_tuple)
        elif 0x40 <= data[0] < 0x80 and len(data) >= 4 and self._plane is not None:
            self._plane.channel_data(data, session.five_tuple)
        else:
            self._dropped["no-protocol"].value += 1

    def ended(self, session: Session, reason: str) -> None:
        """By the client, or because the handshake has failed."""
        if reason:
            self._refused[reason].value += 1
        self._forget(session)

    def too_long(self) -> None:
        """Dropped whole: there is no cutting a datagram in two."""
        self._dropped["too-long"].value += 1

    # Letting in and taking out.

    def _hello(self, hello: Hello, data: bytes, key: FiveTuple) -> None:
        if any(one is not None and one.random == hello.random for one in (self._live.get(key), self._shaking.get(key))):
            self._dropped["again"].value += 1  # our flight is on its way, or will be sent again
            return
        now = self._clock.seconds()
        if not self._cookies.fits(hello, key, now):
            if self._may_answer(key.client[0], now):
                cookie = self._cookies.make(hello, key, now)
                self._plane.respond(hello_verify_request(hello, cookie), _by_udp(key))
            return
        if not self._admits(key):
            return
        connection = self._contexts.connection(hello.cookie)
        if connection is None:
            self._refused["certificate"].value += 1
            return
        session = Session(self, connection, key, hello)
        if not session.accept(data):
            self._dropped["malformed"].value += 1
            return
        self._enter(session)
        session.shake()

    def _admits(self, key: FiveTuple) -> bool:
        """Whether one more session may begin. One that takes another's place is no more."""
        if key in self._live or key in self._shaking:
            return True
        limits, host = self._limits, key.client[0]
        if len(self) >= limits.max_connections:
            self._refused["total"].value += 1
            return False
        if self._per_network[network(host)] >= limits.max_connections_per_ip and not is_loopback(host):
            self._refused["address"].value += 1
            return False
        return True

    def _enter(self, session: Session) -> None:
        oldest = self._shaking.get(session.five_tuple)
        if oldest is None and len(self._shaking) >= MAX_HANDSHAKES:
            oldest = next(iter(self._shaking.values()))
            self._refused["oldest"].value += 1
        if oldest is not None:
            oldest.drop()
            self._forget(oldest)
        self._shaking[session.five_tuple] = session
        self._per_network[network(session.five_tuple.client[0])] += 1
        self._begin("tls", session)

    def _forget(self, session: Session) -> None:
        """It is out; the allocation of a live one ends."""
        key = session.five_tuple
        self._waits.forget(session)
        live = self._live.get(key) is session
        if live:
            del self._live[key]
        elif self._shaking.get(key) is session:
            del self._shaking[key]
        else:
            return
        source = network(key.client[0])
        self._per_network[source] -= 1
        if not self._per_network[source]:
            del self._per_network[source]
        if not len(self):
            self._alarm.cancel()
        if live:
            self._plane.detach(key)
            self._closed(key)

    # The alarm.

    def _begin(self, kind: Wait, one: Session) -> None:
        self._waits.begin(kind, one, self._clock.seconds())
        self._alarm.set()

    def _expire(self, now: float) -> None:
        for kind, one in self._waits.due(now):
            if kind == "allocation":
                one.close()
                self.ended(one, "no-allocation")
            elif kind == "tls":
                one.drop()
                self.ended(one, "handshake")
            else:
                one.resend()
                if kind in _AGAIN and self._shaking.get(one.five_tuple) is one:
                    self._begin(_AGAIN[kind], one)


def _waits(limits: Limits) -> dict[Wait, float]:
    return {"tls": HANDSHAKE_S, "allocation": limits.handshake_timeout, **FLIGHTS}


def _by_udp(five_tuple: FiveTuple) -> FiveTuple:
    return FiveTuple("udp", five_tuple.client, five_tuple.server)
