"""The label values of what is counted of TURN: fixed sets, so that every series is there from the start with 0.

Of a series that is born when something happens for the first time, Prometheus sees no increase.
"""

from __future__ import annotations

from rtcd.stun.message import Method

ENDS = (
    "client left", "connection closed", "ended by operator", "expired", "refreshed to 0", "shut down", "trial over")
"""Why allocations end."""

DROPS = (
    "amplifies", "denied peer", "look-ups", "malformed", "no allocation", "no permission", "rate", "too many connections",
    "transport off", "unexpected", "unsignalled peer")
"""Why the server drops datagrams; what the relay plane drops is rtcd.plane.drops' business."""

OK = 0
"""Stands for success among the error codes."""
_ALL = (OK, 400, 401, 420, 438)
_HELD = (405, 437, 441)

ANSWERS: dict[Method, tuple[int, ...]] = {
    Method.BINDING: _ALL,
    Method.ALLOCATE: (*_ALL, 300, 403, 405, 437, 440, 441, 442, 486, 508),
    Method.REFRESH: (*_ALL, *_HELD, 443, 508),
    Method.CREATE_PERMISSION: (*_ALL, *_HELD, 403, 443, 508),
    Method.CHANNEL_BIND: (*_ALL, *_HELD, 403, 443, 508),
    Method.CONNECT: (*_ALL, *_HELD, 403, 443, 446, 447, 508),
    Method.CONNECTION_BIND: (*_ALL, 441),
}
"""With which codes requests of each method are answered."""
