"""What a client is shown, told apart by the name it asks for and the address it has come to; and sessions."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from rtcd.config import ConfigError
from rtcd.tls.authority import issue, make_authority, names_of
from rtcd.tls.chain import Chain
from rtcd.tls.contexts import Contexts, First, ProofCreator
from rtcd.tls.proof import prove
from rtcd.tls.settings import TlsSettings

NOW = 1_790_000_000.0
NAMES = (("one.example", "192.0.2.1"), ("two.example", "127.0.0.1"))


def make_chain(*names: str) -> Chain:
    """A certificate for these."""
    pair = issue(make_authority("test", names, NOW), names, NOW)
    return Chain((pair.certificate,), pair.key)


CHAINS = tuple(make_chain(*names) for names in NAMES)


class Layer:
    """Twisted's layer of TLS, as far as it is asked where a client has come to."""

    def __init__(self, host: str) -> None:
        self.transport: Any = SimpleNamespace(getHost=lambda: IPv4Address("TCP", host, 8443))


def shake(server: SSL.Connection, *, name: str = "", alpn: Sequence[bytes] = (), newest: int = SSL.TLS1_3_VERSION) -> Any:
    """Connect to it; returns the client's end. What the server refuses is an `SSL.Error`."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(newest)
    client = SSL.Connection(context, None)
    if name:
        client.set_tlsext_host_name(name.encode())
    if alpn:
        client.set_alpn_protos(list(alpn))
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))
    return client


class ContextsTests(SynchronousTestCase):
    """Two certificates in service."""

    def setUp(self) -> None:
        self.terms = TlsSettings()
        self.first = First(self.terms)
        self.contexts = Contexts(self.first, CHAINS, self.terms, lambda: [b"http/1.1"])

    def shown(self, host: str = "", alpn: list[bytes] | None = None, **client: Any) -> str:
        """The first name of what a client sees that has come to this address of ours."""
        layer = Layer(host) if host else None
        found = shake(self.contexts.connection(layer, alpn), **client)
        return names_of(found.get_peer_certificate(as_cryptography=True))[1]

    def test_a_client_sees_what_it_asks_for(self) -> None:
        """By TLS 1.2 and 1.3; the first one for a name that we do not know."""
        for newest in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            for name, sees in (("two.example", "two.example"), ("one.example", "one.example"), ("x.example", "one.example")):
                self.assertEqual(self.shown(name=name, newest=newest), sees)

    def test_without_a_name_the_address_tells(self) -> None:
        """That the client has come to; a name goes before it."""
        for host, name, sees in (("127.0.0.1", "", "two.example"), ("192.0.2.1", "", "one.example"), ("", "", "one.example"),
                                 ("10.0.0.1", "", "one.example"), ("127.0.0.1", "one.example", "one.example")):
            self.assertEqual(self.shown(host, name=name), sees)

    def test_each_listener_has_its_own_protocols(self) -> None:
        """Whichever certificate is shown."""
        for name in ("one.example", "two.example"):
            for alpn, offered, chosen in ((None, [b"h2", b"http/1.1"], b"http/1.1"), ([b"x"], [b"http/1.1", b"x"], b"x")):
                client = shake(self.contexts.connection(None, alpn), name=name, alpn=offered)
                self.assertEqual(client.get_alpn_proto_negotiated(), chosen)
            client = shake(self.contexts.connection(None, None), name=name, alpn=[b"x"])
            self.assertEqual(client.get_alpn_proto_negotiated(), b"", "what is inside is told by its first bytes then")

    def test_nothing_is_kept_of_a_connection_that_is_gone(self) -> None:
        """There are tens of thousands of them."""
        layer: Any = Layer("127.0.0.1")
        layer.connection = self.contexts.connection(layer, [b"x"])
        gone = weakref.ref(layer)
        shake(layer.connection)
        del layer
        gc.collect()
        self.assertIsNone(gone())
        self.assertEqual((len(self.contexts._protocols), len(self.contexts._own_alpn)), (0, 0))

    def test_nothing_older_than_the_minimum_is_spoken(self) -> None:
        """Whatever the client would like."""
        self.assertRaises(SSL.Error, shake, self.contexts.connection(None, None), newest=SSL.TLS1_1_VERSION)
        terms = TlsSettings(minimum="1.3")
        contexts = Contexts(First(terms), CHAINS, terms, list)
        self.assertRaises(SSL.Error, shake, contexts.connection(None, None), newest=SSL.TLS1_2_VERSION)

    def test_the_first_context_is_kept_as_long_as_the_terms_are(self) -> None:
        """Sessions are resumed across a renewal, and not across a change of what is spoken."""
        self.assertTrue(self.first.serves(TlsSettings(names=("x",))))
        self.assertFalse(self.first.serves(TlsSettings(minimum="1.3")))
        self.assertFalse(self.first.serves(TlsSettings(ciphers="ECDHE-RSA-AES256-GCM-SHA384")))

    def test_a_key_that_openssl_refuses_is_the_operators_fault(self) -> None:
        """Such as one that is too short for today."""
        chain = Chain(CHAINS[0].certificates, CHAINS[1].key)
        fault = self.assertRaises(ConfigError, Contexts, self.first, [chain], self.terms, list)
        self.assertTrue(str(fault).startswith("[tls] cert: OpenSSL refuses it"))


class ProofTests(SynchronousTestCase):
    """What a certificate authority is shown (RFC 8737)."""

    def test_it_is_what_an_authority_wants_to_see(self) -> None:
        """Nothing but its protocol is spoken. A critical extension holds the digest; the name is the one certified."""
        for name in ("meet.example", "192.0.2.1", "2001:db8::1"):
            creator = ProofCreator(prove(name, b"d" * 32, NOW))
            client = shake(creator.serverConnectionForTLS(None), alpn=[b"acme-tls/1"])
            certificate = client.get_peer_certificate(as_cryptography=True)
            found = next(one for one in certificate.extensions if one.oid.dotted_string == "1.3.6.1.5.5.7.1.31")
            self.assertEqual((found.critical, found.value.value), (True, b"\x04\x20" + b"d" * 32))
            self.assertEqual((names_of(certificate), client.get_alpn_proto_negotiated()), ((name,), b"acme-tls/1"))
            client = shake(creator.serverConnectionForTLS(None), alpn=[b"http/1.1"])
            self.assertEqual(client.get_alpn_proto_negotiated(), b"")
