"""When a call is tried again, on servers that refuse, lose answers, restart and vanish."""

from __future__ import annotations

import random
import time
import uuid
from datetime import timedelta

import grpc
import pytest
from conftest import Make
from support import AA, FIU, REDIRECT, Cable, Refusal, Script, Server, detailed, free_port, retry_in

from aa_redirect import NOT_COMPARED, CallOptions, Client, Reason, RedirectError, _retry
from aa_redirect._errors import Attempted
from aa_redirect._proto import redirect_pb2 as pb

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
NOT_READY = Refusal(UNAVAILABLE, grpc_status_details_bin=detailed("NOT_READY"))
STORE = Refusal(UNAVAILABLE, grpc_status_details_bin=detailed("STORE_UNAVAILABLE"))
FROM_PROXY = Refusal(UNAVAILABLE, "no healthy upstream")
SEALED = pb.EncodeRedirectResponse(url="https://aa.example/")


def overloaded(milliseconds: int, **trailers: str) -> Refusal:
    details = detailed("OVERLOADED", "aa.redirect.v1", retry_in(timedelta(milliseconds=milliseconds)))
    return Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc_status_details_bin=details, **trailers)


def encode(client: Client, timeout: float | None = None) -> object:
    return client.encode_redirect(fiu_id=FIU, redirect=REDIRECT, options=CallOptions(timeout=timeout))


@pytest.mark.parametrize("refusal", [NOT_READY, STORE, FROM_PROXY, overloaded(1)], ids=["a", "b", "c", "d"])
def test_a_call_is_tried_up_to_three_times(make: Make, refusal: Refusal) -> None:
    with Script(refusal, refusal, SEALED) as script:
        encode(make(script.address))
        assert len(script.asked) == 3
    with Script(refusal) as script:
        with pytest.raises(RedirectError) as raised:
            encode(make(script.address))
        assert (len(script.asked), raised.value.tries) == (3, 3)


FINAL = [reason.value for reason in Reason if not reason.is_local]
FINAL = [reason for reason in FINAL if reason not in {"NOT_READY", "STORE_UNAVAILABLE", "OVERLOADED"}]


@pytest.mark.parametrize("reason", [*FINAL, "MOON_FULL"])
def test_every_other_reason_is_final(make: Make, reason: str) -> None:
    refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, grpc_status_details_bin=detailed(reason))
    with Script(refusal) as script, pytest.raises(RedirectError):
        encode(make(script.address))
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc_status_details_bin=detailed("OVERLOADED")),
        overloaded(1, grpc_retry_pushback_ms="-1"),
        Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "a proxy's limit"),
        Refusal(grpc.StatusCode.INTERNAL, "stream reset"),
    ],
    ids=["overloaded without a delay", "overloaded for good", "another's limit", "internal"],
)
def test_what_does_not_say_that_it_passes_is_final(make: Make, refusal: Refusal) -> None:
    with Script(refusal) as script, pytest.raises(RedirectError):
        encode(make(script.address))
    assert len(script.asked) == 1


def test_a_delay_that_does_not_fit_into_the_time_is_not_waited_for(make: Make) -> None:
    with Script(overloaded(60_000)) as script, pytest.raises(RedirectError) as raised:
        encode(make(script.address))
    # The deadline does not hide the reason of the last try.
    assert (raised.value.reason, raised.value.retry_delay) == (Reason.OVERLOADED, timedelta(seconds=60))
    assert len(script.asked) == 1


def test_one_time_limit_holds_for_all_tries(make: Make) -> None:
    def slow() -> Refusal:
        time.sleep(0.25)
        return NOT_READY

    with Script(slow) as script, pytest.raises(RedirectError) as raised:
        encode(make(script.address), timeout=0.4)
    assert raised.value.reason in {Reason.LOCAL_DEADLINE_EXCEEDED, Reason.NOT_READY}
    assert raised.value.tries == 2


class Clock:
    """A clock that moves only when a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def error(reason: Reason, code: grpc.StatusCode, delay: timedelta | None = None) -> RedirectError:
    return RedirectError(reason, "no", code=code, retry_delay=delay)


@pytest.mark.parametrize(("low", "high"), [(0.8, 1.0), (1.2, 1.2)])
def test_pauses_double_with_some_chance(monkeypatch: pytest.MonkeyPatch, clock: Clock, low: float, high: float) -> None:
    monkeypatch.setattr(random, "uniform", lambda least, most: low if least < 1 else high)
    monkeypatch.setattr(_retry, "TRIES", 7)
    effort = _retry.Effort("M", "r", 100)
    pauses = []
    for _ in range(6):
        effort.begin()
        pauses.append(effort.pause(error(Reason.NOT_READY, UNAVAILABLE)))
    assert pauses == pytest.approx([low * pause for pause in (0.05, 0.1, 0.2, 0.4, 0.5, 0.5)])
    told = effort.pause(error(Reason.OVERLOADED, grpc.StatusCode.RESOURCE_EXHAUSTED, timedelta(seconds=2)))
    assert told == pytest.approx(2 * high)


def test_each_try_has_what_is_left_of_the_time(clock: Clock) -> None:
    effort = _retry.Effort("M", "r", 2)
    assert effort.begin() == 2
    clock.now += 1.5
    assert effort.pause(error(Reason.NOT_READY, UNAVAILABLE)) is not None
    assert effort.begin() == 0.5
    clock.now += 0.46
    assert effort.pause(error(Reason.NOT_READY, UNAVAILABLE)) is None
    assert effort.so_far() == Attempted("M", "r", 2, 2)


def test_every_try_of_a_decode_call_is_the_same_attempt(make: Make) -> None:
    with Script(NOT_READY, FROM_PROXY, pb.DecodeRedirectResponse(redirect=pb.Redirect(srcref=["a"]))) as script:
        client = make(script.address)
        client.decode_redirect("fi=x", aa_id=AA)
        client.decode_redirect("fi=x", aa_id=AA)
    first, second, third, fourth = (request.attempt_id for request in script.asked)
    assert first == second == third != fourth
    assert uuid.UUID(first).version == 4


def test_an_attempt_can_be_named(make: Make) -> None:
    with Script(pb.DecodeCallbackResponse()) as script:
        options = CallOptions(attempt_id="mine")
        make(script.address).decode_callback("fi=x", fiu_id=FIU, expected=NOT_COMPARED, options=options)
    assert script.asked[0].attempt_id == "mine"


def test_a_decode_call_whose_answer_is_lost_is_made_again_and_not_taken_for_a_second_one(
    make: Make, server: Server
) -> None:
    with Cable(server.address) as cable:
        client = make(cable.address, timeout=20)
        sealed = client.encode_redirect(fiu_id=FIU, redirect=REDIRECT)
        cable.lose_answers(1)
        opened = client.decode_redirect(sealed.location, aa_id=AA)
        assert cable.connections == 2
    assert opened.redirect.userid == REDIRECT.userid
    assert not opened.reopened


def test_a_connection_that_breaks_between_calls_is_made_anew(make: Make, server: Server) -> None:
    with Cable(server.address) as cable:
        client = make(cable.address, timeout=20)
        encode(client)
        cable.cut()
        encode(client)
        assert cable.connections > 1


def test_a_server_that_goes_away_during_a_call_is_reported(make: Make) -> None:
    with Server() as server:
        client = make(server.address, timeout=20)
        encode(client)
        server.stop()
        with pytest.raises(RedirectError) as raised:
            encode(client)
    assert raised.value.reason is Reason.LOCAL_UNREACHABLE


def test_a_server_that_is_back_is_found_again(make: Make) -> None:
    address = f"127.0.0.1:{free_port()}"
    client = make(address)
    for _ in range(2):
        with Server(listen=address):
            end = time.monotonic() + 20
            while True:
                try:
                    encode(client)
                    break
                except RedirectError as error:
                    assert error.reason is Reason.LOCAL_UNREACHABLE
                    assert time.monotonic() < end, "not found again"


def test_a_rolling_restart_fails_no_call(make: Make) -> None:
    servers = [Server("--drain-delay", 1), Server("--drain-delay", 1)]
    client = make([server.address for server in servers], timeout=5)
    try:
        for number in range(2):
            encode(client)
            former = servers[number]
            former.terminate()
            end = time.monotonic() + 20
            while former.running:
                encode(client)
                assert time.monotonic() < end, "the server does not end"
            servers.append(Server(listen=former.address))
            for _ in range(20):
                encode(client)
    finally:
        for server in servers:
            server.stop()
