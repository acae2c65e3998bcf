"""What a node is called."""

from __future__ import annotations

import secrets


def new_node(daemon: str = "") -> str:
    """A name that no other process has, or had; ``daemon``: what the names of all processes of this daemon begin with."""
    return daemon + secrets.token_hex(8)
