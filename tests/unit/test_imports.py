"""Who may import whom. Every module of the package is either core, which holds rules, or shell, which holds the world.

A new file has to be put into one of the two tables below.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]

SHELL = {
    "": {"alarm", "context", "daemon", "drain", "exposed", "foreseen", "inifile", "interfaces", "lines", "log",
         "machine", "plugin", "privileges", "promptly", "reading", "reference", "rights", "sample", "schemas", "state",
         "systemd", "tap", "turns", "unix", "welcome"},
    "acme": {"attempt", "client", "issuer", "kept", "network", "order", "resource", "settings"},
    "admin": {"access", "pages", "poster", "relays", "resource", "rooms", "service", "settings", "tokens", "upkeep",
              "webhooks"},
    "calls": {"file", "keeper", "relays"},
    "check": {"resource", "service", "settings"},
    "cluster": {"entries", "handover", "inbox", "inside", "line", "local", "node", "redis", "service", "serving",
                "shards", "shared", "short", "trust", "turns", "upkeep", "wire"},
    "cli": {"__main__", "calls", "check_config", "control", "doctor", "editing", "effective", "health", "import_", "ini",
            "install", "key", "main", "password", "rehearse", "rooms", "secret", "upkeep", "user", "waiting"},
    "doctor": {"examination"},
    "doctor.facts": {"certificate", "clock", "configuration", "firewall", "handshake", "limits", "names", "outside",
                     "places", "plane", "ports", "process", "relay", "secret", "sockets", "state", "store", "subject",
                     "turnclient", "units", "websocket"},
    "install": {"doing", "firewall", "ports", "shipped", "survey"},
    "doorway": {"connections", "door", "immediate", "layers", "listeners", "renewal", "settings", "switch", "visits"},
    "front": {"front", "proxied"},
    "site": {"http", "install", "lean", "redirect", "short", "tree"},
    "ice": {"asking", "following", "places", "pool", "prober", "resource", "service", "settings"},
    "rehearse": {"load", "media", "person", "rehearsal", "seat", "websocket"},
    "rooms": {"diary", "memory", "present", "settings", "watchers"},
    "signaling": {"factory", "masking", "resource", "service", "settings", "slim", "websocket"},
    "plane": {"batch", "drops", "errors", "fields", "listener", "mmsg", "pipe", "poller", "ports", "relay", "routes",
              "sockets", "tcp"},
    "kernel": {"bpf", "choice", "flows", "meters", "network", "plane", "program", "relay"},
    "monitoring": {"checks", "exposition", "probe", "process", "readiness", "resources", "service", "settings"},
    "stun": set(),
    "tls": {"authority", "certificates", "chain", "contexts", "files", "local", "proof", "quick", "settings", "trust",
            "unverified"},
    "auth": {"remote", "userfile"},
    "clients": {"dtls", "listeners", "sessions", "stream", "streams"},
    "outside": {"connection", "metadata", "outside", "reach", "reflexive"},
    "turn": {"events", "offers", "service", "tcp_relaying"},
    "web": {"assets", "files", "pages", "report", "resources", "service", "settings"},
    "workers": {"__main__", "channel", "command", "cores", "division", "exchange", "family", "forward", "groups", "process",
                "questions", "reactor", "supervisor", "topics", "worker"},
}
"""Modules that may hold reactors, transports, files and logs. ``settings`` are the schema of the ini, hence shell."""

CORE = {
    "": {"bucket", "clashes", "config", "desk", "endpoints", "environment", "fault", "initext", "metrics", "ranges",
         "served", "together", "unwise", "weak", "words"},
    "acme": {"challenges", "request", "schedule"},
    "admin": {"guesses", "keys", "openapi", "outbox", "password", "problem", "routes", "sessions", "shapes", "signature"},
    "calls": {"archive", "changes", "live", "lone", "record", "report", "show", "texts", "verdict"},
    "check": {"paths", "report", "results", "texts", "trials", "verdict"},
    "cluster": {"address", "backend", "codec", "commits", "floors", "hub", "scripts", "speaker", "strangers"},
    "doctor": {"chinese", "chinese_machine", "chinese_network", "english", "english_machine", "english_network", "finding",
               "report", "words"},
    "doctor.checks": {"certificate", "clock", "configuration", "daemon", "firewall", "iptables", "limits", "names", "nat",
                      "netfilter", "passage", "plane", "ports", "relay", "state", "store", "websocket"},
    "doorway": {"directory", "hello", "sniff"},
    "front": {"forwarded", "origin", "proxy_header"},
    "site": {"install_texts", "whole"},
    "ice": {"choice", "credentials", "exchange", "health", "nodes", "regions", "tags", "urls"},
    "install": {"layout", "limits", "plan", "receipt", "steps"},
    "rehearse": {"figures", "procfs"},
    "rooms": {"declaration", "invitation", "mesh", "orders", "outcome", "records", "room", "seats", "snapshot"},
    "signaling": {"frames", "messages", "switchboard"},
    "kernel": {"elf", "records", "rtnetlink", "slots"},
    "stun": {"attributes", "channeldata", "framing", "integrity", "message"},
    "tls": {"handshakes", "names"},
    "allocations": {"account", "addresses", "allocation", "bandwidth", "icmp", "meter", "reservation"},
    "auth": {"authenticator", "lookup", "nonce", "users"},
    "clients": {"connections", "listening", "records"},
    "outside": {"external", "names"},
    "peers": {"bound", "candidates", "nat64", "policy"},
    "turn": {
        "allocate",
        "answers",
        "connect",
        "counted",
        "data_connections",
        "discovery",
        "held",
        "indication",
        "mobility",
        "news",
        "redirect",
        "request",
        "server",
        "settings",
        "sightings",
    },
    "importer": {"constants", "coturn", "draft", "facts", "faults", "iceservice", "importing", "nginx", "relay", "report",
                 "site", "sitefaults", "turnserver"},
    "web": {"accept", "parameters", "texts"},
    "workers": {"configuration", "count", "frames", "merging", "restarts", "shares"},
}
"""Modules of rules: no Twisted, no socket, no clock, no log, no randomness that is not passed in."""

OUTSIDE = ("twisted", "zope", "autobahn", "OpenSSL", "cryptography", "socket", "select", "selectors", "ssl", "asyncio",
           "threading", "subprocess", "time", "logging", "random", "secrets", "os", "signal", "ifaddr", "segno",
           "pathlib", "io", "uuid", "tempfile", "shutil", "glob", "mmap", "fcntl", "platform", "urllib.request",
           "http.client")
"""What no core module imports."""
DOING = ("open", "print", "input", "exec", "eval", "__import__", "breakpoint")
"""Nor calls."""

READS = {"config": {"pathlib"}}
"""The one core that reads files, those that keys of the ini name: what a key's value is, is in them."""

LIBRARY = {one: {"msgspec"} for one in (
    "admin.openapi", "admin.shapes", "cluster.codec", "cluster.speaker", "signaling.messages", "auth.lookup", "check.report",
    "front.origin", "peers.candidates",
    "rooms.declaration", "rooms.snapshot", "rooms.mesh", "rooms.orders", "rooms.outcome", "rooms.records", "rooms.room",
    "rooms.seats", "signaling.switchboard", "calls.archive", "calls.changes", "calls.lone", "calls.record", "calls.report",
    "calls.show")}
LIBRARY["admin.password"] = {"argon2"}
LIBRARY["workers.configuration"] = LIBRARY["workers.frames"] = {"msgspec"}
"""Cores that are allowed a library of rules."""

CORE_FRIENDS = {
    "": {"workers"},
    "acme": {"tls"},
    "allocations": {"stun"},
    "auth": {"stun", "allocations"},
    "calls": {"peers"},
    "doctor.checks": {"doctor", "stun", "allocations", "cluster", "front", "outside", "tls"},
    "kernel": {"stun", "allocations"},
    "clients": {"stun", "allocations"},
    "peers": {"stun", "allocations"},
    "outside": {"stun", "allocations", "peers", "tls"},
    "ice": {"stun"},
    "turn": {"stun", "allocations", "auth", "clients", "peers", "outside"},
    "signaling": {"rooms"},
    "cluster": {"rooms"},
    "admin": {"rooms"},
    "importer": {"front", "tls"},
}
"""Which other cores, besides those of its own package, a core may import."""

SHARED = {"", "acme", "auth", "clients", "cluster", "doctor", "doctor.facts", "doorway", "front", "install", "kernel",
          "outside", "plane", "rehearse", "rooms", "site", "tls", "workers"}
"""Packages whose shells other shells may import: they are no services. The doorway (with its TLS) and the rooms are part
of the Context; the planes are what the TURN service moves packets with; what a verb of the command does is the verb's;
several processes are the daemon's as a whole."""

ONLY = {
    "OpenSSL": {"doctor.facts.handshake", "tls.certificates", "tls.contexts", "tls.quick", "tls.unverified", "clients.dtls"},
    "autobahn": {"signaling.factory", "signaling.websocket", "signaling.resource", "signaling.slim", "rehearse.websocket"},
    "aioice": {"rehearse.person"},
    "aiortc": {"rehearse.media", "rehearse.person"},
    "av": {"rehearse.media"},
    "argon2": {"admin.password"},
    "jwt": {"admin.tokens"},
    "acme": {"acme.client", "acme.network", "acme.order"},
    "josepy": {"acme.client", "acme.network"},
    "prometheus_client": {"monitoring.exposition"},
    "requests": {"acme.client", "acme.network"},
    "urllib3": {"acme.network"},
    "certifi": {"tls.trust"},
    "txredisapi": {"cluster.wire"},
    "maxminddb": {"ice.places"},
}
"""Libraries that stay in their room."""


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Every module below rtcd by its name without it, such as ``turn.server``; parsed once."""
    found = {}
    for path in sorted((ROOT / "rtcd").rglob("*.py")):
        if path.name != "__init__.py":
            found[".".join(path.relative_to(ROOT / "rtcd").with_suffix("").parts)] = ast.parse(path.read_text())
    return found


@functools.cache
def imports(tree: ast.AST, *, running: bool = True) -> tuple[str, ...]:
    """Full names of what a module imports; with ``running`` those for the type checker alone are left out."""
    return tuple(_imports(tree, running=running))


def _imports(tree: ast.AST, *, running: bool) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if running and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif not isinstance(node, ast.expr):
            yield from _imports(node, running=running)


@functools.cache
def calls(tree: ast.AST) -> frozenset[str]:
    """What a module calls, as it is written."""
    return frozenset(ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))


def package_of(name: str) -> str:
    """``turn`` of ``turn.server``, nothing of ``config``."""
    return name.rpartition(".")[0]


def ours(name: str, known: dict[str, ast.Module]) -> str | None:
    """The module of ours that an imported name is or is in."""
    if not name.startswith("rtcd."):
        return None
    bare = name.removeprefix("rtcd.")
    return bare if bare in known else package_of(bare) if package_of(bare) in known else None


def is_core(name: str) -> bool:
    """Whether a module is in the table of cores."""
    return name.rpartition(".")[2] in CORE.get(package_of(name), ())


class ImportTests(SynchronousTestCase):
    """Read from the sources, without importing them."""

    def setUp(self) -> None:
        """All modules, parsed."""
        self.modules = modules()

    def cores(self) -> list[str]:
        """The core modules."""
        return [name for name in self.modules if is_core(name)]

    def test_every_module_is_core_or_shell(self) -> None:
        """A new one is put into one of the tables, a removed one is taken out."""
        for table in (CORE, SHELL):
            for package, names in table.items():
                for one in names - {"listeners"}:
                    self.assertIn(f"{package}.{one}".lstrip("."), self.modules)
        for name in self.modules:
            package, short = package_of(name), name.rpartition(".")[2]
            core, shell = short in CORE.get(package, ()), short in SHELL.get(package, ())
            self.assertTrue(core != shell, f"{name}: put it into CORE or SHELL")

    def test_cores_know_nothing_of_the_world(self) -> None:
        """Standard library of values, and no more."""
        for name in self.cores():
            for found in imports(self.modules[name]):
                top = found.partition(".")[0]
                outside = [one for one in OUTSIDE if f"{found}.".startswith(f"{one}.") and one not in READS.get(name, ())]
                self.assertEqual(outside, [], f"{name} imports {found}")
                allowed = top in sys.stdlib_module_names or top == "rtcd" or top in LIBRARY.get(name, ())
                self.assertTrue(allowed, f"{name} imports {found}")

    def test_cores_do_nothing_to_the_world(self) -> None:
        """Not without an import either."""
        for name in self.cores():
            self.assertEqual(calls(self.modules[name]) & set(DOING), set(), name)

    def test_cores_import_cores_in_one_direction(self) -> None:
        """Their own package's, and those of the packages below them; the plain ones at the top are for all."""
        for name in self.cores():
            package = package_of(name)
            for found in filter(None, (ours(one, self.modules) for one in imports(self.modules[name]))):
                self.assertTrue(is_core(found), f"{name} imports {found}, which is no core")
                allowed = package_of(found) in {package, ""} | CORE_FRIENDS.get(package, set())
                self.assertTrue(allowed, f"{name} imports {found}")

    def test_services_do_not_import_each_others_shells(self) -> None:
        """They meet in the Context."""
        for name in self.modules:
            package = package_of(name)
            if is_core(name) or package == "":
                continue
            for found in filter(None, (ours(one, self.modules) for one in imports(self.modules[name]))):
                allowed = is_core(found) or package_of(found) in {package, *SHARED}
                self.assertTrue(allowed, f"{name} imports {found}")

    def test_a_library_stays_in_its_room(self) -> None:
        """Replacing it touches one file."""
        for name, tree in self.modules.items():
            for found in imports(tree):
                rooms = ONLY.get(found.partition(".")[0])
                self.assertTrue(rooms is None or name in rooms, f"{name} imports {found}")

    def test_nobody_imports_tap(self) -> None:
        """It is the end of all arrows."""
        for name, tree in self.modules.items():
            self.assertNotIn("tap", [ours(one, self.modules) for one in imports(tree, running=False)], name)

    def test_the_reactor_is_imported_in_tap_and_inside_a_function_only(self) -> None:
        """Everybody else is given one."""
        for name, tree in self.modules.items():
            found = [one for one in imports(tree, running=False) if one == "twisted.internet.reactor"]
            self.assertTrue(not found or name == "tap", name)
        top = [name for node in self.modules["tap"].body if not isinstance(node, ast.FunctionDef) for name in imports(node)]
        self.assertNotIn("twisted.internet.reactor", top)

    def test_nobody_asks_the_system_for_the_time(self) -> None:
        """The time is the clock's that one was given."""
        for name, tree in self.modules.items():
            asked = calls(tree) & {"time.time", "time", "datetime.now", "datetime.datetime.now", "time.monotonic"}
            self.assertFalse(asked, name)

    def test_chance_is_the_systems(self) -> None:
        """Nobody guesses what `secrets` gives; what `random` gives is known to whoever has seen enough of it."""
        for name, tree in self.modules.items():
            self.assertEqual([one for one in imports(tree) if one.partition(".")[0] in ("random", "numpy")], [], name)

    def test_there_is_no_database(self) -> None:
        """CVE-2018-4056: what speaks no SQL cannot be made to say more of it."""
        for name, tree in self.modules.items():
            found = [one for one in imports(tree) if one.partition(".")[0] in (
                "sqlite3", "sqlalchemy", "psycopg", "psycopg2", "pymysql", "MySQLdb", "pymongo")]
            self.assertEqual([*found, *(one for one in imports(tree) if "adbapi" in one)], [], name)

    def test_unit_tests_have_no_reactor(self) -> None:
        """A rule whose test needs one is in the wrong module."""
        for path in sorted((ROOT / "tests" / "unit").glob("*.py")):
            found = imports(ast.parse(path.read_text()))
            self.assertEqual([one for one in found if one.startswith("twisted.internet.reactor")], [], path.name)

    def test_importing_a_core_installs_no_reactor(self) -> None:
        """Seen from the outside, each core on its own, in a fresh interpreter."""
        program = (
            "import importlib, sys\n"
            "before = set(sys.modules)\n"
            "for name in sys.argv[1:]:\n"
            "    importlib.import_module('rtcd.' + name)\n"
            "    loaded = {one.partition('.')[0] for one in set(sys.modules) - before} & {'twisted', 'zope', 'OpenSSL'}\n"
            "    assert not loaded, (name, sorted(loaded))\n")
        done = subprocess.run([sys.executable, "-c", program, *self.cores()], cwd=ROOT, capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
