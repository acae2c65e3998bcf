"""`Webhooks`: tells the operator's own server what happens in rooms and with relays, in signed messages.

Messages go one after the other, each tried again for some minutes. They are counted and not kept: what waits when the daemon
ends is lost, and so is what has no room while nobody listens.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from rtcd.admin.outbox import Message, Outbox
from rtcd.admin.problem import plain
from rtcd.admin.settings import Settings
from rtcd.admin.signature import headers, secret_of
from rtcd.alarm import Alarm
from rtcd.bucket import Buckets
from rtcd.context import Context
from rtcd.ice.credentials import PROBE_USER
from rtcd.rooms.outcome import Came, Gone, TurnedAway
from rtcd.rooms.records import Client
from rtcd.turn.news import Ended, TurnNews

ID_BYTES = 16
WARN_EVERY_S = 60.0
"""Seconds between two lines about faults."""
FINAL = frozenset((400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422, 501))
"""Statuses after which trying again is of no use."""

Post: TypeAlias = Callable[[str, Mapping[str, str], bytes], "Deferred[int]"]


class Webhooks:
    """Watches rooms and relays."""

    _log = Logger()

    def __init__(self, context: Context, settings: Settings, post: Post) -> None:
        """``post(url, headers, body)`` sends one and fires with the status."""
        self._clock = context.reactor
        self._users_of = context.credentials.users_of
        self._post = post
        self._outbox = Outbox()
        self._rooms: dict[str, set[str]] = {}
        """Who is in which, as far as was told; the store bounds both."""
        self._sending: Deferred[None] | None = None
        self._stopped = False
        self._alarm = Alarm(context.reactor, self._due, self._send)
        self._lines = Buckets(1 / WARN_EVERY_S, 1.0, 1)
        self._counted = {
            result: context.metrics.counter("admin", "webhooks", "Webhook messages by what became of them.", result=result)
            for result in ("sent", "dropped", "failed")}
        context.metrics.gauge("admin", "webhooks_waiting", "Webhook messages that wait.", lambda: len(self._outbox))
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Go by these from now on; nothing is sent without a URL, and what waits is dropped."""
        self._url = settings.webhook_url
        self._secret = secret_of(settings.webhook_secret) if settings.webhook_secret else b""
        if self._url is None:
            self._counted["dropped"].value += self._outbox.clear(but=0 if self._sending is None else 1)

    def happened(self, room: str, news: Came | Gone | TurnedAway, *, here: bool = True) -> None:
        """What is new in a room (`rtcd.rooms.outcome.Watcher`). Who is where is noted without a URL too: there may be one by
        the time that they leave. What another daemon did is told by that one."""
        if isinstance(news, Came):
            inside = self._rooms.setdefault(room, set())
            if not inside and here:
                self._put("room.opened", room=room)
            if news.client not in inside:
                inside.add(news.client)
                if here:
                    self._tell("client.joined", room, news.client)
        elif isinstance(news, Gone) and news.client in self._rooms.get(room, ()):
            self._rooms[room].discard(news.client)
            if here:
                self._tell("client.left", room, news.client)
            if not self._rooms[room]:
                del self._rooms[room]
                if here:
                    self._put("room.closed", room=room)

    def present(self, room: str, client: Client) -> None:
        """Somebody came before we started, which is no news; that he leaves will be."""
        self._rooms.setdefault(room, set()).add(client.id)

    def observe(self, news: TurnNews) -> None:
        """What is new with relays (`rtcd.turn.news.Listener`); what daemons do to look whether this one serves is not."""
        if isinstance(news, Ended) and not news.user.startswith(PROBE_USER):
            self._put("allocation.ended", user=news.user, transport=news.transport, reason=news.reason,
                      **news.traffic._asdict())

    def stop(self) -> None:
        """The daemon ends: send nothing more."""
        self._stopped = True
        self._alarm.cancel()
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
        self._counted["dropped"].value += self._outbox.clear()

    def _tell(self, kind: str, room: str, client: str) -> None:
        if self._url is not None:  # who else would want to know the tag?
            self._put(kind, room=room, client=self._users_of(room, client)[0])

    def _put(self, kind: str, **data: Any) -> None:
        if self._url is None:
            return
        now = self._clock.seconds()
        moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        data = {key: plain(value) if isinstance(value, str) else value for key, value in data.items()}
        body = msgspec.json.encode({"type": kind, "timestamp": moment, "data": data})
        if self._stopped or not self._outbox.put(f"msg_{secrets.token_hex(ID_BYTES)}", body, now):
            self._counted["dropped"].value += 1
        self._alarm.set()

    def _due(self) -> float | None:
        return None if self._sending is not None or self._stopped else self._outbox.next_deadline()

    def _send(self, now: float) -> None:
        message = self._outbox.first(now)
        if message is None or self._url is None or self._sending is not None:
            return
        self._sending = Deferred.fromCoroutine(self._try(self._url, message, now))
        self._sending.addErrback(lambda failure: self._log.failure("a webhook message broke the sender", failure))
        self._sending.addBoth(self._ended)

    async def _try(self, url: str, message: Message, now: float) -> None:
        result = await self._result(url, message, now)
        if self._stopped:
            return
        if 200 <= result < 300:
            self._outbox.done()
            self._counted["sent"].value += 1
            return
        if self._url is None:  # it was taken away meanwhile
            self._outbox.done()
            self._counted["dropped"].value += 1
            return
        if self._lines.allow("", now):
            self._log.warn("[admin] webhook-url does not take messages: {reason}",
                           reason=f"status {result}" if result else "it cannot be reached")
        if result in FINAL:
            self._outbox.done()
            self._counted["failed"].value += 1
        elif self._outbox.failed(self._clock.seconds()):
            self._counted["failed"].value += 1

    async def _result(self, url: str, message: Message, now: float) -> int:
        """The status; 0 if there is none."""
        try:
            return await self._post(url, headers(self._secret, message.id, int(now), message.body), message.body)
        except Exception:  # whatever is wrong over there, here it is one thing
            return 0

    def _ended(self, _: object) -> None:
        self._sending = None
        if not self._stopped:
            self._alarm.set()
