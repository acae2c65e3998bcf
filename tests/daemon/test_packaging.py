"""Installed in either way, rtcd is found from any folder, with all that belongs to it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from unittest import SkipTest

from rtcd import __version__
from tests.daemon.process import ROOT, TWISTD, WEB, DaemonTestCase, environment

BUILD_S = 300.0
"""How long pip may take; it downloads setuptools."""

BUILT = ("rtcd", "twisted", "etc", "systemd", "docs", "setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md",
         "CHANGELOG.md", "LICENSE")


class PackagingTests(DaemonTestCase):
    """With pip, from a copy, so that nothing is left behind in the checkout."""

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
                        ignore=shutil.ignore_patterns("__pycache__", "dropin.cache", "rtcd_*.py", "test"))

    def starts(self, python: str) -> None:
        """``twistd rtcd`` is known in a folder that has nothing to do with the checkout, and runs; so does ``rtcd``."""
        command = (python, *TWISTD[1:], "-n", "--pidfile=")
        daemon = self.run_daemon(WEB, command=command, extra={"PYTHONPATH": ""}).started()
        self.assertEqual(self.get(f"https://127.0.0.1:{daemon.port()}/")[0], 200)
        self.assertEqual(daemon.stop(), 0)
        script = Path(python).parent / "rtcd"
        done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(done.stdout, f"rtcd {__version__}\n")

    def test_the_wheel_has_everything_and_runs_from_any_folder(self) -> None:
        """Static files and plugins, but nothing that would shadow Twisted; no tests."""
        folder = self.copy()
        self.pip(sys.executable, "wheel", "--no-deps", "-w", str(folder / "dist"), str(folder))
        wheel, = (folder / "dist").glob("*.whl")
        names = set(zipfile.ZipFile(wheel).namelist())
        expected = {str(one.relative_to(folder)) for top in ("rtcd", "twisted") for one in (folder / top).rglob("*")
                    if one.is_file()}
        self.assertEqual({name for name in names if ".dist-info/" not in name}, expected)
        self.assertIn("rtcd/web/static/index.html", names)
        self.assertIn("twisted/plugins/rtcd_services.py", names)
        self.assertFalse(names & {"twisted/__init__.py", "twisted/plugins/__init__.py"})
        python = self.venv()
        self.pip(python, "install", "--no-deps", str(wheel))
        self.starts(python)

    def test_the_source_archive_has_what_an_operator_installs(self) -> None:
        """The ini, the units, the files for fail2ban and the documents, which are in no wheel."""
        folder, python = self.copy(), self.venv()
        self.pip(python, "install", "setuptools")
        done = subprocess.run([python, "-c", "import setuptools; setuptools.setup()", "-q", "sdist"], cwd=folder,
                              capture_output=True, text=True, timeout=BUILD_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        archive, = (folder / "dist").glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            names = {one.name.partition("/")[2] for one in tar.getmembers() if one.isfile()}
        shipped = {str(one.relative_to(folder)) for top in ("etc", "systemd") for one in (folder / top).rglob("*")
                   if one.is_file()}
        self.assertEqual(shipped - names, set())
        self.assertTrue({"etc/fail2ban/filter.d/rtcd.conf", "docs/operating.md", "rtcd/tap.py"} <= names)

    def test_an_editable_install_is_found_from_any_folder(self) -> None:
        """Twisted looks for plugins in real folders only."""
        folder, python = self.copy(), self.venv()
        self.pip(python, "install", "--no-deps", "-e", str(folder))
        self.starts(python)

    def test_a_bare_checkout_runs_with_its_path(self) -> None:
        """PYTHONPATH=. twistd -n rtcd --config etc/rtcd.ini."""
        done = subprocess.run(
            [*TWISTD, "--help"], cwd=ROOT, env=environment({"PYTHONPATH": "."}), capture_output=True, text=True, timeout=60,
            check=True)
        self.assertIn("    rtcd ", done.stdout)

    def test_nothing_in_the_checkout_shadows_twisted(self) -> None:
        """Or Twisted itself would not be found."""
        self.assertEqual([str(one) for one in (ROOT / "twisted").rglob("__init__.py")], [])
