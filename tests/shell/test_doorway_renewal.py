"""Certificates by ACME, as the doorway asks for them: for which names, by which challenges, and into service."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from rtcd.acme.settings import AcmeSettings
from rtcd.doorway import renewal
from rtcd.doorway.settings import DoorwaySettings
from rtcd.metrics import Metrics
from rtcd.tls.authority import issue, make_authority
from rtcd.tls.settings import TlsSettings
from tests.fakes import make_doorway, make_request

PUBLIC = "8.8.8.8"


class RenewalTestCase(SynchronousTestCase):
    """A doorway whose machine and cloud the test says; nobody is asked for a certificate by itself."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.reactor.advance(1_790_000_000)
        self.own = ["192.0.2.2", "127.0.0.1"]
        self.told: list[str] = []
        self.asked_clouds = 0
        self.patch(renewal, "own_addresses", lambda: self.own)
        self.patch(renewal, "Metadata", lambda *_: SimpleNamespace(find=self._clouds))

    def _clouds(self) -> Deferred[list[Any]]:
        self.asked_clouds += 1
        return succeed([SimpleNamespace(public=one) for one in self.told])

    def door(
        self, mode: str = "auto", *, acme: AcmeSettings | None = None, names: Sequence[str] = (), **settings: Any
    ) -> Any:
        """A doorway with its ports open."""
        settings = {"https": ("tcp:443",), "http": ("tcp:80",), **settings}
        door = make_doorway(self.reactor, self.mktemp(), DoorwaySettings(**settings),
                            TlsSettings(mode=mode, names=tuple(names)), acme=acme)
        door.privilegedStartService()
        return door

    def wanted(self, door: Any, reachable: Sequence[str] | None = None) -> tuple[str, ...]:
        """The names that a certificate is asked for; ``reachable``: those that lead here, if not all."""
        seen: list[Any] = []

        async def of(names: Sequence[str], **more: Any) -> tuple[str, ...]:
            seen.append((tuple(names), more))
            return tuple(one for one in names if reachable is None or one in reachable)

        self.patch(door.renewal._reach, "of", of)
        found: tuple[str, ...] = self.successResultOf(Deferred.fromCoroutine(door.renewal.wanted()))
        self.seen = seen
        return found


class KindsTests(RenewalTestCase):
    """How we can prove our names."""

    def test_by_what_is_open_at_the_ports_that_an_authority_comes_to(self) -> None:
        """At others only if the operator has asked for it: something may lead there."""
        other = {"https": ("tcp:8443",), "http": ("tcp:8080",)}
        for mode, settings, kinds in (
            ("auto", {}, ("tls-alpn-01", "http-01")), ("auto", {"http": ()}, ("tls-alpn-01",)), ("auto", other, ()),
            ("auto", {"https": ("tcp:8443",)}, ("http-01",)), ("acme", other, ("tls-alpn-01", "http-01")),
            ("acme", {"https": ("tcp:8443",)}, ("http-01", "tls-alpn-01")),
            ("acme", {**other, "http": ()}, ("tls-alpn-01",)),
        ):
            self.assertEqual(self.door(mode, **settings).renewal.kinds(), kinds, (mode, settings))

    def test_the_operator_may_name_one(self) -> None:
        """[acme] challenge; a reload is enough."""
        door = self.door(acme=AcmeSettings(challenge="http-01"))
        self.assertEqual(door.renewal.kinds(), ("http-01",))
        taken = door.renewal.reconfigure(AcmeSettings(challenge="http-01"), AcmeSettings(challenge="tls-alpn-01"))
        self.assertEqual((taken, door.renewal.kinds()), (["challenge"], ("tls-alpn-01",)))


class WantedTests(RenewalTestCase):
    """What a certificate is asked for."""

    def test_the_configured_names_are(self) -> None:
        """The public host and [tls] names, but no wildcard, which nothing at a port can prove. Nobody else is asked."""
        door = self.door("acme", public_url="https://meet.example.org", names=["B.example.org", "*.example.org", PUBLIC])
        self.assertEqual(self.wanted(door), ("meet.example.org", "b.example.org", PUBLIC))
        self.assertEqual((self.seen, self.asked_clouds), ([], 0))

    def test_behind_a_proxy_it_is_for_other_names(self) -> None:
        """The public host's is the proxy's; ours is for TURN, and is proved through the proxy."""
        found = {}
        for names in (["turn.example.org"], []):
            door = make_doorway(
                self.reactor, self.mktemp(), DoorwaySettings(
                    https=(), http=(), plain=("tcp:8081",), public_url="https://meet.example.org"),
                TlsSettings(mode="acme", names=tuple(names)))
            door.tls("stun.turn")
            door.add_child("/", Resource())
            door.privilegedStartService()
            found[len(names)] = (self.wanted(door), door.renewal.kinds(), door.renewal.parent is door)
        self.assertEqual(found, {
            1: (("turn.example.org",), ("http-01",), True), 0: (("meet.example.org",), ("http-01",), True)})

    def test_without_any_it_is_the_public_address(self) -> None:
        """That of an interface, else that of the cloud."""
        self.told = [PUBLIC, "10.0.0.1"]
        self.assertEqual(self.wanted(self.door("acme")), (PUBLIC,))
        self.own.append("9.9.9.9")
        self.assertEqual(self.wanted(self.door("acme")), ("9.9.9.9",))
        self.assertEqual(self.asked_clouds, 1)

    def test_auto_asks_for_what_leads_here(self) -> None:
        """A failed attempt counts with the authority."""
        self.told = [PUBLIC]
        door = self.door(public_url="https://meet.example.org", names=["far.example.org"])
        self.assertEqual(self.wanted(door, ["meet.example.org"]), ("meet.example.org",))
        self.assertEqual(self.seen, [(("meet.example.org", "far.example.org"), {"http": True, "outside": [PUBLIC]})])
        self.assertEqual(self.wanted(self.door()), (PUBLIC,))

    def test_the_log_says_once_why_nothing_is_asked_for(self) -> None:
        """The ports, the names, or what cannot be proved."""
        lines: list[str] = []
        self.patch(renewal.Renewal, "_log", SimpleNamespace(info=lambda text, reason: lines.append(reason)))
        public = "https://meet.example.org"
        for door, reachable, said in (
            (self.door(https=("tcp:8443",), http=("tcp:8080",)), None, "nothing listens at port 443 or 80"),
            (self.door(), None, "no public name or address"),
            (self.door(public_url=public), [], "asked for meet.example.org: from the internet it does not lead to this"),
            (self.door("acme", public_url=public, names=["*.example.org"]), None, "*.example.org: nothing that is shown"),
            (self.door(public_url=public), None, ""),
        ):
            del lines[:]
            for _ in range(2):
                self.wanted(door, reachable)
            self.assertEqual(len(lines), bool(said), lines)
            self.assertIn(said, "".join(lines))

    def test_auto_asks_nobody_where_no_authority_could_come(self) -> None:
        """The shipped ini has ports that need no privilege."""
        door = self.door(public_url="https://meet.example.org", https=("tcp:8443",), http=("tcp:8080",))
        self.assertEqual(self.wanted(door), ())
        self.assertEqual((self.seen, self.asked_clouds), ([], 0))

    def test_a_machine_on_loopback_alone_asks_no_cloud(self) -> None:
        """It is somebody's test."""
        self.own[:] = ["127.0.0.1", "::1"]
        self.assertEqual((self.wanted(self.door()), self.asked_clouds), ((), 0))


class ServiceTests(RenewalTestCase):
    """When the issuer runs, and what it gives."""

    def issued(self, door: Any, name: str) -> bytes:
        """Put a certificate into the state directory, as the issuer does."""
        pair = issue(make_authority("public", [name], self.reactor.seconds()), [name], self.reactor.seconds())
        state = door.certificates._state
        state.write("acme.pem", pair.certificate_pem() + pair.key_pem())
        return pair.certificate_pem()

    def test_it_runs_as_long_as_the_mode_leaves_it_to_us(self) -> None:
        """A reload of [tls] starts and ends it."""
        door = self.door("local")
        door.startService()
        self.assertFalse(door.renewal._issuer.running)
        for mode, runs in (("auto", True), ("local", False), ("acme", True)):
            door.certificates.reconfigure(TlsSettings(), TlsSettings(mode=mode))
            door.renewal.tls_changed()
            self.assertEqual(door.renewal._issuer.running, runs, mode)
        self.successResultOf(door.stopService())
        self.assertFalse(door.renewal._issuer.running)

    def test_what_was_issued_goes_first_and_the_local_one_stays_for_other_names(self) -> None:
        """Both after a restart too; the local one alone in mode local."""
        door = self.door(public_url="https://meet.example.org")
        self.issued(door, "meet.example.org")
        self.assertTrue(door.certificates.reload())
        self.assertEqual(door.certificates.names.count("meet.example.org"), 1)
        self.assertEqual(len(door.certificates.chains), 2)
        self.assertEqual(door.certificates.chain.origin, str(door.certificates._state.path("acme.pem")))
        self.assertIn("localhost", door.certificates.names)
        self.assertEqual(make_request(door, "GET", "/ca.crt").code, 200)
        door.certificates.reconfigure(TlsSettings(), TlsSettings(mode="local"))
        self.assertEqual(len(door.certificates.chains), 1)

    def test_one_that_has_expired_is_not_used(self) -> None:
        """The local one is better than that."""
        door = self.door()
        self.issued(door, "meet.example.org")
        self.reactor.rightNow += 400 * 86400
        self.assertTrue(door.certificates.reload())
        self.assertEqual([one.origin for one in door.certificates.chains], [""])

    def test_what_does_not_pass_the_checks_is_refused(self) -> None:
        """The issuer then puts back what was there before, and waits before it asks again."""
        door = self.door()
        good = self.issued(door, "meet.example.org")
        self.assertTrue(door.renewal._issuer._taken())
        before = door.certificates.chain
        self.reactor.rightNow += 3 * 86400
        self.issued(door, "meet.example.org")
        self.reactor.rightNow -= 3 * 86400
        self.assertFalse(door.renewal._issuer._taken(), "it is not valid yet")
        door.certificates._state.write("acme.pem", good)
        self.assertFalse(door.renewal._issuer._taken(), "it has no key")
        self.assertIs(door.certificates.chain, before)

    def test_proofs_are_shown_by_http(self) -> None:
        """At port 80, and to a proxy's request."""
        door = self.door()
        door.renewal.challenges.put_http("token-of-theirs", "the proof")
        for site in (door, door.redirect_site):
            answer = make_request(site, "GET", "/.well-known/acme-challenge/token-of-theirs", secure=False)
            self.assertEqual((answer.code, answer.body), (200, b"the proof"))

    def test_acme_alone_is_a_reason_to_open_the_web_ports(self) -> None:
        """A relay on a machine of its own can have a certificate too; otherwise it opens none."""
        for mode, ports in (("acme", {443, 80}), ("auto", set()), ("local", set())):
            reactor: Any = MemoryReactorClock()
            settings = DoorwaySettings(https=("tcp:443",), http=("tcp:80",))
            door = make_doorway(reactor, self.mktemp(), settings, TlsSettings(mode=mode), Metrics())
            door.tls("stun.turn")
            door.privilegedStartService()
            self.assertEqual({server[0] for server in reactor.tcpServers}, ports)
