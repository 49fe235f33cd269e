"""One server for the whole run, with the keyring of `support`."""

import tempfile
from pathlib import Path

import pytest

from support import BINARY, SEED, Server, make_pairings, write_keyring


def pytest_report_header():
    return f"INTEROP_SEED={SEED} (set it to repeat this run)"


def pytest_sessionstart():
    if not BINARY.exists():
        pytest.exit(f"no server to test at {BINARY}: build it, or name it with AA_REDIRECT_BIN", returncode=2)


@pytest.fixture(scope="session")
def pairings():
    return make_pairings()


@pytest.fixture(scope="session")
def keyring(pairings):
    with tempfile.TemporaryDirectory(prefix="aa-redirect-interop-") as folder:
        yield write_keyring(Path(folder), pairings)


@pytest.fixture(scope="session")
def server(keyring):
    with Server("--keyring", keyring) as server:
        yield server


@pytest.fixture(scope="session")
def client(server):
    return server.client()
