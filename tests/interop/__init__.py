"""Real clients against the real daemon on loopback, with ports that the system chooses."""

from __future__ import annotations

import os
import shutil
import unittest


def require_program(name: str) -> str:
    """The path of a program on this machine, without which a test is skipped; with RTCD_REQUIRE_INTEROP=1 it fails."""
    path = shutil.which(name)
    if path is not None:
        return path
    if os.environ.get("RTCD_REQUIRE_INTEROP") == "1":
        raise AssertionError(f"{name} is not installed, and RTCD_REQUIRE_INTEROP=1 says that it must be")
    raise unittest.SkipTest(f"{name} is not installed")
