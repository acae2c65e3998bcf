"""What is printed of findings."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from rtcd.doctor.finding import MAX_VALUE_CHARACTERS, broken, degraded, exit_code, listed, note, ok, ordered
from rtcd.doctor.report import WIDTH, as_json, as_text, language_of, wrapped

OPEN = ok("firewall.open", manager="nft", ports="udp 3478")
LIMITS = degraded("limits.files", command="prlimit --pid 7 --nofile=2048:2048", files=1024, needed=2048, relays=1024)
CLOCK = broken("clock.wrong", command="timedatectl set-ntp true", sign="+", seconds=3600, source="https://time.example")
PUBLIC = note("names.none")
FOUND = [OPEN, LIMITS, CLOCK, PUBLIC]


class ReportTests(SynchronousTestCase):
    def test_what_is_broken_goes_first(self) -> None:
        """Then what is degraded, what is worth knowing, and what is well; of one level as the checks rest on each other."""
        self.assertEqual(ordered([*FOUND, broken("configuration.empty", ini="i")]), [
            broken("configuration.empty", ini="i"), CLOCK, LIMITS, PUBLIC, OPEN])

    def test_the_exit_code_tells_the_worst(self) -> None:
        self.assertEqual([exit_code(one) for one in ([], [OPEN, PUBLIC], [OPEN, LIMITS], FOUND)], [0, 0, 1, 2])

    def test_people_read_what_how_it_is_known_what_it_means_and_what_mends_it(self) -> None:
        text = as_text(FOUND, "en")
        self.assertTrue(text.startswith(
            "broken: The clock of this machine is wrong.  [clock.wrong]\n"
            "    seen: +3600 s beside https://time.example.\n"
            "    means: Certificates seem to have ended"), text)
        self.assertIn("    mend: Have it kept:\n        timedatectl set-ntp true\n", text)
        self.assertTrue(text.endswith(
            "\nok: the firewall (nft) lets everybody in at udp 3478\n\nbroken 1, degraded 1, note 1, ok 1\n"), text)

    def test_the_same_in_chinese(self) -> None:
        text = as_text(FOUND, "zh")
        begin = "故障：本机时钟不对。  [clock.wrong]\n    依据：与 https://time.example 相差 +3600 秒。\n"
        self.assertEqual(text[: len(begin)], begin)
        self.assertIn("\n        timedatectl set-ntp true\n", text)

    def test_programs_read_fields_that_stay(self) -> None:
        """All of them texts; whatever the language, ids and commands are the same."""
        found = json.loads(as_json(FOUND, "zh"))
        self.assertEqual({key: found[key] for key in ("format", "language", "result", "exit_code")},
                         {"format": 1, "language": "zh", "result": "broken", "exit_code": 2})
        first = found["findings"][0]
        self.assertEqual(list(first), ["check", "id", "level", "what", "evidence", "means", "mend", "command"])
        self.assertEqual((first["check"], first["id"], first["level"], first["command"]),
                         ("clock", "clock.wrong", "broken", "timedatectl set-ntp true"))

    def test_the_language_is_asked_for_or_that_of_the_terminal(self) -> None:
        for wanted, environment, language in (
                (None, {}, "en"), (None, {"LANG": "zh_CN.UTF-8"}, "zh"), ("en", {"LANG": "zh_CN.UTF-8"}, "en"),
                (None, {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"), (None, {"LC_ALL": "", "LANG": "zh_TW"}, "zh"),
                ("zh", {}, "zh"), (None, {"LANG": "de_DE.UTF-8"}, "en")):
            self.assertEqual(language_of(wanted, environment), language, (wanted, environment))

    def test_lines_are_no_longer_than_a_screen(self) -> None:
        """Letters of Chinese take two columns, and a word is not broken."""
        for text, wide in (("word " * 99, 1), ("中文，" * 99, 2)):
            lines = wrapped("    label: ", text)
            self.assertGreater(len(lines), 2)
            self.assertLessEqual(max(map(len, lines)), WIDTH // wide + 8)
            self.assertEqual("".join(lines).replace(" ", ""), f"label:{text}".replace(" ", ""))

    def test_what_others_have_said_does_nothing_to_the_terminal(self) -> None:
        """Nor does a command that was made of it: there is none then."""
        found = broken("ports.taken", command="systemctl disable --now 'x\x1b[2J.service'", program="x\x1b[2J\x9b\u202ey\tz")
        self.assertEqual((found.values["program"], found.command), ("x�[2J��y z", ""))
        self.assertEqual(broken("ports.taken", command="a\nb", program="北京").values["program"], "北京")

    def test_what_others_have_said_is_cut(self) -> None:
        """A value is one line of bounded length, and a list has an end."""
        found = broken("nat.silent", server="x\n" * 999, hosts="-")
        self.assertEqual(len(found.values["server"]), MAX_VALUE_CHARACTERS)
        self.assertNotIn("\n", found.values["server"])
        self.assertEqual(listed(range(4), 2), "0, 1, …")
