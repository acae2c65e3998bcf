"""However many people come, the series of the metrics stay as many as they are: no label is a room, a user or an address."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rtcd.metrics import MAX_SERIES
from rtcd.monitoring.service import MonitoringService
from rtcd.monitoring.settings import Settings
from rtcd.rooms import room as rooms
from rtcd.rooms.diary import Diary
from rtcd.rooms.settings import RoomsSettings
from rtcd.signaling import switchboard
from rtcd.stun.message import Method
from rtcd.turn.events import Events
from tests.fakes_calls import Page, Server
from tests.fakes_turn import UDP, World

USERS = 10_000
ONLINE = 40
"""So many of them come by HTTP and WebSocket, which takes its time."""


class SeriesTests(SynchronousTestCase):
    """A whole daemon in memory."""

    def setUp(self) -> None:
        """Rooms, signalling, credentials and a relay that all count in one place."""
        self.server = Server(self, rooms=RoomsSettings(max_rooms=2 * USERS))
        self.server.rooms.watch(Diary(self.server.metrics, lambda room, client: f"{room} {client}"))
        self.world = World(secrets=("a secret of the test",))
        self.world.now = self.server.clock.seconds()
        self.events = Events(self.server.metrics, lambda: len(self.world.server.allocations))
        self.world.server.observer = self.events
        self.service = MonitoringService(self.server.context, Settings(listen=(), health=False))

    def series(self) -> int:
        """How many Prometheus would keep."""
        text, _ = self.service.exposition()
        return sum(1 for line in text.splitlines() if not line.startswith(b"#"))

    def visit(self, number: int) -> None:
        """Somebody comes by HTTP to a room of his own and hears of nothing; then he is refused in every way there is."""
        page = Page(self.server, f"room{number}")
        page.start()
        self.server.request("POST", f"/v1alpha/iceconfig?room=room{number}&client={page.id}")
        page.send({"type": f"what{number}"})
        self.server.request("POST", f"/message/other{number}/nobody", b"{}")
        self.server.request("POST", f"/sig/other{number}/nobody", b"{}")
        self.server.request("GET", f"/nowhere/{number}", headers={"User-Agent": f"agent{number}"})
        self.server.request("POST", "/a/", json.dumps({"type": f"event{number}"}).encode())
        page.hang_up()

    def relay(self, number: int) -> None:
        """One user of his own opens a relay; some end it, and then have a wrong password."""
        client = self.world.client(1024 + number % 60000, f"2001:db8:{number:x}::1")
        credential = self.server.context.credentials.issue(f"user{number}", self.world.now)
        client.username, client.password = credential.username, credential.password
        client.allocate()
        if number % 20 == 0:
            client.refresh(0)
            client.password = f"wrong{number}"
            client.code(Method.ALLOCATE, UDP)
            client.raw(b"\\0\\1" + number.to_bytes(4, "big"))

    def seat(self, number: int) -> None:
        """Somebody takes a seat in a room of his own, and stays; some say something."""
        store: Any = self.server.rooms
        name, client = f"crowd{number}", f"client{number}"
        changes: list[Any] = [
            lambda one, now: rooms.join(one, now, store.limits, client, f"192.0.{number >> 8}.{number & 255}"),
            lambda one, now: switchboard.send(one, now, store.limits, client, f"text{number}")]
        for change in changes[: 2 if number % 10 == 0 else 1]:
            self.successResultOf(Deferred.fromCoroutine(store.update(name, change)))

    def test_what_happens_for_the_first_time_has_its_series_already(self) -> None:
        """Or Prometheus would see no increase, and no alert would fire."""
        before = self.series()
        client = self.world.client(1024)
        client.username, client.password = "u", "p"
        client.allocate()
        client.refresh(0)
        client.raw(b"\0\1")
        for method in (Method.BINDING, Method.CREATE_PERMISSION, Method.CHANNEL_BIND, Method.REFRESH):
            client.ask(method)
        event = {"type": "event", "request_time_ms": 1, "event": {"event_type": 1, "event_time_ms": 1}}
        answer = self.server.request("POST", "/a/", json.dumps(event).encode())
        self.assertEqual(json.loads(answer.body), {"result": "SUCCESS"})
        found = {one.name: one.value for one in self.server.metrics.samples() if one.value}
        self.assertEqual([found.get(f"rtcd_{one}_total") for one in (
            "turn_allocations_ended", "turn_dropped_packets", "web_events")], [1, 1, 1])
        self.assertEqual(self.series(), before)

    def test_ten_thousand_users_and_rooms_add_no_series(self) -> None:
        """After one of each kind all are there."""
        self.visit(0)
        self.relay(0)
        self.seat(0)
        before = self.series()
        for number in range(1, USERS + 1):
            self.seat(number)
            if number % 4 == 0:
                self.relay(number)
            if number <= ONLINE:
                self.visit(number)
        found = {one.name: one.value for one in self.server.metrics.samples()}
        self.assertEqual((found["rtcd_rooms_rooms"], found["rtcd_rooms_opened_total"]), (USERS + 1, USERS + ONLINE + 2))
        self.assertGreater(found["rtcd_turn_auth_failures_total"], USERS // 20 - 1)
        self.assertEqual(self.series(), before)
        self.assertLess(before, MAX_SERIES // 4)
