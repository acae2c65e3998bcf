"""Looks at the machine before anything is planned: which files are there, where this program is, whether systemd runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rtcd import __version__
from rtcd.config import ConfigError
from rtcd.initext import scan
from rtcd.install import receipt
from rtcd.install.layout import SERVICE, Layout, hidden
from rtcd.install.limits import NEEDED
from rtcd.install.plan import Facts
from rtcd.install.shipped import HANDED, checkout
from rtcd.rights import closed_to

MAX_FILE_BYTES = 1 << 20
"""No unit and no ini is longer; what is stays as it is."""

ASK_S = 30
"""How long another program may take to say its version."""

LIMITS = Path("/proc/sys")

PACKAGE = Path(__file__).parents[1]
"""This rtcd."""

PYTHONS = tuple(f"/usr/bin/python3{one}" for one in (".13", ".12", ".11", ""))
"""Of the distribution."""


def survey(layout: Layout) -> Facts:
    """What `rtcd.install.plan` has to know. Raises `ConfigError` where the system refuses to tell."""
    _seen(layout)
    files = {path: data for path in layout.files if (data := _read(layout.staged(path), MAX_FILE_BYTES)) is not None}
    present = not layout.root and _version(layout) == __version__ and (layout.packaged or alike(layout))
    systemd = Path("/run/systemd/system").is_dir()
    return Facts(
        version=__version__,
        files=files,
        directories=frozenset(one for one in layout.directories if Path(layout.staged(one)).is_dir()),
        receipt=_receipt(layout),
        present=present,
        cached=present and cached(layout),
        environment=Path(layout.staged(layout.prefix), "pyvenv.cfg").is_file(),
        free=_free(Path(layout.staged(layout.prefix))),
        source=None if present else source(),
        creator=creator(),
        systemd=systemd,
        running=systemd and not layout.root and _active(),
        handed=_handed(files.get(layout.ini)),
        closed=None if layout.root else closed(layout.ini),
    )


def limits_in_force(layout: Layout) -> dict[str, int]:
    """The kernel's limits now; of another machine's, below another root, nothing is known."""
    if layout.root:
        return {}
    found = {}
    for key in NEEDED:
        data = _read(str(LIMITS / key.replace(".", "/")), 64) or b""
        if data.strip().isdigit():
            found[key] = int(data)
    return found


def source() -> str | None:
    """What pip can install this very version from: the checkout, or the folder or file that it came from."""
    if (found := checkout()) is not None:
        return str(found)
    try:
        told = metadata.distribution("rtcd").read_text("direct_url.json")
        url = urlsplit(json.loads(told or "{}").get("url", ""))
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    path = unquote(url.path)
    return path if url.scheme == "file" and os.path.exists(path) else None


def creator(candidates: tuple[str, ...] = PYTHONS) -> str | None:
    """The interpreter to make a virtual environment with: the one that runs this, unless the service does not see it."""
    own: str = getattr(sys, "_base_executable", "") or sys.executable
    if hidden(os.path.realpath(own)) is None:
        return own
    check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    for one in filter(os.path.exists, candidates):
        if hidden(os.path.realpath(one)) is None and _succeeds(one, "-c", check):
            return one
    return None


def closed(path: str) -> str | None:
    """The file, or a folder on the way to it, that others may not read or pass; None if it is not there."""
    try:
        found = closed_to(Path(path))
    except FileNotFoundError:
        return None
    return str(found[-1]) if found else None


def alike(layout: Layout, ours: Path = PACKAGE) -> bool:
    """Whether the rtcd at the prefix is this one to the last line: between two versions they have the same number."""
    there = _libraries(layout)
    return there is not None and _sources(there / "rtcd") == _sources(ours)


def cached(layout: Layout) -> bool:
    """Whether Twisted's list of plugins was made after the plugins."""
    there = _libraries(layout)
    if there is None:
        return layout.packaged  # whose package does that
    try:
        made = (there / "twisted/plugins/dropin.cache").stat().st_mtime
    except FileNotFoundError:
        return False
    return all(one.stat().st_mtime <= made for one in (there / "twisted/plugins").glob("*.py"))


def _libraries(layout: Layout) -> Path | None:
    return next(iter(sorted(Path(layout.prefix).glob("lib/python3*/site-packages"))), None)


def _sources(package: Path) -> dict[str, bytes]:
    return {str(one.relative_to(package)): one.read_bytes() for one in package.rglob("*.py")}


def _seen(layout: Layout) -> None:
    """Raises `ConfigError` if the program at the prefix is run by an interpreter that the service does not see."""
    place = hidden(os.path.realpath(layout.staged(layout.python)))
    if not layout.root and place is not None:
        raise ConfigError("", "", f"{layout.python}: leads to {place}, which the service does not see; remove"
                                  f" {layout.prefix} and install it with a Python of the distribution")


def _receipt(layout: Layout) -> receipt.Receipt | None:
    path = layout.staged(layout.receipt)
    data = _read(path, receipt.MAX_BYTES)
    if data is None:
        return None
    try:
        return receipt.decode(data)
    except ValueError as error:
        raise ConfigError("", "", f"{path}: {error}; move it away, and what it was for has to be removed by hand") from None


def _handed(ini: bytes | None) -> bool:
    """Whether the ini takes its sockets from systemd. One that cannot be read is the daemon's to complain of."""
    doorway = scan((ini or b"").decode("utf-8-sig", "replace")).sections.get("doorway", {})
    return all(key in doorway and doorway[key].text.startswith("systemd:") for key in HANDED)


def _free(place: Path) -> bool:
    try:
        return not any(place.iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _version(layout: Layout) -> str | None:
    """Of the rtcd at the prefix; None if there is none that runs."""
    if Path(sys.prefix).resolve() == Path(layout.prefix).resolve():
        return __version__
    if not Path(layout.python).exists():
        return None
    command = (layout.python, "-I", "-c", "import rtcd; print(rtcd.__version__)")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=False, cwd="/")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _active() -> bool:
    return _succeeds("systemctl", "is-active", "--quiet", SERVICE)


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, timeout=ASK_S, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _read(path: str, most: int) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(most + 1)[:most]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError("", "", f"{path}: cannot be read ({error.strerror}); run this as root") from None
