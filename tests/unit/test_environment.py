"""Tests of what environment variables set."""

from __future__ import annotations

from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import gather, option
from rtcd.environment import known_keys, merged, overrides, variable
from rtcd.initext import Written, scan
from rtcd.plugin import plugins
from rtcd.schemas import SHARED, Schemas
from tests.unit.test_config import SCHEMAS, Settings

WORD = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
NAME = st.lists(WORD, min_size=1, max_size=3).map("-".join)


def read(environment: dict[str, str], ini: str = "", base: Path = Path()) -> tuple[dict[str, Any], list[str]]:
    """Settings and faults of the sections ``one``, which is in force always, and ``other``."""
    found, faults = gather(merged(scan(ini), overrides(environment, SCHEMAS, ("one",))), SCHEMAS, base)
    return found, [one.said("ini") for one in faults]


class OverrideTests(SynchronousTestCase):
    def test_it_goes_before_the_ini(self) -> None:
        found, faults = read({"RTCD_ONE_COUNT": "7", "RTCD_ONE_FROM": "here", "HOME": "/"}, "[one]\ncount = 4\nname = x\n")
        self.assertEqual((found, faults), ({"one": Settings(count=7, from_="here", name="x")}, []))

    def test_several_values_stand_on_lines_of_their_own(self) -> None:
        self.assertEqual(read({"RTCD_ONE_MANY": "a, b\n  c\n\n"})[0], {"one": Settings(many=("a, b", "c"))})

    def test_an_empty_one_is_as_an_empty_key(self) -> None:
        self.assertEqual(read({"RTCD_ONE_MANY": ""}, "[one]\nmany = x\n")[0], {"one": Settings()})
        self.assertEqual(read({"RTCD_ONE_COUNT": ""})[1], ["RTCD_ONE_COUNT: [one] count: '' is not a whole number"])

    def test_it_turns_a_section_on(self) -> None:
        self.assertEqual(read({"RTCD_OTHER_ON": "yes"}, "[one]\n")[0], {"one": Settings(), "other": Settings(on=True)})

    def test_the_name_of_a_service_alone_turns_it_on_and_off(self) -> None:
        """Off goes first, so that it can be added to what is there."""
        self.assertEqual(read({"RTCD_OTHER": "yes"})[0], {"other": Settings()})
        self.assertEqual(read({"RTCD_OTHER": "No", "RTCD_OTHER_COUNT": "1"}, "[other]\n[one]\n")[0], {"one": Settings()})
        self.assertEqual(read({"RTCD_OTHER": "2"})[1],
                         ["RTCD_OTHER: [other]: is not yes or no, which turn the service on and off"])
        self.assertEqual(read({"RTCD_ONE": "no"})[1],
                         ["RTCD_ONE: [one]: is in force always; set its keys, or unset this"])

    def test_a_secret_and_its_file_are_one_setting(self) -> None:
        """Whichever of the two the ini has; both in the environment are a mistake, as in the ini."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "file").write_text("sesame\n")
        for ini in ("secret = old", "secret-file = nowhere"):
            for environment in ({"RTCD_ONE_SECRET": "sesame"}, {"RTCD_ONE_SECRET_FILE": "file"}):
                self.assertEqual(read(environment, f"[one]\n{ini}\n", folder)[0], {"one": Settings(secret="sesame")})
        faults = read({"RTCD_ONE_SECRET": "a", "RTCD_ONE_SECRET_FILE": "file"}, "", folder)[1]
        self.assertEqual(faults, ["RTCD_ONE_SECRET_FILE: [one] secret-file: secret is set as well; keep one of the two"])

    def test_a_secret_is_not_repeated(self) -> None:
        (fault,) = read({"RTCD_ONE_SECRET": "open\nsesame"})[1]
        self.assertNotIn("sesame", fault)

    def test_what_is_no_setting_is_not_repeated(self) -> None:
        """It may be a secret whose name was cut short."""
        for name, text in (("RTCD_OTHER", "sesame"), ("RTCD_ONE_SECRET", "tcp://sesame"), ("RTCD_ONE_SERCET", "sesame"),
                           ("RTCD_ONE", "sesame"), ("RTCD_OHTER", "sesame")):
            (fault,) = read({name: text})[1]
            self.assertNotIn("sesame", fault)

    def test_a_slip_is_told_with_what_was_meant(self) -> None:
        for name, said in (
            ("RTCD_ONE_CUONT", "[one]: sets no key, did you mean RTCD_ONE_COUNT?; correct or unset it"),
            ("RTCD_ONE_XYZZY_PLUGH", "[one]: sets no key; correct or unset it"),
            ("RTCD_ONE_COUNT_PORT", "[one]: sets no key, did you mean RTCD_ONE_COUNT?; correct or unset it"),
            ("RTCD_OTHRE_COUNT", "no section has this name, did you mean RTCD_OTHER_COUNT?; correct or unset it"),
            ("RTCD_OHTER", "no section has this name, did you mean RTCD_OTHER?; correct or unset it"),
        ):
            self.assertEqual(read({name: "1"})[1], [f"{name}: {said}"])

    def test_whether_a_service_is_turned_on(self) -> None:
        """By a key of it or by its name; not if its name says no, and not by a shared section."""
        for environment, on in (
            ({}, False), ({"RTCD_TURN_PORT": "1"}, True), ({"RTCD_TURN": "yes"}, True), ({"RTCD_TURN": "no"}, False),
            ({"RTCD_TURN_PORT": "1", "RTCD_TURN": "no"}, False), ({"RTCD_LOG_LEVEL": "info"}, False),
            ({"RTCD_LOG_LEVEL": "info", "RTCD_TURN": "yes"}, True), ({"RTCD_TURN": "x"}, False),
        ):
            self.assertEqual(overrides(environment, Schemas(plugins()), SHARED).turns_on(SHARED), on, environment)

    def test_what_is_no_section_is_left_alone(self) -> None:
        for name in ("RTCD_REQUIRE_INTEROP", "RTCD_NPM", "RTCD_SCREENSHOTS", "RTCD_SERVICE_HOST", "RTCD_PORT_3478_UDP",
                     "rtcd_one_count", "XRTCD_ONE_COUNT"):
            found = overrides({name: "1"}, Schemas(plugins()), SHARED)
            self.assertEqual((found.sections, found.services, found.faults), ({}, {}, []), name)
        self.assertEqual(overrides({"RTCD_NPM": "1", "HOME": "/"}, SCHEMAS).others, ["RTCD_NPM"])

    def test_what_kubernetes_says_of_a_service_named_like_a_section_is_told(self) -> None:
        """``RTCD_TURN_PORT=tcp://10.0.0.1:3478`` comes of a service ``rtcd-turn``, whoever made it."""
        schemas = Schemas(plugins())
        for name, value in (("RTCD_TURN_PORT", "tcp://10.0.0.1:3478"), ("RTCD_TURN_SERVICE_HOST", "10.0.0.1"),
                            ("RTCD_TURN_PORT_3478_TCP_ADDR", "10.0.0.1")):
            (fault,) = overrides({name: value}, schemas, SHARED).faults
            self.assertIn("named rtcd-turn: set enableServiceLinks to false", str(fault))

    def test_every_key_of_every_section_has_a_variable_of_its_own(self) -> None:
        """Or one would set another's."""
        schemas = Schemas(plugins())
        names = [variable(section, key) for section in schemas for key in known_keys(schemas[section])]
        self.assertEqual(len(names), len({*names, *map(variable, schemas)}) - len(schemas))
        self.assertGreater(len(names), 120)

    @settings(deadline=None, max_examples=30)
    @given(st.dictionaries(NAME, st.lists(NAME, min_size=1, max_size=5, unique=True), min_size=1, max_size=5), st.data())
    def test_a_variable_leads_back_to_its_key(self, sections: dict[str, list[str]], data: st.DataObject) -> None:
        """Whatever others call their sections and keys, unless two have the same variable."""
        schemas = {section: make_dataclass("Made", [
            (key.replace("-", "_") + "_", str, option("", "Any.", secret=data.draw(st.booleans()))) for key in keys])
            for section, keys in sections.items()}
        pairs = [(section, key) for section, schema in schemas.items() for key in known_keys(schema)]
        section, key = data.draw(st.sampled_from(pairs))
        names = [variable(*pair) for pair in pairs] + [variable(one) for one in schemas]
        longer = [one for one in schemas if len(one) > len(section) and variable(section, key).startswith(variable(one))]
        if names.count(variable(section, key)) > 1 or longer:
            return
        found = overrides({variable(section, key): "value"}, schemas)
        self.assertEqual({one: {key: value.text for key, value in values.items()} for one, values in found.sections.items()},
                         {section: {key: "value"}})

    @settings(deadline=None, max_examples=100)
    @given(st.dictionaries(st.from_regex(r"RTCD_[A-Z_]{0,12}", fullmatch=True) | st.text(max_size=9), st.text(max_size=9)))
    def test_whatever_is_in_the_environment_there_is_no_other_exception(self, environment: dict[str, str]) -> None:
        for fault in gather(merged(Written(), overrides(environment, SCHEMAS)), SCHEMAS)[1]:
            self.assertNotIn("\n", str(fault))

    def test_only_what_is_named_is_imported(self) -> None:
        """A plugin's module may be missing as long as nobody wants it."""

        asked: list[str] = []

        class Lazy(dict[str, type[Any]]):
            def __getitem__(self, section: str) -> type[Any]:
                asked.append(section)
                return super().__getitem__(section)

        overrides({"RTCD_ONE_COUNT": "1"}, Lazy(SCHEMAS))
        self.assertEqual(set(asked), {"one"})
