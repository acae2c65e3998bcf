"""Whole orders at a real authority, pebble: what it gives, and what we say when it does not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from cryptography import x509
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from rtcd.acme.challenges import Challenges
from rtcd.acme.client import Client
from rtcd.acme.issuer import Issuer
from rtcd.acme.kept import held_of, new_key
from rtcd.acme.network import seconds_of
from rtcd.acme.order import _profile, obtain
from rtcd.acme.request import AcmeError, Issued, Proof, Request
from rtcd.acme.resource import ChallengeResource
from rtcd.acme.schedule import LONGEST_ASKED_S
from rtcd.acme.settings import AcmeSettings
from rtcd.metrics import Metrics
from rtcd.state import StateDirectory
from rtcd.tls.authority import make_authority
from tests.interop.acme_authority import AlpnPort, HttpPort, Pebble, free_port

NAME = "meet.example.org"
EAB = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}


class OrderTestCase(SynchronousTestCase):
    """The ports that an authority looks at, and orders in this thread."""

    def setUp(self) -> None:
        """Both ports are open and show what is in the table."""
        self.challenges = Challenges()
        self.http, self.alpn = HttpPort(self.challenges), AlpnPort(self.challenges)
        self.addCleanup(self.http.end)
        self.addCleanup(self.alpn.end)
        self.stop = threading.Event()

    def pebble(self, **options: Any) -> Pebble:
        """An authority, which ends with the test."""
        ports = {"http_port": self.http.port, "tls_port": self.alpn.port}
        pebble = Pebble(Path(self.mktemp()), **{**ports, **options})
        self.addCleanup(pebble.end)
        return pebble

    def prove(self, proofs: Sequence[Proof]) -> None:
        """Put them up."""
        for one in proofs:
            if one.kind == "http-01":
                self.challenges.put_http(one.token, one.key_authorization)
            else:
                self.challenges.put_alpn(one.name, one.digest)

    def order(self, pebble: Pebble, *names: str, challenge: str = "http-01", **more: Any) -> Issued:
        """One order; the table is empty afterwards."""
        known = {"directory": pebble.directory, "trust": str(pebble.trust)}
        try:
            return obtain(Request(names=names, challenge=challenge, **{**known, **more}), self.prove, self.stop)
        finally:
            self.challenges.clear()

    def refusal(self, pebble: Pebble, *names: str, **more: Any) -> AcmeError:
        """The error of an order that cannot succeed: one line."""
        error: AcmeError = self.assertRaises(AcmeError, self.order, pebble, *names, **more)
        self.assertNotIn("\n", str(error))
        self.assertNotIn("Traceback", str(error))
        return error


class IssueTests(OrderTestCase):
    """Certificates."""

    def test_names_are_proved_by_http(self) -> None:
        """Several at once, an address among them; a new account and a new key, and a chain with its intermediate."""
        pebble = self.pebble(validity_s=600)
        issued = self.order(pebble, NAME, "b.example.org", "127.0.0.1", email="me@example.org")
        held = held_of(issued.pem)
        self.assertEqual(set(held.names), {NAME, "b.example.org", "127.0.0.1"})
        self.assertTrue(599 <= held.lifetime.length <= 600)
        self.assertEqual(len(x509.load_pem_x509_certificates(issued.chain_pem)), 2)
        self.assertTrue(issued.account.is_new)
        self.assertTrue(issued.account.terms_url)
        self.assertEqual((issued.directory, json.loads(issued.account.json)["directory"]), (pebble.directory,) * 2)

    def test_names_and_addresses_are_proved_in_handshakes(self) -> None:
        """TLS-ALPN-01; an address is asked for by its reverse name."""
        pebble = self.pebble()
        for name, sent in ((NAME, NAME.encode()), ("127.0.0.1", b"1.0.0.127.in-addr.arpa")):
            issued = self.order(pebble, name, challenge="tls-alpn-01")
            self.assertEqual(held_of(issued.pem).names, (name,))
            self.assertEqual(set(self.alpn.seen), {sent})
            self.alpn.seen.clear()
        self.assertEqual(self.http.asked, 0)

    def test_what_is_proved_already_is_not_proved_again(self) -> None:
        """Authorities remember for a while."""
        pebble = self.pebble(reuse_percent=100)
        first = self.order(pebble, NAME)
        asked = self.http.asked
        self.order(pebble, NAME, account_key_pem=first.account.key_pem, account_json=first.account.json)
        self.assertEqual(self.http.asked, asked)


    def test_nonces_that_are_not_taken_do_not_end_an_order(self) -> None:
        """Of a balancer's other half, say: every third request has to be sent again."""
        pebble = self.pebble(bad_nonce_percent=33)
        for _ in range(3):
            self.order(pebble, NAME)


class AccountTests(OrderTestCase):
    """Accounts."""

    def test_another_address_is_told_to_the_authority(self) -> None:
        """And that there is none any more."""
        pebble = self.pebble()
        account = self.order(pebble, NAME, email="a@example.org").account
        for email in ("b@example.org", None):
            account = self.order(pebble, NAME, email=email, account_key_pem=account.key_pem,
                                 account_json=account.json).account
            self.assertFalse(account.is_new)
            self.assertEqual(json.loads(account.json)["email"], email)
        error = self.refusal(pebble, NAME, email="b@", account_key_pem=account.key_pem, account_json=account.json)
        self.assertIn("invalidContact", str(error))

    def test_an_account_that_was_deactivated_can_be_made_anew(self) -> None:
        """The operator is told how, whether it was kept or is found by its key."""
        pebble = self.pebble()
        account = self.order(pebble, NAME).account
        known: dict[str, Any] = {"account_key_pem": account.key_pem, "account_json": account.json}
        client = Client(Request(pebble.directory, (NAME,), "http-01", trust=str(pebble.trust), **known), self.stop)
        self.addCleanup(client.close)
        client.open()
        client.enter()
        assert client.acme.net.account is not None  # entered just now
        client.acme.deactivate_registration(client.acme.net.account)
        for more in (known, {**known, "account_json": None}):
            self.assertIn("remove acme-account.key and acme-account.json", str(self.refusal(pebble, NAME, **more)))

    def test_an_account_is_used_again(self) -> None:
        """By what was kept of it, or by its key alone; the certificate has a new key each time."""
        pebble = self.pebble()
        first = self.order(pebble, NAME)
        key, kept = first.account.key_pem, first.account.json
        lost = json.loads(kept)
        lost["url"] += "0"
        elsewhere = json.dumps({**json.loads(kept), "directory": "https://other.example/dir"})
        for text in (kept, None, json.dumps(lost), elsewhere, "rubbish", "[]"):
            again = self.order(pebble, NAME, account_key_pem=key, account_json=text)
            self.assertEqual((again.account.json, again.account.is_new), (kept, False), text)
            self.assertNotEqual(again.key_pem, first.key_pem)
        other = self.order(pebble, NAME, account_key_pem=new_key(), account_json=kept)
        self.assertTrue(other.account.is_new)

    def test_an_authority_that_has_forgotten_an_account_gets_it_anew(self) -> None:
        """As one for trials does from time to time."""
        first = self.order(self.pebble(), NAME)
        pebble = self.pebble()
        kept = json.loads(first.account.json)
        kept.update(directory=pebble.directory, url=pebble.directory.replace("/dir", "/my-account/1"))
        again = self.order(pebble, NAME, account_key_pem=first.account.key_pem, account_json=json.dumps(kept))
        self.assertTrue(again.account.is_new)

    def test_an_authority_of_customers_needs_what_it_has_given_them(self) -> None:
        """RFC 8555 §7.3.4: said clearly without it, refused with a wrong one, and taken with the right one."""
        pebble = self.pebble(eab=EAB)
        self.assertIn("set [acme] eab-kid and eab-key", str(self.refusal(pebble, NAME)))
        wrong = self.refusal(pebble, NAME, eab_kid="kid-1", eab_key="A" * 64)
        self.assertIn(f"{pebble.directory} refuses: ", str(wrong))
        self.assertNotIn("A" * 64, str(wrong))
        issued = self.order(pebble, NAME, eab_kid="kid-1", eab_key=EAB["kid-1"])
        self.order(pebble, NAME, account_key_pem=issued.account.key_pem, account_json=issued.account.json)


class FailureTests(OrderTestCase):
    """What the operator is told."""

    def test_a_name_that_is_refused_is_told(self) -> None:
        """With the authority's own words; the account is there to be kept."""
        error = self.refusal(self.pebble(blocked=["blocked.example.org"]), "blocked.example.org")
        self.assertIn("rejectedIdentifier", str(error))
        self.assertIn("blocked.example.org", str(error))
        self.assertFalse(error.in_validation)
        self.assertTrue(error.account is not None and error.account.is_new)

    def test_a_name_that_is_not_proved_is_told(self) -> None:
        """Which one, how it was tried, and what the authority found; so that another way can be tried."""
        pebble = self.pebble(http_port=free_port(), tls_port=free_port())
        for challenge in ("http-01", "tls-alpn-01"):
            error = self.refusal(pebble, NAME, challenge=challenge)
            self.assertIn(f"{NAME} was not proved by {challenge}: ", str(error))
            self.assertTrue(error.in_validation)

    def test_a_wrong_answer_is_told(self) -> None:
        """Somebody else's web server."""
        self.patch(self, "prove", lambda proofs: None)
        error = self.refusal(self.pebble(), NAME)
        self.assertIn(f"{NAME} was not proved by http-01: ", str(error))

    def test_a_wildcard_cannot_be_proved_on_a_port(self) -> None:
        """The authority offers no way that we know."""
        error = self.refusal(self.pebble(), "*.example.org")
        self.assertIn("cannot be proved by http-01", str(error))

    def test_settings_that_do_not_fit_the_authority_are_told(self) -> None:
        """Trust, profile, directory, e-mail, account key."""
        pebble = self.pebble()
        other = pebble.folder / "other.pem"
        other.write_bytes(make_authority("other", ["localhost"], time.time()).certificate_pem())
        broken = pebble.folder / "broken.pem"
        broken.write_bytes(b"rubbish")
        for text, settings in (
            ("set [acme] trust|is not trusted (unable to get local issuer certificate)|[acme] trust", {"trust": str(other)}),
            ("is not trusted", {"trust": None}),
            ("[acme] trust: |No such file", {"trust": str(pebble.folder / "missing.pem")}),
            ("[acme] trust: |holds no certificate", {"trust": str(broken)}),
            ("[acme] profile: |no profile fast; it offers none", {"profile": "fast"}),
            ("answers with status 404", {"directory": f"{pebble.directory}/x"}),
            ("cannot be reached: Connection refused", {"directory": f"https://127.0.0.1:{free_port()}/dir"}),
            ("invalidContact", {"email": "me@"}),
            ("acme-account.key", {"account_key_pem": b"rubbish"}),
        ):
            error = str(self.refusal(pebble, NAME, **settings))
            for part in text.split("|")[1:] or [text]:
                self.assertIn(part, error)

    def test_it_ends_soon_when_it_is_told_to(self) -> None:
        """While it waits, and before it has begun."""
        pebble = self.pebble(http_port=free_port())

        def prove(proofs: Sequence[Proof]) -> None:
            self.stop.set()

        self.patch(self, "prove", prove)
        self.assertEqual(str(self.refusal(pebble, NAME)), "stopped")
        self.assertEqual(str(self.refusal(pebble, NAME)), "stopped")


class RenewalTests(TestCase):
    """The service with its thread, and the resource that shows the proofs."""

    def test_a_certificate_is_got_and_renewed_by_itself(self) -> None:
        """One that lives for ten seconds is renewed after six."""
        challenges, taken = Challenges(), Deferred[None]()
        root, known = Resource(), Resource()
        root.putChild(b".well-known", known)
        known.putChild(b"acme-challenge", ChallengeResource(challenges, lambda: None))
        port: Any = self.successResultOf(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Site(root)))
        self.addCleanup(port.stopListening)
        pebble = Pebble(Path(self.mktemp()), http_port=port.getHost().port, tls_port=free_port(), validity_s=10)
        self.addCleanup(pebble.end)
        state = StateDirectory(self.mktemp())
        seen: list[bytes | None] = []

        async def wanted() -> tuple[str, ...]:
            return (NAME,)

        def take() -> bool:
            seen.append(state.read("acme.pem"))
            if len(seen) == 2:
                taken.callback(None)
            return True

        issuer = Issuer(
            reactor, AcmeSettings(directory=pebble.directory, trust=str(pebble.trust)), state, challenges, Metrics(),
            wanted=wanted, kinds=lambda: ("http-01",), taken=take)
        issuer.startService()

        def check(_: None) -> None:
            issuer.stopService()
            self.assertNotEqual(seen[0], seen[1])
            self.assertEqual(held_of(seen[1] or b"").names, (NAME,))

        return taken.addCallback(check)  # type: ignore[return-value]  # trial waits for it


class WithoutAuthorityTests(SynchronousTestCase):
    """What pebble 2.4 has not."""

    def profile(self, offered: tuple[str, ...], *names: str, profile: str | None = None) -> str | None:
        """Which profile an order asks for."""
        client = cast(Client, SimpleNamespace(profiles=offered))
        return _profile(client, Request("https://ca.example/d", names, "http-01", profile=profile))

    def test_addresses_are_asked_for_with_the_profile_of_short_lives_where_there_is_one(self) -> None:
        """Names are not; and what is set is taken if it is offered."""
        offered = ("classic", "shortlived")
        self.assertEqual(self.profile(offered, NAME, "8.8.8.8"), "shortlived")
        self.assertEqual((self.profile(offered, NAME), self.profile((), "8.8.8.8")), (None, None))
        self.assertEqual(self.profile(offered, NAME, profile="classic"), "classic")
        error = self.assertRaises(AcmeError, self.profile, offered, NAME, profile="fast")
        self.assertIn("no profile fast; it offers classic, shortlived", str(error))

    def test_a_request_to_be_left_alone_is_read_as_seconds_or_as_a_date(self) -> None:
        """RFC 9110 §10.2.3; a date is compared with that of the answer, so that our clock does not matter. What is longer
        than anybody obeys is cut to that, and never ignored."""
        date = "Thu, 26 Nov 2026 20:00:00 GMT"
        for headers, seconds in (
            ({}, None), ({"Retry-After": "120"}, 120.0), ({"Retry-After": "soon"}, None), ({"Retry-After": "-1"}, None),
            ({"Retry-After": "9" * 9}, LONGEST_ASKED_S), ({"Retry-After": "9" * 40}, LONGEST_ASKED_S),
            ({"Retry-After": "9" * 9999}, LONGEST_ASKED_S), ({"Retry-After": date}, None),
            ({"Retry-After": date, "Date": date}, 0.0),
            ({"Retry-After": "Thu, 26 Nov 2026 20:10:00 GMT", "Date": date}, 600.0),
            ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": date}, LONGEST_ASKED_S),
            ({"Retry-After": "Thu, 26 Nov 2026 20:00:00 +" + "9" * 20, "Date": date}, None),
            ({"Retry-After": "Thu, 26 Nov 2026 20:00:00 +9999", "Date": date}, None),
        ):
            self.assertEqual(seconds_of(headers), seconds, headers)
