"""What each check of the doctor says of which facts, in every language that it has."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.allocations.addresses import External
from rtcd.doctor.checks import (
    certificate,
    clock,
    configuration,
    daemon,
    firewall,
    limits,
    names,
    nat,
    netfilter,
    plane,
    ports,
    relay,
    state,
    store,
    websocket,
)
from rtcd.doctor.finding import CHECKS, Finding, degraded
from rtcd.doctor.report import LANGUAGES, said

NOW = 1_790_000_000.0
DAY_S = 86400
UP = daemon.Facts("/etc/rtcd/rtcd.ini", 7, 999, "rtcd.service")
DOWN = daemon.Facts("/etc/rtcd/rtcd.ini")
LEAF = certificate.Shown("CN=a.example", "CN=R3", NOW - DAY_S, NOW + 60 * DAY_S, ("a.example",))
MIDDLE = certificate.Shown("CN=R3", "CN=Root", NOW - DAY_S, NOW + 600 * DAY_S)
TURN = ports.Wanted("[turn] port", "udp", "192.0.2.1", 3478)
HTTPS = ports.Wanted("[doorway] https", "tcp", "::", 443)
UDP, TLS = relay.Way("udp", ("192.0.2.1", 3478)), relay.Way("tls", ("2001:db8::1", 443))
OTHER = relay.Way("udp", ("192.0.2.9", 3478), elsewhere=True)
DROPPING = '{"nftables": [{"chain": {"family": "inet", "table": "f", "name": "in", "hook": "input", "policy": "drop"}}%s]}'
SOME = """, {"rule": {"family": "inet", "table": "f", "chain": "in", "handle": 3, "expr": [{"match": {"op": "==", "left":
{"payload": {"protocol": "ip", "field": "saddr"}}, "right": "10.0.0.1"}}, {"accept": null}]}}"""
OPENING = firewall.Opening("udp", 3478, 3478, "[turn] port")


def of_certificate(**facts: Any) -> list[Finding]:
    """Of a chain that is good but for these facts."""
    good: dict[str, Any] = {"now": NOW, "where": "h:443", "chain": (LEAF, MIDDLE), "trusted": "public",
                            "wanted": ("a.example",), "reload": "reload"}
    return certificate.judge(certificate.Facts(**{**good, **facts}))


def of_names(resolved: Sequence[str], **facts: Any) -> list[Finding]:
    """Of a public name with these addresses."""
    return names.judge(names.Facts("https://a.example", "a.example", resolved, **facts))


def of_nat(**facts: Any) -> list[Finding]:
    """Of a machine at a private address."""
    private: dict[str, Any] = {"ini": "/i", "hosts": ("10.0.0.5",), "configured": (), "lines": (), "found": ()}
    return nat.judge(nat.Facts(**{**private, **facts}))


def of_ports(running: daemon.Facts, *holders: ports.Holder, refused: str = "", wanted: ports.Wanted = TURN) -> list[Finding]:
    """Of one port."""
    return ports.judge(ports.Facts([wanted], holders, {wanted: refused} if refused else {}, running))


def of_relay(*loops: relay.Loop, **facts: Any) -> list[Finding]:
    """Of these loops."""
    return relay.judge(relay.Facts(loops, "state/turn-secret", **facts))


def of_visits(*visits: websocket.Visit) -> list[Finding]:
    """Of these visits."""
    return websocket.judge(websocket.Facts(visits, UP))


def of_firewall(rules: str, opening: firewall.Opening = OPENING) -> list[Finding]:
    """Of an input chain that drops what these rules do not accept."""
    return firewall.judge(firewall.Facts([(4, netfilter.read_nft(DROPPING % rules))], [opening]))


def visit(end: str = "", *, public: bool = True, status: int = 0) -> websocket.Visit:
    """One to a site."""
    return websocket.Visit("wss://a.example:443/ws", public, end, "why", status, "nginx", address="192.0.2.1")


HERE = visit(public=False)
SEEN = nat.Seen(("10.0.0.5", 4000), ("8.8.4.4", 4000))


def cases() -> Iterator[tuple[str, list[Finding]]]:
    """The one finding that is meant, and all of them. Every id of the catalogues is in it."""
    ini = "/etc/rtcd/rtcd.ini"
    yield "configuration.good ok", configuration.judge(configuration.Facts(ini, (), ("web",)))
    yield "configuration.unseen note", configuration.judge(configuration.Facts(ini, (), (), ("[tls] live: x",)))
    yield "configuration.empty broken", configuration.judge(configuration.Facts(ini, (), ()))
    yield "configuration.fault broken", configuration.judge(configuration.Facts(ini, ("[turn] prot: unknown",), ("turn",)))

    yield "daemon.up ok", daemon.judge(UP)
    yield "daemon.down note", daemon.judge(DOWN)
    yield "daemon.hidden note", daemon.judge(daemon.Facts(ini, 7, 999, visible=False))

    big = 1 << 30
    yield "state.good ok", state.judge(state.Facts("/s", free_bytes=big, kind="ext4", mount="/"))
    yield "state.missing note", state.judge(state.Facts("/s", exists=False))
    yield "state.owner broken", state.judge(state.Facts("/s", free_bytes=big, user=0, daemon_user=999, daemon_group=9))
    yield "state.mode degraded", state.judge(state.Facts("/s", free_bytes=big, mode=0o755))
    yield "state.full broken", state.judge(state.Facts(
        "/s", fault="No space left", full=True, kind="tmpfs", mount="/s", size_bytes=80 << 10))
    yield "state.full broken", state.judge(state.Facts(
        "/s", free_bytes=state.NEEDED_BYTES - 1, kind="tmpfs", mount="/s", size_bytes=80 << 10))
    yield "state.unwritable broken", state.judge(state.Facts("/s", free_bytes=big, fault="Read-only file system"))
    yield "state.low degraded", state.judge(state.Facts("/s", free_bytes=state.LOW_BYTES - 1, kind="ext4"))
    yield "state.not-tried note", state.judge(state.Facts("/s", free_bytes=big, tried=False))

    redis = store.Asked("redis://h:6379", "h", 6379, version="7.0.15", limited=True, policy="noeviction", kept=True)
    changes: dict[str, dict[str, Any]] = {
        "good ok": {}, "unreachable broken": {"fault": "Connection refused"},
        "not-asked note": {"unasked": "[rooms] store-ca: /ca.pem cannot be read"},
        "password broken": {"fault": "NOAUTH Authentication required.", "refused": True},
        "database broken": {"fault": "ERR DB index is out of range", "database": 99},
        "unwritable broken": {"unwritable": "NOREPLICAS Not enough good replicas to write."},
        "old broken": {"version": "6.0.16"}, "replica broken": {"role": "slave"},
        "evicts broken": {"policy": "allkeys-lru"}, "unsaved degraded": {"kept": False},
        "strangers degraded": {"nodes": 4, "strangers": 2, "source": "[credentials] secret"},
        "slow degraded": {"latency_s": 0.05}, "clock degraded": {"ahead_s": -9.0},
    }
    for wanted, changed in changes.items():
        yield f"store.{wanted}", store.judge(store.Facts([replace(redis, **changed)]))
    yield "store.good ok", store.judge(store.Facts([replace(redis, limited=False, policy="allkeys-lru", kept=None)]))

    held = ports.Holder("udp", "192.0.2.1", 3478, 0, 7, "twistd")
    yield "ports.open ok", of_ports(UP, held)
    yield "ports.open ok", of_ports(UP, held._replace(pid=0, user=999))
    yield "ports.taken broken", of_ports(UP, held._replace(pid=8, program="turnserver"))
    yield "ports.closed-here degraded", of_ports(UP)
    yield "ports.closed broken", of_ports(UP, wanted=HTTPS)
    yield "ports.free ok", of_ports(DOWN)
    yield "ports.taken broken", of_ports(DOWN, held, refused="EADDRINUSE")
    yield "ports.taken-unseen broken", of_ports(DOWN, refused="EADDRINUSE")
    yield "ports.no-right broken", of_ports(DOWN, refused="EACCES", wanted=HTTPS)
    yield "ports.not-tried note", ports.judge(ports.Facts([HTTPS], (), {HTTPS: "EACCES"}, DOWN, drops=True))
    yield "ports.open ok", of_ports(UP, held._replace(pid=0, user=0))
    yield "ports.other-daemon note", of_ports(DOWN, held._replace(rtcd="/other.ini"), refused="EADDRINUSE")
    yield "ports.taken broken", of_ports(UP, held._replace(pid=8, rtcd="/other.ini"))
    handed = HTTPS._replace(handed=True)
    yield "ports.open ok", of_ports(UP, ports.Holder("tcp", "::", 443, 0, 1, "systemd"), wanted=handed)
    yield "ports.unknown note", ports.judge(ports.Facts((), (), {}, UP, unknown=["[doorway] https"]))
    ready = daemon.Facts("/i", unit="rtcd.service")
    yield "ports.free ok", of_ports(ready, refused="EACCES", wanted=HTTPS)
    nginx = ports.Holder("tcp", "::", 443, 0, 7, "nginx")
    yield "ports.taken broken", of_ports(ready, nginx, refused="EACCES", wanted=HTTPS)
    yield "ports.no-address broken", of_ports(DOWN, refused="EADDRNOTAVAIL")
    yield "ports.refused note", of_ports(DOWN, refused="EMFILE")

    yield "firewall.unread note", firewall.judge(firewall.Facts((), (), "not permitted"))
    yield "firewall.no-program note", firewall.judge(firewall.Facts((), (), lacking=["nft"]))
    yield "firewall.closed broken", of_firewall("")
    yield "firewall.closed degraded", of_firewall("", OPENING._replace(essential=False))
    yield "firewall.partly degraded", of_firewall(SOME)
    yield "firewall.open ok", firewall.judge(firewall.Facts([(4, netfilter.read_nft('{"nftables": []}'))], [OPENING]))

    yield "names.none note", names.judge(names.Facts(""))
    yield "names.unknown broken", of_names([], fault="Name or service not known")
    yield "names.no-answer degraded", of_names([], fault="Temporary failure in name resolution", silent=True)
    yield "names.good ok", of_names(["8.8.8.8"], own=["8.8.8.8"])
    yield "names.good ok", of_names(["8.8.8.8"], own=["10.0.0.5"], outside=["8.8.8.8"])
    yield "names.good ok", of_names(["10.0.0.5"], own=["10.0.0.5"])
    yield "names.loopback note", of_names(["127.0.1.1"], own=["8.8.8.8"])
    yield "names.elsewhere broken", of_names(["9.9.9.9"], own=["8.8.8.8"])
    yield "names.elsewhere broken", of_names(["10.0.0.9"], own=["10.0.0.5"])
    yield "names.partly-elsewhere degraded", of_names(["8.8.8.8", "9.9.9.9"], own=["8.8.8.8"])
    yield "names.elsewhere-ipv6 degraded", of_names(["8.8.8.8", "2a00::9"], own=["8.8.8.8", "2a00::1"])
    yield "names.no-ipv6 note", of_names(["8.8.8.8"], own=["8.8.8.8", "2a00::1"])
    yield "names.unproved note", of_names(["9.9.9.9"], own=["10.0.0.5"])
    yield "names.proxy note", of_names(["9.9.9.9"], own=["8.8.8.8"], proxied=True)

    yield "certificate.good ok", of_certificate()
    yield "certificate.unseen broken", of_certificate(chain=(), fault="the connection was closed")
    yield "certificate.expired broken", of_certificate(chain=(LEAF._replace(not_after=NOW - 1), MIDDLE))
    yield "certificate.expired broken", of_certificate(chain=(LEAF, MIDDLE._replace(not_after=NOW - 1)))
    yield "certificate.early broken", of_certificate(chain=(LEAF._replace(not_before=NOW + 60),))
    yield "certificate.soon degraded", of_certificate(
        chain=(LEAF._replace(not_before=NOW - 80 * DAY_S, not_after=NOW + 9 * DAY_S),))
    yield "certificate.name broken", of_certificate(wanted=("b.example",))
    yield "certificate.hidden note", of_certificate(hidden=["/etc/k.pem: Permission denied"])
    yield "certificate.order degraded", of_certificate(in_order=False)
    yield "certificate.local note", of_certificate(trusted="local")
    yield "certificate.self-signed degraded", of_certificate(trusted="", chain=(LEAF._replace(self_signed=True),))
    yield "certificate.incomplete broken", of_certificate(trusted="", chain=(LEAF,), completed_by="/etc/full.pem")
    yield "certificate.incomplete broken", of_certificate(trusted="", chain=(LEAF._replace(source="http://r3.example/"),))
    yield "certificate.stranger degraded", of_certificate(trusted="")
    yield "certificate.stale degraded", of_certificate(stale=True, file="/etc/c.pem")
    yield "certificate.key-open degraded", of_certificate(keys=[certificate.Key("/k", 0o644)])
    yield "certificate.key-unreadable broken", of_certificate(keys=[certificate.Key("/d/k", 0o600, "", ("/d", "/d/k"), 9)])

    yield "clock.kept ok", clock.judge(clock.Facts(kernel_synchronised=True, systemd_synchronised=False))
    yield "clock.kept ok", clock.judge(clock.Facts(systemd_synchronised=True))
    yield "clock.unkept note", clock.judge(clock.Facts(kernel_synchronised=False))
    yield "clock.right ok", clock.judge(clock.Facts(kernel_synchronised=False, offset_s=-1.0, source="http://t"))
    yield "clock.off degraded", clock.judge(clock.Facts(kernel_synchronised=True, offset_s=-9.0, source="http://t"))
    yield "clock.wrong broken", clock.judge(clock.Facts(offset_s=3600.0, source="http://t"))
    yield "clock.no-answer note", clock.judge(clock.Facts(source="http://t", fault="refused"))
    yield "clock.went-back broken", clock.judge(clock.Facts(ahead_s=3600.0))

    yield "nat.none ok", of_nat(hosts=("8.8.8.8",))
    yield "nat.unknown note", of_nat()
    yield "nat.mapped ok", of_nat(found=(External("8.8.8.8", "10.0.0.5"),))
    yield "nat.unproved note", of_nat(configured=(External("8.8.8.8"),))
    yield "nat.external-wrong broken", of_nat(
        configured=(External("9.9.9.9", "10.0.0.5"),), lines=("9.9.9.9/10.0.0.5",), found=(External("8.8.8.8", "10.0.0.5"),))
    yield "nat.external-wrong broken", of_nat(hosts=("8.8.8.8",), configured=(External("9.9.9.9"),), lines=("9.9.9.9",))
    yield "nat.silent degraded", of_nat(server="s:3478", seen=[nat.Seen(("10.0.0.5", 4000))])
    yield "nat.no-server degraded", of_nat(server="s:3478", unresolved="Name or service not known")
    yield "nat.unclear note", of_nat(server="s:3478", seen=[SEEN])
    yield "nat.one-to-one ok", of_nat(server="s:3478", seen=[nat.Seen(SEEN.local, SEEN.mapped, SEEN.mapped, let_in=True)])
    yield "nat.restricted note", of_nat(server="s:3478", seen=[nat.Seen(SEEN.local, SEEN.mapped, None, let_in=False)])
    yield "nat.unclear note", of_nat(server="s:3478", seen=[nat.Seen(SEEN.local, ("8.8.4.4", 61000), None, let_in=True)])
    yield "nat.symmetric degraded", of_nat(server="s:3478", seen=[nat.Seen(SEEN.local, SEEN.mapped, ("8.8.4.4", 9))])

    yield "relay.good ok", of_relay(relay.Loop(UDP, milliseconds=3.0))
    yield "relay.no-secret note", relay.judge(relay.Facts((), fault="/s: Permission denied"))
    yield "relay.secret-mismatch broken", of_relay(relay.Loop(UDP, relay.REFUSED, 401), relay.Loop(TLS, relay.REFUSED, 401))
    yield "relay.wrong-password broken", of_relay(relay.Loop(UDP, relay.REFUSED, 401), named=True)
    yield "relay.other-secret broken", of_relay(relay.Loop(UDP), relay.Loop(OTHER, relay.REFUSED, 401))
    yield "relay.redirected note", of_relay(relay.Loop(UDP, relay.REFUSED, 300))
    yield "relay.draining note", of_relay(relay.Loop(OTHER, relay.REFUSED, 403))
    yield "relay.refused broken", of_relay(relay.Loop(OTHER, relay.REFUSED, 403, relayed="192.0.2.9:50000"))
    yield "relay.nowhere broken", of_relay(nowhere=("relay.example.org",))
    yield "relay.no-family note", of_relay(relay.Loop(UDP), relay.Loop(TLS, relay.REFUSED, 440))
    yield "relay.refused broken", of_relay(relay.Loop(UDP, relay.REFUSED, 486))
    yield "relay.refused degraded", of_relay(relay.Loop(UDP), relay.Loop(TLS, relay.REFUSED, 486))
    yield "relay.silent broken", of_relay(relay.Loop(TLS), relay.Loop(UDP, relay.SILENT))
    yield "relay.connect degraded", of_relay(relay.Loop(UDP), relay.Loop(TLS, relay.CONNECT, reason="refused"))
    yield "relay.handshake degraded", of_relay(relay.Loop(UDP), relay.Loop(TLS, relay.SHAKE))
    yield "relay.lost broken", of_relay(relay.Loop(UDP, relay.LOST, relayed="8.8.8.8:50000"))
    yield "relay.garbage broken", of_relay(relay.Loop(UDP, relay.GARBAGE))

    yield "websocket.here ok", of_visits(HERE)
    yield "websocket.public ok", of_visits(HERE, visit())
    yield "websocket.no-upgrade broken", of_visits(HERE, visit(websocket.STATUS, status=400))
    yield "websocket.status broken", of_visits(visit(websocket.STATUS, status=404))
    yield "websocket.bad-gateway broken", of_visits(HERE, visit(websocket.STATUS, status=502))
    yield "websocket.no-way-back note", of_visits(HERE, visit(websocket.TIMEOUT))
    yield "websocket.timeout broken", of_visits(visit(websocket.TIMEOUT))
    yield "websocket.refused broken", of_visits(HERE, visit(websocket.CONNECT))
    yield "websocket.refused broken", of_visits(visit(websocket.CONNECT, public=False))
    yield "websocket.dns broken", of_visits(HERE, visit(websocket.DNS))
    yield "websocket.tls broken", of_visits(HERE, visit(websocket.SHAKE))
    yield "websocket.silent broken", of_visits(HERE, visit(websocket.SILENT))
    yield "websocket.garbage broken", of_visits(HERE, visit(websocket.GARBAGE))

    yield "plane.chosen ok", plane.judge(plane.Facts("python"))
    yield "plane.kernel ok", plane.judge(plane.Facts("auto", True, missing=("CAP_BPF",)))
    yield "plane.possible ok", plane.judge(plane.Facts("auto"))
    yield "plane.unsuitable note", plane.judge(plane.Facts("auto", False, "it takes Linux 6.6"))
    yield "plane.unsuitable broken", plane.judge(plane.Facts("kernel", None, "it takes Linux 6.6"))
    yield "plane.no-right note", plane.judge(plane.Facts("auto", False, "", ("CAP_BPF", "CAP_NET_ADMIN")))
    yield "plane.sockets note", plane.judge(plane.Facts("auto", False))

    yield "limits.good ok", limits.judge(limits.Facts(65536, 1024))
    yield "limits.files degraded", limits.judge(limits.Facts(1024, 1024, 7))
    yield "limits.buffers note", limits.judge(limits.Facts(65536, 1024, 7, "", 1 << 20, 212992))

    yield "doctor.late degraded", [degraded("doctor.late", check="names", seconds=20)]
    yield "doctor.failed degraded", [degraded("doctor.failed", check="names", reason="KeyError")]


class CheckTests(SynchronousTestCase):
    """Cores on facts that are made up."""

    def test_every_fault_is_named(self) -> None:
        """By the finding that is meant for it, at the level that it deserves."""
        for wanted, found in cases():
            shown = [f"{one.id} {one.level}" for one in found]
            self.assertIn(wanted, shown)

    def test_every_text_is_there_in_every_language(self) -> None:
        """For each id that a check can give, with the same values; and no text is left over."""
        seen = {wanted.split()[0] for wanted, _ in cases()}
        for language in LANGUAGES.values():
            self.assertEqual(seen, set(language.texts))
            self.assertEqual({one.partition(".")[0] for one in language.texts} - set(CHECKS), set())
        fields = {name: {key: {field for text in words for _, field, _, _ in string.Formatter().parse(text) if field}
                         for key, words in language.texts.items()} for name, language in LANGUAGES.items()}
        self.assertEqual(fields["en"], fields["zh"])

    def test_every_id_in_the_sources_has_a_case_here(self) -> None:
        """A check that learns to say something new is tried here."""
        root = Path(configuration.__file__).parents[1]
        pattern = re.compile(rf'"((?:{"|".join(CHECKS)})\.[a-z0-9-]+)"')
        given = {found for path in (*root.glob("checks/*.py"), root / "examination.py")
                 for found in pattern.findall(path.read_text())}
        self.assertEqual(given, {wanted.split()[0] for wanted, _ in cases()})

    def test_every_finding_can_be_said(self) -> None:
        """All values are there, and none is left as a name; a fault says what it means for a user."""
        for _, found in cases():
            for one in found:
                for language in LANGUAGES:
                    words = said(one, language)
                    self.assertNotRegex(" ".join((words.what, words.evidence, words.means, words.mend)), r"\{\w+\}")
                    if one.level in ("broken", "degraded"):
                        self.assertTrue(words.evidence and words.means and (words.mend or one.command), one.id)
                    if not one.command:
                        self.assertFalse(words.mend.endswith((":", "：")), one.id)

    def test_endpoints_tell_their_ports(self) -> None:
        """As Twisted reads them; those without a number of their own are none."""
        found = ports.endpoints("k", [
            "tcp:8443", "tcp:port=443:interface=127.0.0.1", "tcp:443:backlog=9:interface=\\:\\:1", "tcp:80:backlog=5",
            "tcp:0", "unix:/run/x", "systemd:domain=INET:name=x"])
        self.assertEqual([one[2:4] for one in found], [
            ("::", 8443), ("127.0.0.1", 443), ("::1", 443), ("0.0.0.0", 80)])
