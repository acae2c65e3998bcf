"""What installing and removing would do: first run, second run, upgrade, somebody's own changes, packages."""

from __future__ import annotations

import dataclasses
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.install.layout import PREFIX, Layout
from rtcd.install.limits import limits
from rtcd.install.plan import Facts, installation, record, removal
from rtcd.install.receipt import Receipt, decode, digest
from rtcd.install.steps import Keep, MakeDirectory, Plan, Remove, RemoveDirectory, RemoveTree, Run, Write

UNITS = {"rtcd.service": "[Service]\nExecStart=/opt/rtcd/bin/twistd -n\n", "rtcd.socket": "[Socket]\nA\n",
         "rtcd-http.socket": "[Socket]\nB\n"}
LIMITS = "net.core.rmem_max = 1\n"
INI = "[web]\n"
UNIT = "/etc/systemd/system/rtcd.service"
PULLING = f"{UNIT}.d/sockets.conf"
SYSCTL = "/etc/sysctl.d/60-rtcd.conf"
FRESH = Facts("2", source="/src")


class Machine:
    """Files and folders as the steps leave them."""

    def __init__(self, layout: Layout | None = None, **facts: Any) -> None:
        self.layout = layout or Layout()
        self.facts = dataclasses.replace(FRESH, **facts)
        self.ran: list[str] = []

    def plan(self, *, sockets: bool = False, units: dict[str, str] | None = None) -> Plan:
        """Of an installation."""
        return installation(self.layout, self.facts, INI, units or UNITS, LIMITS, sockets=sockets)

    def install(self, **options: Any) -> Plan:
        """Do what the plan says."""
        plan = self.plan(**options)
        self.take(plan)
        return plan

    def take(self, plan: Plan) -> None:
        """As rtcd.install.doing."""
        files, folders, receipt = dict(self.facts.files), set(self.facts.directories), self.facts.receipt
        for step in plan.steps:
            if isinstance(step, Write) and step.path == self.layout.receipt:
                receipt = decode(step.data)
            elif isinstance(step, Write):
                files[step.path] = step.data
            elif isinstance(step, MakeDirectory):
                folders.add(step.path)
            elif isinstance(step, Remove):
                files.pop(step.path, None)
            elif isinstance(step, Run):
                self.ran.append(step.text)
        self.facts = dataclasses.replace(self.facts, files=files, directories=frozenset(folders), receipt=receipt,
                                         present=not self.layout.root, environment=not self.layout.root,
                                         cached=not self.layout.root)

    def change(self, **facts: Any) -> None:
        """Something else is known now."""
        self.facts = dataclasses.replace(self.facts, **facts)


def written(plan: Plan) -> list[str]:
    """Paths of what it writes."""
    return [one.path for one in plan.steps if isinstance(one, Write)]


def kept(plan: Plan) -> dict[str, str]:
    """What it leaves alone, and why."""
    return {one.path: one.why for one in plan.steps if isinstance(one, Keep)}


def commands(plan: Plan) -> list[str]:
    """What it runs."""
    return [one.text for one in plan.steps if isinstance(one, Run)]


class Installing(SynchronousTestCase):
    def test_the_first_time_makes_everything(self) -> None:
        machine = Machine()
        plan = machine.plan()
        self.assertEqual(written(plan), ["/etc/rtcd/rtcd.ini", UNIT, SYSCTL, "/opt/rtcd/share/rtcd/installed.json"])
        ran = commands(plan)
        self.assertEqual(ran[:2], ["python3 -m venv /opt/rtcd",
                                   "/opt/rtcd/bin/pip --disable-pip-version-check -q install --upgrade /src"])
        self.assertEqual(ran[3:], [f"sysctl -q --load={SYSCTL}", "systemctl daemon-reload",
                                   "systemctl enable --now rtcd.service"])
        self.assertEqual(plan.left, ())

    def test_the_second_time_changes_nothing(self) -> None:
        for sockets in (False, True):
            machine = Machine()
            machine.install(sockets=sockets)
            machine.change(handed=sockets, running=True)
            again = machine.plan(sockets=sockets)
            self.assertEqual((again.changes, again.left), ((), ()))

    def test_an_upgrade_keeps_the_ini_and_replaces_what_is_ours(self) -> None:
        """The daemon that runs goes on until somebody restarts it: an upgrade cuts no call by itself."""
        machine = Machine()
        machine.install()
        files = {**machine.facts.files, "/etc/rtcd/rtcd.ini": b"[turn]\n"}
        machine.change(version="3", present=False, running=True, files=files)
        plan = machine.install(units={**UNITS, "rtcd.service": "new"})
        self.assertEqual(kept(plan)["/etc/rtcd/rtcd.ini"], "yours, as it is")
        self.assertEqual(machine.facts.files["/etc/rtcd/rtcd.ini"], b"[turn]\n")
        self.assertEqual(machine.facts.files[UNIT], b"new")
        self.assertEqual([one for one in commands(plan) if "systemctl" in one], ["systemctl daemon-reload"])
        self.assertFalse([one for one in commands(plan) if "venv " in one])
        self.assertIn("systemctl restart rtcd", plan.left[0])
        assert machine.facts.receipt is not None
        self.assertEqual((machine.facts.receipt.version, machine.facts.receipt.program), ("3", True))

    def test_a_wheel_of_the_same_number_is_installed_all_the_same(self) -> None:
        """pip would say that it is there."""
        machine = Machine(source="/src/rtcd-2-py3-none-any.whl", environment=True)
        self.assertIn("install --upgrade --force-reinstall /src/rtcd-2", commands(machine.plan())[0])

    def test_an_upgrade_by_pip_leaves_the_list_of_plugins_and_the_restart(self) -> None:
        machine = Machine()
        machine.install()
        machine.change(version="3", cached=False, running=True)
        plan = machine.install()
        self.assertEqual([one.split(" ")[0] for one in commands(plan)], ["/opt/rtcd/bin/python"])
        self.assertIn("systemctl restart rtcd", plan.left[0])

    def test_a_unit_that_was_changed_by_hand_stays(self) -> None:
        """Ours is put beside it, where systemd does not read it; also where there was one before us."""
        by_hand = {UNIT: b"mine"}
        for machine in (Machine(), Machine(files=by_hand)):
            if not machine.facts.files:
                machine.install()
                machine.change(files={**machine.facts.files, **by_hand})
            plan = machine.install()
            self.assertIn("changed by hand", kept(plan)[UNIT])
            self.assertEqual(machine.facts.files[UNIT], b"mine")
            self.assertIn(b"ExecStart", machine.facts.files[f"{UNIT}.new"])
            machine.change(running=True)
            self.assertEqual(machine.plan().changes, ())

    def test_a_unit_that_was_disabled_stays_disabled(self) -> None:
        machine = Machine()
        machine.install()
        self.assertNotIn("enable", " ".join(commands(machine.plan(units={**UNITS, "rtcd.service": "new"}))))

    def test_sockets_are_enabled_where_the_ini_takes_them(self) -> None:
        """Or daemon and systemd would both want the ports."""
        fresh = Machine().plan(sockets=True)
        self.assertIn("systemctl enable --now rtcd.socket rtcd-http.socket rtcd.service", commands(fresh))
        self.assertIn(PULLING, written(fresh))
        own = Machine(files={"/etc/rtcd/rtcd.ini": b"[web]\n"})
        plan = own.plan(sockets=True)
        self.assertIn("systemctl enable --now rtcd.service", commands(plan))
        self.assertIn("systemd:domain=INET6:name=https", plan.left[-1])
        self.assertNotIn(PULLING, written(plan))
        own.change(handed=True)
        self.assertEqual(own.plan(sockets=True).left, ())

    def test_sockets_are_upgraded_without_being_asked_for_again(self) -> None:
        machine = Machine()
        machine.install(sockets=True)
        machine.change(handed=True, running=True)
        plan = machine.plan(units={**UNITS, "rtcd.socket": "new"})
        self.assertEqual(written(plan)[0], "/etc/systemd/system/rtcd.socket")

    def test_without_systemd_its_commands_are_left_to_you(self) -> None:
        plan = Machine(systemd=False).plan()
        self.assertEqual([one for one in commands(plan) if "system" in one], [])
        self.assertIn("systemctl enable --now rtcd.service", plan.left)

    def test_a_program_that_comes_from_nowhere_is_refused(self) -> None:
        for facts, said in (({"source": None}, "no checkout"), ({"creator": None}, "python3-venv"),
                            ({"free": False}, "has other things in it")):
            with self.assertRaises(ValueError) as raised:
                Machine(**facts).plan()
            self.assertIn(said, str(raised.exception))
        with self.assertRaises(ValueError) as raised:
            Machine(Layout("/usr")).plan()
        self.assertIn("distribution's packages", str(raised.exception))

    def test_an_ini_that_the_service_cannot_read_is_refused(self) -> None:
        """As an import writes it, for its owner alone; a unit of somebody's own may have a user who can."""
        ours = Receipt("1", {UNIT: digest(b"x")})
        for machine in (Machine(), Machine(receipt=ours, files={UNIT: b"x"})):
            machine.change(closed="/etc/rtcd/rtcd.ini")
            with self.assertRaises(ValueError) as raised:
                machine.plan()
            self.assertIn("chmod o+rX /etc/rtcd/rtcd.ini", str(raised.exception))
        self.assertIn(UNIT, kept(Machine(closed="/etc/rtcd", files={UNIT: b"x"}).plan()))

    def test_what_was_done_before_a_failure_is_remembered(self) -> None:
        """And enabling that has failed is tried again."""
        machine = Machine()
        steps = machine.plan().steps
        failed = next(index for index, one in enumerate(steps) if isinstance(one, Run) and "enable" in one.text)
        receipt = record(machine.facts, steps[:failed])
        self.assertEqual((receipt.program, receipt.enabled), (True, ()))
        self.assertEqual(set(receipt.files), {machine.layout.ini, UNIT, SYSCTL})
        machine.take(Plan(steps[:failed]))
        machine.change(receipt=receipt)
        again = machine.plan()
        self.assertEqual((commands(again)[-1], written(again)),
                         ("systemctl enable --now rtcd.service", [machine.layout.receipt]))

    def test_a_package_is_staged_below_usr_and_etc_and_nothing_runs(self) -> None:
        plan = Machine(Layout("/usr", "/tmp/stage")).plan(sockets=True)
        self.assertEqual(commands(plan), [])
        for path in written(plan):
            self.assertTrue(path.startswith(("/usr/", "/etc/rtcd/")), path)
        self.assertIn("/usr/bin/python3 -c", plan.left[0])
        unit = next(one for one in plan.steps if isinstance(one, Write) and one.path.endswith("rtcd.service"))
        self.assertIn(b"ExecStart=/usr/bin/twistd", unit.data)


class Removing(SynchronousTestCase):
    def test_it_takes_what_it_made_and_nothing_else(self) -> None:
        machine = Machine()
        machine.install(sockets=True)
        machine.change(files={**machine.facts.files, "/etc/rtcd/rtcd.ini": b"[turn]\n", f"{SYSCTL}.new": b"mine"})
        plan = removal(machine.layout, machine.facts)
        self.assertEqual(commands(plan)[0], "systemctl disable --now rtcd-http.socket rtcd.socket rtcd.service")
        self.assertEqual(kept(plan), {"/etc/rtcd/rtcd.ini": "changed since it was installed",
                                      f"{SYSCTL}.new": "not made by installing"})
        self.assertEqual({one.path for one in plan.steps if isinstance(one, Remove)},
                         {UNIT, PULLING, "/etc/systemd/system/rtcd.socket", "/etc/systemd/system/rtcd-http.socket", SYSCTL,
                          machine.layout.receipt})
        self.assertIn(RemoveTree(PREFIX), plan.steps)
        self.assertTrue({RemoveDirectory("/etc/rtcd"), RemoveDirectory(f"{UNIT}.d")} <= set(plan.steps))
        self.assertIn("/var/lib/rtcd", plan.left[0])

    def test_an_environment_that_was_there_before_stays(self) -> None:
        """And a folder; and all of /usr in any case."""
        machine = Machine(present=True, environment=True, directories=frozenset(["/etc/rtcd"]))
        machine.install()
        plan = removal(machine.layout, machine.facts)
        self.assertEqual([one for one in plan.steps if isinstance(one, RemoveTree)], [])
        self.assertEqual([one.path for one in plan.steps if isinstance(one, RemoveDirectory)], ["/opt/rtcd/share/rtcd"])
        packaged = Facts("2", receipt=Receipt("2", program=True), environment=True)
        self.assertEqual([one for one in removal(Layout("/usr"), packaged).steps if isinstance(one, RemoveTree)], [])

    def test_a_unit_that_somebody_has_turned_on_is_turned_off(self) -> None:
        """As whoever installs without systemd, or by hand after a failure: nothing of it is in the receipt, and the program
        would go from under the daemon."""
        for sockets in (False, True):
            machine = Machine(systemd=False)
            machine.install(sockets=sockets)
            machine.change(systemd=True, running=True)
            ran = commands(removal(machine.layout, machine.facts))
            self.assertEqual(ran, ["systemctl disable --now " + ("rtcd-http.socket rtcd.socket " if sockets else "") +
                                   "rtcd.service", "systemctl daemon-reload"])
            machine.change(files={**machine.facts.files, UNIT: b"mine"})
            self.assertIn("rtcd.service", commands(removal(machine.layout, machine.facts))[0])

    def test_a_receipt_leads_to_no_other_file(self) -> None:
        """Whatever is written in it."""
        receipt = Receipt("2", {"/etc/passwd": digest(b"x")}, ("/etc",), False, ("ssh.service",))
        steps = removal(Layout(), Facts("2", receipt=receipt, files={"/etc/passwd": b"x"})).steps
        self.assertEqual(steps, (Remove(Layout().receipt),))

    def test_without_a_receipt_nothing_is_removed(self) -> None:
        with self.assertRaises(ValueError) as raised:
            removal(Layout(), FRESH)
        self.assertIn("--prefix", str(raised.exception))


class Records(SynchronousTestCase):
    def test_a_receipt_is_read_as_it_was_written(self) -> None:
        receipt = Receipt("2", {"/a": "b"}, ("/c",), True, ("d",))
        self.assertEqual(decode(receipt.encode()), receipt)

    def test_what_is_no_receipt_is_told(self) -> None:
        for data in (b"", b"[]", b"{}", b"null", b"\xff", receipt_with(b"1", b'"2"'), receipt_with(b"1", b"false"),
                     receipt_with(b'"1"', b"true", b"[1]")):
            self.assertRaises(ValueError, decode, data)

    def test_prefixes_that_the_unit_cannot_use_are_refused(self) -> None:
        for one in ("", "/", "opt/rtcd", "/opt/a b", "/opt/../etc", "/opt/%n", "/home/ann/rtcd", "/root", "/tmp/rtcd",
                    "/opt", "/srv", "/usr/local"):
            self.assertRaises(ValueError, Layout, one)
        self.assertTrue(Layout("/usr").packaged)
        self.assertEqual(Layout("/homes/rtcd").python, "/homes/rtcd/bin/python")

    def test_limits_are_raised_and_never_lowered(self) -> None:
        text = limits({"net.core.rmem_max": 9000000, "net.core.wmem_max": 212992}, 0)
        self.assertIn("net.core.rmem_max = 9000000\nnet.core.wmem_max = 1048576\n", text)
        self.assertIn("net.core.wmem_max = 4194304\n", limits({}, 4194304))


def receipt_with(version: bytes, program: bytes, files: bytes = b"{}") -> bytes:
    """One whose fields have the wrong types."""
    return b'{"version": %s, "files": %s, "directories": [], "program": %s, "enabled": []}' % (version, files, program)
