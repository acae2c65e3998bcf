"""Tests of the ini's text: read as configparser reads it, with lines, and on past faults."""

from __future__ import annotations

import configparser

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import gather, parse
from rtcd.fault import ConfigError
from rtcd.inifile import MAX_INI_BYTES, text_of
from rtcd.initext import scan
from tests.unit.test_config import SCHEMAS, Settings

PIECES = st.sampled_from(("[one]", "[two]", "[", "]", "a", "b", "A", "=", " = ", "\n", "\n", "\n  ", "\n\t", "#", ";", " ",
                          "x", "\r", "\x0c", "ü"))


def by_configparser(text: str) -> dict[str, dict[str, str]] | None:
    """What Python's own reader makes of it, or None if it refuses."""
    ini = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#", ";"), inline_comment_prefixes=None,
                                       default_section="\0")
    try:
        ini.read_string(text)
    except configparser.Error:
        return None
    return {section: dict(ini[section]) for section in ini.sections()}


class ScanTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=150)
    @given(st.lists(PIECES, max_size=30).map("".join))
    def test_it_reads_what_configparser_reads(self, text: str) -> None:
        """And refuses what that refuses."""
        expected, found = by_configparser(text), scan(text)
        self.assertEqual(bool(found.faults), expected is None, (found.faults, expected))
        if expected is not None:
            got = {section: {key: value.text for key, value in values.items()} for section, values in found.sections.items()}
            self.assertEqual(got, expected)

    def test_every_key_has_its_line(self) -> None:
        found = scan("# first\n[one]\n\nname = a\nmany =\n  # no\n  x\n\n  y\ncount = 1\n[other]\n")
        self.assertEqual({key: (value.text, value.line) for key, value in found.sections["one"].items()},
                         {"name": ("a", 4), "many": ("\nx\n\ny", 5), "count": ("1", 10)})
        self.assertEqual(found.lines, {"one": 2, "other": 11})

    def test_what_is_there_twice_counts_as_it_stands_first(self) -> None:
        found = scan("[one]\nname = a\nname = b\n  c\n[one]\ncount = 3\n")
        self.assertEqual([(one.section, one.key, one.line) for one in found.faults], [("one", "name", 3), ("one", "", 5)])
        self.assertEqual({key: value.text for key, value in found.sections["one"].items()}, {"name": "a", "count": "3"})

    def test_text_before_any_section_is_told_once(self) -> None:
        found = scan("a = 1\nb = 2\nc\n[one]\nnonsense\nmore\n")
        self.assertEqual([one.line for one in found.faults], [1, 5, 6])

    def test_a_file_that_is_no_ini_is_not_read_to_its_end(self) -> None:
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("x" * (MAX_INI_BYTES + 1))
        self.assertIn("is longer than", str(self.assertRaises(ConfigError, text_of, path)))


class GatherTests(SynchronousTestCase):
    """Every fault, and none that is but the consequence of another."""

    def faults(self, text: str) -> list[str]:
        """Line and message."""
        return [f"{one.line} {one}" for one in gather(scan(text), SCHEMAS)[1]]

    def test_each_fault_is_told_in_the_order_of_the_lines(self) -> None:
        text = ("[two]\n[one]\non = perhaps\nnmae = x\ncount = 11\nlevel = debgu\nsecret-file = nowhere\n"
                "[other]\nname = bad\nx\n")
        self.assertEqual([one.split(";")[0] for one in self.faults(text)], [
            "1 [two]: no service has this name", "3 [one] on: 'perhaps' is not yes or no",
            "4 [one] nmae: unknown key, did you mean name?", "5 [one] count: '11' is more than 10",
            "6 [one] level: 'debgu' is none of info, debug, did you mean debug?",
            "7 [one] secret-file: nowhere cannot be read (No such file or directory)",
            "9 [other] name: is bad", "10 line 10 is neither [section] nor key = value"])

    def test_a_section_without_a_fault_is_there_beside_one_with(self) -> None:
        found, faults = gather(scan("[one]\ncount = x\n[other]\ncount = 4\n"), SCHEMAS)
        self.assertEqual((found, len(faults)), ({"other": Settings(count=4)}, 1))

    def test_what_the_section_itself_finds_is_told_beside_the_rest(self) -> None:
        """`nothing fits` names no key, so it stands at the section; a key that is wrong already is not blamed again."""
        self.assertEqual(self.faults("[one]\nname = worse\ncount = x\n"),
                         ["1 [one]: nothing fits", "3 [one] count: 'x' is not a whole number"])
        self.assertEqual(self.faults("[one]\nname = bad\nname-file = x\n"),
                         ["2 [one] name: is bad; choose another",
                          "3 [one] name-file: unknown key, did you mean name?; correct or remove it"])

    def test_the_daemon_is_told_the_first(self) -> None:
        fault = self.assertRaises(ConfigError, parse, "[one]\ncount = x\non = y\n", SCHEMAS)
        self.assertEqual((str(fault), fault.line), ("[one] count: 'x' is not a whole number", 2))
