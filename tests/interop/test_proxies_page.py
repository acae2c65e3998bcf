"""The page in real Chromium behind real nginx, with our example of a configuration, at a port and a path of its own."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page, WebSocket

from tests.interop import require_program
from tests.interop.proxies import PREFIX, ProxyTestCase, free_port, plain_port
from tests.interop.test_page import FAKE_PERMISSION, PageTestCase

INI = """
[doorway]
https =
http =
plain = tcp:0:interface=127.0.0.1
%s
[web]
join-rate = 0
[signaling]
[ice]
rate = 0
[turn]
listen = 127.0.0.1
port = 0
tls = no
external-ip =
"""

LOADED = "() => { const qr = document.getElementById('qr'); return qr.complete && qr.naturalWidth > 0; }"
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}


class BehindNginx(PageTestCase, ProxyTestCase):
    """TLS is nginx's; everything that the browser asks for has to be below the path."""

    def setUp(self) -> None:
        """Daemon and nginx are started by the tests."""
        ProxyTestCase.setUp(self)
        self._chromium = require_program(self.program)
        self.complaints = []
        self.sockets: list[str] = []
        self.port = free_port()
        self.origin = f"https://127.0.0.1:{self.port}"

    def watched(self, page: Page) -> Page:
        """A page that may ask for nothing but what is there, below the path."""

        def opened(socket: WebSocket) -> None:
            self.sockets.append(socket.url)

        page.on("response", lambda answer: self.complaints.append(f"{answer.status} {answer.url}") if (
            answer.status >= 400 or not answer.url.startswith((f"{self.origin}{PREFIX}/", "data:"))) else None)
        page.on("websocket", opened)
        return page

    def shot(self, page: Page, name: str) -> None:
        """For people to look at, where RTCD_SCREENSHOTS names a folder."""
        folder = os.environ.get("RTCD_SCREENSHOTS")
        for size, viewport in SIZES.items() if folder else ():
            page.set_viewport_size(viewport)  # type: ignore[arg-type]  # a dictionary of the right shape
            page.screenshot(path=str(Path(folder or "", f"{name}-{size}.png")))

    def visit(self, *, configured: bool, left_on: bool) -> None:
        """From the landing page into a room and into a call, back, and in again after a reload."""
        public = f"public-url = {self.origin}{PREFIX}" if configured else ""
        self.daemon = self.run_daemon(INI % public).started()
        self.nginx(self.port, f"127.0.0.1:{plain_port(self.daemon)}", prefix=True, left_on=left_on)
        browser = self.browser(FAKE_PERMISSION)
        first = self.watched(self.open(browser, f"{PREFIX}/"))
        first.reload()
        self.state(first, "landing")
        self.shot(first, "landing")
        first.fill("#room-name", "proxied-room")
        first.press("#room-name", "Enter")
        self.state(first, "green")
        first.click("#enter-button")
        self.state(first, "waiting")
        self.assertEqual(first.input_value("#room-link"), f"{self.origin}{PREFIX}/r/proxied-room")
        first.wait_for_function(LOADED)
        self.shot(first, "waiting")
        self.assertEqual(first.evaluate("location.pathname"), f"{PREFIX}/r/proxied-room")
        first.reload()
        self.state(first, "green")
        first.click("#enter-button")
        self.state(first, "waiting")
        self.assertEqual(first.input_value("#room-link"), f"{self.origin}{PREFIX}/r/proxied-room")
        first.wait_for_function(LOADED)
        second = self.watched(self.join(browser, f"{PREFIX}/r/proxied-room"))
        for page in (first, second):
            self.state(page, "connected")
            self.rising(page)
        self.shot(first, "call")
        second.click("#brand")
        self.state(second, "landing")
        self.assertEqual(second.evaluate("location.pathname"), f"{PREFIX}/")
        self.state(first, "waiting")
        second.go_back()
        self.state(second, "green")
        self.assertEqual(second.evaluate("location.pathname"), f"{PREFIX}/r/proxied-room")
        second.click("#enter-button")
        for page in (first, second):
            self.state(page, "connected")
            self.rising(page)
        second.go_forward()
        self.state(second, "landing")
        self.state(first, "waiting")
        self.assertEqual(set(self.sockets), {f"wss://127.0.0.1:{self.port}{PREFIX}/ws"})
        self.assertEqual(self.complaints, [])

    def test_with_a_public_url_and_the_prefix_taken_off(self) -> None:
        """As our example is."""
        self.visit(configured=True, left_on=False)

    def test_with_a_public_url_and_the_prefix_left_on(self) -> None:
        """public-url tells the daemon what to take off."""
        self.visit(configured=True, left_on=True)

    def test_by_forwarded_headers_with_the_prefix_taken_off(self) -> None:
        """nginx tells all."""
        self.visit(configured=False, left_on=False)

    def test_by_forwarded_headers_with_the_prefix_left_on(self) -> None:
        """X-Forwarded-Prefix tells the daemon what to take off."""
        self.visit(configured=False, left_on=True)
