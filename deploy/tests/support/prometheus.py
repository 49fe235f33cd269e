"""A real Prometheus that scrapes a service each second."""
from __future__ import annotations

import json
import urllib.parse
from pathlib import Path

import yaml

from .processes import Program, free_port, get, wait_for


class Prometheus(Program):
    """Scrapes `target`, with the rules of `rules` if there are any."""

    def __init__(self, folder: Path, target: str, rules: Path | None = None) -> None:
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)] if rules else [],
            "scrape_configs": [{"job_name": "aa-redirect", "static_configs": [{"targets": [target]}]}],
        }
        path = folder / "prometheus.yaml"
        path.write_text(yaml.safe_dump(config))
        self.address = f"127.0.0.1:{free_port()}"
        super().__init__([
            "prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/prometheus",
            f"--web.listen-address={self.address}", "--log.level=warn", "--enable-feature=exemplar-storage",
        ])
        wait_for("Prometheus scrapes the service", self._up)

    def _up(self) -> bool:
        self.check_alive()
        # While Prometheus starts, its API answers in plain text.
        if get(f"http://{self.address}/-/ready")[0] != 200:
            return False
        return [sample["value"][1] for sample in self.query("up")] == ["1"]

    def api(self, path: str, **parameters: object) -> dict:
        status, text = get(f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(text)
        assert status == 200 and answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict]:
        return self.api("query", query=expression)["result"]

    def rules(self) -> list[dict]:
        return [rule for group in self.api("rules")["groups"] for rule in group["rules"]]
