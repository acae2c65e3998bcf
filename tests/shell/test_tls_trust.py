"""Whom the world trusts, and what follows from it."""

from __future__ import annotations

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from rtcd.tls.authority import DAY_S, issue, make_authority
from rtcd.tls.chain import Chain
from rtcd.tls.trust import public_roots, publicly_trusted

NOW = 1_790_000_000.0


class TrustTests(SynchronousTestCase):
    """A chain and the roots of the world, of which the test has one."""

    def setUp(self) -> None:
        self.authority = make_authority("elsewhere", ["a.example", "b.example", "192.0.2.1"], NOW)
        self.roots = [self.authority.certificate]

    def chain(self, *names: str) -> Chain:
        """A certificate of the one authority."""
        pair = issue(self.authority, names, NOW)
        return Chain((pair.certificate,), pair.key)

    def test_a_chain_to_a_root_is_trusted(self) -> None:
        """For a name, a wildcard and an address."""
        for names in (["a.example", "b.example"], ["*.b.example"], ["192.0.2.1"]):
            self.assertTrue(publicly_trusted(self.chain(*names), NOW, self.roots), names)

    def test_anything_else_is_not(self) -> None:
        """Another authority's, one that has expired, one without a name, one signed by itself."""
        self.assertFalse(publicly_trusted(self.chain("a.example"), NOW, [make_authority("x", [], NOW).certificate]))
        self.assertFalse(publicly_trusted(self.chain("a.example"), NOW + 500 * DAY_S, self.roots))
        self.assertFalse(publicly_trusted(self.chain(), NOW, self.roots))
        self.assertFalse(publicly_trusted(Chain((self.authority.certificate,), self.authority.key), NOW, self.roots))
        self.assertFalse(publicly_trusted(self.chain("a.example"), NOW))

    def test_the_roots_of_the_world_are_mozillas(self) -> None:
        """More than a hundred, and among them the one that most small sites have."""
        names = {one.subject.rfc4514_string() for one in public_roots()}
        self.assertGreater(len(names), 100)
        self.assertIn("CN=ISRG Root X1,O=Internet Security Research Group,C=US", names)
        self.assertTrue(all(isinstance(one, x509.Certificate) for one in public_roots()))
