"""`rehearse`: pair after pair takes a room of its own, talks until all have, and hangs up. One event loop of asyncio."""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtcd.rehearse.figures import Figures, Load, between
from rtcd.rehearse.load import Meter, meter
from rtcd.rehearse.media import Clip, pictures, sound
from rtcd.rehearse.person import Person
from rtcd.rehearse.seat import Refused, Seat

PAIRS_A_SECOND = 2.0
"""Below what [ice] rate and [web] join-rate allow one address by default."""
CONNECT_S = 25.0
"""How long a pair may take until both see and hear the other."""
IDLE_S = 2.0
"""How long is looked at what the machine does without us."""
ROOM_BYTES = 8
"""Random bytes of a room's name."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be rehearsed. ``kbps``: of the pictures of each person."""

    url: str
    people: int
    relay: str
    seconds: float
    kbps: int
    trust: ssl.SSLContext
    limit: int | None = None
    """How many calls the daemon's configuration allows, if that can be read here."""


class Pair:
    """Two people in a room of their own."""

    def __init__(self, wish: Wish, clips: Sequence[Clip]) -> None:
        room = f"rehearsal-{secrets.token_hex(ROOM_BYTES)}"
        self.people = [Person(Seat(wish.url, room, wish.trust), wish.relay, wish.trust, clips) for _ in range(2)]
        self._relay = wish.relay

    async def connect(self) -> float:
        """Bring them together; seconds from the second one's joining until both see and hear. Raises `Refused`."""
        first, second = self.people
        try:
            async with asyncio.timeout(CONNECT_S):
                await first.join()
                began = asyncio.get_running_loop().time()
                await second.join()
                await asyncio.gather(first.talk(), second.talk())
                if not all(await asyncio.gather(first.heard_all(), second.heard_all())):
                    raise Refused(self._silence())
        except TimeoutError:
            raise Refused(self._silence()) from None
        return asyncio.get_running_loop().time() - began

    async def leave(self) -> None:
        """Both hang up."""
        await asyncio.gather(*(one.leave() for one in self.people), return_exceptions=True)

    def _silence(self) -> str:
        states = {one.state for one in self.people}
        if states == {"connected"}:
            return "connected, but not all sounds and pictures arrived"
        if "new" in states:
            return "the room was joined, but no offer and answer came through in time"
        return (f"both have relays by {self._relay}, but nothing gets from one relay to the other: are the relay ports open,"
                " is external-ip right, and do [turn] allowed-peers and denied-peers let clients reach the relays?")


async def rehearse(wish: Wish, say: Callable[[str], object]) -> Figures:
    """Do it, and say how far it is. The first pair that does not connect is the last one that is tried."""
    logging.getLogger("aiortc").setLevel(logging.CRITICAL)
    logging.getLogger("aioice").setLevel(logging.CRITICAL)
    clips = [sound(), pictures(wish.kbps)]
    pairs: list[Pair] = []
    try:
        idle = await _idle(wish.url)
        setup, failed = await _connect_all(wish, clips, pairs, say)
        if not setup:
            return Figures(wish.url, wish.relay, wish.people, 0.0, (), (), 0.0, None, failed)
        gauge = await asyncio.to_thread(meter, wish.url)
        say(f"{len(setup)} of {wish.people // 2} calls are connected; they talk for {wish.seconds:g} s")
        return await _talk(wish, [one for pair in pairs[:len(setup)] for one in pair.people], setup, failed, idle, gauge)
    finally:
        await asyncio.gather(*(one.leave() for one in pairs))


async def _idle(url: str) -> Load | None:
    """What daemon and machine take in `IDLE_S` without us, if it is this one."""
    gauge = await asyncio.to_thread(meter, url)
    if gauge is None:
        return None
    await asyncio.sleep(IDLE_S)
    return gauge.read()


async def _talk(
    wish: Wish, talking: Sequence[Person], setup: Sequence[float], failed: str | None, idle: Load | None,
    gauge: Meter | None,
) -> Figures:
    """The steady time. The two of a pair stand side by side in ``talking``."""
    loop = asyncio.get_running_loop()
    before, cpu, began = [await one.read() for one in talking], time.process_time(), loop.time()
    await asyncio.sleep(wish.seconds)
    after, own, lasted = [await one.read() for one in talking], time.process_time() - cpu, loop.time() - began
    load = gauge.read() if gauge is not None else None
    sent = [after[number ^ 1].sent - before[number ^ 1].sent for number in range(len(talking))]
    heard = [between(*one, lasted) for one in zip(before, after, sent, strict=True)]
    if load is not None and idle is not None:
        load = load.without(idle, IDLE_S, lasted)
    broken = "the daemon's process ended while they talked" if gauge is not None and load is None else _ended(talking)
    return Figures(wish.url, wish.relay, wish.people, round(lasted, 3), setup, heard, own, load, failed, broken,
                   wish.limit)


def _ended(talking: Sequence[Person]) -> str | None:
    """What of whom has ended, in a sentence."""
    ended = [one.ended for one in talking]
    for what in ("connection", "WebSocket"):
        if what in ended:
            return f"the {what} of {ended.count(what)} of {len(ended)} people ended while they talked"
    return None


async def _connect_all(
    wish: Wish, clips: Sequence[Clip], pairs: list[Pair], say: Callable[[str], object]
) -> tuple[list[float], str | None]:
    """Set-up times in the order of the pairs, and why there are no more."""
    setup: list[float] = []
    running: list[asyncio.Task[float]] = []
    failed: str | None = None
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(wish.people // 2):
        pair = Pair(wish, clips)
        pairs.append(pair)
        running.append(asyncio.ensure_future(pair.connect()))
        if number + 1 < wish.people // 2:
            turn = asyncio.ensure_future(asyncio.sleep(began + (number + 1) / PAIRS_A_SECOND - loop.time()))
            await asyncio.wait([turn, *running], return_when=asyncio.FIRST_EXCEPTION)
            turn.cancel()
        if any(one.done() and one.exception() is not None for one in running):
            break
    if len(running) > 1:
        say(f"{len(running)} calls are being set up")
    outcomes = await asyncio.gather(*running, return_exceptions=True)
    good: list[Pair] = []
    for pair, outcome in zip(pairs, outcomes, strict=True):
        if isinstance(outcome, float):
            setup.append(outcome)
            good.append(pair)
        elif isinstance(outcome, Refused):
            failed = failed or f"call {len(good) + 1} of {wish.people // 2} did not connect: {outcome}"
        else:
            raise outcome
    pairs[:] = [*good, *(one for one in pairs if one not in good)]
    return setup, failed


def run(wish: Wish, say: Callable[[str], object]) -> Figures:
    """In a loop of its own, from a command line."""
    return asyncio.run(rehearse(wish, say))
