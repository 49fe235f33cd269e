"""Measures the cost of a call for a table of sizes: processor time for each call, and memory, by scheme and rate.

    AA_REDIRECT_BIN=target/release/aa-redirect target/deploy/venv/bin/python deploy/tests/sizing.py
"""
import asyncio
import itertools
import re
from datetime import UTC, datetime, timedelta

from support.calls import load, redirect_request
from support.processes import ROOT, Service

SECONDS = 8


def of(page: str, name: str) -> float:
    return float(re.search(rf"^{name} (\S+)$", page, re.M)[1])


def measure(what: str, handle: str, rate: int, connections: int) -> None:
    numbers = itertools.count()
    begin = datetime.now(UTC).replace(microsecond=0)

    async def call(stub) -> None:
        request = redirect_request(handle)
        # A date has a minute and a millisecond. With its own date, each call gets its own key.
        minute, millisecond = divmod(next(numbers), 1000)
        request.issue_time.FromDatetime(begin + timedelta(minutes=minute % 5 - 2, milliseconds=millisecond))
        await stub.EncodeRedirect(request, timeout=10)

    async def all_of_them(target: str):
        return await asyncio.gather(*(load(target, None, rate // connections, SECONDS, call) for _ in range(connections)))

    keyring = ROOT / "sandbox/keyring.toml"
    with Service("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--keyring", keyring) as service:
        before = of(service.metrics(), "process_cpu_seconds_total")
        results = asyncio.run(all_of_them(service.listen[0]))
        page = service.metrics()
    calls = sum(result.outcomes["OK"] for result in results)
    failed = sum(sum(result.failed.values()) for result in results)
    seconds = of(page, "process_cpu_seconds_total") - before
    memory = of(page, "process_resident_memory_bytes") / 1048576
    share = seconds / max(result.seconds for result in results)
    print(f"| {what} | {rate} | {share:.2f} | {seconds / calls * 1e3:.2f} ms | {memory:.0f} MiB | {failed} |", flush=True)


print("| scheme | calls a second | cores | processor time a call | memory | refused |\n|---|---|---|---|---|---|")
for rate in (50, 200, 400, 800):
    measure("`hkdf-iv`", "alpha", rate, 4)
for rate in (25, 50, 100, 200):
    measure("`pbkdf2`", "beta", rate, 4)
