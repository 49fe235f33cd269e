"""compose.yaml, brought up with podman-compose on a network of its own. Images that cannot be pulled here are Debian's builds of
Redis and Prometheus under the names that the file has."""
from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.calls import RedirectServiceStub, channel, messages, redirect_request
from support.containers import PODMAN, ULIMITS, build, run, stand_in
from support.processes import DEPLOY, ROOT, get, wait_for

FILE = DEPLOY / "compose" / "compose.yaml"
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("compose")
    build("--quick", NATIVE)
    services = yaml.safe_load(FILE.read_text())["services"]
    stand_in(services["valkey"]["image"], folder / "valkey", {"/bin/valkey-server": "redis-server"})
    stand_in(services["prometheus"]["image"], folder / "prometheus", {"/bin/prometheus": "prometheus"})
    # podman-compose takes podman and its options as one word.
    podman = folder / "podman"
    podman.write_text(
        f'#!/bin/sh\ncase $1 in\nrun|create) command=$1; shift; exec {" ".join(PODMAN)} "$command" {" ".join(ULIMITS)} "$@" ;;\nesac\n'
        f'exec {" ".join(PODMAN)} "$@"\n'
    )
    podman.chmod(0o755)
    compose = [Path(sys.executable).with_name("podman-compose"), "--podman-path", podman, "--file", FILE]
    environment = {**os.environ, "AA_REDIRECT_IMAGE": f"localhost/aa-redirect:{NATIVE}"}
    try:
        run(*compose, "up", "--detach", "--no-build", env=environment)
        yield
    finally:
        logs = subprocess.run([*map(str, compose), "logs"], capture_output=True, text=True, env=environment, check=False)
        print(logs.stdout[-4000:], logs.stderr[-4000:])
        subprocess.run([*map(str, compose), "down", "--timeout", "5"], capture_output=True, env=environment, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def test_the_service_remembers_in_the_store_and_prometheus_has_its_rules(project: None) -> None:
    wait_for("the service is ready", lambda: get("http://127.0.0.1:9090/readyz")[0] == 200)
    with channel("127.0.0.1:50051") as opened:
        stub = RedirectServiceStub(opened)
        url = stub.EncodeRedirect(redirect_request(), timeout=10).url
        stub.DecodeRedirect(messages.DecodeRedirectRequest(aa_id="alpha-aa", url=url), timeout=10)
        again = stub.DecodeRedirect(messages.DecodeRedirectRequest(aa_id="alpha-aa", url=url), timeout=10)
    assert again.reopened
    assert "aa_redirect_store_up 1" in get("http://127.0.0.1:9090/metrics")[1]

    def scraped() -> bool:
        answer = json.loads(get("http://127.0.0.1:9091/api/v1/query?query=aa_redirect_ready")[1])
        return [sample["value"][1] for sample in answer["data"]["result"]] == ["1"]

    wait_for("Prometheus scrapes the service", scraped)
    groups = json.loads(get("http://127.0.0.1:9091/api/v1/rules")[1])["data"]["groups"]
    written = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())["groups"]
    assert sum(len(group["rules"]) for group in groups) == sum(len(group["rules"]) for group in written)


def test_the_file_names_what_the_repository_has() -> None:
    services = yaml.safe_load(FILE.read_text())["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            assert (FILE.parent / volume.split(":")[0]).resolve().is_relative_to(ROOT)
            assert (FILE.parent / volume.split(":")[0]).exists(), volume
