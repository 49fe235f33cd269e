"""Runs the examples unchanged: the AA's program in its own process, and the FastAPI backend with a browser."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient
from support import Server, free_port

from aa_redirect import Client, OpenedRedirect

EXAMPLES = Path(__file__).parents[1] / "examples"


class WebView:
    """The AA's backend in a process of its own."""

    def __init__(self, service: str, log: Path) -> None:
        listen = f"127.0.0.1:{free_port()}"
        environment = {**os.environ, "AA_REDIRECT_ADDRESS": service, "LISTEN": listen, "AA_ID": "beta-aa"}
        self._log = log
        with log.open("w") as out:
            command = [sys.executable, str(EXAMPLES / "aa.py")]
            self._process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        self._http = httpx2.Client(base_url=f"http://{listen}", transport=httpx2.HTTPTransport(retries=8))

    def visit(self, url: str) -> httpx2.Response:
        """The answer to a browser that an FIU sent to this URL of the AA."""
        return self._http.get(f"/webview?{urlsplit(url).query}")

    def said(self) -> str:
        return self._log.read_text()

    def __enter__(self) -> WebView:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._process.kill()
        self._process.wait()


@pytest.fixture
def web_view(server: Server, tmp_path: Path) -> Iterator[WebView]:
    with WebView(server.address, tmp_path / "log") as web_view:
        yield web_view


def test_a_user_goes_from_the_fiu_to_the_aa_and_back(browser: TestClient, web_view: WebView) -> None:
    request = browser.get("/consent").headers["location"]
    assert request.startswith("https://beta.example/webview?fi=")
    answer = web_view.visit(request)
    assert (answer.status_code, answer.headers["cache-control"]) == (303, "no-store")
    assert answer.headers["location"].startswith("http://fiu.example/aa/return?fi=")
    back = browser.get(answer.headers["location"])
    assert (back.status_code, back.text) == (200, "accepted")
    assert web_view.said() == ""


def test_the_aa_tells_deviations_and_a_reload_without_the_user(browser: TestClient, web_view: WebView) -> None:
    request = browser.get("/consent").headers["location"].replace("%3D", "")
    assert [web_view.visit(request).status_code for _ in range(2)] == [303, 303]
    assert "request from 'fiu@sandbox' deviates from the format: BASE64_UNPADDED" in web_view.said()
    assert "opened before, first at 20" in web_view.said()
    assert "9999988888" not in web_view.said()


def test_the_aa_does_not_redirect_if_a_request_does_not_open(web_view: WebView) -> None:
    answer = web_view.visit("https://beta.example/webview?fi=AAAA&ecreq=BBBB")
    assert (answer.status_code, "location" in answer.headers) == (400, False)
    assert "URL_MALFORMED: " in web_view.said()
    assert "BBBB" not in web_view.said()


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


def come_back_to(opened: OpenedRedirect, server: Server, errorcode: int) -> str:
    with Client(server.address) as aa:
        url = urlsplit(aa.answer_redirect(opened, errorcode=errorcode).location)
    assert (url.netloc, url.path) == ("fiu.example", "/aa/return")
    return f"{url.path}?{url.query}"


def come_back(browser: TestClient, server: Server, opened: OpenedRedirect, errorcode: int) -> Any:
    return browser.get(come_back_to(opened, server, errorcode))


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


def test_the_backend_tells_a_broken_link_from_a_service_that_is_away(
    browser: TestClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.get("/consent")
    assert browser.get("/aa/return?fi=x").status_code == 400
    callback = come_back_to(go_to_aa(browser, server), server, 0)
    assert browser.get(f"{callback}&iv=AAAAAAAAAAAAAAAAAAAAAA%3D%3D").status_code == 400  # parameters of another scheme
    monkeypatch.setenv("AA_REDIRECT_ADDRESS", f"127.0.0.1:{free_port()}")
    example: Any = importlib.import_module("fastapi_fiu")
    with TestClient(example.app) as cut_off:
        assert cut_off.get("/consent").status_code == 503
