"""Who may try a password, while others try without end."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.admin import guesses as rules
from rtcd.admin.guesses import GUESSES_AT_ONCE, MAX_AT_ONCE, MAX_KNOWN, TRIES_PER_S, Guesses, Origin

HOME = Origin("198.51.100.1", "198.51.100.0/24")


def other(number: int, neighbourhood: str = "") -> Origin:
    """One of many networks, in a neighbourhood of its own or not."""
    return Origin(f"n{number}", neighbourhood or f"w{number}")


class GuessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.guesses = Guesses()

    def guessed(self, *origins: Origin, every_s: float = 1.0, begin: float = 0.0) -> list[bool]:
        """Wrong passwords one after the other."""
        return [self.guesses.take(one, begin + number * every_s) for number, one in enumerate(origins)]

    def test_a_network_has_so_many_guesses_and_then_one_in_ten_seconds(self) -> None:
        found = self.guessed(*[HOME] * (GUESSES_AT_ONCE + 3), every_s=0.4)
        self.assertEqual(found, [True] * GUESSES_AT_ONCE + [False] * 3)
        self.assertEqual([self.guesses.take(HOME, 10.1), self.guesses.take(HOME, 10.2)], [True, False])

    def test_the_networks_of_one_neighbourhood_have_so_many_together(self) -> None:
        found = self.guessed(*(other(number, "w") for number in range(801)), every_s=0.5)
        self.assertEqual(found.count(True), rules.WIDE_AT_ONCE + 400 * rules.WIDE_PER_S)

    def test_one_that_others_leave_no_room_for_is_no_guess(self) -> None:
        for number in range(int(TRIES_PER_S)):
            self.assertTrue(self.guesses.take(other(number), 0))
        self.assertEqual([self.guesses.take(HOME, 0) for _ in range(GUESSES_AT_ONCE * 2)], [False] * GUESSES_AT_ONCE * 2)
        self.assertEqual(self.guessed(*[HOME] * GUESSES_AT_ONCE, begin=10), [True] * GUESSES_AT_ONCE)

    def test_neither_is_one_that_finds_no_place(self) -> None:
        for number in range(MAX_AT_ONCE):
            self.assertTrue(self.guesses.take(other(number), 0) and self.guesses.begin(other(number)))
        for number in range(GUESSES_AT_ONCE * 2):
            self.assertTrue(self.guesses.take(HOME, number))
            self.assertFalse(self.guesses.begin(HOME))
        self.guesses.end()
        self.assertTrue(self.guesses.take(HOME, 20) and self.guesses.begin(HOME))

    def test_a_right_one_costs_nothing_and_makes_its_network_known(self) -> None:
        """Then neither neighbours nor strangers are in its way."""
        for number in range(GUESSES_AT_ONCE * 2):
            self.assertTrue(self.guesses.take(HOME, number))
            self.guesses.right(HOME)
        self.guessed(*(other(number, HOME.neighbourhood) for number in range(200)), every_s=0.3, begin=100)
        for number in range(MAX_AT_ONCE):
            self.assertTrue(self.guesses.take(other(number), 300) and self.guesses.begin(other(number)))
        while self.guesses.take(other(1000), 300):
            pass
        self.assertTrue(self.guesses.take(HOME, 300) and self.guesses.begin(HOME))
        self.assertTrue(self.guesses.take(HOME, 300))
        self.assertFalse(self.guesses.begin(HOME))

    def test_those_who_are_known_are_bounded_as_well(self) -> None:
        """In what they try, and in number: the one that was right least recently is forgotten."""
        for number in range(MAX_KNOWN + 1):
            self.guesses.right(other(number))
            self.guesses.right(other(1))
        found = [self.guesses.take(other(number), 0) for number in (1, 2, 3, 4, 5)]
        self.assertEqual(found, [True] * int(TRIES_PER_S) + [False] * 2)
        self.assertEqual([self.guesses.take(other(0), 0) for _ in range(4)], [True] * int(TRIES_PER_S) + [False])
