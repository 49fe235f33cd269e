"""Measures the page of metrics when each of many pairings has sealed and opened a message, with and without
`--no-pairing-metrics`.

    AA_REDIRECT_BIN=target/release/aa-redirect target/deploy/venv/bin/python deploy/tests/series.py [PAIRINGS]
"""
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import grpc
from support.calls import RedirectServiceStub, messages, redirect_request
from support.processes import Service

PAIRINGS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
AT_A_TIME = 64


async def both_calls_of_each(target: str) -> None:
    async with grpc.aio.insecure_channel(target) as channel:
        stub, numbers = RedirectServiceStub(channel), iter(range(PAIRINGS))

        async def caller() -> None:
            for number in numbers:
                request = redirect_request()
                request.fiu_id, request.aa_id = f"fiu-{number}@bank.example", "aa@aggregator.example"
                query = (await stub.EncodeRedirect(request)).query
                await stub.DecodeRedirect(messages.DecodeRedirectRequest(aa_id=request.aa_id, url=query))

        await asyncio.gather(*(caller() for _ in range(AT_A_TIME)))


def measure(folder: Path, *more: str) -> str:
    arguments = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--keyring", folder / "keyring.toml"]
    with Service(*arguments, *more) as service:
        asyncio.run(both_calls_of_each(service.listen[0]))
        # The service makes a page at most once a second.
        time.sleep(1.1)
        begin = time.monotonic()
        page = service.metrics()
        seconds = time.monotonic() - begin
    series = sum(not line.startswith("#") for line in page.splitlines())
    return f"{series:,} | {len(page) / 1048576:.2f} MiB | {seconds * 1e3:.0f} ms |"


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    (folder / "secret").write_text("a-secret-of-32-characters-0123456")
    (folder / "keyring.toml").write_text("".join(
        f'[[pairing]]\nfiu = "fiu-{number}@bank.example"\naa = "aa@aggregator.example"\nprofile = "iv"\n'
        'secrets = [{ id = "2026-11", file = "secret" }]\n' for number in range(PAIRINGS)
    ))
    print(f"| {PAIRINGS:,} pairings | series | page | a scrape |\n|---|---|---|---|")
    print("| by default |", measure(folder))
    print("| `--no-pairing-metrics` |", measure(folder, "--no-pairing-metrics"))
