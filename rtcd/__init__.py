"""rtcd: rooms, signalling, STUN/TURN and its credentials in one Twisted daemon."""

__version__ = "0.1.0"
