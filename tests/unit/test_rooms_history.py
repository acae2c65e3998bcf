"""Any history of a room with pages and apps: what holds after each step, as one store would carry the steps out."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from rtcd.rooms import mesh
from rtcd.rooms import room as rooms
from rtcd.rooms.declaration import Declaration, matches
from rtcd.rooms.outcome import Attach, Came, Close, Deliver, Gone, Inform, Outcome, Said, news
from rtcd.rooms.records import BYE, MAX_FORMER, MAX_GUESTS, MAX_PARTED, Card, Limits, Room
from rtcd.rooms.snapshot import notices, snapshot
from rtcd.signaling import switchboard

LIMITS = Limits(max_messages=3, max_queue_bytes=250, join_timeout_s=45, grace_s=10, page_grace_s=30, lifetime_s=10**9,
                capacity=4)
TAGS = [f"{number:016x}" for number in range(1, 7)]
PASSWORDS = ("", "secret", "other")
TEXTS = ('{"type":"candidate"}', BYE, "x" * 200)


class History(RuleBasedStateMachine):
    """Clients are never forgotten here, so that those who are long gone try everything too."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Room()
        self.now = 0.0
        self.known: list[str] = []
        self.pages: dict[str, str] = {}
        """The tag of each page."""
        self.sockets: set[str] = set()
        self.told: dict[str, Any] = {}
        """The last snapshot of each socket."""
        self.seated: set[str] = set()
        """According to the news."""
        self.kicked: set[str] = set()

    def _take(self, outcome: Outcome[Any], socket: str = "") -> Any:
        for one in news(self.room, outcome):
            if isinstance(one, Came):
                self.seated.add(one.client)
            elif isinstance(one, Gone):
                self.seated.remove(one.client)
            elif isinstance(one, Said):
                assert one.client in self.seated
        for effect in (*outcome.effects, *notices(self.room, outcome, LIMITS)):
            if isinstance(effect, Attach):
                assert effect.client == socket
                assert socket not in self.sockets, "the former socket is still open"
                self.sockets.add(socket)
                self.told.pop(socket, None)
            elif isinstance(effect, Close):
                self.sockets.discard(effect.client)
            elif isinstance(effect, Deliver):
                assert effect.client in self.sockets, "a message for a client without a socket"
                assert effect.text != BYE or effect.client not in self.pages or "app" in self._members(), "a bye for a page"
            else:
                self._inform(effect)
        self.room = outcome.room
        return outcome.result

    def _inform(self, effect: Inform) -> None:
        assert effect.client in self.sockets, "an event for a client without a socket"
        assert effect.client in self.pages, "an event for an app"
        assert not any(one in effect.text for one in self.known), "the id of a client in an event"
        event = json.loads(effect.text)
        if event["event"] == "room":
            self.told[effect.client] = event
        else:
            assert effect.client in self.told, "an event in front of the snapshot"

    def _members(self) -> list[str]:
        return [one.tag for one in self.room.clients]

    def _any(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(self.known))

    def _new(self) -> str:
        name = f"client-{len(self.known)}"
        self.known.append(name)
        return name

    @rule(tag=st.sampled_from(TAGS), password=st.sampled_from(PASSWORDS), back=st.integers(0, 6), guess=st.booleans())
    def join_page(self, tag: str, password: str, back: int, guess: bool) -> None:
        """A new one, one that was here, or one that says it was."""
        was = self.known[-back] if 0 < back <= len(self.known) else ""
        before, name = self.room, self._new()
        asked = Declaration(Card(tag, f"Page {tag[-1]}"), password, was)
        joined = self._take(mesh.join(self.room, self.now, LIMITS, name, "192.0.2.1", asked, may_guess=guess))
        if joined.result != "SUCCESS":
            assert self.room is before
            return
        self.pages[name] = tag
        assert joined.snapshot == snapshot(self.room, LIMITS)
        if before.mesh is not None and was in self.kicked | {""}:
            assert not before.mesh.locked
            assert before.mesh.password is None or matches(before.mesh.password, password)

    @rule()
    def join_app(self) -> None:
        """An app sees rooms of two."""
        before, name = self.room, self._new()
        joined = self._take(rooms.join(self.room, self.now, LIMITS, name, "192.0.2.2"))
        assert (joined.result == "SUCCESS") == (len(before.clients) < 2 and not before.barred)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def register(self, data: st.DataObject) -> None:
        """A socket; a page may have a new one at any moment."""
        name = self._any(data)
        seated, alive = self.room.client(name), name in self.sockets
        refused = self._take(switchboard.register(self.room, self.now, LIMITS, name), name)
        if seated is not None:
            assert refused == (switchboard.DUPLICATE if alive and seated.page is None else None)

    @precondition(lambda self: self.sockets)
    @rule(data=st.data(), text=st.sampled_from(TEXTS), http=st.booleans())
    def say(self, data: st.DataObject, text: str, http: bool) -> None:
        """What AppRTC has."""
        name = data.draw(st.sampled_from(sorted(self.sockets)))
        if http:
            self._take(rooms.message(self.room, self.now, LIMITS, name, text))
        else:
            self._take(switchboard.send(self.room, self.now, LIMITS, name, text))

    def _command(self, name: str, asked: mesh.Command) -> Any:
        before = self.room
        refused = self._take(switchboard.command(self.room, self.now, LIMITS, name, asked, b"salt"))
        if isinstance(refused, mesh.Refusal):
            assert self.room is before
            assert (refused.why == "app") == (name not in self.pages)
        return refused

    @precondition(lambda self: self.sockets)
    @rule(data=st.data(), to=st.sampled_from([*TAGS, "app"]), text=st.sampled_from(TEXTS))
    def direct(self, data: st.DataObject, to: str, text: str) -> None:
        """To a page."""
        self._command(data.draw(st.sampled_from(sorted(self.sockets))), mesh.Direct(to, text))

    @precondition(lambda self: self.room.mesh)
    @rule(data=st.data(), host=st.booleans(), to=st.sampled_from([*TAGS, "app"]), on=st.booleans(),
          password=st.sampled_from(PASSWORDS), which=st.integers(0, 5))
    def control(self, data: st.DataObject, host: bool, to: str, on: bool, password: str, which: int) -> None:
        """By the host or by somebody who is not."""
        assert self.room.mesh is not None
        ruling = self.room.page(self.room.mesh.host)
        name = ruling.id if host and ruling is not None else self._any(data)
        target = next((one for one in self.room.clients if one.tag == to), None)
        asked = (mesh.Lock(on), mesh.Guard(password), mesh.Kick(to), mesh.Mute(to, "audio"), mesh.MakeHost(to),
                 mesh.Rename(f"Name {password}"))[which]
        refused = self._command(name, asked)
        if refused is None and isinstance(asked, mesh.Kick) and target is not None and ruling and name == ruling.id:
            assert self.room.client(target.id) is None
            self.kicked.add(target.id)

    @precondition(lambda self: self.sockets)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """A socket ends."""
        name = data.draw(st.sampled_from(sorted(self.sockets)))
        self.sockets.discard(name)
        self._take(switchboard.lost(self.room, self.now, LIMITS, name))

    @precondition(lambda self: self.known)
    @rule(data=st.data(), delete=st.booleans())
    def leave(self, data: st.DataObject, delete: bool) -> None:
        """The seat is free at once."""
        name = self._any(data)
        self._take(switchboard.delete(self.room, self.now, name) if delete else
                   rooms.leave(self.room, self.now, LIMITS, name))
        assert self.room.client(name) is None

    @rule(seconds=st.sampled_from([-30, 1, 5, 11, 50]))
    def wait(self, seconds: int) -> None:
        """Time passes, or the clock steps."""
        self.now += seconds
        self._take(rooms.expire(self.room, self.now, LIMITS))

    @invariant()
    def nobody_sits_where_there_is_no_seat(self) -> None:
        """Two if an app is among them, and every name and tag once."""
        ids, tags = [one.id for one in self.room.clients], self._members()
        apps = [one for one in self.room.clients if one.page is None]
        assert len(ids) <= (2 if apps else LIMITS.capacity)
        assert len(set(ids)) == len(ids)
        assert len(set(tags)) == len(tags) or not self.room.mesh

    @invariant()
    def there_is_a_host_among_the_pages(self) -> None:
        """If there is a page, and then only."""
        pages = [one.tag for one in self.room.clients if one.page is not None]
        assert (self.room.mesh.host in pages) if self.room.mesh is not None else not pages

    @invariant()
    def every_page_knows_the_room(self) -> None:
        """The last snapshot that it was told is the room as it is."""
        now = {"event": "room"} | snapshot(self.room, LIMITS)
        for one in self.room.clients:
            if one.page is not None and one.registered:
                assert self.told[one.id] == now

    @invariant()
    def sockets_and_seats_agree(self) -> None:
        """And the news with both."""
        alive = {one.id for one in self.room.clients if one.registered}
        alive |= {one.id for one in self.room.departed if one.registered}
        assert alive == self.sockets
        assert self.seated == {one.id for one in self.room.clients}

    @invariant()
    def what_waits_is_bounded(self) -> None:
        """And waits for nobody who could be given it, nor from anybody who is gone."""
        for one in self.room.clients:
            for queue in (one.held, one.queue, [letter.text for letter in one.inbox]):
                assert len(queue) <= LIMITS.max_messages
                assert sum(map(len, queue)) <= LIMITS.max_queue_bytes
            assert not one.inbox or (one.page is not None and not one.registered)
            assert {letter.sender for letter in one.inbox} <= set(self._members())
            assert one.page is None or not one.owed_bye
        if self.room.mesh is not None:
            assert len(self.room.mesh.parted) <= MAX_PARTED
            assert len(self.room.mesh.guests) <= MAX_GUESTS
            assert all(len(one) <= MAX_FORMER for one in self.room.mesh.guests)
            assert not {one.tag for one in self.room.mesh.parted} & set(self._members())

    def teardown(self) -> None:
        """Whatever happened, the room ends empty once everybody's time is over."""
        for name in list(self.sockets):
            self.sockets.discard(name)
            self._take(switchboard.lost(self.room, self.now, LIMITS, name))
        self.now += 10**5
        self._take(rooms.expire(self.room, self.now, LIMITS))
        assert self.room.empty
        assert not self.seated
        assert not self.room.queued_bytes()


class HistoryTests(SynchronousTestCase):
    """Runs the state machine."""

    def test_no_history_breaks_the_room(self) -> None:
        """The invariants hold after every step."""
        case = History.TestCase
        case.settings = settings(max_examples=90, stateful_step_count=40, deadline=None, derandomize=True)
        result = case("runTest").run()
        self.assertEqual([*result.errors, *result.failures] if result else [], [])
