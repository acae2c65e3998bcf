"""The static files of the page: what they may hold, how they are kept by browsers, and how they are compressed."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rtcd.web.files import JOINED, STATIC, TEMPLATES, TYPES, File, compress, pack, read, sources, whole
from rtcd.web.texts import modules
from tests.fakes_calls import Server

MAX_ICON_BYTES = 12_000

FOREIGN = (
    r"""(?:src|href|action|poster|srcset)\s*=\s*["']?\s*(?:https?:)?//""", r"""url\(\s*["']?(?:https?:)?//""", "@import",
    r"""\b(?:import|from|fetch|Worker|register)\b\s*\(?\s*["'`](?:https?:)?//""", r"\bsourceMappingURL",
    r"<script(?![^>]*\bsrc=)", "<style", r"""\sstyle=["']""", r"""\son[a-z]+=["']""",
)
"""What reaches for another origin, or what the content security policy would refuse."""


class FileTests(SynchronousTestCase):
    """The folder."""

    def test_every_file_has_a_type_and_icons_are_small(self) -> None:
        """What has none would not be served."""
        for path in STATIC.iterdir():
            self.assertIn(path.suffix, TYPES, path.name)
            if path.suffix == ".png":
                self.assertLess(path.stat().st_size, MAX_ICON_BYTES, path.name)

    def test_nothing_comes_from_elsewhere(self) -> None:
        """And nothing is inline."""
        for path in STATIC.iterdir():
            if path.suffix == ".png":
                continue
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            for pattern in FOREIGN:
                self.assertNotRegex(text, pattern, path.name)

    def test_catalogues_have_the_same_keys_and_values(self) -> None:
        """A text that is missing in one language would be shown as its key."""
        english, chinese = (json.loads((STATIC / f"texts-{one}.json").read_bytes()) for one in ("en", "zh-CN"))
        self.assertEqual(set(english), set(chinese))
        for key, text in english.items():
            here, there = (set(re.findall(r"\{\w+\}", one)) for one in (text, chinese[key]))
            self.assertEqual(here, there, key)

    def test_modules_import_only_what_is_there(self) -> None:
        """With names that differ in nothing but case, some machines would find them and others not."""
        scripts = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
        for name, text in scripts.items():
            for path in re.findall(r"""(?:\bfrom\s*|\bimport\s*\(?\s*)["'](\.[^"']+)["']""", text):
                self.assertIn(path.removeprefix("./"), scripts, name)

    def test_the_graph_is_that_of_the_imports(self) -> None:
        """Whatever lies in the folder is loaded at the start, or by a call of import(), or is the worker."""
        scripts = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
        calls = r"""(?:await|=>|return|[=(])\s*import\(\s*["']\./([^"']+)["']\s*\)"""
        late = {name for text in scripts.values() for name in re.findall(calls, text)}
        start = {"app.js", *modules(scripts, "app.js")}
        for name in late:
            start |= {name, *modules(scripts, name)}
        self.assertEqual(start, set(scripts) - {"sw.js"})

    def test_what_the_wheel_brought_is_used_if_it_is_of_the_same_file(self) -> None:
        """Else gzip is made at the start."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "app.js").write_text("let x = 1;\n" * 50)
        (folder / "app.css").write_text("a { color: red }\n" * 50)
        (folder / "stage.css").write_text("b { color: red }\n" * 50)
        (folder / "icon.png").write_bytes(b"\x89PNG" * 50)
        (folder / "short.txt").write_text("x")
        (folder / "unknown.exe").write_text("x")
        plain = read(folder)
        self.assertEqual(set(plain), {"app.js", "app.css", "stage.css", "page.css", "icon.png", "short.txt"})
        self.assertEqual(plain["page.css"].body, plain["app.css"].body + b"\n" + plain["stage.css"].body)
        self.assertEqual([list(plain[name].packed) for name in ("app.js", "icon.png", "short.txt")], [["gzip"], [], []])
        self.assertEqual(gzip.decompress(plain["app.js"].packed["gzip"]), plain["app.js"].body)
        written = pack(folder, folder, lambda body: b"brotli")
        self.assertEqual(len(written), 2 * 4)
        brought = read(folder)
        self.assertEqual(list(brought["page.css"].packed), ["br", "gzip"])
        self.assertEqual(brought["page.css"].packed["br"], b"brotli")
        self.assertEqual(whole(plain), whole(brought))
        (folder / "app.js").write_text("let x = 2;\n" * 50)
        changed = read(folder)
        self.assertEqual(list(changed["app.js"].packed), ["gzip"])
        self.assertEqual(list(changed["app.css"].packed), ["br", "gzip"])
        self.assertNotEqual(whole(changed), whole(plain))
        (folder / "app.css.gz").write_bytes(b"no gzip")
        self.assertEqual(list(read(folder)["app.css"].packed), ["gzip"])
        self.assertEqual(pack(folder, folder, None)[0].suffix, ".gz")

    def test_the_hash_is_that_of_names_and_contents(self) -> None:
        """Of all of them."""
        a, b = (File(one, "", one.decode()) for one in (b"a", b"b"))
        some = ({"x": a}, {"x": b}, {"y": a}, {"x": a, "y": a}, {"x": a, "y": b})
        self.assertEqual(len({whole(one) for one in some}), len(some))


class AssetTests(SynchronousTestCase):
    """The files by HTTP."""

    def setUp(self) -> None:
        self.server = Server(self)
        self.version = re.findall(rb'src="/static/([0-9a-f]{16})/app.js"', self.server.request("GET", "/").body)[0].decode()

    def test_every_file_is_served_with_its_type(self) -> None:
        """And no browser guesses another one."""
        for name, body in sources().items():
            answer = self.server.request("GET", f"/static/{self.version}/{name}")
            self.assertEqual((answer.code, answer.body), (200, body), name)
            self.assertEqual(answer.header("content-type"), TYPES[Path(name).suffix], name)
            self.assertEqual(answer.header("x-content-type-options"), "nosniff", name)
            self.assertEqual(answer.header("content-encoding"), None, name)
        self.assertTrue(set(JOINED) <= set(sources()))

    def test_files_by_their_hash_are_kept_for_ever(self) -> None:
        """Without it the browser asks each time."""
        lasting = self.server.request("GET", f"/static/{self.version}/app.js")
        self.assertEqual(lasting.header("cache-control"), "public, max-age=31536000, immutable")
        self.assertEqual(self.server.request("GET", "/static/app.js").header("cache-control"), "no-cache")

    def test_another_version_is_not_there(self) -> None:
        """Or a page from before an upgrade would mix two versions; nor are folders, or templates as they are."""
        other, own = "0123456789abcdef", self.version
        for path in (f"{other}/app.js", f"{other}/texts-en.json", f"{own}/x/app.js", f"{own}/", own, f"{own[:-1]}/app.js",
                     *TEMPLATES, *(f"{own}/{one}" for one in TEMPLATES)):
            answer = self.server.request("GET", f"/static/{path}")
            self.assertEqual((answer.code, answer.header("cache-control")), (404, "no-store"), path)

    def test_files_are_compressed_for_who_takes_it(self) -> None:
        """Each coding has a tag of its own, and a cache in between keeps them apart."""
        path = f"/static/{self.version}/app.js"
        plain = self.server.request("GET", path)
        packed = self.server.request("GET", path, headers={"Accept-Encoding": "deflate, gzip;q=0.9"})
        self.assertEqual(packed.header("content-encoding"), "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        self.assertLess(len(packed.body) * 2, len(plain.body))
        self.assertEqual(packed.header("content-length"), str(len(packed.body)))
        self.assertEqual({one.header("vary") for one in (plain, packed)}, {"Accept-Encoding"})
        tags = [one.header("etag") or "" for one in (plain, packed)]
        self.assertNotEqual(*tags)
        for coding, tag, code in (
            ("gzip", tags[1], 304), ("gzip", f"W/{tags[1]}", 304), ("gzip", tags[0], 200), ("", tags[0], 304),
        ):
            headers = {"Accept-Encoding": coding, "If-None-Match": tag}
            answer = self.server.request("GET", path, headers=headers)
            self.assertEqual(answer.code, code, (coding, tag))
            if code == 304:
                self.assertEqual((answer.body, answer.header("etag")), (b"", tag.removeprefix("W/")))
                self.assertEqual(answer.header("vary"), "Accept-Encoding")
                self.assertIn("immutable", answer.header("cache-control") or "")
        head = self.server.request("HEAD", path, headers={"Accept-Encoding": "gzip"})
        self.assertEqual((head.code, head.body, head.header("content-length")), (200, b"", str(len(packed.body))))
        self.assertEqual(head.header("etag"), tags[1])
        picture = self.server.request("GET", f"/static/{self.version}/icon-192.png", headers={"Accept-Encoding": "gzip"})
        self.assertEqual((picture.header("content-encoding"), picture.header("vary")), (None, None))

    def test_what_is_sent_is_the_same_each_time(self) -> None:
        """Or the hash would say nothing."""
        self.assertEqual(compress(b"x" * 1000), compress(b"x" * 1000))

    def test_html_files_may_use_our_styles_and_nothing_else(self) -> None:
        """They have no scripts."""
        for path in ("/params.html", "/help.html", "/static/params.html", "/offline.html"):
            policy = self.server.request("GET", path).header("content-security-policy") or ""
            self.assertTrue(policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'; frame-"), path)
