"""The names of metrics: those that an expression reads, and those that a live service shows."""
from __future__ import annotations

import re
import subprocess
from pathlib import Path

from .calls import RedirectServiceStub, channel, messages, redirect_request
from .processes import ROOT, Program, Service, free_port, wait_for

NAME = re.compile(r"\b(?:aa_redirect|grpc_server|process)_\w+(?![\w:])")


def named(expression: str) -> set[str]:
    """The metrics of the service that a PromQL expression reads; recorded ones have a colon and are none."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(NAME.findall(re.sub(r"\baa_redirect:\S+?(?=[\s{(\[]|$)", "", bare)))


def shown(text: str) -> set[str]:
    """The sample names of a scrape."""
    return {re.split(r"[ {]", line, maxsplit=1)[0] for line in text.splitlines() if line and line[0] != "#"}


class Store(Program):
    """A Redis of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        super().__init__(["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        wait_for("redis-server", lambda: any("Ready to accept" in line for line in self.lines))


def full_service(folder: Path, store: Store, certificate: Path, key: Path, client_ca: Path) -> Service:
    """The service with every setting that adds metrics."""
    socket = folder / "calls.sock"
    return Service(
        "--listen", f"unix:{socket}", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
        "--keyring", ROOT / "sandbox/keyring.toml", "--tls-cert", certificate, "--tls-key", key,
        "--tls-client-ca", client_ca, "--store", f"redis://127.0.0.1:{store.port}",
    )


def traffic(target: str) -> None:
    """A few calls of each kind: sealed, opened, refused, with PBKDF2 and without."""
    with channel(target) as opened:
        stub = RedirectServiceStub(opened)
        for handle in ("alpha", "beta"):
            url = stub.EncodeRedirect(redirect_request(handle), timeout=10).url
            stub.DecodeRedirect(messages.DecodeRedirectRequest(aa_id=f"{handle}-aa", url=url), timeout=10)
            worse = url.replace("?fi=", "?x=1&fi=").replace("%3D", "")
            stub.DecodeRedirect(messages.DecodeRedirectRequest(aa_id=f"{handle}-aa", url=worse), timeout=10)


def promtool(*arguments: object, stdin: str | None = None) -> None:
    """Runs promtool, and fails with what it says."""
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
