"""The wheel: what it holds, how large the page is that it brings, and a call by that page in real Chromium."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from rtcd.web.texts import modules
from tests.daemon.packaging import BUILD_S, Packager
from tests.daemon.process import ROOT, TWISTD
from tests.interop import require_program
from tests.interop.test_page import FAKE_PERMISSION, PageTestCase

MAX_PAGE_BYTES = 150 * 1024
"""Of all scripts and styles together, not compressed: a phone on a slow network has to load them."""

STATIC = "rtcd/web/static"

OF_SOURCES = ("sources.test.mjs", "texts.test.mjs")
"""They read the scripts as we write them."""


class WheelTests(Packager, PageTestCase):
    """Built from a copy, and installed where nothing else is."""

    def launch(self, **options: Any) -> None:
        """Build, install, and start what is installed."""
        self.folder = self.copy()
        self.pip(sys.executable, "wheel", "--no-deps", "-w", str(self.folder / "dist"), str(self.folder))
        self.wheel, = (self.folder / "dist").glob("*.whl")
        self.python = self.venv()
        self.pip(self.python, "install", "--no-deps", str(self.wheel))
        super().launch(command=(self.python, *TWISTD[1:], "-n", "--pidfile="), extra={"PYTHONPATH": ""})

    def test_the_wheel_has_everything_and_its_page_makes_calls(self) -> None:
        """Static files, plugins, units, but nothing that would shadow Twisted; no tests. Its scripts are shorter."""
        with zipfile.ZipFile(self.wheel) as opened:
            sizes = {one.filename: one.file_size for one in opened.infolist()}
        expected = {str(one.relative_to(self.folder)) for top in ("rtcd", "twisted")
                    for one in (self.folder / top).rglob("*") if one.is_file()}
        expected |= {f"rtcd/install/units/{one.name}" for one in (self.folder / "systemd").iterdir()}
        packed = {name for name in sizes if name.endswith((".br", ".gz"))}
        self.assertEqual({name for name in sizes.keys() - packed if ".dist-info/" not in name}, expected)
        for name in ("page.css", "app.js", "texts-zh-CN.json", "favicon.svg"):
            self.assertTrue({f"{STATIC}/{name}.gz", f"{STATIC}/{name}.br"} <= packed, name)
        self.assertIn("twisted/plugins/rtcd_services.py", sizes)
        self.assertFalse(sizes.keys() & {"twisted/__init__.py", "twisted/plugins/__init__.py"})
        page = {name: size for name, size in sizes.items() if name.startswith(STATIC) and name.endswith((".js", ".css"))}
        self.assertLess(sum(page.values()), MAX_PAGE_BYTES, sorted(page.items(), key=lambda one: -one[1]))
        self.logic_holds()
        self.starts(self.python)
        self.installs_units()
        browser = self.browser(FAKE_PERMISSION)
        first = self.join(browser, "/r/wheel-room")
        links = "() => [...document.querySelectorAll('link[rel=modulepreload]')].map((one) => one.href)"
        needed = modules({path.name: path.read_text() for path in (ROOT / STATIC).glob("*.js")}, "app.js")
        self.assertEqual({one.rpartition("/")[2] for one in first.evaluate(links)}, set(needed))
        self.state(first, "waiting")
        second = self.join(browser, "/r/wheel-room")
        for one in (first, second):
            self.state(one, "connected")
            self.rising(one)
            one.keyboard.press("t")
            one.wait_for_selector("#chat-text:visible")
        self.assertEqual(self.complaints, [])

    def installs_units(self) -> None:
        """``rtcd install`` has what it writes, with no checkout near."""
        stage = self.folder / "stage"
        command = [str(Path(self.python).parent / "rtcd"), "install", "--yes", "--sockets", "--root", str(stage)]
        subprocess.run(command, check=True, cwd="/", capture_output=True, timeout=60, env={"PATH": "/usr/bin:/bin"})
        units = {one.name for one in (stage / "etc/systemd/system").iterdir() if one.is_file()}
        self.assertEqual(units, {one.name for one in (ROOT / "systemd").iterdir()})

    def logic_holds(self) -> None:
        """What made the scripts shorter has not changed what they do."""
        folder = Path(self.mktemp()).resolve()
        with zipfile.ZipFile(self.wheel) as opened:
            opened.extractall(folder)
        shutil.copytree(ROOT / "tests/js", folder / "tests/js", ignore=shutil.ignore_patterns("node_modules", *OF_SOURCES))
        tests = sorted((folder / "tests/js").glob("*.test.mjs"))
        self.assertGreater(len(tests), 20)
        command = [require_program("node"), "--test", *map(str, tests)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-5000:])
