"""The manifests of etc/kubernetes: what an API server would say of them, and whether rtcd starts on what they hold."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from rtcd.cli.main import main
from rtcd.config import parse
from rtcd.plugin import plugins
from rtcd.schemas import Schemas
from rtcd.state import StateDirectory
from tests.daemon.process import ROOT, DaemonTestCase

FOLDER = ROOT / "etc" / "kubernetes"
VERSION = "1.34"
"""Of Kubernetes, for whose schemas all has to be right."""


def documents() -> list[dict[str, Any]]:
    """Every object of the files that the kustomization names."""
    names = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [one for name in names for one in yaml.safe_load_all((FOLDER / name).read_text())]


def found(kind: str, name: str) -> dict[str, Any]:
    """One of them."""
    one, = (one for one in documents() if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return one


def container(kind: str, name: str) -> dict[str, Any]:
    """The only one of its pods."""
    one: dict[str, Any]
    one, = found(kind, name)["spec"]["template"]["spec"]["containers"]
    return one


class KubernetesTests(DaemonTestCase):
    def test_an_api_server_would_take_them(self) -> None:
        """No field that there is not, and no value of another kind."""
        for one in documents():
            kubernetes_validate.validate(one, VERSION, strict=True)
        wrong = found("Deployment", "web")
        wrong["spec"]["replica"] = 2
        self.assertRaises(kubernetes_validate.ValidationError, kubernetes_validate.validate, wrong, VERSION, strict=True)

    def test_every_file_is_put_together(self) -> None:
        """And every selector finds the pods that it is for."""
        kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
        inis = [one.partition("=")[2] for made in kustomization["configMapGenerator"] for one in made["files"]]
        self.assertEqual({one.name for one in FOLDER.iterdir()}, {*kustomization["resources"], *inis, "kustomization.yaml"})
        made = {one["name"] for one in kustomization["configMapGenerator"]}
        pods = [one["spec"]["template"] for one in documents() if "template" in one.get("spec", {})]
        for one in documents():
            spec = one.get("spec", {})
            for selector in (spec.get("selector"), spec.get("podSelector")):
                wanted = {} if selector is None else selector.get("matchLabels", selector)
                if wanted:
                    fits = [pod for pod in pods if wanted.items() <= pod["metadata"]["labels"].items()]
                    self.assertEqual(len(fits), 1, one["kind"])
        for pod in pods:
            for volume in pod["spec"].get("volumes", ()):
                self.assertTrue("configMap" not in volume or volume["configMap"]["name"] in made, volume)

    def test_rtcd_starts_on_what_they_hold(self) -> None:
        """With the variables that the pods have, and the secrets where those say."""
        folder = self.mktemp()
        os.mkdir(folder)
        for ini, kind, name in (("web.ini", "Deployment", "web"), ("turn.ini", "DaemonSet", "turn")):
            for one in container(kind, name)["env"]:
                value = one["value"]
                if one["name"].endswith("_FILE"):
                    self.assertRegex(value, r"\A/run/secrets/rtcd/[a-z-]+\Z")
                    value = os.path.abspath(os.path.join(folder, os.path.basename(value)))
                    with open(value, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                        file.write("x" * 32)
                if one["name"].startswith("RTCD_"):
                    self.patch(os, "environ", {**os.environ, one["name"]: value})
            self.assertEqual(main(("check-config", "--config", str(FOLDER / ini))), 0, ini)
            self.patch(os, "environ", {key: one for key, one in os.environ.items() if not key.startswith("RTCD_")})

    def test_the_state_directory_is_made_below_a_volume_that_is_roots(self) -> None:
        """Kubelet gives an emptyDir to root and the group, and everybody may write: it is no place for secrets itself."""
        volume = Path(self.mktemp())
        volume.mkdir()
        volume.chmod(0o2777)
        if os.geteuid() == 0:
            os.chown(volume, 12345, 10001)
        for kind, name in (("Deployment", "web"), ("DaemonSet", "turn")):
            mounted, = (one["mountPath"] for one in container(kind, name)["volumeMounts"] if one["name"] == "state")
            place, = (Path(one["value"]) for one in container(kind, name)["env"] if one["name"] == "STATE_DIRECTORY")
            state = StateDirectory(str(volume / place.relative_to(mounted)))
            self.assertEqual(state.secret("x", lambda: "made"), "made")
            self.assertEqual((volume / "state").stat().st_mode & 0o777, 0o700)

    def test_ports_probes_and_times_are_those_of_the_ini(self) -> None:
        """A port that nobody serves would never be ready; a pod that is killed while it drains cuts calls."""
        schemas = Schemas(plugins())
        web, turn = (parse((FOLDER / one).read_text(), schemas) for one in ("web.ini", "turn.ini"))
        self.assertEqual(web["doorway"].plain, ("tcp:8080",))
        self.assertEqual(web["metrics"].listen, ("tcp:9641",))
        self.assertEqual({one["name"]: one["containerPort"] for one in container("Deployment", "web")["ports"]},
                         {"http": 8080, "metrics": 9641})
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.assertIn(container("Deployment", "web")[probe]["httpGet"]["path"], ("/healthz", "/readyz/own"))
        grace = found("DaemonSet", "turn")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        self.assertGreater(grace, turn["daemon"].drain_timeout)
        self.assertEqual(web["rooms"].store, ("redis://redis:6379",))
        self.assertEqual(found("Service", "redis")["spec"]["ports"][0]["port"], 6379)

    def test_the_relays_may_do_what_the_compose_file_lets_them(self) -> None:
        """One list, in two places."""
        added = re.findall(r"cap_add: \[(.*)\]", (ROOT / "compose.yaml").read_text())[0].split(", ")
        self.assertEqual(container("DaemonSet", "turn")["securityContext"]["capabilities"],
                         {"drop": ["ALL"], "add": added})
        self.assertIn('".[cluster]"', (ROOT / "Dockerfile").read_text())
