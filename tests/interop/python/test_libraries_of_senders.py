"""Messages built by the real libraries of Python senders, from random members at random instants.

`urllib` and `requests` write members, parameters and return URLs; `strftime` and the like write dates.
"""

import random
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import pytest
import requests
from aa_redirect import NOT_COMPARED

from messages import callback_members, redirect_url, request_members, to_callback, to_redirect
from redirect_codec import CALLBACK_ORDER, REQUEST_ORDER, write_members
from support import now, seeded
from test_exchange import KNOWN, at_once

ROUNDS = 60


def by_urllib(members):
    return urlencode(members, doseq=True)


def by_urllib_with_percent_for_blanks(members):
    return urlencode(members, doseq=True, quote_via=quote)


def by_urllib_and_a_join(members):
    pairs = [(name, item) for name, value in members.items() for item in (value if isinstance(value, list) else [value])]
    return "&".join(f"{name}={quote(item, safe='')}" for name, item in pairs)


def by_a_form_of_requests(members):
    # `requests` leaves out an absent member, but not an empty one.
    return requests.Request("POST", "https://aa.example/", data=members).prepare().body


MEMBER_WRITERS = [by_urllib, by_urllib_with_percent_for_blanks, by_urllib_and_a_join, by_a_form_of_requests]


def with_urlencode(url, params):
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"


def with_requests(url, params):
    return requests.Request("GET", url, params=params).prepare().url


def with_urlsplit(url, params):
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode(params)]))
    return urlunsplit(parts._replace(query=query))


URL_WRITERS = [with_urlencode, with_requests, with_urlsplit]
writers = [
    pytest.mark.parametrize("write", MEMBER_WRITERS, ids=lambda write: write.__name__),
    pytest.mark.parametrize("address", URL_WRITERS, ids=lambda address: address.__name__),
]


def both(test):
    for mark in writers:
        test = mark(test)
    return test


def names(response):
    return [deviation.name for deviation in response.deviations]


def expected_of(members, leg):
    found = [] if len(members["txnid"]) == 36 else ["TXNID_NOT_UUID"]
    return found + ([] if members.keys() <= KNOWN[leg] else ["EXTRA_MEMBER"])


@both
def test_requests_of_these_libraries_open_to_the_same_members(client, pairings, write, address):
    rng = seeded(f"library requests {write.__name__} {address.__name__}")
    pairing = pairings["iv"]

    def check(members):
        members.setdefault("txnid", "2d04747e-21c6-4c23-955b-d46c2f820140")
        params = pairing.seal("request", write(members).encode())
        response = client.decode_redirect(address("https://aa.example/webview?lang=en", params), aa_id=pairing.aa)
        assert response.redirect == to_redirect(members)
        assert names(response) == expected_of(members, "request")

    at_once(check, [request_members(rng, pairing) for _ in range(ROUNDS)])


@both
def test_callbacks_of_these_libraries_open_to_the_same_members(client, pairings, write, address):
    rng = seeded(f"library callbacks {write.__name__} {address.__name__}")
    pairing = pairings["iv"]

    def check(job):
        members, url = job
        # An AA that uses these libraries parses the URL to return to, so these libraries must be able to read it.
        params = pairing.seal("callback", write(members).encode())
        response = client.decode_callback(address(url, params), fiu_id=pairing.fiu, expected=NOT_COMPARED)
        assert response.callback == to_callback(members)
        assert names(response) == expected_of(members, "callback")

    urls = [redirect_url(rng).partition("#")[0] for _ in range(ROUNDS)]
    at_once(check, [(callback_members(rng, pairing), url) for url in urls])


@pytest.mark.parametrize("leg", ["request", "callback"])
def test_parameters_that_parse_qsl_took_apart_open_too(client, pairings, leg):
    # What a receiver's framework does: it decodes the percent-encoding, and writes the parameters again.
    rng = seeded(f"parse_qsl {leg}")
    pairing = pairings["iv-alone"]
    draw, order = (request_members, REQUEST_ORDER) if leg == "request" else (callback_members, CALLBACK_ORDER)
    for _ in range(ROUNDS):
        members = {"txnid": "2d04747e-21c6-4c23-955b-d46c2f820140"} | draw(rng, pairing)
        params = pairing.seal(leg, write_members(members, order, pairing.lists))
        again = urlencode(parse_qsl(urlencode(params), strict_parsing=True))
        if leg == "request":
            response = client.decode_redirect(again, aa_id=pairing.aa)
            assert response.redirect == to_redirect(members)
        else:
            response = client.decode_callback(again, fiu_id=pairing.fiu, expected=NOT_COMPARED)
            assert response.callback == to_callback(members)
        assert names(response) == expected_of(members, leg)


# --- dates ------------------------------------------------------------------------------------------------------------


def tenths(instant):
    return instant.strftime("%d%m%Y%H%M%S%f")[:15]


def full(instant):
    return instant.strftime("%d%m%Y%H%M%S%f")[:17]


def seconds(instant):
    return instant.strftime("%d%m%Y%H%M%S")


def millis(instant):
    return instant.strftime("%d%m%Y%H%M") + f"{instant.microsecond // 1000:03}"


def padded_seconds(instant):
    return f"{instant:%d%m%Y%H%M}0{instant:%S}"


def sixteen(instant):
    return f"{instant:%d%m%Y%H%M%S}" + str(instant.microsecond // 1000).zfill(2)[:2]


DATES = {
    tenths: lambda instant, date: instant.replace(second=0, microsecond=int(date[12:]) * 1000),
    millis: lambda instant, date: instant.replace(second=0, microsecond=int(date[12:]) * 1000),
    padded_seconds: lambda instant, date: instant.replace(second=0, microsecond=int(date[12:]) * 1000),
    full: lambda instant, _: instant.replace(microsecond=instant.microsecond // 1000 * 1000),
    seconds: lambda instant, _: instant.replace(microsecond=0),
    sixteen: lambda instant, _: instant.replace(microsecond=0),
}
MEMBERS = b"txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=&userid=u@aa&redirect=https://fiu.example/cb&srcref=h"


def random_instant(rng: random.Random) -> datetime:
    """An instant within the window of the pairing `iv-wide`, about 31 years before and after now, and not before
    2000."""
    earliest = max(now() - timedelta(days=11_000), datetime(2000, 1, 1, tzinfo=UTC))
    return earliest + (now() + timedelta(days=11_000) - earliest) * rng.random()


@pytest.mark.parametrize("write", DATES, ids=lambda write: write.__name__)
def test_dates_of_random_instants_name_that_instant(client, pairings, write):
    rng = seeded(f"dates {write.__name__}")
    pairing = pairings["iv-wide"]

    def check(instant):
        date = write(instant)
        response = client.decode_redirect(pairing.seal_url(MEMBERS, date), aa_id=pairing.aa)
        assert response.issue_time == DATES[write](instant, date)
        assert names(response) == ([] if len(date) == 15 else ["DATE_DIGITS"])

    at_once(check, [random_instant(rng) for _ in range(300)])


@pytest.mark.parametrize("write", [tenths, millis, seconds], ids=lambda write: write.__name__)
def test_dates_that_were_stored_as_numbers_get_their_zero_back(client, pairings, write):
    rng = seeded(f"numbers {write.__name__}")
    pairing = pairings["iv-wide"]

    def check(instant):
        date = write(instant)
        stored = str(int(date))
        response = client.decode_redirect(pairing.seal_url(MEMBERS, date, sent=stored), aa_id=pairing.aa)
        assert response.issue_time == DATES[write](instant, date)
        assert ("DATE_ZERO_LOST" in names(response)) == (len(stored) < len(date))

    at_once(check, [random_instant(rng) for _ in range(300)])
