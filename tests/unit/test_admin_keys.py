"""Keys, sessions, hashes of passwords, and how webhooks are signed and queued."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime

from argon2 import PasswordHasher
from argon2.low_level import Type
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from twisted.trial.unittest import SynchronousTestCase

from rtcd.admin.keys import MAX_KEYS, SCOPES, digest, find, make, parse
from rtcd.admin.outbox import MAX_QUEUED, PAUSES_S, Outbox
from rtcd.admin.password import MAX_CHARS, checked_hash, hash_of, verify
from rtcd.admin.sessions import IDLE_S, LIFE_S, MAX_SESSIONS, Sessions
from rtcd.admin.signature import headers, secret_of

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class KeyTests(SynchronousTestCase):
    def test_a_key_that_was_made_is_found_and_stands_nowhere(self) -> None:
        secret, line = make("grafana", "rooms,read", lambda size: "x" * size)
        (key,) = parse(f"# keys\n\n{line}\n")
        self.assertEqual((secret, key.name, key.scopes), ("rtcd_" + "x" * 32, "grafana", {"read", "rooms"}))
        self.assertEqual((line.split(":")[1], find((key,), secret)), ("read,rooms", key))
        self.assertNotIn("xxx", line)
        for wrong in ("", secret[:-1], f"{secret} ", "\ud800"):
            self.assertIsNone(find((key,), wrong))

    def test_the_right_one_of_many_is_found(self) -> None:
        made = [make(f"k{number}", "read", secrets.token_hex) for number in range(20)]
        keys = parse("\n".join(line for _, line in made))
        self.assertEqual([find(keys, secret).name for secret, _ in made], [f"k{number}" for number in range(20)])  # type: ignore[union-attr] # all are there

    def test_a_line_that_is_wrong_is_named_but_not_shown(self) -> None:
        good = digest("x")
        for line, said in (("a:read", "is not name:scopes:hash"), (f"a:read:{good}:x", "is not name:scopes:hash"),
                           (f"a:write:{good}", "write is no scope"), (f"a::{good}", "is no scope"),
                           ("a:read:secret", "no SHA-256"), (f"a:read:{good.upper()}", "no SHA-256"),
                           (f"a b:read:{good}", "a name has"), (f"b:read:{good}", "is there twice")):
            error = str(self.assertRaises(ValueError, parse, f"b:read:{good}\n{line}"))
            self.assertIn("line 2: ", error)
            self.assertIn(said, error)
            self.assertNotIn("secret", error)

    def test_there_are_so_many_at_most(self) -> None:
        lines = [f"k{number}:read:{digest(str(number))}" for number in range(MAX_KEYS + 1)]
        self.assertEqual(len(parse("\n".join(lines[:-1]))), MAX_KEYS)
        self.assertRaises(ValueError, parse, "\n".join(lines))

    def test_only_scopes_that_there_are_can_be_given(self) -> None:
        self.assertEqual(sorted(SCOPES), ["credentials", "drain", "kick", "read", "rooms"])
        for name, scopes in (("a", "root"), ("a", ""), ("a:b", "read"), ("", "read")):
            self.assertRaises(ValueError, make, name, scopes, str)


class SessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sessions = Sessions()

    def test_one_is_good_while_it_is_used_and_for_half_a_day(self) -> None:
        self.sessions.begin("a", 0)
        now = 0.0
        while now + IDLE_S - 1 < LIFE_S:
            now += IDLE_S - 1
            self.assertTrue(self.sessions.find("a", now))
        self.assertFalse(self.sessions.find("a", LIFE_S))
        self.assertEqual(len(self.sessions), 0)

    def test_one_that_is_not_used_is_over(self) -> None:
        self.sessions.begin("a", 0)
        self.assertFalse(self.sessions.find("a", IDLE_S))

    def test_a_clock_that_stepped_back_ends_it(self) -> None:
        self.sessions.begin("a", 100)
        self.assertFalse(self.sessions.find("a", 99))

    def test_unknown_and_ended_ones_are_not_good(self) -> None:
        self.sessions.begin("a", 0)
        self.sessions.end("a")
        self.sessions.end("b")
        self.assertEqual([self.sessions.find(one, 0) for one in ("a", "b", "")], [False, False, False])

    def test_there_are_so_many_at_most(self) -> None:
        """The one that was used least recently goes."""
        for number in range(MAX_SESSIONS):
            self.sessions.begin(str(number), 0)
        self.sessions.find("0", 1)
        self.sessions.begin("new", 1)
        self.assertEqual(len(self.sessions), MAX_SESSIONS)
        self.assertEqual([self.sessions.find(one, 1) for one in ("0", "1", "new")], [True, False, True])


class PasswordTests(SynchronousTestCase):
    def test_a_hash_is_of_this_password_and_salt(self) -> None:
        hashed = hash_of("correct horse", b"s" * 16)
        self.assertEqual((checked_hash(hashed), hashed), (hashed, hash_of("correct horse", b"s" * 16)))
        self.assertEqual([verify(hashed, one) for one in ("correct horse", "correct hors", "")], [True, False, False])

    def test_any_text_may_be_tried(self) -> None:
        hashed = CHEAP.hash("x" * MAX_CHARS)
        tried = [verify(hashed, one) for one in ("x" * MAX_CHARS, "x" * (MAX_CHARS + 1), "\ud800")]
        self.assertEqual(tried, [True, False, False])

    def test_a_password_has_a_length(self) -> None:
        for one in ("1234567", "x" * (MAX_CHARS + 1)):
            self.assertRaises(ValueError, hash_of, one, b"s" * 16)

    def test_what_is_no_hash_or_would_stop_the_daemon_is_refused(self) -> None:
        for one in ("sesame", "", "$2b$12$abcdefghijklmnopqrstuu", PasswordHasher(1, 8, 1, type=Type.I).hash("x"),
                    CHEAP.hash("x").replace("m=8", "m=2000000"), CHEAP.hash("x").replace("t=1", "t=100")):
            self.assertIn("rtcd admin-password", str(self.assertRaises(ValueError, checked_hash, one)))


class SignatureTests(SynchronousTestCase):
    secret = base64.b64encode(b"k" * 32).decode()

    def test_the_stock_library_takes_it(self) -> None:
        """And nothing that was changed."""
        now, body = int(datetime.now(UTC).timestamp()), json.dumps({"type": "room.opened"}).encode()
        for text in (self.secret, f"whsec_{self.secret}"):
            signed = headers(secret_of(text), "msg_1", now, body)
            self.assertEqual(Webhook(text).verify(body, signed), {"type": "room.opened"})
        for wrong in (signed | {"webhook-id": "msg_2"}, signed | {"webhook-timestamp": str(now + 1)}):
            self.assertRaises(WebhookVerificationError, Webhook(self.secret).verify, body, wrong)
        self.assertRaises(WebhookVerificationError, Webhook(self.secret).verify, body + b" ", signed)

    def test_a_secret_has_a_length(self) -> None:
        for text in ("", "x", "!" * 32, base64.b64encode(b"k" * 23).decode(), base64.b64encode(b"k" * 65).decode()):
            self.assertIn("openssl", str(self.assertRaises(ValueError, secret_of, text)))


class OutboxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.box = Outbox()

    def test_messages_leave_in_their_order(self) -> None:
        for one in "abc":
            self.assertTrue(self.box.put(one, b"", 5))
        found = []
        while (message := self.box.first(5)) is not None:
            found.append(message.id)
            self.box.done()
        self.assertEqual((found, self.box.next_deadline()), (["a", "b", "c"], None))

    def test_one_that_fails_is_tried_later_and_holds_up_the_others_until_it_is_given_up(self) -> None:
        self.box.put("a", b"", 0)
        self.box.put("b", b"", 0)
        now = 0.0
        for pause in PAUSES_S:
            self.assertFalse(self.box.failed(now))
            self.assertEqual((self.box.next_deadline(), self.box.first(now + pause - 0.1)), (now + pause, None))
            now += pause
        self.assertTrue(self.box.failed(now))
        self.assertEqual(self.box.first(now).id, "b")  # type: ignore[union-attr] # it is there

    def test_all_or_all_but_the_first_are_forgotten(self) -> None:
        for one in "abc":
            self.box.put(one, b"", 0)
        self.assertEqual((self.box.clear(but=1), self.box.first(0).id), (2, "a"))  # type: ignore[union-attr] # it is there
        self.assertEqual((self.box.clear(but=1), self.box.clear(), self.box.first(0)), (0, 1, None))

    def test_it_is_bounded(self) -> None:
        taken = [self.box.put(str(number), b"", 0) for number in range(MAX_QUEUED + 1)]
        self.assertEqual((taken.count(True), taken[-1], len(self.box), self.box.clear(), len(self.box)),
                         (MAX_QUEUED, False, MAX_QUEUED, MAX_QUEUED, 0))
