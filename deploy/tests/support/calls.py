"""Calls of the service, one at a time or at a fixed rate, with the stubs that are made from the proto."""
from __future__ import annotations

import asyncio
import collections
import dataclasses
import subprocess
import sys
import time
import uuid
from pathlib import Path

import grpc

from .processes import ROOT, TOOLS

_generated = TOOLS / "stubs"
_generated.mkdir(parents=True, exist_ok=True)
subprocess.run(
    [sys.executable, "-m", "grpc_tools.protoc", "-I", ROOT / "proto", f"--python_out={_generated}",
     f"--grpc_python_out={_generated}", "aa/redirect/v1/redirect.proto"],
    check=True,
)
sys.path.insert(0, str(_generated))
from aa.redirect.v1 import redirect_pb2 as messages  # noqa: E402
from aa.redirect.v1.redirect_pb2_grpc import RedirectServiceStub  # noqa: E402

FIU = "fiu@sandbox"


def redirect_request(handle: str = "alpha") -> messages.EncodeRedirectRequest:
    """A request to encode; the handle picks the AA of the sandbox keyring: `alpha` has profile iv, `beta` PBKDF2."""
    redirect = messages.Redirect(
        txnid=str(uuid.uuid4()), sessionid="basket-42", userid=f"9999988888@{handle}",
        redirect="https://fiu.example/cb?lead=42", srcref=[str(uuid.uuid4())],
    )
    return messages.EncodeRedirectRequest(fiu_id=FIU, redirect=redirect)


def credentials(ca: Path, certificate: Path, key: Path) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(ca.read_bytes(), key.read_bytes(), certificate.read_bytes())


def channel(target: str, secure: grpc.ChannelCredentials | None = None) -> grpc.Channel:
    # For a Unix socket gRPC sends the path as `:authority`, which is not a valid authority.
    options = [("grpc.default_authority", "localhost")] if target.startswith("unix:") else None
    return grpc.secure_channel(target, secure, options) if secure else grpc.insecure_channel(target, options)


@dataclasses.dataclass
class Load:
    """The outcomes of calls at a fixed rate."""

    outcomes: collections.Counter
    calls: int
    seconds: float

    @property
    def failed(self) -> dict:
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != "OK"}


async def load(target: str, secure: grpc.ChannelCredentials | None, rate: int, seconds: float, call, during=None) -> Load:
    """Starts `rate` calls in each second, even if earlier ones have not ended; `during` runs at the same time.

    `call(stub)` makes one. The client does not retry, so that no failure is hidden. Each load has its own connection,
    and does not end before `during` has ended.
    """
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    outcomes: collections.Counter = collections.Counter()
    opened = grpc.aio.secure_channel(target, secure, options) if secure else grpc.aio.insecure_channel(target, options)

    async def one(stub) -> None:
        try:
            await call(stub)
            outcomes["OK"] += 1
        except grpc.aio.AioRpcError as error:
            outcomes[f"{error.code().name}: {error.details()}"] += 1

    async with opened:
        stub = RedirectServiceStub(opened)
        beside = asyncio.create_task(asyncio.to_thread(during)) if during else None
        running: set[asyncio.Task] = set()
        begin, started = time.monotonic(), 0
        while (elapsed := time.monotonic() - begin) < seconds or (beside and not beside.done()):
            for _ in range(int(elapsed * rate) - started):
                task = asyncio.create_task(one(stub))
                running.add(task)
                task.add_done_callback(running.discard)
                started += 1
            await asyncio.sleep(0.002)
        await asyncio.gather(*running)
        if beside:
            await beside
    return Load(outcomes, started, time.monotonic() - begin)
