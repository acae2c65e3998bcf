"""Workers without processes: what one asks is answered by the others at once, through bytes as between real ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed

from rtcd.workers.frames import EVERYBODY, PARENT, Answer, Ask, Do, Frame, decode, encode
from rtcd.workers.shares import Place


class FakeFamily:
    """A parent's answers, and its workers, some of which may be silent."""

    def __init__(self, count: int) -> None:
        self.parent: dict[str, Any] = {}
        self.silent: set[int] = set()
        self.workers = [FakeWorker(self, Place(number, count)) for number in range(1, count + 1)]

    def ask(self, who: int, topic: str, value: object) -> Deferred[bytes | None]:
        """Of the parent or a worker."""
        if who == PARENT:
            return succeed(encode(self.parent[topic]) if topic in self.parent else None)
        offered = self.workers[who - 1].offers.get(topic)
        if offered is None or who in self.silent:
            return succeed(None)
        return maybeDeferred(offered, encode(value)).addCallback(encode)


class FakeWorker:
    """As `rtcd.workers.worker.Worker`."""

    def __init__(self, family: FakeFamily, place: Place) -> None:
        self.place = place
        self.offers: dict[str, Callable[[bytes], Any]] = {}
        self.orders: dict[str, Callable[[], object]] = {}
        self.ending: Callable[[], object] = lambda: None
        self.configuration = b""
        self.said: list[str] = []
        self.ports: list[Any] = []
        self.opened: list[tuple[str, str, int]] = []
        self.holds = False
        self._family = family

    def open(self, kind: str, host: str, port: int, mode: int = 0) -> int:
        """Remember it."""
        self.opened.append((kind, host, port))
        return 77

    def say(self, what: str) -> None:
        """Remember it."""
        self.said.append(what)

    def hold(self) -> None:
        """Remember it."""
        self.holds = True

    def go_on(self) -> None:
        """Remember it."""
        self.holds = False

    def offer(self, topic: str, kind: Any, answer: Callable[[Any], Any]) -> None:
        """As the real one."""
        self.offers[topic] = lambda payload: answer(decode(payload, kind))

    def ask(self, who: int, topic: str, value: object = None) -> Deferred[bytes | None]:
        """As the real one."""
        return self._family.ask(who, topic, value)

    def ask_all(self, topic: str, value: object = None) -> Deferred[Any]:
        """As the real one."""
        found: list[tuple[int, bytes | None]] = []
        for one in self._family.workers:
            number = one.place.number
            payloads: list[bytes | None] = []
            self._family.ask(number, topic, value).addCallback(payloads.append)
            found.append((number, payloads[0]))
        return succeed(found)

    def tell(self, who: int, topic: str, value: object) -> None:
        """As the real one."""
        for one in self._family.workers:
            if one is not self and who in (EVERYBODY, one.place.number):
                self._family.ask(one.place.number, topic, value)


class FakeProcess:
    """A worker as its parent sees it, see `rtcd.workers.process.Process`; the test says what becomes of it."""

    made: ClassVar[list[FakeProcess]] = []
    well = True
    """Whether it starts."""

    def __init__(self, reactor: Any, number: int, groups: Any, questions: Any, *, said: Any, asked: Any, ended: Any) -> None:
        self.number = number
        self.pid = 1000 + number
        self.state = "starting"
        self.ready_at = 0.0
        self.told: list[Frame] = []
        self.killed = False
        self.started = False
        self.replies: dict[str, object] = {}
        self.applied: dict[str, list[str]] = {}
        """What of a reload it takes."""
        self._reactor = reactor
        self._said = said
        self.asked = asked
        self._ended = ended
        self.made.append(self)

    @property
    def up(self) -> bool:
        """As the real one."""
        return self.state in ("ready", "drained")

    @property
    def hears(self) -> bool:
        """As the real one."""
        return self.up or (self.started and self.state == "starting")

    def start(self, command: Any, configuration: bytes) -> None:
        """What it was started with."""
        self.configuration = configuration
        self.command = command(5)

    def wait_for(self, what: str, seconds: Any) -> bool:
        """As the test wants it."""
        return self.well

    def begin(self) -> None:
        """Nothing to do."""

    def tell(self, frame: Frame) -> None:
        """Remember it."""
        self.told.append(frame)

    def do(self, what: str) -> None:
        """Remember it."""
        self.tell(Do(what))

    def ask(self, who: int, topic: str, payload: bytes) -> Deferred[bytes | None]:
        """What the test has given."""
        if not self.hears or topic not in self.replies:
            return succeed(None)
        found = self.replies[topic]
        return succeed(encode((found, self.applied) if topic == "daemon.reload" else found))

    def kill(self) -> None:
        """Remember it."""
        self.killed = True

    def say(self, what: str) -> None:
        """It says something."""
        self.started = self.started or what == "started"
        if what in ("drained", "shut") or (what, self.state) == ("ready", "starting"):
            self.state = what
            self.ready_at = self.ready_at or self._reactor.seconds()
        self._said(self, what)

    def end(self, code: int) -> None:
        """It ends."""
        self.state = "gone"
        self._ended(self, code)

    @property
    def orders(self) -> list[str]:
        """What it was told to do."""
        return [one.what for one in self.told if isinstance(one, Do)]

    def ask_parent(self, number: int, who: int, topic: str, value: object = None) -> None:
        """It asks something."""
        self.asked(self, Ask(number, who, topic, encode(value)))

    def answer(self) -> Any:
        """The latest answer to it."""
        last = self.told[-1]
        return last.payload if isinstance(last, Answer) else last
