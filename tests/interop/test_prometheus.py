"""A real Prometheus reads a real daemon while people call, and evaluates every expression of dashboard and alerts."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.stun.attributes import LIFETIME
from rtcd.stun.message import Method
from tests.daemon.process import DEADLINE_S, ROOT, TURN, WEB, DaemonTestCase, Running, WebSocket
from tests.daemon.test_drain import TurnClient
from tests.fakes_turn import UDP
from tests.interop import require_program

RULES = ROOT / "etc/prometheus/rtcd.rules.yml"
DOCUMENT = ROOT / "docs/monitoring.md"
TABLE = re.compile(r"^## What is counted$.*?^## ", re.MULTILINE | re.DOTALL)
DASHBOARD = ROOT / "etc/grafana/rtcd.json"
TOKEN = "only-for-this-test-0123456789"

INI = f"{WEB}[ice]\n{TURN}external-ip =\nuser = u:p\n[metrics]\nlisten = tcp:0:interface=127.0.0.1\ntoken-file = token\n" \
      "[log]\nlevel = debug\n"

LOGGED = ("client_came", "join", "socket_registered", "credential_issued", "allocation_created", "allocation_ended",
          "leave", "client_gone")
"""What the log says of one client, from its coming to its end."""


def expressions() -> Iterator[tuple[str, str]]:
    """Where it stands, and what Prometheus is asked: each of the dashboard, with its variables filled in."""
    board = json.loads(DASHBOARD.read_text())
    asked = [(panel["title"], one["expr"]) for panel in board["panels"] for one in panel.get("targets", ())]
    asked += [("annotation", one["expr"]) for one in board["annotations"]["list"]]
    for title, text in asked:
        yield title, text.replace("$job", "rtcd").replace("$instance", ".*").replace("$__rate_interval", "10s")


class DashboardTests(SynchronousTestCase):
    """What Grafana would stumble over, or show wrongly; it is not here to be asked."""

    def test_panels_have_their_place_and_ask_for_what_was_chosen(self) -> None:
        """No two in one place; job, instance and Prometheus are those that one has picked."""
        board = json.loads(DASHBOARD.read_text())
        panels = board["panels"]
        self.assertEqual(len({one["id"] for one in panels}), len(panels))
        cells = [(place["x"] + x, place["y"] + y) for place in (one["gridPos"] for one in panels)
                 for x in range(place["w"]) for y in range(place["h"])]
        self.assertEqual((len(set(cells)), max(x for x, _ in cells)), (len(cells), 23))
        self.assertEqual([one["name"] for one in board["templating"]["list"]], ["datasource", "job", "instance"])
        for panel in panels:
            self.assertTrue(panel["title"])
            for one in panel.get("targets", ()):
                self.assertEqual(one["datasource"]["uid"], "${datasource}", panel["title"])
                picked = one["expr"].count('{job="$job", instance=~"$instance"')
                metrics = len(re.findall(r"\b(?:rtcd|process)_\w+|\bup\b", one["expr"]))
                self.assertEqual(picked, metrics, one["expr"])
                self.assertNotRegex(one["expr"], r"\[\d+[smhd]\]", panel["title"])


class Prometheus:
    """The program, scraping one daemon four times a second."""

    def __init__(self, folder: Path, port: int) -> None:
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 500ms}\n"
            f"rule_files: ['{RULES}']\n"
            "scrape_configs:\n"
            "  - job_name: rtcd\n"
            "    authorization: {credentials_file: token}\n"
            f"    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n")
        self._log = folder / "prometheus.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [require_program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                 "--web.listen-address=127.0.0.1:0"], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._url = ""

    def wait(self) -> Prometheus:
        """Until it answers; returns itself."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            text = self._log.read_text()
            found = re.search(r'msg="Listening on" address=(\S+)', text)
            if found and "Server is ready" in text:
                self._url = f"http://{found[1]}/api/v1/"
                return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(text)
            time.sleep(0.02)

    def ask(self, path: str, **query: str) -> Any:
        """What its HTTP API answers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self._url}{path}?{urllib.parse.urlencode(query)}", timeout=DEADLINE_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{query}: {error.read()!r}") from None

    def value(self, expression: str) -> list[Any]:
        """The series of an expression, now."""
        found: list[Any] = self.ask("query", query=expression)["result"]
        return found

    def wait_for(self, expression: str) -> None:
        """Until it yields something."""
        deadline = time.monotonic() + DEADLINE_S
        while not self.value(expression):
            if time.monotonic() > deadline:
                raise AssertionError(f"{expression}: nothing\n{self._log.read_text()}")
            time.sleep(0.05)

    def end(self) -> None:
        """Nothing is left of it."""
        self.process.kill()
        self.process.wait()


class RuleTests(SynchronousTestCase):
    """The alerts, judged by Prometheus's own tool."""

    def promtool(self, *arguments: str, folder: Path = ROOT) -> None:
        """It has nothing to say against it."""
        done = subprocess.run([require_program("promtool"), *arguments], cwd=folder, capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_rules_are_rules(self) -> None:
        """Each has a severity and says what to do."""
        self.promtool("check", "rules", str(RULES))
        text = RULES.read_text()
        for one in ("- alert:", "severity:", "summary:", "description:"):
            self.assertEqual(text.count(one), text.count("- alert:"), one)

    def test_alerts_fire_when_they_should_and_not_before(self) -> None:
        """On series that are made for it: those that are easy to get wrong."""
        times = {"certificate_expiry_timestamp_seconds": {"week": 550000, "ninety": 12 * 86400, "year": 30 * 86400},
                 "certificate_start_timestamp_seconds": {"week": 0, "ninety": -78 * 86400, "year": -335 * 86400}}
        series = {f'rtcd_doorway_{name}{{job="rtcd", instance="{which}"}}': f"{value}x120"
                  for name, found in times.items() for which, value in found.items()}
        series |= {f"{name}, job=\"rtcd\", instance=\"a\"}}".replace("{, ", "{"): values for name, values in (
            ("up{", "1x59 0x60"),
            ('rtcd_ice_node_usable{node="dead"', "1x59 0x60"), ('rtcd_ice_node_draining{node="dead"', "0x120"),
            ('rtcd_ice_node_usable{node="drains"', "1x59 0x60"), ('rtcd_ice_node_draining{node="drains"', "0x59 1x60"),
            ('rtcd_daemon_ready{check="turn"', "1x59 0x60"),
            ('rtcd_daemon_ready{check="accepting"', "0x120"),
            ('rtcd_turn_responses_total{method="allocate", code="508"', "0x59 0+2x60"),
            ('rtcd_turn_allocations_open{transport="udp"', "10x59 900x60"),
            ("rtcd_turn_relay_ports{", "1000x120"),
            ('rtcd_doorway_http_answers_total{code="2xx"', "0+60x120"),
            ('rtcd_doorway_http_answers_total{code="5xx"', "0x59 0+6x60"),
            ("rtcd_daemon_worker_ends_total{", "0x59 0+1x60"),
            ("process_open_fds{", "10x120"), ("process_max_fds{", "20x59 11x60"),
        )}
        failing = (('rtcd_doorway_http_answers_total{code="2xx"', "0+60x120"),
                   ('rtcd_doorway_http_answers_total{code="5xx"', "0x59 0+60x60"),
                   ('rtcd_web_joins_total{result="success"', "0+1x120"),
                   ('rtcd_web_joins_total{result="unavailable"', "0x59 0+6x60"))
        series |= {f'{name}, job="rtcd", instance="drains"}}': values for name, values in failing}  # it says 503 by design
        series |= {'rtcd_daemon_draining{job="rtcd", instance="drains"}': "0x59 1x60",
                   'rtcd_daemon_draining{job="rtcd", instance="a"}': "0x120"}
        series |= {f'{name}, job="rtcd", instance="a"}}': values for name, values in failing[2:]}
        expected = [(when, name, labels) for name, labels, late in (
            ("RtcdDown", ['instance="a", severity="critical"'], 65),
            ("RtcdNotReady", ['instance="a", severity="critical", check="turn"'], 65),
            ("RtcdTurnNodeDown", ['instance="a", severity="warning", node="dead"'], 65),
            ("TurnNoCapacity", ['instance="a", severity="warning", method="allocate", code="508"'], 75),
            ("TurnPortsRunOut", ['instance="a", severity="warning"'], 70),
            ("RtcdServerErrors", ['instance="a", severity="warning"'], 90),
            ("RtcdJoinsFail", ['instance="a", severity="warning"'], 90),
            ("RtcdRestarts", ['instance="a", severity="warning"'], 70),
            ("RtcdDescriptors", ['instance="a", severity="warning"'], 90),
        ) for when, labels in ((59, []), (late, labels))]
        expected += [(90, "RtcdCertificateNotRenewed", ['instance="ninety", severity="warning"']),
                     (90, "RtcdCertificateExpires", [])]
        fires = 'ALERTS{alertname="%s", alertstate="firing"%s}'
        tests = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [{
            "interval": "1m", "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [{
                "eval_time": f"{when}m", "expr": fires % (name, ""),
                "exp_samples": [{"value": 1, "labels": fires % (name, f', job="rtcd", {one}')} for one in labels],
            } for when, name, labels in expected]}]}
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        (folder / "tests.yml").write_text(json.dumps(tests))  # JSON is YAML
        self.promtool("test", "rules", "tests.yml", folder=folder)


class ScrapeTests(DaemonTestCase):
    """One daemon, one Prometheus, two people and a relay."""

    def call(self, daemon: Running) -> str:
        """Two join a room, find each other, and the first has a relay; then all is over. Returns what the log calls it."""
        base = f"https://localhost:{daemon.port()}"
        first, second = (self.post(f"{base}/join/lounge")["params"] for _ in range(2))
        sockets = []
        for one in (first, second):
            socket = WebSocket(daemon.port())
            self.addCleanup(socket.close)
            socket.send(cmd="register", roomid="lounge", clientid=one["client_id"])
            sockets.append(socket)
        sockets[1].send(cmd="send", msg="hello")
        self.assertEqual(sockets[0].receive()["msg"], "hello")
        granted = self.post(f"{base}/v1alpha/iceconfig?room=lounge&client={first['client_id']}")["iceServers"]
        credential = next(one for one in granted if "username" in one)
        relay = TurnClient(daemon.port("udp"), credential["credential"], username=credential["username"])
        self.addCleanup(relay.socket.close)
        self.assertEqual(relay.ask(Method.ALLOCATE, UDP), 0)
        self.assertEqual(relay.ask(Method.REFRESH, LIFETIME.encode(0)), 0)
        for one in (first, second):
            self.assertEqual(self.ask(f"{base}/leave/lounge/{one['client_id']}", b"")[0], 200)
        return str(credential["username"].partition(":")[2])

    def test_every_expression_yields_data_while_people_call(self) -> None:
        """Those of the dashboard; those of alerts are evaluated without a fault, and none fires."""
        require_program("prometheus")
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "token").write_text(TOKEN)
        daemon = self.run_daemon_in(folder, INI)
        port = int(daemon.wait_for(r"metrics listens on tcp 127.0.0.1:(\d+)$")[1])
        prometheus = Prometheus(daemon.folder, port)
        self.addCleanup(prometheus.end)
        daemon.started()
        prometheus.wait().wait_for('up{job="rtcd"} == 1')
        tag = self.call(daemon)
        prometheus.wait_for('rate(rtcd_turn_allocations_ended_total[10s])')
        prometheus.wait_for('rtcd_web_joins_total{result="success"} == 2 and on (instance) rtcd_rooms_came_total == 2')
        asked = list(expressions())
        self.assertGreater(len(asked), 50)
        for _, expression in asked:
            prometheus.wait_for(expression)  # there is none while a page was not got in time
        known = set(prometheus.ask("label/__name__/values"))
        named = re.findall(r"`([a-z_]+_[a-z_]+)(?:\{[a-z,]+\})?`", TABLE.search(DOCUMENT.read_text())[0])  # type: ignore[index]
        self.assertGreater(len(named), 30)
        self.assertEqual([one for one in named if not {f"rtcd_{one}", f"rtcd_{one}_bucket"} & known], [])
        rules = prometheus.ask("rules")["groups"][0]["rules"]
        self.assertEqual(len(rules), RULES.read_text().count("- alert:"))
        for rule in rules:
            prometheus.value(rule["query"])
            state = rule["health"], rule.get("lastError", ""), rule["state"]
            self.assertEqual(state[:2], ("ok", ""), rule["name"])
            self.assertNotEqual(state[2], "firing", rule["name"])
        for one in LOGGED:  # one grep finds a client's whole life
            daemon.wait_for(rf"\b{one}\b.*=(\S+ )*{tag}|\b{one} .*\b(tag|user)={tag}\b")
        self.assertNotIn("no loopback address", "\n".join(daemon.lines))
        self.assertEqual(daemon.stop(), 0)
        prometheus.wait_for('up{job="rtcd"} == 0')
