"""Provokes every refusal of the service, and reads it with grpcio-status: code, reason, metadata, violations.

A caller decides by reason and metadata alone, so the tests assert everything of both that the contract names.
"""

import base64
from datetime import timedelta
from dataclasses import replace

import grpc
import pytest
from aa.redirect.v1 import redirect_pb2 as pb
from aa_redirect import (
    Callback,
    CallbackStatus,
    CallOptions,
    Redirect,
    RedirectError,
    RequestorType,
)

from messages import to_redirect
from redirect_codec import CALLBACK_ORDER, REQUEST_ORDER, to_base64, to_base64url, write_date, write_members
from support import (
    ACCEPTED,
    CALLBACK,
    DATE,
    HANDLE,
    PAYLOAD,
    REQUEST,
    TXNID,
    Server,
    both_legs,
    check,
    decode,
    encode_callback,
    encode_redirect,
    end_flood,
    flood,
    now,
    read_refusal,
    refusal_of,
    to_query,
)

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def seal(pairing, leg, **how):
    members, order = (REQUEST, REQUEST_ORDER) if leg == "request" else (CALLBACK, CALLBACK_ORDER)
    return pairing.seal(leg, write_members(members, order, pairing.lists), **how)


def decode_refused(client, leg, pairing, params):
    return refusal_of(decode, client, leg, to_query(params), pairing)


# --- FIELD_INVALID ----------------------------------------------------------------------------------------------------


def check_fields(refusal, *paths):
    check(refusal, INVALID_ARGUMENT, "FIELD_INVALID")
    assert sorted(refusal.violations) == sorted(paths)


def test_all_faults_of_a_redirect_are_reported_at_once(client):
    redirect = Redirect(
        txnid="T1234",
        userid="nobody",
        redirect="javascript://fiu.example/%0aalert(1)",
        srcref=["a", "b,c"],
        fipid=[""],
        email="e" * 8193,
        pan="AAAA1234A",
        dob="2026-02-30",
        iso_language_code="fr-FR",
        extra={"pan": "twice"},
    )
    check_fields(
        refusal_of(client.encode_redirect, fiu_id="", redirect=redirect, requestor_type=RequestorType(7)),
        "fiu_id",
        "redirect.txnid",
        "redirect.userid",
        "redirect.redirect",
        "redirect.srcref",
        "redirect.fipid",
        "redirect.email",
        "redirect.pan",
        "redirect.dob",
        "redirect.iso_language_code",
        "redirect.extra",
        "requestor_type",
    )


def test_all_missing_fields_of_a_callback_are_reported_at_once(client):
    check_fields(
        refusal_of(
            client.encode_callback,
            fiu_id="",
            aa_id="",
            callback=Callback(txnid="", userid="", status=CallbackStatus.UNSPECIFIED),
            redirect_url="",
        ),
        "fiu_id",
        "aa_id",
        "callback.txnid",
        "callback.userid",
        "callback.status",
        "redirect_url",
    )


def test_an_outcome_that_contradicts_itself_is_a_fault_of_each_field(client, pairings):
    contradicting = replace(ACCEPTED, errorcode=3, srcref=[])
    refusal = refusal_of(
        encode_callback,
        client,
        pairings["iv"],
        callback=contradicting,
        redirect_url="https://fiu.example/cb?ecres=1",
    )
    check_fields(refusal, "callback.errorcode", "callback.srcref", "redirect_url")
    failure = replace(ACCEPTED, status=CallbackStatus.FAILURE)
    check_fields(refusal_of(encode_callback, client, pairings["iv"], callback=failure), "callback.errorcode")


@pytest.mark.parametrize("name", ["fi", "resdate", "ecres", "iv"])
def test_a_return_url_that_names_a_parameter_of_ours_is_refused(client, pairings, name):
    url = f"https://fiu.example/cb?a=1&{name}=x"
    check_fields(refusal_of(encode_callback, client, pairings["iv"], redirect_url=url), "redirect_url")


UNSAFE_URLS = [
    "/cb",
    "fiu.example/cb",
    "https://fiu.example/a b",
    "https://fiu.example\\cb",
    "https://fiu.example/\n",
    "data://x",
    "vbscript://x",
    "file://x/y",
    "blob://x",
]


@pytest.mark.parametrize("url", UNSAFE_URLS)
def test_a_redirect_that_is_no_safe_absolute_url_is_refused(client, pairings, url):
    # The pairing has no list of hosts, so that nothing else is wrong.
    refusal = refusal_of(encode_redirect, client, pairings["v1.0"], redirect=url)
    check_fields(refusal, "redirect.redirect")
    refusal = refusal_of(encode_callback, client, pairings["v1.0"], redirect_url=url)
    check_fields(refusal, "redirect_url")


@pytest.mark.parametrize("seconds", [-400, 400])
def test_an_issue_time_outside_the_window_is_refused(client, pairings, seconds):
    for encode in (encode_redirect, encode_callback):
        date = now() + timedelta(seconds=seconds)
        check_fields(refusal_of(encode, client, pairings["iv"], issue_time=date), "issue_time")


def test_lists_and_members_over_their_limits_are_refused(client, pairings):
    long = {"srcref": [f"h{i}" for i in range(201)], "sessionid": "s" * 8193}
    refusal = refusal_of(encode_redirect, client, pairings["iv"], **long)
    check_fields(refusal, "redirect.srcref", "redirect.sessionid")


@both_legs
def test_nothing_to_decode_is_a_fault_of_url(client, leg):
    check_fields(refusal_of(decode, client, leg, ""), "url")


def test_a_bad_page_is_refused(client):
    check_fields(refusal_of(lambda: list(client.list_pairings(page_size=-1))), "page_size")


# --- what a browser may bring -----------------------------------------------------------------------------------------


@both_legs
def test_a_url_that_lacks_or_repeats_a_parameter_is_malformed_and_it_is_named(client, pairings, leg):
    pairing = pairings["iv"]
    params = seal(pairing, leg)
    for name in ["fi", DATE[leg], PAYLOAD[leg]]:
        without = {key: value for key, value in params.items() if key != name}
        refusal = decode_refused(client, leg, pairing, without)
        check(refusal, INVALID_ARGUMENT, "URL_MALFORMED", parameter=name)
        assert refusal.metadata["problem"]
    for name, value in params.items():
        url = f"https://aa.example/?{to_query(params)}&{to_query({name: value[::-1]})}"
        refusal = refusal_of(decode, client, leg, url, pairing)
        check(refusal, INVALID_ARGUMENT, "URL_MALFORMED", parameter=name)


def masked(value, date):
    return to_base64(bytes(b ^ ord(date[i % len(date)]) for i, b in enumerate(value)))


@both_legs
@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("fi", lambda date: "!", id="fi-no-base64"),
        pytest.param("fi", lambda date: masked(b"\xff\xfe", date), id="fi-no-utf8"),
        pytest.param("fi", lambda date: masked(b"fiu\x07", date), id="fi-control-character"),
        pytest.param("fi", lambda date: masked(b"f" * 129, date), id="fi-too-long"),
        pytest.param("iv", lambda date: "????", id="iv-no-base64"),
        pytest.param("iv", lambda date: to_base64(bytes(15)), id="iv-too-short"),
        pytest.param("iv", lambda date: to_base64(bytes(17)), id="iv-too-long"),
        pytest.param("payload", lambda date: "~~~~", id="payload-no-base64"),
        pytest.param("payload", lambda date: "AAAAA", id="payload-impossible-length"),
        pytest.param("payload", lambda date: to_base64url(bytes(24)), id="payload-no-whole-blocks"),
    ],
)
def test_a_malformed_parameter_is_named(client, pairings, leg, name, value):
    pairing = pairings["iv"]
    name = PAYLOAD[leg] if name == "payload" else name
    params = seal(pairing, leg)
    params[name] = value(params[DATE[leg]])
    refusal = decode_refused(client, leg, pairing, params)
    check(refusal, INVALID_ARGUMENT, "PARAMETER_MALFORMED", parameter=name)
    assert refusal.metadata["problem"]


@pytest.mark.parametrize("value", [b"BANK", b"fiu", b"\xff"])
def test_a_requestor_that_is_neither_fiu_nor_lsp_opens_as_unspecified_and_is_reported(client, pairings, value):
    params = seal(pairings["iv"], "request")
    params["requestorType"] = masked(value, params["reqdate"])
    opened = decode(client, "request", to_query(params), pairings["iv"])
    assert opened.requestor_type is RequestorType.UNSPECIFIED
    assert [deviation.name for deviation in opened.deviations] == ["REQUESTOR_TYPE"]


@both_legs
@pytest.mark.parametrize(
    "date",
    [
        pytest.param("310220260510756", id="31-Feb"),
        pytest.param("061320260510756", id="month-13"),
        pytest.param("060420262410756", id="hour-24"),
        pytest.param("060420261060756", id="minute-60"),
        pytest.param("0604202605107x6", id="letter"),
        pytest.param("06042026051０756", id="full-width-digit"),
        pytest.param("0604202605107567", id="16-digits"),
        pytest.param("0604202605107", id="13-digits"),
    ],
)
def test_a_date_that_does_not_exist_is_malformed(client, pairings, leg, date):
    params = seal(pairings["iv"], leg) | {DATE[leg]: date}
    refusal = decode_refused(client, leg, pairings["iv"], params)
    check(refusal, INVALID_ARGUMENT, "DATE_MALFORMED", parameter=DATE[leg])
    assert refusal.metadata["problem"]


@both_legs
@pytest.mark.parametrize(("name", "window"), [("iv", 180), ("v1.5", 180), ("iv-tenths", 600)])
@pytest.mark.parametrize(("sign", "reason"), [(1, "DATE_EXPIRED"), (-1, "DATE_IN_FUTURE")])
def test_an_instant_beyond_the_window_is_refused_with_its_age(client, pairings, leg, name, window, sign, reason):
    pairing = pairings[name]
    age = sign * (window + 5)
    params = seal(pairing, leg, date=write_date(now() - timedelta(seconds=age), "full"))
    refusal = decode_refused(client, leg, pairing, params)
    check(refusal, FAILED_PRECONDITION, reason, max_age_seconds=str(window))
    assert refusal.metadata.keys() - {"hint"} == {"age_seconds", "max_age_seconds", "fiu_id", "aa_id"}
    assert abs(float(refusal.metadata["age_seconds"]) - age) <= 2

    params = seal(pairing, leg, date=write_date(now() - timedelta(seconds=sign * (window - 5)), "full"))
    decode(client, leg, to_query(params), pairing)


@pytest.mark.parametrize("style", ["millis", "tenths"])
def test_a_15_digit_date_is_accepted_as_long_as_any_instant_of_its_minute_is_fresh(client, pairings, style):
    pairing = pairings["iv"]
    minute = timedelta(minutes=1)

    def start_of_minute(seconds_ago):
        return (now() - timedelta(seconds=seconds_ago)).replace(second=0, microsecond=0)

    def decode_of(date):
        params = seal(pairing, "request", date=write_date(date, style))
        return decode(client, "request", to_query(params), pairing)

    for fresh in [start_of_minute(178), start_of_minute(-178)]:
        decode_of(fresh)
    check(refusal_of(decode_of, start_of_minute(182) - minute), FAILED_PRECONDITION, "DATE_EXPIRED")
    check(refusal_of(decode_of, start_of_minute(-182) + minute), FAILED_PRECONDITION, "DATE_IN_FUTURE")


# --- pairings ---------------------------------------------------------------------------------------------------------


def test_an_unknown_pairing_is_named(client, pairings):
    refusal = refusal_of(
        client.encode_redirect, fiu_id="fiu@interop", aa_id="nobody-aa", redirect=to_redirect(REQUEST)
    )
    check(refusal, grpc.StatusCode.NOT_FOUND, "PAIRING_UNKNOWN", fiu_id="fiu@interop", aa_id="nobody-aa")

    refusal = refusal_of(encode_callback, client, pairings["iv"], fiu_id="nobody@interop")
    check(refusal, grpc.StatusCode.NOT_FOUND, "PAIRING_UNKNOWN", fiu_id="nobody@interop", aa_id="iv-aa")

    # Two parties that are known, but have no pairing with each other.
    params = seal(pairings["iv-alone"], "request")
    refusal = decode_refused(client, "request", pairings["iv"], params)
    check(refusal, grpc.StatusCode.NOT_FOUND, "PAIRING_UNKNOWN", fiu_id="FINBANK-FIU", aa_id="iv-aa")
    params = seal(pairings["iv-alone"], "callback")
    refusal = decode_refused(client, "callback", pairings["iv"], params)
    check(refusal, grpc.StatusCode.NOT_FOUND, "PAIRING_UNKNOWN", fiu_id="fiu@interop", aa_id="AADHAN-AA1")


def test_several_pairings_that_fit_are_ambiguous(client, pairings):
    refusal = refusal_of(decode, client, "request", to_query(seal(pairings["iv"], "request")))
    check(refusal, INVALID_ARGUMENT, "PAIRING_AMBIGUOUS", fiu_id="fiu@interop")
    refusal = refusal_of(decode, client, "callback", to_query(seal(pairings["iv"], "callback")))
    check(refusal, INVALID_ARGUMENT, "PAIRING_AMBIGUOUS", aa_id="iv-aa")


@both_legs
def test_an_iv_must_be_there_exactly_if_the_scheme_has_one(client, pairings, leg):
    params = seal(pairings["iv"], leg)
    for changed in [params | {"iv": ""}, {key: value for key, value in params.items() if key != "iv"}]:
        refusal = decode_refused(client, leg, pairings["iv"], changed)
        check(refusal, FAILED_PRECONDITION, "SCHEME_MISMATCH")
        assert refusal.metadata.keys() == {"scheme", "fiu_id", "aa_id"}
    params = seal(pairings["v1.2"], leg) | {"iv": to_base64(bytes(16))}
    refusal = decode_refused(client, leg, pairings["v1.2"], params)
    check(refusal, FAILED_PRECONDITION, "SCHEME_MISMATCH")

    # An empty `iv` is an absent one.
    params = seal(pairings["v1.2"], leg) | {"iv": ""}
    decode(client, leg, to_query(params), pairings["v1.2"])


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/cb",
        "https://fiu.example@evil.test/cb",
        "https://fiu.example.evil.test/cb",
        "https://evilfiu.example/cb",
        "https://evil.test/?https://fiu.example/",
        "https://evil.test#@fiu.example/",
    ],
)
def test_a_host_that_the_pairing_does_not_allow_is_refused_on_encode(client, pairings, url):
    forbidden = grpc.StatusCode.PERMISSION_DENIED, "REDIRECT_FORBIDDEN"
    refusal = refusal_of(encode_redirect, client, pairings["iv"], redirect=url)
    check(refusal, *forbidden, field="redirect.redirect")
    refusal = refusal_of(encode_callback, client, pairings["iv"], redirect_url=url)
    check(refusal, *forbidden, field="redirect_url")


# --- which refusal comes first ----------------------------------------------------------------------------------------


def test_of_several_faults_the_first_in_the_order_of_the_contract_is_reported(client, pairings):
    pairing, other = pairings["iv"], pairings["iv-alone"]
    old = write_date(now() - timedelta(hours=1), "full")
    params = seal(pairing, "request", date=old, secret="a wrong secret")
    fault_by_fault = [
        ("DATE_EXPIRED", pairing, {}),
        ("SCHEME_MISMATCH", pairing, {"iv": ""}),
        ("PAIRING_UNKNOWN", other, {"iv": ""}),
        ("PARAMETER_MALFORMED", other, {"iv": "", "ecreq": "!"}),
        ("DATE_MALFORMED", other, {"iv": "", "ecreq": "!", "reqdate": "!"}),
        ("URL_MALFORMED", other, {"iv": "", "reqdate": "!", "ecreq": None}),
    ]
    for reason, asked, changed in fault_by_fault:
        sent = {key: value for key, value in (params | changed).items() if value is not None}
        assert decode_refused(client, "request", asked, sent).reason == reason


# --- UNDECIPHERABLE ---------------------------------------------------------------------------------------------------


def bad_padding(params, payload):
    # The high bit of the last byte before the last block turns the padding's length into 128 and more.
    ciphertext = bytearray(base64.urlsafe_b64decode(params[payload]))
    ciphertext[-17] ^= 0x80
    return params | {payload: to_base64url(bytes(ciphertext))}


def test_whatever_fails_once_decryption_has_begun_gets_the_same_answer_byte_for_byte(client, pairings):
    pairing = pairings["iv"]
    head = f"txnid={TXNID}&sessionid=S-1"
    request = f"{head}&userid=u@aa&redirect=https://fiu.example/cb&srcref={HANDLE}"
    callback = f"{head}&userid=u@aa&status=S&errorcode=0"
    sealed = {
        "request": [
            b"",
            b"garbage",
            f"{head}&userid=u@aa&redirect=https://fiu.example/cb".encode(),  # no srcref
            f"sessionid=S&userid=u@aa&redirect=https://fiu.example/cb&srcref={HANDLE}".encode(),  # no txnid
            f"{head}&redirect=https://fiu.example/cb&srcref={HANDLE}".encode(),  # no userid
            f"{head}&userid=u@aa&srcref={HANDLE}".encode(),  # no redirect
            request.replace("u@aa", "nobody").encode(),
            request.replace("u@aa", "u b@aa").encode(),
            request.replace("https://fiu.example", "https://evil.test").encode(),  # a forbidden host
            request.replace("https://fiu.example", "https://evil.test\\@fiu.example").encode(),
            request.replace("https://fiu.example/cb", "javascript://fiu.example/").encode(),
            request.replace("/cb", "/c b").encode(),
            f"{request}&userid=v@aa".encode(),  # twice
            f"{request}&mobile=1&mobile=2".encode(),
            f"{request}&pan".encode(),
            f"{request}&=x".encode(),
            request.replace("S-1", "%ff").encode(),
            request.encode().replace(b"S-1", b"\xff\xfe"),
            callback.encode(),
        ],
        "callback": [
            b"",
            f"{head}&userid=u@aa&errorcode=0".encode(),  # no status
            f"{head}&userid=u@aa&status=S".encode(),  # no errorcode
            f"{head}&status=S&errorcode=0".encode(),  # no userid
            callback.replace("status=S", "status=X").encode(),
            callback.replace("errorcode=0", "errorcode=none").encode(),
            callback.replace("errorcode=0", "errorcode=4294967296").encode(),
            callback.replace("errorcode=0", "errorcode=-1").encode(),
            callback.encode().replace(b"S-1", b"\xff\xfe"),
            request.encode(),
        ],
    }
    answers = {}
    for leg, plaintexts in sealed.items():
        for plaintext in plaintexts:
            answers[leg, plaintext] = decode_refused(client, leg, pairing, pairing.seal(leg, plaintext))
        answers[leg, "wrong secret"] = decode_refused(client, leg, pairing, seal(pairing, leg, secret="wrong"))
        params = seal(pairing, leg)
        answers[leg, "bad padding"] = decode_refused(client, leg, pairing, bad_padding(params, PAYLOAD[leg]))
        other_date = write_date(now() - timedelta(seconds=30), "full")
        redated = params | {DATE[leg]: other_date, "fi": seal(pairing, leg, date=other_date)["fi"]}
        answers[leg, "another date"] = decode_refused(client, leg, pairing, redated)
        params = seal(pairings["v1.2"], leg, secret="wrong")
        answers[leg, "wrong secret of pbkdf2"] = decode_refused(client, leg, pairings["v1.2"], params)
    for answer in answers.values():
        check(answer, INVALID_ARGUMENT, "UNDECIPHERABLE")
    # There is one answer for each pairing, because its ids are in the answer.
    assert len({answer.raw for answer in answers.values()}) == 2
    assert len({answer.raw for answer in answers.values() if answer.metadata["aa_id"] == pairing.aa}) == 1


# --- limits and load --------------------------------------------------------------------------------------------------


def test_a_request_over_64_kib_is_too_large(client, pairings):
    url = "https://aa.example/?" + "a" * (64 * 1024)
    check(refusal_of(decode, client, "request", url, pairings["iv"]), RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")


def test_the_server_ends_a_call_whose_deadline_passed(keyring, pairings):
    # A deadline of the client's own usually fires here first and hides the server's answer; sent as bare metadata only
    # the server knows of it. Any PBKDF2 derivation takes longer than a millisecond. An idle server begins it; one with
    # another derivation in work refuses this one at once with OVERLOADED.
    with Server("--keyring", keyring) as server, pytest.raises(grpc.RpcError) as raised:
        server.stub().EncodeRedirect(bare_request(pairings["v1.2"]), metadata=[("grpc-timeout", "1m")])
    check(read_refusal(raised.value), grpc.StatusCode.DEADLINE_EXCEEDED, "TIMED_OUT")


def bare_request(pairing):
    """The proto's message, for calls that the package cannot make."""
    redirect = pb.Redirect(userid=REQUEST["userid"], redirect=REQUEST["redirect"], srcref=REQUEST["srcref"])
    return pb.EncodeRedirectRequest(fiu_id=pairing.fiu, aa_id=pairing.aa, redirect=redirect)


def test_a_deadline_of_the_client_ends_its_call(keyring, pairings):
    pairing = pairings["v1.2"]
    # An idle server, as above.
    with Server("--keyring", keyring) as server, pytest.raises(RedirectError) as raised:
        server.client().encode_redirect(
            fiu_id=pairing.fiu,
            aa_id=pairing.aa,
            redirect=to_redirect(REQUEST),
            options=CallOptions(timeout=0.001),
        )
    assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_more_derivations_than_the_queue_holds_are_shed_and_the_server_recovers(keyring, pairings):
    # This test has its own server, so that the flood does not delay the other tests.
    request = bare_request(pairings["v1.2"])
    with Server("--keyring", keyring, "--kdf-threads", 1) as server:
        calls, shed = flood(server, request)
        refusal = read_refusal(shed)
        check(refusal, RESOURCE_EXHAUSTED, "OVERLOADED")
        assert refusal.retry_seconds > 0
        assert end_flood(server, request, calls).query
