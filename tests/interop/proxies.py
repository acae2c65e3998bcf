"""Proxies in front of a daemon, run on the configurations in docs/examples/proxies. Tests change no more of them than ports,
names and paths, so they prove what is printed there."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rtcd.tls.authority import issue, make_authority
from tests.daemon.process import DEADLINE_S, ROOT, DaemonTestCase, Running
from tests.interop import require_program

EXAMPLES = ROOT / "docs" / "examples" / "proxies"
PREFIX = "/calls"
"""The path in the examples."""
MODULES = "/usr/lib/nginx/modules"
"""Where Debian has those of nginx."""


def free_port() -> int:
    """One that nobody has now, since these programs cannot tell which one they were given."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def plain_port(daemon: Running) -> int:
    """Where a daemon serves its site without TLS."""
    return int(daemon.wait_for(r"web listens on tcp .*:(\d+)$")[1])


def require_nginx_stream() -> None:
    """Skip the test, or let it fail, where nginx has not the module for TCP, which is a package of its own."""
    if not Path(MODULES, "ngx_stream_module.so").exists():
        require_program("the module libnginx-mod-stream")


def put(text: str, changes: Mapping[str, str]) -> str:
    """Put something else for each of these pieces, all of which have to be there."""
    for old, new in changes.items():
        if old not in text:
            raise AssertionError(f"the example has no {old!r}")
        text = text.replace(old, new)
    return text


def uncomment(text: str, first: str, instead: int) -> str:
    """Take the variant that begins with this line, whose lines begin with ``#`` and no space, in place of so many lines
    below it."""
    lines = text.splitlines()
    end = next(place for place, line in enumerate(lines) if line.strip() == f"#{first}")
    while lines[end].strip().startswith("#"):
        lines[end] = lines[end].replace("#", "", 1)
        end += 1
    del lines[end : end + instead]
    return "\n".join(lines) + "\n"


class ProxyTestCase(DaemonTestCase):
    """A test with proxies; none of them outlives it, and nor do their files."""

    def setUp(self) -> None:
        """A folder with a certificate."""
        self.folder = Path(tempfile.mkdtemp(prefix="rtcd-proxy-"))
        self.addCleanup(shutil.rmtree, self.folder)
        names = ["127.0.0.1", "localhost"]
        pair = issue(make_authority("test", names, time.time()), names, time.time())
        (self.folder / "cert.pem").write_bytes(pair.certificate_pem())
        (self.folder / "key.pem").write_bytes(pair.key_pem())
        (self.folder / "both.pem").write_bytes(pair.certificate_pem() + pair.key_pem())

    def nginx(self, port: int, backend: str, *, prefix: bool = False, left_on: bool = False) -> None:
        """nginx.conf at a port of 127.0.0.1; ``backend``: what stands after "server"."""
        text = (EXAMPLES / "nginx.conf").read_text()
        if prefix:
            text = uncomment(text, "location /calls/ {", instead=3)
            if left_on:
                text = put(text, {"proxy_pass http://rtcd/;": "proxy_pass http://rtcd;"})
        paths = "".join(f"{kind}_temp_path {self.folder / kind};\n" for kind in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self._nginx(port, put(text, {
            "\nhttp {": f"\nhttp {{\naccess_log off;\n{paths}",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;", "listen [::]:443 ssl http2;": "",
            "listen 80;": f"listen 127.0.0.1:{free_port()};", "listen [::]:80;": "", "meet.example.org;": "127.0.0.1;",
            "/etc/letsencrypt/live/meet.example.org/fullchain.pem": str(self.folder / "cert.pem"),
            "/etc/letsencrypt/live/meet.example.org/privkey.pem": str(self.folder / "key.pem"),
            "server 127.0.0.1:8081;": f"server {backend};"}))

    def nginx_stream(self, port: int, plain: int, https: int, http: int) -> None:
        """nginx-stream.conf at two ports of 127.0.0.1, for those of the daemon."""
        self._nginx(port, put((EXAMPLES / "nginx-stream.conf").read_text(), {
            "load_module modules": f"load_module {MODULES}",
            "listen 443;": f"listen 127.0.0.1:{port};", "listen [::]:443;": "", "127.0.0.1:8443;": f"127.0.0.1:{https};",
            "listen 80;": f"listen 127.0.0.1:{plain};", "listen [::]:80;": "", "127.0.0.1:8080;": f"127.0.0.1:{http};"}))

    def _nginx(self, port: int, text: str) -> None:
        main = f"daemon off; pid {self.folder / 'pid'}; user root;\n"  # or the workers could not reach our folder
        self._front(port, "nginx", main + text, ["-t", "-e", "stderr", "-c"], ["-e", "stderr", "-c"])

    def haproxy(self, port: int, backend: str, *, prefix: bool = False) -> None:
        """haproxy.cfg, likewise; ``backend``: what stands after "server rtcd"."""
        text = (EXAMPLES / "haproxy.cfg").read_text()
        if prefix:
            text = uncomment(text, "use_backend rtcd if { path /calls } || { path_beg /calls/ }", instead=1)
            text = uncomment(text, "http-request set-header X-Forwarded-Prefix /calls", instead=0)
        self._haproxy(port, put(text, {
            "bind :::443 v4v6": f"bind 127.0.0.1:{port}", "bind :::80 v4v6": f"bind 127.0.0.1:{free_port()}",
            "/etc/haproxy/meet.example.org.pem": str(self.folder / "both.pem"), "127.0.0.1:8081": backend}))

    def haproxy_tcp(self, port: int, plain: int, https: int, http: int) -> None:
        """haproxy-tcp.cfg, likewise."""
        self._haproxy(port, put((EXAMPLES / "haproxy-tcp.cfg").read_text(), {
            "bind :::443 v4v6": f"bind 127.0.0.1:{port}", "127.0.0.1:8443 ": f"127.0.0.1:{https} ",
            "bind :::80 v4v6": f"bind 127.0.0.1:{plain}", "127.0.0.1:8080 ": f"127.0.0.1:{http} "}))

    def _haproxy(self, port: int, text: str) -> None:
        self._front(port, "haproxy", text, ["-c", "-dW", "-f"], ["-db", "-f"])

    def caddy(self, port: int, backend: str, *, prefix: bool = False) -> None:
        """Caddyfile, likewise."""
        text = (EXAMPLES / "Caddyfile").read_text()
        if prefix:
            text = uncomment(text, "redir /calls /calls/", instead=3)
        options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
        self._front(port, "caddy", options + put(text, {
            "meet.example.org {": f"https://127.0.0.1:{port}, https://localhost:{port} {{\n"
                                  f"\ttls {self.folder / 'cert.pem'} {self.folder / 'key.pem'}\n\tbind 127.0.0.1",
            "127.0.0.1:8081": backend}), ["validate", "--adapter", "caddyfile", "--config"],
            ["run", "--adapter", "caddyfile", "--config"])

    def _front(self, port: int, name: str, text: str, check: Sequence[str], run: Sequence[str]) -> None:
        """The program has to find its file good, and then runs in the foreground; it listens when this returns."""
        program, path, log = require_program(name), self.folder / f"{name}.conf", self.folder / f"{name}.log"
        path.write_text(text)
        environment = {**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
        checked = subprocess.run(
            [program, *check, str(path)], env=environment, cwd=self.folder, capture_output=True, text=True,
            timeout=DEADLINE_S)
        self.assertEqual(checked.returncode, 0, checked.stderr + text)
        with log.open("w") as output:
            process = subprocess.Popen(
                [program, *run, str(path)], env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output)
        self.addCleanup(_end, process)
        deadline = time.monotonic() + DEADLINE_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                self.fail(f"{name} does not listen: {log.read_text()}")
            time.sleep(0.01)

    def curl(self, *arguments: str) -> str:
        """What curl prints, which takes any certificate."""
        done = subprocess.run(
            [require_program("curl"), "-sSk", "--max-time", "20", "--noproxy", "*", *arguments], capture_output=True,
            text=True, check=False, timeout=DEADLINE_S)
        return done.stdout + done.stderr


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), DEADLINE_S).close()
    except ConnectionRefusedError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
