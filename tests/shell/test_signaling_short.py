"""The short way of a message against the long one: for any bytes, cut anywhere, the same events and the same answers."""

from __future__ import annotations

import importlib
import itertools
import json
from collections.abc import Sequence
from typing import Any
from unittest import mock

from autobahn.twisted.websocket import WebSocketServerProtocol
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.signaling import frames, masking
from rtcd.signaling.settings import Settings
from rtcd.signaling.websocket import SignalingProtocol
from tests.fakes_calls import Android, Page, Server
from tests.unit.test_signaling_frames import framed

LIMIT = 1024


def sent(text: Any) -> bytes:
    """A frame that sends a text."""
    return framed(json.dumps({"cmd": "send", "msg": text}).encode())


GOOD = st.sampled_from([
    sent("x"), sent('{"type":"candidate","n":1}'), sent("ä€𝄞" * 30), sent("y" * 900),
    framed(b' {"msg" : "z","cmd":"send"} '),
    framed('{"cmd":"send","msg":"ü\\u00e4\\n"}'.encode()), framed(b'{"cmd":"no such"}')])
ODD = st.sampled_from([
    framed(b"", 0x89), framed(b"ping", 0x89), framed(b"pong", 0x8A), framed(b'{"cmd":"send",', 0x01),
    framed(b'"msg":"f"}', 0x80), framed(b'"msg":"f"}', 0x00), framed(b"", 0x80), sent('{"type":"bye"}'), sent("bye bye")])
BAD = st.sampled_from([
    framed(b"\x03\xe8", 0x88), framed(b"", 0x88), framed(b"binary", 0x82), framed(b"\xff\xfe"),
    framed(b'{"cmd":"send","msg":"\xc3'), framed(b'{"cmd":"send","x":"\xff","msg":"y"}'),
    framed(b"x" * (LIMIT + 1)), framed(b""),
    framed(b"x", 0xC1), framed(b"x", 0x83),
    b"\x81\x02{}", b"\x81\xfe\x00\x05" + bytes(4) + b"12345", sent(""), sent(5), framed(b'{"cmd":"send","msg":5,"msg":"x"}'),
    framed(b"[" * 1000), framed(b'{"cmd":"send","msg":"\\ud800"}'),
    framed(b'{"cmd":"register","roomid":"r","clientid":"c"}')])
KEYED = st.builds(
    framed, st.sampled_from([b'{"cmd":"send","msg":"x"}', b'{"cmd":"send","msg":"%s"}' % (b"z" * 700)]), st.just(0x81),
    st.binary(min_size=4, max_size=4))
streams = st.lists(st.one_of(GOOD, GOOD, KEYED, ODD, BAD, st.binary(max_size=12)), max_size=8).map(b"".join)
cuts = st.lists(st.integers(0, 4000), max_size=8)
kinds = st.tuples(*[st.sampled_from([Android, Page])] * 2)
pauses = st.lists(st.booleans(), max_size=8)
"""Whether the other one reads before each piece."""


class Heard(SignalingProtocol):
    """Writes down each message that is handed over."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[bytes, bool]] = []

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """One of them."""
        self.heard.append((payload, isBinary))
        super().onMessage(payload, isBinary)


class Long(Heard):
    """Reads as Autobahn does, always."""

    def dataReceived(self, data: bytes) -> None:
        """The base class's."""
        WebSocketServerProtocol.dataReceived(self, data)


class BothWaysTests(SynchronousTestCase):
    """Two servers with the same call."""

    def run_with(
        self, protocol: type[SignalingProtocol], stream: bytes, pieces: list[int], *, relay: bool,
        apps: tuple[Any, Any] = (Android, Android), reads: Sequence[bool] = (),
    ) -> tuple[Any, ...]:
        """Feed it to one end of a call; all that can be seen of what came of it."""
        server = Server(self, signaling=Settings(ping_interval=0, max_message_bytes=LIMIT), pages=True)
        server.signaling.factory.protocol = protocol
        if not relay:
            server.signaling.factory.relay = None
        told: list[Any] = []
        server.rooms.watch(mock.Mock(
            happened=lambda room, news, here: told.append(type(news)),
            said=lambda room, client, text, here: told.append((client, text))))
        with mock.patch("rtcd.web.resources.secrets.token_hex", side_effect=map(str, itertools.count())):
            first, second = (app(server, "room1") for app in apps)
            first.start()
            second.start()
        near: Any = next(one for one in server.signaling.factory.sockets if one.client == first.id)
        far: Any = next(one for one in server.signaling.factory.sockets if one.client == second.id)
        begin = 0
        for end, reading in zip(sorted({min(one, len(stream)) for one in (*pieces, len(stream))}),
                                itertools.chain(reads, itertools.repeat(True)), strict=False):
            (far.resumeProducing if reading else far.pauseProducing)()
            if near.transport is not None and not near.transport.disconnecting:
                near.dataReceived(stream[begin:end])
            begin = end
        answers, theirs = first.ws.frames(), second.ws.frames()
        return (answers, theirs, told, near.state, near._ended, near.heard, near.wasClean,
                near.remoteCloseCode, {key: one.value for key, one in server.signaling.factory.refused.items()},
                server.signaling.factory.delivered.value, far._backlog_bytes, near.data, near.inside_message)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(streams, cuts, kinds, pauses)
    def test_any_bytes_in_any_pieces_come_to_the_same(
        self, stream: bytes, pieces: list[int], apps: tuple[Any, Any], reads: list[bool],
    ) -> None:
        """Messages, answers, what the other one gets, what watchers are told, counts, and how it ends."""
        self.assertEqual(self.run_with(Heard, stream, pieces, relay=True, apps=apps, reads=reads),
                         self.run_with(Long, stream, pieces, relay=False, apps=apps, reads=reads))

    def test_too_long_a_frame_behind_a_goodbye_raises_nothing(self) -> None:
        """Who has said goodbye is not told any more; on both ways."""
        stream = framed(b"\x03\xe8", 0x88) + framed(b"x" * (LIMIT + 1))
        self.assertEqual(self.run_with(Heard, stream, [], relay=True), self.run_with(Long, stream, [], relay=False))

    def test_whole_messages_do_go_the_short_way(self) -> None:
        """Or this file would compare nothing."""
        long_way = mock.Mock(side_effect=AssertionError("the long way"))
        server = Server(self, signaling=Settings(ping_interval=0))
        first, second = Android(server, "room1"), Android(server, "room1")
        first.start()
        second.start()
        near = next(one for one in server.signaling.factory.sockets if one.client == first.id)
        self.patch(SignalingProtocol, "_dataReceived", long_way)
        self.patch(server.rooms, "update", long_way)
        near.dataReceived(sent("x") + sent("y"))
        self.assertEqual(second.ws.messages(), ["x", "y"])

    def test_a_text_that_hangs_together_with_more_goes_the_long_way(self) -> None:
        """The store says so: a bye, and what is sent to one without a socket."""
        server = Server(self, signaling=Settings(ping_interval=0))
        first, second = Android(server, "room1"), Android(server, "room1")
        first.start()
        second.start()
        self.assertTrue(server.rooms.relay("room1", first.id, "text"))
        self.assertEqual(second.ws.messages(), ["text"])
        for room, client, text in (
            ("room1", first.id, '{"type":"bye"}'), ("room1", "nobody", "x"), ("room2", first.id, "x"),
        ):
            self.assertFalse(server.rooms.relay(room, client, text))
        second.ws.vanish()
        self.assertFalse(server.rooms.relay("room1", first.id, "text"))
        server.wait(60)
        self.assertFalse(server.rooms.relay("room1", first.id, "text"))
        self.assertEqual(second.ws.messages(), [])

    def test_what_is_known_of_a_room_ends_with_it(self) -> None:
        """Nothing is kept of rooms that are no more."""
        server = Server(self, signaling=Settings(ping_interval=0))
        for number in range(3):
            first, second = Android(server, f"room{number}"), Android(server, f"room{number}")
            first.start()
            second.start()
            self.assertTrue(server.rooms.relay(f"room{number}", first.id, "text"))
            self.assertEqual(len(server.rooms._straight), 1)
            for one in (first, second):
                server.request("DELETE", f"/sig/room{number}/{one.id}")
            server.wait(60)
            self.assertEqual((server.rooms._rooms, server.rooms._straight), ({}, {}))

    def test_a_watcher_or_a_socket_that_raises_stops_nobody(self) -> None:
        """As on the long way; both are logged."""
        server = Server(self, signaling=Settings(ping_interval=0))
        first, second = Android(server, "room1"), Android(server, "room1")
        first.start()
        second.start()
        server.rooms.watch(mock.Mock(said=mock.Mock(side_effect=ValueError("watcher"))))
        first.ws.send_frame(0x81, b'{"cmd":"send","msg":"one"}')
        self.assertEqual(second.ws.messages(), ["one"])
        far = next(one for one in server.signaling.factory.sockets if one.client == second.id)
        with mock.patch.object(far, "_write", side_effect=ValueError("socket")):
            first.ws.send_frame(0x81, b'{"cmd":"send","msg":"two"}')
        first.ws.send_frame(0x81, b'{"cmd":"send","msg":"three"}')
        self.assertEqual(second.ws.messages(), ["three"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 4)


class MaskingTests(SynchronousTestCase):
    """Which way masks are taken off."""

    def test_the_native_way_gives_the_same(self) -> None:
        """Up to its buffer and beyond it."""
        for size in (1, 191, 192, 193, 511, 512, 513, 65535, 65536, 65537):
            data, key = bytes(range(256)) * (size // 256 + 1), b"\x00\x7f\x80\xff"
            self.assertEqual(masking.unmask(data[:size], key), frames.unmask(data[:size], key))

    @given(st.binary(max_size=2000), st.binary(min_size=4, max_size=4))
    def test_for_any_key_it_gives_the_same(self, data: bytes, key: bytes) -> None:
        """And for any data."""
        self.assertEqual(masking.unmask(data, key), frames.unmask(data, key))

    def test_one_that_is_wrong_at_the_end_of_some_lengths_is_found_out(self) -> None:
        """Its last bytes are done in another way than the words before."""
        library: Any = importlib.import_module("_nvx_xormasker")
        for odd in range(16):
            wrong = mock.Mock(wraps=library.lib)
            wrong.nvx_xormask_process = lambda masker, data, size, odd=odd: library.lib.nvx_xormask_process(
                masker, data, size - (size % 16 == odd))
            self.assertRaises(ValueError, masking.native, wrong, library.ffi)

    def test_without_memory_python_does_it(self) -> None:
        """Autobahn's part says so by no masker."""
        library: Any = importlib.import_module("_nvx_xormasker")
        new = mock.Mock(side_effect=library.lib.nvx_xormask_new)
        found = masking.native(mock.Mock(nvx_xormask_new=new, nvx_xormask_process=library.lib.nvx_xormask_process,
                                         nvx_xormask_free=library.lib.nvx_xormask_free), library.ffi)
        new.side_effect = lambda key: library.ffi.NULL
        self.assertEqual(found(b"x" * 600, b"abcd"), frames.unmask(b"x" * 600, b"abcd"))

    def test_without_it_or_if_it_is_another_python_does_it(self) -> None:
        """It is Autobahn's own business, and may change."""
        with mock.patch.dict("sys.modules", {"_nvx_xormasker": None}):
            self.assertIs(masking.choose(), frames.unmask)
        _nvx_xormasker: Any = importlib.import_module("_nvx_xormasker")
        wrong = mock.Mock(nvx_xormask_process=lambda *_: None, nvx_xormask_new=_nvx_xormasker.lib.nvx_xormask_new,
                          nvx_xormask_free=_nvx_xormasker.lib.nvx_xormask_free)
        self.assertRaises(ValueError, masking.native, wrong, _nvx_xormasker.ffi)
