"""A third party's service, as docs/plugins.md shows it: its package lies in another folder, and nothing of ours changes."""

from __future__ import annotations

import signal

from tests.daemon.process import ROOT, WEB, DaemonTestCase

ACME = ROOT / "docs" / "examples" / "acme"

RECORDER = "[recorder]\nfile = recorded\ninterval = 0.1\n"


class ThirdPartyTests(DaemonTestCase):
    """The example really runs."""

    def test_a_section_turns_it_on(self) -> None:
        """It has its own settings, web path and counter, and sees the rooms."""
        daemon = self.run_daemon(WEB + RECORDER, path=str(ACME)).started()
        origin = f"https://127.0.0.1:{daemon.port()}"
        self.post(f"{origin}/join/lounge")
        self.wait_for_file(daemon.folder / "recorded", " 1\n")
        status, body = self.get(f"{origin}/recorder")
        self.assertEqual(status, 200)
        self.assertGreaterEqual(int(body), 1)
        self.assertEqual((daemon.stop(), daemon.errors()), (0, ""))

    def test_without_its_section_it_is_not_there(self) -> None:
        """Installed is not turned on."""
        daemon = self.run_daemon(WEB, path=str(ACME)).started()
        self.assertFalse((daemon.folder / "recorded").exists())
        self.assertEqual(self.get(f"https://127.0.0.1:{daemon.port()}/recorder")[0], 404)

    def test_without_the_package_its_section_is_unknown(self) -> None:
        """As any other word would be."""
        daemon = self.run_daemon(WEB + RECORDER)
        self.assertEqual(daemon.wait(), 1)
        self.assertIn("[recorder]: no service has this name", daemon.errors())

    def test_its_options_are_checked_as_ours_are(self) -> None:
        """One line that names the key, at reading or at the start."""
        for ini, said in ((RECORDER.replace("0.1", "0"), "[recorder] interval: '0' is less than 0.1"),
                          (RECORDER.replace("recorded", "no/where"), "[recorder] file: no/where cannot be opened"),
                          (RECORDER + "path = here\n", "[recorder] path: 'here' is no absolute path")):
            daemon = self.run_daemon(WEB + ini, path=str(ACME))
            self.assertEqual((daemon.wait(), daemon.errors().count("\n")), (1, 1))
            self.assertIn(said, daemon.errors())

    def test_it_takes_part_in_a_reload(self) -> None:
        """What it takes over is in force."""
        daemon = self.run_daemon(WEB + RECORDER, path=str(ACME)).started()
        daemon.ini.write_text(WEB + RECORDER.replace("0.1", "7").replace("recorded", "other"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(r"\[recorder\] interval: 0\.1 -> 7: in force")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(r"\[recorder\] file: recorded -> other: needs a restart")
