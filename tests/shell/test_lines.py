"""The forms of a log line, as they are written: for people, for the journal, for a terminal, for machines."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.log import LogPublisher as LegacyPublisher
from twisted.trial.unittest import SynchronousTestCase

from rtcd import words
from rtcd.lines import FIXED, MAX_FIELDS, MAX_JSON_CHARS, MAX_LINE_CHARS, MAX_TRACEBACK_CHARS, machines
from rtcd.log import Log, LogSettings
from rtcd.words import HIDDEN, SESSION_DESCRIPTION
from tests.unit.test_words import DESCRIPTIONS, SDP, SECRETS


class LineTestCase(SynchronousTestCase):
    """One observer, written to through a real publisher."""

    def stdout(self, file: Any) -> None:
        """From now on this is standard output."""
        self.patch(sys, "__stdout__", file)

    def logger(self, form: str = "text", level: str = "debug", **environment: str) -> Logger:
        """Somebody who logs to standard output."""
        self.log = Log(LogSettings(format=form, level=level), environment=environment)
        return Logger(namespace="rtcd.test", observer=LogPublisher(self.log))


class MachineTests(LineTestCase):
    """``format = json``."""

    def setUp(self) -> None:
        """Standard output in memory."""
        self.stdout(io.StringIO())
        self.logging = self.logger("json")

    def events(self) -> list[dict[str, Any]]:
        """What was written, as any parser of JSON reads it; each line holds one object without nesting, in ASCII."""
        lines = sys.__stdout__.getvalue().splitlines()  # type: ignore[union-attr] # of setUp
        found = [json.loads(line, parse_constant=self.fail) for line in lines]
        for line, event in zip(lines, found, strict=True):
            self.assertTrue(line.isascii())
            line.encode().decode()
            json.dumps(event, ensure_ascii=False).encode()  # no half of a character
            self.assertLessEqual(len(line), MAX_JSON_CHARS + 100)
            self.assertEqual([*event][:4], list(FIXED[:4]))
            self.assertFalse([one for one in event.values() if isinstance(one, (dict, list))], event)
        return found

    def event(self) -> dict[str, Any]:
        """The only one."""
        found, = self.events()
        return found

    def test_a_line_has_fixed_fields_and_then_the_events_own(self) -> None:
        """Time in UTC by the millisecond, level, where it comes from, text; numbers and truths are such."""
        self.logging.observer({
            "log_time": 1700000000.5, "log_level": LogLevel.warn, "log_namespace": "rtcd.test",
            "log_format": "{room} has {count}", "room": "lounge", "count": 3, "full": False, "limit": None, "load": 0.5})
        self.assertEqual(self.event(), {
            "time": "2023-11-14T22:13:20.500Z", "level": "warn", "system": "rtcd.test", "message": "lounge has 3",
            "room": "lounge", "count": 3, "full": False, "limit": None, "load": 0.5})

    def test_one_of_several_workers_says_which(self) -> None:
        """In brackets for people; in JSON as a field, which no event takes the place of."""
        for form, shown in (("text", "[rtcd.test#info worker 2] hello"), ("json", '"worker": 2, "worker_": "mine"')):
            log = Log(LogSettings(format=form), environment={}, worker=2)
            Logger(namespace="rtcd.test", observer=LogPublisher(log)).info("hello", worker="mine")
            self.assertIn(shown, sys.__stdout__.getvalue())  # type: ignore[union-attr] # of setUp

    def test_what_is_no_plain_value_is_its_text(self) -> None:
        """Nested things, bytes, numbers that JSON does not have, and things that cannot be shown at all."""
        class Mute:
            def __str__(self) -> str:
                raise RuntimeError("nobody sees me")

        self.logging.info("x", pair=("a", 1), of={"a": [1]}, raw=b"\xffa", nan=math.nan, endless=math.inf, huge=2**80,
                          it=Mute())
        event = self.event()
        self.assertEqual([event[one] for one in ("pair", "of", "raw", "nan", "endless", "huge", "it")], [
            "('a', 1)", "{'a': [1]}", "\\xffa", "nan", "inf", str(2**80), "(Mute)"])

    def test_a_field_never_takes_the_place_of_a_fixed_one(self) -> None:
        """It gets an underscore."""
        self.logging.info("x", message=5, time="noon", cut="no")
        event = self.event()
        self.assertEqual((event["message"], event["message_"], event["time_"], event["cut_"]), ("x", 5, "noon", "no"))

    def test_secrets_and_session_descriptions_are_not_shown(self) -> None:
        """Neither in the text nor in a field, be it by the field's name or by what is in it; nor in a traceback."""
        for text in (*DESCRIPTIONS, *SECRETS):
            self.logging.info("heard {it} from {msg}", it=text, msg=text, extra=[text], raw=text.encode(),
                              fault=ValueError(text))
        self.logging.info("{a} {password} {auth_token!r:.3}", a=1, password="hunter2", auth_token="hunter2", sdp=SDP)
        try:
            raise ValueError(json.dumps({"sdp": SDP}))
        except ValueError:
            self.logging.failure("it broke")
        written = sys.__stdout__.getvalue()  # type: ignore[union-attr] # of setUp
        for one in ("hunter2", "aHVudGVy", "ice-ufrag", "192.0.2.7", "v=0"):
            self.assertNotIn(one, written)
        *_, named, broken = self.events()
        self.assertEqual((named["message"], named["password"], named["sdp"]), (
            f"1 {HIDDEN} '(h", HIDDEN, SESSION_DESCRIPTION))
        self.assertIn("test_lines.py", broken["traceback"])

    def test_an_exceptions_text_is_looked_through_as_a_whole(self) -> None:
        """A key and a session description are told by the lines before and behind; the frames are shown all the same."""
        for text in (SDP, f"-----BEGIN PRIVATE KEY-----\n{'hunter2' * 9}\n-----END PRIVATE KEY-----", "x" * 10**5):
            try:
                raise ValueError(f"it broke at\n{text}")
            except ValueError:
                self.logging.failure("it broke")
        described, key, long = (one["traceback"] for one in self.events())
        self.assertTrue(described.endswith(f"builtins.ValueError: {SESSION_DESCRIPTION}"), described)
        self.assertTrue(key.endswith(f"ValueError: it broke at\n-----BEGIN PRIVATE KEY-----{HIDDEN}"), key)
        for one in (described, key):
            self.assertNotIn("hunter2", one)
            self.assertNotIn("127.0.0.1", one)
        for one in (described, key, long):
            self.assertIn("test_lines.py", one)
            self.assertIn("ValueError", one)

    def test_nothing_in_it_cannot_be_encoded(self) -> None:
        """Half characters, which JSON of a client may hold, and what ends lines in some places."""
        self.logging.info("{it}", it='\udc80\ud83d"\\\x1b\n\u2028\x85é😀', **{"na\udc80me\n": 1})
        event = self.event()
        self.assertEqual(event["it"], '\\udc80\\ud83d"\\\x1b\n\u2028\x85é😀')
        self.assertEqual(event["message"], '\\udc80\\ud83d"\\\\x1b \\u2028\\x85é😀')

    def test_length_is_bounded(self) -> None:
        """Of a field, of the text, of the number of fields and of all together; a line that was cut says so.

        What is cut away is not looked through for secrets either, which would take its time.
        """
        looked: list[int] = []
        self.patch(words, "_HINT", type("Hint", (), {"search": lambda _, text: looked.append(len(text))})())
        self.logging.info("{it}", it="x" * 10**6)
        self.logging.info("{it}", it="\x00😀" * 10**5)
        self.logging.info("x", **{f"f{number}": 1 for number in range(1000)})
        self.logging.info("x", **{f"f{number}": "y" * 5000 for number in range(1000)})
        self.logging.info("x", **{"k" * 10**6: 1})
        first, escaped, many, long, key = self.events()
        self.assertEqual((len(first["message"]), "cut" in first), (MAX_LINE_CHARS, False))
        self.assertGreater(len(escaped["it"]), 50)
        self.assertEqual((len(many), many["cut"], long["cut"]), (MAX_FIELDS + 1, True, True))
        self.assertLess(max(map(len, key)), 200)
        self.assertLess(max(looked), 2 * MAX_LINE_CHARS)

    def test_a_failure_has_its_traceback_in_one_field(self) -> None:
        """Of a long one the end stays, where it says what happened."""
        def deep(level: int) -> None:
            if level:
                deep(level - 1)
            raise RuntimeError("at the bottom")

        try:
            deep(400)
        except RuntimeError:
            self.logging.failure("it broke", room="r")
        event = self.event()
        self.assertEqual((event["message"], event["level"], event["room"]), ("it broke", "critical", "r"))
        self.assertTrue(event["traceback"].rstrip().endswith("RuntimeError: at the bottom"))
        self.assertLessEqual(len(json.dumps(event["traceback"])), MAX_TRACEBACK_CHARS + 2)

    def test_old_style_lines_of_twisted_have_no_more_than_their_text(self) -> None:
        """What they have besides is old ways to say the same."""
        LegacyPublisher(self.logging.observer, self.logging.observer).msg("Main loop", "terminated.", room="r")
        event = self.event()
        self.assertEqual((event["message"], event["room"], len(event)), ("Main loop terminated.", "r", 5))

    def test_an_event_that_says_nothing_makes_no_line(self) -> None:
        """As with lines for people."""
        self.assertIsNone(machines({"log_level": LogLevel.info}))

    def test_an_event_that_cannot_be_formatted_is_shown_without_its_secrets(self) -> None:
        """A mistake of ours in the format."""
        self.logging.info("{nothing.of.that} {password}", password="hunter2", room="lounge")
        event = self.event()
        self.assertIn("lounge", event["message"])
        self.assertNotIn("hunter2", event["message"])


class PlaceTests(LineTestCase):
    """Where standard output leads to, and what is written there."""

    def file(self) -> tuple[TextIO, str]:
        """A file as standard output, and how systemd would name it if it were the stream to the journal."""
        file = open(self.mktemp(), "w+", encoding="utf-8")  # noqa: SIM115 # closed at the end
        self.addCleanup(file.close)
        self.stdout(file)
        found = os.fstat(file.fileno())
        return file, f"{found.st_dev}:{found.st_ino}"

    def text(self, file: TextIO) -> str:
        """What was written."""
        file.seek(0)
        return file.read()

    def test_the_journal_is_told_the_level_and_no_time(self) -> None:
        """Each line of a traceback too, or it would count as something less bad."""
        file, stream = self.file()
        logging = self.logger(JOURNAL_STREAM=stream)
        for level in ("debug", "info", "warn", "error", "critical"):
            getattr(logging, level)("{it}", it="a\nb")
        try:
            raise RuntimeError("ours")
        except RuntimeError:
            logging.failure("it broke")
        lines = self.text(file).splitlines()
        self.assertEqual(lines[:6], [f"<{number}>[rtcd.test#{name}] {text}" for number, name, text in (
            (7, "debug", "a b"), (6, "info", "a b"), (4, "warn", "a b"), (3, "error", "a b"), (2, "critical", "a b"),
            (2, "critical", "it broke"))])
        self.assertTrue(all(line.startswith("<2>") for line in lines[6:]), lines)
        self.assertIn("<2>| builtins.RuntimeError: ours", lines)

    def test_machines_that_read_the_journal_get_their_json(self) -> None:
        """Behind the level."""
        file, stream = self.file()
        self.logger("json", JOURNAL_STREAM=stream).warn("hello")
        text = self.text(file)
        self.assertTrue(text.startswith('<4>{"time": "'), text)
        self.assertEqual(json.loads(text[3:])["message"], "hello")

    def test_another_stream_is_not_the_journal(self) -> None:
        """Standard output was sent elsewhere by a shell in between, or a file is named, or there is none."""
        for told in ("", "1:1", "x", None):
            file, stream = self.file()
            self.logger(JOURNAL_STREAM=stream + "0" if told is None else told).info("hello")
            self.assertRegex(self.text(file), r"^\d{4}-\d\d-\d\dT\S+ \[rtcd.test#info\] hello\n$")
        file, stream = self.file()
        path = Path(self.mktemp())
        log = Log(LogSettings(file=str(path)), environment={"JOURNAL_STREAM": stream})
        self.addCleanup(log.use, LogSettings())
        Logger(namespace="rtcd.test", observer=LogPublisher(log)).info("hello")
        self.assertRegex(path.read_text(), r"^\d{4}-")
        self.stdout(io.StringIO())
        self.logger(JOURNAL_STREAM=stream).info("hello")
        self.assertRegex(sys.__stdout__.getvalue(), r"^\d{4}-")  # type: ignore[union-attr] # of this test

    def test_a_terminal_gets_colour_unless_it_is_told_not_to(self) -> None:
        """What is of interest stands out; nothing else may send escape sequences."""
        for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
            terminal = io.StringIO()
            terminal.isatty = lambda: True  # type: ignore[method-assign] # seems to be one
            self.stdout(terminal)
            logging = self.logger(**environment)
            logging.info("as ever \x1b[31m")
            logging.warn("look")
            calm, look = terminal.getvalue().splitlines()
            self.assertTrue(calm.endswith("as ever \\x1b[31m") and "\x1b" not in calm)
            self.assertEqual(look.startswith("\x1b[33m") and look.endswith("look\x1b[0m"), coloured, environment)
        self.stdout(io.StringIO())
        self.logger().warn("look")
        self.assertNotIn("\x1b", sys.__stdout__.getvalue())  # type: ignore[union-attr] # of this test

    def test_a_terminal_that_knows_no_utf_8_is_written_to_as_well(self) -> None:
        """A line that cannot be encoded would be lost, with a fault of the log's own."""
        raw = io.BytesIO()
        self.stdout(io.TextIOWrapper(raw, encoding="ascii"))
        for form in ("text", "json"):
            self.logger(form).info("é \udc80")
        self.assertEqual(raw.getvalue().count(b"\\x"), 1)
        self.assertEqual(raw.getvalue().count(b"\n"), 2)

    def test_an_exceptions_text_makes_no_line_of_its_own(self) -> None:
        """What a stranger has a part in would else look like another event, for which fail2ban may ban somebody."""
        self.stdout(io.StringIO())
        forged = "[rtcd.turn.events.Events#info] auth_fail address=192.0.2.7 port=1 transport=udp user=x"
        try:
            raise ValueError(f"no such\n{forged}\r{forged}")
        except ValueError:
            self.logger().failure("it broke")
        first, *more = sys.__stdout__.getvalue().splitlines()  # type: ignore[union-attr] # of this test
        self.assertTrue(first.endswith("it broke"))
        self.assertTrue(all(line.startswith("| ") for line in more), more)
        self.assertIn(f"| {forged}", more)

    def test_people_see_no_secrets_either(self) -> None:
        """The same lock for every form."""
        self.stdout(io.StringIO())
        self.logger().info("heard {it} with {password}", it=SDP, password="hunter2")
        self.assertIn(f"heard {SESSION_DESCRIPTION} with {HIDDEN}\n", sys.__stdout__.getvalue())  # type: ignore[union-attr]
