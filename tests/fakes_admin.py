"""The administration on a whole room server in memory, and what other services would offer it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

from argon2 import PasswordHasher
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from rtcd.admin.service import AdminService, Settings
from rtcd.allocations.account import Account
from rtcd.allocations.allocation import Traffic
from rtcd.check.paths import Path
from rtcd.check.results import Result
from rtcd.check.verdict import Found, Verdict
from rtcd.daemon import DaemonSettings
from tests.fakes import FakeAnswer, make_request
from tests.fakes_calls import Server

PASSWORD = "correct horse battery"
HASHED = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""The same in every way but the work."""
TOKEN = "t" * 32
ORIGIN = "https://192.0.2.1:8443"
CLIENT = f"{'0' * 16}-{'0' * 20}"


class FakePost:
    """Takes messages of webhooks; ``answers`` are given in turn, 204 when there are no more, None is a broken network."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Mapping[str, str], bytes]] = []
        self.answers: list[int | Deferred[int] | None] = []

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Deferred[int]:
        """Send."""
        self.sent.append((url, headers, body))
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Deferred):
            return answer
        if answer is None:
            raise ConnectionRefusedError
        return succeed(answer)

    @property
    def bodies(self) -> list[Any]:
        """What was sent, decoded."""
        return [json.loads(body) for _, _, body in self.sent]


class AdminServer(Server):
    """Everything that the API can speak of, and nothing that is real."""

    def __init__(self, case: SynchronousTestCase, settings: Settings | None = None, **more: Any) -> None:
        self.in_thread: list[Deferred[bool]] = []
        """What a password is checked with, if the test fires it; else it is checked at once."""
        self.post = FakePost()
        self.orders: list[str] = []
        super().__init__(case, **more)
        self.folder = tempfile.mkdtemp()  # that of the test is too long for a socket
        case.addCleanup(shutil.rmtree, self.folder)
        self.accounts = [account(number) for number in range(1, 8)]
        self.checks = [check(number) for number in range(1, 4)]
        self.calls = {"c1": {"id": "c1", "room": "team"}}
        desk = self.context.desk
        desk.offer("daemon.settings", lambda: {"daemon": DaemonSettings(state_directory=self.folder)})
        desk.offer("daemon.draining", lambda: "drain" in self.orders)
        desk.offer("daemon.reload", lambda: ["reloaded: nothing has changed"])
        desk.offer("daemon.drain", lambda: self.orders.append("drain"))
        self.settings = settings or Settings(password=HASHED, token=TOKEN)
        self.admin = AdminService(self.context, self.settings, self._check, self.post)

    def _check(self, work: Any) -> Deferred[bool]:
        return self.in_thread.pop(0) if self.in_thread else succeed(work())

    def offer_relays_and_calls(self) -> AdminServer:
        """As [turn], [check] and the records of calls would."""
        desk = self.context.desk
        desk.offer("turn.allocations", lambda after, limit: [one for one in self.accounts if one.number > after][:limit])
        desk.offer("turn.end", self._end)
        desk.offer("calls.list", lambda room, since, limit, after: [
            one for one in self.calls.values() if room in (None, one["room"]) and one["id"] > (after or "")][:limit])
        desk.offer("calls.show", self.calls.get)
        desk.offer("check.results", lambda after, limit: [one for one in self.checks if one.number > after][:limit])
        desk.offer("metrics.exposition", lambda: (b"rtcd_up 1\n", "text/plain; version=0.0.4"))
        return self

    def _end(self, number: int) -> bool:
        before = len(self.accounts)
        self.accounts = [one for one in self.accounts if one.number != number]
        return len(self.accounts) < before

    def start(self) -> AdminServer:
        """Start the service."""
        self.admin.startService()
        return self

    def api(
        self, method: str, path: str, body: Any = None, *, token: str | None = TOKEN,
        headers: Mapping[str, str] | None = None, **more: Any
    ) -> FakeAnswer:
        """A request by HTTPS; ``body`` is sent as JSON unless it is bytes."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.request(method, f"/admin{path}", data, sent, **more)

    def unix(self, method: str, path: str, body: Any = None) -> FakeAnswer:
        """A request on the unix socket."""
        factory = self.clock.unixServers[-1][1]
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Host": "localhost", "Content-Type": "application/json"}
        return make_request(factory, method, f"/admin{path}", data, headers, secure=False, client=UNIXAddress(None),
                            clock=self.clock)

    def get(self, path: str) -> Any:
        """What a GET is answered with, which must succeed."""
        answer = self.api("GET", path)
        if answer.code != 200:
            raise AssertionError(f"{path}: {answer.code} {answer.body!r}")
        return json.loads(answer.body)


def check(number: int) -> Result:
    """A check of a phone whose UDP did not arrive."""
    path = Path("udp-3478", "turn", "udp", "192.0.2.1", 3478, "turn:192.0.2.1:3478?transport=udp")
    return Result(number, 1_700_000_000.0, "192.0.2.0/24", "ios", Verdict("no-relay", (Found(path, "never-arrived"),)))


def account(number: int, user: str = "ann") -> Account:
    """An allocation."""
    return Account(number, user, "udp", ("192.0.2.1:50000",), 2, 1, 1_700_000_600.0, Traffic(1, 100, 2, 200))


def problem(answer: FakeAnswer) -> tuple[int, str]:
    """Status and text of a problem, which has the right form."""
    body = json.loads(answer.body)
    if (answer.header("content-type"), body["status"]) != ("application/problem+json", answer.code):
        raise AssertionError(f"{answer.code} {answer.headers} {body}")
    return answer.code, body["detail"]
