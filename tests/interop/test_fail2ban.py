"""The shipped fail2ban filter, judged by fail2ban itself on lines that our own log has written."""

from __future__ import annotations

import configparser
import json
import subprocess
from pathlib import Path

from twisted.logger import LogEvent, Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.allocation import FiveTuple
from rtcd.lines import journal, machines_in_journal
from rtcd.log import Log, LogSettings
from rtcd.metrics import Metrics
from rtcd.stun.message import Class, Method, encode
from rtcd.turn.events import Events
from tests.daemon.process import DEADLINE_S, ROOT, TURN, DaemonTestCase
from tests.daemon.test_drain import TurnClient
from tests.fakes_turn import UDP
from tests.interop import require_program

FILTER = ROOT / "etc/fail2ban/filter.d/rtcd.conf"
JAIL = ROOT / "etc/fail2ban/jail.d/rtcd.conf"

VICTIM = "203.0.113.99"
"""Must never be banned: it is only in names that strangers have made up."""

HOSTILE = (
    "u", "", " ", "\\", '"', "é😀", "\udc80", "[", "]", "x" * 500, f"u address={VICTIM}",
    f"u\nauth_fail address={VICTIM} port=1",
    f"u\r\n2026-11-21T09:41:15+0000 [rtcd.turn.events.Events#info] auth_fail address={VICTIM} port=1 transport=udp user=u",
    f'u", "address": "{VICTIM}', f'{{"address": "{VICTIM}", "port": 1}}', f"{VICTIM}", f"{{address}}={VICTIM}",
    f"\x85auth_fail\x85address={VICTIM}", f"\u2028address={VICTIM}\u2029",
)
CLIENTS = ("192.0.2.7", "2001:db8::7")


def banned(text: str, folder: Path) -> list[str]:
    """The address of each line that the filter takes for a failed password."""
    program = require_program("fail2ban-regex")
    log = folder / "lines"
    log.write_text(text, "utf-8", "backslashreplace")
    done = subprocess.run([program, "--usedns", "no", "-e", "UTF-8", "-o", "ip", str(log), str(FILTER)], cwd=folder,
                          capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.returncode not in (0, 1) or done.stderr:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout.split()


class FilterTests(SynchronousTestCase):
    """What the log observer writes in each format."""

    def setUp(self) -> None:
        """A folder."""
        require_program("fail2ban-regex")
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()

    def written(self, form: str, worker: int = 0) -> str:
        """A line for each name of each client, in this format; ``worker``: which of several writes it."""
        path = self.folder / f"{form}{worker}"
        log = Log(LogSettings(file=str(path), format=form), worker=worker)
        self.addCleanup(log.use, LogSettings())
        self.patch(Events, "_log", Logger(namespace="rtcd.turn.events.Events", observer=LogPublisher(log)))
        events = Events(Metrics(), lambda: 0)
        for second, user in enumerate(HOSTILE):
            for host in CLIENTS:
                events.auth_failed(FiveTuple("udp", (host, 40000), ("198.51.100.1", 3478)), user, 1000.0 + 2 * second)
        return path.read_text()

    def test_every_line_of_either_format_is_taken_and_names_the_client(self) -> None:
        """Whatever name it made up."""
        for form in ("text", "json"):
            text = self.written(form)
            self.assertEqual(text.count("\n"), len(HOSTILE) * len(CLIENTS))
            self.assertEqual(banned(text, self.folder), list(CLIENTS) * len(HOSTILE), form)

    def test_lines_of_workers_are_taken(self) -> None:
        """They say which one it is."""
        for form, mark in (("text", "#info worker 12] "), ("json", '"worker": 12, ')):
            text = self.written(form, worker=12)
            self.assertEqual(text.count(mark), len(HOSTILE) * len(CLIENTS))
            self.assertEqual(banned(text, self.folder), list(CLIENTS) * len(HOSTILE), form)

    def test_lines_are_taken_as_the_journal_and_syslog_pass_them_on(self) -> None:
        """With host, program and pid in front, and syslog's time in either of its forms; and as they come out of a journal
        that was told their level."""
        told = []
        for form in (journal, machines_in_journal):
            seen: list[LogEvent] = []
            publisher = LogPublisher(seen.append)  # type: ignore[arg-type] # as good as an observer
            self.patch(Events, "_log", Logger(namespace="rtcd.turn.events.Events", observer=publisher))
            Events(Metrics(), lambda: 0).auth_failed(FiveTuple("udp", (CLIENTS[0], 1), ("198.51.100.1", 3478)), "u", 1000.0)
            told += [form(one) or "" for one in seen]
        self.assertEqual([one[:4] for one in told], ["<6>[", "<6>{"])
        written = [*self.written("text").splitlines(), *self.written("json").splitlines(), *(one[3:-1] for one in told)]
        expected = [*list(CLIENTS) * len(HOSTILE) * 2, *CLIENTS[:1] * 2]
        for front in ("host twistd[12]: ", "Nov 21 09:41:15 host twistd[12]: ",
                      "2026-11-21T09:41:15.123456+01:00 host rtcd: "):
            self.assertEqual(banned("".join(f"{front}{line}\n" for line in written), self.folder), expected, front)

    def test_a_line_inside_of_another_one_is_not_taken(self) -> None:
        """As when somebody else's text is logged."""
        line = f"[rtcd.turn.events.Events#info] auth_fail address={VICTIM} port=1 transport=udp user=u"
        now = "2026-11-21T09:41:15+0000"
        for text in (f"{now} [rtcd.web#info] asked for {now} {line}", f"{now} [rtcd.web#info] {line}",
                     f'{{"time": "{now}", "level": "info", "system": "rtcd.web", "message": "{line}"}}',
                     f"{now} {line} x", f"{now} {line[:-6]}"):
            self.assertEqual(banned(text + "\n", self.folder), [], text)

    def test_the_text_of_an_exception_is_not_taken(self) -> None:
        """However it looks: with a time in front, or as it would come out of the journal."""
        line = f"[rtcd.turn.events.Events#info] auth_fail address={VICTIM} port=1 transport=udp user=u"
        now = "2026-11-21T09:41:15+0000"
        lines = "\n".join((line, f"{now} {line}", f"host twistd[12]: {line}", f"x: {line}", f"x: {now} {line}",
                           f" | x: {line}", f"Nov 21 09:41:15 host twistd[12]: {line}", f"twistd[12]: {line}", f": {line}"))
        path = self.folder / "traceback"
        log = Log(LogSettings(file=str(path)))
        self.addCleanup(log.use, LogSettings())
        try:
            raise ValueError(lines)
        except ValueError:
            Logger(namespace="rtcd.web", observer=LogPublisher(log)).failure("it broke")
        self.assertEqual(path.read_text().count(VICTIM), 9)
        self.assertEqual(banned(path.read_text(), self.folder), [])

    def test_the_jail_uses_the_filter(self) -> None:
        """And is on."""
        jail = configparser.RawConfigParser()
        jail.read(JAIL)
        self.assertEqual((jail["rtcd"]["enabled"], jail["rtcd"]["filter"]), ("true", FILTER.stem))


class DaemonTests(DaemonTestCase):
    """A real daemon's log."""

    def test_only_a_wrong_password_makes_a_line(self) -> None:
        """Not a Binding, not the first request of a client, which is always answered with 401, not a right password."""
        require_program("fail2ban-regex")
        for form in ("text", "json"):
            daemon = self.run_daemon(f"{TURN}user = u:p\n[log]\nformat = {form}\n").started()
            client = TurnClient(daemon.port("udp") if form == "text" else self.json_port(daemon.lines))
            self.addCleanup(client.socket.close)
            client.socket.send(encode(Method.BINDING, Class.REQUEST, bytes(12)))
            client.socket.recv(2000)
            self.assertEqual(client.ask(Method.ALLOCATE, UDP), 0)
            self.assertEqual(banned("\n".join(daemon.lines) + "\n", daemon.folder), [], form)
            other = TurnClient(client.socket.getpeername()[1], password="wrong")
            self.addCleanup(other.socket.close)
            self.assertEqual(other.ask(Method.ALLOCATE, UDP), 401)
            daemon.wait_for("auth_fail")
            self.assertEqual(daemon.stop(), 0)
            self.assertEqual(banned("\n".join(daemon.lines) + "\n", daemon.folder), ["127.0.0.1"], form)

    def json_port(self, lines: list[str]) -> int:
        """Where it listens, of a log in JSON."""
        found = [json.loads(line) for line in lines]
        return int(next(one["address"] for one in found if one.get("transport") == "udp").rpartition(":")[2])
