"""Tests of cores: no reactor, no socket, no clock."""

from __future__ import annotations

from tests import patience as patience
