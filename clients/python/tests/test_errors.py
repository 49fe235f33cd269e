"""Every reason, provoked on the service if that is possible, and what an error has and shows."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import pickle
import re
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import Make
from google.rpc import error_details_pb2
from support import (
    AA,
    FIU,
    REDIRECT,
    Refusal,
    Script,
    Server,
    detailed,
    flooded_server,
    retry_in,
    wait_for,
    waiting_server,
)

from aa_redirect import (
    NOT_COMPARED,
    AsyncClient,
    CallOptions,
    Client,
    FieldViolation,
    Reason,
    Redirect,
    RedirectError,
    RedirectParams,
    _retry,
)
from aa_redirect._proto import redirect_pb2 as pb

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def refusal(call: Callable[[], Any]) -> RedirectError:
    with pytest.raises(RedirectError) as raised:
        call()
    return raised.value


def masked(date: str, text: str = FIU) -> str:
    return b64encode(bytes(b ^ ord(date[i % len(date)]) for i, b in enumerate(text.encode()))).decode()


def params(**changed: str) -> RedirectParams:
    """Parameters in the right form that nobody sealed."""
    date = changed.get("reqdate") or datetime.now(timezone.utc).strftime("%d%m%Y%H%M%S%f")[:17]
    right = {"fi": masked(date), "reqdate": date, "ecreq": b64encode(bytes(32)).decode(), "iv": "A" * 22 + "=="}
    return RedirectParams(**{**right, **changed})


def dated(seconds: int) -> RedirectParams:
    when = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return params(reqdate=when.strftime("%d%m%Y%H%M%S%f")[:17])


def encode(**changed: Any) -> Callable[[Client], object]:
    redirect = dataclasses.replace(REDIRECT, **changed)
    return lambda client: client.encode_redirect(fiu_id=FIU, redirect=redirect)


def decode(source: str | RedirectParams, aa_id: str = AA) -> Callable[[Client], object]:
    return lambda client: client.decode_redirect(source, aa_id=aa_id)


REFUSALS: list[tuple[Reason, grpc.StatusCode, Callable[[Client], object]]] = [
    (Reason.FIELD_INVALID, INVALID, encode(userid="", srcref=[])),
    (Reason.URL_MALFORMED, INVALID, decode("https://alpha.example/webview?fi=AAAA&ecreq=AAAA")),
    (Reason.PARAMETER_MALFORMED, INVALID, decode(params(ecreq="!!!!"))),
    (Reason.DATE_MALFORMED, INVALID, decode(params(reqdate="310220260510756"))),
    (Reason.DATE_EXPIRED, grpc.StatusCode.FAILED_PRECONDITION, lambda client: decode(dated(-300))(client)),
    (Reason.DATE_IN_FUTURE, grpc.StatusCode.FAILED_PRECONDITION, lambda client: decode(dated(300))(client)),
    (Reason.PAIRING_UNKNOWN, grpc.StatusCode.NOT_FOUND, encode(userid="9999988888@nobody")),
    (Reason.PAIRING_AMBIGUOUS, INVALID, lambda client: decode(params(), aa_id="")(client)),
    (Reason.SCHEME_MISMATCH, grpc.StatusCode.FAILED_PRECONDITION, lambda client: decode(params(iv=""))(client)),
    (Reason.REDIRECT_FORBIDDEN, grpc.StatusCode.PERMISSION_DENIED, encode(redirect="https://evil.test/")),
    (Reason.UNDECIPHERABLE, INVALID, lambda client: decode(params())(client)),
    (Reason.REQUEST_TOO_LARGE, grpc.StatusCode.RESOURCE_EXHAUSTED, encode(sessionid="s" * 70_000)),
]


@pytest.mark.parametrize(("reason", "code", "call"), REFUSALS, ids=[reason.name for reason, _, _ in REFUSALS])
def test_a_refusal_has_its_reason_and_code(
    client: Client, reason: Reason, code: grpc.StatusCode, call: Callable[[Client], object]
) -> None:
    error = refusal(lambda: call(client))
    assert (error.reason, error.code, error.reason.is_local) == (reason, code, False)
    assert error.message
    assert error.request_id
    assert error.method in {"EncodeRedirect", "DecodeRedirect"}
    assert error.tries == 1
    assert str(error).startswith(f"{reason.value}: {error.message}")
    assert f"request_id={error.request_id} tries=1]" in str(error)


def test_all_fields_at_fault_are_in_the_error_and_in_its_text(client: Client) -> None:
    error = refusal(lambda: encode(userid="", srcref=[], pan="x")(client))
    assert [violation.field for violation in error.violations] == ["redirect.userid", "redirect.srcref", "redirect.pan"]
    for violation in error.violations:
        assert f"; {violation.field}: {violation.description}" in str(error)


def test_a_single_field_at_fault_is_said_once(client: Client) -> None:
    error = refusal(lambda: encode(userid="")(client))
    (violation,) = error.violations
    assert str(error).count(violation.description) == 1
    assert str(error).startswith(f"FIELD_INVALID: {error.message} [EncodeRedirect ")


def test_metadata_and_hint_are_in_the_error(client: Client) -> None:
    india = datetime.now(timezone.utc) + timedelta(hours=5, minutes=30)
    error = refusal(lambda: client.decode_redirect(params(reqdate=india.strftime("%d%m%Y%H%M%S%f")[:17]), aa_id=AA))
    assert error.reason is Reason.DATE_IN_FUTURE
    assert error.metadata["max_age_seconds"] == "180"
    assert " max_age_seconds=180" in str(error)
    assert error.hint == "LOCAL_TIME"


def test_unknown_and_forbidden_callers_have_their_own_reasons(make: Make, tmp_path: Path) -> None:
    callers = tmp_path / "callers.toml"
    digest = sha256(b"right-token").hexdigest()
    callers.write_text(f'[[caller]]\nname = "aa"\ntoken_sha256 = "{digest}"\nmethods = ["DecodeRedirect"]\n')
    with Server("--callers", callers, "--sandbox") as server:
        for client in (make(server.address), make(server.address, token="wrong-token")):
            error = refusal(partial(encode(), client))
            assert (error.reason, error.code) == (Reason.CALLER_UNKNOWN, grpc.StatusCode.UNAUTHENTICATED)
        client = make(server.address, token="right-token")
        error = refusal(lambda: encode()(client))
        assert (error.reason, error.code) == (Reason.CALLER_FORBIDDEN, grpc.StatusCode.PERMISSION_DENIED)
        # A function is asked for the token of each call.
        tokens = iter(["wrong-token", "right-token"])
        client = make(server.address, token=lambda: next(tokens))
        reasons = [refusal(lambda: decode("fi=x")(client)).reason for _ in range(2)]
        assert reasons == [Reason.CALLER_UNKNOWN, Reason.URL_MALFORMED]


def test_an_overloaded_server_says_when_to_try_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retry, "TRIES", 1)
    with flooded_server(make) as errors:
        error = next(error for error in errors if error)
    assert (error.reason, error.code) == (Reason.OVERLOADED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert error.retry_delay is not None
    assert error.retry_delay > timedelta(0)


def test_a_draining_server_says_that_it_is_not_ready(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retry, "TRIES", 1)
    with waiting_server("--drain-timeout", 1) as server, ThreadPoolExecutor() as pool:
        client = make(server.address, timeout=30)
        sealed = client.encode_redirect(fiu_id=FIU, redirect=REDIRECT)
        call = pool.submit(refusal, lambda: client.decode_redirect(sealed.location, aa_id=AA))
        wait_for(lambda: server.metric("grpc_server_started_total", "DecodeRedirect"))
        server.terminate()
        error = call.result()
    assert (error.reason, error.code) == (Reason.NOT_READY, grpc.StatusCode.UNAVAILABLE)


def test_a_deadline_that_the_service_notices_first_is_timed_out(make: Make) -> None:
    with waiting_server("--max-deadline", 1) as server:
        client = make(server.address, timeout=30)
        sealed = client.encode_redirect(fiu_id=FIU, redirect=REDIRECT)
        error = refusal(lambda: client.decode_redirect(sealed.location, aa_id=AA))
    assert (error.reason, error.code) == (Reason.TIMED_OUT, grpc.StatusCode.DEADLINE_EXCEEDED)


def test_a_second_opening_is_refused_if_the_pairing_says_so(make: Make, tmp_path: Path) -> None:
    with Server("--keyring", refusing_keyring(tmp_path)) as server:
        client = make(server.address)
        sealed = client.encode_redirect(fiu_id="fiu", redirect=dataclasses.replace(REDIRECT, userid="u@aa"))
        opened = client.decode_redirect(sealed.location, aa_id="aa")
        error = refusal(lambda: client.decode_redirect(sealed.location, aa_id="aa"))
    assert (error.reason, error.code) == (Reason.ALREADY_OPENED, grpc.StatusCode.FAILED_PRECONDITION)
    assert opened.first_open_time is not None
    assert error.metadata["first_open_time"].startswith(opened.first_open_time.strftime("%Y-%m-%dT%H:%M:%S"))


def test_a_store_that_is_away_is_tried_again_and_reported(make: Make, tmp_path: Path) -> None:
    with Server("--keyring", refusing_keyring(tmp_path), "--store", "redis://127.0.0.1:1") as server:
        client = make(server.address)
        sealed = client.encode_redirect(fiu_id="fiu", redirect=dataclasses.replace(REDIRECT, userid="u@aa"))
        error = refusal(lambda: client.decode_redirect(sealed.location, aa_id="aa"))
    assert (error.reason, error.code) == (Reason.STORE_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)
    assert error.tries == 3


def refusing_keyring(folder: Path) -> Path:
    (folder / "secret").write_text("0123456789abcdefghijklmnopqrstuv")
    keyring = folder / "keyring.toml"
    keyring.write_text(
        '[[pairing]]\nfiu = "fiu"\naa = "aa"\nprofile = "iv"\nwebview = "https://aa.example/"\nhandles = ["aa"]\n'
        'reopen = "refuse"\nsecrets = [{ id = "s", file = "secret" }]\n'
    )
    return keyring


def scripted(make: Make, answer: Refusal | bytes) -> RedirectError:
    with Script(answer) as script:
        return refusal(lambda: encode()(make(script.address)))


def test_the_reasons_of_this_package_and_of_the_proto_are_the_same() -> None:
    of_proto = {name.removeprefix("ERROR_REASON_") for name in pb.ErrorReason.keys()} - {"UNSPECIFIED"}
    assert of_proto == {reason.value for reason in Reason if not reason.is_local}


@pytest.mark.parametrize("reason", [reason for reason in Reason if not reason.is_local])
def test_every_reason_of_the_service_is_read_and_pickled(make: Make, reason: Reason) -> None:
    error = scripted(make, Refusal(INVALID, "what, who, how", grpc_status_details_bin=detailed(reason.value, a="b")))
    assert error.reason is reason
    assert (error.metadata, error.message) == ({"a": "b"}, "what, who, how")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is RedirectError
        assert vars(other) == vars(error)
        assert str(other) == str(error)


def test_a_reason_of_a_newer_service_is_kept(make: Make) -> None:
    error = scripted(make, Refusal(INVALID, grpc_status_details_bin=detailed("MOON_FULL")))
    assert (error.reason.value, error.reason.name, error.reason.is_local) == ("MOON_FULL", "MOON_FULL", False)
    assert error.reason not in list(Reason)
    assert error.reason == Reason("MOON_FULL")
    assert str(error) == "MOON_FULL: no [EncodeRedirect tries=1]"
    assert pickle.loads(pickle.dumps(error)).reason == error.reason


def test_what_the_details_say_is_in_the_error(make: Make) -> None:
    bad = error_details_pb2.BadRequest.FieldViolation
    more = [
        error_details_pb2.BadRequest(field_violations=[bad(field="a.b", description="is required")]),
        error_details_pb2.RequestInfo(request_id="r-1"),
        retry_in(timedelta(milliseconds=1500)),
    ]
    answer = detailed("FIELD_INVALID", "aa.redirect.v1", *more, fields="a.b", hint="NOT_PROTOBUF")
    error = scripted(make, Refusal(INVALID, grpc_status_details_bin=answer))
    assert error.violations == (FieldViolation("a.b", "is required"),)
    assert (error.request_id, error.retry_delay, error.hint) == ("r-1", timedelta(milliseconds=1500), "NOT_PROTOBUF")
    assert str(error) == "FIELD_INVALID: no; a.b: is required [EncodeRedirect hint=NOT_PROTOBUF request_id=r-1 tries=1]"


@pytest.mark.parametrize(
    "trailers",
    [
        {},
        {"grpc_status_details_bin": detailed("FIELD_INVALID", "proxy.example")},
        {"grpc_status_details_bin": b"\xff\xff"},
    ],
    ids=["no details", "another domain", "no protobuf"],
)
def test_an_error_that_is_not_of_the_service_is_never_taken_for_one(make: Make, trailers: dict[str, bytes]) -> None:
    error = scripted(make, Refusal(grpc.StatusCode.UNIMPLEMENTED, "no such\nmethod", **trailers))
    assert (error.reason, error.code) == (Reason.LOCAL_UNEXPECTED_ANSWER, grpc.StatusCode.UNIMPLEMENTED)
    assert error.reason.is_local
    # The text is one line, whatever a proxy writes.
    assert re.fullmatch(r"LOCAL_UNEXPECTED_ANSWER: .*UNIMPLEMENTED: no such method \[.*\]", str(error))


def test_an_answer_that_is_no_protobuf_is_unexpected(make: Make) -> None:
    with Script(b"\xff\xff\xff") as script:
        error = refusal(lambda: encode()(make(script.address)))
    assert error.reason is Reason.LOCAL_UNEXPECTED_ANSWER


def test_no_answer_in_time_is_a_local_error(make: Make) -> None:
    with Server() as server:
        client = make(server.address, timeout=0.3)
        list(client.list_pairings(options=CallOptions(timeout=20)))
        server.pause()
        for options in (CallOptions(), CallOptions(timeout=0.2)):
            error = refusal(partial(client.encode_redirect, fiu_id=FIU, redirect=REDIRECT, options=options))
            assert (error.reason, error.code) == (
                Reason.LOCAL_DEADLINE_EXCEEDED,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            )
            assert error.message == f"no answer within {options.timeout or 0.3} s"


def test_no_server_is_a_local_error_after_all_tries(make: Make) -> None:
    error = refusal(lambda: encode()(make("127.0.0.1:1")))
    assert (error.reason, error.code, error.tries) == (
        Reason.LOCAL_UNREACHABLE,
        grpc.StatusCode.UNAVAILABLE,
        3,
    )
    assert "refused" in error.message


def test_a_closed_client_reports_that_it_is_closed(make: Make, server: Server) -> None:
    client = make(server.address)
    encode()(client)
    client.close()
    error = refusal(lambda: encode()(client))
    assert error.reason is Reason.LOCAL_CANCELLED


def test_closing_ends_calls_in_flight(make: Make) -> None:
    with Server() as server, ThreadPoolExecutor() as pool:
        client = make(server.address, timeout=30)
        encode()(client)
        server.pause()
        call = pool.submit(refusal, lambda: encode()(client))
        time.sleep(0.2)
        client.close()
        assert call.result(20).reason is Reason.LOCAL_CANCELLED


def test_a_cancelled_task_is_cancelled_and_nothing_else() -> None:
    async def run() -> None:
        with Server() as server:
            async with AsyncClient(server.address, timeout=30) as client:
                server.pause()
                task = asyncio.create_task(client.decode_redirect("fi=x", aa_id=AA))
                await asyncio.sleep(0.1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(run())


def test_no_error_shows_what_was_sent(client: Client) -> None:
    hidden = Redirect(
        userid="hidden-user", sessionid="hidden-session", redirect="hidden://url", srcref=["hidden,ref"], pan="hidden-p"
    )
    errors = [
        refusal(lambda: client.encode_redirect(fiu_id=FIU, redirect=hidden)),
        refusal(lambda: client.decode_redirect("https://x/?fi=hidden&reqdate=hidden&ecreq=hidden", aa_id=AA)),
        refusal(lambda: client.decode_callback("hidden", fiu_id=FIU, expected=NOT_COMPARED)),
    ]
    for error in errors:
        assert "hidden" not in f"{error} {error!r} {error.metadata} {error.violations} {error.__cause__!r}"
