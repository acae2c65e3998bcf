"""Tests of the ini reader."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import MAX_SECRET_FILE_BYTES, ConfigError, changes, key_of, option, parse, show


@dataclass(frozen=True, slots=True)
class Settings:
    """One option of each kind."""

    on: bool = option(False, "Yes or no.")
    count: int = option(3, "A whole number.", minimum=0, maximum=10)
    seconds: float = option(1.5, "A number.", minimum=0)
    name: str = option("rtcd", "A word.")
    note: str | None = option(None, "A word, or none.")
    number: int | None = option(None, "A number, or none.")
    many: tuple[str, ...] = option((), "Several.")
    level: str = option("info", "A choice.", choices=("info", "debug"))
    from_: str = option("", "A key that is a reserved word.")
    secret: str | None = option(None, "A secret.", secret=True)
    secrets: tuple[str, ...] = option((), "Several secrets.", secret=True)
    hidden: str = option("", "A secret that has no file.", secret=True, from_file=False)

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValueError("name: is bad; choose another")
        if self.name == "worse":
            raise ValueError("nothing fits")


SCHEMAS = {"one": Settings, "other": Settings}

GOOD = (
    ("", Settings()),
    ("on = yes", Settings(on=True)),
    ("on = TRUE", Settings(on=True)),
    ("on = 1", Settings(on=True)),
    ("on = off", Settings(on=False)),
    ("count = 10", Settings(count=10)),
    ("count=0", Settings(count=0)),
    ("seconds = 2", Settings(seconds=2.0)),
    ("seconds = 1e1", Settings(seconds=10.0)),
    ("name = two words # and more", Settings(name="two words # and more")),
    ("name = a = b : c", Settings(name="a = b : c")),
    ("name = 50%", Settings(name="50%")),
    ("NAME = x", Settings(name="x")),
    ("note =", Settings(note=None)),
    ("number = 7", Settings(number=7)),
    ("number =", Settings(number=None)),
    ("many = a", Settings(many=("a",))),
    ("many =\n    a\n    b", Settings(many=("a", "b"))),
    ("many = a\n    b", Settings(many=("a", "b"))),
    ("many =\n    a\n    # not this\n\n    b\n\nname = x", Settings(many=("a", "b"), name="x")),
    ("many =", Settings()),
    ("level = debug", Settings(level="debug")),
    ("from = here", Settings(from_="here")),
    ("# note = x\n; note = y", Settings()),
    ("secret = x", Settings(secret="x")),
    ("name = Grüße", Settings(name="Grüße")),
)

BAD = (
    ("on = perhaps", "[one] on: 'perhaps' is not yes or no"),
    ("on =", "[one] on: '' is not yes or no"),
    ("count = many", "[one] count: 'many' is not a whole number"),
    ("count = 1.5", "[one] count: '1.5' is not a whole number"),
    ("count = ٣", "[one] count: '٣' is not a whole number"),
    ("count = --1", "[one] count: "),
    ("count = -", "[one] count: "),
    ("count = 1 2", "[one] count: '1 2' is not a whole number"),
    ("count = 11", "[one] count: '11' is more than 10"),
    ("count = -1", "[one] count: '-1' is less than 0"),
    (f"count = {'9' * 5000}", "[one] count: "),
    ("seconds = soon", "[one] seconds: 'soon' is not a number"),
    ("seconds = nan", "[one] seconds: 'nan' is not a number"),
    ("seconds = inf", "[one] seconds: 'inf' is not a number"),
    ("seconds = 1_000", "[one] seconds: '1_000' is not a number"),
    ("number = x", "[one] number: 'x' is not a whole number"),
    ("name = a\n    b", "[one] name: 'a\\nb' takes one line only"),
    ("level = loud", "[one] level: 'loud' is none of info, debug"),
    ("nmae = x", "[one] nmae: unknown key, did you mean name?; correct or remove it"),
    ("xyzzy = x", "[one] xyzzy: unknown key; correct or remove it"),
    ("from_ = x", "[one] from_: unknown key, did you mean from?; correct or remove it"),
    ("name = x\nname = y", "[one] name: it is there twice; several values go on lines of their own below the key, indented"),
    ("[one]", "[one]: the section is there twice; join the two"),
    ("[two]", "[two]: no service has this name; remove the section"),
    ("[othre]", "[othre]: no service has this name, did you mean other?; remove the section"),
    ("name", "line 2 is neither [section] nor key = value; correct"),
    ("name: x", "line 2 is neither [section] nor key = value; correct"),
    ("[one", "line 2 is neither [section] nor key = value; correct"),
    ("name = bad", "[one] name: is bad; choose another"),
    ("name = worse", "[one]: nothing fits"),
    ("secret = a\n    b", "[one] secret: takes one line only"),
    ("secret-file = nowhere", "[one] secret-file: "),
    ("secret-file = x\nsecret = y", "[one] secret-file: secret is set as well; keep one of the two"),
    ("name-file = x", "[one] name-file: unknown key"),
    ("hidden-file = x", "[one] hidden-file: unknown key"),
    ("hidden = a\n    b", "[one] hidden: takes one line only"),
)


class ParseTests(SynchronousTestCase):
    """Text in, settings out."""

    def test_good_text_is_read(self) -> None:
        """Each kind of value, in each way to write it."""
        for text, expected in GOOD:
            self.assertEqual(parse(f"[one]\n{text}\n", SCHEMAS), {"one": expected}, text)

    def test_bad_text_is_one_line_that_names_section_key_and_mend(self) -> None:
        """Never another exception."""
        for text, said in BAD:
            fault = self.assertRaises(ConfigError, parse, f"[one]\n{text}\n", SCHEMAS)
            self.assertTrue(str(fault).startswith(said), f"{text!r}: {fault}")
            self.assertNotIn("\n", str(fault))

    def test_text_before_any_section_is_named_by_its_line(self) -> None:
        """The byte order mark of an editor, too."""
        for text in ("name = x\n[one]\n", "\ufeff[one]\n"):
            fault = self.assertRaises(ConfigError, parse, text, SCHEMAS)
            self.assertEqual(str(fault), "line 1 stands before any [section]; put it under one")

    def test_every_section_that_is_there_is_returned_and_no_other(self) -> None:
        """A section turns a service on."""
        self.assertEqual(parse("[other]\n[one]\nname = x\n", SCHEMAS), {"other": Settings(), "one": Settings(name="x")})
        self.assertEqual(parse("", SCHEMAS), {})

    def test_default_is_a_section_like_any_other(self) -> None:
        """configparser would spread it over the rest."""
        self.assertRaises(ConfigError, parse, "[DEFAULT]\nname = x\n[one]\n", SCHEMAS)

    @given(st.text())
    def test_whatever_the_text_there_is_settings_or_a_config_error(self, text: str) -> None:
        """Nothing else escapes."""
        for one in (text, f"[one]\n{text}", f"[one]\nname = {text}", f"[one]\ncount = {text}", f"[one]\nseconds = {text}"):
            try:
                parse(one, SCHEMAS)
            except ConfigError as fault:
                self.assertNotIn("\n", str(fault))


class SecretTests(SynchronousTestCase):
    """Secrets in files of their own, and out of sight."""

    def setUp(self) -> None:
        """A folder for the files."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def read(self, content: bytes, key: str = "secret-file") -> Settings:
        """An ini whose secret is in a file beside it."""
        (self.folder / "file").write_bytes(content)
        found: Settings = parse(f"[one]\n{key} = file\n", SCHEMAS, self.folder)["one"]
        return found

    def test_the_text_of_the_file_is_the_value(self) -> None:
        """Without the line's end; a list has one value a line."""
        self.assertEqual(self.read(b"sesame\n").secret, "sesame")
        self.assertEqual(self.read(b"new\nold\n", "secrets-file").secrets, ("new", "old"))

    def test_the_byte_order_mark_of_an_editor_is_no_part_of_a_secret(self) -> None:
        """Nobody sees it, and with it every credential would be wrong."""
        self.assertEqual(self.read("\ufeffsesame\r\n".encode()).secret, "sesame")
        self.assertEqual(self.read("\ufeffnew\nold\n".encode(), "secrets-file").secrets, ("new", "old"))
        self.assertIn("is empty", str(self.assertRaises(ConfigError, self.read, "\ufeff\n".encode())))

    def test_a_file_that_cannot_be_used_is_the_operators_fault(self) -> None:
        """Too long, or no text. With nothing in it, it would silently be as if nobody had asked for a secret."""
        for content, said in ((b"", "is empty"), (b" \n", "is empty"), (b"\xff", "not UTF-8"),
                              (b"x" * (MAX_SECRET_FILE_BYTES + 1), "is longer than")):
            fault = self.assertRaises(ConfigError, self.read, content)
            self.assertIn("[one] secret-file: ", str(fault))
            self.assertIn(said, str(fault))

    def test_a_pipe_is_not_waited_for(self) -> None:
        """A reload would stand still until somebody writes into it."""
        os.mkfifo(self.folder / "pipe")
        fault = self.assertRaises(ConfigError, parse, "[one]\nsecret-file = pipe\n", SCHEMAS, self.folder)
        self.assertIn("pipe is no plain file; name one", str(fault))

    def test_a_name_that_no_file_can_have_is_the_operators_fault(self) -> None:
        """NUL ends a name for the system."""
        fault = self.assertRaises(ConfigError, parse, "[one]\nsecret-file = a\0b\n", SCHEMAS, self.folder)
        self.assertTrue(str(fault).startswith("[one] secret-file: "))

    def test_a_folder_is_no_secret(self) -> None:
        """Whatever the system calls that."""
        self.assertRaises(ConfigError, parse, "[one]\nsecret-file = .\n", SCHEMAS, self.folder)

    def test_a_bad_secret_is_not_repeated(self) -> None:
        """The line ends up in logs."""
        fault = self.assertRaises(ConfigError, parse, "[one]\nsecret = open\n  sesame\n", SCHEMAS)
        self.assertNotIn("sesame", str(fault))


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs")), min_size=1).filter(
    lambda text: text[0] not in "#;" and text == text.strip())


class ShowTests(SynchronousTestCase):
    """Values back to text."""

    @given(st.booleans(), st.integers(0, 10), st.floats(0, allow_infinity=False), st.none() | TEXT,
           st.none() | st.integers(-10**17, 10**17), st.lists(TEXT).map(tuple))
    def test_what_is_shown_is_read_as_the_same(
        self, on: bool, count: int, seconds: float, note: str | None, number: int | None, many: tuple[str, ...]
    ) -> None:
        """Every kind of value."""
        given_one = Settings(on=on, count=count, seconds=seconds, note=note, number=number, many=many)
        fields = [field for field in Settings.__dataclass_fields__.values() if not field.metadata["secret"]]
        text = "".join(f"{key_of(field)} = {show(getattr(given_one, field.name))}\n" for field in fields)
        self.assertEqual(parse(f"[one]\n{text}", SCHEMAS), {"one": given_one})

    def test_changes_are_told_by_key_and_secrets_are_not_told(self) -> None:
        """For the log."""
        old, new = Settings(secret="a", many=("x", "y")), Settings(secret="b", count=4, note="hi", seconds=2.0)
        self.assertEqual(changes(old, new), {
            "secret": "changed", "many": "x y -> (none)", "count": "3 -> 4", "note": "(none) -> hi", "seconds": "1.5 -> 2"})
        self.assertEqual(changes(old, old), {})

    def test_the_choices_are_part_of_the_text(self) -> None:
        """For the shipped ini."""
        self.assertEqual(Settings.__dataclass_fields__["level"].metadata["text"], "A choice. One of: info, debug.")
