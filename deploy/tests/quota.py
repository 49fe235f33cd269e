"""Measures calls of `hkdf-iv` while PBKDF2 calls overload the server, under a quota of processor time, as a container
has it.
As root, with cgroups of version 1 or 2:

    AA_REDIRECT_BIN=target/release/aa-redirect target/deploy/venv/bin/python deploy/tests/quota.py 0.5
"""
import asyncio
import contextlib
import itertools
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from support.calls import RedirectServiceStub, redirect_request
from support.processes import ROOT, Service

PERIOD = 100_000
SECONDS, RATE, FLOOD = 8, 50, 64
CORES = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5


@contextlib.contextmanager
def group() -> Iterator[Path]:
    """A cgroup with the quota."""
    quota = int(CORES * PERIOD)
    root = Path("/sys/fs/cgroup")
    folder = root / ("cpu" if (root / "cpu").is_dir() else "") / f"aa-redirect-{os.getpid()}"
    folder.mkdir()
    try:
        if (folder / "cpu.max").exists():
            (folder / "cpu.max").write_text(f"{quota} {PERIOD}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(PERIOD))
            (folder / "cpu.cfs_quota_us").write_text(str(quota))
        yield folder
    finally:
        time.sleep(0.5)
        folder.rmdir()


async def flood(target: str, ended: asyncio.Event) -> int:
    """Makes calls that each cost a derivation, `FLOOD` at a time, and returns how many were done."""
    numbers, begin, done = itertools.count(), datetime.now(UTC).replace(microsecond=0), 0

    async def caller(stub) -> None:
        nonlocal done
        while not ended.is_set():
            request = redirect_request("beta")
            minute, millisecond = divmod(next(numbers), 1000)
            request.issue_time.FromDatetime(begin + timedelta(minutes=minute % 5 - 2, milliseconds=millisecond))
            try:
                await stub.EncodeRedirect(request, timeout=2)
                done += 1
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)

    async with grpc.aio.insecure_channel(target) as channel:
        await asyncio.gather(*(caller(RedirectServiceStub(channel)) for _ in range(FLOOD)))
    return done


async def measure(target: str, flooded: bool) -> str:
    ended, times = asyncio.Event(), []
    beside = asyncio.create_task(flood(target, ended)) if flooded else None

    async def call(stub) -> None:
        begin = time.monotonic()
        await stub.EncodeRedirect(redirect_request("alpha"), timeout=10)
        times.append(time.monotonic() - begin)

    await asyncio.sleep(2)
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(target, options) as channel:
        stub, calls = RedirectServiceStub(channel), []
        for _ in range(SECONDS * RATE):
            calls.append(asyncio.create_task(call(stub)))
            await asyncio.sleep(1 / RATE)
        await asyncio.gather(*calls)
    ended.set()
    done = f"{await beside / (SECONDS + 2):.0f}" if beside else "none"
    times.sort()
    median, p99 = (times[int(len(times) * part)] * 1e3 for part in (0.5, 0.99))
    return f"| {CORES} | {done} | {median:.1f} ms | {p99:.1f} ms |"


print("| cores | derivations a second beside | median of `hkdf-iv` | 99 % within |\n|---|---|---|---|")
with group() as folder:
    arguments = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--keyring", ROOT / "sandbox/keyring.toml"]
    with Service(*arguments, inside=folder / "cgroup.procs") as service:
        for flooded in (False, True):
            print(asyncio.run(measure(service.listen[0], flooded)), flush=True)
