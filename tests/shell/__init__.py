"""Tests of shells, on fakes and fake clocks."""

from __future__ import annotations

from tests import patience as patience
