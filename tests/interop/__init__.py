"""Tests with real sockets and other people's programs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn
from unittest import SkipTest

MODULES = Path(__file__).resolve().parents[1] / "js"
"""Where packages of npm are installed that only tests use."""


def require_program(name: str) -> str:
    """The path of a program. Without it the test is skipped, or fails where RTCD_REQUIRE_INTEROP=1."""
    return shutil.which(name) or missing(name)


def require_npm(name: str) -> Path:
    """The folder in whose node_modules a package of npm is; likewise. RTCD_NPM names another one."""
    folder = Path(os.environ.get("RTCD_NPM", MODULES))
    return folder if (folder / "node_modules" / name).is_dir() else missing(f"{name} of npm")


def missing(what: str) -> NoReturn:
    """Skip a test or fail it, for want of something."""
    if os.environ.get("RTCD_REQUIRE_INTEROP") == "1":
        raise AssertionError(f"{what} is not installed")
    raise SkipTest(f"{what} is not installed")
