"""The calls that are over: bounds, order, age, and the file."""

from __future__ import annotations

from math import inf

from twisted.trial.unittest import SynchronousTestCase

from rtcd.calls.archive import Archive
from rtcd.calls.changes import came, ended, turned_away
from rtcd.calls.lone import MOST_BYTES, Lone
from rtcd.calls.record import MAX_ROOM_CHARS, Call


def call(name: str, end: float, people: int = 2, room: str = "room") -> Call:
    """One that is over."""
    made = Call(name, room, end - 10)
    for letter in "ABC"[:people]:
        made = came(made, end - 10, letter, "page", "192.0.2.1", registered=True)
    return ended(made, end, "left")


class FakeTags:
    """Calls every room the same."""

    next = None

    def __init__(self) -> None:
        self.asked: list[str] = []

    def room_tags(self, room: str) -> tuple[str, ...]:
        """One."""
        self.asked.append(room)
        return ("f" * 16,)

    def users_since(self, room: str, client: str) -> tuple[str, ...]:
        """None."""
        return ()


class ArchiveTests(SynchronousTestCase):
    """A small one."""

    def ids(self, archive: Archive, room: str | None = None, since: float = 0) -> list[str]:
        """What there is, the last first."""
        return [one.id for one in archive.calls(room, since)]

    def test_the_last_first_by_room_and_time(self) -> None:
        archive = Archive()
        for number in range(6):
            archive.add(call(f"{number}", 100 + number, 1 + number % 2, f"room{number % 3}"))
        self.assertEqual(self.ids(archive), ["5", "4", "3", "2", "1", "0"])
        self.assertEqual(self.ids(archive, "room1"), ["4", "1"])
        self.assertEqual(self.ids(archive, since=103), ["5", "4", "3"])
        found = archive.get("3")
        assert found is not None
        self.assertEqual(found, call("3", 103, 2, "room0"))
        self.assertIsNone(archive.get("x"))

    def test_lonely_rooms_make_room_first(self) -> None:
        """Whoever opens many drives out none but such; who was turned away was not alone."""
        archive = Archive(max_calls=3)
        archive.add(call("first", 1))
        archive.add(turned_away(call("away", 2, 1), 2, "app", "full"))
        for number in range(10):
            archive.add(call(f"{number}", 10 + number, 1))
        self.assertEqual(self.ids(archive), ["9", "away", "first"])
        for number in range(3):
            archive.add(call(f"new{number}", 30 + number))
        self.assertEqual(self.ids(archive), ["new2", "new1", "new0"])

    def test_bytes_are_bounded_and_counted(self) -> None:
        archive = Archive(max_bytes=2000)
        for number in range(50):
            archive.add(call(f"{number}", number))
        self.assertLess(archive.bytes, 2000)
        self.assertEqual(archive.bytes, sum(map(len, archive.lines())))
        self.assertGreater(len(archive), 2)
        archive.expire(1000)
        self.assertEqual((archive.bytes, len(archive)), (0, 0))

    def test_one_who_came_alone_counts_for_what_the_record_may_take(self) -> None:
        """Which is made when it is looked at, once; it is of a room's name as records have it."""
        archive, tags = Archive(max_bytes=20_000), FakeTags()
        asked = tags.asked
        for number, room in enumerate(("room", '"' * 300, "\U0001f600" * 300, "\x1b\ud800" * 200, "last")):
            one = Lone("a" * 11 + f"{number}", room, 1_700_000_000.1234567, "c", "page", "2001:db8:1234:5600::1",
                       "elsewhere", ("tcp 65535",) * 8, tags, crowded=True)
            one.left_at, one.why = 1_700_086_399.7654321 + number, "returned"
            archive.add_lone(one)
            self.assertEqual(asked, [])
        lines = archive.lines()
        self.assertEqual(len(asked), 5)
        self.assertLess(sum(map(len, lines)), archive.bytes)
        self.assertGreater(sum(map(len, lines)) * 4, archive.bytes)
        for line in lines:
            self.assertLess(len(line), MOST_BYTES + 4 * MAX_ROOM_CHARS)
        self.assertEqual((self.ids(archive, "last"), len(self.ids(archive, '"' * 256)), len(self.ids(archive, "?" * 256))),
                         (["a" * 11 + "4"], 1, 1))
        found = archive.get("a" * 11 + "0")
        assert found is not None
        self.assertEqual((found.tag, found.people[0].network, len(asked)), ("f" * 16, "2001:db8:1234::/48", 5))
        again = Archive(max_bytes=archive.bytes - 1)
        self.assertEqual(again.load(b"\n".join(lines)), 0)
        self.assertEqual(again.lines(), lines)
        archive.expire(1_700_086_402)
        self.assertEqual(self.ids(archive), ["a" * 11 + "4", "a" * 11 + "3"])
        archive.expire(inf)
        self.assertEqual((archive.bytes, len(archive)), (0, 0))

    def test_many_who_came_alone_are_bounded_too(self) -> None:
        archive = Archive(max_bytes=10_000)
        for number in range(50):
            one = Lone(f"{number}", "room", 1.0, "c", "", "192.0.2.1", "", (), FakeTags())
            one.left_at = 2.0 + number
            archive.add_lone(one)
        self.assertLess(archive.bytes, 10_000)
        self.assertGreater(len(archive), 5)
        self.assertEqual(self.ids(archive)[0], "49")

    def test_a_call_is_there_once(self) -> None:
        archive = Archive()
        archive.add(call("a", 1, 1))
        archive.add(call("a", 2, 2))
        self.assertEqual((len(archive), archive.bytes), (1, len(archive.lines()[0])))

    def test_what_is_older_is_forgotten(self) -> None:
        archive = Archive()
        for number in range(6):
            archive.add(call(f"{number}", 100 + number, 1 + number % 2))
        archive.expire(100)
        self.assertEqual(len(archive), 6)
        archive.expire(104)
        self.assertEqual(self.ids(archive), ["5", "4"])

    def test_a_file_holds_all_and_those_that_are_on_have_ended_then(self) -> None:
        """At the last moment that is known."""
        archive = Archive()
        archive.add(call("over", 100))
        on = came(Call("on", "room", 150.0), 170, "A", "page", "", registered=True)
        data = b"\n".join(archive.lines([on]))
        again = Archive()
        self.assertEqual(again.load(data + b"\n{}\nnonsense\n"), 2)
        self.assertEqual(self.ids(again), ["on", "over"])
        found = again.get("on")
        assert found is not None
        self.assertEqual((found.ended_at, found.why), (170, "crashed"))
        again.clear()
        self.assertEqual((len(again), again.bytes), (0, 0))

    def test_a_file_larger_than_the_bounds_is_cut(self) -> None:
        archive = Archive()
        for number in range(10):
            archive.add(call(f"{number}", number + 1))
        small = Archive(max_calls=4)
        small.load(b"\n".join(archive.lines()))
        self.assertEqual(self.ids(small), ["9", "8", "7", "6"])
