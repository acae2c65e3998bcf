"""Pictures of every state of the page, to be looked at: ``python -m tests.screenshots FOLDER [PART...]``.

Not a test. A daemon of its own is started, and people with drawn faces meet in it. Each picture is called
``state-size-scheme-language.png``; the parts are the words of PARTS.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

from tests.daemon.process import Running
from tests.interop import require_program
from tests.interop.test_page import ARGUMENTS, FAKE_PERMISSION, INI, REFUSALS, SHELL, refuse

SIZES = {"desktop": (1280, 800), "phone": (390, 844), "lying": (844, 390)}
SCHEMES = ("light", "dark")
NAMES = {
    "en": ("Ada", "Grace", "Alan", "Katherine", "Linus", "Radia"),
    "zh-CN": ("李雷", "韩梅梅", "王芳", "张伟", "刘洋", "陈静"),
}
SAID = {
    "en": ("Good morning! Can you see my screen?", "Yes, and it is sharp: https://example.org/plan", "Then let us begin."),
    "zh-CN": ("早上好！能看到我的屏幕吗？", "能，很清楚：https://example.org/plan", "那我们开始吧。"),
}
FILE = {"en": "minutes.pdf", "zh-CN": "会议纪要.pdf"}

DEADLINE_MS = 180_000
"""Six people in six pages are much for a small machine."""

FACES = """(number) => {
    const paint = (context, width, height) => {
        const time = performance.now() / 1000, sway = Math.sin(time / 2 + number) * width / 60;
        const hue = [28, 205, 150, 330, 262, 95][number % 6], skin = [28, 22, 18, 30, 24, 15][number % 6];
        const wall = context.createLinearGradient(0, 0, width, height);
        wall.addColorStop(0, `hsl(${hue} 30% 78%)`);
        wall.addColorStop(1, `hsl(${hue + 30} 32% 52%)`);
        context.fillStyle = wall;
        context.fillRect(0, 0, width, height);
        context.fillStyle = `hsl(${hue + 10} 35% 88% / 55%)`;
        context.fillRect(width * 0.08, height * 0.1, width * 0.2, height * 0.42);
        const x = width / 2 + sway, y = height * 0.46, size = height * 0.2;
        const oval = (color, left, top, across, down) => {
            context.fillStyle = color;
            context.beginPath();
            context.ellipse(left, top, across, down, 0, 0, 7);
            context.fill();
        };
        const hair = `hsl(${skin} 35% ${12 + number * 6}%)`;
        oval(`hsl(${hue + 180} 32% 38%)`, x, height * 1.08, size * 2, size * 2.1);
        oval(`hsl(${skin} 45% 60%)`, x, y + size * 1.05, size * 0.36, size * 0.5);
        if (number % 2) oval(hair, x, y + size * 0.2, size * 1.02, size * 1.35);
        oval(hair, x, y - size * 0.25, size * 0.9, size);
        oval(`hsl(${skin} 48% 66%)`, x, y + size * 0.1, size * 0.74, size * 0.95);
        for (const side of [-1, 1]) oval("hsl(20 25% 20%)", x + side * size * 0.28, y, size * 0.06, size * 0.08);
        context.strokeStyle = "hsl(5 45% 38%)";
        context.lineWidth = size * 0.06;
        context.beginPath();
        context.arc(x, y + size * 0.34, size * 0.24, 0.4, 2.74);
        context.stroke();
    };
    const slide = (context, width, height) => {
        context.fillStyle = "#fbfaf7";
        context.fillRect(0, 0, width, height);
        context.fillStyle = "#17403c";
        context.font = `600 ${height / 14}px sans-serif`;
        context.fillText("2026", width * 0.08, height * 0.16);
        for (let bar = 0; bar < 8; bar += 1) {
            context.fillStyle = bar === 5 ? "#d9673f" : "#2f7d74";
            const tall = height * (0.16 + 0.5 * Math.abs(Math.sin(bar * 1.3)));
            context.fillRect(width * (0.08 + bar * 0.105), height * 0.9 - tall, width * 0.07, tall);
        }
    };
    const film = (draw, width, height) => {
        const canvas = Object.assign(document.createElement("canvas"), { width, height }), context = canvas.getContext("2d");
        draw(context, width, height);
        setInterval(() => draw(context, width, height), 400);
        return canvas.captureStream(3);
    };
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        const given = await ask(wanted);
        const [track] = given.getVideoTracks();
        if (!track) return given;
        const settings = track.getSettings();
        const [drawn] = film(paint, 640, 360).getVideoTracks();
        drawn.getSettings = () => settings;
        return new MediaStream([...given.getAudioTracks(), drawn]);
    };
    navigator.mediaDevices.getDisplayMedia = async () => film(slide, 1280, 720);
}"""
"""Faces for the cameras, and a slide for the screen: what Chromium has for tests says the time and beeps."""


class Studio:
    """A daemon, a browser, and a folder for pictures."""

    def __init__(self, daemon: Running, browser: Browser, folder: Path, language: str) -> None:
        self.origin = f"https://127.0.0.1:{daemon.port()}"
        self.browser = browser
        self.folder = folder
        self.language = language
        self.people: list[Page] = []

    def open(self, path: str, number: int = 0, **context: Any) -> Page:
        """A page of a person, who has a face."""
        page = self.browser.new_context(
            ignore_https_errors=True, locale=self.language, viewport={"width": 1280, "height": 800}, **context).new_page()
        page.set_default_timeout(DEADLINE_MS)
        page.add_init_script(f"({FACES})({number})")
        page.goto(self.origin + path)
        return page

    def state(self, page: Page, *names: str) -> None:
        """Wait until a page is in one of these states."""
        page.wait_for_function("names => names.includes(document.documentElement.dataset.state)", arg=list(names))

    def enter(self, room: str) -> Page:
        """The next person comes into a room."""
        number = len(self.people)
        page = self.open(f"/r/{room}", number)
        self.state(page, "green")
        page.fill("#own-name", NAMES[self.language][number])
        page.wait_for_selector("#green-audio-button:enabled")
        page.click("#enter-button")
        self.state(page, "connected" if self.people else "waiting")
        self.people.append(page)
        return page

    def take(self, what: str, page: Page) -> None:
        """Pictures of a page as it is now."""
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                page.mouse.move(width / 2 + 1, 20)  # the controls of a call hide from who does nothing
                page.mouse.move(width / 2, 20)
                page.wait_for_timeout(400)
                page.screenshot(path=self.folder / f"{what}-{size}-{scheme}-{self.language}.png")
        page.set_viewport_size({"width": 1280, "height": 800})
        print(what, self.language, flush=True)  # noqa: T201 # a program of its own

    def key(self, page: Page, key: str) -> None:
        """Press a key in a call, from no field."""
        page.keyboard.press("Escape")
        page.evaluate("document.activeElement?.blur()")
        page.keyboard.press(key)


def around(studio: Studio) -> None:
    """Before and after a call."""
    page = studio.open("/r/brave-lake")
    studio.state(page, "green")
    page.wait_for_selector("#green-audio-button:enabled")
    page.fill("#own-name", NAMES[studio.language][0])
    page.wait_for_timeout(1000)
    studio.take("green", page)
    page.click("#enter-button")
    studio.state(page, "waiting")
    page.wait_for_selector("#qr:visible")
    studio.take("waiting", page)
    page.click("#hangup-button")
    studio.state(page, "left")
    studio.take("left", page)
    page.goto(studio.origin)
    studio.state(page, "landing")
    page.wait_for_selector("#recent-rooms a")
    studio.take("landing", page)
    page.goto(f"{studio.origin}/r/%E6%88%BF")
    studio.state(page, "error")
    studio.take("error", page)


def refused(studio: Studio) -> None:
    """The reasons for which one may not come in."""
    for reason in REFUSALS:
        page = studio.open("/r/brave-lake")
        refuse(page, reason)
        studio.state(page, "green")
        page.click("#enter-button")
        if reason == "password":
            page.wait_for_selector("#room-password:visible")
        else:
            studio.state(page, "refused")
        studio.take(f"refused-{reason}", page)
        page.close()


def call(studio: Studio) -> None:
    """A call of two, three and six, and all that can be opened in it."""
    me = studio.enter("quiet-forest")
    for count in range(2, 7):
        studio.enter("quiet-forest")
        if count in (2, 3, 6):
            seen(me, count - 1)
            me.wait_for_timeout(1500)
            studio.take(f"call{count}", me)
        if count == 3:
            for what in opened(studio, me):
                studio.take(what, me)


def seen(page: Page, others: int) -> None:
    """Wait until there are pictures of all others."""
    page.wait_for_function("""(others) => {
        const videos = [...document.querySelectorAll("#tiles .tile[data-kind=camera]:not(.own) video")];
        return videos.filter((one) => one.getVideoPlaybackQuality().totalVideoFrames > 3).length >= others;
    }""", arg=others)


def opened(studio: Studio, me: Page) -> Iterator[str]:
    """Open one thing after the other."""
    _, other, third = studio.people
    words = SAID[studio.language]
    for page, text in zip((other, me, third), words, strict=True):
        studio.key(page, "t")
        page.fill("#chat-text", text)
        page.press("#chat-text", "Enter")
    file: FilePayload = {"name": FILE[studio.language], "mimeType": "application/pdf", "buffer": b"%PDF" * 9000}
    other.set_input_files("#chat-file", file)
    me.wait_for_selector("#chat-log button")
    yield "chat"
    studio.key(me, "p")
    me.wait_for_selector("#people:visible")
    yield "people"
    studio.key(me, "i")
    me.wait_for_selector("#info dd >> nth=8")
    yield "info"
    studio.key(me, "?")
    me.wait_for_selector("#help:visible")
    yield "help"
    me.keyboard.press("Escape")
    me.click("#more-button")
    me.wait_for_selector("[role=menu]:visible")
    yield "more"
    me.keyboard.press("Escape")
    for button in ("#mute-button", "#camera-button"):
        third.click(button)
    me.wait_for_timeout(1000)
    yield "muted"
    for button in ("#mute-button", "#camera-button"):
        third.click(button)
    other.keyboard.press("Escape")
    studio.key(other, "s")
    me.wait_for_selector("#tiles .tile[data-kind=screen]")
    me.wait_for_timeout(1500)
    yield "screen"
    studio.take("own-screen", other)
    studio.key(other, "s")
    me.wait_for_selector("#tiles .tile[data-kind=screen]", state="detached")


PARTS = {"around": around, "refused": refused, "call": call}


def main(folder: str, *parts: str) -> None:
    """Take them all."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        daemon = Running(Path(home) / "daemon", INI).started()
        try:
            for language in NAMES:
                for part in parts or PARTS:
                    browser = playwright.chromium.launch(
                        executable_path=require_program(SHELL), chromium_sandbox=False,
                        args=[*ARGUMENTS, FAKE_PERMISSION])
                    PARTS[part](Studio(daemon, browser, target, language))
                    browser.close()
        finally:
            daemon.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
