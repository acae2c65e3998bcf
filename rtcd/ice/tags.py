"""`Tag`: what a client of a room is called in the log, by every service: its user at the TURN server.

With it one grep finds all that happened to a client, and its first half all that happened in a room; who reads the log
learns neither the room's name nor the client's, which would let him in.
"""

from __future__ import annotations

from rtcd.ice.credentials import Credentials


class Tag:
    """Is made when somebody looks at it: a line that nobody reads costs no HMAC."""

    __slots__ = ("_client", "_credentials", "_room", "_text")

    def __init__(self, credentials: Credentials, room: str, client: str) -> None:
        self._credentials = credentials
        self._room = room
        self._client = client
        self._text = ""

    def __str__(self) -> str:
        if not self._text:
            self._text = self._credentials.users_of(self._room, self._client)[0]
        return self._text
