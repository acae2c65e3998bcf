"""Collider's frames: real clients' spellings, wrong ones, and what the server sends."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.rooms import mesh
from rtcd.rooms.records import MAX_NAME_CHARS
from rtcd.signaling import messages


class ParseTests(SynchronousTestCase):
    """Client to server."""

    def test_every_client_s_spelling_is_read(self) -> None:
        """The web page's, Android's escaped slashes, iOS's pretty printing, any order of keys."""
        for data in (
            b'{"cmd":"register","roomid":"r/1","clientid":"c"}',
            b'{"cmd":"register","roomid":"r\\/1","clientid":"c"}',
            b'{\n  "clientid" : "c",\n  "roomid" : "r\\/1",\n  "cmd" : "register"\n}',
            b'{"cmd":"register","roomid":"r/1","clientid":"c","more":[1]}',
        ):
            self.assertEqual(messages.parse(data), messages.Register("r/1", "c"))
        self.assertEqual(messages.parse(b'{"cmd":"send","msg":"{\\"type\\":\\"bye\\"}"}'), messages.Send('{"type":"bye"}'))

    def test_wrong_frames_say_what_is_wrong(self) -> None:
        """The text goes to the client before its socket is closed."""
        for data, text in (
            (b"", "websocket.JSON.Receive error"),
            (b"nonsense", "websocket.JSON.Receive error"),
            (b"[]", "websocket.JSON.Receive error"),
            (b'{"cmd":1}', "websocket.JSON.Receive error"),
            (b'{"cmd":"send","msg":{"type":"bye"}}', "websocket.JSON.Receive error"),
            (b'{"cmd":"send","msg":"\xff"}', "websocket.JSON.Receive error"),
            (b'{"cmd":"send","msg":"\\ud800"}', "websocket.JSON.Receive error"),
            (b"[" * 100000, "websocket.JSON.Receive error"),
            (b'{"cmd":"send"}', "Invalid send request: missing 'msg'"),
            (b'{"cmd":"send","msg":""}', "Invalid send request: missing 'msg'"),
            (b'{"cmd":"register","roomid":"r"}', "Invalid register request: missing 'clientid' or 'roomid'"),
            (b'{"cmd":"register","roomid":"","clientid":"c"}', "Invalid register request: missing"),
            (b'{"cmd":"register","roomid":"%s","clientid":"c"}' % (b"r" * (MAX_NAME_CHARS + 1)), "Invalid register request"),
        ):
            error = self.assertRaises(ValueError, messages.parse, data)
            self.assertIn(text, str(error))

    def test_an_unknown_command_is_no_reason_to_close(self) -> None:
        """Also one that is missing: the original answers alike."""
        for data in (b'{"cmd":"dance"}', b"{}"):
            self.assertEqual(messages.parse(data), messages.Unknown("Invalid message: unexpected 'cmd'"))

    def test_commands_of_pages_are_read(self) -> None:
        """More fields than needed do no harm."""
        for data, command in (
            (b'{"cmd":"direct","to":"t","msg":"m","x":1}', mesh.Direct("t", "m")),
            (b'{"cmd":"name","name":""}', mesh.Rename("")),
            (b'{"cmd":"lock","on":true}', mesh.Lock(on=True)), (b'{"password":"p","cmd":"password"}', mesh.Guard("p")),
            (b'{"cmd":"kick","to":"app"}', mesh.Kick("app")), (b'{"cmd":"host","to":"t"}', mesh.MakeHost("t")),
            (b'{"cmd":"mute","to":"t","kind":"video"}', mesh.Mute("t", "video")),
        ):
            self.assertEqual(messages.parse(data), command)

    def test_what_is_wrong_with_them_closes_nothing(self) -> None:
        """Unless it is no JSON."""
        for data in (b'{"cmd":"direct","msg":5}', b'{"cmd":"direct"}', b'{"msg":5,"to":"t","cmd":"direct"}'):
            self.assertEqual(messages.parse(data), mesh.Malformed("direct"))
        for data in (b'{"cmd":"lock","on":1}', b'{"cmd":"lock","roomid":5,"on":true}'):
            self.assertEqual(messages.parse(data), mesh.Malformed("lock"))
        self.assertEqual(messages.parse(b'{"cmd":"mute","to":"t","kind":"both"}'), mesh.Malformed("mute"))
        for data in (b'{"cmd":"lock","msg":5,"on":', b'{"cmd":"lock","on":tru}', b'{"cmd":5,"msg":5}',
                     b'{"msg":5,"cmd":"lock","x":"\xff"',
                     b'{"msg":5,"cmd":"lock","on":' + b"[" * 100000):
            self.assertIn("websocket.JSON.Receive error", str(self.assertRaises(ValueError, messages.parse, data)))

    @given(st.binary(max_size=200))
    def test_no_bytes_raise_anything_else(self, data: bytes) -> None:
        """Whatever comes is a frame or a ValueError."""
        with contextlib.suppress(ValueError):
            messages.parse(data)

    @given(st.text(min_size=1).filter(lambda text: not any("\ud800" <= one <= "\udfff" for one in text)))
    def test_a_message_is_relayed_unchanged(self, text: str) -> None:
        """What one client sends is what the other reads."""
        frame = messages.parse(json.dumps({"cmd": "send", "msg": text}).encode())
        self.assertEqual(frame, messages.Send(text))
        self.assertEqual(json.loads(messages.message(text)), {"msg": text, "error": ""})


class AnswerTests(SynchronousTestCase):
    """Server to client."""

    def test_both_keys_are_always_there_and_one_is_empty(self) -> None:
        """Android reads msg first, iOS dies of two empty ones."""
        self.assertEqual(messages.message('{"type":"bye"}'), b'{"msg":"{\\"type\\":\\"bye\\"}","error":""}')
        self.assertEqual(messages.event('{"event":"kicked"}'), b'{"msg":"","error":"","room":{"event":"kicked"}}')
        self.assertEqual(messages.error("no \"room\""), b'{"msg":"","error":"no \\"room\\""}')
