"""Scripted rooms of two that talk all the time, and know of each message whether it came: once, in order, or lost and why.

A *page* speaks as our call page does and comes back as it does (``signaling.js``): a socket that broke, or on which nothing
comes for long and no probe is answered, is opened again at any node, after a pause that grows, with the same registration.
Then it knows that the last things it said, and the last ones
that it was told, may be lost, and sees to it: the page by another offer, these by telling each other what they have. An
*app* speaks AppRTC's protocol, one side by POST and the other by its socket, and comes back in the same way.

Each transmission between two has a number (``w``), each thing said another one (``n``), which is said again if the other has
asked for it; what was asked for is marked (``e``), so that the rest of what was said before is known as such.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.interop.wire import Refused, WebSocket, request

PAUSES_S = (0.3, 1.0, 2.0, 4.0, 8.0)
SILENCE_S = 30.0
"""So long nothing may come, until a page asks whether anybody is there."""
PROBE_S = 2.5
"""So long the answer to that may take. All three are those of ``signaling.js``."""
UNKNOWN = "unexpected 'cmd'"
"""In that answer."""

TRIES_S = 25.0
"""How long a request is tried again, at one node after another."""

SETTLE_S = 0.5
UNANSWERED = -1

PASSING = ("later", "in time", "queued", "Duplicated registration")
"""Refusals after which a client comes again."""

FILLING = "x" * 300


class Place(Protocol):
    """A node, as far as clients know it."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it serves."""


@dataclass
class Sent:
    """One transmission."""

    at: float
    socket: int
    """The sender's socket, by number; 0: a POST that was answered; else `UNANSWERED`."""


@dataclass
class Held:
    """One socket of a client, while it lasted."""

    place: Place
    since: float | None = None
    """When it was known that it had registered."""
    until: float = float("inf")
    refused: bool = False
    """It was not the client's socket at all, though an app may have thought so."""


@dataclass
class Story:
    """What a client has lived through."""

    sent: dict[int, Sent] = field(default_factory=dict)
    came: set[int] = field(default_factory=set)
    sockets: list[Held] = field(default_factory=list)
    byes: int = 0
    partings: int = 0
    """How often a snapshot said that the other has gone."""
    faults: list[str] = field(default_factory=list)
    resumed_s: list[float] = field(default_factory=list)
    """How long each return took."""


class Client:
    """One end of a call. ``places`` are tried in order from the ``first``."""

    def __init__(self, room: str, places: Sequence[Place], first: int, *, page: bool, posts: bool = False) -> None:
        self.room = room
        self.page = page
        self.story = Story()
        self.said = self.has = 0
        self.gone = False
        """It has left, or vanished."""
        self.back = asyncio.Event()
        """It has a socket and has registered."""
        self.id = ""
        self.tag = f"{random.getrandbits(64):016x}"
        self.other: Client
        self._places = places
        self._first = first
        self._posts = posts
        self._socket: WebSocket | None = None
        self._number = 0
        self._refusal = ""
        self._broke = 0.0
        self._seen_other = False
        self._epoch = self._wanted = 0
        """Of what is said, and of what is listened to."""
        self._next = 1
        """Of what is to be said."""
        self._questions: list[dict[str, Any]] = []
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def ask(self, path: str, body: bytes = b"") -> bytes:
        """A POST, at the next node too if it was not taken. Raises what the last try raised."""
        fault: Exception = OSError("no node takes a connection")
        for place in self._many():
            try:
                return await request(place.address, "POST", path, body)
            except (OSError, EOFError, Refused) as error:
                if isinstance(error, Refused) and error.status != 503:
                    raise
                fault = error
            await asyncio.sleep(0.1)
        raise fault

    async def join(self) -> None:
        """Take a seat and begin to live."""
        body = json.dumps({"page": {"id": self.tag, "name": "n"}}).encode() if self.page else b""
        answer = json.loads(await self.ask(f"/join/{self.room}", body))
        if answer["result"] != "SUCCESS":
            raise AssertionError(f"{self.room}: {answer['result']}")
        self.id = answer["params"]["client_id"]
        self._tasks = [asyncio.create_task(self._live()), asyncio.create_task(self._speak())]
        await self.back.wait()

    async def leave(self) -> None:
        """Give the seat back as the page does, or as an app does."""
        self.gone = True
        await self.ask(f"/leave/{self.room}/{self.id}")
        if self._socket is not None:
            if not self.page:
                self._socket.send(cmd="send", msg='{"type": "bye"}')
            self._socket.close()
        await self._over()

    async def vanish(self) -> None:
        """Be gone without a word, and do not come back."""
        self.gone = True
        if self._socket is not None:
            self._socket.vanish()
        await self._over()

    def say(self) -> None:
        """Say the next thing; a client without a socket says it when it is back."""
        self.said += 1
        self._work.set()

    async def _over(self) -> None:
        for one in self._tasks:
            one.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _speak(self) -> None:
        """Questions first, then what was not said yet, in order."""
        while True:
            await self._work.wait()
            self._work.clear()
            while (self._posts or self.back.is_set()) and (self._questions or self._next <= self.said):
                if self._questions:
                    await self._transmit(self._questions.pop(0))
                else:
                    self._next += 1
                    await self._transmit({"n": self._next - 1})

    async def _transmit(self, fields: dict[str, Any]) -> None:
        """By POST if this one posts; else over the socket."""
        if self._posts:
            await self._post(fields)
        elif self._socket is not None:
            text = self._text(fields, self._number)
            if self.page:
                self._socket.send(cmd="direct", to=self.other.tag, msg=text)
            else:
                self._socket.send(cmd="send", msg=text)

    def _text(self, fields: dict[str, Any], socket: int) -> str:
        number = len(self.story.sent) + 1
        self.story.sent[number] = Sent(time.monotonic(), socket)
        return json.dumps({"type": "candidate", "w": number, "e": self._epoch, "filling": FILLING, **fields})

    async def _post(self, fields: dict[str, Any]) -> None:
        """Until it is answered. One that broke may have been done or not, so it is another transmission each time."""
        for place in self._many():
            text = self._text(fields, 0)
            try:
                answer = await request(place.address, "POST", f"/message/{self.room}/{self.id}", text.encode())
            except ConnectionRefusedError:
                del self.story.sent[len(self.story.sent)]
            except (OSError, EOFError, Refused):
                self.story.sent[len(self.story.sent)].socket = UNANSWERED
            else:
                if json.loads(answer)["result"] != "SUCCESS":
                    self.story.faults.append(f"POST was answered {answer!r}")
                return
            await asyncio.sleep(0.1)
        self.story.faults.append("POST was not answered")

    def _many(self) -> Iterator[Place]:
        """One node after another, for as long as a request is worth it."""
        until = time.monotonic() + TRIES_S
        while time.monotonic() < until:
            yield from (*self._places[self._first :], *self._places[: self._first])

    async def _live(self) -> None:
        """Have a socket; when it breaks, have another one."""
        attempt = 0
        while not self.gone:
            if self._number:
                pauses = PAUSES_S if self.page else PAUSES_S[:2]
                await asyncio.sleep(pauses[min(attempt, len(pauses) - 1)] * random.uniform(0.75, 1.25))
            attempt += 1
            socket = await self._opened()
            if socket is None:
                continue
            self._number += 1
            held = Held(self._place)
            self.story.sockets.append(held)
            self._socket, self._refusal = socket, ""
            socket.send(cmd="register", roomid=self.room, clientid=self.id)
            settling = None if self.page else asyncio.create_task(self._settle(held))
            while (frame := await self._next_frame(socket)) is not None:
                if UNKNOWN in frame.get("error", ""):
                    continue
                if frame.get("error"):
                    self._refusal = frame["error"]
                    if "uplicate" in self._refusal:
                        held.since, held.refused = None, True
                    continue
                attempt = 0
                self._heard(frame, held)
            if settling is not None:
                settling.cancel()
            held.until = time.monotonic()
            if held.since is not None:
                self._broke = held.until
            self.back.clear()
            self._socket = None
            socket.vanish()
            if self._refusal and not any(one in self._refusal for one in PASSING):
                self.story.faults.append(f"refused: {self._refusal}")
                return

    async def _next_frame(self, socket: WebSocket) -> Any:
        """None if the connection is over, or is silent and, to a page, dead; an app does not ask."""
        coming = asyncio.create_task(socket.receive())
        try:
            if self.page and not (await asyncio.wait({coming}, timeout=SILENCE_S))[0]:
                socket.send(cmd="ping")
                await asyncio.wait({coming}, timeout=PROBE_S)
                return coming.result() if coming.done() else None
            return await coming
        finally:
            coming.cancel()

    async def _settle(self, held: Held) -> None:
        """An app is not told that it has registered; it is refused at once, or is not."""
        await asyncio.sleep(SETTLE_S)
        if not self._refusal:
            self._registered(held)

    async def _opened(self) -> WebSocket | None:
        for place in (*self._places[self._first :], *self._places[: self._first]):
            self._place = place
            try:
                return await asyncio.wait_for(WebSocket.open(place.address), 6.0)
            except (OSError, EOFError, Refused, TimeoutError):
                continue
        return None

    def _registered(self, held: Held) -> None:
        if held.since is not None:
            return
        held.since = time.monotonic()
        self.back.set()
        if len([one for one in self.story.sockets if one.since is not None]) > 1:
            self.story.resumed_s.append(held.since - self._broke)
            self._compare(again=True)

    def _compare(self, *, again: bool) -> None:
        """Tell the other what we have; what it has said behind that it says again. ``again``: it is to tell us likewise."""
        self._wanted += 1
        self._questions = [{"type": "compare", "has": self.has, "wants": self._wanted, "again": again}]
        self._work.set()

    def _heard(self, frame: dict[str, Any], held: Held) -> None:
        event = frame.get("room")
        if event is None:
            self._message(frame["msg"])
        elif event["event"] == "message":
            self._message(event["msg"])
        elif event["event"] == "room":
            there = any(one["id"] == self.other.tag for one in event["members"])
            self.story.partings += self._seen_other and not there
            self._seen_other = there
            self._registered(held)

    def _message(self, text: str) -> None:
        said = json.loads(text)
        if said["type"] == "bye":
            self.story.byes += 1
            return
        number = said["w"]
        if number in self.story.came:
            self.story.faults.append(f"{number} came twice")
        elif self.story.came and number < max(self.story.came):
            self.story.faults.append(f"{number} came behind {max(self.story.came)}")
        self.story.came.add(number)
        if said["type"] == "compare":
            self._epoch, self._next = said["wants"], said["has"] + 1
            if said["again"]:
                self._compare(again=False)
            self._work.set()
        elif said["e"] == self._wanted and said["n"] == self.has + 1:
            self.has += 1
