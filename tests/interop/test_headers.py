"""The headers of every kind of answer, as curl and a bare socket see them."""

from __future__ import annotations

import socket
import subprocess

from tests.daemon.process import DEADLINE_S, DaemonTestCase, Running, trusting
from tests.interop import require_program

INI = """
[doorway]
https = tcp:0:interface=127.0.0.1
http = tcp:0:interface=127.0.0.1
%s
[web]
[signaling]
[ice]
[turn]
listen = 127.0.0.1
port = 0
tls = no
external-ip =
"""

PERMISSIONS = (
    "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), screen-wake-lock=(self), "
    "fullscreen=(self), picture-in-picture=(self), geolocation=(), payment=(), usb=()")
FRIEND = "https://cloud.example.org"

UPGRADE = ("-H", "Upgrade: websocket", "-H", "Connection: Upgrade", "-H", "Sec-WebSocket-Version: 13",
           "-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")

ANSWERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "/": ("200", ()),
    "/?": ("200", ("-I",)),
    "/r/some-room": ("200", ()),
    "/r/no%20room": ("404", ()),
    "/static/app.js": ("200", ()),
    "/static/nothing.js": ("404", ()),
    "/static/0123456789abcdef/app.js": ("404", ()),
    "/params.html": ("200", ()),
    "/manifest.webmanifest?lang=en": ("200", ()),
    "/sw.js": ("200", ()),
    "/offline.html": ("200", ()),
    "/qr.svg?room=some-room": ("200", ()),
    "/join/some-room": ("200", ("-X", "POST")),
    "/join/": ("404", ("-X", "POST")),
    "/join/other-room": ("405", ()),
    "/leave/some-room/somebody": ("200", ("-X", "POST")),
    "/params": ("200", ()),
    "/a/": ("200", ("-X", "POST")),
    "/v1alpha/iceconfig": ("200", ("-X", "POST")),
    "/v1alpha/iceconfig?": ("405", ()),
    "/turn": ("200", ()),
    "/sig/some-room/somebody": ("200", ("-X", "OPTIONS")),
    "/status": ("200", ()),
    "/nothing": ("404", ()),
    "/nothing?": ("404", ("-X", "DELETE")),
    "/install": ("200", ()),
    "/install?": ("405", ("-X", "DELETE")),
    "/ca.crt": ("200", ()),
    "/ca.mobileconfig": ("200", ()),
    "/ws": ("400", ()),
    "/ws?no-origin": ("403", UPGRADE),
    "/ws?no-key": ("400", (*UPGRADE[:6], "-H", "Origin: https://localhost")),
    "/ws?old": ("400", (*UPGRADE[:5], "Sec-WebSocket-Version: 1", *UPGRADE[6:], "-H", "Origin: https://localhost")),
    "/?long": ("431", ("-H", f"X: {'x' * 20000}")),
    "/?many": ("400", tuple(one for place in range(110) for one in ("-H", f"X-{place}: 1"))),
}
"""Status and curl's arguments by path."""


class HeaderTests(DaemonTestCase):
    """A daemon with a certificate that nobody trusts yet."""

    def start(self, more: str = "") -> None:
        """Run one."""
        self.daemon: Running = self.run_daemon(INI % more).started()
        self.port = self.daemon.port()

    def curl(self, url: str, *arguments: str) -> list[str]:
        """The lines before the body of the answer."""
        done = subprocess.run(
            [require_program("curl"), "-sSk", "--max-time", "20", "--noproxy", "*", "-o", "/dev/null", "-D", "-", *arguments,
             url], capture_output=True, text=True, check=False, timeout=DEADLINE_S)
        lines = done.stdout.split("\n\n")[0].splitlines()
        self.assertTrue(lines, f"{url}: {done.stderr}")
        return lines

    def raw(self, data: bytes) -> list[str]:
        """The same for bytes that curl would not send, inside TLS."""
        plain = socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)
        context = trusting()
        context.set_alpn_protocols(["http/1.1"])
        with context.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(data)
            answer = b""
            while b"\r\n\r\n" not in answer:
                more = client.recv(65536)
                if not more:
                    break
                answer += more
        return answer.decode("latin-1").partition("\r\n\r\n")[0].splitlines()

    def check(self, what: str, lines: list[str], code: str, framed_by: str = "") -> None:
        """An answer with this status has all headers that answers have, and none that it must not have."""
        self.assertEqual(lines[0].split()[1], code, what)
        found: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.assertNotIn(name.lower(), found, what)
            found[name.lower()] = value.strip()
        self.assertEqual(found.get("server"), "rtcd", what)
        self.assertEqual(found.get("permissions-policy"), PERMISSIONS, what)
        self.assertEqual(found.get("x-content-type-options"), "nosniff", what)
        self.assertIn(found.get("referrer-policy"), ("no-referrer", "same-origin"), what)
        policy = [one.strip() for one in found.get("content-security-policy", "").split(";")]
        self.assertTrue(policy[0].startswith("default-src '"), what)
        framed = framed_by and what != "/install"  # which is for phones, by its own address
        self.assertIn(f"frame-ancestors 'self' {framed_by}" if framed else "frame-ancestors 'none'", policy, what)
        self.assertEqual(found.get("x-frame-options"), None if framed_by else "DENY", what)
        self.assertNotIn("unsafe", found["content-security-policy"], what)
        self.assertNotIn("strict-transport-security", found, what)
        self.assertNotIn("set-cookie", found, what)

    def everything(self, framed_by: str = "") -> None:
        """Each kind of answer."""
        for path, (code, arguments) in ANSWERS.items():
            lines = self.curl(f"https://127.0.0.1:{self.port}{path}", *arguments)
            self.check(path, lines, code, framed_by)
        body = self.daemon.folder / "body"
        body.write_bytes(b"x" * 300_000)
        for more in ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect:")):
            self.check("body", self.curl(
                f"https://127.0.0.1:{self.port}/a/", "--data-binary", f"@{body}", *more), "413", framed_by)
        for data in (b"\x16\x03garbage\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n: x\r\n\r\n",
                     b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n"):
            self.check(repr(data), self.raw(data), "400", framed_by)
        for port in (self.port, self.daemon.port("tcp")):
            self.check("redirect", self.curl(f"http://127.0.0.1:{port}/r/some-room"), "301", framed_by)
            self.check("redirect", self.curl(f"http://127.0.0.1:{port}/join/some-room", "-X", "POST"), "308", framed_by)

    def test_every_answer_has_the_headers_that_guard_it(self) -> None:
        """Nobody may show it in a frame. An authority of our own is none that everybody trusts, so no browser is told to
        insist on HTTPS. There are no cookies, so none can go astray below a path."""
        self.start()
        self.everything()

    def test_named_sites_may_show_it_in_a_frame(self) -> None:
        """The header for old browsers, which knows no names, is gone then."""
        self.start(f"frame-ancestors = {FRIEND}")
        self.everything(FRIEND)
