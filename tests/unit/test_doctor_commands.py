"""The commands that the doctor's checks give: that they are the right ones for what was found, and do no more."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.doctor.checks import (
    certificate,
    daemon,
    plane,
    ports,
    state,
)
from tests.unit.test_doctor_checks import DOWN, HTTPS, LEAF, MIDDLE, NOW, UP, cases, of_certificate, of_ports


class CommandTests(SynchronousTestCase):
    """Of facts that are made up."""

    def test_commands_mend_what_was_found(self) -> None:
        """Those that are made of facts."""
        commands = {wanted: next(one.command for one in found if f"{one.id} {one.level}" == wanted)
                    for wanted, found in cases()}
        for wanted, command in {
            "state.owner broken": "chown -R 999:9 /s", "state.full broken": "mount -o remount,size=65616k /s",
            "ports.taken broken": "kill 7", "ports.closed broken": "systemctl restart rtcd.service",
            "ports.no-right broken": "sysctl -w net.ipv4.ip_unprivileged_port_start=443",
            "firewall.closed broken": "nft insert rule inet f in udp dport 3478 accept",
            "certificate.key-unreadable broken": "chgrp 9 /d /d/k && chmod g+rX /d /d/k",
            "limits.files degraded": "prlimit --pid 7 --nofile=2048:2048",
            "certificate.stale degraded": "reload",
        }.items():
            self.assertEqual(commands[wanted], command)
        self.assertIn("s#^(external-ip *= *|[[:space:]]+)9\\.9\\.9\\.9 *$#\\18.8.8.8#".replace("8.8.8.8", r"8\.8\.8\.8"),
                      commands["nat.external-wrong broken"])

    def test_certbot_is_asked_where_the_files_are_its_own(self) -> None:
        """By the name that it has for them; others' files are theirs to renew."""
        old, file = (LEAF._replace(not_after=NOW - 1), MIDDLE), "/etc/letsencrypt/live/a.example/fullchain.pem"
        commands = [of_certificate(**facts)[0].command for facts in (
            {"chain": old, "file": file}, {"wanted": ("b.example",), "file": file}, {"chain": old, "file": "/etc/c.pem"},
            {"wanted": ("b.example",), "file": "/etc/c.pem"}, {"chain": old, "mode": "acme"})]
        self.assertEqual(commands, ["certbot renew --cert-name a.example",
                                    "certbot certonly --cert-name a.example -d a.example -d b.example", "", "", "reload"])

    def test_a_key_is_closed_to_those_who_could_read_or_write_it(self) -> None:
        for mode, wanted in ((0o641, "good"), (0o644, "key-open"), (0o642, "key-open")):
            (found,) = of_certificate(keys=[certificate.Key("/k", mode)])
            self.assertEqual(found.id, f"certificate.{wanted}")

    def test_room_is_made_where_it_lacks(self) -> None:
        """By more memory, or by the journal if that is on the same file system; a file system of another kind is left."""
        for facts, command in (({"kind": "tmpfs", "mount": "/a b", "size_bytes": 80 << 20},
                                "mount -o remount,size=147456k '/a b'"),
                               ({"kind": "ramfs", "mount": "/s"}, ""), ({"kind": "ext4"}, ""),
                               ({"kind": "ext4", "journal": True}, "journalctl --vacuum-size=100M")):
            (found,) = state.judge(state.Facts("/s", full=True, **facts))
            self.assertEqual(found.command, command)

    def test_a_unit_is_added_to_and_nothing_of_it_taken_away(self) -> None:
        """A filter or a bounding set where there is none would forbid all the rest; without a unit nothing is written."""
        def added(**facts: Any) -> str:
            (found,) = plane.judge(plane.Facts("auto", False, "", ("CAP_BPF",), **facts))
            return found.command

        self.assertEqual([added(), added(filtered=True), added(unit="rtcd.service")], [""] * 3)
        rights = "AmbientCapabilities=CAP_BPF\\n"
        for facts, text in (({"filtered": False}, rights), ({"filtered": True}, f"{rights}SystemCallFilter=bpf capset\\n"),
                            ({"filtered": False, "bounded": True}, f"{rights}CapabilityBoundingSet=CAP_BPF\\n")):
            command = added(unit="my rtcd.service", **facts)
            self.assertIn(f"printf '[Service]\\n{text}' > '/etc/systemd/system/my rtcd.service.d'/kernel.conf", command)
            self.assertTrue(command.endswith("systemctl restart 'my rtcd.service'"))

    def test_who_was_started_by_hand_is_not_started_beside_itself(self) -> None:
        """The second one would find its ports taken."""
        self.assertEqual([one.restart() for one in (UP, DOWN, daemon.Facts("/i", 7), daemon.Facts("environment"))], [
            "systemctl restart rtcd.service", "twistd -n rtcd --config /etc/rtcd/rtcd.ini", "", "twistd -n rtcd"])

    def test_nobody_is_told_to_end_the_daemon_or_the_first_process(self) -> None:
        """Of what systemd holds for others the unit is named; what others have put into a name is quoted."""
        held = ports.Holder("udp", "192.0.2.1", 3478, 0, 7, "twistd", "rtcd.service", "/other.ini")
        for running, holder, command in (
                (DOWN, held, ""), (UP, held._replace(pid=8), ""),
                (DOWN, held._replace(rtcd=""), "systemctl disable --now rtcd.service"),
                (DOWN, held._replace(rtcd="", unit="a b.service"), "systemctl disable --now 'a b.service'"),
                (DOWN, ports.Holder("udp", "::", 3478, 0, 1, "systemd", "x.socket"), "systemctl disable --now x.socket"),
                (DOWN, ports.Holder("udp", "::", 3478, 0, 1, "init"), "")):
            (found,) = of_ports(running, holder, refused="EADDRINUSE")
            self.assertEqual((found.id, found.command), (
                "ports.other-daemon" if holder == held and running == DOWN else "ports.taken", command))

    def test_ports_of_one_fault_are_one_finding(self) -> None:
        """The command of the lowest opens the others too."""
        http, turn = ports.Wanted("[doorway] http", "tcp", "::", 80), ports.Wanted("[turn] port", "udp", "192.0.2.1", 443)
        wanted = [HTTPS, http, turn]
        (found,) = ports.judge(ports.Facts(wanted, (), dict.fromkeys(wanted, "EACCES"), DOWN))
        self.assertEqual((found.values["ports"], found.command), (
            "tcp 443, tcp 80, udp 443", "sysctl -w net.ipv4.ip_unprivileged_port_start=80"))
        holders = [ports.Holder(one.protocol, one.host, one.port, 0, 7, "twistd", "", "/other.ini") for one in wanted]
        (found,) = ports.judge(ports.Facts(wanted, holders, dict.fromkeys(wanted, "EADDRINUSE"), DOWN))
        self.assertEqual((found.id, found.values["ports"]), ("ports.other-daemon", "tcp 443, tcp 80, udp 443"))

    def test_names_of_files_are_quoted_in_commands(self) -> None:
        """A command is for a shell."""
        (found,) = state.judge(state.Facts("/a b; rm c", free_bytes=1 << 30, mode=0o777))
        self.assertEqual(found.command, "chmod -R go= '/a b; rm c'")
