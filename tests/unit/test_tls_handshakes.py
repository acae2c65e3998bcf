"""The words for why a TLS handshake failed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.tls.handshakes import REASONS, reason_of


class ReasonTests(SynchronousTestCase):
    """OpenSSL tells errors as lists of library, function and reason."""

    def test_what_openssl_says_has_one_of_a_few_words(self) -> None:
        """The same in each of its versions' spellings."""
        for text, word in (
            ("tlsv1 alert unknown ca", "certificate"), ("ssl/tls alert certificate unknown", "certificate"),
            ("sslv3 alert bad certificate", "certificate"), ("sslv3 alert certificate expired", "certificate"),
            ("unsupported protocol", "version"), ("tlsv1 alert protocol version", "version"),
            ("wrong version number", "version"), ("no shared cipher", "cipher"),
            ("ssl/tls alert handshake failure", "cipher"), ("bad record type", "protocol"), ("something new", "protocol"),
        ):
            self.assertEqual(reason_of(Exception([("SSL routines", "", text)])), word, text)

    def test_an_end_without_a_word_of_openssl_is_an_end(self) -> None:
        """By the client, by the network, or by us."""
        for fault in (None, Exception(), Exception([]), Exception("Connection was aborted locally."),
                      ConnectionResetError(104, "x")):
            self.assertEqual(reason_of(fault), "closed", repr(fault))

    def test_nothing_else_is_counted(self) -> None:
        """Each of them is a label."""
        for text in ("", "certificate", "protocol version", "no shared cipher", "x" * 1000, "\udc80"):
            self.assertIn(reason_of(Exception([("", "", text)])), REASONS)
