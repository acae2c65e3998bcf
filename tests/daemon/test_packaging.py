"""Installed in either way, rtcd is found from any folder, with all that belongs to it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile

from tests.daemon.packaging import BUILD_S, Packager
from tests.daemon.process import ROOT, TWISTD, environment


class PackagingTests(Packager):
    """A source archive, an editable install, and the checkout as it is; the wheel has a module of its own."""

    def test_the_source_archive_has_what_an_operator_installs(self) -> None:
        """The ini, the units, the files for fail2ban and the documents, which are in no wheel."""
        folder, python = self.copy(), sys.executable if importlib.util.find_spec("setuptools") else self.venv()
        if python != sys.executable:
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
