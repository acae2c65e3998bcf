"""What a client's Accept headers mean."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.web.accept import MAX_ITEMS, coding, has, language, weights


class AcceptTests(SynchronousTestCase):
    """RFC 9110 §12.5."""

    def test_weights_are_read_and_nonsense_is_left_out(self) -> None:
        """A name alone weighs 1, the first of a name counts, and there is an end to it."""
        self.assertEqual(weights("gzip;q=0.5, BR ;Q=0.8,*;q=0"), {"gzip": 0.5, "br": 0.8, "*": 0.0})
        self.assertEqual(weights("gzip, gzip;q=0"), {"gzip": 1.0})
        self.assertEqual(weights(", ;q=1, a;q=2, b;q=x, c;r=1, d e, \u00e9"), {})
        self.assertEqual(len(weights(",".join(f"x{number}" for number in range(1000)))), MAX_ITEMS)

    def test_the_best_coding_that_the_client_takes_is_sent(self) -> None:
        """Ours first where it likes several as much; none to who asks for none."""
        for header, expected in (
            ("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("br;q=0.5, gzip", "gzip"), ("br;q=0, gzip;q=0.1", "gzip"),
            ("*", "br"), ("*;q=0.5, br;q=0", "gzip"), ("", "identity"), ("deflate", "identity"), ("identity", "identity"),
            ("identity;q=1, gzip;q=0.5", "identity"), ("identity;q=0.5, gzip;q=0.5", "gzip"), ("gzip;q=0", "identity"),
            ("identity;q=0, *;q=0", "identity"), ("*;q=0", "identity"), ("nonsense;;", "identity"),
        ):
            self.assertEqual(coding(header, ("br", "gzip")), expected, header)
        self.assertEqual(coding("br", ("gzip",)), "identity")
        self.assertEqual(coding("br", ()), "identity")

    def test_the_language_is_the_chosen_one_else_the_browsers_best(self) -> None:
        """Any Chinese is ours, for who reads no English before it; what there is not is passed over."""
        for cookie, header, expected in (
            ("zh-CN", "en", "zh-CN"), ("en", "zh-CN", "en"), (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
            ("fr", "zh-TW", "zh-CN"), ("", "fr, en;q=0.5, zh;q=0.6", "zh-CN"), (None, "en-GB, zh", "en"),
            (None, "zh;q=0, fr", "en"), (None, "*", "en"), (None, "", "en"), ("<script>", "\u00ff", "en"),
        ):
            self.assertEqual(language(cookie, header), expected, (cookie, header))

    def test_a_tag_is_found_among_several_and_when_a_proxy_made_it_weak(self) -> None:
        """If-None-Match compares weakly."""
        for header in ('"a"', 'W/"a"', '"b", W/"a"', "*", '"b","a"'):
            self.assertTrue(has(header, '"a"'), header)
        for header in ("", "a", '"ab"', '"a-gzip"'):
            self.assertFalse(has(header, '"a"'), header)
