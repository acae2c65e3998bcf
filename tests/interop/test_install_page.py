"""The page ``/install`` in real Chromium, and the commands that it tells people to run, run as they stand there."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import segno
from cryptography.hazmat.primitives.serialization import Encoding
from playwright.sync_api import Browser, Page, Request, ViewportSize
from twisted.trial.unittest import SynchronousTestCase

from rtcd.site.install import Install
from rtcd.site.install_texts import ORDER
from rtcd.site.redirect import CA_PATH, INSTALL_PATH, AuthorityFile
from rtcd.site.tree import Tree
from tests.fakes import make_request
from tests.interop import require_program
from tests.interop.driver import playwright
from tests.interop.test_page import ARGUMENTS, SHELL
from tests.shell.test_site_install import AGENTS, make_ca

DEADLINE_S = 30.0
"""How long anything in a browser may take; only a broken page needs it."""

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
NARROW: ViewportSize = {"width": 320, "height": 640}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

WIDTHS = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"

SMALL_TARGETS = """() => [...document.querySelectorAll("header a, .button, .down, summary")]
    .map((one) => one.getBoundingClientRect()).filter((box) => box.height < 44 || box.width < 44).length"""

CONTRASTS = """() => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([red, green, blue]) => [red, green, blue].map((one) => one / 255)
        .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
        .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
    const found = {};
    for (const one of document.querySelectorAll("body *:not(style, svg, svg *)")) {
        if (![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
        let under = one;
        while (under && rgba(getComputedStyle(under).backgroundColor)[3] < 255) under = under.parentElement;
        const papers = under && under !== document.body ? [getComputedStyle(under).backgroundColor]
            : ["--paper", "--glow"].map((name) => getComputedStyle(document.documentElement).getPropertyValue(name));
        for (const paper of papers) {
            const [dark, bright] = [light(rgba(getComputedStyle(one).color)), light(rgba(paper))].sort((a, b) => a - b);
            const ratio = (bright + 0.05) / (dark + 0.05);
            if (ratio < 4.5) found[one.outerHTML.slice(0, 80)] = ratio;
        }
    }
    return found;
}"""
"""Texts with less contrast to what is behind them than WCAG AA wants, with their ratios."""

MODULES = """async ([picture, count]) => {
    const image = new Image();
    image.src = "data:image/png;base64," + picture;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), {width: image.width, height: image.height});
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const {data} = context.getImageData(0, 0, image.width, image.height);
    const at = (index, size) => Math.floor((index + 0.5) * size / count);
    return Array.from({length: count}, (_, row) => Array.from({length: count}, (_, column) =>
        data[4 * (at(row, image.height) * image.width + at(column, image.width))] < 128 ? 1 : 0));
}"""
"""The middle of each module of a picture of a QR code, as a camera sees it: 1 is dark."""


class Server:
    """The page and the CA on a free port, asked from another thread than the browser's, without the reactor."""

    def __init__(self, pem: bytes | None) -> None:
        root = Tree()
        root.add(CA_PATH, AuthorityFile(lambda: pem))
        root.add(INSTALL_PATH, Install(
            lambda request: pem, lambda request: pem is None, lambda request: self.base, lambda request: True))

        class Handler(BaseHTTPRequestHandler):
            """Passes a request on, and the answer back as it is."""

            def do_GET(self) -> None:
                """Answer."""
                answer = make_request(root, "GET", self.path, headers=dict(self.headers.items()), secure=False)
                self.wfile.write(answer.transport.value())

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class InstallPageTests(SynchronousTestCase):
    """What a visitor sees and can do; every complaint in the console fails the test."""

    def setUp(self) -> None:
        """A browser, and a server with a CA of its own."""
        chromium = require_program(SHELL)
        self.browser: Browser = playwright().chromium.launch(
            executable_path=chromium, chromium_sandbox=False, args=ARGUMENTS)
        self.addCleanup(self.browser.close)
        self.pem: bytes | None = make_ca().public_bytes(Encoding.PEM)
        self.complaints: list[str] = []
        self.start()

    def start(self) -> None:
        """Serve the page about this CA from now on."""
        self.server = Server(self.pem)
        self.addCleanup(self.server.stop)

    def open(self, path: str = "/install", **context: Any) -> Page:
        """The page as a visitor of their own sees it."""
        known = self.browser.new_context(**context)
        self.addCleanup(known.close)
        page = known.new_page()
        page.set_default_timeout(DEADLINE_S * 1000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("requestfailed", lambda request: self.complaints.append(request.url))
        page.on("request", self._asked)
        page.goto(self.server.base + path)
        return page

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.server.base, "data:")):
            self.complaints.append(request.url)

    def test_it_fits_every_window_in_both_languages_and_schemes(self) -> None:
        """Nothing beyond the right edge with all sections open, texts with contrast, targets for fingers, no complaint."""
        for pem in (self.pem, None):
            self.pem = pem
            self.start()
            for locale, tag in (("en-GB", "en"), ("zh-CN", "zh-CN")):
                page = self.open(locale=locale)
                self.assertEqual(page.evaluate("document.documentElement.lang"), tag)
                self.assertEqual(page.evaluate("getComputedStyle(document.body).marginTop"), "0px")
                for closed in page.query_selector_all("details:not([open]) > summary"):
                    closed.click()
                for scheme in SCHEMES:
                    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                    self.assertEqual(page.evaluate(CONTRASTS), {}, (tag, scheme))
                for size in (DESKTOP, PHONE, NARROW):
                    page.set_viewport_size(size)
                    scrolled, width = page.evaluate(WIDTHS)
                    self.assertLessEqual(scrolled, width, (tag, size))
                    self.assertEqual(page.evaluate(SMALL_TARGETS), 0)
        self.assertEqual(self.complaints, [])

    def test_the_other_language_is_one_click_away(self) -> None:
        """And back."""
        page = self.open(locale="en-GB")
        page.click("text=中文")
        self.assertEqual(page.inner_text("h1"), "信任此服务器")
        page.click("text=English")
        self.assertEqual(page.inner_text("h1"), "Trust this server")
        self.assertEqual(self.complaints, [])

    def test_the_visitors_system_is_first_and_open(self) -> None:
        """The browser's own User-Agent decides."""
        for name, agent in AGENTS.items():
            page = self.open(user_agent=agent)
            shown = [one.get_attribute("id") for one in page.query_selector_all("details[open]")]
            self.assertEqual((shown, page.get_attribute("details", "id")), ([name], name))
            self.assertTrue(page.is_visible(f"#{name} ol"))
        self.assertEqual(self.complaints, [])

    def test_the_keyboard_reaches_and_opens_everything(self) -> None:
        """From the top by Tab: language, download, and each section, with Enter or Space."""
        page = self.open(user_agent="unknown")
        reached = []
        for _ in range(3 + len(ORDER)):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(
                "() => document.activeElement.parentElement.id || document.activeElement.getAttribute('href')"))
            self.assertTrue(page.evaluate("document.activeElement.matches(':focus-visible')"))
        self.assertEqual(reached, ["?lang=zh", "ca.crt", "#steps", *ORDER])
        self.assertFalse(page.is_visible("#firefox ol"))
        page.keyboard.press("Enter")
        self.assertTrue(page.is_visible("#firefox ol"))
        page.keyboard.press("Space")
        self.assertFalse(page.is_visible("#firefox ol"))

    def test_the_qr_code_on_the_screen_is_that_of_this_page(self) -> None:
        """Module by module, in the dark too: a dark code on white, with its quiet zone."""
        matrix = segno.make(self.server.base + "/install", error="m", micro=False).matrix_iter(border=4)
        wanted = [list(row) for row in matrix]
        blank = self.browser.new_page()
        for scheme in SCHEMES:
            page = self.open(color_scheme=scheme, viewport=DESKTOP, device_scale_factor=3)
            picture = base64.b64encode(page.locator(".qr svg").screenshot()).decode()
            self.assertEqual(blank.evaluate(MODULES, [picture, len(wanted)]), wanted)

    def test_the_button_downloads_the_authority(self) -> None:
        """Under the name that the commands use."""
        page = self.open()
        with page.expect_download() as download:
            page.click(".button")
        self.assertEqual(download.value.suggested_filename, "rtcd-ca.crt")
        self.assertEqual(Path(download.value.path()).read_bytes(), self.pem)

    def test_the_commands_do_what_the_page_says(self) -> None:
        """openssl shows the fingerprint that the page shows; certutil puts the file where Chromium looks."""
        require_program("openssl")
        require_program("certutil")
        page = self.open(user_agent=AGENTS["linux"])
        shown = page.inner_text(".fingerprint").replace("\n", "")
        check = page.inner_text("dl pre")
        trust = page.inner_text("#linux pre >> nth=0")
        with tempfile.TemporaryDirectory() as home:
            assert self.pem is not None
            (Path(home) / "rtcd-ca.crt").write_bytes(self.pem)

            def run(command: str) -> str:
                return subprocess.run(
                    ["sh", "-ec", command], cwd=home, env={**os.environ, "HOME": home}, check=True, text=True,
                    stdin=subprocess.DEVNULL, capture_output=True, timeout=30).stdout

            self.assertEqual(run(check).strip().partition("=")[2], shown)
            run(trust)
            self.assertRegex(run("certutil -d sql:$HOME/.pki/nssdb -L"), r"rtcd +C,,")
            run(page.inner_text("#linux .note:last-child code >> nth=0"))
            self.assertNotIn("rtcd", run("certutil -d sql:$HOME/.pki/nssdb -L"))
