"""The shipped ini holds every option, and starts as it is."""

from __future__ import annotations

import os
import pwd
import re
import shutil
from pathlib import Path
from typing import Any

from rtcd import sample
from rtcd.config import parse
from rtcd.plugin import plugins
from rtcd.schemas import Schemas
from tests.daemon.process import ROOT, TWISTD, DaemonTestCase

SHIPPED = ROOT / "etc" / "rtcd.ini"


ORDINARY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all,+dac_read_search",
            "--ambient-caps=-all,+dac_read_search", "--bounding-set=-all,+dac_read_search")
"""Makes a command an ordinary user's who may read this checkout and its Python wherever they are, and no more."""


class SampleTests(DaemonTestCase):
    """``etc/rtcd.ini``."""

    def test_it_is_what_the_settings_say(self) -> None:
        """If this fails: make ini."""
        self.assertEqual(SHIPPED.read_text(), sample.shipped())

    def test_every_service_is_on(self) -> None:
        """Rooms, signalling, credentials and the relay."""
        self.assertTrue({"web", "signaling", "ice", "turn"} <= set(re.findall(r"^\[(\w+)\]$", SHIPPED.read_text(), re.M)))

    def test_nothing_in_it_is_in_force_but_the_defaults(self) -> None:
        """Only sections are not commented out."""
        self.assertEqual([line for line in SHIPPED.read_text().splitlines() if line and line[0] not in "[#"], [])

    def test_every_commented_default_is_the_default(self) -> None:
        """What a reader gets who takes the comment sign away is what was in force before."""
        schemas = Schemas(plugins())
        text = re.sub(r"^# ([a-z0-9-]+ =.*|    .*)$", r"\1", SHIPPED.read_text(), flags=re.M)
        text = re.sub(r"^[a-z-]+-file =\n", "", text, flags=re.M)
        text = re.sub(r"^    twistd.*\n", "", text, flags=re.M)
        found = parse(text, schemas)
        for section, settings in found.items():
            self.assertEqual(settings, schemas[section](), section)
        self.assertGreater(text.count(" ="), 60)

    def test_prose_fits_into_a_hundred_columns(self) -> None:
        """Values may be longer."""
        prose = [line for line in SHIPPED.read_text().splitlines() if not re.match(r"# [a-z-]+ =", line)]
        self.assertEqual([line for line in prose if len(line) > sample.WIDTH], [])

    def test_it_starts_as_an_ordinary_user(self) -> None:
        """As it is, but for ports that others may hold just now, and clouds that are not asked."""
        text = SHIPPED.read_text()
        for key, value, free in (("https", "tcp:8443", "tcp:0"), ("http", "tcp:8080", "tcp:0"), ("port", "3478", "0"),
                                 ("tls-port", "5349", "0"),
                                 ("listen", "tcp:9641:interface=127.0.0.1", "tcp:0:interface=127.0.0.1")):
            self.assertIn(f"# {key} = {value}\n", text)
            text = text.replace(f"# {key} = {value}\n", f"{key} = {free}\n")
        self.assertIn("# external-ip = auto\n", text)
        text = text.replace("# external-ip = auto\n", "external-ip =\n")  # a test sends nothing off the machine
        options: dict[str, Any] = {}
        folder = Path(self.mktemp())
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            options = {"command": (*ORDINARY, *TWISTD, "-n", "--pidfile=")}
            folder.mkdir()
            shutil.chown(folder, nobody.pw_uid, nobody.pw_gid)
        daemon = self.run_daemon_in(folder, text, **options).started()
        self.assertEqual(self.get(f"https://localhost:{daemon.port()}/")[0], 200)
        self.assertEqual((daemon.stop(), daemon.errors()), (0, ""))
        self.assertEqual((folder / "state").stat().st_mode & 0o777, 0o700)
