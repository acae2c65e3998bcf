"""Tests of the page that explains how a device comes to trust the local CA."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import re
from collections.abc import Sequence
from html.parser import HTMLParser

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from rtcd.site import install
from rtcd.site.install import Install, accepted_language, permitted_names, qr_code, visitor_systems
from rtcd.site.install_texts import LANGUAGES, ORDER
from rtcd.site.tree import Tree
from tests.fakes import FakeAnswer, make_request

BASE = "https://192.0.2.1:8443"

AGENTS = {
    "android": "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 Chrome/141.0.0.0 Mobile Safari/537.36",
    "ios": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Safari/604.1",
    "windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36 Edg/141.0",
    "macos": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15",
    "linux": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36",
}
"""What browsers say that they are."""

LINUX_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"

HOME = ("DNS:localhost", "DNS:box.lan", "192.0.2.0/24", "2001:db8::5/128")


def general(text: str) -> x509.GeneralName:
    """``DNS:name`` or a network."""
    kind, _, name = text.partition(":")
    return x509.DNSName(name) if kind == "DNS" else x509.IPAddress(ipaddress.ip_network(text))


def make_ca(
    permitted: Sequence[str] = HOME, excluded: Sequence[str] = (), *, name: str = "rtcd local CA of box"
) -> x509.Certificate:
    """A CA that may sign only for these names and networks, or for all if there are none."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(7).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )  # fmt: skip
    if permitted or excluded:
        limits = [[general(one) for one in names] or None for names in (permitted, excluded)]
        builder = builder.add_extension(x509.NameConstraints(*limits), critical=True)
    return builder.sign(key, hashes.SHA256())


class Reader(HTMLParser):
    """Reads a page: elements that are not closed in order, and what a test asks for."""

    VOID = frozenset({"meta", "link", "path", "rect", "circle"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.systems: dict[str, bool] = {}
        self.active: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        given = dict(attrs)
        self.links += [given["href"] or ""] if tag == "a" else []
        self.active += [tag] if tag in ("script", "iframe", "img", "form", "object") else []
        self.active += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "details":
            self.systems[given["id"] or ""] = "open" in given
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of SVG."""

    def handle_endtag(self, tag: str) -> None:
        """An element ends: the last that has begun."""
        if tag not in self.VOID and self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes another element")

    def handle_data(self, data: str) -> None:
        """Text."""
        if self.open and self.open[-1] != "style":
            self.text += data


class InstallTests(SynchronousTestCase):
    """One page for everybody who has just seen a warning."""

    def setUp(self) -> None:
        """A CA, as it is by default."""
        self.ca: x509.Certificate | None = make_ca()
        self.base = BASE
        self.trusted, self.may_draw = True, True

    def get(self, path: str = "/install", method: str = "GET", **headers: str) -> FakeAnswer:
        """Ask for the page, in a tree such as the doorway's."""
        pem = self.ca.public_bytes(Encoding.PEM) if self.ca else None
        root = Tree()
        root.add("/install", Install(
            lambda request: pem, lambda request: self.trusted, lambda request: self.base, lambda request: self.may_draw))
        return make_request(root, method, path, headers={name.replace("_", "-"): one for name, one in headers.items()})

    def read(self, path: str = "/install", **headers: str) -> Reader:
        """Ask for the page and read it; it has to be well-formed."""
        answer = self.get(path, **headers)
        self.assertEqual(answer.code, 200)
        html = answer.body.decode()
        self.assertNotRegex(html, r"\{\{|\}\}|<!--")
        found = Reader(html)
        self.assertEqual((found.open, found.active), ([], []))
        return found

    def test_the_page_comes_with_the_headers_of_a_page_for_one_visitor(self) -> None:
        """It depends on language and system, and is not kept."""
        answer = self.get()
        self.assertEqual(answer.code, 200)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"), ("Content-Language", "en"), ("Cache-Control", "no-store"),
            ("Vary", "Accept-Language, User-Agent"), ("X-Content-Type-Options", "nosniff"),
        ):  # fmt: skip
            self.assertEqual(answer.header(name), value)

    def test_the_policy_allows_the_one_style_and_nothing_else(self) -> None:
        """The hash is that of what stands in the page, in both kinds of page."""
        for self.ca in (make_ca(), None):
            answer = self.get()
            (style,) = re.findall(rb"<style>(.*?)</style>", answer.body, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
            self.assertEqual(
                answer.header("Content-Security-Policy"),
                f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self' data:; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")

    def test_head_has_the_headers_of_get_and_no_body(self) -> None:
        """The length too."""
        head, get = self.get(method="HEAD"), self.get()
        self.assertEqual((head.code, head.body), (200, b""))
        self.assertEqual(head.header("Content-Length"), get.header("Content-Length"))
        self.assertEqual(get.header("Content-Length"), str(len(get.body)))

    def test_other_methods_are_refused(self) -> None:
        """405, with those that are allowed."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            answer = self.get(method=method)
            self.assertEqual((answer.code, answer.header("Allow")), (405, "GET, HEAD"))

    def test_a_slash_at_the_end_is_sent_on_and_below_is_nothing(self) -> None:
        """``ca.crt`` is the page's sibling, which it would not be any more."""
        answer = self.get("/install/")
        self.assertEqual((answer.code, answer.header("Location")), (308, "../install"))
        self.assertEqual(self.get("/install/x").code, 404)

    def test_the_language_is_chosen_by_the_address_before_the_browser(self) -> None:
        """And each has a link to the other; what is no language is the browser's choice."""
        for path, header, tag, other in (
            ("/install", "", "en", "?lang=zh"), ("/install", "zh-CN,zh;q=0.9,en;q=0.8", "zh-CN", "?lang=en"),
            ("/install?lang=en", "zh-CN", "en", "?lang=zh"), ("/install?lang=zh", "en", "zh-CN", "?lang=en"),
            ("/install?lang=xx", "zh", "zh-CN", "?lang=en"), ("/install?lang=%ff%3Cb", "", "en", "?lang=zh"),
            ("/install?lang=en&lang=zh", "", "zh-CN", "?lang=en"),
        ):  # fmt: skip
            answer = self.get(path, Accept_Language=header)
            self.assertEqual(answer.header("Content-Language"), tag)
            self.assertIn(f'<html lang="{tag}">', answer.body.decode())
            self.assertIn(other, Reader(answer.body.decode()).links)

    def test_accept_language_is_read_with_its_weights(self) -> None:
        """RFC 9110 §12.5.4: what weighs nothing is not wanted, and what cannot be read says nothing."""
        for header, wanted in (
            (None, "en"), (b"", "en"), (b"de", "en"), (b"de, zh-TW;q=0.5", "zh"), (b"zh;q=0.4, en-GB;q=0.7", "en"),
            (b"ZH-hans-cn", "zh"), (b"zh;q=0", "en"), (b"en;q=0, zh;q=0.001", "zh"), (b"zh, en", "zh"), (b"en, zh", "en"),
            (b"zh;q=9", "en"), (b"*", "en"), (b"\xff\xfe;q=x,,;", "en"), (b"de," * 50 + b"zh", "en"),
        ):  # fmt: skip
            self.assertEqual(accepted_language(header), wanted, header)

    def test_the_facts_are_those_of_the_certificate(self) -> None:
        """Name, fingerprint as openssl writes it, the end of its time, and whom it may sign for."""
        assert self.ca is not None
        found = self.read()
        digest = hashlib.sha256(self.ca.public_bytes(Encoding.DER)).hexdigest().upper()
        self.assertIn(":".join(digest[at : at + 2] for at in range(0, 64, 2)), found.text)
        for fact in ("rtcd local CA of box", "2035-12-31", "localhost", "box.lan", "192.0.2.0/24", "2001:db8::5"):
            self.assertIn(fact, found.text)
        self.assertNotIn("2001:db8::5/128", found.text)
        self.assertIn("It can vouch for this server’s own names and for no other site.", found.text)

    def test_a_long_list_of_names_is_cut_and_counted(self) -> None:
        """A certificate may have a hundred."""
        self.ca = make_ca([*(f"DNS:h{number}.lan" for number in range(20)), "192.0.2.1/32"])
        found = self.read()
        self.assertIn("h7.lan", found.text)
        self.assertNotIn("h8.lan", found.text)
        self.assertIn("and 13 more", found.text)
        self.ca = make_ca([*(f"DNS:h{number}.lan" for number in range(7)), "192.0.2.1/32"])
        self.assertNotRegex(self.read().text, "and -?[0-9]+ more")

    def test_a_certificate_without_limits_is_not_called_limited(self) -> None:
        """One that was made before there were any: the page says what is so."""
        for permitted, excluded in (((), ()), (("DNS:box.lan",), ()), (("192.0.2.1/32",), ()), ((), ("DNS:box.lan",))):
            self.ca = make_ca(permitted, excluded)
            self.assertIsNone(permitted_names(self.ca))
            found = self.read()
            self.assertNotIn("own names", found.text)
            self.assertIn("Install it only if you trust whoever runs this server.", found.text)

    def test_a_kind_of_name_may_be_excluded_as_a_whole(self) -> None:
        """That limits it as well."""
        self.assertEqual(permitted_names(make_ca(["DNS:box.lan"], ["0.0.0.0/0", "::/0"])), ("box.lan",))
        self.assertEqual(permitted_names(make_ca(["192.0.2.1/32"], ["DNS:"])), ("192.0.2.1",))
        self.assertIsNone(permitted_names(make_ca(["DNS:box.lan"], ["0.0.0.0/0"])))

    def test_every_system_is_explained_and_ends_with_coming_back(self) -> None:
        """In both languages the same ones, with commands for the file by its name, and where it is removed."""
        for code, language in LANGUAGES.items():
            self.assertEqual(set(language.systems), set(ORDER))
            self.assertEqual(set(language.texts), set(LANGUAGES["en"].texts))
            found = self.read(f"/install?lang={code}")
            self.assertEqual(tuple(found.systems), ORDER)
            self.assertEqual(found.links.count(BASE + "/"), len(ORDER))
            self.assertEqual(found.text.count(language.texts["removal_at"]), len(ORDER))
            for command in (
                "certutil -user -addstore Root rtcd-ca.crt",
                "security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db rtcd-ca.crt",
                "sudo cp rtcd-ca.crt /usr/local/share/ca-certificates/\nsudo update-ca-certificates",
                "certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n rtcd -i rtcd-ca.crt",
                "openssl x509 -in rtcd-ca.crt -noout -fingerprint -sha256",
            ):
                self.assertIn(command, found.text)

    def test_the_visitors_own_system_is_first_and_open(self) -> None:
        """And no other; a phone is not asked to scan what it shows itself."""
        for name, agent in AGENTS.items():
            found = self.read(User_Agent=agent)
            self.assertEqual([one for one, opened in found.systems.items() if opened], [name])
            self.assertEqual(next(iter(found.systems)), name)
            self.assertEqual(set(found.systems), set(ORDER))
            self.assertEqual("scan this" in found.text, name not in ("android", "ios"))

    def test_systems_are_told_apart_by_what_browsers_say(self) -> None:
        """Firefox on Linux has a list of its own; who says nothing known sees all closed."""
        for agent, wanted in (
            (LINUX_FIREFOX, ("firefox", "linux")), ("Mozilla/5.0 (Android 15; Mobile) Firefox/144.0", ("android",)),
            ("Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) CriOS/141", ("ios",)), ("curl/8.5", ()), ("", ()),
            ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) Chrome/141", ()), ("x" * 600 + "Android", ()),
        ):  # fmt: skip
            self.assertEqual(visitor_systems(agent), wanted)
        self.assertEqual(list(self.read(User_Agent=LINUX_FIREFOX).systems)[:2], ["firefox", "linux"])

    def test_the_download_is_the_pages_sibling(self) -> None:
        """Relative, for a proxy may serve all below a path."""
        self.assertIn("ca.crt", self.read().links)

    def test_the_qr_code_leads_here(self) -> None:
        """With the path that the visitor sees; a link too long for a camera is left out."""
        self.base = "https://meet.example:8443/calls"
        self.assertIn(qr_code("https://meet.example:8443/calls/install"), self.get().body.decode())
        self.base = "https://meet.example/" + "x" * install.MAX_QR_CHARS
        self.assertNotIn("scan this", self.read().text)

    def test_whatever_is_put_in_is_escaped(self) -> None:
        """Names come from a host's configuration, the base from a request."""
        nasty = "<script>&\"'{{base}}<!--any-->"
        for self.ca in (make_ca(name=nasty), make_ca([f"DNS:{nasty}", "192.0.2.1/32"]), None):
            self.base = f"https://a/{nasty}"
            body = self.get().body.decode()
            self.assertNotIn("<script>", body)
            self.assertNotIn("<!--", body)
            self.assertEqual(Reader(body).active, [])
            self.assertIn(nasty + "/", Reader(body).text)

    def test_without_a_local_authority_nothing_has_to_be_installed(self) -> None:
        """It is said in both languages, and there is nothing to download."""
        self.ca = None
        for path in ("/install?lang=en", "/install?lang=zh"):
            found = self.read(path)
            self.assertIn("Nothing has to be installed on this device.", found.text)
            self.assertIn("本设备上不需要安装任何东西。", found.text)
            self.assertEqual((found.systems, "ca.crt" in found.links), ({}, False))
            self.assertIn(BASE + "/", found.links)
