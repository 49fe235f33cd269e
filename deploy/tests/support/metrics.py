"""Metrics: the names that an expression reads, those that a live service shows, and a service that shows all of them."""
from __future__ import annotations

import contextlib
import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc

from .calls import RedirectServiceStub, channel, messages, redirect_request
from .certificates import Authority
from .processes import ROOT, Program, Service, free_port, wait_for
from .prometheus import Prometheus

NAME = re.compile(r"\b(?:aa_redirect|grpc_server|process)_\w+(?![\w:])")


def named(expression: str) -> set[str]:
    """The metrics of the service that a PromQL expression reads; recorded series have a colon and do not count."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(NAME.findall(re.sub(r"\baa_redirect:\S+?(?=[\s{(\[]|$)", "", bare)))


def shown(text: str) -> set[str]:
    """The sample names of a scrape."""
    return {re.split(r"[ {]", line, maxsplit=1)[0] for line in text.splitlines() if line and line[0] != "#"}


class Store(Program):
    """Starts a Redis for the test."""

    def __init__(self) -> None:
        self.port = free_port()
        super().__init__(["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        wait_for("redis-server", lambda: any("Ready to accept" in line for line in self.lines))


TOKEN = "token-of-the-tests"


def full_service(folder: Path, store: Store, certificate: Path, key: Path, client_ca: Path) -> Service:
    """The service with every setting that adds metrics; it takes calls on the Unix socket `calls.sock`."""
    callers = folder / "callers.toml"
    callers.write_text(f'[[caller]]\nname = "tests"\ntoken_sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"\n')
    return Service(
        "--listen", f"unix:{folder}/calls.sock", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
        "--keyring", ROOT / "sandbox/keyring.toml", "--callers", callers, "--tls-cert", certificate, "--tls-key", key,
        "--tls-client-ca", client_ca, "--store", f"redis://127.0.0.1:{store.port}",
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"},
    )


class Traffic:
    """Makes calls of each kind: sealed, opened, repaired, refused, with PBKDF2 and without."""

    def __init__(self, target: str) -> None:
        self._channel = channel(target)
        self._stub = RedirectServiceStub(self._channel)
        self._options = {"timeout": 10, "metadata": [("authorization", f"Bearer {TOKEN}")]}

    def round(self) -> None:
        for handle, damaged in (("alpha", False), ("beta", False), ("gamma", True)):
            url = self._stub.EncodeRedirect(redirect_request(handle), **self._options).url
            self._decode(handle, url)
            self._decode(handle, url.replace("?fi=", "?x=1&fi=").replace("%3D", ""))
            if damaged:
                head, ecreq = url.split("&ecreq=")
                self._decode(handle, f"{head}&ecreq={ecreq[4:24]}{ecreq[:4]}{ecreq[24:]}")

    def _decode(self, handle: str, url: str) -> None:
        with contextlib.suppress(grpc.RpcError):
            self._stub.DecodeRedirect(messages.DecodeRedirectRequest(aa_id=f"{handle}-aa", url=url), **self._options)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self._channel.close()


@contextlib.contextmanager
def scraped_service(folder: Path) -> Iterator[tuple[Service, Prometheus, Traffic]]:
    """A service with every setting, a Prometheus that scrapes it, and the calls to make."""
    ca = Authority(folder)
    certificate, key = ca.issue("server", "localhost")
    with (
        Store() as store,
        full_service(folder, store, certificate, key, ca.file) as service,
        Prometheus(folder, service.admin) as prometheus,
        Traffic(f"unix:{folder}/calls.sock") as traffic,
    ):
        yield service, prometheus, traffic


def promtool(*arguments: object, stdin: str | None = None) -> None:
    """Runs promtool; if it fails, the error has its output."""
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
