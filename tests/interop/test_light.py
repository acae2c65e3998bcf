"""How light the page is, on a cold cache and a slow processor: the figures are printed, as no test asserts speed. What is
asserted: that the first paint waits for no script, and is in the reader's language."""

from __future__ import annotations

import json

from playwright.sync_api import Browser

from tests.daemon.process import ROOT
from tests.interop.test_page import FAKE_PERMISSION, PageTestCase

SLOWER = 4
"""Times that the processor is made slower."""

PAGES = {"landing": "/", "green": "/r/light-room"}

PAINT = """() => new Promise((done) => new PerformanceObserver((list) => {
    for (const { name, startTime } of list.getEntries()) if (name === "first-contentful-paint") done(startTime);
}).observe({ type: "paint", buffered: true }))"""


class LightTests(PageTestCase):
    """Landing page and green room."""

    def test_what_it_weighs_and_how_long_it_takes(self) -> None:
        """Bytes on the wire with their headers, requests, and the first paint that shows something."""
        browser = self.browser(FAKE_PERMISSION)
        for state, path in PAGES.items():
            page = browser.new_context(ignore_https_errors=True).new_page()
            session = page.context.new_cdp_session(page)
            weights: list[float] = []
            session.on("Network.loadingFinished", lambda event, weights=weights: weights.append(event["encodedDataLength"]))
            session.send("Network.enable")
            session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
            page.goto(self.origin + path)
            self.state(page, state)
            page.wait_for_load_state("networkidle")
            paint = page.evaluate(PAINT)
            loaded = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
            print(  # noqa: T201 # figures for people
                f"light: {state}: {sum(weights):.0f} bytes in {len(weights)} requests; on a processor {SLOWER} times slower "
                f"first contentful paint after {paint:.0f} ms, scripts have run after {loaded:.0f} ms")

    def test_the_first_paint_waits_for_no_script(self) -> None:
        """Both pages are to be read in both languages while no script has come."""
        browser = self.browser(FAKE_PERMISSION)
        for language in ("en", "zh-CN"):
            texts = json.loads((ROOT / f"rtcd/web/static/texts-{language}.json").read_text())
            for state, path in PAGES.items():
                self.shown(browser, language, path, state, texts)

    def shown(self, browser: Browser, language: str, path: str, state: str, texts: dict[str, str]) -> None:
        """One page without its scripts."""
        page = browser.new_context(ignore_https_errors=True, locale=language).new_page()
        page.route("**/*.js", lambda route: route.abort())
        page.goto(self.origin + path)
        self.assertGreater(page.evaluate(PAINT), 0)
        self.assertEqual(page.evaluate("document.documentElement.dataset.state"), state)
        self.assertEqual(page.evaluate("document.documentElement.lang"), language)
        title = page.locator(f"#{state}-title")
        self.assertTrue(title.is_visible())
        self.assertIn(texts[f"{state}.title"], title.inner_text())
        self.assertEqual(page.evaluate("""() => [...document.querySelectorAll("[data-text]")].filter((one) =>
            one.checkVisibility() && one.dataset.text && !one.textContent).map((one) => one.dataset.text)"""), [])
