"""What a browser gets before it has run a script: texts, state, links; and what it installs."""

from __future__ import annotations

import gzip
import json
import re
import struct
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from rtcd.doorway.settings import DoorwaySettings
from rtcd.web.files import STATIC
from rtcd.web.settings import Settings
from rtcd.web.texts import modules
from tests.fakes_calls import Server

ENGLISH, CHINESE = (json.loads((STATIC / f"texts-{one}.json").read_text(encoding="utf-8")) for one in ("en", "zh-CN"))


class FirstPaintTests(SynchronousTestCase):
    """The page as it arrives."""

    def setUp(self) -> None:
        self.server = Server(self)

    def page(self, path: str, **headers: str) -> str:
        """Its HTML."""
        answer = self.server.request("GET", path, headers={key.replace("_", "-"): value for key, value in headers.items()})
        self.assertEqual(answer.header("vary"), "Accept-Encoding, Accept-Language, Cookie")
        return answer.body.decode()

    def root(self, path: str, **headers: str) -> dict[str, str]:
        """The attributes of its root element."""
        tag, = re.findall(r"<html\b[^>]*>", self.page(path, **headers))
        return dict(re.findall(r'([\w-]+)="([^"]*)"', tag))

    def test_it_is_in_the_language_of_the_cookie_else_of_the_browser(self) -> None:
        """Texts, names and the catalogue that is loaded next."""
        for headers, language, texts in (
            ({}, "en", ENGLISH), ({"Accept_Language": "zh-TW,en;q=0.5"}, "zh-CN", CHINESE),
            ({"Accept_Language": "zh", "Cookie": "x=1; language=en"}, "en", ENGLISH),
            ({"Cookie": "language=zh-CN"}, "zh-CN", CHINESE), ({"Cookie": "language=%3Cscript%3E"}, "en", ENGLISH),
        ):
            page = self.page("/", **headers)
            self.assertIn(f'<html lang="{language}" data-state="landing">', page, headers)
            self.assertIn(f">{texts['landing.title']}<", page, headers)
            self.assertRegex(page, rf'<link rel="preload" href="/static/[0-9a-f]+/texts-{language}.json" as="fetch"')

    def test_every_text_stands_in_it(self) -> None:
        """All that need no value; and those that do are not shown as they are."""
        for language, texts in (("en", ENGLISH), ("zh-CN", CHINESE)):
            page = self.page("/r/room1", Cookie=f"language={language}")
            tags = re.findall(r"<[a-z][^>]*\bdata-(?:text|label|placeholder)=[^>]*>[^<]*", page)
            self.assertGreater(len(tags), 20)
            for tag in tags:
                given = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
                for key, shown in (("data-text", tag.rpartition(">")[2]), ("data-label", given.get("aria-label", "")),
                                   ("data-placeholder", given.get("placeholder", ""))):
                    text = texts.get(given.get(key, ""), "")
                    self.assertTrue(not given.get(key) or text, f"{given.get(key)} is in no catalogue")
                    if text and "{" not in text:
                        self.assertTrue(shown, tag)
            self.assertNotIn("{{", page)

    def test_it_begins_in_its_state(self) -> None:
        """By which the stylesheet knows what to show."""
        self.assertEqual(self.root("/")["data-state"], "landing")
        self.assertEqual(self.root("/r/room1")["data-state"], "green")
        for path, error in (("/nothing", "address"), ("/r/a%20b", "name")):
            root = self.root(path)
            self.assertEqual((root["data-state"], root["data-error"]), ("error", error))
            self.assertIn(f">{ENGLISH[f'error.{error}.title']}<", self.page(path))
        self.server.json("POST", "/join/room2?debug=loopback")
        self.assertEqual(self.root("/r/room2")["data-state"], "refused")
        self.server = Server(self, web=Settings(join_rate=0, bypass_join_confirmation=True))
        self.assertEqual(self.root("/r/room1")["data-state"], "joining")

    def test_every_state_has_a_panel(self) -> None:
        """Which the stylesheet shows; or the first paint would be empty."""
        html, style = ((STATIC / one).read_text(encoding="utf-8") for one in ("index.html", "app.css"))
        for panel in ("landing", "green", "refused", "error"):
            tag, = re.findall(rf'<section\b[^>]*\bdata-panel="{panel}"[^>]*>', html)
            self.assertNotRegex(tag, r"\shidden\b")
            self.assertRegex(style, rf'\[data-state="{panel}"\] #{panel}\b')

    def test_all_modules_are_announced_and_no_other(self) -> None:
        """Those that the entry needs before it runs, so that the browser fetches them in one go."""
        scripts = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
        page = self.page("/")
        announced = re.findall(r'<link rel="modulepreload" href="/static/[0-9a-f]{16}/([^"]+)">', page)
        self.assertEqual(announced, modules(scripts, "app.js"))
        reached, new = set[str](), {"app.js"}
        while new:  # by another expression than that of the server
            reached |= new
            lines = "\n".join(scripts[name] for name in new)
            new = set(re.findall(r"""^(?:import|export|\})[^;]*?["']\./([\w.-]+)["'];""", lines, re.MULTILINE)) - reached
        self.assertEqual(set(announced), reached - {"app.js"})

    def test_it_asks_for_one_stylesheet_and_one_script(self) -> None:
        """By addresses that may be kept."""
        page = self.page("/")
        self.assertEqual(len(re.findall(r'<link rel="stylesheet"', page)), 1)
        self.assertEqual(len(re.findall(r"<script(?![^>]*application/json)", page)), 1)
        for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
            self.assertIn("immutable", self.server.request("GET", path).header("cache-control") or "", path)

    def test_title_and_name_are_those_of_the_room_and_the_operator(self) -> None:
        """As text, whatever they are."""
        self.server = Server(self, web=Settings(join_rate=0, name="<Ann & Bob>"))
        self.assertIn("<title>&lt;Ann &amp; Bob&gt;</title>", self.page("/"))
        page = self.page("/r/room1")
        self.assertIn("<title>room1 \u00b7 &lt;Ann &amp; Bob&gt;</title>", page)
        self.assertIn('name="apple-mobile-web-app-title" content="&lt;Ann &amp; Bob&gt;"', page)

    def test_it_is_compressed_for_who_takes_it(self) -> None:
        """Also where the rooms have to be asked first, and for HEAD."""
        for path in ("/", "/r/room1", "/nothing"):
            plain = self.server.request("GET", path).body
            packed = self.server.request("GET", path, headers={"Accept-Encoding": "gzip, br"})
            self.assertEqual((packed.header("content-encoding"), gzip.decompress(packed.body)), ("gzip", plain), path)
            self.assertEqual(packed.header("content-length"), str(len(packed.body)), path)
            head = self.server.request("HEAD", path, headers={"Accept-Encoding": "gzip"})
            self.assertEqual((head.body, head.header("content-length")), (b"", str(len(packed.body))), path)

    def test_it_is_never_kept(self) -> None:
        """So that who loads it again gets the version of today."""
        for path in ("/", "/r/room1", "/nothing"):
            self.assertEqual(self.server.request("GET", path).header("cache-control"), "no-store", path)

    def test_its_policy_allows_what_it_uses_and_nothing_inline(self) -> None:
        """Manifest, worker, pictures made by itself."""
        policy = dict(one.strip().partition(" ")[::2] for one in (
            self.server.request("GET", "/r/room1").header("content-security-policy") or "").split(";"))
        for key, value in (("style-src", "'self'"), ("script-src", "'self'"), ("worker-src", "'self'"),
                           ("manifest-src", "'self'"), ("img-src", "'self' data: blob:"), ("object-src", "'none'"),
                           ("base-uri", "'none'")):
            self.assertEqual(policy[key], value, key)
        allowed = self.server.request("GET", "/").header("permissions-policy") or ""
        for one in ("camera", "microphone", "display-capture", "speaker-selection", "picture-in-picture", "fullscreen",
                    "screen-wake-lock"):
            self.assertIn(f"{one}=(self)", allowed)


class InstalledTests(SynchronousTestCase):
    """Manifest, service worker and offline page."""

    def setUp(self) -> None:
        self.server = Server(self, web=Settings(join_rate=0, name="Ann's calls"))

    def manifest(self, path: str, **more: Any) -> Any:
        """Its content."""
        answer = self.server.request("GET", path, **more)
        self.assertEqual((answer.code, answer.header("content-type")), (200, "application/manifest+json; charset=utf-8"))
        return json.loads(answer.body)

    def test_the_manifest_is_in_the_language_of_its_address(self) -> None:
        """Browsers send no cookie for it. The page names it so."""
        for language, texts in (("en", ENGLISH), ("zh-CN", CHINESE)):
            page = self.server.request("GET", "/", headers={"Cookie": f"language={language}"}).body.decode()
            path, = re.findall(r'<link rel="manifest" href="([^"]+)"', page)
            found = self.manifest(path)
            self.assertEqual((found["lang"], found["name"], found["display"]), (language, "Ann's calls", "standalone"))
            self.assertEqual(found["description"], texts["landing.title"])
            self.assertEqual([one["name"] for one in found["shortcuts"]], [texts["left.new"]])
        self.assertEqual(self.manifest("/manifest.webmanifest?lang=x", headers={"Accept-Language": "zh"})["lang"], "zh-CN")

    def test_icons_are_what_the_manifest_says(self) -> None:
        """Size, type, and one whose edge may be cut away."""
        icons = self.manifest("/manifest.webmanifest")["icons"]
        self.assertEqual({one["sizes"] for one in icons}, {"192x192", "512x512", "any"})
        self.assertEqual([one["sizes"] for one in icons if one.get("purpose") == "maskable"], ["512x512"])
        page = self.server.request("GET", "/").body.decode()
        touch, = re.findall(r'rel="apple-touch-icon" href="([^"]+)"', page)
        for icon in [*icons, {"src": touch, "sizes": "180x180", "type": "image/png"}]:
            answer = self.server.request("GET", icon["src"])
            self.assertEqual((answer.code, answer.header("content-type")), (200, icon["type"]))
            if icon["type"] == "image/png":
                self.assertEqual("{}x{}".format(*struct.unpack_from("!II", answer.body, 16)), icon["sizes"])

    def test_the_worker_is_asked_for_each_time_and_names_this_version(self) -> None:
        """So that a new version is another worker. What it keeps is there, and no page of the site is among it."""
        answer = self.server.request("GET", "/sw.js")
        self.assertEqual((answer.code, answer.header("content-type")), (200, "text/javascript; charset=utf-8"))
        self.assertEqual(answer.header("cache-control"), "no-cache")
        self.assertIn("connect-src 'self'", answer.header("content-security-policy") or "")
        text = answer.body.decode()
        self.assertNotIn("{{", text)
        static, = re.findall(r'const STATIC = "(/static/[0-9a-f]{16})"', text)
        self.assertIn(f'src="{static}/app.js"', self.server.request("GET", "/").body.decode())
        kept = json.loads(re.findall(r"const KEPT = \[OFFLINE, \.\.\.(\[.*?\])", text)[0])
        self.assertTrue(kept)
        for path in ("/offline.html", *(f"{static}/{one}" for one in kept)):
            self.assertEqual(self.server.request("GET", path).code, 200, path)

    def test_the_offline_page_needs_nothing_else(self) -> None:
        """Both languages, a link to try again, and only files that the worker keeps."""
        page = self.server.request("GET", "/offline.html").body.decode()
        self.assertNotIn("{{", page)
        self.assertNotIn("<script", page)
        self.assertIn('lang="zh-CN"', page)
        self.assertIn('href=""', page)
        worker = self.server.request("GET", "/sw.js").body.decode()
        for path in re.findall(r'(?:src|href)="([^"]+)"', page):
            self.assertIn(f'"{path.rpartition("/")[2]}"', worker)

    def test_a_path_prefix_bounds_it(self) -> None:
        """Two sites of one origin do not get in each other's way."""
        self.server = Server(self, doorway=DoorwaySettings(public_url="https://calls.example/calls/"))
        ask: Any = {"client": IPv4Address("TCP", "127.0.0.1", 1), "secure": False}
        found = self.manifest("/calls/manifest.webmanifest", **ask)
        self.assertEqual({found[key] for key in ("id", "scope", "start_url")}, {"/calls/"})
        self.assertEqual(found["shortcuts"][0]["url"], "/calls/#new")
        self.assertTrue(found["icons"][0]["src"].startswith("/calls/static/"))
        self.assertIn(b'const BASE = "/calls";', self.server.request("GET", "/calls/sw.js", **ask).body)
        page = self.server.request("GET", "/calls/", **ask).body
        self.assertIn(b'href="/calls/manifest.webmanifest?lang=en"', page)
