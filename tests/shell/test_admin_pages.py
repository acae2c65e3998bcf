"""The files of the page at /admin/, which anybody may have, and what a browser is told to do with them."""

from __future__ import annotations

import gzip
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import FakeAnswer
from tests.fakes_admin import AdminServer, problem


class PagesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = AdminServer(self).start()

    def test_the_page_has_nothing_from_elsewhere_and_is_in_no_frame(self) -> None:
        answer = self.server.api("GET", "/", token=None)
        self.assertEqual((answer.code, answer.header("content-type")), (200, "text/html; charset=utf-8"))
        policy = (answer.header("content-security-policy") or "").split("; ")
        self.assertTrue({"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy))
        self.assertEqual((answer.header("x-frame-options"), answer.header("cache-control")), ("DENY", "no-cache"))
        html = answer.body.decode()
        self.assertEqual(re.findall(r"<style|<script(?! type=\"module\" src=)| on\w+=| style=|https?:", html), [])

    def test_all_that_it_names_is_there_and_nothing_else(self) -> None:
        html = self.server.api("GET", "/", token=None).body.decode() + self.call().body.decode()
        named = {*re.findall(r"(?:src|href)=\"(?:\.\./)?(static/[^\"]+)\"", html)}
        for script in ("admin.js", "call.js", "facts.js", "texts.js"):
            body = self.server.api("GET", f"/static/{script}", token=None).body.decode()
            named |= {f"static/{one}" for one in re.findall(r"from \"\./([^\"]+)\"", body)}
        self.assertEqual(named, {f"static/{one}" for one in (
            "admin.css", "admin.js", "api.js", "call.js", "elements.js", "facts.js", "texts.js")})
        for name in named:
            self.assertEqual(self.server.api("GET", f"/{name}", token=None).code, 200, name)
        for path in ("/static", "/static/", "/static/index.html", "/static/call.html", "/static/none.js",
                     "/static/..%2Fopenapi.json", "/index.html"):
            self.assertEqual(problem(self.server.api("GET", path))[0], 404, path)

    def test_it_is_sent_compressed_to_those_who_take_it(self) -> None:
        plain = self.server.api("GET", "/static/admin.js", token=None)
        packed = self.server.api("GET", "/static/admin.js", token=None, headers={"Accept-Encoding": "br, gzip"})
        self.assertEqual((packed.header("content-encoding"), gzip.decompress(packed.body)), ("gzip", plain.body))
        self.assertEqual((plain.header("content-encoding"), plain.header("vary")), (None, "Accept, Accept-Encoding"))

    def call(self, accept: str = "text/html,*/*;q=0.8") -> FakeAnswer:
        """What is at the address of a call."""
        return self.server.api("GET", "/calls/17-4", token=None, headers={"Accept": accept})

    def test_a_browser_gets_a_page_for_a_call_and_others_the_record(self) -> None:
        """The page is nobody's secret; what it shows it has to ask for."""
        answer = self.call()
        self.assertEqual((answer.code, answer.header("content-type")), (200, "text/html; charset=utf-8"))
        self.assertIn("frame-ancestors 'none'", answer.header("content-security-policy") or "")
        for accept in ("application/json", "*/*"):
            answer = self.call(accept)
            self.assertEqual((problem(answer)[0], answer.header("vary")), (401, "Accept"), accept)

    def test_without_a_slash_one_is_sent_on_below_any_prefix(self) -> None:
        answer = self.server.api("GET", "", token=None)
        self.assertEqual((answer.code, answer.header("location")), (308, "admin/"))

    def test_it_is_for_https_alone_and_not_on_the_socket(self) -> None:
        self.assertEqual(problem(self.server.request("GET", "/admin/", secure=False))[0], 403)
        self.assertEqual(problem(self.server.unix("GET", "/"))[0], 404)
