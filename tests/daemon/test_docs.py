"""What the documents show is true: their ini files are read, their links lead somewhere."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import key_of, parse
from rtcd.plugin import plugins
from rtcd.schemas import Schemas
from tests.daemon.process import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


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
                if not link.startswith("http"):
                    self.assertTrue((document.parent / link).exists(), f"{document.name}: {link}")

    def test_every_folder_of_the_package_is_in_the_layout(self) -> None:
        """A newcomer finds the room."""
        text = (ROOT / "README.md").read_text()
        for one in sorted((ROOT / "rtcd").iterdir()):
            if (one / "__init__.py").exists():
                self.assertIn(f"`rtcd/{one.name}`", text)
