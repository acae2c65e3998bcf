"""``rtcd check-config`` in this process: what it says of an ini and of the environment."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from argparse import Namespace
from pathlib import Path

from twisted.trial.unittest import SkipTest

from rtcd import exposed, foreseen
from rtcd.cli import ini
from rtcd.cli.effective import MASK
from rtcd.config import file_keys, key_of
from rtcd.plugin import plugins
from rtcd.schemas import SHARED, Schemas
from rtcd.workers import cores
from tests.shell.test_cli import CommandTestCase

PEM = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
BAD = """\
[turn]
prot = 3478
port = many
relay-plane = kernal
min-port = 60000
realm =
[web]
[sygnaling]
nonsense
[doorway]
https = 8443
[credentials]
secret = sesame
"""


class CheckTestCase(CommandTestCase):
    """An environment without our variables."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(os, "environ", {name: value for name, value in os.environ.items() if not name.startswith("RTCD_")})

    def check(self, text: str, *arguments: str, code: int = 1, **environment: str) -> str:
        """What it says of an ini."""
        path = self.write_ini(text, "checked.ini")
        path.chmod(0o600)
        self.patch(os, "environ", {**os.environ, **environment})
        found, out, errors = self.run_command("check-config", "-c", str(path), *arguments)
        self.assertEqual((found, errors), (code, ""), out)
        return out.replace(f"{self.folder}/", "")


class Faults(CheckTestCase):
    def test_every_fault_is_a_line_with_file_line_section_and_key(self) -> None:
        out = self.check(BAD)
        self.assertEqual([one.split(";")[0] for one in out.splitlines()], [
            "checked.ini:2: [turn] prot: unknown key, did you mean port?",
            "checked.ini:3: [turn] port: 'many' is not a whole number",
            "checked.ini:4: [turn] relay-plane: 'kernal' is none of auto, kernel, python, did you mean kernel?",
            "checked.ini:5: [turn] min-port: 60000 is more than max-port 50175",
            "checked.ini:6: [turn] realm: takes 1 to 127 characters and no quotation mark",
            "checked.ini:7: [web]: its calls need signalling, which is off",
            "checked.ini:8: [sygnaling]: no service has this name, did you mean signaling?",
            "checked.ini:9: line 9 is neither [section] nor key = value",
            "checked.ini:11: [doorway] https: '8443' is no endpoint (Unknown endpoint type: '8443')",
            "checked.ini:13: [credentials] secret: is shorter than 16 characters and could be guessed",
            "checked.ini: 10 faults"])
        self.assertNotIn("sesame", out)

    def test_a_secret_that_is_written_wrongly_is_not_shown(self) -> None:
        """Standard error goes to the journal."""
        for text in ("user =\nann:sesame", "ann:sesame", "secret: sesame", "user =\nann:ses=ame", "ann:sesame = x",
                     "ann:sesame = x\nann:sesame = x", "[credentials]\nsecret sesame", "sesame", "secret:sesame = x",
                     "[credentials]\nsecret =\nsesame0vh2bcm3rmkjxk8ze=", "Kq7sesame+a/b = ", f"{'x' * 40}sesame ="):
            out = self.check(f"[turn]\n{text}\n")
            self.assertNotRegex(out, "ses|ann")
            self.assertRegex(out, "line [0-9]+ (is neither|sets no key)")

    def test_an_ini_without_fault_is_told(self) -> None:
        self.assertEqual(self.check("[turn]\n", code=0), "checked.ini: no fault\n")
        self.assertIn("checked.ini: 1 fault\n", self.check("[rooms]\n"))

    def test_machines_are_told_the_same(self) -> None:
        found = json.loads(self.check(BAD, "--json", RTCD_TURN_UPD="no"))
        self.assertEqual(found["file"], "checked.ini")
        self.assertEqual(len(found["faults"]), 11)
        self.assertEqual(found["faults"][1], {
            "file": "checked.ini", "line": 2, "variable": None, "section": "turn", "key": "prot",
            "what": "unknown key, did you mean port?", "mend": "correct or remove it"})
        self.assertEqual(found["faults"][0]["variable"], "RTCD_TURN_UPD")
        self.assertNotIn("effective", found)

    def test_variables_are_judged_like_keys(self) -> None:
        out = self.check("[turn]\nport = 1\n", RTCD_TURN_PORT="x", RTCD_TURN_UPD="no", RTCD_TRUN_PORT="1", RTCD_ELSE="x")
        self.assertEqual(out.splitlines(), [
            "RTCD_TRUN_PORT: no section has this name, did you mean RTCD_TURN_PORT?; correct or unset it",
            "RTCD_TURN_PORT: [turn] port: 'x' is not a whole number",
            "RTCD_TURN_UPD: [turn]: sets no key, did you mean RTCD_TURN_UDP?; correct or unset it",
            "RTCD_ELSE: warning: sets nothing: it begins like a variable of rtcd and names no section",
            "checked.ini: 3 faults"])

    def test_what_is_unwise_is_a_warning(self) -> None:
        text = "[turn]\nallow-loopback-peers = yes\nuser = ann:sesame\n[credentials]\nsecret = 0123456789abcdef\n"
        out = self.check(text, code=0)
        self.assertEqual([one.split(": ")[:2] for one in out.splitlines()[:-1]],
                         [["checked.ini:2", "warning"], ["checked.ini:3", "warning"]])

    def test_workers_for_each_core_are_judged_by_the_cores_that_are_here(self) -> None:
        """No fault: it is perhaps for another machine."""
        text = "[daemon]\nworkers = auto\n[turn]\nmobility = yes\n"
        self.patch(cores, "_affinity", lambda: 2)
        self.patch(cores, "quotas", lambda: ())
        self.assertIn("checked.ini:4: warning: [turn] mobility: where [daemon] workers = auto comes to 2, as here, the "
                      "daemon does not start: a client's next", self.check(text, code=0))
        self.patch(cores, "quotas", lambda: ("100000 100000",))
        self.assertEqual(self.check(text, code=0), "checked.ini: no fault\n")

    def test_a_file_of_a_secret_that_everybody_can_read_is_a_warning(self) -> None:
        """Wherever it is named; not if it is in a closed folder, and not if it holds a public key."""
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        for name, text in (("token", "t" * 32), ("turn", "s" * 32), ("key", PEM)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o644)
        ini = (f"[turn]\n[admin]\ntoken-file = {folder}/token\njwt-key-file = {folder}/key\njwt-algorithm = EdDSA\n")
        variable = {"RTCD_CREDENTIALS_SECRET_FILE": f"{folder}/turn"}
        self.assertEqual(self.check(ini, code=0, **variable), "checked.ini: no fault\n")
        folder.chmod(0o755)
        said = "can be read by everybody on this machine; leave it to the daemon's user alone, with mode 600"
        self.assertEqual(sorted(self.check(ini, code=0, **variable).splitlines()[:-1]), [
            f"RTCD_CREDENTIALS_SECRET_FILE: warning: [credentials] secret-file: {folder}/turn {said}",
            f"checked.ini:3: warning: [admin] token-file: {folder}/token {said}"])
        for name in ("token", "turn"):
            (folder / name).chmod(0o640)
        self.assertEqual(self.check(ini, code=0, **variable), "checked.ini: no fault\n")

    def test_the_files_of_regions_are_read(self) -> None:
        """As the start does."""
        (self.folder / "regions").write_text("192.0.2.0/24 eu\n192.0.2.0/33 eu\n")
        ini = "[turn]\n[web]\n[signaling]\n[ice]\nregions = regions\n"
        self.assertRegex(self.check(ini), r"checked\.ini:5: \[ice\] regions: \S*regions: line 2: ")
        (self.folder / "regions").write_text("192.0.2.0/24 eu\n")
        self.assertEqual(self.check(ini, code=0), "checked.ini: no fault\n")
        self.assertIn(":6: [ice] geoip: ", self.check(f"{ini}geoip = none.mmdb\ngeoip-regions = country:DE eu\n"))

    def test_a_link_in_a_closed_folder_hides_nothing(self) -> None:
        """Everybody may go to where it leads."""
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        folder.chmod(0o755)
        (folder / "secret").write_text("s" * 32)
        (folder / "closed").mkdir(mode=0o700)
        (folder / "closed" / "link").symlink_to(folder / "secret")
        text = f"[turn]\n[credentials]\nsecret-file = {folder}/closed/link\n"
        (folder / "secret").chmod(0o644)
        self.assertIn("can be read by everybody", self.check(text, code=0))
        (folder / "secret").chmod(0o640)
        self.assertEqual(self.check(text, code=0), "checked.ini: no fault\n")

    def test_an_ini_that_cannot_be_read_is_a_fault(self) -> None:
        for path, said in ((self.folder / "nowhere", "No such file"), (self.folder, "directory")):
            code, out, errors = self.run_command("check-config", "-c", str(path))
            self.assertEqual((code, errors, out.count("\n")), (1, "", 2))
            self.assertIn(said, out)
        (self.folder / "latin").write_bytes(b"[turn]\nrealm = \xe4\n")
        self.assertIn("not UTF-8", self.run_command("check-config", "-c", str(self.folder / "latin"))[1])

    def test_what_would_stop_the_start_is_told(self) -> None:
        """If it needs neither a port nor the network to be found."""
        for name, text in (("users", "ann\n"), ("keys", "x\n")):
            (self.folder / name).write_text(text)
        for text, said in (
            ("[metrics]\nlisten = nonsense", "[metrics] listen: 'nonsense' is no endpoint (Unknown endpoint type"),
            ("[doorway]\nhttps = tcp:99999", "[doorway] https: 'tcp:99999' is no endpoint (a port is no more than 65535)"),
            ("[doorway]\nplain = ssl:8443", "[doorway] plain: 'ssl:8443' is no endpoint ("),
            ("[doorway]\nhttps = systemd:", "[doorway] https: 'systemd:' is no endpoint (Specify exactly one"),
            ("[doorway]\nhttps = systemd:domain=INETX:name=a", "https' is no endpoint (there is no family INETX)"),
            ("[tls]\nciphers = FOO", "[tls] ciphers: OpenSSL knows none of these"),
            ("[admin]\nkeys-file = nowhere", "[admin] keys-file: nowhere cannot be read (No such file or directory)"),
            ("[admin]\nkeys-file = keys", "[admin] keys-file: keys: "),
            ("[turn]\nusers-file = nowhere", "[turn] users-file: nowhere cannot be read (No such file or directory)"),
            ("[turn]\nusers-file = users", "[turn] users-file: users: "),
            ("[daemon]\ngroup = nogroup", "[daemon] group: goes with user, which is not set"),
            ("[daemon]\nuser = no-such-user", "[daemon] user: there is no user no-such-user"),
            ("[daemon]\nuser = root\ngroup = no-such-group", "[daemon] group: there is no group no-such-group"),
            ("[turn]\nlisten = 192.0.2.1\nexternal-ip = 203.0.113.5/192.0.2.2", "[turn] external-ip: 192.0.2.2 belongs"),
            ("[rooms]\nstore = rediss://h\nstore-ca = nowhere", "[rooms] store-ca: nowhere cannot be read (No such file"),
            ("[rooms]\nstore = rediss://h\nstore-ca = keys", "[rooms] store-ca: keys holds no certificate in PEM; name the"),
            ("[turn]\nlisten = 192.0.2.1\nexternal-ip = a.example/192.0.2.2", "[turn] external-ip: 192.0.2.2 belongs"),
        ):
            out = self.check(f"{text}\n{'' if '[rooms]' in text else '[rooms]'}\n{'' if '[turn]' in text else '[turn]'}\n")
            self.assertIn(said.replace("https' is", "INETX:name=a' is"), out)
            self.assertIn("checked.ini: 1 fault", out)

    def test_a_package_that_a_store_needs_and_nobody_has_installed_is_told(self) -> None:
        """In the words of the start; rooms in memory need none."""
        self.patch(foreseen, "LIBRARY", "no_such_package")
        out = self.check("[turn]\n[rooms]\nstore = redis://h\n")
        self.assertIn(":3: [rooms] store: rooms on Redis need the Python package no_such_package; run: pip install", out)
        self.check("[turn]\n[rooms]\n", code=0)

    def test_what_is_not_for_who_asks_is_no_fault(self) -> None:
        """The daemon is perhaps somebody else."""
        self.patch(os, "access", lambda path, mode: False)
        for name in ("users", "keys", "ca"):
            (self.folder / name).write_text("x")
        self.check("[turn]\nusers-file = users\nlisten = 0.0.0.0\nexternal-ip = 203.0.113.5/192.0.2.2\n[admin]\nkeys-file = "
                   "keys\n[rooms]\nstore = rediss://h\nstore-ca = ca\n"
                   "[doorway]\nhttps = systemd:domain=INET6:name=https\nhttp = ssl:1:privateKey=/nowhere\n", code=0)

    def test_a_misspelt_variable_is_told_though_there_is_no_ini(self) -> None:
        """It is the reason why one is looked for."""
        self.patch(os, "environ", {**os.environ, "RTCD_TRUN_PORT": "1"})
        code, out, errors = self.run_command("check-config", "-c", str(self.folder / "nowhere"))
        self.assertEqual((code, errors, out.count("\n")), (1, "", 3))
        self.assertIn("RTCD_TRUN_PORT: no section has this name, did you mean RTCD_TURN_PORT?", out)
        self.assertIn("No such file", out)

    def test_a_fault_of_the_whole_names_its_variable(self) -> None:
        out = self.check("[web]\n[signaling]\n", RTCD_WEB_REDIRECT_HOSTS="a.example")
        self.assertIn("RTCD_WEB_REDIRECT_HOSTS: [web] redirect-hosts: there is nowhere", out)

    def test_a_fault_of_the_whole_is_where_the_file_of_its_key_is_named(self) -> None:
        """Or where its section begins, if its key is nowhere."""
        (self.folder / "store").write_text("redis://h")
        self.patch(foreseen, "LIBRARY", "no_such_package")
        self.assertIn("checked.ini:3: [rooms] store: ", self.check("[turn]\n[rooms]\nstore-file = store\n"))
        self.assertIn("checked.ini:2: [ice] servers: no TURN server", self.check("[rooms]\n[ice]\nprobe-interval = 9\n"))

    def test_without_an_ini_the_environment_is_enough(self) -> None:
        """As for the daemon; an ini that is named has to be there."""
        here = Path.cwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.folder)
        self.patch(ini, "PLACES", ("nowhere", "nowhere"))
        self.assertEqual(self.run_command("check-config")[0], 1)
        self.patch(os, "environ", {**os.environ, "RTCD_TURN_PORT": "3479"})
        self.assertEqual(self.run_command("check-config")[:2], (0, "environment: no fault\n"))
        self.assertEqual(self.run_command("check-config", "-c", "nowhere")[0], 1)


class Exposed(CheckTestCase):
    """What everybody can read."""

    def setUp(self) -> None:
        """A folder that others may enter, wherever the tests run."""
        super().setUp()
        self.folder = Path(tempfile.mkdtemp()).resolve()
        self.ini = self.folder / "rtcd.ini"
        self.addCleanup(shutil.rmtree, self.folder)
        self.folder.chmod(0o755)
        for one in self.folder.parents:
            if not one.stat().st_mode & 0o001:
                raise SkipTest(f"nobody else comes to {one}")

    def warnings(self, text: str, mode: int = 0o644) -> list[str]:
        """What it says of an ini that may be read by these."""
        path = self.write_ini(text)
        path.chmod(mode)
        code, out, errors = self.run_command("check-config", "-c", str(path))
        self.assertEqual((code, errors), (0, ""), out)
        self.assertNotIn("sesame", out)
        return [one.partition("warning: ")[2] for one in out.splitlines() if "warning: " in one]

    def test_a_secret_in_the_ini_is_told_with_a_mend_for_who_reads_it(self) -> None:
        """The service is nobody whom a file could be given to, so an installed ini stays readable."""
        text = "[credentials]\nsecret = sesame0123456789abcdef\n[turn]\n"
        self.assertEqual(self.warnings(text, 0o600), [])
        (said,) = self.warnings(text)
        self.assertIn("everybody on this machine can read; leave it to the daemon's user alone, with mode 600", said)
        self.patch(exposed, "Layout", lambda: Namespace(ini=str(self.ini)))
        for key, more in (("secret-file", text), ("users-file", "[turn]\nuser = ann:sesame0123456789abcdef\n")):
            (said,) = self.warnings(more)
            self.assertNotIn("chmod", said)
            self.assertIn(f"to a file in /var/lib/rtcd, where the service alone comes, and name that as {key}", said)

    def test_a_redis_is_a_secret_only_with_its_password(self) -> None:
        """Which is masked with all of its line where every key is shown."""
        for store, wanted in (("memory", 0), ("redis://10.0.0.5:6379/0", 0), ("redis://:sesame@10.0.0.5", 1)):
            text = f"[turn]\n[rooms]\nstore = {store}\n"
            self.assertEqual(len(self.warnings(text)), wanted, store)
        code, out, _ = self.run_command("check-config", "--effective", "-c", str(self.write_ini(text)))
        self.assertEqual((code, "sesame" in out, "10.0.0.5" in out), (0, False, False))

    def test_a_secret_in_a_file_of_its_own_is_told_as_well(self) -> None:
        for name in ("secret", "users", "token", "key.pem", "cert.pem"):
            (self.folder / name).write_text("sesame0123456789abcdef01234567\n" if name in ("secret", "token") else "")
            (self.folder / name).chmod(0o644)
        text = ("[credentials]\nsecret-file = secret\n[turn]\nusers-file = users\n[metrics]\ntoken-file = token\n[tls]\n"
                "cert = cert.pem\nkey = key.pem\n")
        said = self.warnings(text)
        self.assertEqual([one.partition(" can be read by everybody")[0] for one in said], [
            f"[{key} {self.folder}/{name}" for key, name in (
                ("credentials] secret-file:", "secret"), ("turn] users-file:", "users"),
                ("metrics] token-file:", "token"), ("tls] key:", "key.pem"))])
        self.assertTrue(all("with mode 600" in one for one in said))
        self.patch(exposed, "Layout", lambda: Namespace(ini=str(self.ini)))
        said = self.warnings(text)
        self.assertTrue(all("move it to /var/lib/rtcd" in one for one in said[:3]), said)
        self.assertIn("LoadCredential=", said[3])
        for name in ("secret", "users", "token", "key.pem"):
            (self.folder / name).chmod(0o640)
        self.assertEqual(self.warnings(text), [])

    def test_a_file_that_others_cannot_come_to_is_well_kept(self) -> None:
        """As in the state directory of the service."""
        inside = self.folder / "state"
        inside.mkdir(0o700)
        (inside / "secret").write_text("sesame0123456789abcdef\n")
        (inside / "secret").chmod(0o644)
        self.assertEqual(self.warnings("[credentials]\nsecret-file = state/secret\n[turn]\n"), [])


class Effective(CheckTestCase):
    def test_every_key_has_its_value_and_its_origin(self) -> None:
        (self.folder / "secret").write_text("0123456789abcdef\n")
        out = self.check("[turn]\nport = 3479\nallowed-peers =\n  10.0.0.1\n  10.0.0.2\n[credentials]\nsecret-file = "
                         "secret\n[log]\n"
                         "", "--effective", code=0, RTCD_LOG_LEVEL="debug", RTCD_TURN_NONCE_SECRET="fedcba9876543210")
        lines = [" ".join(one.split()) for one in out.splitlines()]
        for line in ("line 2 port = 3479", "default tls-port = 5349", "RTCD_LOG_LEVEL level = debug", "default udp = yes",
                     f"line 7, secret secret = {MASK}", f"RTCD_TURN_NONCE_SECRET nonce-secret = {MASK}", "default user =",
                     "line 3 allowed-peers = 10.0.0.1", "10.0.0.2", "default external-ip = auto", "[rooms]"):
            self.assertIn(line, lines)
        self.assertNotIn("[web]", lines)
        for secret in ("0123456789abcdef", "fedcba9876543210"):
            self.assertNotIn(secret, out)

    def test_machines_are_told_as_well(self) -> None:
        found = json.loads(self.check("[turn]\nport = 3479\n", "--effective", "--json", code=0, RTCD_LOG_LEVEL="debug"))
        sections = found["effective"]
        self.assertEqual(set(sections), {*SHARED, "turn"})
        schemas = Schemas(plugins())
        for section, keys in sections.items():
            self.assertEqual(list(keys), [key_of(one) for one in schemas[section].__dataclass_fields__.values()])
            self.assertFalse(set(keys) & set(file_keys(schemas[section])))
        self.assertEqual(sections["turn"]["port"],
                         {"value": ["3479"], "origin": "ini", "line": 2, "variable": None, "file": None})
        self.assertEqual(sections["log"]["level"]["origin"], "environment")
        self.assertEqual(sections["log"]["format"]["origin"], "default")


class Verbs(CheckTestCase):
    """The others take the environment as well."""

    def test_a_users_file_may_be_named_by_a_variable(self) -> None:
        """Over the ini, and without one."""
        other = self.folder / "other"
        self.patch(os, "environ", {**os.environ, "RTCD_TURN_USERS_FILE": str(other), "RTCD_TURN_PROT": "1"})
        self.done("user", "add", "ann", "-p", "x")
        self.ini.unlink()
        self.assertEqual(self.done("user", "list"), "ann\n")
        self.assertFalse(self.users.exists())

    def test_a_service_that_a_variable_alone_turns_on_is_found(self) -> None:
        self.ini.unlink()
        self.patch(os, "environ", {**os.environ, "RTCD_ADMIN": "yes"})
        self.assertNotIn("cannot be read", self.refused("rooms"))
        self.patch(os, "environ", {**os.environ, "RTCD_ADMIN": "no"})
        self.assertIn("cannot be read", self.refused("rooms"))

    def test_a_variable_at_fault_is_named(self) -> None:
        self.patch(os, "environ", {**os.environ, "RTCD_TURN_REALM": '"'})
        self.assertIn("rtcd: RTCD_TURN_REALM: [turn] realm: takes 1 to", self.refused("user", "add", "ann", "-p", "x"))
