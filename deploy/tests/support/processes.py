"""Programs under test: started on free ports of loopback, and ended with the test that started them."""
from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / "target" / "deploy"
BINARY = Path(os.environ.get("AA_REDIRECT_BIN", ROOT / "target" / "release" / "aa-redirect"))
START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and body of a page, also of an error page."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(what: str, ready, seconds: float = START_SECONDS) -> None:
    """Waits until `ready()` is true; an exception of the network counts as false."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if ready():
                return
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


class Program:
    """A program that ends with the `with` block, and whose output is kept."""

    def __init__(self, command: list, **options) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def output(self) -> str:
        return "".join(self.lines[-40:])

    def check_alive(self) -> None:
        assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.output()}"

    def stop(self, number: int = signal.SIGTERM, seconds: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Service(Program):
    """The service under test, with JSON logs; `addresses` are those that it says it listens on."""

    def __init__(self, *arguments: object, env: dict[str, str] | None = None, inside: Path | None = None) -> None:
        """`inside` is the `cgroup.procs` of a cgroup to run in."""
        self.listen: list[str] = []
        self.admin = ""
        enter = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', inside] if inside else []
        super().__init__([*enter, BINARY, "--log", "json", *arguments], env={**os.environ, **(env or {})})
        wait_for("the service serves", self._serving)

    def _serving(self) -> bool:
        self.check_alive()
        for line in self.lines:
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                fields = entry.get("fields", entry)
                if fields.get("message") == "serving":
                    self.listen = fields["listen"].split()
                    self.admin = fields.get("admin_listen", "")
                    return True
        return False

    def metrics(self) -> str:
        return get(f"http://{self.admin}/metrics")[1]
