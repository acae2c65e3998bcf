"""Tests with real sockets and other people's programs."""

from __future__ import annotations

import os
import shutil
from unittest import SkipTest


def require_program(name: str) -> str:
    """The path of a program. Without it the test is skipped, or fails where RTCD_REQUIRE_INTEROP=1."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("RTCD_REQUIRE_INTEROP") == "1":
            raise AssertionError(f"{name} is not installed")
        raise SkipTest(f"{name} is not installed")
    return path
