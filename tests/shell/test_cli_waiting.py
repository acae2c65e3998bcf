"""``rtcd doctor --wait``, on a daemon that the test plays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.cli import waiting
from rtcd.config import ConfigError


def check(number: int, level: str = "good", **more: Any) -> dict[str, Any]:
    """As ``GET /admin/checks`` has them."""
    return {"number": number, "at": 0, "network": "192.0.2.0/24", "system": "android", "level": level, "summary": level,
            "title": f"Title {number}", "text": "", "paths": [], **more}


class WaitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.written = ""
        self.there = [check(1), check(2)]
        self.coming: list[dict[str, Any]] = []
        self.asked: list[int] = []
        self.interrupted_at = 1e9
        self.began = 0.0

    def all(self, what: str) -> Iterator[Any]:
        """Of the daemon."""
        self.assertEqual(what, "checks")
        return iter(self.there)

    def get(self, *parts: str, **query: object) -> Any:
        """Of the daemon."""
        if parts == ("status",):
            return {"uptime": 100 + self.now - self.began}
        self.assertEqual((parts, query["lang"]), (("checks",), self.language))
        after = query["after"]
        assert isinstance(after, int)
        self.asked.append(after)
        return {"checks": [one for one in self.coming if one["at"] <= self.now and one["number"] > after], "next": None}

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        if self.now >= self.interrupted_at:
            raise KeyboardInterrupt

    def write(self, text: str) -> None:
        """To the terminal."""
        self.written += text

    def wait(self, url: str = "https://meet.example.org/check", language: str = "en", **more: Any) -> int:
        """For ten seconds."""
        self.language = language
        return waiting.wait(self, url, language, 10.0, self.write, lambda: self.now, self.sleep, **more)

    def test_each_check_is_told_once_when_it_is_there(self) -> None:
        """Those that were there before are not."""
        self.coming = [check(3, at=2), check(4, "broken", at=5), check(5, "fair", at=50)]
        self.assertEqual(self.wait(), 2)
        self.assertEqual([self.written.count(f"Title {one}") for one in range(1, 6)], [0, 0, 1, 1, 0])
        self.assertIn("https://meet.example.org/check", self.written)
        self.assertEqual((self.asked[0], self.asked[-1], len(self.asked)), (2, 4, 10))

    def test_a_path_that_does_not_work_says_why_and_what_mends_it(self) -> None:
        self.coming = [check(3, "fair", text="Some calls will not work.", paths=[
            {"id": "udp-3478", "name": "Relay by UDP 3478", "outcome": "never-arrived", "code": 0, "ms": None,
             "title": "It never arrived", "meaning": "No UDP.", "mend": "ufw allow 3478/udp"},
            {"id": "tls-443", "name": "Relay by TLS 443", "outcome": "ok", "code": 0, "ms": 21, "title": "It works",
             "meaning": "", "mend": ""}])]
        self.assertEqual(self.wait(), 1)
        for line in ("Android in 192.0.2.0/24: Title 3", "    Some calls will not work.",
                     "  - Relay by UDP 3478: It never arrived", "        means: No UDP.", "        mend: ufw allow 3478/udp",
                     "  - Relay by TLS 443: It works (21 ms)"):
            self.assertIn(line + "\n", self.written)
        self.assertEqual(self.written.count("means:"), 1)

    def test_nobody_came(self) -> None:
        """Or whoever waits has seen enough."""
        self.interrupted_at = 3
        self.assertEqual(self.wait(url="", language="zh"), 0)
        self.assertIn("/check 页面", self.written)
        self.assertTrue(self.written.endswith("没有人打开它。\n"))
        self.assertEqual(self.now, 3)

    def test_programs_get_an_object_a_line(self) -> None:
        """And nothing else."""
        self.coming = [check(3, at=2), check(4, at=2)]
        self.assertEqual(self.wait(as_json=True), 0)
        self.assertEqual([json.loads(line)["number"] for line in self.written.splitlines()], [3, 4])
        self.written, self.coming = "", []
        self.wait(as_json=True)
        self.assertEqual(self.written, "")

    def test_a_daemon_that_is_not_there_is_told(self) -> None:
        """In one line, as of any verb."""
        def gone(what: str) -> Iterator[Any]:
            raise ConfigError("admin", "socket", "nobody answers")
        self.all = gone  # type: ignore[method-assign]
        self.assertRaises(ConfigError, self.wait)

    def test_a_daemon_that_is_started_again_is_waited_for(self) -> None:
        """To start it again is what mends most things. The checks of the new one have numbers from 1 on."""
        ask = self.get

        def away(*parts: str, **query: object) -> Any:
            if 3 <= self.now < 6:
                self.began, self.coming = 105.0, [check(1, "broken", at=7)]
                raise ConfigError("admin", "socket", "nobody answers")
            return ask(*parts, **query)
        self.get = away  # type: ignore[method-assign]
        self.assertEqual(self.wait(), 2)
        self.assertEqual((self.written.count("Title 1"), self.asked[2], self.asked[3]), (1, 2, 0))

    def test_both_languages_have_the_same_texts(self) -> None:
        self.assertEqual(waiting.TEXTS["en"].keys(), waiting.TEXTS["zh"].keys())
