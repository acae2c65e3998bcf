"""The command line of ``rtcd rehearse``, and the daemon that it looks for; real calls are in tests/daemon."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from aiortc import RTCPeerConnection

from rtcd.cli import rehearse
from rtcd.rehearse import figures, load, person, rehearsal
from rtcd.rehearse.figures import Figures, Heard, Reading
from rtcd.rehearse.person import _chosen
from rtcd.rehearse.seat import MAX_SAID_CHARS, MAX_WAITING, Refused, Seat
from tests.shell.test_cli import CommandTestCase

ROOT = Path(__file__).resolve().parents[2]
STAT = "7 (python) S 1 2 3 4 5 6 7 8 9 10 {} 0 0"
TABLE = "head\n0: 00000000:{:04X} 0:0 0A 0:0 0:0 0 0 0 {} 1\n"


class CommandLine(CommandTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.wishes: list[rehearsal.Wish] = []
        self.figures = Figures("https://a", "udp", 2, 1.0, (0.5,), (Heard(10, 0, 1000, 0.1),) * 2, 0.1)

        def run(wish: rehearsal.Wish, say: Any) -> Figures:
            self.wishes.append(wish)
            say("they talk")
            return self.figures

        self.patch(rehearsal, "run", run)

    def test_what_is_asked_for_is_rehearsed(self) -> None:
        said = self.done("rehearse", "--url", "https://meet.example.org/", "--people", "6", "--relay", "tls",
                         "--kbps", "900")
        self.assertTrue(said.startswith("they talk\n1 of 1 calls"), said)
        wish, = self.wishes
        self.assertEqual((wish.url, wish.people, wish.relay, wish.seconds, wish.kbps),
                         ("https://meet.example.org", 6, "tls", 20, 900))

    def test_the_address_is_that_of_the_ini_unless_it_is_named(self) -> None:
        path = str(self.write_ini("[doorway]\npublic-url = https://meet.example.org:8443/calls\n", "with.ini"))
        self.done("rehearse", "--config", path)
        self.assertEqual(self.wishes[0].url, "https://meet.example.org:8443/calls")
        bare = str(self.write_ini("[doorway]\n", "bare.ini"))
        self.assertIn("public-url is not set", self.refused("rehearse", "--config", bare))

    def test_the_configuration_bounds_for_how_many_there_is_room(self) -> None:
        """Two relays a call; where there is no ini nothing is known of it."""
        for text, limit in (("[turn]\nmin-port = 50000\nmax-port = 50020\n", 10), ("[turn]\ntotal-quota = 7\n", 3),
                            ("[doorway]\n", None)):
            self.done("rehearse", "--url", "https://a", "--config", str(self.write_ini(text, "turn.ini")))
            self.assertEqual(self.wishes[-1].limit, limit)
        self.done("rehearse", "--url", "https://a", "--config", "/nowhere")
        self.assertIsNone(self.wishes[-1].limit)

    def test_a_fault_is_a_line_and_code_1(self) -> None:
        self.figures = Figures("https://a", "udp", 2, 0.0, (), (), 0.0, None, "call 1 of 1 did not connect: x")
        code, out, errors = self.run_command("rehearse", "--url", "https://a", "--json")
        self.assertEqual((code, errors), (1, "rtcd: call 1 of 1 did not connect: x\n"))
        self.assertEqual(out.count("\n"), 1)

    def test_numbers_have_bounds(self) -> None:
        for arguments in (
            ("--people", "3"), ("--people", "0"), ("--people", str(rehearse.MAX_PEOPLE + 2)), ("--kbps", "4001"),
            ("--seconds", "0"), ("--seconds", "3601"), ("--seconds", "1e3"), ("--people", "9" * 5000), ("--relay", "dtls"),
        ):
            code, out, errors = self.run_command("rehearse", "--url", "https://a", *arguments)
            self.assertEqual((code, out), (2, ""))
            self.assertIn(arguments[0], errors)

    def test_what_is_no_address_is_refused(self) -> None:
        for url in ("http://a", "https://", "https://a:x", "https://[a", "meet.example.org", "https://a?b"):
            self.assertIn("--url", self.refused("rehearse", "--url", url))
        self.assertIn("--trust", self.refused("rehearse", "--url", "https://a", "--trust", str(self.ini)))
        self.assertIn("--trust", self.refused("rehearse", "--url", "https://a", "--trust", "/nowhere"))


class Pair:
    """Two people who connect, or not, as the test says."""

    outcomes: ClassVar[list[float | Exception]] = []
    made: ClassVar[list[Pair]] = []
    began: ClassVar[list[float]] = []

    def __init__(self, wish: rehearsal.Wish, clips: Any) -> None:
        self.outcome = self.outcomes[len(self.made)]
        self.made.append(self)

    async def connect(self) -> float:
        """The outcome."""
        self.began.append(asyncio.get_running_loop().time())
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class OwnTime(asyncio.SelectorEventLoop):
    """A loop with a clock of its own: it stands still while there is anything to do, and then it is what is waited for."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(Leap(self.leap))

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def leap(self, seconds: float) -> None:
        """So much later."""
        self._now += seconds


class Leap(selectors.SelectSelector):
    """Waits no time, but says for how long it was to."""

    def __init__(self, leap: Callable[[float], object]) -> None:
        super().__init__()
        self._leap = leap

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready."""
        if timeout is None:
            raise AssertionError("nothing will ever happen")
        self._leap(max(0.0, timeout))
        return super().select(0)


class Connecting(CommandTestCase):
    """Pair after pair."""

    def connect(self, *outcomes: float | Exception) -> tuple[list[float], str | None, list[float | Exception]]:
        """What comes of it, and of whom in which order."""
        self.patch(rehearsal, "Pair", Pair)
        self.patch(Pair, "outcomes", list(outcomes))
        self.patch(Pair, "made", [])
        self.patch(Pair, "began", [])
        wish = rehearsal.Wish("https://a", 2 * len(outcomes), "udp", 1, 500, ssl.create_default_context())
        pairs: list[Any] = []
        with asyncio.Runner(loop_factory=OwnTime) as runner:
            setup, failed = runner.run(rehearsal._connect_all(wish, [], pairs, lambda line: None))
        return setup, failed, [one.outcome for one in pairs]

    def test_all_connect(self) -> None:
        self.assertEqual(self.connect(0.1, 0.2, 0.3), ([0.1, 0.2, 0.3], None, [0.1, 0.2, 0.3]))

    def test_they_begin_at_their_pace_however_fast_they_connect(self) -> None:
        """Or the limits of the daemon for one address would be what is measured."""
        self.connect(*[0.1] * 6)
        self.assertEqual(Pair.began, [number / rehearsal.PAIRS_A_SECOND for number in range(6)])

    def test_the_first_that_does_not_is_the_last_that_is_tried(self) -> None:
        """Those that did come first, so that they are the ones who talk."""
        refused = Refused("no relay")
        setup, failed, order = self.connect(0.1, refused, 0.3, 0.4)
        self.assertEqual((setup, failed), ([0.1], "call 2 of 4 did not connect: no relay"))
        self.assertEqual(order, [0.1, refused])
        setup, failed, order = self.connect(refused)
        self.assertEqual((setup, failed, order), ([], "call 1 of 1 did not connect: no relay", [refused]))

    def test_a_fault_of_ours_is_no_finding(self) -> None:
        self.assertRaises(ZeroDivisionError, self.connect, 0.1, ZeroDivisionError())


class Talker:
    """Somebody who talks; ``heard``, ``sent``: packets in the steady time."""

    def __init__(self, heard: int, sent: int, ended: str = "") -> None:
        self.ended = ended
        self._readings = [Reading(7, 0, 0, 3, None), Reading(7 + heard, 0, 1000, 3 + sent, 0.1)]

    async def read(self) -> Reading:
        """One after the other."""
        return self._readings.pop(0)


class Talking(CommandTestCase):
    """The steady time, of people who do as the test says."""

    def talk(self, *people: Talker, load: Any = None) -> Figures:
        """The figures."""
        wish = rehearsal.Wish("https://a", len(people), "udp", 0.01, 500, ssl.create_default_context())
        talking: Any = people
        return asyncio.run(rehearsal._talk(wish, talking, [0.1] * (len(people) // 2), None, None, load))

    def test_who_hears_nothing_of_what_the_other_one_sends_has_lost_it(self) -> None:
        self.patch(figures, "ON_THE_WAY_S", 0)
        found = self.talk(Talker(1000, 100), Talker(50, 1000), Talker(10, 10), Talker(10, 10))
        self.assertEqual([one.lost for one in found.heard], [0, 50, 0, 0])
        self.assertIsNone(found.broken)

    def test_a_call_that_ends_midway_is_a_fault(self) -> None:
        good = Talker(10, 10)
        self.assertEqual(self.talk(good, Talker(10, 10, "WebSocket")).fault,
                         "the WebSocket of 1 of 2 people ended while they talked")
        found = self.talk(Talker(10, 10, "connection"), Talker(10, 10, "connection"))
        self.assertEqual(found.fault, "the connection of 2 of 2 people ended while they talked")

    def test_a_daemon_that_ends_meanwhile_is_a_fault(self) -> None:
        gone = type("Meter", (), {"read": lambda _: None})()
        self.assertEqual(self.talk(Talker(10, 10), Talker(10, 10), load=gone).fault,
                         "the daemon's process ended while they talked")


class Leaving(CommandTestCase):
    """The end of it."""

    def test_a_relay_that_is_gone_is_not_waited_for_long(self) -> None:
        """The seat is given back all the same."""
        left: list[str] = []

        class Endless:
            async def close(self) -> None:
                await asyncio.sleep(60)

        async def leave() -> None:
            left.append("seat")

        self.patch(person, "LEAVE_S", 0.01)
        seat: Any = type("Seat", (), {"leave": lambda _: leave()})()
        one = person.Person(seat, "udp", ssl.create_default_context(), [])
        one._connection = Endless()  # type: ignore[assignment] # closes as that of a dead daemon
        asyncio.run(one.leave())
        self.assertEqual(left, ["seat"])


class Joining(CommandTestCase):
    """What a server may answer that is none of ours; real ones are in tests/daemon."""

    def join(self, answer: dict[str, Any]) -> str:
        """Why it is refused."""
        seat = Seat("https://a", "room", ssl.create_default_context())
        self.patch(Seat, "_request", lambda _, url, body: answer)
        return str(self.assertRaises(Refused, asyncio.run, seat.join()))

    def test_what_is_no_room_server_is_told(self) -> None:
        wrong: list[object] = [None, [], {"x": 1}]
        for params in wrong:
            self.assertIn("is no rtcd", self.join({"result": "SUCCESS", "params": params}))
        self.assertIn("nobody is let in: FULL", self.join({"result": "FULL", "params": {}}))

    def test_an_answer_that_is_half_of_rtcds_is_told(self) -> None:
        """What is needed of it has the wrong kind."""
        good = {"client_id": "1", "is_initiator": "true", "messages": [], "wss_url": "wss://a/ws"}
        for key, value in (("messages", 5), ("messages", [{}]), ("wss_url", None), ("client_id", 5)):
            self.assertIn("is no rtcd", self.join({"result": "SUCCESS", "params": {**good, key: value}}))
        module: Any = ModuleType("rtcd.rehearse.websocket")  # the real one makes Autobahn asyncio's in the whole process
        module.Socket = NoAddress
        sys.modules[module.__name__] = module
        self.addCleanup(sys.modules.pop, module.__name__)
        self.assertIn("no WebSocket", self.join({"result": "SUCCESS", "params": {**good, "wss_url": "wss://[a"}}))
        seat = Seat("https://a", "room", ssl.create_default_context())
        seat._params = {"ice_server_url": "https://a/ice"}
        for answer in ({"iceServers": 5}, {"iceServers": [5]}, {"iceServers": [{"urls": 5}]},
                       {"iceServers": [{"urls": [5]}]}):
            self.patch(Seat, "_request", lambda _, url, body, answer=answer: answer)
            self.assertIn("no ICE servers", str(self.assertRaises(Refused, asyncio.run, seat.ice_servers())))

    def test_what_a_foreign_server_says_does_not_steer_the_terminal(self) -> None:
        """Nor does it fill it."""
        said = self.join({"result": "\x1b[2J\u202e" + "x" * 10**5})
        self.assertTrue(said.isprintable())
        self.assertLessEqual(len(said), MAX_SAID_CHARS)

    def test_nothing_is_asked_by_http(self) -> None:
        seat = Seat("http://a", "room", ssl.create_default_context())
        self.assertIn("is no https", str(self.assertRaises(Refused, asyncio.run, seat.join())))

    def test_messages_that_nobody_reads_are_bounded(self) -> None:
        seat = Seat("https://a", "room", ssl.create_default_context())
        for number in range(MAX_WAITING + 1):
            seat._take(str(number))
        self.assertEqual(seat.messages.qsize(), MAX_WAITING)


class NoAddress:
    """A WebSocket at what is no address, as Autobahn tells it."""

    @classmethod
    async def opened_at(cls, *_: Any) -> None:
        """No way."""
        raise ValueError("Invalid IPv6 URL")


class Closed:
    """A WebSocket that is closed, as Autobahn tells it."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.closed.set()

    def say(self, text: str) -> None:
        """Nothing can be said."""
        raise ConnectionResetError

    def sendClose(self, code: int) -> None:
        """It is closed already."""


class Speaking(CommandTestCase):
    """What may go wrong once there is a seat."""

    def seat(self, *, initiator: bool = False) -> Seat:
        """Taken, with a WebSocket that is closed; what is asked by HTTP is in ``asked``."""
        self.asked: list[str] = []

        def request(_: Seat, url: str, body: bytes) -> dict[str, Any]:
            self.asked.append(url)
            return {}

        self.patch(Seat, "_request", request)
        seat = Seat("https://a", "room", ssl.create_default_context())
        seat._params = {"client_id": "1", "is_initiator": "true" if initiator else "false"}
        seat._socket = Closed()  # type: ignore[assignment] # as far as it goes
        return seat

    def test_a_websocket_that_is_closed_is_a_finding(self) -> None:
        """And the seat is given back all the same."""
        self.assertIn("WebSocket was closed", str(self.assertRaises(Refused, asyncio.run, self.seat().say({}))))
        asyncio.run(self.seat().leave())
        self.assertEqual(self.asked, ["https://a/leave/room/1"])

    def test_autobahn_raises_what_is_caught(self) -> None:
        """In a process of its own: Autobahn is one of asyncio's there."""
        program = ("from rtcd.rehearse.websocket import Socket\n"
                   "socket = Socket(print, None)\n"
                   "socket.state = socket.STATE_CLOSED\n"
                   "try:\n    socket.say('x')\nexcept ConnectionError:\n    print('caught')\n")
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual((done.stdout, done.stderr), ("caught\n", ""))

    def test_what_makes_no_sense_is_a_finding(self) -> None:
        """Whatever the other one, or somebody in between, says."""
        for text in ("no JSON", "5", "[]", '{"type": "offer"}', '{"type": "offer", "sdp": 5}', "{}",
                     '{"type": "answer", "sdp": "x"}', '{"type": "offer", "sdp": "v=0\\r\\nm=audio x"}'):
            seat = self.seat()
            seat._take(text)
            self.assertIn("makes no sense", self.talk(seat), text)

    def talk(self, seat: Seat) -> str:
        """Why the talk ended."""
        async def run() -> str:
            one = person.Person(seat, "udp", ssl.create_default_context(), [])
            one._connection = RTCPeerConnection()
            try:
                async with asyncio.timeout(5):
                    await one.talk()
            except Refused as error:
                return str(error)
            finally:
                await one._connection.close()
            return "no end"

        return asyncio.run(run())


class Choosing(CommandTestCase):
    SERVERS = ({"urls": ["turn:a:3478?transport=udp", "turn:a:443?transport=tcp", "turns:a:443?transport=tcp"],
                "username": "u", "credential": "p"}, {"urls": "stun:a:3478"})

    def test_the_relay_is_the_one_of_the_transport(self) -> None:
        for relay, url in zip(("udp", "tcp", "tls"), self.SERVERS[0]["urls"], strict=True):
            found = _chosen(self.SERVERS, relay)
            self.assertEqual((found.urls, found.username, found.credential), ([url], "u", "p"))

    def test_where_there_is_none_it_is_told(self) -> None:
        for servers, relay, said in (
            (self.SERVERS[1:], "udp", "only: stun:a:3478"), ((), "tls", "only: nothing"),
            (({"urls": "turn:[2001:db8::1]:3478?transport=udp"},), "udp", "use a host name"),
        ):
            self.assertIn(said, str(self.assertRaises(Refused, _chosen, servers, relay)))


class Looking(CommandTestCase):
    """For the daemon's process, in a ``/proc`` of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.proc = self.folder / "proc"
        (self.proc / "net").mkdir(parents=True)
        (self.proc / "stat").write_text("cpu 0 0 0 0 0 5 5 0\n")
        (self.proc / "net/tcp").write_text(TABLE.format(8443, 77))
        self.patch(load, "own_addresses", lambda: ["127.0.0.1"])
        for pid, inode, command in ((10, 70, b"twistd\0rtcd"), (11, 77, b"nginx"), (12, 77, b"twistd\0rtcd")):
            (self.proc / str(pid) / "fd").mkdir(parents=True)
            (self.proc / str(pid) / "fd/3").symlink_to(f"socket:[{inode}]")
            (self.proc / str(pid) / "cmdline").write_bytes(command)
            (self.proc / str(pid) / "stat").write_text(STAT.format(pid))
        (self.proc / "13").mkdir()

    def test_it_is_the_rtcd_that_listens_there(self) -> None:
        self.assertEqual(load.daemon_of("https://127.0.0.1:8443", self.proc), 12)
        self.assertIsNone(load.daemon_of("https://127.0.0.1", self.proc))
        self.assertIsNone(load.daemon_of("https://127.0.0.2:8443", self.proc))

    def test_a_name_that_is_not_known_is_no_daemon_here(self) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise OSError("no such name")

        self.patch(socket, "getaddrinfo", fail)
        self.assertIsNone(load.meter("https://a", self.proc))

    def test_what_it_took_is_the_difference(self) -> None:
        meter = load.meter("https://127.0.0.1:8443", self.proc)
        assert meter is not None
        tick = os.sysconf("SC_CLK_TCK")
        (self.proc / "12/stat").write_text(STAT.format(12 + 3 * tick))
        (self.proc / "stat").write_text(f"cpu 0 0 0 0 0 5 {5 + tick} 0\n")
        found = meter.read()
        assert found is not None
        self.assertEqual((found.daemon_s, found.interrupts_s), (3.0, 1.0))
        (self.proc / "12/stat").unlink()
        self.assertIsNone(meter.read())
