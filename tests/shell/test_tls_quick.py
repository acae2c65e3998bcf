"""The short way of application data through TLS: the same bytes, the same ends as Twisted's own."""

from __future__ import annotations

import inspect
import itertools
import os
import re
import socket
import subprocess
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rtcd.doorway.settings import DoorwaySettings
from rtcd.tls import quick
from rtcd.tls.quick import BUFFER_BYTES, RECORD_BYTES, QuickTls, known
from tests.fakes import Dialled, dial, make_doorway


class Near(Protocol):
    """The server's end: keeps what comes and why it ended."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.reasons: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.heard.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It has ended."""
        self.reasons.append(reason)


class Without:
    """Something that lacks one thing, and has others in its place."""

    def __init__(self, whole: Any, missing: str, **others: Any) -> None:
        self._without = (whole, missing, others)

    def __getattr__(self, name: str) -> Any:
        whole, missing, others = self._without
        if name == missing:
            raise AttributeError(name)
        return others[name] if name in others else getattr(whole, name)


class Lacking(QuickTls):
    """One whose base class lacks something."""

    missing = ""

    def __getattribute__(self, name: str) -> Any:
        if name == type(self).missing:
            raise AttributeError(name)
        return super().__getattribute__(name)


class QuickTests(SynchronousTestCase):
    """One connection with a real handshake, both ends here."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.door = make_doorway(self.clock, self.mktemp(), DoorwaySettings())
        self.door.certificates.load()

    def link(
        self, layer: type[BufferingTLSTransport] = QuickTls, method: int = SSL.TLS_CLIENT_METHOD
    ) -> tuple[Dialled, Any]:
        """A connection and the layer at the server's end; the handshake is over."""
        near = Near()
        factory = TLSMemoryBIOFactory(self.door.certificates, False, Factory.forProtocol(lambda: near), self.clock)
        factory.protocol = layer
        with mock.patch.object(SSL, "TLS_CLIENT_METHOD", method):
            link = dial(self.clock, factory, tls=True)
            link.settle()
        return link, near.transport

    def test_data_come_through_in_both_directions(self) -> None:
        """Of every size, several records at once, and a record in pieces."""
        link, near = self.link()
        sizes = (1, 300, RECORD_BYTES, RECORD_BYTES + 1, BUFFER_BYTES + 5, 200_000)
        for size in sizes:
            data = os.urandom(size)
            link.send(data)
            self.assertEqual(b"".join(near.wrappedProtocol.heard), data)
            near.wrappedProtocol.heard.clear()
            before = len(link.received)
            near.write_now(data)
            link.settle()
            self.assertEqual(link.received[before:], data)

    def test_records_in_pieces(self) -> None:
        """As the network cuts them."""
        link, near = self.link()
        near_transport = near.transport
        sent: list[bytes] = []
        link.client.transport.transport.write = sent.append
        link.client.transport.write(b"first")
        link.client.transport.write(b"second")
        link.client.transport._aggregator.flush() if hasattr(link.client.transport, "_aggregator") else None
        for byte in b"".join(sent):
            near.dataReceived(bytes((byte,)))
        self.assertEqual(near.wrappedProtocol.heard, [b"first", b"second"])
        self.assertFalse(near_transport.disconnecting)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.sampled_from([1, 5, 300, 3000, RECORD_BYTES]), min_size=1, max_size=6),
           st.lists(st.integers(0, 40_000), max_size=8), st.sampled_from([SSL.TLSv1_2_METHOD, SSL.TLS_CLIENT_METHOD]))
    def test_where_records_end_is_known_however_they_are_cut(
        self, sizes: list[int], cuts: list[int], method: int
    ) -> None:
        """And a record that comes alone after that is read with one question."""
        link, near = self.link(method=method)
        sent: list[bytes] = []
        link.client.transport.transport.write = sent.append
        said = [os.urandom(size) for size in sizes]
        for one in said:
            link.client.transport._write(one)
        stream = b"".join(sent)
        edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        for begin, end in itertools.pairwise(edges):
            near.dataReceived(stream[begin:end])
        self.assertEqual(b"".join(near.wrappedProtocol.heard), b"".join(said))
        self.assertEqual((near._missing, near._header), (0, b""))
        near.wrappedProtocol.heard.clear()
        sent.clear()
        link.client.transport._write(b"alone")
        with mock.patch.object(quick, "_ssl_read", side_effect=quick._ssl_read) as read:
            near.dataReceived(b"".join(sent))
        self.assertEqual((near.wrappedProtocol.heard, read.call_count), ([b"alone"], 1))

    def test_a_record_alone_that_is_for_openssl_is_answered(self) -> None:
        """An update of keys that asks for one in return, which looks like data from outside (RFC 8446 §4.6.3)."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = subprocess.Popen(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{listening.getsockname()[1]}", "-tls1_3"],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(client.wait)
            self.addCleanup(client.kill)
            listening.settimeout(20)
            far, _ = listening.accept()
        self.addCleanup(far.close)
        far.settimeout(20)
        near = Near()
        factory = TLSMemoryBIOFactory(self.door.certificates, False, Factory.forProtocol(lambda: near), self.clock)
        factory.protocol = QuickTls
        layer: Any = factory.buildProtocol(None)
        out: list[bytes] = []
        layer.makeConnection(SimpleNamespace(write=out.append, writeSequence=out.extend, loseConnection=lambda: None))

        def until(met: Callable[[], object]) -> None:
            while not met():
                layer.dataReceived(far.recv(65536))
                self.clock.advance(0)
                far.sendall(b"".join(out))
                out.clear()

        assert client.stdin is not None
        until(lambda: layer._handshakeDone)
        client.stdin.write(b"one\n")
        client.stdin.flush()
        until(lambda: near.heard == [b"one\n"])
        client.stdin.write(b"K\n")
        client.stdin.flush()
        with mock.patch.object(layer, "_flush", side_effect=layer._flush) as flushed:
            until(lambda: flushed.call_count)
        client.stdin.write(b"two\n")
        client.stdin.flush()
        until(lambda: near.heard == [b"one\n", b"two\n"])

    def test_nothing_overtakes_what_was_written_before(self) -> None:
        """What Twisted still holds back goes first."""
        link, near = self.link()
        near.write(b"one ")
        near.write_now(b"two ")
        near.write(b"three ")
        near.write_now(b"")
        link.settle()
        self.assertEqual(link.received, b"one two three ")

    def test_behind_a_close_nothing_is_written(self) -> None:
        """And what was before it arrives."""
        link, near = self.link()
        near.write(b"one ")
        near.write_now(b"two")
        near.loseConnection()
        near.write_now(b"three")
        link.settle()
        self.assertEqual(link.received, b"one two")
        near.write_now(b"four")

    def ended(self, layer: type[BufferingTLSTransport], how: str) -> tuple[list[type], bool]:
        """How a connection ends, as its protocol is told."""
        link, near = self.link(layer)
        protocol = near.wrappedProtocol
        link.send(b"before")
        if how == "goodbye":
            link.hang_up()
        elif how == "cut":
            link.client_transport.abortConnection()
        elif how == "rubbish":
            near.dataReceived(b"\x17\x03\x03\x00\x20" + bytes(32))
        else:
            near.dataReceived(b"no record at all, but enough of it to be looked at")
        link.settle()
        self.clock.advance(60)
        link.settle()
        self.assertEqual(protocol.heard, [b"before"])
        return [type(one.value) for one in protocol.reasons], bool(near.transport.disconnecting)

    def test_it_ends_as_ever(self) -> None:
        """By a goodbye, without one, by a record that nobody has sealed, by what is no record."""
        for how in ("goodbye", "cut", "rubbish", "noise"):
            self.assertEqual(self.ended(QuickTls, how), self.ended(BufferingTLSTransport, how), how)
        self.assertEqual(self.ended(QuickTls, "goodbye")[0], [ConnectionDone])
        self.assertEqual(self.ended(QuickTls, "rubbish")[0], [SSL.Error])

    def test_an_abort_amid_the_data_stops_them(self) -> None:
        """The protocol hears no more, though there is more."""
        link, near = self.link()
        protocol = near.wrappedProtocol

        def hear(data: bytes) -> None:
            protocol.heard.append(data)
            near.abortConnection()

        protocol.dataReceived = hear
        link.send(b"x" * (3 * RECORD_BYTES))
        self.assertEqual(len(protocol.heard), 1)

    def test_where_the_libraries_are_others_nothing_is_short(self) -> None:
        """They promise none of what we lean on."""
        self.assertTrue(known() and QuickTls.short)
        self.assertTrue(known(Without(SSL, ""), Lacking))
        for missing in ("_lib", "_ffi", "Connection", "Context", "TLS_METHOD", "WantReadError"):
            self.assertFalse(known(Without(SSL, missing)), missing)
        for missing in quick._FUNCTIONS:
            self.assertFalse(known(Without(SSL, "", _lib=Without(vars(SSL)["_lib"], missing))), missing)
        for missing in quick._OF_CONNECTIONS:
            self.assertFalse(known(Without(SSL, "", Connection=lambda *found, name=missing: Without(
                SSL.Connection(*found), name))), missing)
        for missing in quick._OF_TWISTED:
            self.patch(Lacking, "missing", missing)
            self.assertFalse(known(layer=Lacking), missing)

    def test_every_attribute_that_it_leans_on_is_looked_for(self) -> None:
        """Each one with an underscore that the class uses is in the list."""
        used = set(re.findall(r"\bself\.(_\w+)", inspect.getsource(QuickTls)))
        own = {"_flush", "_ended", "_track", "_header", "_missing"}
        self.assertEqual(used - own, {one for one in quick._OF_TWISTED if one.startswith("_")})
        used = set(re.findall(r"\bconnection\.(_\w+)", inspect.getsource(QuickTls)))
        self.assertEqual(used, set(quick._OF_CONNECTIONS))

    def test_libraries_that_do_something_else_are_found_out(self) -> None:
        """Names alone prove nothing."""
        for name, result in (("_bio_read", 0), ("_bio_write", 0), ("_ssl_read", 0), ("_ssl_write", 4)):
            with mock.patch.object(quick, name, return_value=result):
                self.assertFalse(known(), name)

    def test_what_is_not_short_needs_nothing_of_theirs(self) -> None:
        """It is written as ever, in order."""
        self.patch(QuickTls, "short", False)
        link, near = self.link()
        link.send(b"there")
        near.write(b"and ")
        with mock.patch.object(near._aggregator, "flush", side_effect=AssertionError):
            near.write_now(b"back")
        self.clock.advance(0)
        link.settle()
        self.assertEqual((near.wrappedProtocol.heard, link.received), ([b"there"], b"and back"))
