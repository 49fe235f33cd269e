"""Tests the rules of `deploy/prometheus`: every alert fires in its case, no alert fires in a quiet hour, each is in the
runbook, and a real Prometheus gets every metric that a rule reads from a live service."""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.certificates import Authority
from support.metrics import Store, Traffic, full_service, named, promtool, shown
from support.processes import DEPLOY, ROOT, get, wait_for
from support.prometheus import Prometheus

FOLDER = DEPLOY / "prometheus"
RULES = yaml.safe_load((FOLDER / "rules.yaml").read_text())
ALL = [rule for group in RULES["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in ALL if "alert" in rule}


def test_the_rules_are_valid() -> None:
    promtool("check", "rules", FOLDER / "rules.yaml")


def test_every_alert_fires_in_its_case() -> None:
    cases = yaml.safe_load((FOLDER / "fires.test.yaml").read_text())["tests"]
    fired = {check["alertname"] for case in cases for check in case["alert_rule_test"] if check["exp_alerts"]}
    assert fired == set(ALERTS)
    promtool("test", "rules", FOLDER / "fires.test.yaml")


def test_no_alert_fires_in_a_quiet_hour(tmp_path: Path) -> None:
    series = yaml.safe_load((FOLDER / "quiet-hour.yaml").read_text())
    seen = {re.match(r"\w+", entry["series"])[0] for entry in series}
    read = set().union(*(named(rule["expr"]) for rule in ALL))
    assert read <= seen, "the quiet hour lacks what rules read"
    silent = [
        {"alertname": name, "eval_time": f"{minute}m", "exp_alerts": []} for name in ALERTS for minute in range(0, 61, 3)
    ]
    test = {
        "rule_files": [str(FOLDER / "rules.yaml")], "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": silent}],
    }
    path = tmp_path / "quiet.yaml"
    path.write_text(yaml.safe_dump(test))
    promtool("test", "rules", path)


def test_every_alert_has_a_section_of_the_runbook_and_every_section_an_alert() -> None:
    runbook = (ROOT / "docs/runbook.md").read_text()
    assert set(re.findall(r"^### (AaRedirect\w+)$", runbook, re.M)) == set(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator:
    folder = tmp_path_factory.mktemp("prometheus")
    ca = Authority(folder)
    certificate, key = ca.issue("server", "localhost")
    with Store() as store, full_service(folder, store, certificate, key, ca.file) as service:
        with Traffic(f"unix:{folder}/calls.sock") as traffic:
            traffic.round()
        yield service


def test_every_metric_that_a_rule_reads_is_shown_by_a_live_service(service) -> None:
    read = set().union(*(named(rule["expr"]) for rule in ALL))
    assert len(read) > 20
    assert read - shown(service.metrics()) == set()


def test_the_page_of_metrics_pleases_promtool(service) -> None:
    promtool("check", "metrics", stdin=service.metrics())


def test_open_metrics_is_for_those_who_ask_for_it(service) -> None:
    page = f"http://{service.admin}/metrics"
    assert get(page)[1].rstrip().splitlines()[-1] != "# EOF"
    assert get(page, {"accept": "application/openmetrics-text; version=1.0.0"})[1].endswith("# EOF\n")


def test_a_real_prometheus_scrapes_the_service_and_evaluates_every_rule(service, tmp_path: Path) -> None:
    with Prometheus(tmp_path, service.admin, FOLDER / "rules.yaml") as prometheus:
        def evaluated() -> bool:
            return all(rule["health"] == "ok" for rule in prometheus.rules())

        wait_for("every rule is evaluated", evaluated)
        assert len(prometheus.rules()) == len(ALL)
        firing = {rule["name"] for rule in prometheus.rules() if rule.get("state") == "firing"}
    # The test's certificate expires in a day.
    assert firing <= {"AaRedirectCertificateExpires", "AaRedirectCertificateExpired", "AaRedirectClientCaExpires"}
