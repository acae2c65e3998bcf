"""Rooms of up to six in real Chromium: everybody sees everybody, in every order of coming and going."""

from __future__ import annotations

import time

from playwright.sync_api import Browser, Page, ViewportSize

from tests.interop.test_page import DEADLINE_S, FAKE_PERMISSION, PageTestCase

SMALL = "video=mandatory:maxWidth=160,mandatory:maxHeight=120,mandatory:maxFrameRate=5"
VIEWPORT = ViewportSize(width=480, height=360)
SILENT = "&audio=false"
"""Thirty streams in six tabs, and drawing them without a graphics card, are much for a small machine; thirty of sound, which
each tab codes a hundred times a second, are too much. So few people have a microphone here."""

TILES = """() => Object.fromEntries([...document.querySelectorAll('#tiles .tile[data-kind=camera]:not(.own)')].map(
    (tile) => [tile.dataset.member, tile.querySelector('video').getVideoPlaybackQuality().totalVideoFrames]))"""
"""What each tile has shown: frames by member."""


class RoomTests(PageTestCase):
    """Several people in one room."""

    def enter(self, browser: Browser, room: str, name: str = "", more: str = SILENT) -> Page:
        """Come into a room, under a name if one is given, with more arguments in the link."""
        page = self.open(browser, f"/r/{room}?{SMALL}{more}", viewport=VIEWPORT)
        self.state(page, "green")
        if name:
            page.fill("#own-name", name)
        page.click("#enter-button")
        return page

    def seen(self, pages: list[Page]) -> None:
        """Every page has a tile for each of the others, and none more, and frames are decoded on all of them."""
        for page in pages:
            self.state(page, "connected" if len(pages) > 1 else "waiting")
        for page in pages:
            self._rising(page, len(pages) - 1)
        ids = {page.evaluate("rtcdCall.call.me") for page in pages}
        self.assertEqual(len(ids), len(pages))
        for page in pages:
            me = page.evaluate("rtcdCall.call.me")
            self.assertEqual(set(page.evaluate(TILES)), ids - {me})

    def _rising(self, page: Page, others: int) -> None:
        deadline = time.monotonic() + 2 * DEADLINE_S
        first: dict[str, int] = {}
        while True:
            now: dict[str, int] = page.evaluate(TILES)
            if len(now) == others and all(frames > first.setdefault(id, frames) for id, frames in now.items()):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{others} tiles expected: {first} {now} {self.complaints}\n{self.condition()}")
            page.wait_for_timeout(200)

    def host(self, pages: list[Page]) -> Page:
        """Who is host; all agree."""
        hosts = {page.evaluate("rtcdCall.call.room.host") for page in pages}
        self.assertEqual(len(hosts), 1, hosts)
        found = [page for page in pages if page.evaluate("rtcdCall.call.me") in hosts]
        self.assertEqual(len(found), 1)
        return found[0]

    def test_two_three_and_six_people_see_each_other(self) -> None:
        """One after the other comes; the seventh is told why not."""
        browser = self.browser(FAKE_PERMISSION)
        pages = []
        for count in range(1, 7):
            pages.append(self.enter(browser, "six-room", f"Person {count}", SILENT if count > 2 else ""))
            if count in (1, 2, 3, 6):
                self.seen(pages)
        seventh = self.open(browser, "/r/six-room", viewport=VIEWPORT)
        self.state(seventh, "refused")
        self.assertEqual(seventh.evaluate("document.documentElement.dataset.refused"), "full")
        for leaver in pages[:4]:
            leaver.click("#hangup-button")
            self.state(leaver, "left")
        self.seen(pages[4:])
        self.assertEqual(self.complaints, [])

    def test_three_leave_and_come_back_in_every_order(self) -> None:
        """Whoever goes, by hanging up or by closing the tab: the rest sees each other, and who comes back is seen last."""
        browser = self.browser(FAKE_PERMISSION)
        pages = [self.enter(browser, "order-room") for _ in range(3)]
        self.seen(pages)
        for order, (leaver, closes) in enumerate([(0, False), (1, False), (2, False), (0, True)]):
            with self.subTest(order=order):
                gone = pages[leaver]
                rest = [page for page in pages if page is not gone]
                if closes:
                    gone.close(run_before_unload=False)
                    self.seen(rest)
                    pages[leaver] = self.enter(browser, "order-room")
                else:
                    gone.click("#hangup-button")
                    self.state(gone, "left")
                    self.seen(rest)
                    gone.click("#rejoin-button")
                self.seen(pages)
        self.assertEqual(self.complaints, [])

    def test_all_go_but_one_who_waits_and_is_found_again(self) -> None:
        """Down to one and up again."""
        browser = self.browser(FAKE_PERMISSION)
        first, second = (self.enter(browser, "alone-room") for _ in range(2))
        self.seen([first, second])
        first.click("#hangup-button")
        self.seen([second])
        third = self.enter(browser, "alone-room")
        self.seen([second, third])
        self.assertEqual(self.host([second, third]), second)

    def test_two_join_at_the_same_moment(self) -> None:
        """Into an empty room, and into one where somebody is."""
        browser = self.browser(FAKE_PERMISSION)
        pages = [self.open(browser, f"/r/moment-room?{SMALL}", viewport=VIEWPORT) for _ in range(4)]
        for page in pages:
            self.state(page, "green")
        for two in (pages[:2], pages[2:]):
            for page in two:
                page.evaluate("setTimeout(() => document.getElementById('enter-button').click(), 0)")
            self.seen(pages[: pages.index(two[1]) + 1])
        self.assertEqual(self.complaints, [])

    def test_a_reload_takes_the_place_again(self) -> None:
        """In a locked room too: the tab was in it."""
        browser = self.browser(FAKE_PERMISSION)
        pages = [self.enter(browser, "reload-room") for _ in range(3)]
        self.seen(pages)
        self.host(pages).evaluate("rtcdCall.call.lock(true)")
        pages[1].wait_for_function("() => rtcdCall.call.room.locked")
        pages[1].reload()
        self.state(pages[1], "green")
        pages[1].click("#enter-button")
        self.seen(pages)
        stranger = self.open(browser, "/r/reload-room")
        self.state(stranger, "green", "refused")
        if stranger.evaluate("document.documentElement.dataset.state") == "green":
            stranger.click("#enter-button")
        self.state(stranger, "refused")
        self.assertEqual(stranger.evaluate("document.documentElement.dataset.refused"), "locked")

    def test_the_host_hands_over_and_the_next_is_host_when_it_goes(self) -> None:
        """Hand over by hand; on leaving, to the one who is longest in the room. Only the host kicks."""
        browser = self.browser(FAKE_PERMISSION)
        first, second, third = pages = [self.enter(browser, "host-room", more="") for _ in range(3)]
        self.seen(pages)
        self.assertEqual(self.host(pages), first)
        first.evaluate("(id) => rtcdCall.call.makeHost(id)", third.evaluate("rtcdCall.call.me"))
        for page in pages:
            page.wait_for_function("(id) => rtcdCall.call.room.host === id", arg=third.evaluate("rtcdCall.call.me"))
        third.click("#hangup-button")
        self.seen([first, second])
        self.assertEqual(self.host([first, second]), first)
        second.evaluate("(id) => rtcdCall.call.kick(id)", first.evaluate("rtcdCall.call.me"))
        first.evaluate("(id) => rtcdCall.call.askMute(id, 'audio')", second.evaluate("rtcdCall.call.me"))
        second.wait_for_selector("#mute-button[aria-pressed=true]")
        self.seen([first, second])
        first.evaluate("(id) => rtcdCall.call.kick(id)", second.evaluate("rtcdCall.call.me"))
        self.state(second, "refused")
        self.assertEqual(second.evaluate("document.documentElement.dataset.refused"), "kicked")
        self.seen([first])

    def test_a_password_lets_in_who_knows_it(self) -> None:
        """Who does not is asked for it before the door."""
        browser = self.browser(FAKE_PERMISSION)
        first = self.enter(browser, "secret-room")
        self.state(first, "waiting")
        first.evaluate("rtcdCall.call.password('open sesame')")
        first.wait_for_function("() => rtcdCall.call.room.password")
        second = self.enter(browser, "secret-room")
        second.wait_for_selector("#room-password:visible")
        for word in ("wrong", "open sesame"):
            second.fill("#room-password", word)
            second.click("#enter-button")
            if word == "wrong":
                second.wait_for_selector("#password-reason[data-text='green.password.wrong']")
        self.seen([first, second])

    def test_words_and_files_go_from_one_to_all(self) -> None:
        """By the data channels, byte for byte, and only to who takes it."""
        browser = self.browser(FAKE_PERMISSION)
        pages = [self.enter(browser, "words-room", name) for name in ("Ann", "Bea", "Cem")]
        self.seen(pages)
        for page in pages:
            page.wait_for_function("() => [...rtcdCall.call.members.values()].every((one) => one.state)")
        pages[0].keyboard.press("t")
        pages[0].fill("#chat-text", "Good morning <b>https://example.org/</b>")
        pages[0].press("#chat-text", "Enter")
        for page in pages[1:]:
            page.wait_for_selector("#chat-count[data-count='1']")
            page.keyboard.press("t")
            page.wait_for_selector("#chat-log >> text=Good morning <b>")
            self.assertEqual(page.locator("#chat-log a").get_attribute("href"), "https://example.org/")
        body = bytes(range(256)) * 4000
        pages[0].set_input_files("#chat-file", {"name": "all bytes.bin", "mimeType": "application/x", "buffer": body})
        pages[1].click("#chat-log [data-text='file.take']")
        with pages[1].expect_download() as download:
            pages[1].click("#chat-log .file a[download]")
        with open(download.value.path(), "rb") as file:
            self.assertEqual(file.read(), body)
        self.assertEqual(pages[2].locator("#chat-log .file a[download]").count(), 0)

    def test_a_screen_is_a_tile_of_its_own(self) -> None:
        """It comes beside the face, and goes again."""
        browser = self.browser(FAKE_PERMISSION)
        pages = [self.enter(browser, "screen-room") for _ in range(3)]
        self.seen(pages)
        pages[0].evaluate("""() => { navigator.mediaDevices.getDisplayMedia = async () => {
            const canvas = Object.assign(document.createElement('canvas'), {width: 640, height: 360});
            const paint = canvas.getContext('2d');
            setInterval(() => {
                paint.fillStyle = `hsl(${Date.now() / 20 % 360} 80% 50%)`;
                paint.fillRect(0, 0, 640, 360);
            }, 100);
            return canvas.captureStream(10);
        }; }""")
        pages[0].keyboard.press("s")
        me = pages[0].evaluate("rtcdCall.call.me")
        tile = f"#tiles .tile[data-member='{me}'][data-kind=screen]"
        for page in pages[1:]:
            page.wait_for_selector(tile)
            page.wait_for_function(
                "(tile) => document.querySelector(tile + ' video').getVideoPlaybackQuality().totalVideoFrames > 5", arg=tile)
            fit = page.evaluate("(tile) => getComputedStyle(document.querySelector(tile + ' video')).objectFit", tile)
            self.assertEqual(fit, "contain", "nothing of it is cut off")
        self.seen(pages)
        pages[0].keyboard.press("s")
        for page in pages[1:]:
            page.wait_for_selector(tile, state="detached")
        self.seen(pages)
