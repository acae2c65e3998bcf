"""The page for everybody: axe-core finds nothing in any state of it, nothing has to be scrolled sideways on the smallest
screen, and a whole call is made by keyboard alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.interop import require_npm
from tests.interop.test_page import FAKE_PERMISSION, REFUSALS, PageTestCase, refuse

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

DESKTOP, PHONE, SMALLEST = (1280, 800), (390, 844), (320, 568)

LOOKS = {"en": ("light", DESKTOP), "zh-CN": ("dark", PHONE)}
"""How it is looked at in each language."""

SETTLE = """async () => {
    for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
    const moving = document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime !== Infinity);
    const over = Promise.allSettled(moving.map((one) => one.finished));
    await Promise.race([over, new Promise((done) => setTimeout(done, 2000))]);
}"""
"""Wait until all is where it belongs after a change of the window."""

AXE = """async (tags) => {
    const { violations } = await axe.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) => nodes.map((node) =>
        `${id}: ${node.target.join(" ")}: ${node.failureSummary.replaceAll(/\\s+/g, " ")}`));
}"""

SIDEWAYS = """() => {
    const beyond = (one) => {
        const { left, right, width } = one.getBoundingClientRect();
        return width > 0 && (left < -1 || right > innerWidth + 1) && one.checkVisibility({ opacityProperty: true });
    };
    const found = [...document.querySelectorAll("body *")].filter((one) => beyond(one) && !beyond(one.parentElement));
    return found.map((one) => `sideways: ${one.tagName} #${one.id} .${one.className}`);
}"""

FOCUS = """() => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const { left, top, width, height } = one.getBoundingClientRect();
    const at = document.elementFromPoint(left + width / 2, top + height / 2);
    const marked = [one, one.closest(".field, label"), one.parentElement].some((element) => {
        const { outlineStyle, outlineWidth, boxShadow } = element ? getComputedStyle(element) : {};
        return element && ((outlineStyle !== "none" && parseFloat(outlineWidth) >= 1) || boxShadow !== "none");
    });
    const name = one.getAttribute("aria-label") ?? one.textContent;
    return { id: one.id, what: `${one.tagName} ${one.id} ${one.className} ${name}`,
        seen: !!at && (one.contains(at) || at.contains(one)), marked };
}"""
"""What has the focus; whether it can be seen that it has it, and nothing lies above it."""

STOPS = 60
"""So many presses of the tab key lead round the page."""


class AccessibleTestCase(PageTestCase):
    """Pages that axe-core may be put into."""

    def setUp(self) -> None:
        self.axe: Path = require_npm("axe-core") / "node_modules/axe-core/axe.min.js"
        super().setUp()
        self.found: dict[str, list[str]] = {}
        """What is wrong, and where it has been seen."""

    def open_in(self, browser: Browser, language: str, path: str) -> Page:
        """A page in a language."""
        return self.open(browser, path, locale=language, bypass_csp=True, reduced_motion="reduce")

    def both(self, browser: Browser, path: str) -> dict[str, Page]:
        """A page in each language, not yet looked at."""
        return {language: self.open_in(browser, language, path) for language in LOOKS}

    def look(self, what: str, pages: dict[str, Page]) -> None:
        """Note what axe finds in these pages, by language, in each of their looks."""
        for language, page in pages.items():
            scheme, best = LOOKS[language]
            for size in (best, SMALLEST):
                page.set_viewport_size({"width": size[0], "height": size[1]})
                page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                page.evaluate(SETTLE)
                found: list[str] = page.evaluate(SIDEWAYS) if size == SMALLEST else self.violations(page)
                for one in found:
                    self.found.setdefault(one, []).append(f"{what} {language} {scheme} {size[0]}")
            page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})

    def violations(self, page: Page) -> list[str]:
        """What axe says about a page as it is now."""
        if not page.evaluate("'axe' in globalThis"):
            page.add_script_tag(path=str(self.axe))
        found: list[str] = page.evaluate(AXE, TAGS)
        return found

    def assert_clean(self) -> None:
        """Nothing has been found anywhere."""
        self.assertEqual(len(self.found), 0, "\n" + "\n".join(f"{one}: {', '.join(at)}" for one, at in self.found.items()))
        self.assertEqual(self.complaints, [])


class AxeTests(AccessibleTestCase):
    """Every state, light and dark, large and small, in both languages."""

    def test_before_and_after_a_call(self) -> None:
        """Landing, green room, farewell, errors."""
        browser = self.browser(FAKE_PERMISSION)
        pages = self.both(browser, "/r/axe-around")
        for page in pages.values():
            self.state(page, "green")
            page.wait_for_selector("#green-audio-button:enabled")
        self.look("green", pages)
        for page in pages.values():
            page.click("#enter-button")
            self.state(page, "waiting", "connected", "joining")
            page.click("#hangup-button")
            self.state(page, "left")
        self.look("left", pages)
        for page in pages.values():
            page.goto(self.origin)
            self.state(page, "landing")
            page.wait_for_selector("#recent-rooms a")
        self.look("landing", pages)
        self.assert_clean()

    def test_errors(self) -> None:
        """A name that cannot be one, a busy server, a browser without calls, a page without encryption."""
        pages = self.both(self.browser(FAKE_PERMISSION), "/r/%E6%88%BF")
        for page in pages.values():
            self.state(page, "error")
        self.look("no name", pages)
        for what, script in (("insecure", "Object.defineProperty(globalThis, 'isSecureContext', { value: false })"),
                             ("webrtc", "delete globalThis.RTCPeerConnection")):
            for page in pages.values():
                page.add_init_script(script)
                page.goto(f"{self.origin}/r/axe-{what}")
                self.state(page, "error")
                page.wait_for_selector(f":root[data-error={what}]")
            self.look(what, pages)
        self.complaints = [one for one in self.complaints if "404" not in one]
        self.assert_clean()

    def test_refusals(self) -> None:
        """Each reason has its own words; a password is asked for in the green room."""
        pages = self.both(self.browser(FAKE_PERMISSION), "/r/axe-refused")
        for reason in REFUSALS:
            for page in pages.values():
                refuse(page, reason)
                page.goto(f"{self.origin}/r/axe-{reason}")
                self.state(page, "green")
                page.click("#enter-button")
                if reason == "password":
                    page.wait_for_selector("#room-password:visible")
                else:
                    self.state(page, "refused")
            self.look(f"refused, {reason}", pages)
        self.assert_clean()

    def test_in_a_call(self) -> None:
        """Alone, with one and with two others; and each of the panels, menus and boxes there."""
        browser = self.browser(FAKE_PERMISSION)
        pages: dict[str, Page] = {}
        for language in LOOKS:
            pages[language] = page = self.open_in(browser, language, "/r/axe-call")
            self.state(page, "green")
            page.fill("#own-name", "Åsa & 李雷")
            page.click("#enter-button")
            self.state(page, "connected" if pages.keys() - {language} else "waiting")
            if len(pages) == 1:
                page.wait_for_selector("#qr:visible")
                self.look("waiting", pages)
        self.look("two", pages)
        third = self.join(self.browser(FAKE_PERMISSION), "/r/axe-call")
        self.state(third, "connected")
        for page in pages.values():
            page.wait_for_function("""() =>
                document.querySelectorAll("#tiles .tile[data-kind=camera]:not(.own)").length === 2""")
            page.wait_for_function("() => [...rtcdCall.call.members.values()].every((one) => one.state)")
        self.look("three", pages)
        third.click("#camera-button")
        third.click("#mute-button")
        third.evaluate("rtcdCall.call.say('Good morning. https://example.org/')")
        for opened in self.opened(pages):
            self.look(opened, pages)
        self.crash(third)
        for page in pages.values():
            page.wait_for_function("() => [...rtcdCall.call.members.values()].some((one) => !one.here)")
        self.look("one is away", pages)
        self.assert_clean()

    def opened(self, pages: dict[str, Page]) -> Iterator[str]:
        """Open one thing after the other."""
        for what, key in (("chat", "t"), ("people", "p"), ("info", "i"), ("help", "?")):
            for page in pages.values():
                page.keyboard.press("Escape")
                page.evaluate("document.activeElement?.blur()")
                page.keyboard.press(key)
                page.wait_for_selector(f"#{what}:visible")
            yield what
        for page in pages.values():
            page.keyboard.press("Escape")
            page.click("#more-button")
            page.wait_for_selector("[role=menu]:visible")
        yield "more"
        for page in pages.values():
            page.keyboard.press("Escape")
            page.hover("#tiles .tile:not(.own)")
            page.click("#tiles .tile:not(.own) .tile-menu")
            page.wait_for_selector("[role=menu]:visible")
        yield "tile"
        for page in pages.values():
            page.keyboard.press("Escape")


class KeyboardTests(AccessibleTestCase):
    """Nothing but keys."""

    def tab_to(self, page: Page, selector: str) -> None:
        """Press the tab key until something has the focus; at every stop on the way it can be seen where that is."""
        for _ in range(STOPS):
            now: dict[str, Any] | None = page.evaluate(FOCUS)
            if now is not None and page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
            page.keyboard.press("Tab")
            now = page.evaluate(FOCUS)
            if now is not None and not (now["seen"] and now["marked"]):
                self.found.setdefault(json.dumps(now, ensure_ascii=False), []).append(f"on the way to {selector}")
        self.fail(f"no tab leads to {selector}; last {now}")

    def focused(self, page: Page, selector: str) -> None:
        """Wait until something has the focus."""
        page.wait_for_function("(selector) => document.activeElement?.matches(selector)", arg=selector)

    def test_a_whole_call_by_keyboard_alone(self) -> None:
        """From the landing page into a call, all its panels, out of it, and in again."""
        browser = self.browser(FAKE_PERMISSION)
        page = self.open_in(browser, "en", "/")
        self.state(page, "landing")
        self.tab_to(page, "#room-name")
        page.keyboard.press("Control+a")
        page.keyboard.type("keyboard-room")
        self.tab_to(page, "#join-button")
        page.keyboard.press("Enter")
        self.state(page, "green")
        self.tab_to(page, "#own-name")
        page.keyboard.type("Ann")
        page.wait_for_selector("#green-audio-button:enabled")
        self.tab_to(page, "#enter-button")
        page.keyboard.press("Enter")
        self.state(page, "waiting")
        self.tab_to(page, "#copy-button")
        other = self.join(browser, "/r/keyboard-room")
        for one in (page, other):
            self.state(one, "connected")
        page.wait_for_function("() => [...rtcdCall.call.members.values()].every((one) => one.state)")
        for button, key in (("#mute-button", "Space"), ("#camera-button", "Enter")):
            for pressed in ("true", "false"):
                self.tab_to(page, button)
                page.keyboard.press(key)
                page.wait_for_selector(f"{button}[aria-pressed={pressed}]")
        for key, button in (("m", "#mute-button"), ("c", "#camera-button")):
            for pressed in ("true", "false"):
                page.keyboard.press(key)
                page.wait_for_selector(f"{button}[aria-pressed={pressed}]")
        self.tab_to(page, "#chat-button")
        page.keyboard.press("Enter")
        self.focused(page, "#chat-text")
        page.keyboard.type("mute c, quit?")
        page.keyboard.press("Enter")
        for one in (page, other):
            one.wait_for_function("() => document.getElementById('chat-log').textContent.includes('mute c, quit?')")
        self.state(page, "connected")
        page.keyboard.press("Escape")
        page.wait_for_selector("#chat", state="hidden")
        self.focused(page, "#chat-button")
        self.tab_to(page, "#people-button")
        page.keyboard.press("Enter")
        page.wait_for_selector("#people:visible")
        self.tab_to(page, "#lock-switch")
        for locked in (True, False):
            page.keyboard.press("Space")
            page.wait_for_function("(locked) => rtcdCall.call.room.locked === locked", arg=locked)
        self.tab_to(page, "#people-list button")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=menu]:visible")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Escape")
        self.focused(page, "#people-list button")
        page.keyboard.press("Escape")
        page.wait_for_selector("#people", state="hidden")
        self.tab_to(page, "#more-button")
        page.keyboard.press("Space")
        self.focused(page, "[role^=menuitem]")
        page.keyboard.press("End")
        page.keyboard.press("Escape")
        self.focused(page, "#more-button")
        page.keyboard.press("?")
        page.wait_for_selector("#help:visible")
        page.keyboard.press("Escape")
        page.wait_for_selector("#help", state="hidden")
        self.tab_to(page, "#hangup-button")
        page.keyboard.press("Enter")
        self.state(page, "left")
        self.tab_to(page, "#rejoin-button")
        page.keyboard.press("Enter")
        self.state(page, "connected")
        self.rising(page)
        page.keyboard.press("q")
        self.state(page, "left")
        self.assert_clean()
