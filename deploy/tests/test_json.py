"""Envoy's transcoder (`deploy/envoy/json.yaml`) with the descriptor set of `aa-redirect descriptor`: curl in place of
gRPC for every method and every error that a caller can cause, and grpc-web. INTERNAL_FAULT is not tested, because only
a bug of the service gives it."""
from __future__ import annotations

import contextlib
import hashlib
import http.client
import itertools
import json
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.calls import messages, redirect_request
from support.envoy import Envoy
from support.processes import BINARY, Service, free_port, get, wait_for

TOKEN, LIMITED = "token-of-the-shop", "token-of-an-operator"
KEYRING = """
[[pairing]]
fiu = "fiu@shop"
aa = "aa@one"
profile = "iv"
webview = "https://one.example/webview"
handles = ["one"]
redirect_hosts = ["shop.example"]
date = "full"
max_age_seconds = 180
secrets = [{ id = "1", file = "secret" }]

[[pairing]]                        # the same secret, with a window that a message of the first can miss
fiu = "fiu@shop"
aa = "aa@strict"
profile = "iv"
date = "full"
max_age_seconds = 1
secrets = [{ id = "1", file = "secret" }]

[[pairing]]                        # another secret
fiu = "fiu@shop"
aa = "aa@other"
profile = "iv"
secrets = [{ id = "1", file = "other" }]

[[pairing]]                        # another scheme
fiu = "fiu@shop"
aa = "aa@old"
profile = "v1.5"
date = "millis"                    # so that calls of one second have keys of their own
secrets = [{ id = "1", file = "other" }]

[[pairing]]                        # opens each message once
fiu = "fiu@shop"
aa = "aa@once"
profile = "iv"
webview = "https://once.example/webview"
reopen = "refuse"
secrets = [{ id = "1", file = "other" }]
"""
# Envoy's HTTP status for each gRPC code.
STATUS = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 14: 503, 16: 401}


class Shop:
    """A caller that has only curl."""

    def __init__(self, port: int, folder: Path) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self._body = folder / "body.json"

    def post(self, method: str, body: object, *headers: str, token: str = TOKEN) -> tuple[int, dict]:
        self._body.write_text(body if isinstance(body, str) else json.dumps(body))
        return self.curl(method, *headers, token=token)

    def curl(self, method: str, *headers: str, token: str = TOKEN, more: tuple = ()) -> tuple[int, dict]:
        command = ["curl", "--silent", "--max-time", "30", "--write-out", "\n%{http_code}",
                   "--header", "content-type: application/json"]
        for header in (f"authorization: Bearer {token}", *headers):
            command += ["--header", header]
        command += more or ("--data-binary", f"@{self._body}")
        path = f"{self.base}/aa.redirect.v1.RedirectService/{method}"
        printed = subprocess.run([*command, path], capture_output=True, text=True, check=True).stdout
        text, code = printed.rsplit("\n", 1)
        return int(code), json.loads(text) if text.startswith("{") else {"text": text}

    def refused(self, method: str, body: object, *headers: str, token: str = TOKEN) -> dict:
        """The ErrorInfo of a refusal, with all its details under `details`. Checks that its HTTP status fits its
        code."""
        status, answer = self.post(method, body, *headers, token=token)
        assert answer.get("code") and status == STATUS[answer["code"]], (status, answer)
        assert answer["message"], answer
        details = {detail["@type"].rsplit(".", 1)[1]: detail for detail in answer["details"]}
        assert details["ErrorInfo"]["domain"] == "aa.redirect.v1"
        return {**details["ErrorInfo"], "details": details}


    def call(self, method: str, body: object, timeout: str) -> tuple[int, dict]:
        """Makes one call without curl, because some tests make many at a time."""
        connection = http.client.HTTPConnection(self.base.removeprefix("http://"), timeout=30)
        headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}", "grpc-timeout": timeout}
        with contextlib.closing(connection):
            connection.request("POST", f"/aa.redirect.v1.RedirectService/{method}", json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith("{") else {"text": text}


@contextlib.contextmanager
def served(folder: Path, *arguments: object) -> Iterator[tuple[Shop, Service]]:
    """The service with Envoy before it."""
    descriptor = folder / "redirect.pb"
    descriptor.write_bytes(subprocess.run([BINARY, "descriptor"], check=True, capture_output=True).stdout)
    (folder / "keyring.toml").write_text(KEYRING)
    (folder / "secret").write_text("one-secret-of-thirty-two-letters")
    (folder / "other").write_text("another-secret-of-at-least-32-letters")
    digest = lambda token: hashlib.sha256(token.encode()).hexdigest()  # noqa: E731
    (folder / "callers.toml").write_text(
        f'[[caller]]\nname = "shop"\ntoken_sha256 = "{digest(TOKEN)}"\n'
        f'[[caller]]\nname = "operator"\ntoken_sha256 = "{digest(LIMITED)}"\nmethods = ["ListPairings"]\n'
    )
    path = folder / "calls.sock"
    service = Service(
        "--listen", f"unix:{path}", "--keyring", folder / "keyring.toml", "--callers", folder / "callers.toml",
        "--admin-listen", "127.0.0.1:0", "--kdf-threads", "1", *arguments,
    )
    files = {"/etc/envoy/redirect.pb": descriptor}
    with service, Envoy("json", folder, [f"unix:{path}"], files) as envoy:
        yield Shop(envoy.port, folder), service


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Iterator[Shop]:
    with served(tmp_path_factory.mktemp("json")) as (shop, _):
        yield shop


def members(**changes: object) -> dict:
    redirect = {
        "sessionid": "टोकरी 🧺 & = % +", "userid": "9999988888@one", "redirect": "https://shop.example/cb?lead=42",
        "srcref": ["0b054f6a-a0b3-4424-a668-2b53090bad6f"],
    }
    return {"fiu_id": "fiu@shop", "aa_id": "aa@one", "redirect": {**redirect, **changes}}


def sealed(shop: Shop, **more: object) -> dict:
    status, answer = shop.post("EncodeRedirect", {**members(), **more})
    assert status == 200, answer
    return answer


def answered(shop: Shop) -> tuple[dict, dict]:
    """Opens a redirect, and seals its callback."""
    status, opened = shop.post("DecodeRedirect", {"aa_id": "aa@one", "url": sealed(shop)["url"]})
    assert status == 200, opened
    callback = {name: opened["redirect"][name] for name in ("txnid", "sessionid", "userid", "srcref")}
    request = {
        "fiu_id": "fiu@shop", "aa_id": "aa@one", "redirect_url": opened["redirect"]["redirect"],
        "callback": {**callback, "status": "CALLBACK_STATUS_SUCCESS"},
    }
    status, answer = shop.post("EncodeCallback", request)
    assert status == 200, answer
    return opened, answer


def test_both_legs_go_there_and_back_in_json(shop: Shop) -> None:
    opened, answer = answered(shop)
    assert opened["redirect"]["sessionid"] == "टोकरी 🧺 & = % +"
    assert opened["primary_secret"] is True
    assert "replay_until" in opened
    status, outcome = shop.post("DecodeCallback", {"fiu_id": "fiu@shop", "url": answer["url"]})
    assert status == 200, outcome
    assert outcome["callback"]["status"] == "CALLBACK_STATUS_SUCCESS"
    assert outcome["callback"]["sessionid"] == "टोकरी 🧺 & = % +"


def test_the_pairings_are_listed_in_json(shop: Shop) -> None:
    status, answer = shop.post("ListPairings", {"page_size": 2})
    assert status == 200, answer
    assert [pairing["aa_id"] for pairing in answer["pairings"]] == ["aa@old", "aa@once"]
    assert answer["next_page_token"]


def test_every_field_that_is_wrong_is_named(shop: Shop) -> None:
    error = shop.refused("EncodeRedirect", members(userid="9999988888", redirect="shop.example/cb"))
    assert error["reason"] == "FIELD_INVALID"
    fields = [violation["field"] for violation in error["details"]["BadRequest"]["field_violations"]]
    assert fields == ["redirect.userid", "redirect.redirect"]


def test_the_reasons_of_a_url_and_its_parameters(shop: Shop) -> None:
    url = sealed(shop)["url"]
    params = sealed(shop)["params"]

    def decode(**request: object) -> str:
        return shop.refused("DecodeRedirect", {"aa_id": "aa@one", **request})["reason"]

    assert decode(url="https://one.example/webview?fi=x") == "URL_MALFORMED"
    assert decode(params={**params, "reqdate": "yesterday"}) == "DATE_MALFORMED"
    assert decode(params={**params, "ecreq": "*"}) == "PARAMETER_MALFORMED"
    assert decode(url=url, aa_id="aa@nobody") == "PAIRING_UNKNOWN"
    assert decode(url=url, aa_id="") == "PAIRING_AMBIGUOUS"
    assert decode(url=url, aa_id="aa@old") == "SCHEME_MISMATCH"
    assert decode(url=url, aa_id="aa@other") == "UNDECIPHERABLE"


@pytest.mark.parametrize(("offset", "reason"), [(-60, "DATE_EXPIRED"), (60, "DATE_IN_FUTURE")])
def test_the_reasons_of_a_date_outside_the_window(shop: Shop, offset: int, reason: str) -> None:
    issued = (datetime.now(UTC) + timedelta(seconds=offset)).isoformat()
    url = sealed(shop, issue_time=issued)["url"]
    error = shop.refused("DecodeRedirect", {"aa_id": "aa@strict", "url": url})
    assert error["reason"] == reason
    assert error["metadata"]["max_age_seconds"] == "1"


def test_the_reasons_of_who_calls_and_what_for(shop: Shop) -> None:
    assert shop.refused("EncodeRedirect", members(), token="nobody's")["reason"] == "CALLER_UNKNOWN"
    assert shop.refused("EncodeRedirect", members(), token=LIMITED)["reason"] == "CALLER_FORBIDDEN"
    elsewhere = members(redirect="https://elsewhere.example/cb")
    assert shop.refused("EncodeRedirect", elsewhere)["reason"] == "REDIRECT_FORBIDDEN"


def test_a_request_over_the_limit_has_its_own_reason(shop: Shop) -> None:
    url = "https://one.example/webview?fi=" + "x" * 70_000
    assert shop.refused("DecodeRedirect", {"aa_id": "aa@one", "url": url})["reason"] == "REQUEST_TOO_LARGE"


def test_a_deadline_is_kept(shop: Shop) -> None:
    request = {**members(), "aa_id": "aa@old"}
    assert shop.refused("EncodeRedirect", request, "grpc-timeout: 1u")["reason"] == "TIMED_OUT"


def test_the_fields_in_which_a_callback_is_not_the_expected_one_are_named(shop: Shop) -> None:
    opened, answer = answered(shop)
    expected = {name: opened["redirect"][name] for name in ("txnid", "sessionid", "userid")}
    decode = {"fiu_id": "fiu@shop", "url": answer["url"], "expected": {**expected, "txnid": "another", "aa_id": "aa@one"}}
    error = shop.refused("DecodeCallback", decode)
    assert error["reason"] == "NOT_EXPECTED"
    assert error["metadata"]["fields"] == "txnid"
    decode["expected"]["txnid"] = expected["txnid"]
    assert shop.post("DecodeCallback", decode)[0] == 200


def test_a_message_that_may_be_opened_once_is_not_opened_again(shop: Shop) -> None:
    request = {"aa_id": "aa@once", "url": sealed(shop, aa_id="aa@once")["url"]}
    status, opened = shop.post("DecodeRedirect", request)
    assert status == 200, opened
    error = shop.refused("DecodeRedirect", request)
    assert error["reason"] == "ALREADY_OPENED"
    assert error["metadata"]["first_open_time"][:19] == opened["first_open_time"][:19]


def test_a_store_that_does_not_answer_is_reported(tmp_path: Path) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}"
    with served(tmp_path, "--store", nobody, "--store-outage", "closed") as (shop, _):
        request = {"aa_id": "aa@one", "url": sealed(shop)["url"]}
        assert shop.refused("DecodeRedirect", request)["reason"] == "STORE_UNAVAILABLE"


def flood(shop: Shop, calls: int, timeout: str) -> list[tuple[int, dict]]:
    """Calls at the same time that each cost a derivation."""
    begin, numbers = datetime.now(UTC).replace(microsecond=0), itertools.count()

    def one(_) -> tuple[int, dict] | None:
        # A date has a minute and a millisecond. With its own date, each call gets its own key.
        issued = (begin + timedelta(milliseconds=next(numbers) % 1000)).isoformat()
        with contextlib.suppress(OSError, http.client.HTTPException):
            return shop.call("EncodeRedirect", {**members(), "aa_id": "aa@old", "issue_time": issued}, timeout)

    with ThreadPoolExecutor(100) as callers:
        return [answer for answer in callers.map(one, range(calls)) if answer]


def test_a_server_with_too_much_work_says_when_to_come_back(shop: Shop) -> None:
    answers = flood(shop, 400, "30m")
    overloaded = [answer for answer in answers if "OVERLOADED" in json.dumps(answer[1].get("details", ""))]
    assert overloaded, "more than one thread derives in so short a time"
    for status, answer in overloaded:
        assert status == STATUS[answer["code"]] == 429
        (retry,) = [detail for detail in answer["details"] if detail["@type"].endswith("RetryInfo")]
        assert float(retry["retry_delay"].removesuffix("s")) > 0


def test_a_server_that_shuts_down_answers_not_ready_to_calls_that_it_cannot_finish(tmp_path: Path) -> None:
    begun = 'grpc_server_started_total{grpc_type="unary",grpc_service="aa.redirect.v1.RedirectService",grpc_method="DecodeRedirect"} 1'
    with socket.create_server(("127.0.0.1", 0)) as deaf, ThreadPoolExecutor() as callers:
        # A decode call waits for a store that never answers.
        store = ("--store", f"redis://127.0.0.1:{deaf.getsockname()[1]}", "--store-outage", "closed")
        more = ("--store-timeout-milliseconds", "10000", "--drain-timeout", "1")
        with served(tmp_path, *store, *more) as (shop, service):
            request = {"aa_id": "aa@one", "url": sealed(shop)["url"]}
            call = callers.submit(shop.refused, "DecodeRedirect", request)
            wait_for("the call waits", lambda: begun in service.metrics())
            service.process.send_signal(signal.SIGTERM)
            assert call.result()["reason"] == "NOT_READY"


def test_what_is_no_call_is_refused_before_the_service(shop: Shop) -> None:
    assert shop.post("EncodeRedirect", "{")[0] == 400
    assert shop.post("EncodeRedirect", {"no_such_field": 1})[0] == 400
    assert shop.post("NoSuchMethod", {})[0] == 404
    assert shop.curl("EncodeRedirect", more=("--get",))[0] in (404, 405, 415)


def test_a_caller_without_grpc_finds_the_request_id(shop: Shop) -> None:
    headers = subprocess.run(
        ["curl", "--silent", "--dump-header", "-", "--header", f"authorization: Bearer {TOKEN}", "--header",
         "x-request-id: order-7", "--header", "content-type: application/json", "--data", "{}",
         f"{shop.base}/aa.redirect.v1.RedirectService/ListPairings"],
        capture_output=True, text=True, check=True,
    ).stdout
    assert "x-request-id: order-7" in headers


def test_grpc_web_brings_an_answer_and_an_error(shop: Shop) -> None:
    def call(request) -> bytes:
        body = request.SerializeToString()
        command = ["curl", "--silent", "--header", "content-type: application/grpc-web+proto", "--header",
                   "x-grpc-web: 1", "--header", f"authorization: Bearer {TOKEN}", "--data-binary", "@-",
                   f"{shop.base}/aa.redirect.v1.RedirectService/EncodeRedirect"]
        framed = struct.pack(">BI", 0, len(body)) + body
        return subprocess.run(command, input=framed, capture_output=True, check=True).stdout

    request = redirect_request("one")
    request.fiu_id = "fiu@shop"
    request.redirect.redirect = "https://shop.example/cb"
    answer = call(request)
    flags, length = struct.unpack(">BI", answer[:5])
    assert flags == 0
    assert messages.EncodeRedirectResponse.FromString(answer[5:5 + length]).url.startswith("https://one.example/")
    assert b"grpc-status:0" in answer[5 + length:]
    request.fiu_id = ""
    # Trailers alone come as headers, which this call does not print.
    assert call(request) == b""


def test_probes_of_the_transcoder_do_not_reach_the_service(shop: Shop) -> None:
    assert get(f"{shop.base}/grpc.health.v1.Health/Check")[0] == 404
