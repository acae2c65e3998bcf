"""Which certificate is for which name."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.tls.names import Choice, covers, uncovered


class CoversTests(SynchronousTestCase):
    """RFC 9525 §6."""

    def test_a_name_is_compared_without_case_and_last_dot(self) -> None:
        """And an address in whatever form it is written."""
        for names, host in ((["Meet.Example"], "meet.example."), (["2001:db8::1"], "[2001:DB8:0::1]"),
                            (["192.0.2.1"], "::ffff:192.0.2.1")):
            self.assertTrue(covers(names, host), host)

    def test_a_star_stands_for_one_label(self) -> None:
        """Neither for none, nor for two, nor for part of an address."""
        self.assertTrue(covers(["*.example.org"], "meet.example.org"))
        for host in ("example.org", "a.b.example.org", "meetexample.org", "other.org"):
            self.assertFalse(covers(["*.example.org"], host), host)
        self.assertFalse(covers(["*.0.2.1", "*.org"], "192.0.2.1"))
        self.assertFalse(covers(["*"], "localhost"))

    def test_what_is_missing_is_named(self) -> None:
        """In the order in which it was asked."""
        self.assertEqual(uncovered(["c.org", "a.org", "x.b.org", "d.org"], [["a.org"], ["*.b.org"]]), ["c.org", "d.org"])


class PickTests(SynchronousTestCase):
    """RFC 6066 §3."""

    choice = Choice((("a.org", "192.0.2.1"), ("*.b.org", "localhost"), ("X.b.org", "127.0.0.1", "::1"), ("a.org", "*.org")))

    def test_the_one_with_the_name_is_shown(self) -> None:
        """One that has it as it is goes before a wildcard; the first is for everybody else."""
        for name, place in (("a.org", 0), ("y.b.org", 1), ("X.B.ORG", 2), ("other.com", 0), ("b.org", 3),
                            ("y.b.org.", 1), ("x.y.b.org", 0), ("", 2)):
            self.assertEqual(self.choice.pick(name, "127.0.0.1"), place, name)

    def test_who_names_none_has_come_to_an_address(self) -> None:
        """Browsers name no server for an address (RFC 6066 §3)."""
        for host, place in (("192.0.2.1", 0), ("::ffff:127.0.0.1", 2), ("::1", 2), ("10.0.0.1", 0), ("", 0)):
            self.assertEqual(self.choice.pick("", host), place, host)
