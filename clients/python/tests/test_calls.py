"""The four calls and the list of pairings, as an FIU and an AA make them."""

from __future__ import annotations

import copy
import dataclasses
import enum
import pickle
import re
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from conftest import Make
from support import AA, FIU, HANDLE, REDIRECT, Script, Server

from aa_redirect import (
    NOT_COMPARED,
    Authentication,
    Callback,
    CallbackParams,
    CallbackStatus,
    CallOptions,
    Client,
    Deviation,
    DeviationReport,
    Expected,
    FrozenMap,
    Leg,
    Reason,
    Redirect,
    RedirectError,
    RedirectParams,
    Reopen,
    RequestorType,
    Scheme,
    Secret,
    SecretState,
)
from aa_redirect import _calls as calls
from aa_redirect._proto import redirect_pb2 as pb

EVERY_MEMBER = Redirect(
    txnid="2d04747e-21c6-4c23-955b-d46c2f820140",
    sessionid="a&b=c%+# \r\nसहमति 🔑",
    userid="9999988888@alpha",
    redirect="https://fiu.example/cb?lead=42&next=%2Fa+b",
    srcref=[HANDLE, "second"],
    fipid=["FIP-1", "FIP-2"],
    email="user@example.in",
    pan="ABCDE1234F",
    dob="1990-02-28",
    iso_language_code="hi-IN",
    extra={"vendor": "x", "account": ""},
)


def test_every_member_of_a_redirect_comes_out_as_it_went_in(client: Client) -> None:
    sealed = client.encode_redirect(fiu_id=FIU, aa_id=AA, redirect=EVERY_MEMBER, requestor_type=RequestorType.LSP)
    opened = client.decode_redirect(sealed.location, aa_id=AA)
    assert opened.redirect == EVERY_MEMBER
    assert opened.requestor_type is RequestorType.LSP
    assert (opened.fiu_id, opened.aa_id) == (FIU, AA)
    assert (opened.secret_id, opened.primary_secret) == (sealed.secret_id, True)
    assert opened.deviations == (Deviation.EXTRA_MEMBER,)


def test_every_member_of_a_callback_comes_out_as_it_went_in(client: Client) -> None:
    callback = Callback(
        txnid=EVERY_MEMBER.txnid,
        sessionid=EVERY_MEMBER.sessionid,
        userid=EVERY_MEMBER.userid,
        status=CallbackStatus.FAILURE,
        errorcode=8,
        srcref=[HANDLE],
        extra={"vendor": "y"},
    )
    sealed = client.encode_callback(fiu_id=FIU, aa_id=AA, callback=callback, redirect_url=EVERY_MEMBER.redirect)
    assert sealed.location.startswith(EVERY_MEMBER.redirect + "&fi=")
    opened = client.decode_callback(sealed.location, fiu_id=FIU, expected=NOT_COMPARED)
    assert opened.callback == callback
    assert opened.error_message.startswith("Account not discovered")
    assert not opened.accepted


def test_a_user_goes_to_the_aa_and_back(client: Client) -> None:
    sent = client.encode_redirect(fiu_id=FIU, redirect=REDIRECT)
    assert sent.location == f"https://alpha.example/webview?{sent.query}"
    assert uuid.UUID(sent.txnid).version == 4
    at_aa = client.decode_redirect(sent.location, aa_id=AA)
    answer = client.answer_redirect(at_aa)
    assert answer.location == f"{REDIRECT.redirect}&{answer.query}"
    back = client.decode_callback(answer.location, fiu_id=FIU, expected=sent.expected)
    assert back.accepted
    assert back.callback.srcref == (HANDLE,)
    assert back.callback.sessionid == REDIRECT.sessionid
    assert back.error_message.startswith("Success")


def test_an_answer_can_accept_some_handles_or_refuse_with_a_code(client: Client) -> None:
    sent = client.encode_redirect(fiu_id=FIU, redirect=dataclasses.replace(REDIRECT, srcref=["a", "b"]))
    at_aa = client.decode_redirect(sent.location, aa_id=AA)
    some = client.answer_redirect(at_aa, srcref=["b"], extra={"note": "n"})
    opened = client.decode_callback(some.location, fiu_id=FIU, expected=sent.expected)
    assert (opened.callback.srcref, opened.callback.extra) == (("b",), FrozenMap({"note": "n"}))
    refused = client.decode_callback(
        client.answer_redirect(at_aa, errorcode=1).location, fiu_id=FIU, expected=sent.expected
    )
    assert (refused.accepted, refused.error_message, refused.callback.srcref) == (False, "Consent is rejected", ())


def test_the_answer_is_sealed_with_the_secret_that_opened_the_request(client: Client) -> None:
    at_aa = client.decode_redirect(client.encode_redirect(fiu_id=FIU, redirect=REDIRECT).location, aa_id=AA)
    old = dataclasses.replace(at_aa, secret_id="2026-05")
    sealed = client.answer_redirect(old)
    assert sealed.secret_id == "2026-05"
    opened = client.decode_callback(sealed.location, fiu_id=FIU, expected=NOT_COMPARED)
    assert (opened.secret_id, opened.primary_secret) == ("2026-05", False)


@pytest.mark.parametrize("form", ["url", "query", "?query", "params"])
def test_a_message_is_read_from_a_url_a_query_or_parameters(client: Client, form: str) -> None:
    sealed = client.encode_redirect(fiu_id=FIU, redirect=REDIRECT, requestor_type=RequestorType.FIU)
    sources: dict[str, str | RedirectParams] = {
        "url": sealed.location,
        "query": sealed.query,
        "?query": f"?{sealed.query}",
        "params": sealed.params,
    }
    opened = client.decode_redirect(sources[form], aa_id=AA)
    assert opened.redirect.userid == REDIRECT.userid
    assert opened.requestor_type is RequestorType.FIU

    answer = client.answer_redirect(opened)
    back: dict[str, str | CallbackParams] = {
        "url": answer.location,
        "query": answer.query,
        "?query": f"?{answer.query}",
        "params": answer.params,
    }
    assert client.decode_callback(back[form], fiu_id=FIU, expected=sealed.expected).accepted


def test_times_are_aware_and_the_date_can_be_given(client: Client) -> None:
    now = datetime.now(timezone.utc)
    given = (now - timedelta(seconds=100)).replace(microsecond=0)
    india = timezone(timedelta(hours=5, minutes=30))
    sealed = client.encode_redirect(fiu_id=FIU, redirect=REDIRECT, issue_time=given.astimezone(india))
    assert sealed.issue_time == given
    assert sealed.expire_time == given + timedelta(seconds=180)
    assert sealed.params.reqdate.startswith(given.strftime("%d%m%Y%H%M"))
    opened = client.decode_redirect(sealed.location, aa_id=AA)
    assert opened.issue_time.utcoffset() == timedelta(0)
    assert opened.age == pytest.approx(datetime.now(timezone.utc) - opened.issue_time, abs=timedelta(seconds=20))
    assert opened.replay_until is not None
    assert opened.replay_until > now


def test_a_date_without_a_time_zone_is_refused_before_anything_is_sent(client: Client) -> None:
    with pytest.raises(ValueError, match="aware datetime"):
        client.encode_redirect(fiu_id=FIU, redirect=REDIRECT, issue_time=datetime(2026, 1, 1))


def test_a_pairing_without_a_web_view_has_no_location_but_a_query(client: Client) -> None:
    redirect = dataclasses.replace(REDIRECT, userid="9999988888@delta")
    sealed = client.encode_redirect(fiu_id="lender@sandbox", redirect=redirect)
    with pytest.raises(RedirectError, match=r"`query` \[EncodeRedirect") as raised:
        _ = sealed.location
    assert raised.value.reason is Reason.LOCAL_WEBVIEW_MISSING
    assert sealed.maybe_location == ""
    assert client.decode_redirect(sealed.query, aa_id="delta-aa").redirect.userid == redirect.userid


def test_results_and_requests_do_not_change(client: Client) -> None:
    sealed = client.encode_redirect(fiu_id=FIU, redirect=EVERY_MEMBER)
    opened = client.decode_redirect(sealed.location, aa_id=AA)
    for thing in (EVERY_MEMBER, sealed, sealed.expected, opened, opened.redirect, opened.deviation_details[0]):
        name = dataclasses.fields(thing)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, "other")
        assert pickle.loads(pickle.dumps(thing)) == thing
        assert copy.deepcopy(thing) == thing
    assert isinstance(opened.redirect.srcref, tuple)
    with pytest.raises(TypeError):
        opened.redirect.extra["vendor"] = "z"  # type: ignore[index]
    assert len({opened, copy.deepcopy(opened)}) == 1


def test_the_expected_callback_can_be_kept_in_a_session(client: Client) -> None:
    sent = client.encode_redirect(fiu_id=FIU, aa_id=AA, redirect=REDIRECT)
    session = dataclasses.asdict(sent.expected)
    assert session == {
        "txnid": sent.txnid,
        "sessionid": REDIRECT.sessionid,
        "userid": REDIRECT.userid,
        "aa_id": AA,
    }
    answer = client.answer_redirect(client.decode_redirect(sent.location, aa_id=AA))
    assert client.decode_callback(answer.location, fiu_id=FIU, expected=Expected(**session)).accepted


@pytest.mark.parametrize("field", ["txnid", "sessionid", "userid", "aa_id"])
def test_a_callback_that_differs_from_what_is_expected_is_refused_by_the_service(
    client: Client, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setattr(calls, "_compare", lambda *_: None)
    sent = client.encode_redirect(fiu_id=FIU, aa_id=AA, redirect=REDIRECT)
    answer = client.answer_redirect(client.decode_redirect(sent.location, aa_id=AA))
    other = dataclasses.replace(sent.expected, **{field: "something-else"})
    with pytest.raises(RedirectError) as raised:
        client.decode_callback(answer.location, fiu_id=FIU, expected=other)
    assert raised.value.reason is Reason.NOT_EXPECTED
    assert field in raised.value.metadata["fields"]
    assert "something-else" not in str(raised.value)


@pytest.mark.parametrize("field", ["txnid", "sessionid", "userid", "aa_id"])
def test_a_service_that_does_not_know_expected_opens_no_other_callback(make: Make, field: str) -> None:
    came = {"txnid": "t", "sessionid": "s", "userid": "u@alpha", "aa_id": AA}
    expected = Expected(**came)
    other = came | {field: "other"}
    answer = pb.DecodeCallbackResponse(fiu_id=FIU, aa_id=other.pop("aa_id"), callback=pb.Callback())
    for name, value in other.items():
        setattr(answer.callback, name, value)
    with Script(answer) as script, pytest.raises(RedirectError) as raised:
        make(script.address).decode_callback("fi=x", fiu_id=FIU, expected=expected)
    assert (raised.value.reason, raised.value.metadata["fields"]) == (Reason.NOT_EXPECTED, field)


def test_expected_cannot_be_forgotten(client: Client) -> None:
    with pytest.raises(TypeError, match="expected"):
        client.decode_callback("fi=x", fiu_id=FIU)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="NOT_COMPARED"):
        client.decode_callback("fi=x", fiu_id=FIU, expected=None)  # type: ignore[arg-type]


def test_one_text_in_place_of_a_list_is_refused(client: Client) -> None:
    with pytest.raises(TypeError, match="srcref is a list"):
        Redirect(userid="u@alpha", redirect="https://fiu.example/", srcref=HANDLE)


def test_half_a_surrogate_pair_is_refused_like_any_malformed_field(client: Client) -> None:
    with pytest.raises(RedirectError) as raised:
        client.encode_redirect(fiu_id=FIU, redirect=dataclasses.replace(REDIRECT, sessionid="\ud83d secret"))
    assert raised.value.reason is Reason.FIELD_INVALID
    assert raised.value.__cause__ is None
    assert "secret" not in str(raised.value)


def test_deviations_are_handed_to_the_callback_with_sender_and_place(make: Make, server: Server) -> None:
    reports: list[DeviationReport] = []
    client = make(server.address, on_deviations=reports.append)
    sealed = client.encode_redirect(fiu_id=FIU, redirect=REDIRECT)
    opened = client.decode_redirect(sealed.location.replace("%3D", ""), aa_id=AA, options=CallOptions(request_id="r-1"))
    assert opened.deviations == (Deviation.BASE64_UNPADDED,)
    [report] = reports
    assert (report.leg, report.sender, report.fiu_id, report.aa_id) == (Leg.REQUEST, FIU, FIU, AA)
    assert report.details == opened.deviation_details
    assert str(report).startswith("request from 'fiu@sandbox' deviates from the format: BASE64_UNPADDED")
    assert report.request_id == "r-1"

    answer = client.answer_redirect(opened)
    client.decode_callback(answer.location.replace("%3D", ""), fiu_id=FIU, expected=sealed.expected)
    assert (reports[1].leg, reports[1].sender) == (Leg.CALLBACK, AA)
    client.decode_redirect(sealed.location, aa_id=AA)
    assert len(reports) == 2


def test_a_callback_that_fails_is_logged_and_fails_no_call(
    make: Make, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: DeviationReport) -> None:
        raise RuntimeError("broken")

    client = make(server.address, on_deviations=broken)
    sealed = client.encode_redirect(fiu_id=FIU, redirect=EVERY_MEMBER)
    assert client.decode_redirect(sealed.location, aa_id=AA).redirect == EVERY_MEMBER
    assert "on_deviations failed" in caplog.text


def test_deviations_are_logged_if_no_callback_takes_them(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    sealed = client.encode_redirect(fiu_id=FIU, redirect=EVERY_MEMBER)
    client.decode_redirect(sealed.location, aa_id=AA)
    [record] = [record for record in caplog.records if record.name == "aa_redirect"]
    assert record.levelname == "WARNING"
    assert "EXTRA_MEMBER" in record.getMessage()


@pytest.mark.parametrize(
    "known",
    [RequestorType, CallbackStatus, Scheme, SecretState, Reopen, Authentication, Deviation],
    ids=lambda known: known.__name__,
)
def test_an_enumeration_has_the_values_of_the_proto(known: type[enum.IntEnum]) -> None:
    proto = pb.DESCRIPTOR.enum_types_by_name[known.__name__]
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", known.__name__).upper() + "_"
    assert {value.name.removeprefix(prefix): value.number for value in proto.values} == {
        member.name: member.value for member in known
    }


def test_values_that_a_newer_service_adds_to_enumerations_are_kept(make: Make) -> None:
    answer = pb.DecodeRedirectResponse(
        redirect=pb.Redirect(srcref=["a"]),
        requestor_type=7,  # type: ignore[arg-type]
        deviations=[99],  # type: ignore[list-item]
        deviation_details=[pb.DeviationDetail(deviation=99, place="fi")],  # type: ignore[arg-type]
    )
    with Script(answer) as script:
        opened = make(script.address).decode_redirect("fi=x", aa_id=AA)
    assert opened.requestor_type == 7
    assert opened.requestor_type.name == "UNKNOWN_7"
    assert opened.deviations == (Deviation(99),)
    assert str(opened.deviation_details[0]) == "UNKNOWN_99 in fi"
    assert pickle.loads(pickle.dumps(opened)) == opened


def test_what_the_service_remembers_is_in_the_result(make: Make) -> None:
    answer = pb.DecodeCallbackResponse(replay_key="0a" * 16, reopened=True, authenticated=True)
    first = datetime(2026, 11, 28, 1, 2, 3, tzinfo=timezone.utc)
    answer.first_open_time.FromDatetime(first)
    with Script(answer) as script:
        opened = make(script.address).decode_callback("fi=x", fiu_id=FIU, expected=NOT_COMPARED)
    assert (opened.replay_key, opened.reopened, opened.authenticated) == ("0a" * 16, True, True)
    assert opened.first_open_time == first
    assert opened.replay_until is None


def test_a_second_opening_is_reported(client: Client) -> None:
    sealed = client.encode_redirect(fiu_id=FIU, redirect=REDIRECT)
    first = client.decode_redirect(sealed.location, aa_id=AA)
    again = client.decode_redirect(sealed.location, aa_id=AA)
    assert (first.reopened, again.reopened) == (False, True)
    assert again.first_open_time == first.first_open_time is not None
    assert len(first.replay_key) == 32
    assert again.replay_key == first.replay_key


def test_a_caller_that_repeats_a_call_names_the_attempt(client: Client) -> None:
    sealed = client.encode_redirect(fiu_id=FIU, redirect=REDIRECT)
    options = CallOptions(attempt_id=str(uuid.uuid4()))
    assert [client.decode_redirect(sealed.location, aa_id=AA, options=options).reopened for _ in range(2)] == [
        False
    ] * 2


def test_pairings_are_listed_page_by_page(client: Client) -> None:
    pairings = list(client.list_pairings(page_size=3))
    assert pairings == list(client.list_pairings())
    assert [(p.fiu_id, p.aa_id) for p in pairings] == [
        (fiu, f"{aa}-aa") for fiu in (FIU, "lender@sandbox") for aa in ("alpha", "beta", "delta", "gamma")
    ]
    alpha = pairings[0]
    assert (alpha.profile, alpha.scheme, alpha.webview_url) == ("iv", Scheme.HKDF_IV, "https://alpha.example/webview")
    assert alpha.handles == ("alpha",)
    assert alpha.secrets == (Secret("2026-11", SecretState.PRIMARY), Secret("2026-05", SecretState.DECODE_ONLY))


def test_the_settings_of_a_pairing_are_listed(client: Client) -> None:
    alpha = next(iter(client.list_pairings()))
    assert alpha.redirect_hosts == ("fiu.example", "*.fiu.example")
    assert alpha.max_age == timedelta(seconds=180)
    assert (alpha.date_style, alpha.list_syntax, alpha.check_resdate) == ("millis", "repeated", True)
