"""Several certificates of the operator's: by name, in certbot's layout, and for the names that are needed."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from rtcd.config import ConfigError, section_from
from rtcd.doorway.settings import DoorwaySettings
from rtcd.metrics import Metrics
from rtcd.state import StateDirectory
from rtcd.tls import files
from rtcd.tls.authority import DAY_S, SERVER_DAYS, Pair, issue, make_authority, names_of
from rtcd.tls.certificates import POLL_S, Certificates
from rtcd.tls.local import Machine
from rtcd.tls.settings import TlsSettings
from tests.fakes import make_doorway
from tests.shell.test_tls_certificates import NOW, CertificatesTestCase

NAMES = ["one.example", "two.example", "three.example"]


class FilesTestCase(CertificatesTestCase):
    """Somebody else's authority, whose certificates are put into files."""

    def setUp(self) -> None:
        super().setUp()
        self.authority = make_authority("elsewhere", NAMES, NOW)
        self.live = self.directory / "live"
        self.live.mkdir()

    def put(self, folder: Path, *names: str) -> Pair:
        """Certificate and key of these names in certbot's two files."""
        folder.mkdir(exist_ok=True)
        pair = issue(self.authority, names, NOW)
        (folder / "fullchain.pem").write_bytes(pair.certificate_pem() + self.authority.certificate_pem())
        (folder / "privkey.pem").write_bytes(pair.key_pem())
        return pair

    def named(self, *folders: str) -> dict[str, Any]:
        """Settings that name the files of these folders one by one."""
        return {key: tuple(str(self.directory / folder / file) for folder in folders)
                for key, file in (("cert", "fullchain.pem"), ("key", "privkey.pem"))}

    def shown(self, found: Certificates) -> list[str]:
        """The first name of each certificate, the default one first."""
        return [names_of(chain.certificates[0])[0] for chain in found.chains]

    def needing(self, *hosts: str, **settings: Any) -> Certificates:
        """The service of a site that browsers reach by these hosts, loaded."""
        found = Certificates(self.clock, TlsSettings(**settings), StateDirectory(self.mktemp()), Metrics(),
                             alpn=list, hosts=hosts, required=hosts, machine_names=lambda: Machine("box", []))
        found.load()
        return found


class SeveralTests(FilesTestCase):
    """More than one certificate."""

    def test_the_first_one_is_for_everybody_else(self) -> None:
        """Unless browsers come here by another one's name."""
        for name in ("two", "one"):
            self.put(self.directory / name, f"{name}.example")
        self.assertEqual(self.shown(self.make(**self.named("two", "one"))), ["two.example", "one.example"])
        found = self.needing("one.example", **self.named("two", "one"))
        self.assertEqual(self.shown(found), ["one.example", "two.example"])
        self.assertEqual(found.names, ("one.example", "two.example"))

    def test_each_certificate_needs_its_key(self) -> None:
        """In the same order."""
        for name in ("one", "two"):
            self.put(self.directory / name, f"{name}.example")
        settings = self.named("one", "two")
        settings["key"] = tuple(reversed(settings["key"]))
        fault = self.assertRaises(ConfigError, self.make, **settings)
        self.assertIn("does not belong to the key", str(fault))

    def test_what_cannot_be_is_refused_by_name(self) -> None:
        """In one line with section and key."""
        for values, key in (
            ({"cert": "a\nb", "key": "a"}, "key"), ({"cert": "a"}, "key"), ({"key": "a"}, "cert"),
            ({"mode": "files"}, "mode"),
            ({"mode": "acme", "cert": "a", "key": "a"}, "mode"), ({"mode": "local", "live": "x"}, "mode"),
            ({"mode": "magic"}, "mode"),
        ):
            fault = self.assertRaises(ConfigError, section_from, "tls", values, TlsSettings)
            self.assertTrue(str(fault).startswith(f"[tls] {key}: "), str(fault))

    def test_files_are_named_relative_to_the_ini(self) -> None:
        """Wherever the daemon is started."""
        found = section_from("tls", {"cert": "a\n/b", "key": "c\nd", "live": "e"}, TlsSettings, Path("/etc/rtcd"))
        self.assertEqual((found.cert, found.key, found.live), (
            ("/etc/rtcd/a", "/b"), ("/etc/rtcd/c", "/etc/rtcd/d"), "/etc/rtcd/e"))


class LiveTests(FilesTestCase):
    """certbot's ``live``."""

    def test_every_folder_is_a_certificate(self) -> None:
        """After those that are named; what is no such folder is left out."""
        self.put(self.live / "b.example", "two.example")
        self.put(self.live / "a.example", "three.example")
        self.put(self.directory / "one", "one.example")
        (self.live / "README").write_text("of certbot")
        (self.live / "empty").mkdir()
        found = self.make(**self.named("one"), live=str(self.live))
        self.assertEqual(self.shown(found), ["one.example", "three.example", "two.example"])

    def test_a_new_folder_and_a_renewal_are_taken_by_themselves(self) -> None:
        """And one that goes away is shown no more."""
        self.put(self.live / "one", "one.example")
        found = self.started(live=str(self.live))
        self.put(self.live / "two", "two.example")
        self.clock.advance(POLL_S)
        self.assertEqual(self.shown(found), ["one.example", "two.example"])
        renewed = self.put(self.live / "one", "one.example")
        self.clock.advance(POLL_S)
        self.assertEqual(found.chains[0].certificates[0], renewed.certificate)
        shutil.rmtree(self.live / "one")
        self.clock.advance(POLL_S)
        self.assertEqual(self.shown(found), ["two.example"])

    def test_one_bad_certificate_keeps_all_that_are_in_service(self) -> None:
        """What a renewal has done half is not shown half."""
        self.put(self.live / "one", "one.example")
        found = self.started(live=str(self.live))
        self.put(self.live / "two", "two.example")
        (self.live / "two" / "privkey.pem").write_text("rubbish")
        self.clock.advance(POLL_S)
        self.assertEqual(self.shown(found), ["one.example"])
        self.put(self.live / "two", "two.example")
        self.clock.advance(POLL_S)
        self.assertEqual(self.shown(found), ["one.example", "two.example"])

    def test_a_site_that_was_given_up_stops_no_renewal(self) -> None:
        """Its certificate runs out one day; certbot leaves the folder there. A start goes without it as well."""
        self.put(self.live / "one", "one.example")
        folder = self.live / "zz-old"
        self.put(folder, "two.example")
        found = self.started(live=str(self.live))
        old = issue(self.authority, ["two.example"], NOW - 400 * DAY_S)
        (folder / "fullchain.pem").write_bytes(old.certificate_pem())
        (folder / "privkey.pem").write_bytes(old.key_pem())
        renewed = self.put(self.live / "one", "one.example")
        self.clock.advance(POLL_S)
        self.assertEqual(self.shown(found), ["one.example", "two.example"], "what it had before is valid still")
        self.assertEqual(found.chains[0].certificates[0], renewed.certificate)
        self.assertEqual(self.shown(self.make(live=str(self.live))), ["one.example"])

    def test_links_that_lead_nowhere_are_a_fault_of_that_certificate(self) -> None:
        """Such as those into an archive that only root may read; the watch goes on."""
        self.put(self.live / "one", "one.example")
        (self.live / "two").mkdir()
        for name in ("fullchain.pem", "privkey.pem"):
            (self.live / "two" / name).symlink_to(self.directory / "nowhere")
        found = self.started(live=str(self.live))
        self.assertEqual(self.shown(found), ["one.example"])
        shutil.rmtree(self.live / "one")
        self.clock.advance(POLL_S)
        self.assertEqual(self.shown(found), ["one.example"])
        self.assertRaises(ConfigError, self.make, live=str(self.live))

    def test_a_password_is_for_the_key_that_needs_it(self) -> None:
        """certbot's keys have none."""
        self.put(self.live / "one", "one.example")
        pair = self.put(self.directory / "two", "two.example")
        locked = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"sesame"))
        (self.directory / "two" / "privkey.pem").write_bytes(locked)
        found = self.make(**self.named("two"), live=str(self.live), key_password="sesame")
        self.assertEqual(self.shown(found), ["two.example", "one.example"])

    def test_a_directory_without_any_is_refused(self) -> None:
        """Empty, missing, or not one."""
        for path in (self.live, self.directory / "none", Path(__file__)):
            fault = self.assertRaises(ConfigError, self.make, live=str(path))
            self.assertTrue(str(fault).startswith("[tls] live: "), str(fault))

    def test_there_are_so_many_folders_and_no_more(self) -> None:
        """Somebody has named the wrong directory."""
        self.patch(files, "MAX_CERTIFICATES", 2)
        for name in ("one", "two"):
            self.put(self.live / name, f"{name}.example")
        self.make(live=str(self.live))
        self.put(self.live / "three", "three.example")
        self.assertIn("more than 2 folders", str(self.assertRaises(ConfigError, self.make, live=str(self.live))))


class WarningTests(FilesTestCase):
    """What works, and is not right."""

    def warned(self) -> list[str]:
        """Watch what is warned of."""
        lines: list[str] = []

        def warn(text: str, **values: Any) -> None:
            lines.append(text.format(**values))

        self.patch(Certificates, "_log", SimpleNamespace(warn=warn, info=lambda text, **values: None))
        return lines

    def test_what_is_wrong_is_told_once_for_each_certificate(self) -> None:
        """However often it is loaded again: none of these is one that browsers know."""
        for name in ("one", "two"):
            self.put(self.live / name, f"{name}.example")
        lines = self.warned()
        found = self.started(live=str(self.live))
        self.clock.advance(DAY_S)
        self.assertTrue(found.reload())
        self.assertEqual([line.partition(": is signed by itself")[0] for line in lines], [
            f"[tls] cert: {self.live / name / 'fullchain.pem'}" for name in ("one", "two")])
        self.put(self.live / "two", "two.example")
        self.clock.advance(POLL_S)
        self.assertEqual(len(lines), 3)

    def test_every_certificate_that_ends_soon_is_told_of_each_day(self) -> None:
        """Not the default one alone: whatever renews it has not."""
        for name in ("one", "two"):
            self.put(self.live / name, f"{name}.example")
        lines = self.warned()
        self.started(live=str(self.live))
        del lines[:]
        self.clock.pump([DAY_S] * (SERVER_DAYS - 3))
        last = [line for line in lines if "expires in" in line][-2:]
        self.assertEqual([line.partition(" expires")[0] for line in last], [
            f"[tls] cert: {self.live / name / 'fullchain.pem'}" for name in ("one", "two")])


class NeededTests(FilesTestCase):
    """Names by which browsers come here."""

    def test_a_name_that_no_certificate_is_for_is_refused(self) -> None:
        """The public name, or one of [tls] names; with what there is, and the mend."""
        self.put(self.directory / "one", "one.example")
        other = {"names": ("two.example",)}
        for hosts, more, key in ((["two.example"], {}, "public-url"), (["one.example"], other, "names")):
            fault = self.assertRaises(ConfigError, self.needing, *hosts, **self.named("one"), **more)
            self.assertTrue(str(fault).startswith("[tls] cert: no certificate is for two.example, only for one.example;"))
            self.assertIn(key, str(fault))
        self.needing("one.example", **self.named("one"))

    def test_behind_a_proxy_the_public_name_is_not_ours_to_have(self) -> None:
        """What is shown at the port of TURN is for another host; [tls] names still have to be in it."""
        self.put(self.directory / "one", "one.example")
        for names, starts in ((("one.example",), True), (("two.example",), False)):
            door = make_doorway(
                self.clock, self.mktemp(), DoorwaySettings(
                    https=(), http=(), plain=("tcp:8081",), public_url="https://meet.example"),
                TlsSettings(**self.named("one"), names=names))
            door.tls("stun.turn")
            door.add_child("/", Resource())
            if starts:
                door.privilegedStartService()
            else:
                self.assertRaises(ConfigError, door.privilegedStartService)

    def test_a_renewal_without_the_name_keeps_the_certificate_in_service(self) -> None:
        """It would be refused by every browser."""
        self.put(self.directory / "one", "one.example")
        found = self.needing("one.example", **self.named("one"))
        self.put(self.directory / "one", "two.example")
        self.assertFalse(found.reload())
        self.assertEqual(found.names, ("one.example",))


class StateTests(SynchronousTestCase):
    """What tells that something has changed."""

    def test_what_cannot_be_seen_is_no_fault(self) -> None:
        """It is one when it is loaded."""
        self.assertEqual(files.look(TlsSettings(live="/nowhere/at/all")), [None])
        self.assertEqual(files.look(TlsSettings(cert=("a\0b",), key=("/none",))), [None, None])
        self.assertEqual(files.look(TlsSettings()), [])
