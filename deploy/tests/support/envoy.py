"""The real Envoy with a configuration of `deploy/envoy`, in which a test changes only addresses and paths."""
from __future__ import annotations

import sys
from pathlib import Path

import yaml

from .processes import DEPLOY, Program, free_port, get, wait_for

ENVOY = Path(sys.executable).with_name("envoy")


def socket_address(address: str) -> dict:
    """`host:port` or `unix:path` as Envoy writes it."""
    if address.startswith("unix:"):
        return {"pipe": {"path": address.removeprefix("unix:")}}
    host, port = address.rsplit(":", 1)
    return {"socket_address": {"address": host, "port_value": int(port)}}


class Envoy(Program):
    """Envoy with `deploy/envoy/NAME.yaml`, in front of the replicas at `upstream`; `files` replaces paths."""

    def __init__(self, name: str, folder: Path, upstream: list[str], files: dict[str, Path]) -> None:
        text = (DEPLOY / "envoy" / f"{name}.yaml").read_text()
        for path, replacement in files.items():
            assert path in text, f"{name}.yaml does not name {path}"
            text = text.replace(path, str(replacement))
        config = yaml.safe_load(text)
        self.port, self.admin_port = free_port(), free_port()
        config["admin"]["address"] = socket_address(f"127.0.0.1:{self.admin_port}")
        (listener,) = config["static_resources"]["listeners"]
        listener["address"] = socket_address(f"127.0.0.1:{self.port}")
        (cluster,) = config["static_resources"]["clusters"]
        cluster["type"] = "STATIC"
        cluster.pop("dns_refresh_rate", None)
        endpoints = [{"endpoint": {"address": socket_address(address)}} for address in upstream]
        cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": endpoints}]
        path = folder / f"envoy-{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        base = [ENVOY, "-c", path, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
        super().__init__(base)
        wait_for("Envoy is ready", self._ready)

    def _ready(self) -> bool:
        self.check_alive()
        return get(f"http://127.0.0.1:{self.admin_port}/ready")[0] == 200

    def wait_healthy(self, count: int) -> None:
        """Waits until this many replicas accept calls."""
        wait_for(f"{count} healthy replicas", lambda: self.stat("cluster.aa-redirect.membership_healthy") == count)

    def stat(self, name: str) -> int:
        """A counter or gauge of Envoy; 0 while it has none of that name."""
        page = get(f"http://127.0.0.1:{self.admin_port}/stats?usedonly&filter=^{name}$")[1]
        return int(page.split(": ")[1]) if ": " in page else 0
