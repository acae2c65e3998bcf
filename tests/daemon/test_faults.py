"""An operator's mistake is one line on standard error that names file, section, key and mend; the exit code is 1."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

from twisted.python.filepath import FilePath
from zope.interface import implementer

from rtcd.config import ConfigError
from rtcd.interfaces import IServicePlugin
from rtcd.plugin import ServicePlugin, plugins
from rtcd.tls.authority import issue, make_authority
from tests.daemon.process import DEADLINE_S, TURN, TWISTD, WEB, DaemonTestCase, environment

CASES = (
    # what is wrong, the ini, what the line says besides the file's name
    ("unknown section", f"{WEB}[sygnaling]\n", "[sygnaling]: no service has this name, did you mean signaling?"),
    ("unknown key", f"{WEB}[rooms]\ngrave = 1\n", "[rooms] grave: unknown key, did you mean grace?"),
    ("value of another kind", f"{WEB}[rooms]\ngrace = soon\n", "[rooms] grace: 'soon' is not a number"),
    ("value out of range", f"{WEB}[rooms]\ngrace = -1\n", "[rooms] grace: '-1' is less than 0"),
    ("value that is no choice", f"{WEB}[log]\nlevel = loud\n", "[log] level: 'loud' is none of debug, info"),
    ("key twice", f"{WEB}[rooms]\ngrace = 1\ngrace = 2\n", "[rooms] grace: it is there twice"),
    ("section twice", f"{WEB}[web]\n", "[web]: the section is there twice"),
    ("no section", "grace = 1\n", "line 1 stands before any [section]"),
    ("neither", f"{WEB}nonsense\n", "is neither [section] nor key = value"),
    ("no service", "[rooms]\n", "no service is turned on"),
    ("half a pair", f"{WEB}[tls]\ncert = a.pem\n", "[tls] key: cert is set without it"),
    ("missing certificate", f"{WEB}[tls]\ncert = a.pem\nkey = b.pem\n", "[tls] cert: "),
    ("missing secret file", f"{WEB}[credentials]\nsecret-file = nowhere\n", "[credentials] secret-file: nowhere cannot"),
    ("weak secret", f"{WEB}[credentials]\nsecret = north\n", "[credentials] secret: is shorter than 16"),
    ("no endpoint", WEB.replace("tcp:0", "8443"), "[doorway] https: "),
    ("no TURN endpoint", WEB + TURN.replace("127.0.0.1", "3478"), "[turn] listen: "),
    ("state in a file", f"{WEB}[daemon]\nstate-directory = rtcd.ini\n", "[daemon] state-directory: rtcd.ini: "),
    ("log in a folder that is not there", f"{WEB}[log]\nfile = no/where\n", "[log] file: no/where cannot be opened"),
    ("found by one service only at its start", f"{WEB}[ice]\n", "[ice] servers: no TURN server runs here"),
    ("page without signalling", WEB.replace("[signaling]", ""), "[web]: its calls need signalling"),
    ("nowhere to redirect to", WEB.replace("[web]", "[web]\nredirect-hosts = old.example"), "[web] redirect-hosts: "),
    ("no listener at all", WEB.replace("tcp:0:interface=127.0.0.1", ""), "[doorway] https: there is no listener"),
    ("two services at one path", f"{WEB}".replace("[signaling]", "[signaling]\npath = /join"), "/join is served by another"),
    ("a name that is none", f"{WEB}[tls]\nnames = https://x.example\n", "[tls] names: 'https://x.example'"),
    ("a number of many digits", f"{WEB}[rooms]\nmax-rooms = {'9' * 5000}\n", "[rooms] max-rooms: "),
    ("an endpoint's file is missing", WEB.replace("tcp:0:", "ssl:0:privateKey=/nowhere:"), "[doorway] https: "),
    ("systemd handed nothing over", WEB.replace("tcp:0:interface=127.0.0.1", "systemd:domain=INET:name=https"),
     "[doorway] https: "),
)


class FaultTests(DaemonTestCase):
    """As the operator sees them."""

    def complaint(self, ini: str, **options: object) -> str:
        """The one line of a daemon that does not start."""
        daemon = self.run_daemon(ini, **options)
        code = daemon.wait()
        errors = daemon.errors()
        self.assertEqual((code, errors.count("\n")), (1, 1), errors + "\n".join(daemon.lines))
        self.assertNotIn("Traceback", "\n".join(daemon.lines))
        return errors

    def test_every_mistake_is_one_line(self) -> None:
        """It begins with the file's name."""
        for what, ini, said in CASES:
            line = self.complaint(ini)
            self.assertTrue(line.startswith("rtcd.ini: ") and said in line, f"{what}: {line}")

    def test_a_port_that_is_taken_stops_the_start(self) -> None:
        """The first service's or the second's, TCP or UDP; twistd's pidfile is not left behind."""
        for kind, name, key in ((socket.SOCK_STREAM, "https = tcp:0", "[doorway] https"),
                                (socket.SOCK_DGRAM, "\nport = 0", "[turn] port"),
                                (socket.SOCK_STREAM, "\nport = 0", "[turn] port"),
                                (socket.SOCK_STREAM, "tls-port = 0", "[turn] tls-port")):
            with socket.socket(socket.AF_INET, kind) as taken:
                taken.bind(("127.0.0.1", 0))
                if kind == socket.SOCK_STREAM:
                    taken.listen()
                port = taken.getsockname()[1]
                ini = (WEB + TURN).replace(name, name[:-1] + str(port))
                daemon = self.run_daemon(ini, command=(*TWISTD, "-n", "--pidfile=pid"))
                self.assertEqual(daemon.wait(), 1)
            line = daemon.errors()
            self.assertTrue(line.startswith(f"rtcd.ini: {key}: ") and str(port) in line and line.count("\n") == 1, line)
            self.assertFalse((daemon.folder / "pid").exists())

    def test_a_certificate_that_nobody_would_accept_stops_the_start(self) -> None:
        """One of another key, and one that is not for the name by which browsers come."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        now = time.time()
        authority = make_authority("elsewhere", ["a.example", "b.example"], now)
        for name in ("a", "b"):
            pair = issue(authority, [f"{name}.example"], now)
            (folder / f"{name}.crt").write_bytes(pair.certificate_pem())
            (folder / f"{name}.key").write_bytes(pair.key_pem())
        for key, url, said in (
            ("b", "a.example", f"[tls] cert: {folder}/a.crt does not belong to the key {folder}/b.key; name the key that"),
            ("a", "b.example", "[tls] cert: no certificate is for b.example, only for a.example; get one that is, or "
                               "correct [doorway] public-url"),
        ):
            files = f"[tls]\ncert = {folder}/a.crt\nkey = {folder}/{key}.key\n"
            self.assertIn(said, self.complaint(WEB.replace("[web]", f"public-url = https://{url}\n{files}[web]")))

    def test_a_missing_file_is_named(self) -> None:
        """With what to do about it."""
        done = subprocess.run(
            [*TWISTD, "-n", "--pidfile=", "rtcd", "--config", "nowhere.ini"], env=environment(), capture_output=True,
            text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(
            done.stderr, "nowhere.ini: cannot be read (No such file or directory); name the file with --config\n")

    def test_in_the_background_the_fault_is_in_the_log(self) -> None:
        """The whole line; twistd itself shows the beginning of it."""
        daemon = self.run_daemon(f"{WEB}[ice]\n", command=(*TWISTD, "--pidfile=pid"))
        self.assertEqual(daemon.wait(), 1)
        self.assertIn("[ice] servers: ", daemon.errors())
        until = time.monotonic() + DEADLINE_S  # who started it is told before the rest is written
        while "rtcd.ini: [ice] servers: no TURN server runs here" not in (log := (daemon.folder / "twistd.log").read_text()):
            self.assertLess(time.monotonic(), until, log)
            time.sleep(0.02)
        self.assertFalse((daemon.folder / "pid").exists())

    def test_a_fault_of_ours_keeps_its_traceback(self) -> None:
        """It is to be reported, not mended."""
        folder = Path(self.mktemp()).resolve()
        self.write_plugin(folder, "def makeService(context, settings):\n    raise RuntimeError('ours')\n")
        daemon = self.run_daemon("[odd]\n", path=str(folder))
        self.assertEqual(daemon.wait(), 1)
        self.assertIn("Traceback", daemon.errors() + "\n".join(daemon.lines))

    def test_a_plugin_whose_module_is_missing_is_named(self) -> None:
        """Only if its section is there: other services start without it."""
        folder = Path(self.mktemp()).resolve()
        self.write_plugin(folder, "import nowhere_at_all\n")
        self.assertIn("[odd]: odd_module cannot be imported", self.complaint("[odd]\n", path=str(folder)))
        self.assertEqual(self.run_daemon(WEB, path=str(folder)).started().stop(), 0)

    def test_help_is_for_people(self) -> None:
        """And lists what there is."""
        for arguments, said in ((["--help"], "rtcd "), (["rtcd", "--help"], "--welcome")):
            done = subprocess.run([*TWISTD, *arguments], env=environment(), capture_output=True, text=True,
                                  timeout=DEADLINE_S, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(said, done.stdout)

    def write_plugin(self, folder: Path, module: str) -> None:
        """A third party's package with a service ``odd``."""
        FilePath(str(folder / "twisted" / "plugins")).makedirs()
        (folder / "odd_module.py").write_text(
            "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Settings:\n    'Odd.'\n" + module)
        (folder / "twisted" / "plugins" / "odd_rtcd.py").write_text(
            "from rtcd.plugin import ServicePlugin\nodd = ServicePlugin('odd', 'odd_module', 'Odd')\n")


@implementer(IServicePlugin)
class Foreign:
    """A plugin that is no `ServicePlugin`."""

    name = "web"
    description = "Another one"
    settings = object

    def makeService(self, context: object, settings: object) -> object:
        """Never called."""
        raise NotImplementedError


class PluginTests(DaemonTestCase):
    """The table of services."""

    def test_two_plugins_of_one_name_are_refused(self) -> None:
        """Neither has a privilege."""
        ours = ServicePlugin("web", "rtcd.web.service", "Rooms")
        fault = self.assertRaises(ConfigError, plugins, [ours, Foreign()])
        self.assertEqual(str(fault), "[web]: two installed plugins have this name; uninstall one")

    def test_reading_all_plugins_imports_none_of_their_modules(self) -> None:
        """A service that is off costs nothing."""
        program = ("import sys; from rtcd.plugin import plugins; print(*sorted(plugins())); "
                   "print(*[one for one in sys.modules if one.endswith('.service') and one.startswith('rtcd.')])")
        done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True,
                              timeout=DEADLINE_S, check=True)
        self.assertEqual(done.stdout.splitlines(), ["admin check ice metrics signaling turn web", ""])
