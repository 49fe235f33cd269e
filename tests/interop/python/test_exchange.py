"""Random messages both ways between the service and this folder's codec, on both legs and with every profile.

A reader that repairs nothing opens what the service seals. The service must open what is sealed here with no deviations
except those of the members. There are many HKDF messages and few PBKDF2 messages, each of which costs 65,536 rounds
twice.
"""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import unquote

import pytest
from aa_redirect import (
    NOT_COMPARED,
    CallbackParams,
    Deviation,
    Redirect,
    RedirectParams,
    RequestorType,
    Scheme as ListedScheme,
    Secret,
    SecretState,
)

from messages import (
    ERRORS,
    callback_members,
    redirect_url,
    request_members,
    to_callback,
    to_redirect,
)
from redirect_codec import (
    CALLBACK_ORDER,
    REQUEST_ORDER,
    Scheme,
    Sealed,
    from_base64,
    open_sealed,
    read_members,
    unmask,
    write_date,
    write_members,
)
from support import WINDOW, now, seeded, to_query

# The number of messages for each direction and leg; the total is four times as many.
ROUNDS = {Scheme.HKDF_IV: 300, Scheme.PBKDF2: 30}
REQUESTORS = {None: RequestorType.UNSPECIFIED, "FIU": RequestorType.FIU, "LSP": RequestorType.LSP}
KNOWN = {"request": set(REQUEST_ORDER), "callback": set(CALLBACK_ORDER)}

both_schemes = pytest.mark.parametrize("scheme", list(Scheme), ids=lambda scheme: scheme.value)


def at_once(check, jobs):
    """Runs the check on every job, eight at a time, and raises the first failure."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(check, jobs))


def rounds(scheme, pairings):
    # The pairings take turns, so that each profile has its share.
    of_scheme = [pairing for pairing in pairings.values() if pairing.scheme is scheme]
    return [of_scheme[i % len(of_scheme)] for i in range(ROUNDS[scheme])]


def window_of(pairing):
    return timedelta(seconds=pairing.settings.get("max_age_seconds", 180))


# --- the service seals, this codec opens ------------------------------------------------------------------------------


def strict_params(query):
    """Reads the query strictly: each parameter once, and every character escaped that must be."""
    params = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        assert name not in params, f"{name} is given twice"
        assert re.fullmatch(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*", value), f"{name} is not percent-encoded: {value}"
        params[name] = unquote(value, errors="strict")
    return params


def appended(url, query):
    """The URL with the query after its own query and before its fragment, and nothing else changed."""
    before, hash_sign, fragment = url.partition("#")
    return f"{before}{'&' if '?' in before else '?'}{query}{hash_sign}{fragment}"


def check_sealed(pairing, leg, response, sent_from, before, secret_id=None):
    """Checks everything of an encode call's response except its members; returns the plaintext and the IV."""
    secret_id = secret_id or pairing.primary_id
    date_name, payload = ("reqdate", "ecreq") if leg == "request" else ("resdate", "ecres")
    params = strict_params(response.query)
    location = response.maybe_location if leg == "request" else response.location
    assert location == (appended(sent_from, response.query) if sent_from else "")
    assert params == {
        "requestorType" if name == "requestor_type" else name: value
        for name, value in vars(response.params).items()
        if value
    }
    assert set(params) - {"requestorType"} == {"fi", date_name, payload} | (
        {"iv"} if pairing.scheme is Scheme.HKDF_IV else set()
    )
    assert response.secret_id == secret_id

    issued = response.issue_time
    assert before - timedelta(seconds=1) <= issued <= now()
    assert response.expire_time - issued == window_of(pairing)
    date = params[date_name]
    assert date == write_date(issued, pairing.date_style)
    assert unmask(params["fi"], date) == (pairing.fiu if leg == "request" else pairing.aa)

    ciphertext = params[payload]
    if not pairing.settings.get("padding", True):
        assert "=" not in ciphertext
        ciphertext += "=" * (-len(ciphertext) % 4)
    sealed = Sealed(ciphertext, params.get("iv"))
    return open_sealed(pairing.scheme, pairing.secrets[secret_id], date, sealed), params.get("iv"), params


def check_members(plaintext, members, order, lists):
    # First byte for byte, because order and escapes are part of the format. Then reads it back, in case the writer here
    # is wrong in the same way.
    assert plaintext == write_members(members, order, lists)
    assert read_members(plaintext, lists) == members


def check_ivs(scheme, ivs):
    if scheme is Scheme.PBKDF2:
        assert set(ivs) == {None}
    else:
        assert all(len(from_base64(iv)) == 16 for iv in ivs)
        assert len(set(ivs)) == len(ivs), "an IV came twice"


@both_schemes
def test_redirects_that_the_service_seals_open_here(client, pairings, scheme):
    rng = seeded(f"service seals request {scheme}")
    jobs = [(p, request_members(rng, p), rng.choice(list(REQUESTORS))) for p in rounds(scheme, pairings)]

    def check(job):
        pairing, members, requestor = job
        before = now()
        response = client.encode_redirect(
            fiu_id=pairing.fiu,
            aa_id=pairing.aa,
            redirect=to_redirect(members),
            requestor_type=REQUESTORS[requestor],
        )
        plaintext, iv, params = check_sealed(pairing, "request", response, pairing.webview, before)
        if "txnid" not in members:
            assert uuid.UUID(response.txnid).version == 4
            assert str(uuid.UUID(response.txnid)) == response.txnid
            members = {"txnid": response.txnid, **members}
        assert response.txnid == members["txnid"]
        check_members(plaintext, members, REQUEST_ORDER, pairing.lists)
        masked = params.get("requestorType")
        assert (unmask(masked, params["reqdate"]) if masked is not None else None) == requestor
        return iv

    check_ivs(scheme, at_once(check, jobs))


@both_schemes
def test_callbacks_that_the_service_seals_open_here(client, pairings, scheme):
    rng = seeded(f"service seals callback {scheme}")
    jobs = [(p, callback_members(rng, p), redirect_url(rng)) for p in rounds(scheme, pairings)]

    def check(job):
        pairing, members, return_url = job
        before = now()
        response = client.encode_callback(
            fiu_id=pairing.fiu, aa_id=pairing.aa, callback=to_callback(members), redirect_url=return_url
        )
        plaintext, iv, _ = check_sealed(pairing, "callback", response, return_url, before)
        check_members(plaintext, members, CALLBACK_ORDER, pairing.lists)
        return iv

    check_ivs(scheme, at_once(check, jobs))


def test_messages_of_the_same_instant_still_have_ivs_of_their_own(client, pairings):
    pairing = pairings["iv"]
    instant = now()

    def encode(_):
        redirect = Redirect(userid="u@iv", redirect="https://fiu.example/cb", srcref=["a"])
        return client.encode_redirect(fiu_id=pairing.fiu, aa_id=pairing.aa, redirect=redirect, issue_time=instant)

    responses = at_once(encode, range(50))
    assert len({response.params.reqdate for response in responses}) == 1
    check_ivs(Scheme.HKDF_IV, [response.params.iv for response in responses])


# --- this codec seals, the service opens ------------------------------------------------------------------------------


def as_source(rng, leg, params, base):
    """The same parameters in one of the ways in which a caller may hand them over."""
    query = to_query(params)
    kind = rng.choice(["url", "query", "?query", "params"])
    if kind == "params":
        renamed = {"requestor_type" if name == "requestorType" else name: value for name, value in params.items()}
        return (RedirectParams if leg == "request" else CallbackParams)(**renamed)
    return {"url": appended(base, query), "query": query, "?query": "?" + query}[kind]


def check_opened(pairing, response, date, members, leg, before):
    """Checks everything of a decode call's response except its members and deviations."""
    assert (response.fiu_id, response.aa_id) == (pairing.fiu, pairing.aa)
    assert (response.secret_id, response.primary_secret) == (pairing.primary_id, True)
    assert list(response.deviations) == [
        deviation
        for deviation, found in [
            (Deviation.TXNID_NOT_UUID, len(members["txnid"]) != 36),
            (Deviation.EXTRA_MEMBER, not members.keys() <= KNOWN[leg]),
        ]
        if found
    ]
    issued = response.issue_time
    assert write_date(issued, pairing.date_style) == date
    if pairing.date_style == "millis":
        assert issued.second == 0
    age = response.age
    assert before - issued - timedelta(milliseconds=1) <= age <= now() - issued + timedelta(milliseconds=1)
    if pairing.date_style == "full":
        latest = issued
    elif pairing.settings.get("read_date") == "tenths":
        latest = issued + timedelta(seconds=1)
    else:  # the last instant of the minute
        latest = issued.replace(second=0, microsecond=0) + timedelta(minutes=1)
    replay_until = response.replay_until
    assert latest - timedelta(seconds=1) <= replay_until - window_of(pairing) <= latest


@both_schemes
def test_redirects_sealed_here_are_opened_by_the_service(client, pairings, scheme):
    rng = seeded(f"service opens request {scheme}")
    jobs = []
    for pairing in rounds(scheme, pairings):
        members = request_members(rng, pairing)
        members.setdefault("txnid", str(uuid.UUID(int=rng.getrandbits(128))))
        jobs.append((pairing, members, rng.choice(list(REQUESTORS)), rng.getrandbits(64)))

    def check(job):
        pairing, members, requestor, seed = job
        before = now()
        plaintext = write_members(members, REQUEST_ORDER, pairing.lists)
        params = pairing.seal("request", plaintext, requestor_type=requestor)
        source = as_source(seeded(seed), "request", params, pairing.webview or "https://aa.example/")
        response = client.decode_redirect(source, aa_id=pairing.aa)
        assert response.redirect == to_redirect(members)
        assert response.requestor_type == REQUESTORS[requestor]
        check_opened(pairing, response, params["reqdate"], members, "request", before)

    at_once(check, jobs)


@both_schemes
def test_callbacks_sealed_here_are_opened_by_the_service(client, pairings, scheme):
    rng = seeded(f"service opens callback {scheme}")
    jobs = [(p, callback_members(rng, p), redirect_url(rng), rng.getrandbits(64)) for p in rounds(scheme, pairings)]

    def check(job):
        pairing, members, return_url, seed = job
        before = now()
        params = pairing.seal("callback", write_members(members, CALLBACK_ORDER, pairing.lists))
        source = as_source(seeded(seed), "callback", params, return_url)
        response = client.decode_callback(source, fiu_id=pairing.fiu, expected=NOT_COMPARED)
        assert response.callback == to_callback(members)
        assert response.error_message == ERRORS[int(members["errorcode"])]
        check_opened(pairing, response, params["resdate"], members, "callback", before)

    at_once(check, jobs)


# --- what only some messages show -------------------------------------------------------------------------------------

PLAIN = {
    "txnid": "2d04747e-21c6-4c23-955b-d46c2f820140",
    "sessionid": "S-1",
    "userid": "9999988888@aa",
    "redirect": "https://fiu.example/cb",
    "srcref": ["0b054f6a-a0b3-4424-a668-2b53090bad6f"],
}
OUTCOME = {"txnid": PLAIN["txnid"], "sessionid": "S-1", "userid": PLAIN["userid"], "status": "S", "errorcode": "0"}


@pytest.mark.parametrize("name", ["iv", "v1.5"])
def test_an_old_secret_opens_and_answers_while_the_new_one_seals(client, pairings, name):
    pairing = pairings[name]
    old = pairing.secrets["2026-05"]
    params = pairing.seal("request", write_members(PLAIN, REQUEST_ORDER), secret=old)
    opened = client.decode_redirect(to_query(params), aa_id=pairing.aa)
    assert (opened.secret_id, opened.primary_secret) == ("2026-05", False)
    assert list(opened.deviations) == []
    assert opened.redirect == to_redirect(PLAIN)

    members = OUTCOME | {"srcref": PLAIN["srcref"]}
    for asked, used in [(opened.secret_id, "2026-05"), ("", "2026-11"), ("2026-11", "2026-11")]:
        before = now()
        response = client.encode_callback(
            fiu_id=pairing.fiu,
            aa_id=pairing.aa,
            callback=to_callback(members),
            redirect_url=PLAIN["redirect"],
            secret_id=asked,
        )
        plaintext, _, params = check_sealed(pairing, "callback", response, PLAIN["redirect"], before, secret_id=used)
        check_members(plaintext, members, CALLBACK_ORDER, pairing.lists)
        back = client.decode_callback(response.location, fiu_id=pairing.fiu, expected=NOT_COMPARED)
        assert (back.secret_id, back.primary_secret) == (used, used == "2026-11")


def test_a_callback_under_an_old_secret_is_reported_as_such(client, pairings):
    pairing = pairings["iv"]
    plaintext = write_members(OUTCOME, CALLBACK_ORDER)
    params = pairing.seal("callback", plaintext, secret=pairing.secrets["2026-05"])
    response = client.decode_callback(to_query(params), fiu_id=pairing.fiu, expected=NOT_COMPARED)
    assert (response.secret_id, response.primary_secret) == ("2026-05", False)


@pytest.mark.parametrize(("handle", "aa"), [("iv", "iv-aa"), ("v10-uat", "v10-aa"), ("v15", "v15-aa")])
def test_the_handle_of_the_user_picks_the_aa(client, pairings, handle, aa):
    redirect = Redirect(userid=f"9999988888@{handle}", redirect="https://fiu.example/cb", srcref=["a"])
    response = client.encode_redirect(fiu_id="fiu@interop", redirect=redirect)
    pairing = next(p for p in pairings.values() if p.aa == aa)
    params = strict_params(response.query)
    sealed = Sealed(params["ecreq"], params.get("iv"))
    opened = read_members(open_sealed(pairing.scheme, pairing.primary, params["reqdate"], sealed))
    assert opened["userid"] == f"9999988888@{handle}"


def test_the_other_party_may_stay_unnamed_if_one_pairing_fits(client, pairings):
    pairing = pairings["iv-alone"]
    request = to_query(pairing.seal("request", write_members(PLAIN, REQUEST_ORDER, "braces")))
    assert client.decode_redirect(request, aa_id="").aa_id == pairing.aa
    callback = to_query(pairing.seal("callback", write_members(OUTCOME, CALLBACK_ORDER)))
    assert client.decode_callback(callback, fiu_id="", expected=NOT_COMPARED).fiu_id == pairing.fiu


def test_a_given_issue_time_is_the_one_that_is_written(client, pairings):
    pairing = pairings["iv-json-full"]
    issued = (now() - timedelta(seconds=100)).replace(microsecond=123_000)
    redirect = Redirect(userid="u@aa", redirect="https://any.example/", srcref=["a"])
    response = client.encode_redirect(fiu_id=pairing.fiu, aa_id=pairing.aa, redirect=redirect, issue_time=issued)
    assert response.params.reqdate == write_date(issued, "full")
    assert (response.issue_time, response.expire_time) == (issued, issued + WINDOW)


def test_the_service_lists_every_pairing_by_pages_and_no_secret(client, pairings):
    listed = [
        (p.fiu_id, p.aa_id, p.profile, p.scheme, p.webview_url, p.handles, p.secrets)
        for p in client.list_pairings(page_size=3)
    ]
    assert listed == [
        (
            p.fiu,
            p.aa,
            p.profile,
            ListedScheme.HKDF_IV if p.scheme is Scheme.HKDF_IV else ListedScheme.PBKDF2,
            p.webview,
            tuple(p.handles),
            tuple(
                Secret(secret_id, SecretState.PRIMARY if secret_id == p.primary_id else SecretState.DECODE_ONLY)
                for secret_id in p.secrets
            ),
        )
        for p in sorted(pairings.values(), key=lambda p: (p.fiu.encode(), p.aa.encode()))
    ]
