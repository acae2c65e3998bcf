"""What tests run daemons with."""

from __future__ import annotations

from tests.daemon.process import WEB, DaemonTestCase

UNLUCKY = """
if [ -e tried ]; then echo rtcd is ready; exec cat >/dev/null; fi
touch tried; echo rtcd: "[turn] web-port: udp port 34943 on 127.0.0.1 is in use by another program" >&2; exit 1
"""
OTHER = 'echo rtcd: "[turn] port: udp port 3478 on 127.0.0.1 is in use by another program" >&2; exit 1'


class AnyPortTests(DaemonTestCase):
    """A daemon that asks for any free TCP port."""

    def test_it_is_tried_again_if_udp_there_is_somebody_elses(self) -> None:
        """It could not know."""
        daemon = self.run_daemon(WEB, command=("sh", "-c", UNLUCKY)).started()
        self.assertEqual(daemon.errors(), "")

    def test_no_other_end_is(self) -> None:
        """That would be the daemon's fault."""
        daemon = self.run_daemon(WEB, command=("sh", "-c", OTHER))
        self.assertIn("udp port 3478", str(self.assertRaises(AssertionError, daemon.started)))
