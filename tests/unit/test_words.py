"""What may stand in the log."""

from __future__ import annotations

import json
import time

from twisted.trial.unittest import SynchronousTestCase

from rtcd.words import HIDDEN, MAX_SCRUBBED_CHARS, MAX_WORD_CHARS, SESSION_DESCRIPTION, hides, scrub, visible, word

SDP = "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" \
      "a=ice-ufrag:Xy/4\r\na=ice-pwd:hunter2hunter2\r\n"
"""The beginning of one."""

DESCRIPTIONS = (
    SDP, json.dumps({"type": "offer", "sdp": SDP}), json.dumps({"cmd": "send", "msg": json.dumps({"sdp": SDP})}),
    f"it broke at {SDP!r}", "a=ice-pwd:hunter2hunter2", "m=video 9 UDP/TLS/RTP/SAVPF 96", "{'sdp': ''}",
    "a=candidate:842163049 1 udp 1677729535 192.0.2.7 40678 typ srflx", "o=- 4611 2 IN IP4 192.0.2.7\r\ns=-",
    "c=IN IP4 192.0.2.7", "a=ssrc:4294967295 cname:hunter2",
    json.dumps({"type": "candidate", "candidate": "candidate:842163049 1 UDP 1677729535 192.0.2.7 40678 typ srflx"}),
)

SECRETS = (
    "Authorization: Bearer hunter2hunter2", "authorization: basic aHVudGVyMjpodW50ZXIy", '{"password": "hunter2"}',
    "{'credential': 'hunter2'}", '{"a": "{\\"token\\": \\"hunter2\\"}"}', "POST /v1alpha/iceconfig?key=hunter2&room=x",
    "https://u.example.org/?a=b&token=hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
    "-----BEGIN EC PRIVATE KEY-----\nhunter2", "/r/lounge?invitation=hunter2", "HEAD /healthz?jwt=hunter2&pw=hunter2",
    "password=hunter2", "a secret=hunter2", "access_token=hunter2", "https://u:hunter2@host/", "https://u:hunter2:hunter2@2@host",
    "redis://:hunter2@host", "{'credential': b'hunter2'}", 'Authorization: Digest username="u", response="hunter2"',
    '{"password": "a\\"hunter2"}', '{"password": "a\'hunter2"}', '{"auth-url-token": "hunter2"}',
)

HARMLESS = (
    "[credentials] secret: changed: in force", "[turn] auth-url-token: changed: needs a restart", "the key is missing",
    "auth_fail address=192.0.2.7 port=40000 transport=udp user=1700000000:ann", "reason=no-reservation", "room=candidate:1",
    "https://host:8443/a@b", "stun:host:3478", "ask https://host/ or u@host", "monkey=1", "key=1", "a digest of it",
    "[tls] key: state/key.pem cannot be read (Permission denied); check the path", "m=1 v=0.1 a=b", "",
)


class WordTests(SynchronousTestCase):
    """Texts that strangers have a part in."""

    def test_of_a_session_description_nothing_is_left(self) -> None:
        """Neither addresses nor passwords, however it is wrapped."""
        for text in DESCRIPTIONS:
            self.assertEqual(scrub(text), SESSION_DESCRIPTION, text)

    def test_secrets_are_hidden_where_they_can_be_told(self) -> None:
        """The rest of the text stays."""
        for text in SECRETS:
            shown = scrub(text)
            self.assertNotIn("hunter2", shown)
            self.assertNotIn("aHVudGVy", shown)
            self.assertIn(HIDDEN, shown)
            self.assertEqual(shown[:8], text[:8])

    def test_what_is_no_secret_stays(self) -> None:
        """Above all what we say ourselves of keys and secrets."""
        for text in HARMLESS:
            self.assertEqual(scrub(text), text)

    def test_it_takes_no_longer_for_what_is_made_to_take_long(self) -> None:
        """A text is cut before it is looked through, and nothing in it is read again and again."""
        for text in ("candidate:", "candidate:1 ", "https://", "u:p", '"password":', '{"token": "\\', "-----BEGIN ",
                     "Bearer ", "token=", "o=1 "):
            began = time.process_time()
            shown = scrub(text * 20000)
            self.assertLess(time.process_time() - began, 0.05, text)
            self.assertLessEqual(len(shown), MAX_SCRUBBED_CHARS)
        for most in range(40, 60):
            self.assertNotIn("hunter2", scrub("x" * 30 + " https://user:hunter2@host/" + "y" * 1000, most))

    def test_fields_are_hidden_by_their_names(self) -> None:
        """Whatever their values look like."""
        for field in ("password", "Secret", "auth_url_token", "api-key", "x_credential", "authorization"):
            self.assertEqual(hides(field), HIDDEN, field)
        for field in ("sdp", "msg", "candidate", "text"):
            self.assertEqual(hides(field), SESSION_DESCRIPTION, field)
        for field in ("room", "tag", "user", "reason", "key", "section", "names", "context", "secretary", "peer"):
            self.assertEqual(hides(field), "", field)

    def test_a_word_ends_no_field_and_no_line(self) -> None:
        """Of a name that a stranger has made up."""
        self.assertEqual(word('a b"c\n\x1b\u2028\udc80é'), "a?b?c????é")
        self.assertEqual((word(""), len(word("x" * 1000))), ("-", MAX_WORD_CHARS))

    def test_control_characters_are_spelled_out(self) -> None:
        """They would end a line, or steer a terminal."""
        self.assertEqual(visible("a\x1b[31m\r\u2028é\x9b"), "a\\x1b[31m\\r\\u2028é\\x9b")

    def test_so_is_what_turns_the_order_of_letters_about(self) -> None:
        """A name of its own would stand on a terminal as another one."""
        for one in "\u061c\u200e\u200f\u202a\u202e\u2066\u2069":
            self.assertEqual(visible(f"a{one}b"), f"a\\u{ord(one):04x}b")
