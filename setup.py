"""What setup.cfg cannot say: a wheel brings the scripts and styles of the page without comments and long names, and all
of the page compressed too.

An editable install and a bare checkout serve the files as they are written; gzip is made at start then.
"""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

from rtcd.web import files  # noqa: E402

try:
    from brotli import compress as brotli
except ImportError:  # no wheel of it for this machine, or a builder that does not read pyproject.toml
    brotli = None
try:
    from minify import string as minify
except ImportError:  # likewise: the page is larger then, and the same
    minify = None

SHORTENED = {".js": "application/javascript", ".css": "text/css"}


class BuildPy(build_py):
    """Copies the package, makes what browsers run short, and writes ``NAME.gz`` and ``NAME.br`` beside what gets shorter."""

    packed: list[Path] = []  # noqa: RUF012

    def run(self) -> None:
        """Build."""
        super().run()
        target = Path(self.build_lib, "rtcd", "web", "static")
        if not self.editable_mode and target.is_dir():
            self._shorten(target)
            self.packed = files.pack(target, target, brotli)

    def _shorten(self, target: Path) -> None:
        for path in sorted(target.iterdir()) if minify else ():
            if path.suffix in SHORTENED:
                short = minify(SHORTENED[path.suffix], path.read_text(encoding="utf-8"))
                path.write_text(short, encoding="utf-8")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What there is to install."""
        return [*super().get_outputs(include_bytecode), *map(str, self.packed)]


setup(cmdclass={"build_py": BuildPy})
