"""Chromium calls through our relays alone, which it reaches by UDP, by TCP and inside TLS."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.interop import require_program
from tests.interop.test_page import INI, PageTestCase

RELAY = """() => {
    const connection = globalThis.rtcdCall.connection;
    return connection.getStats().then((found) => {
        const stats = new Map(found);
        const transport = [...stats.values()].find((one) => one.type === "transport" && one.selectedCandidatePairId);
        const local = stats.get(stats.get(transport.selectedCandidatePairId).localCandidateId);
        return [local.relayProtocol, new URL(local.url).protocol];
    });
}"""


class RelayPages(PageTestCase):
    """Two people whose browsers have one way to their relays."""

    def call(self, room: str, protocol: str, scheme: str) -> None:
        """They see each other, and both have chosen relays that they reach so."""
        _, first, second = self.pair(f"/r/{room}?it=relay")
        for page in (first, second):
            found = self.rising(page)
            self.assertEqual((found["local"], found["remote"]), ("relay", "relay"))
            self.assertEqual(page.evaluate(RELAY), [protocol, scheme])
        self.assertEqual(self.complaints, [])


class Udp(RelayPages):
    ini = INI.replace("[turn]", "[turn]\ntcp = no\ntls = no")

    def test_a_call_by_udp(self) -> None:
        self.call("udp-room", "udp", "turn:")


class Tcp(RelayPages):
    ini = INI.replace("[turn]", "[turn]\nudp = no\ntls = no")

    def test_a_call_by_tcp(self) -> None:
        self.call("tcp-room", "tcp", "turn:")


class Tls(RelayPages):
    """What lets a page with a bad certificate pass (--ignore-certificate-errors, and Playwright's ignore_https_errors)
    does not let ``turns:`` pass: WebRTC verifies by itself. So our authority has to be among Chromium's: those are in the
    NSS database of the user's home, which is a directory of the test's."""

    ini = INI.replace("[turn]", "[turn]\nudp = no\ntcp = no")

    def test_a_call_inside_tls(self) -> None:
        (authority,) = self.daemon.folder.rglob("ca.crt")
        certutil = require_program("certutil")
        home = Path(self.mktemp()).resolve()
        database = home / ".pki" / "nssdb"
        database.mkdir(parents=True)
        for arguments in (("-N", "--empty-password"), ("-A", "-t", "C,,", "-n", "rtcd", "-i", str(authority))):
            subprocess.run([certutil, "-d", f"sql:{database}", *arguments], check=True, capture_output=True, timeout=30)
        self.environment = {**os.environ, "HOME": str(home)}
        self.call("tls-room", "tls", "turns:")
