"""The databases of certificates that browsers keep. What lets a page with a bad certificate pass does not let ``turns:``
pass, since WebRTC verifies by itself: so an authority has to be among the browser's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.interop import require_program


def believe(authority: Path, database: Path) -> None:
    """Make a database, in a folder that is to be made or is empty, that believes an authority, a file."""
    certutil = require_program("certutil")
    database.mkdir(parents=True, exist_ok=True)
    for arguments in (("-N", "--empty-password"), ("-A", "-t", "C,,", "-n", "rtcd", "-i", str(authority))):
        subprocess.run([certutil, "-d", f"sql:{database}", *arguments], check=True, capture_output=True, timeout=30)


def home(authority: Path, folder: Path) -> dict[str, str | float | bool]:
    """The environment of a Chromium that believes an authority: its home is a folder that is to be made."""
    believe(authority, folder / ".pki" / "nssdb")
    return {**os.environ, "HOME": str(folder)}
