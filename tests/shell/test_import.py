"""``rtcd import`` in this process, with files on disk. What it finds in them: tests.unit.test_importer."""

from __future__ import annotations

import json
import os
import time

from rtcd.cli import import_
from rtcd.importer.importing import MAX_FILES
from rtcd.tls.authority import issue, make_authority
from tests.daemon.process import ROOT
from tests.shell.test_cli import CommandTestCase
from tests.unit.test_importer import GUIDES

FILES = [str(ROOT / "tests" / "guides" / name) for name in GUIDES]


class Importing(CommandTestCase):
    def test_the_ini_goes_to_standard_output_and_the_rest_to_standard_error(self) -> None:
        code, out, errors = self.run_command("import", *FILES)
        self.assertEqual(code, 0)
        self.assertIn("\n[turn]\n", out)
        for said in ("Wrong in the original: ", "Dropped: ", "Kept: ", f"{FILES[0]}:10: static-auth-secret=********: "):
            self.assertIn(said, errors)

    def test_a_file_is_written_for_its_owner_alone_and_never_over_another(self) -> None:
        path = self.folder / "made.ini"
        out = self.done("import", FILES[0], "-o", str(path))
        self.assertIn(f"{path} is written. Look it through, then: rtcd check-config -c {path}", out)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        before = path.read_text()
        self.assertIn("is there already", self.refused("import", FILES[1], "-o", str(path)))
        self.assertEqual(path.read_text(), before)
        self.assertIn("no fault", self.done("check-config", "-c", str(path)))

    def test_machines_are_told_the_same(self) -> None:
        found = json.loads(self.done("import", *FILES, "--json"))
        self.assertIn("\n[turn]\n", found["ini"])
        self.assertEqual(set(found["files"]), set(FILES))
        self.assertIn({"file": FILES[1], "line": 1, "original": "-r nort.gov"}.items(), [
            {key: one[key] for key in ("file", "line", "original")}.items() for one in found["wrong"]])
        path = self.folder / "made.ini"
        found = json.loads(self.done("import", FILES[0], "--json", "-o", str(path)))
        self.assertEqual((found["output"], "ini" in found), (str(path), False))

    def test_what_cannot_be_read_is_told_and_nothing_is_written(self) -> None:
        path, pipe, odd = self.folder / "made.ini", self.folder / "pipe", self.folder / "odd"
        os.mkfifo(pipe)
        odd.write_text("hello\n")
        for file, said in ((self.folder / "nowhere", "No such file"), (self.folder, "directory"), (pipe, "no plain file"),
                           (odd, "is neither of coturn nor"), ("a\0b", "null")):
            self.assertIn(said, self.refused("import", str(file), "-o", str(path)))
        self.assertFalse(path.exists())
        self.assertIn(f"more than {MAX_FILES} files", self.refused("import", *(str(one) for one in range(MAX_FILES + 1))))
        self.assertIn(f"{odd}: not read: ", self.done("import", str(odd), FILES[0], "-o", str(path)))

    def test_a_text_of_an_older_machine_is_read(self) -> None:
        path = self.folder / "turnserver.conf"
        path.write_bytes(b"# gr\xfc\xdfe\nrealm=meet.example.net\nuser-quota=12\n")
        self.assertIn("user-quota = 12\n", self.run_command("import", str(path))[1])

    def test_a_file_without_end_is_not_read_to_it(self) -> None:
        self.assertIn("is longer than", self.refused("import", "/dev/zero"))

    def test_a_certificate_is_looked_at_as_the_daemon_would(self) -> None:
        """Self-signed, of another name, good, and no certificate at all."""
        now = time.time()
        authority = make_authority("elsewhere", ["meet.example.net"], now)
        pair = issue(authority, ["meet.example.net"], now)
        for name, one in (("ca", authority), ("good", pair)):
            (self.folder / f"{name}.crt").write_bytes(one.certificate_pem())
            (self.folder / f"{name}.key").write_bytes(one.key_pem())
        (self.folder / "none.crt").write_text("hello")
        at = self.folder
        for cert, key, hosts, said in (
            ("good", "good", ["meet.example.net"], ("", False)), ("ca", "ca", [], (f"{at}/ca.crt is self-signed", True)),
            ("good", "good", ["a.net"], (f"{at}/good.crt is not for a.net", False)),
            ("none", "good", [], (f"{at}/none.crt holds no PEM certificate; name the file that begins with one", False)),
        ):
            looked = import_._look(f"{at}/{cert}.crt", f"{at}/{key}.key", hosts, now)
            self.assertEqual((looked.reason, looked.self_signed), said)
        self.assertIsNone(import_._look(f"{at}/x", f"{at}/y", [], now).self_signed)
        path = self.folder / "turnserver.conf"
        path.write_text(f"realm=meet.example.net\ncert={at}/good.crt\npkey={at}/good.key\n")
        self.assertIn(f"[tls]\ncert = {at}/good.crt\nkey = {at}/good.key\n", self.run_command("import", str(path))[1])
