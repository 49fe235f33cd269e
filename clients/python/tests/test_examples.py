"""The examples as they stand: the programs in processes of their own, the FastAPI backend with a browser."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from support import AA, FIU, HANDLE, Server

from aa_redirect import Client, OpenedRedirect

EXAMPLES = Path(__file__).parents[1] / "examples"


class Program:
    """An example in a process of its own."""

    def __init__(self, name: str, *arguments: str) -> None:
        command = [sys.executable, str(EXAMPLES / name), *arguments]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def read_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self, line: str) -> tuple[str, str, int]:
        """Hands it a line and waits for what it prints, its errors and its exit code."""
        out, err = self._process.communicate(line + "\n", timeout=60)
        return out.strip(), err.strip(), self._process.returncode

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def test_a_user_goes_from_the_fiu_to_the_aa_and_back(server: Server) -> None:
    with Program("fiu.py", server.address) as fiu, Program("aa.py", server.address) as aa:
        url = fiu.read_line()
        assert url.startswith("https://alpha.example/webview?fi=")
        callback, complaints, code = aa.end(url)
        assert callback.startswith("https://app.fiu.example/aa/return?lead=42&fi=")
        assert (complaints, code) == ("", 0)
        assert fiu.end(callback) == (f"accepted: {HANDLE}", "", 0)


def test_a_refusal_of_the_user_comes_back_with_its_code(server: Server) -> None:
    with Program("fiu.py", server.address) as fiu, Program("aa.py", server.address, "1") as aa:
        callback, _, _ = aa.end(fiu.read_line())
        assert fiu.end(callback) == ("not accepted: 1 Consent is rejected", "", 0)


def test_deviations_are_told(server: Server) -> None:
    with Program("fiu.py", server.address) as fiu, Program("aa.py", server.address) as aa:
        _, complaints, code = aa.end(fiu.read_line().replace("%3D", ""))
        assert "request from 'fiu@sandbox' deviates from the format: BASE64_UNPADDED" in complaints
        assert code == 0


def test_an_error_is_one_line_and_a_bad_end(server: Server) -> None:
    with Program("aa.py", server.address) as aa:
        out, err, code = aa.end("https://alpha.example/webview?fi=AAAA&ecreq=AAAA")
    assert (out, code) == ("", 1)
    assert err.startswith("URL_MALFORMED: ")
    assert "\n" not in err


@pytest.fixture
def browser(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("AA_REDIRECT_ADDRESS", server.address)
    monkeypatch.syspath_prepend(EXAMPLES)
    example: Any = importlib.import_module("fastapi_fiu")
    with TestClient(example.app, base_url="http://fiu.example", follow_redirects=False) as browser:
        yield browser


def go_to_aa(browser: TestClient, server: Server) -> OpenedRedirect:
    away = browser.get("/consent")
    assert (away.status_code, away.headers["cache-control"]) == (303, "no-store")
    with Client(server.address) as aa:
        return aa.decode_redirect(away.headers["location"], aa_id="beta-aa")


def come_back(browser: TestClient, server: Server, opened: OpenedRedirect, errorcode: int) -> Any:
    with Client(server.address) as aa:
        url = urlsplit(aa.answer_redirect(opened, errorcode=errorcode).location)
    assert (url.netloc, url.path) == ("fiu.example", "/aa/return")
    return browser.get(f"{url.path}?{url.query}")


def test_the_backend_sends_a_browser_and_takes_it_back(browser: TestClient, server: Server) -> None:
    back = come_back(browser, server, go_to_aa(browser, server), 0)
    assert (back.status_code, back.text) == (200, "accepted")
    back = come_back(browser, server, go_to_aa(browser, server), 1)
    assert (back.status_code, back.text) == (200, "Consent is rejected")


def test_the_backend_takes_no_callback_of_another_browser(browser: TestClient, server: Server) -> None:
    stolen = go_to_aa(browser, server)
    go_to_aa(browser, server)  # another session takes the cookie's place
    assert come_back(browser, server, stolen, 0).status_code == 400
    browser.cookies.clear()
    assert come_back(browser, server, stolen, 0).status_code == 400


def test_the_backend_tells_a_broken_link_from_a_service_that_is_away(browser: TestClient, server: Server) -> None:
    assert (FIU, AA) == ("fiu@sandbox", "alpha-aa")
    browser.get("/consent")
    assert browser.get("/aa/return?fi=x").status_code == 400
