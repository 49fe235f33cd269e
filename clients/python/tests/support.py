"""The release binary under test, servers that answer what a test wants, and a way to break connections."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from aa_redirect import AsyncClient, Redirect, RedirectError
from aa_redirect._proto import redirect_pb2 as pb

ROOT = Path(__file__).parents[3]
FIU, AA = "fiu@sandbox", "alpha-aa"
HANDLE = "0b054f6a-a0b3-4424-a668-2b53090bad6f"
REDIRECT = Redirect(
    userid="9999988888@alpha", sessionid="loan-4711", redirect="https://fiu.example/cb?lead=42", srcref=[HANDLE]
)
# Deriving its key costs milliseconds, so that a few hundred calls keep a server busy.
SLOW_REDIRECT = Redirect(userid="9999988888@beta", redirect="https://fiu.example/cb", srcref=[HANDLE])


def binary() -> Path:
    """The server: AA_REDIRECT_BIN, else what this repository has built."""
    named = os.environ.get("AA_REDIRECT_BIN")
    built = [ROOT / "target" / profile / "aa-redirect" for profile in ("release", "debug")]
    found = [path for path in ([Path(named)] if named else built) if path.exists()]
    if not found:
        raise RuntimeError("no server to test: build it (cargo build --release), or name it in AA_REDIRECT_BIN")
    return found[0].resolve()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """The binary under test; a context manager that kills it."""

    def __init__(self, *settings: object, listen: str = "127.0.0.1:0") -> None:
        # Variables of the caller's shell must not configure the server under test.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AA_REDIRECT_")}
        command = [str(binary()), "--listen", listen, "--log", "json", *map(str, settings)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.calls: list[dict[str, Any]] = []
        self.log: list[str] = []
        self.admin = ""
        started: futures.Future[str] = futures.Future()
        threading.Thread(target=self._follow, args=(started,), daemon=True).start()
        self.address = started.result(30)

    def _follow(self, started: futures.Future[str]) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line)
            if not line.startswith("{") or not line.endswith("}\n"):  # not a whole line of the log
                continue
            entry = json.loads(line)
            self.admin = entry.get("admin_listen", self.admin)
            if entry["message"] == "serving" and not started.done():
                started.set_result(entry["listen"])
            if "method" in entry:
                self.calls.append(entry)
        if not started.done():
            started.set_exception(RuntimeError(f"the server did not start:\n{''.join(self.log)}"))

    def metric(self, name: str, method: str) -> float:
        """A counter of the admin port."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name) and f'"{method}"' in line)

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Kills the server, as if its machine failed."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Stops the process: it accepts connections and bytes, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def logged(self, **wanted: object) -> dict[str, Any]:
        """The line of the log about a call, which may come a moment after the answer."""
        found: dict[str, Any] = wait_for(
            lambda: next((call for call in reversed(self.calls) if wanted.items() <= call.items()), None)
        )
        return found

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def wait_for(look: Callable[[], Any], patience: float = 20) -> Any:
    """Calls `look` until it finds something, and returns that."""
    end = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.01)
    return found


# --- the asynchronous client with the methods of the other
# --------------------------------------------------------------


class Blocking:
    """An AsyncClient in a loop of its own, with the methods of Client: every test runs on both."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

        async def make() -> AsyncClient:
            return AsyncClient(*args, **options)

        self._client = self._wait(make())

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **options: self._wait(method(*args, **options))

    def list_pairings(self, **options: Any) -> Iterator[Any]:
        async def every() -> list[Any]:
            return [pairing async for pairing in self._client.list_pairings(**options)]

        return iter(self._wait(every()))

    def __repr__(self) -> str:
        return repr(self._client)

    def __enter__(self) -> Blocking:
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._client.close())


# --- a server whose answers a test chooses --------------------------------------------------------------------------


def detailed(reason: str, domain: str = "aa.redirect.v1", *more: Any, **metadata: str) -> bytes:
    """`grpc-status-details-bin` of a refusal."""
    details = [error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata), *more]
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return bytes(status_pb2.Status(details=packed).SerializeToString())


def retry_in(delay: timedelta) -> Any:
    duration = duration_pb2.Duration()
    duration.FromTimedelta(delay)
    return error_details_pb2.RetryInfo(retry_delay=duration)


class Refusal:
    """What a scripted server answers in place of a message."""

    def __init__(self, code: grpc.StatusCode, message: str = "no", **trailers: str | bytes) -> None:
        self.code, self.message = code, message
        self.trailers = tuple((name.replace("_", "-"), value) for name, value in trailers.items())


class Script:
    """A gRPC server that gives these answers in turn, repeats the last one, and keeps the requests."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[Any] = []
        self.metadata: list[dict[str, str | bytes]] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        handlers = {
            method: grpc.unary_unary_rpc_method_handler(
                self._answer,
                request_deserializer=getattr(pb, f"{method}Request").FromString,
                response_serializer=lambda answer: answer if isinstance(answer, bytes) else answer.SerializeToString(),
            )
            for method in ("EncodeRedirect", "DecodeRedirect", "EncodeCallback", "DecodeCallback", "ListPairings")
        }
        service = grpc.method_handlers_generic_handler("aa.redirect.v1.RedirectService", handlers)
        self._server.add_generic_rpc_handlers((service,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _answer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Refusal):
            context.set_trailing_metadata(answer.trailers)
            context.abort(answer.code, answer.message)
        return answer

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()


class Cable:
    """Carries TCP to an address until it is cut: then each connection is reset, before or after the answer comes."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._to = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._swallow = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_answers(self, times: int) -> None:
        """The next connections end when the server begins to answer on them: the call is made, the answer is lost."""
        self._swallow = times

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(self._to)
            self._open += [near, far]
            threading.Thread(target=self._carry, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, True), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, from_server: bool) -> None:
        try:
            while data := source.recv(65536):
                # A frame of HEADERS (type 1) from the server begins an answer.
                if from_server and self._swallow and b"\x01" in frame_types(data):
                    self._swallow -= 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            hang_up(end)

    def cut(self) -> None:
        for end in self._open:
            hang_up(end)

    def __enter__(self) -> Cable:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()


def hang_up(end: socket.socket) -> None:
    # `close` alone does not wake a thread that reads.
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def frame_types(data: bytes) -> bytes:
    """The types of the HTTP/2 frames in the bytes (RFC 9113, 4.1)."""
    types = bytearray()
    while len(data) >= 9:
        types.append(data[3])
        data = data[9 + int.from_bytes(data[:3], "big") :]
    return bytes(types)


# --- servers that are busy, and servers that wait ---------------------------------------------------------------------


@contextmanager
def waiting_server(*settings: object) -> Iterator[Server]:
    """A server whose decode calls wait for a store that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        store = f"redis://127.0.0.1:{deaf.getsockname()[1]}"
        waiting = ("--store", store, "--store-outage", "closed", "--store-timeout-milliseconds", 10_000)
        with Server("--sandbox", "--admin-listen", "127.0.0.1:0", *waiting, *settings) as server:
            yield server


@contextmanager
def flooded_server(make: Callable[..., Any]) -> Iterator[list[RedirectError | None]]:
    """The outcomes of 1,800 PBKDF2 calls sent at once to a server with one thread, where 1,024 may wait."""
    with Server("--sandbox", "--kdf-threads", 1) as server, ThreadPoolExecutor(1_800) as pool:
        clients = [make(server.address, timeout=30) for _ in range(12)]
        for client in clients:
            list(client.list_pairings())
        # The server is paused, so that it answers no call before the last one has arrived.
        server.pause()
        calls = [pool.submit(_call_with_a_date_of_its_own, clients[i % 12], i) for i in range(1_800)]
        time.sleep(3)
        server.go_on()
        yield [call.result() for call in calls]


def _call_with_a_date_of_its_own(client: Any, number: int) -> RedirectError | None:
    # Calls with the same date share a derivation, so each needs its own date; a minute has 1,000 of them.
    minute = datetime.now(timezone.utc).replace(second=0, microsecond=0) + timedelta(minutes=number // 1_000)
    date = minute + timedelta(milliseconds=number % 1_000)
    try:
        client.encode_redirect(fiu_id=FIU, redirect=SLOW_REDIRECT, issue_time=date)
    except RedirectError as error:
        return error
    return None
