"""What setup.cfg cannot say: a wheel brings the scripts and styles of the page without comments and long names, and all
of the page compressed too. It has the units of systemd where ``rtcd install`` finds them.

An editable install and a bare checkout serve the files as they are written; gzip is made at start then.
"""

import re
import shutil
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

COMMENT = re.compile(r"/\*\*[\s\S]*?\*/|^\s*//[^\n]*$", re.M)
TEXT = re.compile(r"\"[^\"\n]*\"|`[^`]*`")
INSERTED = re.compile(r"\$\{[^}]*\}")
OWN = re.compile(r"^(?:async )?(?:const|let|function\*?|class) (\w+)", re.M)
"""What a module declares for itself, at the beginning of a line; an exported one begins with another word."""
PROPERTY = r"[{{,]\s*{0}\s*(?:[,}}]|=[^=>])|\b{0}\??\s*:|\{{\s*{0}\(|^ +(?:\w+ |\*)*{0}\(.*\{{$|^  {0}(?: =|;)"
"""How a name looks that may be one of a property, a field or a method."""


def rename(script: str) -> str:
    """A module in which what is its own has short names. The minifier takes each file for a script, of whose names others
    might know. A name that may also be a property or a word of a text stays as it is."""
    code = COMMENT.sub("", script)
    words = set(re.findall(r"\w+", INSERTED.sub("", " ".join(TEXT.findall(code)))))
    for number, name in enumerate(dict.fromkeys(OWN.findall(code))):
        if name not in words and not re.search(PROPERTY.format(name), code, re.M):
            code = re.sub(rf"(?<![\w#$])(?:(?<!\.)|(?<=\.\.\.)){name}\b", f"${number}", code)
    return code


SHORTENED = {".js": "application/javascript", ".css": "text/css"}


class BuildPy(build_py):
    """Copies the package and the units, makes what browsers run short, and writes ``NAME.gz`` and ``NAME.br`` beside what
    gets shorter."""

    packed: list[Path] = []  # noqa: RUF012
    units: list[Path] = []  # noqa: RUF012

    def run(self) -> None:
        """Build."""
        super().run()
        target = Path(self.build_lib, "rtcd", "web", "static")
        if not self.editable_mode and target.is_dir():
            self._shorten(target)
            self.packed = files.pack(target, target, brotli)
            self.units = self._copy_units(Path(self.build_lib, "rtcd", "install", "units"))

    def _copy_units(self, target: Path) -> list[Path]:
        target.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copyfile(one, target / one.name)) for one in sorted(Path("systemd").iterdir())]

    def _shorten(self, target: Path) -> None:
        for path in sorted(target.iterdir()) if minify else ():
            if path.suffix in SHORTENED:
                text = path.read_text(encoding="utf-8")
                short = minify(SHORTENED[path.suffix], rename(text) if path.suffix == ".js" else text)
                path.write_text(short, encoding="utf-8")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What there is to install."""
        return [*super().get_outputs(include_bytecode), *map(str, self.packed), *map(str, self.units)]


setup(cmdclass={"build_py": BuildPy})
