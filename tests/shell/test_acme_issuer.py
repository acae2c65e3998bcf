"""The service that keeps a certificate: when it asks, what it keeps, and how it ends."""

from __future__ import annotations

import datetime
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from rtcd.acme.attempt import ATTEMPT_S, PROVE_S, in_thread
from rtcd.acme.challenges import MAX_CHALLENGES, Challenges
from rtcd.acme.issuer import LOOK_S, NOTHING_WANTED_S, WANTED_S, Issuer
from rtcd.acme.kept import ORIGIN, new_key
from rtcd.acme.request import Account, AcmeError, Issued, Proof, Request
from rtcd.acme.schedule import FIRST_S, JITTER
from rtcd.acme.settings import CHALLENGES, AcmeSettings
from rtcd.metrics import Metrics
from rtcd.state import StateDirectory
from rtcd.tls.certificates import ISSUED

NOW = 1_790_000_000.0
DAY = 86400.0
NAME = "meet.example.org"
DIRECTORY = "https://ca.example.org/directory"


def issued(names: tuple[str, ...] = (NAME,), now: float = NOW, days: float = 90.0, *, is_new: bool = False) -> Issued:
    """A certificate as an authority would make it."""
    pem = new_key()
    key: Any = load_pem_private_key(pem, None)
    start = datetime.datetime.fromtimestamp(now, datetime.UTC)
    subject = x509.Name([])
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start).not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256()))
    account = Account(b"account key", '{"url": "u"}', "https://ca.example.org/terms", is_new)
    return Issued(certificate.public_bytes(Encoding.PEM), pem, account, DIRECTORY)


class Reactor(MemoryReactorClock):
    """Its threads are this one."""

    def callFromThread(self, work: Callable[..., object], *arguments: object) -> None:
        """At once."""
        work(*arguments)


class IssuerTestCase(SynchronousTestCase):
    """Orders end when the test says so."""

    def setUp(self) -> None:
        """A name, both kinds of challenge, and nothing in the state directory."""
        self.reactor = Reactor()
        self.reactor.rightNow = NOW
        self.state = StateDirectory(self.mktemp())
        self.challenges = Challenges()
        self.metrics = Metrics()
        self.names: tuple[str, ...] = (NAME,)
        self.kinds: tuple[str, ...] = CHALLENGES
        self.accepts = True
        self.takes = 0
        self.orders: list[tuple[Request, Any, threading.Event, Deferred[Issued]]] = []
        self.lines: list[tuple[str, str]] = []
        observer = cast(ILogObserver, self.observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def observe(self, event: Any) -> None:
        """Keep the lines of ours."""
        if event["log_namespace"].startswith("rtcd.acme"):
            self.lines.append((event["log_level"].name, event["log_format"].format(**event)))

    def told(self, level: str) -> list[str]:
        """The lines of a level."""
        return [line for one, line in self.lines if one == level]

    def run_order(self, _: Any, work: Any) -> Deferred[Issued]:
        """Instead of a thread."""
        done: Deferred[Issued] = Deferred()
        request, prove, stop = work.args
        self.orders.append((request, prove, stop, done))
        return done

    async def wanted(self) -> tuple[str, ...]:
        """The names."""
        return self.names

    def take(self) -> bool:
        """The checks."""
        self.takes += 1
        return self.accepts

    def start(self, **settings: Any) -> Issuer:
        """Start, and let the reactor turn once."""
        issuer = Issuer(
            self.reactor, AcmeSettings(**{"directory": DIRECTORY, **settings}), self.state, self.challenges, self.metrics,
            wanted=self.wanted, kinds=lambda: self.kinds, taken=self.take, run=self.run_order)
        before = len(self.orders)
        issuer.startService()
        self.assertEqual(len(self.orders), before)
        self.addCleanup(self.ended, issuer)
        self.reactor.advance(0)
        return issuer

    def ended(self, issuer: Issuer) -> None:
        """Nothing is left of it."""
        if issuer.running:
            issuer.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertTrue(all(stop.is_set() for _, _, stop, _ in self.orders))
        self.assertFalse(self.challenges.waiting)

    def next_call(self) -> float:
        """After how long something is due; one thing only."""
        (call,) = self.reactor.getDelayedCalls()
        return float(call.getTime() - self.reactor.seconds())

    def succeed(self, **certificate: Any) -> None:
        """The latest order ends well."""
        self.orders[-1][3].callback(issued(**{"now": self.reactor.seconds(), **certificate}))

    def fail_order(self, text: str = "no", retry_after: float | None = None, *, in_validation: bool = False) -> None:
        """The latest order ends badly."""
        self.orders[-1][3].errback(AcmeError(text, retry_after, in_validation=in_validation))

    def count(self, result: str) -> int:
        """Of orders."""
        return self.metrics.counter("acme", "orders", "", result=result).value


class OrderTests(IssuerTestCase):
    """From nothing to a certificate."""

    def test_the_first_start_asks_at_once_and_keeps_what_comes(self) -> None:
        """In one file of the state directory, which is then taken into service."""
        issuer = self.start(email="me@example.org", eab_kid="k", eab_key="x" * 20, profile="p", trust="t")
        request = self.orders[0][0]
        self.assertEqual((request.directory, request.names, request.challenge), (DIRECTORY, (NAME,), "tls-alpn-01"))
        self.assertEqual((request.email, request.eab_kid, request.eab_key, request.profile, request.trust),
                         ("me@example.org", "k", "x" * 20, "p", "t"))
        self.assertEqual(request.account_json, None)
        self.succeed(is_new=True)
        self.assertEqual(self.takes, 1)
        pem = self.state.read(ISSUED) or b""
        self.assertTrue(0 == pem.index(b"-----BEGIN CERTIFICATE-----") < pem.index(b"-----BEGIN PRIVATE KEY-----"))
        self.assertEqual(json.loads(self.state.read(ORIGIN) or b""), {hashlib.sha256(pem).hexdigest(): DIRECTORY})
        self.assertEqual(self.state.read("acme-account.json"), b'{"url": "u"}')
        self.assertEqual(self.told("info"), [
            f"asking {DIRECTORY} for a certificate for {NAME}",
            f"made an account at {DIRECTORY}, agreeing to its terms of service: https://ca.example.org/terms",
            f"certificate for {NAME} from {DIRECTORY}, renewed in 60.0 days"])
        self.assertEqual((self.count("issued"), self.count("failed")), (1, 0))
        self.assertEqual(issuer.days_until_renewal(), 60)

    def test_the_accounts_key_is_kept_before_it_is_used(self) -> None:
        """Whatever cuts the first order short, the account is found again."""
        self.start()
        key = self.orders[0][0].account_key_pem
        self.assertEqual(self.state.read("acme-account.key"), key)
        self.fail_order()
        self.reactor.advance(FIRST_S * 2)
        self.assertEqual(self.orders[1][0].account_key_pem, key)

    def test_an_account_is_kept_even_if_the_order_fails(self) -> None:
        """Authorities count registrations."""
        self.start()
        error = AcmeError("no")
        error.account = Account(b"key", '{"url": "mine"}', None, True)
        self.orders[0][3].errback(error)
        self.assertEqual(self.state.read("acme-account.json"), b'{"url": "mine"}')
        self.assertIn("it names none", self.told("info")[1])

    def test_proofs_are_up_while_an_order_is_open_and_not_longer(self) -> None:
        """Of both kinds; and never those of an order that has ended."""
        self.start()
        _, prove, stop, _ = self.orders[0]
        prove([Proof("http-01", NAME, "tok", "tok.key"), Proof("tls-alpn-01", NAME, "tok", "tok.key")])
        self.assertEqual(self.challenges.http("tok"), "tok.key")
        self.assertEqual(len(self.challenges.alpn(NAME) or b""), 32)
        self.succeed()
        self.assertEqual((self.challenges.http("tok"), self.challenges.alpn(NAME)), (None, None))
        self.assertTrue(stop.is_set())
        prove([Proof("tls-alpn-01", NAME, "tok", "tok.key")])
        self.assertFalse(self.challenges.waiting)

    def test_the_authority_is_not_sent_for_before_every_process_shows_the_proofs(self) -> None:
        """It may come to any of them."""
        self.start()
        waiting: Deferred[None] = Deferred()
        self.challenges.everywhere = lambda: waiting
        told = threading.Thread(target=self.orders[0][1], args=([Proof("http-01", NAME, "tok", "tok.key")],))
        begun = threading.Event()

        def call(act: Any, *arguments: Any) -> None:
            act(*arguments)
            begun.set()

        self.patch(self.reactor, "callFromThread", call)
        told.start()
        self.assertTrue(begun.wait(PROVE_S))
        self.assertEqual((self.challenges.http("tok"), told.is_alive()), ("tok.key", True))
        waiting.callback(None)
        told.join(PROVE_S)
        self.assertFalse(told.is_alive())

    def test_proofs_that_cannot_be_shown_end_the_order(self) -> None:
        """Too many, or with a token that is none."""
        self.start()
        prove = self.orders[0][1]
        self.assertRaises(AcmeError, prove, [Proof("http-01", NAME, "a/b", "x")])
        self.assertRaises(AcmeError, prove, [Proof("http-01", NAME, f"t{n}", "x") for n in range(MAX_CHALLENGES + 1)])

    def test_a_refused_certificate_is_a_failure_and_the_old_one_comes_back(self) -> None:
        """The checks of [tls] have the last word."""
        self.start()
        self.succeed()
        before = self.state.read(ISSUED)
        self.accepts = False
        self.reactor.pump([LOOK_S] * 60)
        self.assertEqual(len(self.orders), 2)
        self.succeed()
        self.assertEqual(self.state.read(ISSUED), before)
        self.assertIn("does not pass the checks", self.told("warn")[0])
        self.assertEqual(self.count("failed"), 1)

    def test_a_refused_first_certificate_leaves_no_files(self) -> None:
        """Nothing is in its place that was not taken; likewise what is no certificate, or is not valid now."""
        self.start()
        self.accepts = False
        self.succeed()
        self.assertEqual((self.takes, self.state.read(ISSUED)), (1, None))
        self.accepts = True
        for number, bad in enumerate((
            replace(issued(), chain_pem=b"rubbish"), replace(issued(), key_pem=new_key()), issued(now=NOW - 91 * DAY),
            issued(now=NOW + 30 * DAY),
            replace(mixed := issued(), chain_pem=mixed.chain_pem + issued(now=NOW - 91 * DAY).chain_pem),
            replace(mixed, chain_pem=mixed.chain_pem + issued(now=NOW + 30 * DAY).chain_pem),
        ), start=1):
            self.reactor.advance(self.next_call())
            self.orders[number][3].callback(bad)
            self.assertEqual((self.takes, self.state.read(ISSUED), self.count("failed")), (1, None, number + 1))


class KindTests(IssuerTestCase):
    """How names are proved."""

    def test_the_other_kind_is_tried_when_names_were_not_proved(self) -> None:
        """With an order of its own, at once; the reasons of both are told."""
        self.start()
        self.fail_order("blocked", in_validation=True)
        self.assertEqual([one[0].challenge for one in self.orders], ["tls-alpn-01", "http-01"])
        self.fail_order("refused", in_validation=True)
        self.assertEqual((len(self.orders), self.count("failed")), (2, 1))
        self.assertIn("blocked; then refused; next try in", self.told("warn")[0])

    def test_no_other_failure_is_a_reason_for_the_other_kind(self) -> None:
        """An authority that refuses the name refuses it either way."""
        self.start()
        self.fail_order("rateLimited")
        self.assertEqual(len(self.orders), 1)

    def test_a_kind_that_is_set_is_the_only_one(self) -> None:
        """[acme] challenge."""
        self.start(challenge="http-01")
        self.fail_order(in_validation=True)
        self.assertEqual([one[0].challenge for one in self.orders], ["http-01"])

    def test_without_a_kind_that_can_be_answered_nobody_is_asked(self) -> None:
        """The operator is told what is missing."""
        self.kinds = ("tls-alpn-01",)
        self.start(challenge="http-01")
        self.assertEqual(self.orders, [])
        self.assertIn("nothing here answers http-01", self.told("warn")[0])


class ScheduleTests(IssuerTestCase):
    """When it asks."""

    def test_a_certificate_that_is_good_is_left_alone_at_the_start(self) -> None:
        """Until it is due."""
        issuer = self.start()
        self.succeed()
        issuer.stopService()
        self.orders.clear()
        self.reactor.advance(DAY)
        issuer = self.start()
        self.assertEqual(self.orders, [])
        self.assertEqual((issuer.days_until_renewal(), self.next_call()), (59, LOOK_S))

    def test_it_is_renewed_at_two_thirds_of_its_life(self) -> None:
        """And that one again."""
        self.start()
        self.succeed()
        self.reactor.pump([DAY] * 59)
        self.assertEqual(len(self.orders), 1)
        self.reactor.advance(DAY)
        self.assertEqual(len(self.orders), 2)
        self.succeed()
        self.reactor.pump([DAY] * 60)
        self.assertEqual(len(self.orders), 3)

    def test_a_renewal_that_fails_is_tried_again_and_the_certificate_stays(self) -> None:
        """With growing pauses."""
        self.start()
        self.fail_order("broken")
        first = self.next_call()
        self.assertTrue(FIRST_S <= first <= FIRST_S * (1 + JITTER))
        self.assertIn(f"no certificate for {NAME}: broken; next try in ", self.told("warn")[0])
        self.reactor.advance(first)
        self.fail_order("broken")
        self.assertTrue(2 * FIRST_S <= self.next_call() <= 2 * FIRST_S * (1 + JITTER))
        self.reactor.advance(self.next_call())
        self.succeed()
        self.reactor.pump([DAY] * 60)
        self.fail_order("broken")
        self.assertLessEqual(self.next_call(), FIRST_S * (1 + JITTER))

    def test_an_authority_can_ask_to_be_left_alone(self) -> None:
        """Retry-After."""
        self.start()
        self.fail_order("rateLimited", 7200.0)
        self.assertEqual(self.next_call(), 7200)
        self.assertIn("next try in 120 min", self.told("warn")[0])

    def test_other_names_another_directory_or_damaged_files_need_another_certificate(self) -> None:
        """So does one that is not valid now, and each in its chain. Fewer names do not."""
        self.names = (NAME, "b.example.org")
        self.start().stopService()
        for change, asks in (
            (lambda: None, True), (lambda: setattr(self, "names", (NAME,)), False),
            (lambda: setattr(self, "names", (NAME, "c.example.org")), True),
            (lambda: self.hold(lambda pem: pem, "https://other.example/"), True),
            (lambda: self.state.write(ORIGIN, b"[]"), True), (lambda: self.state.write(ORIGIN, b"{"), True),
            (lambda: self.hold(lambda pem: b"rubbish"), True), (lambda: self.hold(lambda pem: pem), False),
            (lambda: self.hold(lambda pem: pem[:pem.index(b"-----BEGIN PRIVATE")] + new_key()), True),
            (lambda: self.hold(lambda pem: pem[:pem.index(b"-----BEGIN PRIVATE")]), True),
            (lambda: self.hold(lambda _: issued(self.names, NOW - 91 * DAY).pem), True),
            (lambda: self.hold(lambda _: issued(self.names, NOW + DAY).pem), True),
            (lambda: self.hold(lambda pem: issued(self.names, NOW + DAY).chain_pem.join((pem[:pem.index(
                b"-----BEGIN PRIVATE")], pem[pem.index(b"-----BEGIN PRIVATE"):]))), True),
        ):
            self.orders.clear()
            change()
            issuer = self.start()
            self.assertEqual(len(self.orders), int(asks))
            if asks:
                self.succeed(names=self.names)
            issuer.stopService()

    def hold(self, change: Callable[[bytes], bytes], directory: str = DIRECTORY) -> None:
        """Have another file there, as one of this directory."""
        pem = change(self.state.read(ISSUED) or b"")
        self.state.write(ISSUED, pem)
        self.state.write(ORIGIN, json.dumps({hashlib.sha256(pem).hexdigest(): directory}).encode())

    def test_without_names_nothing_is_asked_or_said(self) -> None:
        """It looks again after a while."""
        self.names = ()
        self.start()
        self.assertEqual((self.orders, self.told("info"), self.told("warn")), ([], [], []))
        self.assertEqual(self.next_call(), NOTHING_WANTED_S)
        self.names = (NAME,)
        self.reactor.advance(NOTHING_WANTED_S)
        self.assertEqual(len(self.orders), 1)

    def test_new_names_are_seen_when_it_is_poked_and_within_a_day(self) -> None:
        """With the same names nothing happens, and a pause goes on."""
        issuer = self.start()
        issuer.poke()
        self.succeed()
        self.reactor.advance(0)
        self.assertEqual(len(self.orders), 1)
        self.names = (NAME, "b.example.org")
        issuer.poke()
        self.reactor.advance(0)
        self.assertEqual(len(self.orders), 2)
        self.fail_order("no")
        issuer.poke()
        self.reactor.advance(0)
        self.assertEqual(len(self.orders), 2)
        self.assertGreater(self.next_call(), FIRST_S / 2)
        self.names = (NAME, "c.example.org")
        issuer.poke()
        self.reactor.advance(0)
        self.succeed(names=self.names)
        self.names = (NAME, "d.example.org")
        self.reactor.advance(LOOK_S)
        self.assertEqual(len(self.orders), 4)

    def test_names_that_change_during_an_order_are_seen_right_after_it(self) -> None:
        """The order itself goes on."""
        issuer = self.start()
        self.names = (NAME, "b.example.org")
        issuer.poke()
        self.assertEqual((len(self.orders), self.orders[0][2].is_set()), (1, False))
        self.succeed()
        self.reactor.advance(0)
        self.assertEqual((len(self.orders), self.orders[1][0].names), (2, self.names))

    def test_a_certificate_that_is_due_when_it_comes_is_not_asked_for_without_a_pause(self) -> None:
        """Should the authority's clock be another."""
        self.start()
        self.succeed(now=NOW - 80 * DAY)
        self.assertGreaterEqual(self.next_call(), FIRST_S)

    def test_a_fault_of_our_own_is_told_and_does_not_end_the_service(self) -> None:
        """Of whoever tells the names, and of an order."""
        self.start()
        self.orders[0][3].errback(RuntimeError("ours"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertGreaterEqual(self.next_call(), FIRST_S)


class EndTests(IssuerTestCase):
    """What ends, and what of it comes late."""

    def test_a_stop_ends_an_order_at_once(self) -> None:
        """What the thread says later is for nobody."""
        issuer = self.start()
        _, prove, stop, done = self.orders[0]
        prove([Proof("tls-alpn-01", NAME, "tok", "tok.key")])
        issuer.stopService()
        self.assertTrue(stop.is_set())
        self.assertFalse(self.challenges.waiting)
        done.callback(issued())
        self.assertEqual((self.takes, self.state.read(ISSUED), self.reactor.getDelayedCalls()), (0, None, []))

    def test_it_can_be_started_again(self) -> None:
        """And asks again."""
        issuer = self.start()
        issuer.stopService()
        issuer.startService()
        self.reactor.advance(0)
        self.assertEqual(len(self.orders), 2)

    def test_changed_settings_end_an_order_and_begin_another(self) -> None:
        """Also a pause after failures."""
        issuer = self.start()
        issuer.reconfigure(AcmeSettings(directory=DIRECTORY, email="x@example.org"))
        self.assertTrue(self.orders[0][2].is_set())
        self.reactor.advance(0)
        self.orders[0][3].callback(issued())
        self.assertEqual((len(self.orders), self.orders[1][0].email, self.takes), (2, "x@example.org", 0))
        self.fail_order()
        issuer.reconfigure(AcmeSettings(directory=DIRECTORY))
        self.reactor.advance(0)
        self.assertEqual(len(self.orders), 3)

    def test_settings_that_are_the_same_but_for_the_webroot_disturb_nothing(self) -> None:
        """Of a reload of something else."""
        issuer = self.start()
        issuer.reconfigure(AcmeSettings(directory=DIRECTORY, webroot="/srv"))
        self.reactor.advance(0)
        self.assertEqual((len(self.orders), self.orders[0][2].is_set()), (1, False))

    def test_an_order_that_does_not_end_is_given_up(self) -> None:
        """Its thread is told."""
        self.start()
        self.reactor.advance(ATTEMPT_S)
        self.assertTrue(self.orders[0][2].is_set())
        self.assertIn("came to no end within 10 minutes", self.told("warn")[0])

    def test_names_that_nobody_tells_are_given_up(self) -> None:
        """And asked for again later; a stop in between ends that too."""
        waiting: list[Deferred[tuple[str, ...]]] = []

        async def wanted() -> tuple[str, ...]:
            waiting.append(Deferred())
            return await waiting[-1]

        self.patch(self, "wanted", wanted)
        issuer = self.start()
        self.reactor.advance(WANTED_S)
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.reactor.advance(self.next_call())
        self.assertEqual(len(waiting), 2)
        issuer.stopService()
        self.assertEqual(self.flushLoggedErrors(), [])


class ThreadTests(TestCase):
    """The real one."""

    def test_work_runs_in_a_thread_that_keeps_nobody_from_ending(self) -> None:
        """What it returns, and what it raises, comes on the reactor's thread."""
        threads: list[threading.Thread] = []

        def good() -> Issued:
            threads.append(threading.current_thread())
            return issued()

        def bad() -> Issued:
            raise AcmeError("no")

        async def run() -> None:
            result = await in_thread(reactor, good)
            self.assertEqual((result.directory, threads[0].daemon), (DIRECTORY, True))
            self.assertIsNot(threads[0], threading.main_thread())
            with self.assertRaises(AcmeError):
                await in_thread(reactor, bad)

        return Deferred.fromCoroutine(run())  # type: ignore[return-value]  # trial waits for it

    def test_what_comes_after_it_was_cancelled_is_dropped(self) -> None:
        """And is no error."""
        go_on, ended = threading.Event(), Deferred[None]()

        def late() -> Issued:
            go_on.wait(30)
            reactor.callFromThread(reactor.callLater, 0, ended.callback, None)  # type: ignore[attr-defined]
            return issued()

        work = in_thread(reactor, late)
        work.addErrback(lambda _: None)
        work.cancel()
        go_on.set()
        return ended  # type: ignore[return-value]  # trial waits for it
