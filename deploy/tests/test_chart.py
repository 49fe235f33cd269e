"""Tests the Helm chart: it lints, renders five sets of values to objects that Kubernetes accepts, and fails on values
that break the drain. The real program runs with what it renders."""
from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.certificates import Authority
from support.metrics import promtool
from support.processes import BINARY, DEPLOY, TOOLS

FOLDER = DEPLOY / "kubernetes"
HELM = TOOLS / "bin" / "helm"
SETS = sorted(path.stem for path in (FOLDER / "values").glob("*.yaml"))


def helm(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(HELM), *map(str, arguments)], capture_output=True, text=True, check=False)


def render(*arguments: object) -> subprocess.CompletedProcess:
    return helm("template", "shop", FOLDER / "chart", "--kube-version", "1.34", *arguments)


def objects(values: str) -> dict[str, dict]:
    """The objects of a set by kind; of Services and ConfigMaps only the first."""
    done = render("--values", FOLDER / "values" / f"{values}.yaml")
    assert done.returncode == 0, done.stderr
    found: dict[str, dict] = {}
    for thing in yaml.safe_load_all(done.stdout):
        if thing:
            found.setdefault(thing["kind"], thing)
    return found


def test_there_are_five_sets_of_values() -> None:
    assert len(SETS) == 5


def test_the_chart_lints() -> None:
    done = helm("lint", "--strict", FOLDER / "chart", "--kube-version", "1.34")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", SETS)
def test_kubernetes_accepts_what_is_rendered(values: str, tmp_path: Path) -> None:
    done = render("--values", FOLDER / "values" / f"{values}.yaml")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "all.yaml"
    path.write_text(done.stdout)
    for version in ("1.30", "1.34"):
        command = [Path(sys.executable).with_name("kubernetes-validate"), "--strict", "-k", version, path]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert checked.stdout.count("passed") + checked.stderr.count("passed") >= 5


def test_the_manifests_are_what_the_chart_renders(tmp_path: Path) -> None:
    subprocess.run([FOLDER / "render", tmp_path], check=True)
    for values in SETS:
        fresh, kept = (folder / f"{values}.yaml" for folder in (tmp_path, FOLDER / "manifests"))
        assert fresh.read_text() == kept.read_text(), f"run deploy/kubernetes/render: {values}.yaml is old"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ("drain.delaySeconds=18", "must together be less than terminationGracePeriodSeconds"),
        ("terminationGracePeriodSeconds=20", "must together be less than terminationGracePeriodSeconds"),
        ("sidecar.enabled=true,tls.secretName=x", "set either sidecar.enabled or tls.secretName"),
        ("trustedPort=true,callers=x,sidecar.enabled=true", "set neither sidecar.enabled nor tls.secretName"),
        ("trustedPort=true", "trustedPort needs callers"),
        ("tls.clientCa.secretName=x", "tls.clientCa needs tls.secretName"),
        ("store.passwordKey=x", "store.passwordKey needs store.urls"),
        ("autoscaling.enabled=true,autoscaling.maxReplicas=1", "must not be under"),
        ("store.urls={redis://:password@host}", "store.urls.0"),
        ("store.urls={redis://user:password@host}", "store.urls.0"),
        ("store.urls={redis-sentinel://host:26379/main}", "store.urls.0"),
        ("store.urls={rediss://host}", "needs store.caKey"),
        ("replica=3", "replica"),
        ("image.digest=latest", "image.digest"),
        ("settings.AA_REDIRECT_KEYRING=x", "AA_REDIRECT_KEYRING"),
    ],
)
def test_values_that_cannot_work_are_refused_with_the_reason(values: str, complaint: str) -> None:
    done = render("--set", values)
    assert done.returncode != 0
    # The schema's path has slashes or dots; it depends on the version of Helm.
    assert complaint in done.stderr.replace("/", "."), done.stderr


def test_a_drain_one_second_under_the_grace_period_is_accepted() -> None:
    assert render("--set", "drain.delaySeconds=17").returncode == 0


@pytest.mark.parametrize("urls", [
    "redis://host:6379",
    "rediss://aa-redirect@host:6379/3",
    "redis://one:6379,redis://two:6379",
    "redis+sentinel://one:26379/main,redis+sentinel://two:26379/main",
    "rediss+sentinel://aa-redirect@one:26379/main",
])
def test_each_form_of_a_store_is_accepted_by_the_chart_and_by_the_program(urls: str, tmp_path: Path) -> None:
    keys = "store.passwordKey=store-password,store.caKey=store-ca.crt"
    done = render("--set", f"store.urls={{{urls}}},{keys}")
    assert done.returncode == 0, done.stderr
    deployment = next(thing for thing in yaml.safe_load_all(done.stdout) if thing and thing["kind"] == "Deployment")
    named = {entry["name"]: entry["value"] for entry in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert named["AA_REDIRECT_STORE"] == urls
    (tmp_path / "store-password").write_text("password")
    (tmp_path / "store-ca.crt").write_bytes(Authority(tmp_path, "ca").file.read_bytes())
    environment = {name: value.replace("/etc/aa-redirect/secrets", str(tmp_path))
                   for name, value in named.items() if name.startswith("AA_REDIRECT_STORE") or name == "SSL_CERT_FILE"}
    checked = subprocess.run([BINARY, "check"], env=environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("values", SETS)
def test_the_pod_has_no_rights_and_is_probed_on_the_admin_port(values: str) -> None:
    pod = objects(values)["Deployment"]["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }
        assert "lifecycle" not in container
        assert "memory" in container["resources"]["limits"]
    (container,) = pod["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == "admin"
    for mount in container["volumeMounts"]:
        assert "subPath" not in mount
    (secrets,) = [volume for volume in pod["volumes"] if volume["name"] == "secrets"]
    assert secrets["projected"]["defaultMode"] == 0o440


@pytest.mark.parametrize("values", SETS)
def test_the_program_accepts_the_settings_and_files_that_are_rendered(values: str, tmp_path: Path) -> None:
    found = objects(values)
    pod = found["Deployment"]["spec"]["template"]["spec"]
    files = found["ConfigMap"]["data"]
    root = tmp_path / "etc" / "aa-redirect"
    for folder in ("config", "secrets", "tls"):
        (root / folder).mkdir(parents=True)
    for name, text in files.items():
        (root / "config" / name).write_text(text.replace("/etc/aa-redirect", str(root)))
    for name in re.findall(r'"/etc/aa-redirect/secrets/([^"]+)"', files["keyring.toml"]):
        (root / "secrets" / name).write_text(base64.b64encode(name.encode() * 4).decode())
    (root / "secrets" / "store-password").write_text("password")
    ca = Authority(root / "tls", "client-ca")
    (root / "secrets" / "store-ca.crt").write_bytes(ca.file.read_bytes())
    for made, wanted in zip(ca.issue("made", "localhost"), ("tls.crt", "tls.key"), strict=True):
        made.rename(root / "tls" / wanted)
    for path in [*(root / "secrets").iterdir(), *(root / "tls").iterdir()]:
        path.chmod(0o440)
    named = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    environment = {name: str(value).replace("/etc/aa-redirect", str(root)) for name, value in named.items()}
    environment.pop("OTEL_EXPORTER_OTLP_ENDPOINT", None)
    # As in the image.
    without_cas = {"SSL_CERT_FILE": str(tmp_path / "none")}
    checked = subprocess.run(
        [BINARY, "check"], env={**without_cas, **environment}, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "fiu@example" in checked.stdout
    # In plain text, which a mesh must encrypt, the program gives only the warning about that.
    warnings = [line for line in checked.stderr.splitlines() if line.startswith("warning")]
    plain = {"plain", "store", "monitored"}
    assert all("0.0.0.0:50051" in line for line in warnings) and bool(warnings) == (values in plain), warnings


def test_the_rules_of_the_operator_are_the_rules_that_are_tested(tmp_path: Path) -> None:
    found = objects("monitored")
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(found["PrometheusRule"]["spec"]))
    assert found["PrometheusRule"]["spec"] == yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())
    promtool("check", "rules", path)
    (endpoint,) = found["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("admin", "/metrics")


def test_the_sidecar_gets_the_configuration_that_is_tested() -> None:
    done = render("--values", FOLDER / "values" / "sidecar.yaml")
    texts = [thing["data"]["envoy.yaml"] for thing in yaml.safe_load_all(done.stdout)
             if thing and thing["kind"] == "ConfigMap" and "envoy.yaml" in thing["data"]]
    assert [text.strip() for text in texts] == [(DEPLOY / "envoy/sidecar.yaml").read_text().strip()]
