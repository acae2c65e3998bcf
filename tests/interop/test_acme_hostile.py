"""Orders at an authority that answers whatever a test says: what is believed, what is refused, and where patience ends."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from rtcd.acme import order
from rtcd.acme.kept import chain_of, held_of, new_key
from rtcd.acme.network import MAX_ANSWER_BYTES, MAX_REDIRECTS, NONCE_TRIES, TIMEOUT_S
from rtcd.acme.order import FIRST_POLL_S, ISSUANCE_S, LONGEST_POLL_S, VALIDATION_S, obtain
from rtcd.acme.request import AcmeError, Issued, Proof, Request
from rtcd.acme.schedule import LONGEST_ASKED_S
from tests.daemon.process import DEADLINE_S
from tests.interop.fake_acme import FakeAuthority, Handler

NAME = "meet.example.org"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Waits(threading.Event):
    """An event that is waited for without waiting: ``waits`` are the seconds. Who waits for ever is ended."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Notes it."""
        self.waits.append(timeout or 0.0)
        if len(self.waits) > 1000:
            raise AssertionError("no patience is as long")
        return self.is_set()


class HostileTestCase(SynchronousTestCase):
    """An authority that is good until a test changes it."""

    def setUp(self) -> None:
        """Nobody waits."""
        self.fake = FakeAuthority(Path(self.mktemp()))
        self.addCleanup(self.fake.end)
        self.stop = Waits()
        self.proofs: list[Proof] = []

    def prove(self, proofs: Sequence[Proof]) -> None:
        """Note what would be put up."""
        self.proofs += proofs

    def order(self, *names: str, **more: Any) -> Issued:
        """One order."""
        known = {"directory": self.fake.directory, "trust": str(self.fake.trust), "challenge": "http-01"}
        return obtain(Request(names=names or (NAME,), **{**known, **more}), self.prove, self.stop)

    def refusal(self, *names: str, **more: Any) -> AcmeError:
        """The error of an order that cannot succeed: one short line."""
        error: AcmeError = self.assertRaises(AcmeError, self.order, *names, **more)
        self.assertNotIn("\n", str(error))
        self.assertLessEqual(len(str(error)), 600)
        return error

    def answer(self, kind: str, *body: Any, code: int = 200, **headers: str) -> None:
        """Have this part answer so."""
        def hook(handler: Handler) -> None:
            found = body[0](handler) if callable(body[0]) else body[0]
            handler.send(code, found, **headers)

        self.fake.hooks[kind] = hook


class CertificateTests(HostileTestCase):
    """What comes at the end."""

    def test_a_good_one_is_taken_and_nothing_that_comes_with_it(self) -> None:
        """Text, and a key of somebody else in front of ours, stay out of the file."""
        self.answer("cert", lambda _: b"Here you are:\n" + new_key() + self.fake.chain() + b"\n\n")
        issued = self.order(NAME, "127.0.0.1")
        self.assertEqual(set(held_of(issued.pem).names), {NAME, "127.0.0.1"})
        self.assertEqual(issued.chain_pem, chain_of(issued.chain_pem))
        self.assertEqual((issued.pem.count(b"PRIVATE KEY"), issued.pem.count(b"Here")), (2, 0))

    def test_one_for_another_key_is_refused(self) -> None:
        """Nobody could use it."""
        self.answer("cert", lambda _: self.fake.chain(key=ec.generate_private_key(ec.SECP256R1())))
        self.assertIn("certificate and key do not belong together", str(self.refusal()))

    def test_one_for_other_names_is_refused(self) -> None:
        """They are told. It may be for more than was asked for."""
        self.answer("cert", lambda _: self.fake.chain(names=("evil.example", NAME)))
        self.assertIn(f"a certificate for evil.example, {NAME} instead", str(self.refusal(NAME, "b.example.org")))
        self.order(NAME)

    def test_what_is_none_is_refused(self) -> None:
        """Whatever it is."""
        for body in (b"", b"<html>", new_key(), b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
            self.answer("cert", body)
            self.assertIn("gave a certificate that is of no use", str(self.refusal()), body)


class ProofTests(HostileTestCase):
    """What is to be proved."""

    def test_a_name_that_was_not_asked_for_is_not_proved(self) -> None:
        """Nothing is shown for it, nobody is told to look."""
        identifier = {"type": "dns", "value": "evil.example"}
        self.answer("authz", lambda _: self.fake.authorization(0, identifier=identifier))
        self.assertIn("wants evil.example proved, which was not asked for", str(self.refusal()))
        self.assertEqual((self.proofs, self.fake.count("chall")), ([], 0))

    def test_no_more_is_proved_than_was_asked_for(self) -> None:
        """It is not even looked at."""
        urls = [f"{self.fake.base}/authz/0"] * 2

        def more(handler: Handler) -> dict[str, Any]:
            self.fake.names = handler.payload["identifiers"]
            return self.fake.order(authorizations=urls)

        self.answer("order", more, code=201, Location=f"{self.fake.base}/o/1")
        self.assertIn("wants more proved than was asked for", str(self.refusal()))
        self.assertEqual((self.proofs, self.fake.count("authz")), ([], 0))
        urls *= 500000
        self.assertIn(f"an answer of more than {MAX_ANSWER_BYTES} bytes", str(self.refusal()))
        self.assertEqual(self.fake.count("authz"), 0)

    def test_a_name_is_waited_for_as_long_as_it_is_said(self) -> None:
        """Then the authority has not looked; another way may do."""
        self.fake.hooks["chall"] = lambda handler: handler.send(
            200, self.fake.authorization(0)["challenges"][0], Link=f'<{self.fake.base}/authz/0>;rel="up"')
        error = self.refusal()
        self.assertIn(f"{NAME} is not looked at by the authority within {VALIDATION_S:.0f} seconds", str(error))
        self.assertTrue(error.in_validation)
        self.assertEqual(sum(self.stop.waits), VALIDATION_S)
        self.assertEqual((self.stop.waits[0], max(self.stop.waits)), (FIRST_POLL_S, LONGEST_POLL_S))


class OrderTests(HostileTestCase):
    """What becomes of an order."""

    def test_an_order_that_comes_to_no_end_is_given_up(self) -> None:
        """As late as it is said."""
        self.answer("o", lambda _: self.fake.order(status="processing"))
        self.assertIn(f"made no certificate within {ISSUANCE_S:.0f} seconds", str(self.refusal()))
        self.assertEqual(sum(self.stop.waits) - FIRST_POLL_S, ISSUANCE_S)

    def test_what_it_asks_to_wait_is_waited(self) -> None:
        """Within what there is for all of it."""
        asked = ["7", "0", "9" * 30]
        self.answer_slowly(asked)
        self.assertIn("made no certificate within", str(self.refusal()))
        self.assertEqual(self.stop.waits[1:], [7, FIRST_POLL_S * 2, ISSUANCE_S - 7 - FIRST_POLL_S * 2])

    def answer_slowly(self, asked: list[str]) -> None:
        """The order is worked on, and wants this to be waited at each look."""
        def hook(handler: Handler) -> None:
            handler.send(200, self.fake.order(status="processing"), Retry_After=asked.pop(0) if asked else "0")

        self.fake.hooks["o"] = hook

    def test_an_order_that_has_failed_is_not_waited_for(self) -> None:
        """Why is told."""
        error = {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids it"}
        self.answer("o", lambda _: self.fake.order(status="invalid", error=error))
        self.assertIn("made no certificate: caa: CAA forbids it", str(self.refusal()))
        self.answer("o", lambda _: self.fake.order(status="invalid"))
        self.assertIn("made no certificate: no reason given", str(self.refusal()))

    def test_an_answer_that_makes_no_sense_is_one_line(self) -> None:
        """Of any kind, at any place."""
        for kind in ("dir", "acct", "order", "authz", "chall", "o", "fin"):
            for body in (b"null", b"[]", b"3", b"{}", b'{"status": ["x"]}', b"[" * 100000, b"<html>", b"\xff\xfe"):
                self.answer(kind, body)
                self.refusal()
            del self.fake.hooks[kind]

    def test_it_may_be_asked_to_leave_the_authority_alone(self) -> None:
        """In any form, also in ones that no calendar holds."""
        date = "Thu, 26 Nov 2026 20:00:00 GMT"
        for text, seconds in (
            ("7200", 7200.0), ("9" * 40, LONGEST_ASKED_S), ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_ASKED_S),
            (f"Thu, 26 Nov 2026 20:00:00 +{'9' * 20}", None), ("Thu, 26 Nov 2026 20:00:00 +9999", None),
        ):
            def hook(handler: Handler, text: str = text) -> None:
                handler.problem(429, "rateLimited", "too\nmany", Retry_After=text, Date=date)

            self.fake.hooks["order"] = hook
            error = self.refusal()
            self.assertIn("refuses: rateLimited: too many", str(error))
            self.assertEqual(error.retry_after, seconds, text)


class AccountTests(HostileTestCase):
    """Our account there."""

    def test_padding_of_a_binding_key_is_no_part_of_it(self) -> None:
        """Some authorities give it so; the account is bound by the key that it means (RFC 8555 §7.3.4)."""
        key = bytes(range(16))
        plain = base64.urlsafe_b64encode(key).decode().rstrip("=")
        for text in (plain, f"{plain}==", f"{plain} ", f" {plain}== "):
            self.fake.asked.clear()
            self.order(eab_kid="kid", eab_key=text)
            binding = next(payload for kind, payload in self.fake.asked if kind == "acct")["externalAccountBinding"]
            mac = hmac.digest(key, f"{binding['protected']}.{binding['payload']}".encode(), hashlib.sha256)
            self.assertEqual(binding["signature"], base64.urlsafe_b64encode(mac).decode().rstrip("="), text)

    def test_an_account_without_a_url_is_none(self) -> None:
        """It could not be used; nothing of it is kept. Nor is one that was kept so."""
        for code in (201, 409):
            self.answer("acct", {"status": "valid"}, code=code)
            error = self.refusal()
            self.assertIn("does not say where the account", str(error))
            self.assertIsNone(error.account)
        del self.fake.hooks["acct"]
        first = self.order()
        kept = json.dumps({**json.loads(first.account.json), "url": None})
        again = self.order(account_key_pem=first.account.key_pem, account_json=kept)
        self.assertEqual(again.account.json, first.account.json)

    def test_another_address_is_told_to_the_authority(self) -> None:
        """Once; also that there is none any more."""
        account = self.order(email="a@example.org").account
        for email, contact in (("a@example.org", None), ("b@example.org", ["mailto:b@example.org"]), ("b@example.org", None),
                               (None, []), (None, None)):
            self.fake.asked.clear()
            account = self.order(email=email, account_key_pem=account.key_pem, account_json=account.json).account
            told = [payload["contact"] for kind, payload in self.fake.asked if kind == "acct"]
            self.assertEqual(told, [] if contact is None else [contact])

    def test_an_account_that_is_refused_can_be_made_anew(self) -> None:
        """The operator is told how."""
        self.fake.hooks["order"] = lambda handler: handler.problem(401, "unauthorized", "the account is deactivated")
        self.assertIn("; if the account was deactivated, remove acme-account.key and acme-account.json from the state "
                      "directory to register anew", str(self.refusal()))


class BoundTests(HostileTestCase):
    """Bytes, nonces, redirects."""

    def test_an_answer_as_long_as_is_allowed_is_read(self) -> None:
        """One byte more is not."""
        directory = {name: f"{self.fake.base}/{part}"
                     for name, part in {"newNonce": "nonce", "newAccount": "acct", "newOrder": "order"}.items()}
        body = json.dumps(directory).encode()
        self.answer("dir", body.ljust(MAX_ANSWER_BYTES))
        self.order()
        self.answer("dir", body.ljust(MAX_ANSWER_BYTES + 1))
        self.assertIn(f"an answer of more than {MAX_ANSWER_BYTES} bytes", str(self.refusal()))

    def test_answers_without_end_are_not_read(self) -> None:
        """At the beginning, in an error, at the end; also one that is small only as long as it is packed."""
        packed = gzip.compress(bytes(32 * MAX_ANSWER_BYTES))
        long: dict[str, Callable[[Handler], None]] = {
            "endless": lambda handler: handler.pour(b" " * 65536, HEAD + b"\r\n"),
            "packed": lambda handler: handler.send(200, packed, Content_Encoding="gzip"),
            "error": lambda handler: handler.problem(400, "malformed", "x" * 2 * MAX_ANSWER_BYTES),
        }
        for kind in ("dir", "acct", "cert"):
            for name, hook in long.items():
                self.fake.hooks[kind] = hook
                self.assertIn(f"an answer of more than {MAX_ANSWER_BYTES} bytes", str(self.refusal()), (kind, name))
            del self.fake.hooks[kind]

    def test_a_nonce_that_is_not_taken_is_replaced_a_few_times(self) -> None:
        """RFC 8555 §6.5; an authority that takes none at all is told so."""
        for kind in ("acct", "order", "authz", "chall", "o", "fin", "cert"):
            left = [NONCE_TRIES]

            def hook(handler: Handler, left: list[int] = left) -> bool | None:
                left[0] -= 1
                return handler.problem(400, "badNonce") if left[0] >= 0 else False  # type: ignore[func-returns-value]  # a hook

            self.fake.hooks[kind] = hook
            self.order()
            del self.fake.hooks[kind]
        self.fake.asked.clear()
        self.fake.hooks["order"] = lambda handler: handler.problem(400, "badNonce")
        self.assertIn("badNonce", str(self.refusal()))
        self.assertEqual(self.fake.count("order"), NONCE_TRIES + 1)

    def test_redirects_come_to_an_end_and_lead_to_https_only(self) -> None:
        """RFC 8555 §6.1."""
        self.answer("dir", b"", code=302, Location=self.fake.directory)
        self.assertIn("cannot be reached", str(self.refusal()))
        self.assertEqual(self.fake.count("dir"), MAX_REDIRECTS + 1)
        self.answer("dir", b"", code=302, Location=self.fake.directory.replace("https", "http"))
        self.assertIn("cannot be reached: No connection adapters", str(self.refusal()))

    def test_a_client_that_cannot_be_loaded_is_one_line(self) -> None:
        """A library is missing, say."""
        def missing(*_: object) -> None:
            raise ImportError("No module named 'josepy'")

        self.patch(order, "_client", missing)
        self.assertIn("the ACME client does not work here (ImportError: No module named 'josepy')", str(self.refusal()))


class StopTests(HostileTestCase):
    """A thread that is told to stop ends soon, whatever the authority does."""

    def test_it_ends_while_an_answer_dribbles_or_does_not_come(self) -> None:
        """A byte at a time in the body or in the headers, or none at all, is nothing to wait for."""
        chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        slow: dict[str, Callable[[Handler], None]] = {
            "body": lambda handler: handler.pour(b" ", HEAD + b"\r\n", 0.02),
            "chunks": lambda handler: handler.pour(b"1\r\n \r\n", chunked, 0.02),
            "headers": lambda handler: handler.pour(b"x", HEAD, 0.02),
            "before": lambda handler: handler.pour(b"HTTP/1.1 100 Continue\r\n\r\n", b"", 0.02),
            "nothing": lambda handler: handler.pour(b"H", b"", DEADLINE_S),
        }
        for kind in ("dir", "order", "cert"):
            for name, hook in slow.items():
                self.fake.hooks[kind] = hook
                self.fake.pouring.clear()
                self.stop = Waits()
                errors: list[AcmeError] = []
                thread = threading.Thread(target=lambda errors=errors: errors.append(self.refusal()), daemon=True)
                thread.start()
                self.assertTrue(self.fake.pouring.wait(DEADLINE_S))
                start = time.monotonic()
                self.stop.set()
                thread.join(DEADLINE_S)
                self.assertLess(time.monotonic() - start, TIMEOUT_S / 4, (kind, name))
                self.assertEqual([str(one) for one in errors], ["stopped"], (kind, name))
            del self.fake.hooks[kind]

    def test_no_thread_is_left_of_an_order(self) -> None:
        """Neither of one that was made nor of one that was refused."""
        self.order()
        self.answer("order", b"")
        self.refusal()
        deadline = time.monotonic() + DEADLINE_S
        while any(one.name == "acme-watch" for one in threading.enumerate()) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual([one for one in threading.enumerate() if one.name == "acme-watch"], [])
