"""Clients by DTLS, in memory: a real OpenSSL client, a network that loses, doubles and reorders, and a fake clock."""

from __future__ import annotations

import contextlib
import os
import random
import resource
from types import SimpleNamespace
from typing import Any

from OpenSSL import SSL
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from rtcd.allocations.allocation import FiveTuple
from rtcd.clients import sessions as module
from rtcd.clients.connections import HANDSHAKE_S, Limits
from rtcd.clients.dtls import MAX_FRAME_BYTES, MTU, Session
from rtcd.clients.records import KEY_S, datagrams, parse_hello, records, renumber
from rtcd.clients.sessions import Sessions
from rtcd.interfaces import IClientPath
from rtcd.metrics import Metrics
from rtcd.stun import channeldata
from rtcd.stun.message import Class, Method, encode
from rtcd.tls.authority import issue, make_authority
from rtcd.tls.chain import Chain
from rtcd.tls.settings import TlsSettings

NOW = 1_700_000_000.0
BINDING = encode(Method.BINDING, Class.REQUEST, bytes(12), [])
ANSWER = encode(Method.BINDING, Class.SUCCESS, bytes(12), [])
CHANNEL = channeldata.encode(0x4000, b"hello")
SERVER = ("198.51.100.1", 5349)


def make_chain(name: str = "north") -> Chain:
    """A certificate, with so many others that it takes several datagrams."""
    authority = make_authority(name, [name], NOW)
    server = issue(authority, [name], NOW)
    return Chain((server.certificate, *[authority.certificate] * 4), server.key)


CHAIN = make_chain()


class Plane:
    """What sessions use of a relay plane, and what they tell: datagrams wait in `sent`."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, FiveTuple]] = []
        self.paths: dict[FiveTuple, Any] = {}
        self.channels: list[tuple[bytes, FiveTuple]] = []

    def respond(self, data: bytes, five_tuple: FiveTuple) -> None:
        """By UDP, to whoever is there."""
        self.sent.append((data, five_tuple))

    def attach(self, five_tuple: FiveTuple, path: Any) -> None:
        """Remember it."""
        self.paths[five_tuple] = path

    def detach(self, five_tuple: FiveTuple) -> None:
        """Forget it; it must be there."""
        del self.paths[five_tuple]

    def channel_data(self, data: bytes, five_tuple: FiveTuple) -> None:
        """Remember it."""
        self.channels.append((data, five_tuple))


class Client:
    """OpenSSL as a client, whose flights are sent again when the test says so."""

    def __init__(self, host: str = "192.0.2.7", port: int = 40000, alpn: bytes = b"") -> None:
        self.udp = FiveTuple("udp", (host, port), SERVER)
        self.dtls = self.udp._replace(transport="dtls")
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        self.connection = SSL.Connection(context, None)
        if alpn:
            self.connection.set_alpn_protos([alpn])
        self.connection.set_ciphertext_mtu(MTU)
        self.connection.set_connect_state()
        self.flight: list[bytes] = []
        self.done = self.ended = False
        self.got: list[bytes] = []

    def shake(self) -> list[bytes]:
        """Go on with the handshake; datagrams for the server."""
        try:
            self.connection.do_handshake()
            self.done = True
        except SSL.WantReadError:
            pass
        out = self.output()
        self.flight = out or self.flight
        return out

    def receive(self, datagram: bytes) -> list[bytes]:
        """One of the server's; datagrams for the server."""
        self.connection.bio_write(datagram)
        out = [] if self.done else self.shake()
        while self.done:
            try:
                self.got.append(self.connection.recv(65536))
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self.ended = True
                break
        return out

    def write(self, data: bytes) -> bytes:
        """As a datagram."""
        self.connection.send(data)
        return b"".join(self.output())

    def output(self) -> list[bytes]:
        """What OpenSSL has written."""
        try:
            return datagrams(self.connection.bio_read(65536), MTU)
        except SSL.WantReadError:
            return []


class DtlsTestCase(SynchronousTestCase):
    """A table on a fake clock; every message is answered with `ANSWER`."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.clock.advance(NOW)
        self.metrics = Metrics()
        self.plane: Any = Plane()
        self.certificates: Any = SimpleNamespace(chain=CHAIN, minimum="1.2", ciphers=TlsSettings().ciphers)
        self.messages: list[tuple[bytes, FiveTuple]] = []
        self.allocations: set[FiveTuple] = set()
        self.closed: list[FiveTuple] = []
        self.may_answer = True
        self.asked: list[str] = []
        self.sessions = self.make()

    def make(self, **limits: Any) -> Sessions:
        """Another table."""
        self.sessions = Sessions(
            self.clock, Limits(**limits), self.metrics, self.certificates, self.receive, self.allocations.__contains__,
            self.closed.append, self._may_answer, os.urandom)
        self.sessions.start(self.plane)
        return self.sessions

    def receive(self, data: bytes, five_tuple: FiveTuple) -> None:
        """As the service does it."""
        self.messages.append((data, five_tuple))
        self.plane.paths[five_tuple].respond(ANSWER)

    def _may_answer(self, host: str, now: float) -> bool:
        self.asked.append(host)
        return self.may_answer

    def pump(self, client: Client, out: list[bytes]) -> None:
        """Let the two talk until both are silent."""
        while out:
            for one in out:
                self.sessions.receive(one, client.udp)
            out = [back for one in self.sent(client) for back in client.receive(one)]

    def sent(self, client: Client) -> list[bytes]:
        """What is on its way to this client."""
        found = [data for data, to in self.plane.sent if to == client.udp]
        self.plane.sent = [one for one in self.plane.sent if one[1] != client.udp]
        return found

    def connect(self, *where: Any, **more: Any) -> Client:
        """A client whose handshake is complete."""
        client = Client(*where, **more)
        self.pump(client, client.shake())
        self.assertTrue(client.done)
        return client

    def verified(self, *where: Any) -> tuple[Client, list[bytes]]:
        """A client that has its cookie, and its second hello."""
        client = Client(*where)
        for one in client.shake():
            self.sessions.receive(one, client.udp)
        (request,) = self.sent(client)
        return client, client.receive(request)

    def count(self, name: str, reason: str = "") -> float:
        """Of a metric."""
        labels = (("reason", reason),) if reason else ()
        return next(one.value for one in self.metrics.samples()
                    if (one.name, one.labels) == (f"rtcd_turn_{name}", labels))

    def refused(self, reason: str) -> float:
        """Sessions."""
        return self.count("refused_dtls_sessions_total", reason)

    def dropped(self, reason: str) -> float:
        """Datagrams."""
        return self.count("dtls_dropped_total", reason)


class Handshakes(DtlsTestCase):
    def test_a_client_gets_its_answer_and_is_what_the_plane_expects(self) -> None:
        """Its five-tuple says dtls."""
        client = self.connect()
        verifyObject(IClientPath, self.plane.paths[client.dtls])
        self.pump(client, [client.write(BINDING)])
        self.assertEqual((self.messages, client.got), ([(BINDING, client.dtls)], [ANSWER]))
        self.assertEqual(client.connection.get_protocol_version_name(), "DTLSv1.2")
        self.assertEqual(self.count("dtls_sessions_total"), 1)

    def test_the_protocol_is_selected_if_the_client_asks(self) -> None:
        """RFC 7443; another name is no fault."""
        for offered in (b"stun.turn", b"stun.nat-discovery"):
            self.assertEqual(self.connect(alpn=offered).connection.get_alpn_proto_negotiated(), offered)
        self.assertEqual(self.connect(alpn=b"h2").connection.get_alpn_proto_negotiated(), b"")

    def test_the_whole_chain_is_shown_in_datagrams_that_get_through(self) -> None:
        """Records are packed, and none of the datagrams is longer than the MTU."""
        client, second = self.verified()
        for one in second:
            self.sessions.receive(one, client.udp)
        flight = self.sent(client)
        self.assertGreater(len(flight), 1)
        self.assertGreater(sum(len(list(records(one))) for one in flight), len(flight))
        self.assertLessEqual(max(map(len, flight)), MTU)
        self.pump(client, [back for one in flight for back in client.receive(one)])
        self.assertEqual(len(client.connection.get_peer_cert_chain() or ()), len(CHAIN.certificates))

    def test_a_new_certificate_is_for_new_handshakes(self) -> None:
        """Open sessions go on with the old one."""
        old = self.connect()
        self.certificates.chain = chain = make_chain("south")
        new = self.connect("192.0.2.8")
        shown: Any = new.connection.get_peer_certificate(as_cryptography=True)
        self.assertEqual(shown, chain.certificates[0])
        self.pump(old, [old.write(BINDING)])
        self.assertEqual(old.got, [ANSWER])

    def test_where_tls_1_3_is_asked_for_there_is_no_dtls(self) -> None:
        """A reload may bring that about: nobody new is let in."""
        old = self.connect()
        self.certificates.chain, self.certificates.minimum = make_chain(), "1.3"
        client, second = self.verified("192.0.2.8")
        self.pump(client, second)
        self.assertEqual((client.done, self.refused("certificate")), (False, 1))
        self.pump(old, [old.write(BINDING)])
        self.assertEqual(old.got, [ANSWER])

    def test_an_older_version_is_refused_with_an_alert(self) -> None:
        """DTLS 1.0 only."""
        client = Client()
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_min_proto_version(0xFEFF)
        context.set_max_proto_version(0xFEFF)
        client.connection = SSL.Connection(context, None)
        client.connection.set_ciphertext_mtu(MTU)
        client.connection.set_connect_state()
        self.assertRaises(SSL.Error, self.pump, client, client.shake())
        self.assertEqual((len(self.sessions), self.refused("handshake")), (0, 1))


class Cookies(DtlsTestCase):
    def test_nothing_is_kept_before_a_good_cookie(self) -> None:
        """However many addresses say hello: no session, no wait, no timer, no memory."""
        client = Client()
        (first,) = client.shake()
        for number in range(1000):
            self.sessions.receive(first, FiveTuple("udp", (f"10.0.{number >> 8}.{number & 255}", 4000), SERVER))
        self.sessions._may_answer = lambda host, now: True
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(20000):
            self.plane.sent.clear()
            self.sessions.receive(first, FiveTuple("udp", (f"11.{number >> 8}.{number & 255}.1", 4000), SERVER))
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 4096)  # KiB
        self.assertEqual((len(self.sessions), self.clock.getDelayedCalls()), (0, []))
        self.assertLess(len(self.plane.sent[0][0]), len(first))

    def test_answers_to_strangers_count_for_what_their_network_may_have(self) -> None:
        """Over it: silence. A client with its cookie is no stranger."""
        client, second = self.verified()
        self.assertEqual(self.asked, ["192.0.2.7"])
        self.may_answer = False
        other = Client("192.0.2.8")
        self.pump(other, other.shake())
        self.assertEqual((self.asked, self.plane.sent), (["192.0.2.7", "192.0.2.8"], []))
        self.pump(client, second)
        self.assertTrue(client.done)

    def test_a_cookie_is_of_no_use_at_another_address(self) -> None:
        """It gets a request for the right one, and nothing is kept."""
        _, (second,) = self.verified()
        thief = FiveTuple("udp", ("192.0.2.66", 40000), SERVER)
        self.sessions.receive(second, thief)
        ((answer, to),) = self.plane.sent
        self.assertEqual((answer[13], to, len(self.sessions)), (3, thief, 0))

    def test_a_cookie_lasts_over_one_change_of_the_key_and_not_two(self) -> None:
        """A client that took too long gets another one, and goes on."""
        client, second = self.verified()
        self.clock.advance(KEY_S)
        self.pump(client, second)
        self.assertTrue(client.done)
        _, (late,) = self.verified("192.0.2.8")
        self.clock.advance(2 * KEY_S)
        self.sessions.receive(late, FiveTuple("udp", ("192.0.2.8", 40000), SERVER))
        self.assertEqual(self.plane.sent[-1][0][13], 3)

    def test_a_hello_that_openssl_finds_a_fault_in_leaves_nothing(self) -> None:
        """Nor are others accused of it: the thread's queue of errors is empty again."""
        known = self.connect("192.0.2.9")
        chance = random.Random(5)
        for number in range(300):
            client, (second,) = self.verified("192.0.2.7", 1024 + number)
            hello = parse_hello(second)
            assert hello is not None
            start = second.index(hello.cookie) + len(hello.cookie)
            bad = bytearray(second)
            for _ in range(3):
                bad[chance.randrange(start, len(bad))] = chance.randrange(256)
            self.sessions.receive(bytes(bad), client.udp)
            self.pump(known, [known.write(BINDING)])
        self.assertEqual(len(known.got), 300)
        self.assertGreater(self.refused("handshake") + self.dropped("malformed"), 0)


class Losses(DtlsTestCase):
    def drive(self, client: Client, chance: random.Random, *, lose: float, double: float) -> None:
        """Ten seconds on a bad network; each second whoever waits sends again.

        Our last flight is not lost: to ask for it again takes OpenSSL's own clock, see tests.interop.test_turn_dtls.
        """
        there = client.shake()
        for second in range(9):
            for _ in range(6):
                for one in self.spoil(there, chance, lose, double):
                    self.sessions.receive(one, client.udp)
                here = self.sent(client)
                loss = 0 if client.dtls in self.plane.paths else lose  # see below
                there = [out for one in self.spoil(here, chance, loss, double) for out in client.receive(one)]
            if client.done and client.dtls in self.plane.paths:
                return
            self.clock.advance(1)
            if second in (0, 2, 6):
                there += client.flight

    @staticmethod
    def spoil(parts: list[bytes], chance: random.Random, lose: float, double: float) -> list[bytes]:
        """Fewer, or more, and in another order."""
        found = [one for one in parts if chance.random() >= lose]
        found += [one for one in found if chance.random() < double]
        chance.shuffle(found)
        return found

    def test_what_comes_twice_or_in_another_order_does_no_harm(self) -> None:
        """Every datagram of the handshake."""
        for seed in range(30):
            client = Client("192.0.2.7", 1024 + seed)
            self.drive(client, random.Random(seed), lose=0, double=0.7)
            self.assertTrue(client.done, seed)
        self.assertEqual((len(self.sessions), self.count("dtls_sessions_total")), (30, 30))

    def test_most_handshakes_come_to_their_end_where_a_fifth_is_lost(self) -> None:
        """By what is sent again after one, two and four seconds, on either side."""
        good = 0
        for seed in range(40):
            client = Client("192.0.2.7", 1024 + seed)
            self.drive(client, random.Random(seed), lose=0.2, double=0.2)
            good += client.done and client.dtls in self.plane.paths
        self.assertGreaterEqual(good, 36)

    @staticmethod
    def numbers(flight: list[bytes]) -> set[bytes]:
        """Of its records."""
        return {record[5:11] for one in flight for record in records(one)}

    def test_our_records_have_other_numbers_than_the_answers_to_hellos_that_were_lost(self) -> None:
        """A client that said hello twice has seen answers under the first numbers (RFC 6347 §4.2.1)."""
        for number in (0, 1, 2, 5, 2**40):
            client = Client("192.0.2.7", 1024 + number % 60000)
            (first,) = client.shake()
            self.sessions.receive(renumber(first, number)[0], client.udp)
            (request,) = self.sent(client)
            (second,) = client.receive(request)
            self.sessions.receive(renumber(second, number + 1)[0], client.udp)
            (third,) = [back for one in self.sent(client) for back in client.receive(one)]
            self.pump(client, [renumber(third, number + 2)[0]])
            self.assertTrue(client.done, number)

    def test_a_lost_flight_is_sent_again_after_1_2_and_4_seconds(self) -> None:
        """The same each time under other numbers, then no more: after ten seconds it is over."""
        client, (second,) = self.verified()
        self.sessions.receive(second, client.udp)
        flight = self.sent(client)
        at, numbers = [], self.numbers(flight)
        for tenth in range(1, 120):
            self.clock.advance(0.1)
            again = self.sent(client)
            if again:
                self.assertEqual([renumber(one, 0) for one in again], [renumber(one, 0) for one in flight])
                self.assertFalse(numbers & self.numbers(again))
                numbers |= self.numbers(again)
                at.append(round(tenth / 10))
        self.assertEqual(at, [1, 3, 7])
        self.assertEqual((len(self.sessions), self.refused("handshake"), self.clock.getDelayedCalls()), (0, 1, []))

    def test_the_client_goes_on_from_a_flight_that_was_sent_again(self) -> None:
        """The first one is lost whole."""
        client, (second,) = self.verified()
        self.sessions.receive(second, client.udp)
        self.sent(client)
        self.clock.advance(1)
        self.pump(client, [back for one in self.sent(client) for back in client.receive(one)])
        self.assertTrue(client.done)

    def test_a_hello_that_comes_again_begins_nothing(self) -> None:
        """During the handshake and behind it: the network has doubled it."""
        client, (second,) = self.verified()
        self.sessions.receive(second, client.udp)
        flight = self.sent(client)
        self.sessions.receive(second, client.udp)
        self.assertEqual((self.sent(client), len(self.sessions)), ([], 1))
        self.pump(client, [back for one in flight for back in client.receive(one)])
        self.sessions.receive(second, client.udp)
        self.assertEqual((self.sent(client), len(self.sessions), self.dropped("again")), ([], 1, 2))


class Messages(DtlsTestCase):
    def test_a_record_is_one_message(self) -> None:
        """STUN goes up, ChannelData to the plane, as they are; several records in a datagram are several messages."""
        client = self.connect()
        self.sessions.receive(client.write(BINDING) + client.write(CHANNEL) + client.write(CHANNEL + b"\0"), client.udp)
        self.assertEqual(self.messages, [(BINDING, client.dtls)])
        self.assertEqual(self.plane.channels, [(CHANNEL, client.dtls), (CHANNEL + b"\0", client.dtls)])

    def test_what_is_neither_is_dropped(self) -> None:
        """Also ChannelData without a whole header, and records inside of records."""
        client = self.connect()
        for data in (b"\x40\0\0", b"\x16\xfe\xfd" + bytes(20), b"GET / HTTP", b"\x80" * 20, b"\xff"):
            if data[0] == 0x47:  # a channel number that is not bound, for all that is known here
                continue
            self.sessions.receive(client.write(data), client.udp)
        self.assertEqual((self.messages, self.plane.channels, self.dropped("no-protocol")), ([], [], 4))

    def test_what_is_relayed_is_a_record_each(self) -> None:
        """Up to 16 KiB; the frame may be a view of a buffer that is used again."""
        client = self.connect()
        path = self.plane.paths[client.dtls]
        frames = [bytes([0x40, 0, size >> 8, size & 255]) + bytes(size) for size in (0, 1, 100, 1500, MAX_FRAME_BYTES - 4)]
        for frame in frames:
            buffer = bytearray(frame)
            self.assertTrue(path.deliver(memoryview(buffer)))
            buffer[:] = bytes(len(buffer))
        self.assertEqual(len(self.plane.sent), len(frames))
        for one in self.sent(client):
            client.receive(one)
        self.assertEqual(client.got, frames)

    def test_a_frame_that_fits_into_no_record_is_dropped_whole_and_counted(self) -> None:
        client = self.connect()
        path = self.plane.paths[client.dtls]
        self.assertFalse(path.deliver(bytes(MAX_FRAME_BYTES + 1)))
        path.respond(bytes(MAX_FRAME_BYTES + 1))
        self.assertEqual((self.plane.sent, self.dropped("too-long")), ([], 2))
        self.assertTrue(path.deliver(BINDING))

    def test_garbage_ends_no_session_and_raises_nothing(self) -> None:
        """Records that somebody else makes up, or that were damaged; good ones behind them still arrive."""
        client = self.connect()
        chance = random.Random(3)
        for _ in range(2000):
            bad = bytearray(client.write(BINDING))
            for _ in range(chance.randint(1, 3)):
                bad[chance.randrange(1, len(bad))] = chance.randrange(256)
            bad[0] = chance.randrange(20, 64)
            self.sessions.receive(bytes(bad[: chance.randint(4, len(bad))]), client.udp)
            self.sessions.receive(bytes([chance.randrange(20, 64)]) + chance.randbytes(chance.randint(3, 200)), client.udp)
        self.messages.clear()
        self.pump(client, [client.write(BINDING)])
        self.assertEqual((self.messages, len(self.sessions)), ([(BINDING, client.dtls)], 1))

    def test_records_of_nobody_known_are_dropped(self) -> None:
        """And not answered: there are no keys for an alert that he would believe."""
        self.sessions.receive(b"\x17\xfe\xfd\0\1" + bytes(40), FiveTuple("udp", ("192.0.2.7", 1), SERVER))
        self.assertEqual((self.plane.sent, self.dropped("no-session")), ([], 1))

    def test_a_client_cannot_negotiate_anew(self) -> None:
        """OpenSSL's client gets a warning instead, and the session goes on."""
        client = self.connect()
        client.connection.renegotiate()
        with contextlib.suppress(SSL.WantReadError):
            client.connection.do_handshake()
        for one in client.output():
            self.sessions.receive(one, client.udp)
        self.assertEqual((len(self.sessions), self.count("dtls_sessions_total")), (1, 1))
        self.assertTrue(self.plane.paths[client.dtls].deliver(BINDING))


class Ends(DtlsTestCase):
    def test_a_goodbye_of_the_client_is_answered_and_ends_its_allocation(self) -> None:
        """RFC 7350 §3: as a closed TCP connection."""
        client = self.connect()
        client.connection.shutdown()
        path = self.plane.paths[client.dtls]
        self.pump(client, client.output())
        self.assertEqual((self.closed, len(self.sessions), self.plane.paths), ([client.dtls], 0, {}))
        self.assertFalse(path.deliver(BINDING))
        path.respond(BINDING)
        self.assertEqual((self.plane.sent, self.clock.getDelayedCalls()), ([], []))
        self.assertTrue(client.connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN or client.ended)

    def test_stopping_says_goodbye_to_everybody(self) -> None:
        """Those in a handshake just end; nobody is let in any more."""
        client = self.connect()
        half, (second,) = self.verified("192.0.2.8")
        self.sessions.receive(second, half.udp)
        self.sessions.stop()
        for one in self.sent(client):
            client.receive(one)
        self.assertTrue(client.ended)
        self.assertEqual((self.closed, len(self.sessions), self.clock.getDelayedCalls()), ([client.dtls], 0, []))
        self.plane.sent.clear()
        self.pump(half, Client().shake())
        self.assertEqual(self.plane.sent, [])

    def test_a_session_without_allocation_ends_in_time(self) -> None:
        """Of two the one that has none; the other when its allocation is gone."""
        self.make(handshake_timeout=30)
        idle, busy = self.connect(), self.connect("192.0.2.8")
        self.allocations.add(busy.dtls)
        self.sessions.allocation_changed(busy.dtls)
        self.clock.advance(29)
        self.assertEqual(self.closed, [])
        self.clock.advance(1)
        self.assertEqual((self.closed, self.refused("no-allocation")), ([idle.dtls], 1))
        for one in self.sent(idle):
            idle.receive(one)
        self.assertTrue(idle.ended)
        self.clock.advance(1000)
        self.allocations.clear()
        self.sessions.allocation_changed(busy.dtls)
        self.clock.advance(30)
        self.assertEqual(self.closed, [idle.dtls, busy.dtls])

    def test_a_reload_changes_how_long_that_is(self) -> None:
        """For those that are there already too."""
        client = self.connect()
        self.sessions.use(Limits(handshake_timeout=5))
        self.clock.advance(5)
        self.assertEqual(self.closed, [client.dtls])

    def test_a_client_that_began_anew_takes_its_own_place_when_its_handshake_is_complete(self) -> None:
        """Until then the old session lives (RFC 6347 §4.2.8); then its allocation ends."""
        old = self.connect()
        new, (second,) = self.verified()
        self.sessions.receive(second, new.udp)
        flight = self.sent(new)
        self.pump(old, [old.write(BINDING)])
        self.assertEqual((len(old.got), len(self.sessions), self.closed), (1, 2, []))
        self.pump(new, [back for one in flight for back in new.receive(one)])
        self.assertEqual((self.closed, len(self.sessions)), ([old.dtls], 1))
        self.pump(new, [new.write(BINDING)])
        self.assertEqual(new.got, [ANSWER])
        self.sessions.receive(old.write(BINDING), old.udp)
        self.assertEqual(len(self.messages), 2)

    def test_a_hello_that_leads_to_nothing_leaves_the_session_alone(self) -> None:
        """Somebody has begun and gone."""
        old = self.connect()
        new, (second,) = self.verified()
        self.sessions.receive(second, new.udp)
        self.clock.advance(HANDSHAKE_S)
        self.plane.sent.clear()
        self.assertEqual((len(self.sessions), self.closed), (1, []))
        self.pump(old, [old.write(BINDING)])
        self.assertEqual(old.got, [ANSWER])


class Limited(DtlsTestCase):
    def test_one_session_more_than_there_may_be_is_refused_in_silence(self) -> None:
        self.make(max_connections=2)
        first = self.connect()
        self.connect("192.0.2.8")
        third, second = self.verified("192.0.2.9")
        self.pump(third, second)
        self.assertEqual((third.done, len(self.sessions), self.refused("total")), (False, 2, 1))
        first.connection.shutdown()
        self.pump(first, first.output())
        self.pump(third, second)
        self.assertTrue(third.done)

    def test_a_client_that_began_anew_is_no_more_than_it_was(self) -> None:
        self.make(max_connections=1)
        self.connect()
        self.connect()
        self.assertEqual((len(self.sessions), self.refused("total")), (1, 0))

    def test_one_network_may_have_so_many(self) -> None:
        """An IPv4 address, an IPv6 /56; loopback is not counted."""
        self.make(max_connections_per_ip=1)
        for first, other in (("192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8:0:1::1")):
            self.connect(first)
            client, second = self.verified(other, 41000)
            self.pump(client, second)
            self.assertFalse(client.done)
        self.assertEqual(self.refused("address"), 2)
        for port in (1024, 1025):
            self.connect("127.0.0.1", port)

    def test_its_share_is_given_back(self) -> None:
        """Whatever ends a session or a handshake."""
        self.make(max_connections_per_ip=1)
        for _ in range(3):
            client = self.connect()
            client.connection.shutdown()
            self.pump(client, client.output())
            half, (second,) = self.verified("192.0.2.7", 41000)
            self.sessions.receive(second, half.udp)
            self.clock.advance(HANDSHAKE_S)
            self.plane.sent.clear()
        self.assertEqual((len(self.sessions), self.refused("address")), (0, 0))

    def test_one_handshake_too_many_drops_the_oldest(self) -> None:
        self.patch(module, "MAX_HANDSHAKES", 2)
        halves = []
        for number in range(3):
            client, (second,) = self.verified(f"192.0.2.{number}")
            self.sessions.receive(second, client.udp)
            halves.append((client, self.sent(client)))
        self.assertEqual((len(self.sessions), self.refused("oldest")), (2, 1))
        for client, flight in halves:
            self.pump(client, [back for one in flight for back in client.receive(one)])
        self.assertEqual(set(self.plane.paths), {client.dtls for client, _ in halves[1:]})

    def test_a_handshake_keeps_little_of_what_comes_too_early(self) -> None:
        """Neither encrypted records nor fragments of messages that claim to be long: OpenSSL would keep megabytes."""
        client, (second,) = self.verified()
        self.sessions.receive(second, client.udp)
        flight = self.sent(client)
        written: list[int] = []
        (session,) = self.sessions._shaking.values()
        inner = session._connection
        spy: Any = SpyConnection(inner, written)
        session._connection = spy
        early = b"\x16\xfe\xfd\0\1" + bytes(6) + b"\x04\0" + bytes(1024)
        long = b"\x16\xfe\xfd\0\0" + bytes(6) + b"\0\x0d" + b"\x10\xff\xff\xff\0\5\0\0\0\0\0\1x"
        for _ in range(500):
            self.sessions.receive(early, client.udp)
            self.sessions.receive(long, client.udp)
        self.assertEqual(written, [len(early)] * 4)
        session._connection = inner
        self.assertIsInstance(session, Session)
        self.assertTrue(flight)


class SpyConnection:
    """Tells what is written into a connection."""

    def __init__(self, inner: Any, written: list[int]) -> None:
        self._inner, self._written = inner, written

    def bio_write(self, data: bytes) -> None:
        """Remember how much."""
        self._written.append(len(data))
        self._inner.bio_write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
