"""What the documents show is true: their ini files are read, their links lead somewhere."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import signal
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from rtcd import tap
from rtcd.config import key_of, parse
from rtcd.plugin import plugins
from rtcd.reference import is_taken, reference
from rtcd.sample import shipped_schemas
from rtcd.schemas import Schemas
from rtcd.signaling import messages, switchboard
from rtcd.web.parameters import Seat, Site, parameters
from tests.daemon.process import ROOT

DOCS = ROOT / "docs"
ENGLISH = sorted(DOCS.glob("*.md"))
CHINESE = sorted((DOCS / "zh").glob("*.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *ENGLISH, *CHINESE]
GENERATED = {"options.md"}
"""Pages that are there when the site is built."""
ENGLISH_FOR_NOW: frozenset[str] = frozenset()
"""Pages that may go without Chinese: who reads the site in Chinese is shown the English one."""
BEHIND: frozenset[str] = frozenset()
"""Pages whose Chinese has not yet what the English one has."""
UP_TO_DATE = [one for one in CHINESE if one.name not in BEHIND]


def keys(schema: type[Any]) -> set[str]:
    """The keys of a section, those that name a secret's file with them."""
    fields = dataclasses.fields(schema)
    return {key_of(one) for one in fields} | {f"{key_of(one)}-file" for one in fields if one.metadata["from_file"]}


class DocumentTests(SynchronousTestCase):
    """README, docs and change log."""

    def test_every_ini_is_read(self) -> None:
        """An option that was renamed is found here."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "secret").write_text("correct horse battery")
        schemas = Schemas(plugins())
        count = 0
        for document in DOCUMENTS:
            for block in re.findall(r"(?:^    .*\n|^\n)+", document.read_text(), re.MULTILINE):
                text = textwrap.dedent(block).strip()
                if not text.startswith("[") or "[recorder]" in text:
                    continue
                count += 1
                parse(re.sub(r"^(.*-file) = .*$", r"\1 = secret", text, flags=re.MULTILINE), schemas, folder)
        self.assertGreater(count, 8)

    def test_every_key_that_is_named_exists(self) -> None:
        """Written as ``[section] key`` or ``[section] key = value``; the value has to fit as well."""
        schemas, count = Schemas(plugins()), 0
        for document in DOCUMENTS:
            for section, key, value in re.findall(r"`\[(\w+)\](?: ([a-z0-9-]+)(?: = ([^`]+))?)?`", document.read_text()):
                if section == "recorder":
                    continue
                count += 1
                where = f"{document.name}: [{section}] {key}"
                self.assertIn(section, schemas, where)
                if key:
                    self.assertIn(key, keys(schemas[section]), where)
                if value:
                    parse(f"[{section}]\n{key} = {value}\n", schemas)
        self.assertGreater(count, 50)

    def test_every_link_leads_somewhere(self) -> None:
        """Those to files of ours."""
        for document in DOCUMENTS:
            for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
                if not link.startswith("http") and link not in GENERATED:
                    self.assertTrue((document.parent / link).exists(), f"{document.name}: {link}")

    def test_no_page_leads_out_of_the_site(self) -> None:
        """What is above the folder is there in the repository, and not in the site, which does not tell."""
        shared = ("../images/", "../examples/")
        for page in [*ENGLISH, *CHINESE]:
            for link in re.findall(r"\]\((\.\.[^)]*)\)", page.read_text()):
                self.assertTrue(page in CHINESE and link.startswith(shared), f"{page.name}: {link}")

    def test_every_anchor_that_the_readme_names_is_there(self) -> None:
        """Those between pages are looked at when the site is built."""
        found = re.findall(r"\]\((docs/[a-z-]+\.md)#([^)]+)\)", (ROOT / "README.md").read_text())
        self.assertGreater(len(found), 1)
        for name, anchor in found:
            titles = re.findall(r"^#+ (.*)$", (ROOT / name).read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in titles}
            self.assertIn(anchor, slugs, name)

    def test_every_folder_of_the_package_is_in_the_layout(self) -> None:
        """A newcomer finds the room."""
        text = (ROOT / "README.md").read_text()
        for one in sorted((ROOT / "rtcd").iterdir()):
            if (one / "__init__.py").exists():
                self.assertIn(f"`rtcd/{one.name}`", text)


class LanguageTests(SynchronousTestCase):
    """English and Chinese say the same."""

    def test_every_page_is_there_in_both_languages(self) -> None:
        """And none in Chinese alone."""
        english, chinese = ({one.name for one in pages} for pages in (ENGLISH, CHINESE))
        self.assertEqual(english - ENGLISH_FOR_NOW, chinese)

    def test_pages_have_the_same_headings(self) -> None:
        """As many of each level in the same order: a section that was added in one language is missed in the other."""
        for page in UP_TO_DATE:
            self.assertEqual(headings(page), headings(DOCS / page.name), page.name)

    def test_what_is_to_be_typed_is_the_same(self) -> None:
        """Configurations and commands need no translation."""
        for page in UP_TO_DATE:
            self.assertEqual(typed(page), typed(DOCS / page.name), page.name)

    def test_anchors_are_the_same(self) -> None:
        """A link to a heading of an English page leads to the same heading in Chinese."""
        for page in CHINESE:
            named = set(re.findall(r"^#+ .*\{ #([^ ]+) \}$", page.read_text(), re.MULTILINE))
            for other in CHINESE:
                used = set(re.findall(rf"\({re.escape(page.name)}#([^)]+)\)", other.read_text()))
                self.assertEqual(used - named, set(), f"{other.name} links to {page.name}")


class TroubleTests(SynchronousTestCase):
    """The pages of what goes wrong."""

    def test_every_trouble_is_in_the_list_of_what_is_seen(self) -> None:
        """Nobody knows in which page to look. Each has an anchor of its own, which outlives another wording."""
        for folder in (DOCS, DOCS / "zh"):
            listed = set(re.findall(r"\((trouble-[a-z]+\.md#[a-z0-9-]+)\)", (folder / "trouble.md").read_text()))
            for page in sorted(folder.glob("trouble-*.md")):
                text = page.read_text()
                found = re.findall(r"^## .*?(?: \{ #([a-z0-9-]+) \})?$", text, re.MULTILINE)
                self.assertNotIn("", found, page.name)
                self.assertEqual({f"{page.name}#{one}" for one in found} - listed, set(), folder)

    def test_every_trouble_says_why_what_rtcd_does_and_what_shows_it(self) -> None:
        """Those three, each time."""
        english, chinese = ("**Why", "**rtcd**", "**Shown by**"), ("原因", "**rtcd**", "**查看方法**")
        for folder, parts in ((DOCS, english), (DOCS / "zh", chinese)):
            for page in folder.glob("trouble-*.md"):
                for section in page.read_text().split("\n## ")[1:]:
                    for part in parts:
                        self.assertIn(part, section, f"{page.name}: {section[:40]}")


class OptionTests(SynchronousTestCase):
    """The page of all options, which is made when the site is built."""

    def setUp(self) -> None:
        """What the build reads."""
        self.schemas = shipped_schemas()
        self.catalogue = json.loads((DOCS / "zh" / "options.json").read_text())

    def test_every_option_is_on_the_page(self) -> None:
        """Under an anchor that other pages can lead to, with its default."""
        for page in (reference(self.schemas), reference(self.schemas, "zh", self.catalogue)):
            for section, schema in self.schemas.items():
                self.assertIn(f"## [{section}]", page)
                for field in dataclasses.fields(schema):
                    self.assertEqual(page.count(f'id="{section}-{key_of(field)}"'), 1, (section, field.name))
        self.assertIn("<code>49152</code>", page)

    def test_the_chinese_names_no_option_that_is_gone(self) -> None:
        """One that is renamed would fall back to English unseen."""
        for section, texts in self.catalogue.items():
            self.assertEqual(set(texts) - {key_of(one) for one in dataclasses.fields(self.schemas[section])} - {""}, set())
        self.assertGreater(sum(map(len, self.catalogue.values())), 140)

    def test_what_another_text_lacks_stays_english(self) -> None:
        """A new option is there at once."""
        page = reference(self.schemas, "zh", {"turn": {"port": "端口"}})
        self.assertIn("端口", page)
        self.assertIn("Listen on UDP.", page)

    def test_what_is_said_of_a_reload_is_what_a_reload_does(self) -> None:
        """Each number and switch is changed, and the daemon asked what it has taken over."""
        names = (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM)
        before = {one: signal.getsignal(one) for one in names}
        folder, ini = Path(self.mktemp()), self.mktemp()
        Path(ini).write_text(f"[daemon]\nstate-directory = {folder}\n[web]\n[signaling]\n[ice]\n[turn]\n[metrics]\n[check]\n"
                             "[admin]\n")
        found, reactor = plugins(), MemoryReactorClock()
        settings = tap.read(ini, found)
        root = tap.build(reactor, ini, settings, found, read=lambda: settings, environment={})
        self.addCleanup(lambda: [signal.signal(one, before[one]) for one in names])
        checked = 0
        for section in ("daemon", "doorway", "rooms", "credentials", "web", "signaling", "turn", "metrics", "check",
                        "admin"):
            old, schema = settings[section], self.schemas[section]
            for field in dataclasses.fields(schema):
                value = getattr(old, field.name)
                if section == "admin" and isinstance(value, str) and not field.metadata["choices"]:
                    new = replace(old, **{field.name: f"{value}x"})
                    taken = key_of(field) in root._reloads.apply(section, old, new)
                    self.assertEqual(is_taken(section, schema, field), taken, f"[{section}] {key_of(field)}")
                if not isinstance(value, (bool, int, float)) or (section, field.name) == ("turn", "stun_only"):
                    continue
                step = 1 if value < (field.metadata["maximum"] or 1e9) else -1
                other = not value if isinstance(value, bool) else value + step
                try:
                    new = replace(old, **{field.name: other})
                except ValueError:  # does not go with the others
                    continue
                taken = key_of(field) in root._reloads.apply(section, old, new)
                root._reloads.apply(section, new, old)
                self.assertEqual(is_taken(section, schema, field), taken, f"[{section}] {key_of(field)}")
                checked += 1
        self.assertGreater(checked, 60)


class ProtocolTests(SynchronousTestCase):
    """What clients are told of the protocol is what they get."""

    PAGES = (DOCS / "protocol.md", DOCS / "zh" / "protocol.md")

    def test_every_parameter_of_a_join_is_explained(self) -> None:
        """And no other."""
        site = Site("https://a", "wss://a/ws", "https://a/sig", "https://a/ice")
        given = set(parameters({}, site, "", "room", Seat("c", True, ())))
        for page in self.PAGES:
            table = page.read_text().split("| `params` | |\n|---|---|\n")[1].split("\n\n")[0]
            rows = [row.split("|")[1] for row in table.split("\n")]
            self.assertEqual({one for row in rows for one in re.findall(r"`(\w+)`", row)}, given, page)

    def test_every_error_of_the_websocket_is_explained(self) -> None:
        """In its own words."""
        refusals = [one.text for one in vars(switchboard).values() if isinstance(one, switchboard.Refused)]
        known = [messages.UNKNOWN.text, *refusals]
        self.assertEqual(len(known), 6)
        for page in self.PAGES:
            for text in known:
                self.assertIn(f"`{text}`", page.read_text())


class NavigationTests(SynchronousTestCase):
    """Where a page stands."""

    def setUp(self) -> None:
        """The site's own modules are no package."""
        spec = importlib.util.spec_from_file_location("navigation", DOCS / "site" / "navigation.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.navigation = module.navigation
        self.titles = {"start": "Start", "tasks": "Tasks", "more": "More"}

    def nav(self, sections: Mapping[str, list[str]], *pages: str) -> Any:
        """Of these pages."""
        return self.navigation(sections, self.titles, pages)

    def test_a_name_without_a_page_is_passed_over(self) -> None:
        """Its place is kept for when somebody writes it; a section of such names alone is left out."""
        sections = {"start": ["index", "later"], "tasks": ["later-too"], "more": []}
        self.assertEqual(self.nav(sections, "index"), [{"Start": ["index.md"]}])
        self.assertEqual(self.nav(sections, "index", "later"), [{"Start": ["index.md", "later.md"]}])

    def test_a_page_that_is_named_nowhere_is_the_last(self) -> None:
        """It is found all the same."""
        found = self.nav({"start": ["index"], "tasks": [], "more": []}, "index", "new", "even-newer")
        self.assertEqual(found, [{"Start": ["index.md"]}, {"More": ["even-newer.md", "new.md"]}])

    def test_every_page_of_ours_has_a_place(self) -> None:
        """Nothing ends under the last heading by mistake."""
        text = (ROOT / "mkdocs.yml").read_text().split("  sections:\n")[1].split("  titles:\n")[0]
        named = {one.strip() for line in re.findall(r"\[(.*)\]", text) for one in line.split(",")}
        self.assertEqual({one.stem for one in ENGLISH} - named, set())


def headings(page: Path) -> list[int]:
    """The levels of a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [len(one) for one in re.findall(r"^(#+) ", text, re.MULTILINE)]


def typed(page: Path) -> list[str]:
    """The lines of a page that are set off as code."""
    return re.findall(r"^ {4}\S.*$", page.read_text(), re.MULTILINE)
