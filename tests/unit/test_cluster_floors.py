"""Who may pass texts on without asking, and how they are stopped before anything is committed."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.cluster import hub as hubs
from rtcd.cluster import speaker as speakers
from rtcd.cluster.backend import GRANT, PASSED, RECALL, Bounds, Commit, Entry
from rtcd.cluster.floors import FLOOR_S, MAX_ROOM_BYTES, Floors
from rtcd.cluster.hub import Hub
from rtcd.cluster.speaker import Row, Speaker, rows_of

BOUNDS = Bounds(9, 9, 9, 9)


class FloorTests(SynchronousTestCase):
    """The hub's half. Nodes ``a`` and ``b`` hold sockets in room ``r``, ``c`` holds none, and ``d`` is cut off."""

    def setUp(self) -> None:
        self.hub = Hub()
        self.floors = Floors(self.hub, "abc".__contains__)
        for node in "abcd":
            self.hub.beat(node, 0)
        self.version = self.write(b"room", holding={"a": 1, "b": 1, "d": 1})
        self.done: list[str] = []

    def write(self, value: bytes, name: str = "r", **more: Any) -> int:
        """A commit that is done at once."""
        stored = self.hub.load(name)
        return self.hub.commit(Commit(name, stored.version if stored else 0, value, BOUNDS, **more))

    def commit(self, node: str, seen: int = 99, now: float = 0.0) -> None:
        """A commit of a node in ``r``."""
        self.floors.commit(node, seen, "r", lambda: self.done.append(node), now)

    def inbox(self, node: str) -> list[tuple[str, int]]:
        """Grants and calls."""
        return [(entry.kind, entry.serial) for _, entry in self.hub.read(node, 0, 99)[0]]

    def test_a_room_at_rest_is_granted_to_those_who_hold_sockets(self) -> None:
        """Once, with the room; nobody gets it of a room that has changed meanwhile, or in which much waits."""
        self.floors.rest("r", self.version - 1)
        self.floors.rest("other", 1)
        self.assertEqual(self.inbox("a"), [])
        for _ in "12":
            self.floors.rest("r", self.version)
        self.assertEqual([self.inbox(node) for node in "abcd"], [[(GRANT, 1)], [(GRANT, 1)], [], []])
        entry = self.hub.read("a", 0, 9)[0][0][1]
        self.assertEqual((entry.name, entry.version, entry.data), ("r", self.version, b"room"))
        self.floors.rest("big", self.write(bytes(MAX_ROOM_BYTES + 1), "big", holding={"a": 1}))
        self.assertEqual(self.inbox("a"), [(GRANT, 1)])

    def test_a_commit_waits_until_all_have_given_it_back(self) -> None:
        """Its author has, by committing; those behind it wait with it, and there is no rest meanwhile."""
        self.floors.rest("r", self.version)
        self.commit("a")
        self.commit("c")
        self.assertEqual((self.done, self.inbox("a"), self.inbox("b")), ([], [(GRANT, 1)], [(GRANT, 1), (RECALL, 1)]))
        self.floors.rest("r", self.version)
        self.assertEqual(len(self.inbox("a")), 1)
        self.floors.back("b", "r", 1)
        self.assertEqual((self.done, self.floors.next_deadline), (["a", "c"], None))
        self.commit("b")
        self.assertEqual(self.done, ["a", "c", "b"])
        self.floors.rest("r", self.version)
        self.assertEqual(self.inbox("a"), [(GRANT, 1), (GRANT, 2)])

    def test_an_author_that_does_not_know_of_its_grant_is_called_too(self) -> None:
        """The grant is on its way, and would be taken for valid when it comes behind the commit."""
        self.floors.rest("r", self.version)
        self.floors.back("b", "r", 1)
        self.commit("a", seen=0)
        self.assertEqual((self.done, self.inbox("a")), ([], [(GRANT, 1), (RECALL, 1)]))
        self.floors.back("a", "r", 1)
        self.assertEqual(self.done, ["a"])

    def test_an_old_answer_gives_nothing_back(self) -> None:
        """Only that of the number of the grant does."""
        for number in (1, 2):
            self.floors.rest("r", self.version)
            self.floors.back("a", "r", 3 - number)
            self.floors.back("b", "r", number)
            if number == 1:
                self.floors.back("a", "r", 1)
        self.commit("c")
        self.assertEqual(self.done, [])

    def test_who_does_not_answer_keeps_nobody_waiting_for_long(self) -> None:
        """And may not speak again before it has answered."""
        self.floors.rest("r", self.version)
        self.floors.back("b", "r", 1)
        self.commit("c", now=10)
        self.assertEqual(self.floors.next_deadline, 10 + FLOOR_S)
        self.floors.expire(9.9 + FLOOR_S)
        self.assertEqual((self.done, self.floors.answers("a")), ([], False))
        self.floors.expire(10 + FLOOR_S)
        self.assertEqual((self.done, self.floors.answers("a"), self.floors.next_deadline), (["c"], False, None))
        self.floors.back("a", "r", 1)
        self.assertTrue(self.floors.answers("a"))

    def test_who_is_gone_has_none(self) -> None:
        """Commits go on."""
        self.floors.rest("r", self.version)
        self.commit("c")
        self.floors.left("a")
        self.floors.forget("b")
        self.assertEqual((self.done, self.floors.answers("a"), self.floors.last("a"), self.floors.last("b")),
                         (["c"], True, 1, 0))
        self.assertEqual((self.floors._rooms, self.floors._held, self.floors._owed), ({}, {}, {}))

    def test_inboxes_have_an_end_in_bytes_too(self) -> None:
        """The first entries are forgotten, and its node learns that some are missing."""
        self.patch(hubs, "MAX_INBOX_BYTES", 100)
        for _ in range(5):
            self.hub.append("a", Entry("", 0, 0, "b", b"", b"", PASSED, bytes(30)))
        entries, missed = self.hub.read("a", 0, 99)
        self.assertEqual((len(entries), missed, self.hub.nodes["a"].size), (3, True, 90))
        self.assertEqual((self.hub.read("a", 5, 99), self.hub.nodes["a"].size), (([], False), 0))


class SpeakerTests(SynchronousTestCase):
    """A process's half."""

    def setUp(self) -> None:
        self.said: list[Any] = []
        self.turn: list[Any] = []
        self.reached = True
        self.speaker = Speaker("a", self.tell, self.turn.append)

    def tell(self, *words: Any) -> bool:
        """Write it down, if the hub is there."""
        if self.reached:
            self.said.append(words)
        return self.reached

    def take(self, kind: str, number: int, name: str = "r") -> None:
        """A grant or a call."""
        self.speaker.take(Entry(name, 7, number, "", b"", b"", kind, b"room"))

    def commit(self, *, text: bool = False) -> Any:
        """One that is under way."""
        return self.speaker.committing(Commit("r", 7, None, BOUNDS, text=text))

    def test_a_call_is_answered_whether_it_is_had_or_not(self) -> None:
        """Behind what was passed on. An old call takes no newer grant."""
        self.take(GRANT, 1)
        self.speaker.pass_on("b", Row("r", "x", ("y",), "text"))
        self.take(RECALL, 1)
        self.assertEqual([words[0] for words in self.said], ["pass", "back"])
        self.assertEqual(self.speaker.floors, {})
        self.take(GRANT, 3)
        self.take(RECALL, 2)
        self.assertEqual((list(self.speaker.floors), self.said[-1]), (["r"], ("back", "r", 2)))

    def test_a_commit_gives_it_back_unless_it_is_of_texts(self) -> None:
        """A grant that crosses it is not taken; the commit tells the hub which ones were seen."""
        self.take(GRANT, 1)
        with self.commit(text=True):
            self.assertIn("r", self.speaker.floors)
        with self.commit():
            self.assertEqual(self.speaker.floors, {})
            self.take(GRANT, 2)
            self.take(GRANT, 3, "other")
            self.assertEqual(list(self.speaker.floors), ["other"])
        self.take(GRANT, 4)
        self.assertEqual((sorted(self.speaker.floors), self.speaker.seen), (["other", "r"], 4))

    def test_after_a_loss_old_grants_are_void(self) -> None:
        """Until the hub has said which ones are new."""
        self.take(GRANT, 1)
        self.speaker.until = 9
        self.speaker.clear()
        self.take(GRANT, 2)
        self.assertEqual((self.speaker.floors, self.speaker.until), ({}, 0.0))
        self.speaker.cleared(3)
        self.take(GRANT, 3)
        self.assertEqual((self.speaker.floors, self.speaker.seen), ({}, 3))
        self.take(GRANT, 4)
        self.assertIn("r", self.speaker.floors)

    def test_texts_of_one_turn_go_together(self) -> None:
        """By node, in their order; much goes at once."""
        rows = [Row("r", "x", ("y",), f"{number}é") for number in range(3)]
        for row in rows:
            self.speaker.pass_on("b", row)
        self.speaker.pass_on("c", rows[0]._replace(to=()))
        self.assertEqual((len(self.turn), self.said), (1, []))
        self.reached = False
        self.turn[0]()
        self.reached = True
        self.turn[0]()
        self.turn[0]()
        [(what, parts)] = self.said
        self.assertEqual((what, {node: rows_of(data) for node, data in parts}),
                         ("pass", {"b": rows, "c": [rows[0]._replace(to=())]}))
        self.patch(speakers, "MAX_BATCH", 10)
        self.speaker.pass_on("b", Row("r", "x", ("y",), "long enough"))
        self.assertEqual((len(self.said), len(self.turn)), (2, 1))
