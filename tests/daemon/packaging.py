"""Building and installing rtcd with pip, from a copy, so that nothing is left behind in the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from unittest import SkipTest

from rtcd import __version__
from tests.daemon.process import ROOT, TWISTD, WEB, DaemonTestCase

BUILD_S = 300.0
"""How long pip may take; it downloads setuptools."""

BUILT = ("rtcd", "twisted", "etc", "systemd", "docs", "setup.cfg", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md",
         "CHANGELOG.md", "LICENSE")


class Packager(DaemonTestCase):
    """What tests of packages do with them."""

    def copy(self) -> Path:
        """A copy of the checkout, without what Python and Twisted have made."""
        target = Path(self.mktemp()).resolve()
        target.mkdir()
        for name in BUILT:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
            else:
                shutil.copy(source, target)
        return target

    def pip(self, python: str, *arguments: str) -> None:
        """Run pip; where nothing can be downloaded the test is skipped, but not in CI."""
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run([python, "-m", "pip", "-q", "--disable-pip-version-check", *arguments], env=kept,
                              capture_output=True, text=True, timeout=BUILD_S, check=False)
        if done.returncode and os.environ.get("RTCD_REQUIRE_INTEROP") != "1":
            raise SkipTest(f"pip cannot build here: {done.stderr.splitlines()[-1:]}")
        self.assertEqual(done.returncode, 0, done.stderr)

    def venv(self) -> str:
        """The Python of a new environment that sees the libraries of this one."""
        folder = Path(self.mktemp()).resolve()
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=BUILD_S)
        python = str(folder / "bin" / "python")
        site = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                              capture_output=True, text=True, timeout=60).stdout.strip()
        libraries = Path(site) / "zz_libraries"
        libraries.mkdir()
        for one in Path(sysconfig.get_path("purelib")).iterdir():
            if not re.match(r"(rtcd|__editable__|_+virtualenv|pip\b|setuptools|twisted$|.*\.pth$)", one.name):
                (libraries / one.name).symlink_to(one)
        self.copy_twisted(libraries)
        (Path(site) / "zz_libraries.pth").write_text(f"{libraries}\n")
        return python

    def copy_twisted(self, libraries: Path) -> None:
        """Twisted without the plugins that are installed beside it here."""
        import twisted

        shutil.copytree(Path(twisted.__file__).parent, libraries / "twisted",
                        ignore=shutil.ignore_patterns("dropin.cache", "rtcd_*", "test"))

    def starts(self, python: str) -> None:
        """``twistd rtcd`` is known in a folder that has nothing to do with the checkout, and runs; so does ``rtcd``."""
        command = (python, *TWISTD[1:], "-n", "--pidfile=")
        daemon = self.run_daemon(WEB, command=command, extra={"PYTHONPATH": ""}).started()
        self.assertEqual(self.get(f"https://127.0.0.1:{daemon.port()}/")[0], 200)
        self.assertEqual(daemon.stop(), 0)
        script = Path(python).parent / "rtcd"
        done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(done.stdout, f"rtcd {__version__}\n")
