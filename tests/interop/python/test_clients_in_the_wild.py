"""Messages as real Python clients write them. Each opens with all its members and exactly its deviations.

The clients are built here with what their authors use: `strftime`, `b64encode`, `quote`, `urlencode`,
`json.dumps` and plain f-strings. One deviation too many is as wrong as one too few, because integrators act on them.
"""

import base64
import json
import textwrap
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import NamedTuple
from urllib.parse import quote, urlencode

import pytest
from aa_redirect import NOT_COMPARED, CallbackParams, RedirectParams, RequestorType

from messages import to_callback, to_redirect
from redirect_codec import CALLBACK_ORDER, REQUEST_ORDER, Scheme, mask, write_members
from support import now, to_query

REQUEST = {
    "txnid": "2d04747e-21c6-4c23-955b-d46c2f820140",
    "sessionid": "S-1",
    "userid": "9999988888@onemoney",
    "redirect": "https://fiu.example/cb",
    "srcref": ["0b054f6a-a0b3-4424-a668-2b53090bad6f"],
}
CALLBACK = {
    "txnid": "2d04747e-21c6-4c23-955b-d46c2f820140",
    "sessionid": "S-1",
    "userid": "9999988888@onemoney",
    "status": "S",
    "errorcode": "0",
    "srcref": ["0b054f6a-a0b3-4424-a668-2b53090bad6f"],
}
PAYLOAD = {"request": "ecreq", "callback": "ecres"}
BASE = {"request": "https://aa.example/webview", "callback": "https://fiu.example/cb"}

both_legs = pytest.mark.parametrize("leg", ["request", "callback"])


def decode(client, leg, pairing, source):
    if leg == "request":
        return client.decode_redirect(source, aa_id=pairing.aa)
    return client.decode_callback(source, fiu_id=pairing.fiu, expected=NOT_COMPARED)


def as_params(leg, params):
    return RedirectParams(**params) if leg == "request" else CallbackParams(**params)


def deviations(response):
    return [deviation.name for deviation in response.deviations]


def check(response, leg, members, expected):
    if leg == "request":
        assert response.redirect == to_redirect(members)
    else:
        assert response.callback == to_callback(members)
    assert deviations(response) == expected


# --- dates ------------------------------------------------------------------------------------------------------------

PYTHON_TENTHS = "%d%m%Y%H%M%S%f", slice(15)
PYTHON_FULL = "%d%m%Y%H%M%S%f", slice(17)
NO_FRACTION = "%d%m%Y%H%M%S", slice(14)
# `sss` in date libraries for which a third letter means more width.
PADDED_SECONDS = "%d%m%Y%H%M0%S", slice(15)


@both_legs
@pytest.mark.parametrize(
    ("name", "form", "expected"),
    [
        pytest.param("iv", PYTHON_TENTHS, [], id="tenths-to-a-millis-pairing"),
        pytest.param("v1.5", PYTHON_TENTHS, [], id="tenths-to-a-v1.5-pairing"),
        pytest.param("iv", PADDED_SECONDS, [], id="padded-seconds"),
        pytest.param("iv", NO_FRACTION, ["DATE_DIGITS"], id="14-digits"),
        pytest.param("v1.5", NO_FRACTION, ["DATE_DIGITS"], id="14-digits-to-a-v1.5-pairing"),
        pytest.param("iv", PYTHON_FULL, ["DATE_DIGITS"], id="17-digits"),
        pytest.param("v1.0", PYTHON_FULL, ["DATE_DIGITS"], id="17-digits-to-a-v1.0-pairing"),
        pytest.param("v1.4", PYTHON_FULL, [], id="17-digits-to-a-pairing-that-writes-them"),
        pytest.param("v1.4", NO_FRACTION, ["DATE_DIGITS"], id="14-digits-to-a-pairing-that-writes-17"),
    ],
)
def test_date_of_a_client(client, pairings, leg, name, form, expected):
    pairing = pairings[name]
    sent = now().replace(second=41, microsecond=276_000) - timedelta(minutes=1)
    pattern, digits = form
    date = sent.strftime(pattern)[digits]
    members, order = (REQUEST, REQUEST_ORDER) if leg == "request" else (CALLBACK, CALLBACK_ORDER)
    params = pairing.seal(leg, write_members(members, order, pairing.lists), date=date)
    response = decode(client, leg, pairing, to_query(params))
    check(response, leg, members, expected)

    if len(date) == 14:
        issued = sent.replace(microsecond=0)
    elif len(date) == 17:
        issued = sent
    elif pairing.date_style == "tenths":
        issued = sent.replace(microsecond=200_000)
    else:  # a `millis` pairing always reads the last three digits as milliseconds
        issued = sent.replace(second=0, microsecond=int(date[12:]) * 1000)
    assert response.issue_time == issued


def test_a_date_that_is_no_tenths_value_is_read_as_milliseconds(client, pairings):
    # 63 seconds do not exist, so 636 are milliseconds even if the pairing writes tenths.
    pairing = pairings["v1.5"]
    sent = now().replace(second=0, microsecond=636_000)
    params = pairing.seal("request", write_members(REQUEST, REQUEST_ORDER), date=sent.strftime("%d%m%Y%H%M") + "636")
    response = decode(client, "request", pairing, to_query(params))
    check(response, "request", REQUEST, [])
    assert response.issue_time == sent


@pytest.mark.parametrize("in_url", [True, False], ids=["in-a-url", "as-parameter"])
def test_blanks_around_the_date_are_no_part_of_salt_and_mask(client, pairings, in_url):
    pairing = pairings["iv"]
    params = pairing.seal("request", write_members(REQUEST, REQUEST_ORDER))
    params["reqdate"] = f" {params['reqdate']} "
    source = to_query(params) if in_url else as_params("request", params)
    check(decode(client, "request", pairing, source), "request", REQUEST, ["WHITESPACE"])


# --- Base64 and the way through URLs ----------------------------------------------------------------------------------


def sealed_such_that(pairing, leg, wanted):
    """Members and parameters of a message that suits the case, sealed with new IVs until one does."""
    for attempt in count():
        members = dict(REQUEST if leg == "request" else CALLBACK, sessionid="s" * (1 + attempt % 32))
        order = REQUEST_ORDER if leg == "request" else CALLBACK_ORDER
        params = pairing.seal(leg, write_members(members, order, pairing.lists))
        if wanted(params):
            return members, params


def standard(text):
    """The output of `b64encode` in place of `urlsafe_b64encode`."""
    return text.translate(str.maketrans("-_", "+/"))


def urlsafe(text):
    return text.translate(str.maketrans("+/", "-_"))


def raw(value):
    """An f-string in place of `urlencode`."""
    return value


def encode_all(value):
    return quote(value, safe="")


def lines(text, end):
    return end.join(textwrap.wrap(text, 76)) + end


class Transport(NamedTuple):
    """What one client does to a parameter and to its value in the URL, and the deviations that are reported."""

    name: str
    parameter: str  # `payload` is ecreq or ecres
    change: Callable[[str], str]
    escape: Callable[[str], str]
    expected: list[str]
    needs: Callable[[str], bool] = lambda value: True


def both_special(value):
    return {"+", "/"} <= set(standard(value))


def only_slash(value):
    return "+" not in standard(value) and "/" in standard(value)


def padded(value):
    return value.endswith("=")


TRANSPORTS = [
    Transport("as the format says", "payload", raw, encode_all, []),
    Transport("padding stripped from the payload", "payload", lambda v: v.rstrip("="), encode_all, ["BASE64_UNPADDED"], padded),
    Transport("padding stripped from fi", "fi", lambda v: v.rstrip("="), encode_all, ["BASE64_UNPADDED"], padded),
    Transport("padding stripped from iv", "iv", lambda v: v.rstrip("="), encode_all, ["BASE64_UNPADDED"], padded),
    Transport("standard alphabet, escaped", "payload", standard, encode_all, ["BASE64_ALPHABET"], both_special),
    Transport("standard alphabet through quote, which leaves slashes", "payload", standard, quote, ["BASE64_ALPHABET"], both_special),
    Transport("standard alphabet unescaped, with slashes only", "payload", standard, raw, ["BASE64_ALPHABET"], only_slash),
    Transport("standard alphabet with + turned to space", "payload", lambda v: standard(v).replace("+", " "), encode_all, ["BASE64_ALPHABET", "PLUS_AS_SPACE"], both_special),
    Transport("URL-safe alphabet in fi", "fi", urlsafe, encode_all, ["BASE64_ALPHABET"], lambda v: "+" in v),
    Transport("URL-safe alphabet in iv", "iv", urlsafe, encode_all, ["BASE64_ALPHABET"], both_special),
    Transport("+ of fi turned to space", "fi", lambda v: v.replace("+", " "), encode_all, ["PLUS_AS_SPACE"], lambda v: "+" in v),
    Transport("percent-encoded twice", "payload", encode_all, encode_all, ["DOUBLE_ENCODED"], padded),
    Transport("fi percent-encoded twice", "fi", encode_all, encode_all, ["DOUBLE_ENCODED"], padded),
    Transport("MIME line ends", "payload", lambda v: lines(v, "\r\n"), encode_all, ["WHITESPACE"]),
    Transport("encodebytes", "payload", lambda v: base64.encodebytes(base64.urlsafe_b64decode(v)).decode(), encode_all, ["BASE64_ALPHABET", "WHITESPACE"], both_special),
    Transport("blanks around the payload", "payload", lambda v: f" {v} ", encode_all, ["WHITESPACE"], padded),
]  # fmt: skip


@both_legs
@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.name.replace(" ", "-"))
def test_transport_of_a_client(client, pairings, leg, transport):
    pairing = pairings["iv-alone"]
    parameter = PAYLOAD[leg] if transport.parameter == "payload" else transport.parameter
    members, params = sealed_such_that(pairing, leg, lambda params: transport.needs(params[parameter]))
    params[parameter] = transport.change(params[parameter])
    query = "&".join(
        f"{name}={(transport.escape if name == parameter else encode_all)(value)}" for name, value in params.items()
    )
    response = decode(client, leg, pairing, f"{BASE[leg]}?{query}")
    check(response, leg, members, transport.expected)


@both_legs
def test_standard_base64_put_into_the_url_unescaped(client, pairings, leg):
    pairing = pairings["iv-alone"]
    payload = PAYLOAD[leg]
    members, params = sealed_such_that(pairing, leg, lambda params: both_special(params[payload]))
    params[payload] = standard(params[payload])
    response = decode(client, leg, pairing, f"{BASE[leg]}?{to_query(params, raw)}")
    check(response, leg, members, ["BASE64_ALPHABET", "PLUS_AS_SPACE"])


@both_legs
def test_a_raw_plus_in_fi_alone(client, pairings, leg):
    pairing = pairings["iv-alone"]
    members, params = sealed_such_that(pairing, leg, lambda params: "+" in params["fi"] and "+" not in params["iv"])
    response = decode(client, leg, pairing, f"{BASE[leg]}?{to_query(params, raw)}")
    check(response, leg, members, ["PLUS_AS_SPACE"])


@both_legs
def test_parameters_that_a_web_framework_decoded_with_plus_as_space(client, pairings, leg):
    # The sender wrote a raw `+`; the receiver's framework made a space of it and hands over the parameters.
    pairing = pairings["iv-alone"]
    payload = PAYLOAD[leg]
    members, params = sealed_such_that(pairing, leg, lambda params: both_special(params[payload]))
    params = {name: standard(value).replace("+", " ") for name, value in params.items()}
    response = decode(client, leg, pairing, as_params(leg, params))
    check(response, leg, members, ["BASE64_ALPHABET", "PLUS_AS_SPACE"])


@both_legs
def test_urlencode_of_the_parameters_is_clean(client, pairings, leg):
    pairing = pairings["iv-alone"]
    members, params = sealed_such_that(pairing, leg, lambda params: True)
    response = decode(client, leg, pairing, f"{BASE[leg]}?{urlencode(params)}")
    check(response, leg, members, [])


@both_legs
def test_foreign_parameters_and_a_fragment_are_ignored(client, pairings, leg):
    pairing = pairings["iv-alone"]
    members, params = sealed_such_that(pairing, leg, lambda params: True)
    url = f"{BASE[leg]}?fip=HDFC&aaVersion=2.0.0&{to_query(params)}&chid=7&utm=a+b#fi=1&top"
    check(decode(client, leg, pairing, url), leg, members, [])


@both_legs
def test_a_second_question_mark_in_place_of_an_ampersand(client, pairings, leg):
    pairing = pairings["iv-alone"]
    members, params = sealed_such_that(pairing, leg, lambda params: True)
    url = f"{BASE[leg]}?x=1&y=2?{to_query(params)}"
    check(decode(client, leg, pairing, url), leg, members, ["SECOND_QUESTION_MARK"])


def test_a_question_mark_inside_the_own_query_is_no_second_one(client, pairings):
    pairing = pairings["iv-alone"]
    members, params = sealed_such_that(pairing, "callback", lambda params: True)
    url = f"https://fiu.example/cb?next=/a?b=1&{to_query(params)}"
    check(decode(client, "callback", pairing, url), "callback", members, [])


# --- members of ecreq -------------------------------------------------------------------------------------------------

A, B, C = "0b054f6a-a0b3-4424-a668-2b53090bad6f", "93bef00c-dd5e-45bd-a2de-8ec67f493acb", "h-3"
HEAD = f"txnid={REQUEST['txnid']}&sessionid=S-1&userid=9999988888@onemoney"
RETURN = "redirect=https://fiu.example/cb"
BODY = f"{HEAD}&{RETURN}"


def request_case(name, plaintext, changed, expected, pairing="iv"):
    return pytest.param(pairing, plaintext, {**REQUEST, **changed}, expected, id=name.replace(" ", "-"))


REQUEST_CASES = [
    request_case("raw values in an f-string", f"{BODY}&srcref={A}", {}, []),
    request_case("members in alphabetical order",
        f"redirect=https://fiu.example/cb&sessionid=S-1&srcref={A}&txnid={REQUEST['txnid']}&userid=9999988888@onemoney", {}, []),
    request_case("urlencode", urlencode(REQUEST | {"sessionid": "a b+c&d"}, doseq=True), {"sessionid": "a b+c&d"}, [], "v1.5"),
    request_case("urlencode of a list by doseq", urlencode(REQUEST | {"srcref": [A, B]}, doseq=True), {"srcref": [A, B]}, []),
    request_case("a plus is a space where a form encoder wrote", urlencode(REQUEST | {"email": "a b"}, doseq=True), {"email": "a b"}, [], "v1.0"),
    request_case("a plus is a plus where nobody escaped the user in v1.0", f"{BODY}&srcref={A}&email=a+b", {"email": "a+b"}, [], "v1.0"),
    request_case("a plus is a plus where nobody escaped the user in v1.5", f"{BODY}&srcref={A}&email=a+b", {"email": "a+b"}, [], "v1.5"),
    request_case("a plus is a plus where nobody escaped the user with iv", f"{BODY}&srcref={A}&email=a+b", {"email": "a+b"}, []),
    request_case("no sessionid", f"txnid={REQUEST['txnid']}&userid=9999988888@onemoney&{RETURN}&srcref={A}", {"sessionid": ""}, []),
    request_case("raw Devanagari and emoji", f"{HEAD.replace('S-1', 'सत्र-🔑 é')}&{RETURN}&srcref={A}", {"sessionid": "सत्र-🔑 é"}, ["RAW_NON_ASCII"]),
    request_case("lower-case escapes", f"{HEAD.replace('S-1', '%e0%a4%b9%2b')}&{RETURN}&srcref={A}", {"sessionid": "ह+"}, []),
    request_case("optional members of any text", f"{BODY}&srcref={A}&pan=n/a&dob=1.1.1990&isoLanguageCode=hi",
        {"pan": "n/a", "dob": "1.1.1990", "isoLanguageCode": "hi"}, []),

    request_case("list in commas", f"{BODY}&srcref={A},{B},{C}", {"srcref": [A, B, C]}, ["LIST_SYNTAX"]),
    request_case("list in escaped commas", f"{BODY}&srcref={quote(f'{A},{B}')}", {"srcref": [A, B]}, ["LIST_SYNTAX"]),
    request_case("list in braces", f"{BODY}&srcref={{{A},{B}}}", {"srcref": [A, B]}, ["LIST_SYNTAX"]),
    request_case("list in escaped braces", f"{BODY}&srcref={quote(f'{{{A},{B}}}')}", {"srcref": [A, B]}, ["LIST_SYNTAX"]),
    request_case("list in brackets", f"{BODY}&srcref=[{A},{B}]", {"srcref": [A, B]}, ["LIST_SYNTAX"]),
    request_case("list of json.dumps", f"{BODY}&srcref={json.dumps([A, B])}", {"srcref": [A, B]}, ["LIST_SYNTAX"]),
    request_case("list of json.dumps through quote", f"{BODY}&srcref={quote(json.dumps([A, B]))}", {"srcref": [A, B]}, ["LIST_SYNTAX"]),
    request_case("list of json.dumps through urlencode", urlencode(REQUEST | {"srcref": json.dumps([A, B])}), {"srcref": [A, B]}, ["LIST_SYNTAX"], "v1.3"),
    request_case("list joined by an escaped separator", f"{BODY}&srcref={quote(f'{A}&srcref={B}&srcref={C}')}", {"srcref": [A, B, C]}, ["LIST_SYNTAX"]),
    request_case("list of FIPs in commas", f"{BODY}&srcref={A}&fipid=HDFC,ICICI", {"fipid": ["HDFC", "ICICI"]}, ["LIST_SYNTAX"]),
    request_case("list syntax of the pairing, commas", f"{BODY}&srcref={A},{B}", {"srcref": [A, B]}, [], "v1.1"),
    request_case("list syntax of the pairing, braces", f"{BODY}&srcref={{{A},{B}}}", {"srcref": [A, B]}, [], "v1.2"),
    request_case("list repeated to a pairing of braces", f"{BODY}&srcref={A}&srcref={B}", {"srcref": [A, B]}, [], "v1.2"),
    request_case("list in commas to a pairing of braces", f"{BODY}&srcref={A},{B}", {"srcref": [A, B]}, ["LIST_SYNTAX"], "v1.2"),
    request_case("a bar is a character of an item", f"{BODY}&srcref={A}|{B}", {"srcref": [f"{A}|{B}"]}, []),

    request_case("redirect with one raw parameter", f"{BODY}?a=1&srcref={A}", {"redirect": "https://fiu.example/cb?a=1"}, ["REDIRECT_UNESCAPED"]),
    request_case("redirect with raw parameters", f"{BODY}?a=1&b=2&srcref={A}", {"redirect": "https://fiu.example/cb?a=1&b=2"}, ["REDIRECT_UNESCAPED"]),
    request_case("redirect with raw parameters at the end", f"{HEAD}&srcref={A}&{RETURN}?a=1&b=2&c=3", {"redirect": "https://fiu.example/cb?a=1&b=2&c=3"}, ["REDIRECT_UNESCAPED"]),
    request_case("redirect through quote, which leaves slashes", f"{HEAD}&redirect={quote('https://fiu.example/cb?a=1&b=2')}&srcref={A}", {"redirect": "https://fiu.example/cb?a=1&b=2"}, []),
    request_case("redirect escaped twice", f"{HEAD}&redirect={encode_all(encode_all('https://fiu.example/cb'))}&srcref={A}", {}, ["DOUBLE_ENCODED"]),

    request_case("a txnid that is no UUID", f"{HEAD.replace(REQUEST['txnid'], 'T1234')}&{RETURN}&srcref={A}", {"txnid": "T1234"}, ["TXNID_NOT_UUID"]),
    request_case("extra members", f"{BODY}&srcref={A}&fi=fiu%40x&mobile=9999988888", {"fi": "fiu@x", "mobile": "9999988888"}, ["EXTRA_MEMBER"]),
    request_case("blank optional members", f"{BODY}&srcref={A}&email=&pan=&dob=", {}, ["BLANK_OPTIONAL"]),
    request_case("the published sample", "txnid=T1234&sessionid=S1234&srcref=Srcref1234&userid=acme@perfios-aa&redirect=https://example.com",
        {"txnid": "T1234", "sessionid": "S1234", "srcref": ["Srcref1234"], "userid": "acme@perfios-aa", "redirect": "https://example.com"},
        ["TXNID_NOT_UUID"], "v1.0"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "plaintext", "members", "expected"), REQUEST_CASES)
def test_request_of_a_client(client, pairings, name, plaintext, members, expected):
    pairing = pairings[name]
    params = pairing.seal("request", plaintext.encode())
    check(decode(client, "request", pairing, to_query(params)), "request", members, expected)


# --- members of ecres -------------------------------------------------------------------------------------------------


def callback_case(name, plaintext, changed, expected, pairing="iv"):
    return pytest.param(pairing, plaintext, {**CALLBACK, **changed}, expected, id=name.replace(" ", "-"))


CALLBACK_CASES = [
    callback_case("raw values in an f-string", f"{HEAD}&status=S&errorcode=0&srcref={A}", {}, []),
    callback_case("urlencode", urlencode(CALLBACK | {"sessionid": "a b+c"}, doseq=True), {"sessionid": "a b+c"}, [], "v1.5"),
    callback_case("no handles", f"{HEAD}&status=F&errorcode=1", {"status": "F", "errorcode": "1", "srcref": []}, []),
    callback_case("list in commas", f"{HEAD}&status=S&errorcode=0&srcref={A},{B}", {"srcref": [A, B]}, ["LIST_SYNTAX"]),
    callback_case("list of json.dumps", f"{HEAD}&status=S&errorcode=0&srcref={json.dumps([A, B])}", {"srcref": [A, B]}, ["LIST_SYNTAX"]),
    callback_case("success with an error code", f"{HEAD}&status=S&errorcode=5&srcref={A}", {"errorcode": "5"}, ["STATUS_MISMATCH"]),
    callback_case("failure without an error code", f"{HEAD}&status=F&errorcode=0&srcref={A}", {"status": "F"}, ["STATUS_MISMATCH"]),
    callback_case("a txnid that is no UUID", f"{HEAD.replace(CALLBACK['txnid'], 'T1234')}&status=S&errorcode=0&srcref={A}", {"txnid": "T1234"}, ["TXNID_NOT_UUID"]),
    callback_case("extra members", f"{HEAD}&status=S&errorcode=0&srcref={A}&account=XX12&msg=ठीक", {"account": "XX12", "msg": "ठीक"}, ["EXTRA_MEMBER", "RAW_NON_ASCII"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "plaintext", "members", "expected"), CALLBACK_CASES)
def test_callback_of_a_client(client, pairings, name, plaintext, members, expected):
    pairing = pairings[name]
    params = pairing.seal("callback", plaintext.encode())
    check(decode(client, "callback", pairing, to_query(params)), "callback", members, expected)


# --- all at once ------------------------------------------------------------------------------------------------------


def test_a_client_that_does_everything_its_own_way(client, pairings):
    """Each deviation comes once, in the order of the enum, for any number of repairs in a message."""
    pairing = pairings["iv-alone"]
    date = now().strftime("%d%m%Y%H%M%S")
    for padding in count(1):
        plaintext = (
            f"txnid=T1234&sessionid={'s' * padding}&userid=9999988888@onemoney&redirect=https://fiu.example/cb?a=1&b=2"
            f"&srcref={A},{B}&fipid=HDFC,ICICI&pan=&chid=7"
        )
        params = pairing.seal("request", plaintext.encode(), date=date)
        if both_special(params["ecreq"]) and padded(params["ecreq"]):
            break
    params = {name: standard(value).rstrip("=") for name, value in params.items()}
    params["requestorType"] = mask("LSP", date)
    response = decode(client, "request", pairing, f"https://aa.example/webview?lang=en?{to_query(params, raw)}")
    assert pairing.scheme is Scheme.HKDF_IV
    assert response.requestor_type == RequestorType.LSP
    members = {
        "txnid": "T1234",
        "sessionid": "s" * padding,
        "userid": "9999988888@onemoney",
        "redirect": "https://fiu.example/cb?a=1&b=2",
        "srcref": [A, B],
        "fipid": ["HDFC", "ICICI"],
        "chid": "7",
    }
    check(
        response,
        "request",
        members,
        [
            "BASE64_ALPHABET",
            "BASE64_UNPADDED",
            "PLUS_AS_SPACE",
            "DATE_DIGITS",
            "SECOND_QUESTION_MARK",
            "LIST_SYNTAX",
            "REDIRECT_UNESCAPED",
            "TXNID_NOT_UUID",
            "EXTRA_MEMBER",
            "BLANK_OPTIONAL",
        ],
    )
