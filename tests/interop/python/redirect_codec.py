"""Seals and opens redirect messages as the wire format says, and refuses everything else.

Both schemes (`hkdf-iv` and `pbkdf2`), the mask of `fi` and `requestorType`, the date, and the writing and reading of
members. It repairs nothing: text that is not exactly in the format raises FormatError.

Hashes and HMAC are the standard library's. It has no AES, so the cipher alone comes from the `cryptography` package.
"""

import base64
import enum
import hashlib
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import cycle
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

PBKDF2_ROUNDS = 65_536
KEY_BYTES = 32
BLOCK_BYTES = 16


class FormatError(ValueError):
    """The input is not what the format says."""


class Scheme(enum.Enum):
    """How the key is derived, and whether the message brings an IV."""

    HKDF_IV = "hkdf-iv"
    PBKDF2 = "pbkdf2"


class Sealed(NamedTuple):
    """`ecreq` or `ecres`, and `iv`; None if the scheme sends no `iv`."""

    ciphertext: str
    iv: str | None


# --- key and cipher ---------------------------------------------------------------------------------------------------


def derive_key(scheme: Scheme, secret: str, date: str) -> bytes:
    """The AES key of one message. The date's characters are the salt, verbatim."""
    password, salt = secret.encode(), date.encode()
    if scheme is Scheme.PBKDF2:
        return hashlib.pbkdf2_hmac("sha256", password, salt, PBKDF2_ROUNDS, KEY_BYTES)
    # RFC 5869 with an empty info: one block of output is the 32 bytes wanted.
    extracted = hmac.digest(salt, password, "sha256")
    return hmac.digest(extracted, b"\x01", "sha256")


def seal(scheme: Scheme, secret: str, date: str, plaintext: bytes, iv: bytes | None = None) -> Sealed:
    """Encrypts; a fresh IV is drawn for `hkdf-iv` unless one is given, `pbkdf2` has zeros and sends none."""
    if scheme is Scheme.PBKDF2:
        iv = bytes(BLOCK_BYTES)
    elif iv is None:
        iv = os.urandom(BLOCK_BYTES)
    padder = PKCS7(BLOCK_BYTES * 8).padder()
    encryptor = Cipher(algorithms.AES(derive_key(scheme, secret, date)), modes.CBC(iv)).encryptor()
    padded = padder.update(plaintext) + padder.finalize()
    ciphertext = encryptor.update(padded) + encryptor.finalize()
    return Sealed(to_base64url(ciphertext), to_base64(iv) if scheme is Scheme.HKDF_IV else None)


def open_sealed(scheme: Scheme, secret: str, date: str, sealed: Sealed) -> bytes:
    """Decrypts. There is no MAC: that this succeeds proves nothing before the members have been read too."""
    if (sealed.iv is not None) != (scheme is Scheme.HKDF_IV):
        raise FormatError(f"{scheme.value}: iv is {sealed.iv!r}")
    iv = from_base64(sealed.iv) if sealed.iv is not None else bytes(BLOCK_BYTES)
    ciphertext = from_base64url(sealed.ciphertext)
    if len(iv) != BLOCK_BYTES or not ciphertext or len(ciphertext) % BLOCK_BYTES:
        raise FormatError("iv or ciphertext has an impossible length")
    decryptor = Cipher(algorithms.AES(derive_key(scheme, secret, date)), modes.CBC(iv)).decryptor()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    unpadder = PKCS7(BLOCK_BYTES * 8).unpadder()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as error:
        raise FormatError("bad padding") from error


# --- parameters -------------------------------------------------------------------------------------------------------


def to_base64(data: bytes) -> str:
    """Standard alphabet, padded: `fi`, `iv` and `requestorType`."""
    return base64.b64encode(data).decode()


def to_base64url(data: bytes) -> str:
    """URL-safe alphabet, padded: `ecreq` and `ecres`."""
    return base64.urlsafe_b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Reads only what `to_base64` writes."""
    return _canonical(text, b"+/", to_base64)


def from_base64url(text: str) -> bytes:
    """Reads only what `to_base64url` writes."""
    return _canonical(text, b"-_", to_base64url)


def _canonical(text: str, altchars: bytes, encode) -> bytes:
    # b64decode accepts the other alphabet and wrong bits at the end; writing the value again shows both.
    try:
        data = base64.b64decode(text, altchars=altchars, validate=True)
    except ValueError as error:
        raise FormatError(f"no Base64: {text!r}") from error
    if encode(data) != text:
        raise FormatError(f"not canonical Base64: {text!r}")
    return data


def mask(value: str, date: str) -> str:
    """`fi` or `requestorType`: XOR with the date repeated. It is not encryption."""
    return to_base64(_xor_date(value.encode(), date))


def unmask(encoded: str, date: str) -> str:
    """The value that `mask` was given."""
    return _xor_date(from_base64(encoded), date).decode()


def _xor_date(value: bytes, date: str) -> bytes:
    return bytes(byte ^ digit for byte, digit in zip(value, cycle(date.encode())))


def write_date(instant: datetime, style: str) -> str:
    """`ddmmyyyyhh24mi` in UTC, then what the style puts behind: milliseconds alone, tenths of the second, or both."""
    milliseconds = instant.microsecond // 1000
    tail = {
        "millis": f"{milliseconds:03}",
        "tenths": f"{instant.second:02}{milliseconds // 100}",
        "full": f"{instant.second:02}{milliseconds:03}",
    }[style]
    return instant.strftime("%d%m%Y%H%M") + tail


# --- members ----------------------------------------------------------------------------------------------------------

REQUEST_ORDER = (
    "txnid", "sessionid", "userid", "redirect", "srcref", "fipid", "email", "pan", "dob", "isoLanguageCode",
)  # fmt: skip
CALLBACK_ORDER = ("txnid", "sessionid", "userid", "status", "errorcode", "srcref")
LIST_MEMBERS = frozenset({"srcref", "fipid"})

Members = Mapping[str, str | Sequence[str]]

# Characters stay raw if both kinds of readers, with and without percent-decoding, read them in the same way.
_RAW = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "%&=+#")
_ESCAPED = re.compile(f"(?:[{re.escape(_RAW)}]|%[0-9A-F]{{2}})*")
_LIST_FORMS = {"comma": ("", ",", ""), "braces": ("{", ",", "}"), "json": ('["', '","', '"]')}


def write_members(members: Members, order: Sequence[str], lists: str = "repeated") -> bytes:
    """The plaintext: the known members in the order given, then the others by name."""
    members = {"sessionid": "", **members}  # sent even if empty
    extra = sorted(members.keys() - set(order))
    pairs = []
    for name in [*order, *extra]:
        value = members.get(name)
        if value is None or (name in LIST_MEMBERS and not value):
            continue
        if name in LIST_MEMBERS:
            pairs += [(name, text) for text in _write_list(value, lists)]
        else:
            pairs.append((name, _escape_redirect(value) if name == "redirect" else _escape(value)))
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def read_members(plaintext: bytes, lists: str = "repeated") -> dict[str, str | list[str]]:
    """The members of a plaintext written as `write_members` writes; repairs nothing."""
    members: dict[str, str | list[str]] = {}
    for pair in plaintext.decode().split("&"):
        name, equals, escaped = pair.partition("=")
        if not name or not equals:
            raise FormatError("a member without a name or without `=`")
        if name in LIST_MEMBERS and lists == "repeated":
            members.setdefault(name, []).append(_unescape(escaped))
        elif name in members:
            raise FormatError(f"{name} is given twice")
        elif name in LIST_MEMBERS:
            members[name] = _read_list(escaped, lists)
        else:
            members[name] = _unescape(escaped)
    return members


def _write_list(items: Sequence[str], lists: str) -> list[str]:
    escaped = [_escape(item) for item in items]
    if lists == "repeated":
        return escaped
    opening, separator, closing = _LIST_FORMS[lists]
    return [opening + separator.join(escaped) + closing]


def _read_list(text: str, lists: str) -> list[str]:
    opening, separator, closing = _LIST_FORMS[lists]
    if not (text.startswith(opening) and text.endswith(closing)):
        raise FormatError(f"no list in {lists} form")
    return [_unescape(item) for item in text[len(opening) : len(text) - len(closing)].split(separator)]


def _escape(text: str) -> str:
    return quote(text, safe=_RAW)


def _escape_redirect(text: str) -> str:
    # A URL is raw only if nothing in it needs an escape, because readers take a raw `scheme:` in front for a URL that
    # is not escaped.
    return text if re.fullmatch(r"[A-Za-z0-9\-._~:/@]*", text) else quote(text, safe="")


def _unescape(text: str) -> str:
    if not _ESCAPED.fullmatch(text):
        raise FormatError("a character that must be escaped, or a bad escape")
    return unquote_to_bytes(text).decode()
