"""Fixtures. `make` makes a client of either kind, so that each test runs on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support import Blocking, Server

from aa_redirect import Client

Make = Callable[..., Client]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    kind: Any = {"sync": Client, "async": Blocking}[request.param]
    with ExitStack() as clients:
        yield lambda *args, **options: clients.enter_context(kind(*args, **options))


@pytest.fixture
def client(make: Make, server: Server) -> Client:
    return make(server.address)
