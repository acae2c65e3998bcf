"""Our examples for proxies in front, run with the real programs: what goes through them, and whom the daemon then sees.

The page behind nginx in a browser is in test_proxies_page.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from rtcd.web.pages import qr_code
from tests.daemon.process import Running, WebSocket
from tests.interop.proxies import PREFIX, ProxyTestCase, free_port, plain_port, require_nginx_stream
from tests.interop.turns import Turns

SERVICES = """
[web]
join-rate = 0.1
[signaling]
[ice]
[turn]
listen = 127.0.0.1
port = 0
tls = no
external-ip =
"""
"""A client may join once, and again after ten seconds."""

HTTP = """
[doorway]
https =
http =
plain = %s
""" + SERVICES

TCP = """
[doorway]
https = tcp:0:interface=127.0.0.1
http = tcp:0:interface=127.0.0.1
proxy-from = 127.0.0.1
public-url = https://127.0.0.1:%d
""" + SERVICES


class Suites:
    """What has to be so behind every proxy."""

    class Behind(ProxyTestCase):
        """A proxy of either kind."""

        prefix = ""

        def start(self) -> None:
            """Start daemon and proxy."""
            raise NotImplementedError

        def setUp(self) -> None:
            """All that clients know is this port."""
            super().setUp()
            self.port = free_port()
            self.base = f"https://127.0.0.1:{self.port}{self.prefix}"
            self.start()

        def join(self, client: str, *more: str) -> tuple[str, Any]:
            """Join a room from this address: status and answer."""
            body, _, code = self.curl("-X", "POST", "--interface", client, "-w", "\n%{http_code}", *more,
                                      f"{self.base}/join/x").rpartition("\n")
            return code, json.loads(body)

        def test_page_and_files_come_through_with_the_urls_that_work(self) -> None:
            """In links, pictures and the content security policy: all have the port and the prefix that the browser sees."""
            page = self.curl("-D", "-", f"{self.base}/")
            self.assertRegex(page, f'src="{self.prefix}/static/[0-9a-f]{{16}}/app.js"')
            self.assertIn(f"wss://127.0.0.1:{self.port};", page)
            self.assertIn("export", self.curl(f"{self.base}/static/call.js"))
            picture = self.curl("--interface", "127.0.0.9", f"{self.base}/qr.svg?room=abcde")
            self.assertEqual(picture, qr_code(f"{self.base}/r/abcde").decode())
            params = self.join("127.0.0.1")[1]["params"]
            self.assertEqual(params["room_link"], f"{self.base}/r/x")
            self.assertEqual(params["wss_url"], f"wss{self.base.removeprefix('https')}/ws")
            self.assertEqual(params["wss_post_url"], f"{self.base}/sig")
            found = urlsplit(params["ice_server_url"])
            self.assertEqual(f"{found.scheme}://{found.netloc}{found.path}", f"{self.base}/v1alpha/iceconfig")

        def test_limits_count_the_client_and_not_the_proxy(self) -> None:
            """And not whom a client says to be."""
            forged = [one for name in ("X-Forwarded-For: 192.0.2.9", "Forwarded: for=192.0.2.9", "X-Real-IP: 192.0.2.9",
                                       "X-Forwarded-Host: evil.example", "X-Forwarded-Prefix: /evil")
                      for one in ("-H", name)]
            code, answer = self.join("127.0.0.2", *forged)
            self.assertEqual((code, answer["params"]["room_link"]), ("200", f"{self.base}/r/x"))
            for more in ([], forged):
                self.assertEqual(self.join("127.0.0.2", *more)[0], "429")
            self.assertEqual(self.join("127.0.0.3")[0], "200")

        def test_a_websocket_comes_through(self) -> None:
            """In both directions."""
            socket = WebSocket(self.port, f"{self.prefix}/ws")
            self.addCleanup(socket.close)
            self.assertEqual(socket.status, 101)
            socket.send(cmd="nothing")
            self.assertIn("error", socket.receive())

        def test_bodies_have_the_daemons_limit(self) -> None:
            """What it takes comes through, what it does not take is 413 and no other fault."""
            for size, code in ((250_000, "200"), (270_000, "413"), (1_000_000, "413")):
                body = self.folder / "body"
                body.write_bytes(b"x" * size)
                found = self.curl("--http1.1", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", f"@{body}",
                                  f"{self.base}/a/")
                self.assertEqual(found, code, size)

    class Http(Behind):
        """A proxy that speaks HTTP to a daemon without TLS."""

        endpoint = "tcp:0:interface=127.0.0.1"

        def start(self) -> None:
            """Nothing tells the daemon where it is but the proxy."""
            daemon = self.run_daemon(HTTP % self.endpoint).started()
            self.front(f"127.0.0.1:{plain_port(daemon)}")

        def front(self, backend: str) -> None:
            """Start the proxy."""
            raise NotImplementedError

    class Tcp(Behind):
        """A proxy that passes TLS through."""

        def start(self) -> None:
            """The daemon has the certificate."""
            self.daemon: Running = self.run_daemon(TCP % self.port).started()
            self.plain = free_port()
            self.front(self.daemon.port(), plain_port(self.daemon))

        def front(self, https: int, http: int) -> None:
            """Start the proxy."""
            raise NotImplementedError

        def test_turn_inside_tls_comes_through_on_the_same_port(self) -> None:
            """It is named to clients, and sees their addresses."""
            asked = self.curl("-X", "POST", f"{self.base}/v1alpha/iceconfig")
            turn = next(one for one in json.loads(asked)["iceServers"] if "username" in one)
            self.assertIn(f"turns:127.0.0.1:{self.port}?transport=tcp", turn["urls"])
            client = Turns(self.port, turn["username"], turn["credential"], source="127.0.0.5")
            self.addCleanup(client.close)
            answer = client.allocate()
            self.assertEqual(answer["XOR-MAPPED-ADDRESS"][0], "127.0.0.5")
            self.assertEqual(answer["XOR-RELAYED-ADDRESS"][0], "127.0.0.1")
            self.assertEqual(client.refresh()["LIFETIME"], 600)

        def test_who_comes_without_tls_is_sent_to_the_public_url(self) -> None:
            """By the other port of the proxy."""
            found = self.curl("-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", f"http://127.0.0.1:{self.plain}/r/x")
            self.assertEqual(found, f"301 {self.base}/r/x")

        def test_the_certificate_is_the_daemons(self) -> None:
            """And is trusted as such."""
            authority = self.daemon.folder / "state" / "ca.crt"
            done = self.curl("--no-insecure", "--cacert", str(authority), "-o", "/dev/null", "-w", "%{http_code}", self.base)
            self.assertEqual(done, "200")


class Nginx(Suites.Http):
    """nginx.conf; the page itself is in test_proxies_page."""

    def front(self, backend: str) -> None:
        """By TCP."""
        self.nginx(self.port, backend)


class NginxBySocket(Suites.Http):
    """The same, which reaches the daemon by a unix socket."""

    def start(self) -> None:
        """The socket is in a folder of the test's."""
        self.run_daemon(HTTP % f"unix:{self.folder}/http.sock").started()
        self.nginx(self.port, f"unix:{self.folder}/http.sock")


class Haproxy(Suites.Http):
    """haproxy.cfg"""

    def front(self, backend: str) -> None:
        """As it is."""
        self.haproxy(self.port, backend)


class HaproxyAtPath(Suites.Http):
    """The same below a path."""

    prefix = PREFIX

    def front(self, backend: str) -> None:
        """As its comments say."""
        self.haproxy(self.port, backend, prefix=True)


class Caddy(Suites.Http):
    """Caddyfile"""

    def front(self, backend: str) -> None:
        """As it is."""
        self.caddy(self.port, backend)


class CaddyAtPath(Suites.Http):
    """The same below a path."""

    prefix = PREFIX

    def front(self, backend: str) -> None:
        """As its comments say."""
        self.caddy(self.port, backend, prefix=True)


class HaproxyTcp(Suites.Tcp):
    """haproxy-tcp.cfg, which sends PROXY headers of version 2."""

    def front(self, https: int, http: int) -> None:
        """As it is."""
        self.haproxy_tcp(self.port, self.plain, https, http)


class NginxStream(Suites.Tcp):
    """nginx-stream.conf, which sends PROXY headers of version 1."""

    def setUp(self) -> None:
        """It needs a module that is a package of its own."""
        require_nginx_stream()
        super().setUp()

    def front(self, https: int, http: int) -> None:
        """As it is."""
        self.nginx_stream(self.port, self.plain, https, http)
