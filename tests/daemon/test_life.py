"""A daemon's life in a process of its own: it starts, is told to reload, and ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from pathlib import Path

from tests.daemon.process import DEADLINE_S, TURN, TWISTD, WEB, DaemonTestCase, WebSocket, environment


class StartTests(DaemonTestCase):
    """What is there once it has started."""

    def test_a_start_serves_and_says_where(self) -> None:
        """The log names every listener; nothing goes to standard error."""
        daemon = self.run_daemon(WEB + TURN + "[ice]\n").started()
        origin = f"https://127.0.0.1:{daemon.port()}"
        self.assertEqual(self.get(f"{origin}/")[0], 200)
        servers = self.post(f"{origin}/v1alpha/iceconfig")["iceServers"]
        self.assertIn(f"turn:127.0.0.1:{daemon.port('udp')}?transport=udp", servers[0]["urls"])
        self.assertEqual((daemon.stop(), daemon.errors()), (0, ""))

    def test_a_welcome_names_the_address_to_open(self) -> None:
        """On standard output, and not as log lines."""
        daemon = self.run_daemon(WEB, arguments=["--welcome"]).started()
        port = daemon.port()
        daemon.wait_for(rf"^    https://localhost:{port}/$")
        daemon.wait_for(r"^These ports must be reachable")
        self.assertEqual(daemon.stop(), 0)

    def test_a_terminal_that_knows_only_ascii_is_no_fault(self) -> None:
        """The drawing is spoilt, the text is not."""
        ini = WEB.replace("interface=127.0.0.1", "")
        daemon = self.run_daemon(ini, arguments=["--welcome"], extra={"PYTHONIOENCODING": "ascii"}).started()
        daemon.wait_for(r"^These ports must be reachable")
        self.assertEqual(daemon.stop(), 0)

    def test_lines_that_twisted_says_of_each_port_are_left_out(self) -> None:
        """At the level info; the daemon says the same better."""
        for level, said in (("info", False), ("debug", True)):
            daemon = self.run_daemon(f"{WEB}[log]\nlevel = {level}\n").started()
            daemon.stop()
            self.assertEqual("starting on" in "\n".join(daemon.lines), said, level)

    def test_a_secret_is_made_once_and_private(self) -> None:
        """In the state directory that the environment names, with the file's mode."""
        state = Path(self.mktemp()).resolve()
        self.run_daemon(WEB, extra={"STATE_DIRECTORY": str(state)}).started().stop()
        secret = state / "turn-secret"
        first = secret.read_text()
        self.assertEqual((secret.stat().st_mode & 0o777, state.stat().st_mode & 0o777), (0o600, 0o700))
        self.run_daemon(WEB, extra={"STATE_DIRECTORY": str(state)}).started().stop()
        self.assertEqual(secret.read_text(), first)


class LogTests(DaemonTestCase):
    """``[log]`` decides, without a word on the command line."""

    def test_json_is_an_object_a_line(self) -> None:
        """Every line of it, from the first."""
        daemon = self.run_daemon(f"{WEB}[log]\nformat = json\n").started()
        daemon.stop()
        events = [json.loads(line) for line in daemon.lines]
        self.assertIn("tls", [event.get("transport") for event in events])

    def test_a_file_is_opened_again_by_a_hup(self) -> None:
        """So that it can be moved away."""
        daemon = self.run_daemon(f"{WEB}[log]\nfile = log\n")
        self.wait_for_file(daemon.folder / "log", "is ready")
        log, moved = daemon.folder / "log", daemon.folder / "log.1"
        log.rename(moved)
        daemon.process.send_signal(signal.SIGHUP)
        self.wait_for_file(log, "nothing has changed")
        self.assertEqual(daemon.stop(), 0)
        self.assertIn("listens on", moved.read_text())
        self.assertIn("Server Shut Down", log.read_text())

    def test_a_logfile_on_the_command_line_goes_first(self) -> None:
        """twistd's own option keeps its meaning."""
        command = (*TWISTD, "-n", "--pidfile=", "--logfile=own.log")
        daemon = self.run_daemon(WEB, command=command)
        self.wait_for_file(daemon.folder / "own.log", "is ready")
        self.assertEqual(daemon.stop(), 0)


class EndTests(DaemonTestCase):
    """SIGTERM and SIGINT."""

    def test_clients_are_told_bye_and_it_ends_with_code_0(self) -> None:
        """A registered client gets bye, then its socket is closed in good order."""
        daemon = self.run_daemon(WEB).started()
        port = daemon.port()
        joined = self.post(f"https://127.0.0.1:{port}/join/lounge")["params"]
        client = WebSocket(port)
        self.addCleanup(client.close)
        self.assertEqual(client.status, 101)
        client.send(cmd="register", roomid="lounge", clientid=joined["client_id"])
        other = self.post(f"https://127.0.0.1:{port}/join/lounge")["params"]["client_id"]
        second = WebSocket(port)
        self.addCleanup(second.close)
        second.send(cmd="register", roomid="lounge", clientid=other)
        second.send(cmd="send", msg="hello")
        self.assertEqual(client.receive(), {"msg": "hello", "error": ""})
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(json.loads(client.receive()["msg"]), {"type": "bye"})
        self.assertIsNone(client.receive())
        self.assertEqual((daemon.wait(), daemon.errors()), (0, ""))

    def test_a_deaf_client_and_one_that_comes_back_do_not_hold_it_up(self) -> None:
        """A page joins again as soon as it is told bye; by then the doors are shut."""
        daemon = self.run_daemon(WEB).started()
        port = daemon.port()
        deaf, client = WebSocket(port), WebSocket(port)
        for one in (deaf, client):
            self.addCleanup(one.close)
            joined = self.post(f"https://127.0.0.1:{port}/join/lounge")["params"]["client_id"]
            one.send(cmd="register", roomid="lounge", clientid=joined)
        client.send(cmd="send", msg="hello")
        self.assertEqual(deaf.receive(), {"msg": "hello", "error": ""})
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(json.loads(client.receive()["msg"]), {"type": "bye"})
        self.assertRaises(OSError, WebSocket, port)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual((daemon.wait(), daemon.errors()), (0, ""))

    def test_an_interrupt_ends_it_too(self) -> None:
        """As Ctrl-C does; whoever started it can tell."""
        self.assertEqual(self.run_daemon(WEB + TURN).started().stop(signal.SIGINT), -signal.SIGINT)

    def test_in_the_background_it_ends_and_takes_its_pidfile_along(self) -> None:
        """twistd without -n: the log is where twistd has it, unless the ini says otherwise."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        (folder / "rtcd.ini").write_text(WEB)
        command = [*TWISTD, "--pidfile=pid", "rtcd", "--config", "rtcd.ini"]
        done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, timeout=DEADLINE_S, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        process = int((folder / "pid").read_text())
        handle = os.pidfd_open(process)
        self.addCleanup(os.close, handle)
        self.wait_for_file(folder / "twistd.log", "is ready")
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        self.wait_for_end(handle)
        self.assertFalse((folder / "pid").exists())

    def wait_for_end(self, handle: int) -> None:
        """Wait for a process that is no child of ours."""
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        self.assertTrue(poller.poll(DEADLINE_S * 1000), "it did not end")


class ReloadTests(DaemonTestCase):
    """SIGHUP reads the ini again, and the log tells what came of it."""

    def test_what_changed_is_said_and_what_needs_a_restart(self) -> None:
        """Secrets are not shown; the daemon serves on."""
        ini = f"{WEB}[credentials]\nsecret = correct-horse-battery\n[rooms]\n"
        daemon = self.run_daemon(ini).started()
        port = daemon.port()
        daemon.ini.write_text(
            ini.replace("correct-horse-battery", "another-horse-battery").replace("[rooms]", "[rooms]\ngrace = 25")
            .replace("http =", "http =\nmax-connections = 77"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(r"\[rooms\] grace: 10 -> 25: in force")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(r"\[credentials\] secret: changed: in force")
        daemon.wait_for(r"\[doorway\] max-connections: 16384 -> 77: needs a restart")
        self.assertEqual(self.get(f"https://127.0.0.1:{port}/")[0], 200)
        self.assertEqual(daemon.stop(), 0)
        self.assertNotIn("horse", "\n".join(daemon.lines))

    def test_nothing_changed_is_said_as_well(self) -> None:
        """Whoever sends a signal wants to know that it came."""
        daemon = self.run_daemon(WEB).started()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("reloaded: nothing has changed")

    def test_a_mistake_changes_nothing(self) -> None:
        """The line names file, section and key; it serves on."""
        daemon = self.run_daemon(WEB).started()
        daemon.ini.write_text(f"{WEB}[rooms]\ngrave = 3\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(r"rtcd\.ini: \[rooms\] grave: unknown key, did you mean grace\?.*\(nothing was changed\)")
        self.assertEqual(self.get(f"https://127.0.0.1:{daemon.port()}/")[0], 200)

    def test_a_section_added_or_removed_needs_a_restart(self) -> None:
        """Services come and go with the process."""
        daemon = self.run_daemon(WEB).started()
        daemon.ini.write_text(WEB.replace("[signaling]", TURN))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(r"\[signaling\] was removed: needs a restart")
        daemon.wait_for(r"\[turn\] was added: needs a restart")
