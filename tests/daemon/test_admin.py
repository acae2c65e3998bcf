"""The administration of a real daemon: its socket, the command rtcd, the API by HTTPS, and webhooks that arrive."""

from __future__ import annotations

import http.server
import io
import json
import socket
import stat
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from rtcd.cli.main import main
from rtcd.unix import SocketPath
from tests.daemon.process import DEADLINE_S, TURN, WEB, DaemonTestCase, Running, WebSocket, trusting

TOKEN = "t" * 32
SECRET = "c2VjcmV0" * 4


class Hooks(http.server.BaseHTTPRequestHandler):
    """Takes webhooks, the first of them not."""

    def do_POST(self) -> None:
        """Verify as a receiver would, and keep."""
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with server.more:
            server.kept.append(Webhook(SECRET).verify(body, dict(self.headers)))
            server.more.notify_all()
        self.send_response(204 if len(server.kept) > 1 else 503)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Not on the terminal."""


class AdminTests(DaemonTestCase):
    """One daemon, whose life this test is."""

    def hooks(self) -> Any:
        """Somebody who listens to webhooks."""
        server: Any = http.server.HTTPServer(("127.0.0.1", 0), Hooks)
        server.kept, server.more = [], threading.Condition()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def rtcd(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command in this process: exit code, output, errors."""
        out, errors = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", errors)
        code = main((*arguments, "--socket", str(self.socket)))
        return code, out.getvalue(), errors.getvalue()

    def told(self, *arguments: str) -> str:
        """The output of a command that does what it should."""
        code, out, errors = self.rtcd(*arguments)
        self.assertEqual((code, errors), (0, ""))
        return out

    def api(self, running: Running, path: str, token: str = TOKEN) -> int:
        """The status of a GET by HTTPS."""
        request = urllib.request.Request(f"https://127.0.0.1:{running.port()}/admin{path}", headers={
            "Authorization": f"Bearer {token}"})
        try:
            with urllib.request.build_opener(
                    urllib.request.HTTPSHandler(context=trusting()), urllib.request.ProxyHandler({})).open(
                    request, timeout=DEADLINE_S) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def test_a_daemon_is_looked_after(self) -> None:
        """From its first room to its drain; the socket of one that was killed is in nobody's way."""
        folder = Path(self.mktemp()).absolute()
        self.socket = folder / "state" / "admin.sock"
        self.socket.parent.mkdir(parents=True, mode=0o700)
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(SocketPath(str(self.socket)).path)
        hooks = self.hooks()
        ini = (f"{WEB}{TURN}[ice]\n[admin]\ntoken = {TOKEN}\nwebhook-secret = {SECRET}\n"
               f"webhook-url = http://127.0.0.1:{hooks.server_port}/\n")
        running = self.run_daemon_in(folder, ini).started()
        self.assertEqual(stat.S_IMODE(self.socket.stat().st_mode), 0o600)
        self.assertEqual([self.api(running, "/status", one) for one in (TOKEN, "x" * 32)], [200, 401])

        base = f"https://127.0.0.1:{running.port()}"
        joined = self.post(f"{base}/join/team", json.dumps({"page": {"id": "a" * 16, "name": "Ann\u202e"}}).encode())
        page = WebSocket(running.port())
        page.send(cmd="register", roomid="team", clientid=joined["params"]["client_id"])
        page.receive()
        self.assertRegex(self.told("rooms"), r"ROOM +PEOPLE\nteam +1/6\n")
        lines = self.told("rooms", "team").splitlines()
        self.assertRegex(lines[1], r"^[0-9a-f]{16}-[0-9a-f]{20}  Ann  page +host$")
        self.assertNotIn(joined["params"]["client_id"], "".join(lines))
        self.assertIn("locked", self.told("lock", "team"))
        self.assertIn("relays alone", self.told("relay", "team"))
        self.assertEqual(json.loads(self.told("lock", "team", "--off", "--json"))["locked"], False)
        self.assertEqual(self.rtcd("kick", "team", "Bob")[0], 1)
        self.assertEqual(self.told("kick", "team", lines[1][17:25]), "Ann was removed from team.\n")
        self.assertIn("no room of this name", self.rtcd("close", "team")[2])
        self.assertEqual(self.told("rooms"), "There are no rooms.\n")
        page.close()

        self.post(f"{base}/join/other")
        self.assertEqual(self.told("close", "other"), "other is closed.\n")
        status = self.told("status")
        self.assertIn("0 rooms, 0 seats, 0 relays\n", status)
        self.assertRegex(status, rf"web +tls +127.0.0.1:{running.port()}\n")
        self.assertEqual(json.loads(self.told("status", "--json"))["draining"], False)
        self.assertEqual(self.told("reload"), "reloaded: nothing has changed\n")
        listed = self.told("calls", "--room", "team", "--language", "en").split(maxsplit=4)
        self.assertEqual(listed[3], "team")
        shown = self.told("call", listed[0], "--language", "en")
        self.assertIn(f"Call {listed[0]} in room team", shown)
        self.assertIn(listed[4].strip()[:30], " ".join(shown.split()))

        with hooks.more:
            hooks.more.wait_for(lambda: len(hooks.kept) >= 9, DEADLINE_S)
        kinds = [one["type"] for one in hooks.kept]
        self.assertEqual(kinds, ["room.opened", *["room.opened", "client.joined", "client.left", "room.closed"] * 2])
        self.assertEqual(hooks.kept[0], hooks.kept[1])

        self.assertEqual(self.told("drain"), "The daemon takes nothing new and ends with its last call.\n")
        self.assertEqual(running.wait(), 0)
        self.assertFalse(self.socket.exists())
        code, _, errors = self.rtcd("status")
        self.assertEqual((code, "there is no" in errors, "[admin]" in errors), (1, True, True))
        self.assertNotIn(TOKEN, "\n".join(running.lines))
        self.assertNotIn(SECRET, "\n".join(running.lines))
