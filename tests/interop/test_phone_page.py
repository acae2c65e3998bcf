"""A phone app and our page in one room: the app says what AppRTCMobile says and never hears what it does not know."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

from playwright.sync_api import Page

from tests.daemon.process import ROOT, environment
from tests.interop.test_page import DEADLINE_S, FAKE_PERMISSION, PageTestCase

PHONE_FRAMES = 20
"""So many decoded pictures mean that they arrive."""


class Phone:
    """``tests.interop.phone`` in a process of its own."""

    def __init__(self, origin: str, room: str) -> None:
        self.told: list[dict[str, Any]] = []
        self._more = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.phone", origin, room], cwd=ROOT, env=environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.told.append(json.loads(line))
                self._more.notify_all()

    def until(self, key: str, value: Any = None) -> dict[str, Any]:
        """The first line that has this key, and this value if one is given."""
        deadline = time.monotonic() + DEADLINE_S
        with self._more:
            while True:
                for one in self.told:
                    if "crash" in one:
                        raise AssertionError(f"the phone ends: {one['crash']}")
                    if key in one and (value is None or one[key] == value):
                        return one
                if not self._more.wait(deadline - time.monotonic()):
                    raise AssertionError(f"{key} was not told: {self.told}")

    def hang_up(self) -> None:
        """As Android does it."""
        assert self.process.stdin is not None
        self.process.stdin.write("hang up\n")
        self.process.stdin.flush()
        self.until("left")

    def crash(self) -> None:
        """No word to anybody."""
        self.process.kill()

    def end(self) -> None:
        """Nothing is left of it."""
        self.process.kill()
        self.process.communicate()


class PhonePageTests(PageTestCase):
    """Real media between Chromium and aiortc, set up in AppRTC's words."""

    def phone(self, room: str) -> Phone:
        """Start a phone that joins this room."""
        found = Phone(self.origin, room)
        self.addCleanup(found.end)
        return found

    def talking(self, page: Page, phone: Phone) -> None:
        """Each decodes the other's pictures."""
        self.state(page, "connected")
        self.rising(page)
        phone.until("frames", PHONE_FRAMES)

    def test_a_phone_that_comes_second_is_called_by_the_page(self) -> None:
        """The page was first, so it is initiator; the phone answers, and hangs up; the next phone is called again."""
        page = self.join(self.browser(FAKE_PERMISSION), "/r/phone_second")
        self.state(page, "waiting")
        for _ in range(2):
            phone = self.phone("phone_second")
            self.assertFalse(phone.until("initiator", False)["initiator"])
            self.talking(page, phone)
            phone.hang_up()
            self.state(page, "waiting")
        self.assertEqual(self.complaints, [])

    def test_a_phone_that_comes_first_calls_the_page(self) -> None:
        """The page answers the phone's stored offer; it hangs up and the phone hears one bye."""
        phone = self.phone("phone_first")
        self.assertTrue(phone.until("initiator", True)["initiator"])
        page = self.join(self.browser(FAKE_PERMISSION), "/r/phone_first")
        self.talking(page, phone)
        page.click("#hangup-button")
        self.state(page, "left")
        phone.until("bye")
        phone.until("left")
        self.assertEqual(sum("bye" in one for one in phone.told), 1)
        self.assertEqual(self.complaints, [])

    def test_a_phone_makes_a_room_of_two_and_a_third_is_told_so(self) -> None:
        """Another page says why; another phone hears FULL."""
        browser = self.browser(FAKE_PERMISSION)
        first = self.join(browser, "/r/phone_two")
        self.state(first, "waiting")
        phone = self.phone("phone_two")
        self.talking(first, phone)
        third = self.open(browser, "/r/phone_two")
        self.state(third, "refused", "green")
        if third.evaluate("document.documentElement.dataset.state") == "green":
            third.click("#enter-button")
            self.state(third, "refused")
        self.assertEqual(third.evaluate("document.documentElement.dataset.refused"), "app")
        self.assertEqual(self.phone("phone_two").until("joined"), {"joined": "FULL"})
        self.rising(first)

    def test_three_pages_leave_no_seat_for_a_phone(self) -> None:
        """A phone sees rooms of two, so one with more is full for it, in the words that it knows."""
        browser = self.browser(FAKE_PERMISSION)
        for _ in range(2):
            self.state(self.join(browser, "/r/phone_three"), "waiting", "joining", "connected")
        self.assertEqual(self.phone("phone_three").until("joined"), {"joined": "FULL"})

    def test_a_phone_that_crashes_frees_its_seat(self) -> None:
        """The page waits again after the grace time, and the next one is let in."""
        page = self.join(self.browser(FAKE_PERMISSION), "/r/phone_crash")
        self.state(page, "waiting")
        phone = self.phone("phone_crash")
        self.talking(page, phone)
        phone.crash()
        self.state(page, "waiting")
        self.talking(page, self.phone("phone_crash"))
