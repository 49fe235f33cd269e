"""The tag `mac`, written and checked here with the standard library's HMAC. The service writes the right tag, and
accepts only the right tag at the end of the text.
"""

import base64
import hmac

import grpc
import pytest

from redirect_codec import (
    CALLBACK_ORDER,
    REQUEST_ORDER,
    Scheme,
    Sealed,
    derive_key,
    open_sealed,
    seal,
    write_date,
    write_members,
)
from support import (
    CALLBACK,
    DATE,
    PAYLOAD,
    REQUEST,
    TXNID,
    Pairing,
    Server,
    both_legs,
    check,
    decode,
    encode_callback,
    encode_redirect,
    now,
    refusal_of,
    secret_of_specification,
    seeded,
    to_query,
    write_keyring,
)

TEXT = {
    "request": write_members(REQUEST, REQUEST_ORDER, "repeated"),
    "callback": write_members(CALLBACK, CALLBACK_ORDER, "repeated"),
}
TAG_LENGTH = 22


@pytest.fixture(scope="module")
def tagged():
    """A pairing for each setting. They have no failure budget, so that earlier failures do not matter."""
    rng = seeded("tags")

    def pairing(setting):
        settings = {"authentication": setting, "failure_budget": 0}
        secrets = {"2026-11": secret_of_specification(rng)}
        return Pairing(f"{setting}@tags", f"{setting}-aa", "iv", secrets, settings=settings)

    return {setting: pairing(setting) for setting in ("off", "write", "require")}


@pytest.fixture(scope="module")
def client(tagged, tmp_path_factory):
    with Server("--keyring", write_keyring(tmp_path_factory.mktemp("tags"), tagged)) as server:
        yield server.client()


checking = pytest.mark.parametrize("setting", ["write", "require"])


def tag_of(pairing, leg, date, text, *, fiu=None, aa=None, secret=None):
    key = derive_key(Scheme.HKDF_IV, secret or pairing.primary, date)
    extracted = hmac.digest(bytes(32), key, "sha256")
    mac_key = hmac.digest(extracted, b"aa-redirect v1 mac\x01", "sha256")
    parts = [leg, fiu or pairing.fiu, aa or pairing.aa, date]
    covered = b"".join(part.encode() + b"\0" for part in parts) + text
    return base64.urlsafe_b64encode(hmac.digest(mac_key, covered, "sha256")[:16]).rstrip(b"=")


def message(pairing, leg, build):
    """The parameters of a message whose text is `build(text, tag)`, where `tag(text)` is the right tag of a text."""
    date = write_date(now(), pairing.date_style)
    text = build(TEXT[leg], lambda text, **other: tag_of(pairing, leg, date, text, **other))
    return pairing.seal(leg, text, date=date)


def is_never_opened(client, pairing, leg, params):
    refusal = refusal_of(decode, client, leg, to_query(params), pairing)
    check(refusal, grpc.StatusCode.INVALID_ARGUMENT, "UNDECIPHERABLE")


def extra_of(leg, answer):
    return (answer.redirect if leg == "request" else answer.callback).extra


@both_legs
@pytest.mark.parametrize("setting", ["off", "write", "require"])
def test_the_service_writes_the_right_tag_last_or_none(client, tagged, setting, leg):
    pairing = tagged[setting]
    params = (encode_redirect if leg == "request" else encode_callback)(client, pairing).params
    date, ciphertext = getattr(params, DATE[leg]), getattr(params, PAYLOAD[leg])
    text = open_sealed(Scheme.HKDF_IV, pairing.primary, date, Sealed(ciphertext, params.iv))
    covered, found, tag = text.rpartition(b"&mac=")
    if setting == "off":
        assert not found
    else:
        assert tag == tag_of(pairing, leg, date, covered)
        assert b"mac=" not in covered


@both_legs
@checking
def test_a_right_tag_authenticates_and_is_no_extra_member(client, tagged, setting, leg):
    pairing = tagged[setting]
    params = message(pairing, leg, lambda text, tag: text + b"&mac=" + tag(text))
    answer = decode(client, leg, to_query(params), pairing)
    assert (answer.authenticated, dict(extra_of(leg, answer)), list(answer.deviations)) == (True, {}, [])


@both_legs
def test_a_message_without_a_tag_opens_unless_the_pairing_requires_one(client, tagged, leg):
    answer = decode(client, leg, to_query(message(tagged["write"], leg, lambda text, _: text)), tagged["write"])
    assert not answer.authenticated
    is_never_opened(client, tagged["require"], leg, message(tagged["require"], leg, lambda text, _: text))


@both_legs
def test_a_pairing_without_tags_reads_one_as_an_extra_member(client, tagged, leg):
    pairing = tagged["off"]
    params = message(pairing, leg, lambda text, tag: text + b"&mac=" + tag(text))
    answer = decode(client, leg, to_query(params), pairing)
    assert not answer.authenticated
    assert list(extra_of(leg, answer)) == ["mac"]


def flipped(tag, at):
    other = b"A" if tag[at : at + 1] != b"A" else b"B"
    return tag[:at] + other + tag[at + 1 :]


def other_leg(leg):
    return "callback" if leg == "request" else "request"


def with_flipped(at):
    return lambda text, tag: flipped(tag(text), at)


WRONG = {
    **{f"character {at} changed": with_flipped(at) for at in range(TAG_LENGTH)},
    "of another text": lambda text, tag: tag(text + b"x"),
    "of another FIU": lambda text, tag: tag(text, fiu="other@tags"),
    "of another AA": lambda text, tag: tag(text, aa="other-aa"),
    "of another secret": lambda text, tag: tag(text, secret="x" * 32),
    "of the ids in the other order": lambda text, tag: tag(text, fiu="require-aa", aa="require@tags"),
    "one character shorter": lambda text, tag: tag(text)[:-1],
    "one character longer": lambda text, tag: tag(text) + b"A",
    "padded": lambda text, tag: tag(text) + b"==",
    "with a character escaped": lambda text, tag: b"%" + tag(text)[:1].hex().encode() + tag(text)[1:],
    "empty": lambda *_: b"",
    "with a line end": lambda text, tag: tag(text) + b"\n",
    "with a blank": lambda text, tag: tag(text) + b" ",
    "with an & behind it": lambda text, tag: tag(text) + b"&",
    "with a member behind it": lambda text, tag: tag(text) + b"&x=y",
    "with a NUL behind it": lambda text, tag: tag(text) + b"\0",
}


@both_legs
@checking
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_tag_never_opens(client, tagged, setting, leg, wrong):
    pairing, build = tagged[setting], WRONG[wrong]
    params = message(pairing, leg, lambda text, tag: text + b"&mac=" + build(text, tag))
    is_never_opened(client, pairing, leg, params)


@both_legs
@checking
def test_a_tag_of_the_other_leg_or_of_another_date_never_opens(client, tagged, setting, leg):
    pairing, text = tagged[setting], TEXT[leg]
    date = write_date(now(), pairing.date_style)
    other_date = date[:-1] + str((int(date[-1]) + 1) % 10)
    for tag in (tag_of(pairing, other_leg(leg), date, text), tag_of(pairing, leg, other_date, text)):
        is_never_opened(client, pairing, leg, pairing.seal(leg, text + b"&mac=" + tag, date=date))


MISPLACED = {
    "in front": lambda text, tag: b"mac=" + tag(text) + b"&" + text,
    "in the middle": lambda text, tag: text.replace(b"&userid", b"&mac=" + tag(text) + b"&userid"),
    "in the middle, and right at the end": lambda text, tag: (
        (changed := text.replace(b"&userid", b"&mac=x&userid")) + b"&mac=" + tag(changed)
    ),
    "twice at the end": lambda text, tag: text + b"&mac=" + tag(text) + b"&mac=" + tag(text),
    "twice at the end, the last one right": lambda text, tag: (
        (once := text + b"&mac=" + tag(text)) + b"&mac=" + tag(once)
    ),
    "in upper case": lambda text, tag: text + b"&MAC=" + tag(text),
    "with a capital": lambda text, tag: text + b"&Mac=" + tag(text),
    "with an escaped name": lambda text, tag: text + b"&m%61c=" + tag(text),
    "with a name escaped whole": lambda text, tag: text + b"&%6D%61%63=" + tag(text),
    "behind &amp;, which is another name": lambda text, tag: text + b"&amp;mac=" + tag(text) + b"&mac=",
    "before a blank optional": lambda text, tag: text + b"&mac=" + tag(text) + b"&pan=",
    "in a text that is escaped as a whole": lambda text, tag: (
        (text + b"&mac=" + tag(text)).replace(b"%", b"%25").replace(b"&", b"%26").replace(b"=", b"%3D")
    ),
}


@both_legs
@checking
@pytest.mark.parametrize("place", MISPLACED)
def test_a_tag_in_another_place_or_form_never_opens(client, tagged, setting, leg, place):
    is_never_opened(client, tagged[setting], leg, message(tagged[setting], leg, MISPLACED[place]))


@both_legs
def test_no_splice_of_two_tagged_messages_of_a_date_opens(client, tagged, leg):
    pairing = tagged["require"]
    date = write_date(now(), pairing.date_style)
    texts = [TEXT[leg], TEXT[leg].replace(TXNID.encode(), b"9" * len(TXNID)), TEXT[other_leg(leg)]]
    legs = [leg, leg, other_leg(leg)]

    def sealed(text, of):
        made = seal(Scheme.HKDF_IV, pairing.primary, date, text + b"&mac=" + tag_of(pairing, of, date, text))
        return base64.b64decode(made.iv), base64.urlsafe_b64decode(made.ciphertext)

    messages = [sealed(text, of) for text, of in zip(texts, legs, strict=True)]
    tried = 0
    for iv, head in messages:
        for _, tail in messages:
            if head is tail:
                continue
            for cut in range(16, len(head) + 1, 16):
                for begin in range(0, len(tail), 16):
                    spliced = {"iv": base64.b64encode(iv).decode()}
                    whole = base64.urlsafe_b64encode(head[:cut] + tail[begin:]).decode()
                    params = pairing.seal(leg, b"", date=date) | spliced | {PAYLOAD[leg]: whole, DATE[leg]: date}
                    is_never_opened(client, pairing, leg, params)
                    tried += 1
    assert tried > 100


@both_legs
def test_no_flipped_bit_of_a_tagged_message_opens(client, tagged, leg):
    pairing = tagged["require"]
    params = message(pairing, leg, lambda text, tag: text + b"&mac=" + tag(text))
    iv = base64.b64decode(params["iv"])
    for at in range(16):
        for bit in range(8):
            changed = bytes(byte ^ (1 << bit if place == at else 0) for place, byte in enumerate(iv))
            is_never_opened(client, pairing, leg, params | {"iv": base64.b64encode(changed).decode()})
    assert decode(client, leg, to_query(params), pairing).authenticated
