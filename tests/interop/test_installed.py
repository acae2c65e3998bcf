"""The page installed like an app, in real Chromium: manifest, service worker, and what there is without a network."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.interop.test_page import DEADLINE_S, INI, PageTestCase

TRUSTING = "--ignore-certificate-errors"
"""What a context of Playwright ignores does not count for workers."""

REGISTER = """async (base) => {
    const script = document.querySelector('script[type="module"]').src;
    await (await import(new URL("./pwa.js", script))).register(base);
    if (!(await navigator.serviceWorker.getRegistration())) throw new Error("it was refused");
    const registration = await navigator.serviceWorker.ready;
    return [registration.scope, registration.active.scriptURL];
}"""
"""As app.js does it."""

KEPT = """async () => {
    const found = {};
    for (const name of await caches.keys()) found[name] = (await (await caches.open(name)).keys()).map((one) => one.url);
    return found;
}"""

GONE = """async (name) => {
    for (let looks = 0; looks < 500 && (await caches.keys()).includes(name); looks += 1) {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}"""
"""Nothing tells of that, and `wait_for_function` takes any promise for a yes."""

REFUSED = """() => {
    globalThis.refused = [];
    document.addEventListener("securitypolicyviolation", (event) => refused.push(event.violatedDirective));
}"""


class InstalledTests(PageTestCase):
    """One browser that remembers."""

    program = "chromium"

    def kept(self, page: Page) -> Any:
        """The addresses in its caches."""
        return page.evaluate(KEPT)

    def test_without_the_server_there_is_a_page_that_says_so_until_it_is_back(self) -> None:
        """With our own look, at the same address, with a link that tries again. Nothing else was kept."""
        page = self.open(self.browser(TRUSTING), "/")
        page.add_init_script(f"({REFUSED})()")
        self.assertEqual(page.evaluate(REGISTER, ""), [f"{self.origin}/", f"{self.origin}/sw.js"])
        page.reload()
        self.assertEqual(page.locator("html").get_attribute("data-state"), "landing")
        self.assertEqual(page.evaluate("() => refused"), [])
        (name, urls), = self.kept(page).items()
        self.assertTrue(name.startswith("rtcd::/static/"))
        self.assertEqual({url.removeprefix(self.origin).rpartition("/")[2] for url in urls},
                         {"offline.html", "page.css", "favicon.svg", "icon-192.png", "icon-512.png"})
        port = self.daemon.port()
        self.assertEqual(self.daemon.stop(), 0)
        page.goto(f"{self.origin}/r/some-room?it=relay")
        retry = page.locator("a.button")
        for text in ("There is no network", "没有网络"):
            page.get_by_text(text).wait_for()
        self.assertEqual(page.url, f"{self.origin}/r/some-room?it=relay")
        self.assertGreaterEqual((retry.bounding_box() or {"height": 0})["height"], 44)
        self.assertTrue(page.evaluate("() => document.querySelector('#top img').naturalWidth > 0"))
        self.assertEqual(page.evaluate("() => refused"), [])
        retry.click()
        page.get_by_text("There is no network").wait_for()
        self.daemon = self.run_daemon(INI.replace("tcp:0", f"tcp:{port}")).started()
        retry.click()
        page.wait_for_function("() => document.documentElement.dataset.state !== 'offline'", timeout=DEADLINE_S * 1000)
        self.assertEqual(page.url, f"{self.origin}/r/some-room?it=relay")

    def test_a_new_version_clears_away_what_the_old_one_kept(self) -> None:
        """And leaves alone what is not ours."""
        page = self.open(self.browser(TRUSTING), "/")
        page.evaluate("""async () => {
            for (const name of ["rtcd::/static/0123456789abcdef", "rtcd:/other:/other/static/0", "theirs"]) {
                await caches.open(name);
            }
        }""")
        page.evaluate(REGISTER, "")
        page.evaluate(GONE, "rtcd::/static/0123456789abcdef")
        others = {"rtcd:/other:/other/static/0", "theirs"}
        names = set(self.kept(page))
        self.assertTrue(others < names, names)
        self.assertEqual(len(names - others), 1, names)

    def test_chromium_finds_nothing_wrong_with_the_manifest(self) -> None:
        """It could be installed, in both languages."""
        for locale in ("en-GB", "zh-CN"):
            page = self.open(self.browser(TRUSTING), "/", locale=locale)
            session = page.context.new_cdp_session(page)
            found = session.send("Page.getAppManifest")
            self.assertEqual((found["errors"], "/manifest.webmanifest?lang=" in found["url"]), ([], True))
            errors = [one["errorId"] for one in session.send("Page.getInstallabilityErrors")["installabilityErrors"]]
            self.assertEqual([one for one in errors if one != "in-incognito"], [])
