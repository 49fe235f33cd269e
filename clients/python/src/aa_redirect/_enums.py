"""The enumerations of the interface. A number that this version does not know becomes `UNKNOWN_<number>`."""

import enum


class _Open(enum.IntEnum):
    @classmethod
    def _missing_(cls, value: object) -> "_Open | None":
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        return type(self), (int(self),)


class RequestorType(_Open):
    """Who asks for the data: the URL parameter `requestorType`."""

    UNSPECIFIED = 0
    """The parameter is absent."""
    FIU = 1
    """A Financial Information User."""
    LSP = 2
    """A Lending Service Provider."""


class CallbackStatus(_Open):
    """Whether the user accepted."""

    UNSPECIFIED = 0
    """Not a status."""
    SUCCESS = 1
    """The user accepted; the error code is 0."""
    FAILURE = 2
    """The error code says why not."""


class Scheme(_Open):
    """How the key of a pairing is derived."""

    UNSPECIFIED = 0
    """Never given."""
    HKDF_IV = 1
    """HKDF-SHA256, and a random IV in the parameter `iv`."""
    PBKDF2 = 2
    """PBKDF2-HMAC-SHA256, and no `iv`."""


class SecretState(_Open):
    """What a secret is used for."""

    UNSPECIFIED = 0
    """Never given."""
    PRIMARY = 1
    """It encodes and decodes."""
    DECODE_ONLY = 2
    """It decodes, and encodes a callback that names it."""


class Reopen(_Open):
    """What happens to a message that was opened before."""

    UNSPECIFIED = 0
    """Unknown: the service is older than this setting."""
    REPORT = 1
    """It opens, and `reopened` says so."""
    REFUSE = 2
    """It is refused (`Reason.ALREADY_OPENED`)."""


class Authentication(_Open):
    """Whether the messages of a pairing carry a tag."""

    UNSPECIFIED = 0
    """Unknown: the service is older than this setting."""
    OFF = 1
    """No tag is written or looked for."""
    WRITE = 2
    """A tag is written, and checked if a message has one."""
    REQUIRE = 3
    """A tag is written, and a message without a right tag is not opened."""


class Deviation(_Open):
    """What a sender does differently from the format, and what the service repairs. Tell the sender."""

    UNSPECIFIED = 0
    """Never given."""
    BASE64_ALPHABET = 1
    """The other of the two Base64 alphabets."""
    BASE64_UNPADDED = 2
    """Base64 without its padding."""
    PLUS_AS_SPACE = 3
    """A `+` of Base64 sent raw in a URL, or already turned into a space."""
    DOUBLE_ENCODED = 4
    """Something that is percent-encoded more often than the format asks."""
    WHITESPACE = 5
    """Line ends, or blanks around a value."""
    DATE_DIGITS = 6
    """A date of 14, 16 or 17 digits."""
    SECOND_QUESTION_MARK = 7
    """A second `?` in place of `&`."""
    LIST_SYNTAX = 8
    """A list in another syntax than the pairing's."""
    REDIRECT_UNESCAPED = 9
    """A `redirect` with a query of its own that was not escaped."""
    TXNID_NOT_UUID = 10
    """A `txnid` that is not a UUID."""
    EXTRA_MEMBER = 11
    """A member that the guideline does not have."""
    BLANK_OPTIONAL = 12
    """An optional member without a value."""
    STATUS_MISMATCH = 13
    """Status `S` with an error code other than 0, or `F` with 0."""
    STRAY_CHARACTERS = 14
    """A byte order mark or a `?` in front, or an `&` too many."""
    NAME_CASE = 15
    """A name in another case, such as `fipID`."""
    INVALID_ESCAPE = 16
    """A `%` without two hexadecimal digits behind it."""
    REPEATED = 17
    """The same member or parameter twice, with one value."""
    HTML_ESCAPED = 18
    """`&amp;` between parameters."""
    IN_FRAGMENT = 19
    """Parameters behind `#`."""
    REQUESTOR_TYPE = 20
    """A `requestorType` that is unknown or not masked."""
    DATE_ZERO_LOST = 21
    """A date without its leading zero."""
    RAW_NON_ASCII = 22
    """A byte above 0x7E that is not percent-encoded."""


class Leg(enum.Enum):
    """Which way a message goes."""

    REQUEST = "request"
    """From the FIU to the AA."""
    CALLBACK = "callback"
    """From the AA back to the FIU."""
