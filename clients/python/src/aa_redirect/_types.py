"""The arguments and results of calls. All of them are immutable and can be pickled.

`repr` shows ids of the two parties, times and flags. It does not show members of a message (such as the user id), URLs
and parameters, so a result may go to a log.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import grpc

from aa_redirect._enums import (
    Authentication,
    CallbackStatus,
    Deviation,
    Leg,
    Reopen,
    RequestorType,
    Scheme,
    SecretState,
)
from aa_redirect._errors import Reason, RedirectError
from aa_redirect._frozen import FrozenMap

__all__ = [
    "NOT_COMPARED",
    "Authentication",
    "Callback",
    "CallbackParams",
    "CallbackStatus",
    "Deviation",
    "DeviationDetail",
    "DeviationReport",
    "Expected",
    "FrozenMap",
    "Leg",
    "NotCompared",
    "OpenedCallback",
    "OpenedRedirect",
    "Pairing",
    "Redirect",
    "RedirectParams",
    "Reopen",
    "RequestorType",
    "Scheme",
    "SealedCallback",
    "SealedRedirect",
    "Secret",
    "SecretState",
]


def _texts(name: str, values: Sequence[str]) -> tuple[str, ...]:
    # In Python a `str` is also a sequence of texts: `srcref="h1"` would become two handles.
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{name} is a list of texts, not one text")
    return tuple(values)


@dataclass(frozen=True, kw_only=True, repr=False)
class Redirect:
    """The members of `ecreq`: what an FIU asks an AA for. Decode gives back exactly what encode got."""

    userid: str
    """`<name or mobile>@<AA handle>`, such as `9999988888@aa`."""
    redirect: str
    """The absolute URL to return to, kept byte for byte."""
    srcref: Sequence[str]
    """1 to 200 consent handles."""
    txnid: str = ""
    """A UUID. Empty on encode: the service makes one."""
    sessionid: str = ""
    """Any text of the FIU; it comes back byte for byte."""
    fipid: Sequence[str] = ()
    """FIP ids."""
    email: str = ""
    """The user's e-mail address."""
    pan: str = ""
    """The user's permanent account number."""
    dob: str = ""
    """The user's date of birth, `YYYY-MM-DD`. Any text on decode."""
    iso_language_code: str = ""
    """The language to greet the user in, such as `hi-IN`."""
    extra: Mapping[str, str] = FrozenMap()
    """Members that the guideline does not have, by name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "srcref", _texts("srcref", self.srcref))
        object.__setattr__(self, "fipid", _texts("fipid", self.fipid))
        object.__setattr__(self, "extra", FrozenMap(self.extra))

    def __repr__(self) -> str:
        return "Redirect(members not shown)"


@dataclass(frozen=True, kw_only=True, repr=False)
class Callback:
    """The members of `ecres`: the outcome of a request. Decode gives back exactly what encode got."""

    txnid: str
    """The request's, unchanged."""
    userid: str
    """The request's, unchanged."""
    status: CallbackStatus
    """Whether the user accepted."""
    sessionid: str = ""
    """The request's, unchanged."""
    errorcode: int = 0
    """The guideline's code; 0 if and only if the status is SUCCESS."""
    srcref: Sequence[str] = ()
    """The accepted consent handles."""
    extra: Mapping[str, str] = FrozenMap()
    """Members that the guideline does not have, by name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "srcref", _texts("srcref", self.srcref))
        object.__setattr__(self, "extra", FrozenMap(self.extra))

    def __repr__(self) -> str:
        return "Callback(members not shown)"


@dataclass(frozen=True, kw_only=True)
class RedirectParams:
    """The parameters of a request URL, each as it is before percent-encoding."""

    fi: str = field(repr=False)
    reqdate: str
    ecreq: str = field(repr=False)
    iv: str = field(default="", repr=False)
    requestor_type: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class CallbackParams:
    """The parameters of a callback URL, each as it is before percent-encoding."""

    fi: str = field(repr=False)
    resdate: str
    ecres: str = field(repr=False)
    iv: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, repr=False)
class Expected:
    """What the FIU's own record says about a callback. Empty fields are compared too, except an empty `aa_id`.

    A session keeps it as JSON: `dataclasses.asdict(expected)`, and `Expected(**record)` when the browser is back.
    The user id is in it.
    """

    txnid: str
    sessionid: str
    userid: str
    aa_id: str = ""

    def __repr__(self) -> str:
        return f"Expected(aa_id={self.aa_id!r}, members not shown)"


class NotCompared(enum.Enum):
    """The type of `NOT_COMPARED`."""

    NOT_COMPARED = "not compared"


NOT_COMPARED = NotCompared.NOT_COMPARED
"""Give it in place of an `Expected` if the caller compares `txnid`, `sessionid`, `userid` and `aa_id` by itself."""


@dataclass(frozen=True)
class DeviationDetail:
    """A repair, and the parameter or member where it was made; empty for the whole URL or text."""

    deviation: Deviation
    place: str = ""

    def __str__(self) -> str:
        return f"{self.deviation.name} in {self.place}" if self.place else self.deviation.name


@dataclass(frozen=True, kw_only=True)
class DeviationReport:
    """What `on_deviations` gets: what the service repaired in a message, and who sent it. Tell the sender."""

    leg: Leg
    fiu_id: str
    aa_id: str
    details: tuple[DeviationDetail, ...]
    request_id: str

    @property
    def sender(self) -> str:
        """The id of the party that sent the message."""
        return self.fiu_id if self.leg is Leg.REQUEST else self.aa_id

    def __str__(self) -> str:
        details = ", ".join(map(str, self.details))
        under = f" (request id {self.request_id})" if self.request_id else ""
        return f"{self.leg.value} from {self.sender!r} deviates from the format: {details}{under}"


@dataclass(frozen=True, kw_only=True)
class SealedRedirect:
    """A redirect to send the browser to."""

    maybe_location: str = field(repr=False)
    """`location`, but empty for a pairing without a web view."""
    query: str = field(repr=False)
    """The parameters as a query string without `?`."""
    params: RedirectParams = field(repr=False)
    """The parameters before percent-encoding."""
    txnid: str = field(repr=False)
    """The `txnid` given or made."""
    secret_id: str
    """The id of the secret that encoded."""
    issue_time: datetime
    """The instant that the date was written from."""
    expire_time: datetime
    """The end of the window. Send the browser before it."""
    expected: Expected = field(repr=False)
    """What to keep with the user's session, and to give to `decode_callback`. Its `aa_id` is that of the call."""

    @property
    def location(self) -> str:
        """The whole URL, for the `Location` of a 303 with `Cache-Control: no-store`.

        Raises:
            RedirectError: with `Reason.LOCAL_WEBVIEW_MISSING`, if the pairing has no web view; `query` exists anyway.
        """
        if not self.maybe_location:
            raise RedirectError(
                Reason.LOCAL_WEBVIEW_MISSING,
                "the pairing has no web view URL: name one in the keyring, or build the URL from `query`",
                code=grpc.StatusCode.FAILED_PRECONDITION,
                method="EncodeRedirect",
                tries=1,
            )
        return self.maybe_location


@dataclass(frozen=True, kw_only=True)
class OpenedRedirect:
    """An opened redirect. Nothing in it is proved unless `authenticated` is true."""

    fiu_id: str
    aa_id: str
    redirect: Redirect = field(repr=False)
    """The members."""
    requestor_type: RequestorType
    issue_time: datetime
    """The instant that the date names; unknown seconds read as 0."""
    age: timedelta
    """Now minus `issue_time`; negative for a date ahead of now."""
    secret_id: str
    """The id of the secret that opened the message: `encode_callback` answers with the same."""
    primary_secret: bool
    """False: the FIU still encodes with an old secret."""
    deviations: tuple[Deviation, ...] = ()
    """What was repaired, each kind once."""
    deviation_details: tuple[DeviationDetail, ...] = ()
    """Each repair with its place."""
    replay_until: datetime | None
    """Until when a message with this date can be accepted."""
    replay_key: str
    """The same for every message that can be made from this one. To act once, store it until `replay_until`."""
    reopened: bool
    """Whether this message was opened before. A reload of the page is a reopening too."""
    first_open_time: datetime | None
    """When it was opened first; `None` from a service that does not remember."""
    authenticated: bool
    """Whether the message carried a right tag."""


@dataclass(frozen=True, kw_only=True)
class SealedCallback:
    """A callback that sends the browser back."""

    location: str = field(repr=False)
    """The whole URL, for the `Location` of a 303 with `Cache-Control: no-store`."""
    query: str = field(repr=False)
    """The parameters as a query string without `?`."""
    params: CallbackParams = field(repr=False)
    """The parameters before percent-encoding."""
    secret_id: str
    """The id of the secret that encoded."""
    issue_time: datetime
    """The instant that the date was written from."""
    expire_time: datetime
    """The end of the window. Send the browser before it."""


@dataclass(frozen=True, kw_only=True)
class OpenedCallback:
    """An opened callback. It is a hint to ask the AA, server to server, and not a proof of consent."""

    fiu_id: str
    aa_id: str
    callback: Callback = field(repr=False)
    """The members."""
    error_message: str
    """The guideline's text for the error code."""
    issue_time: datetime
    """The instant that the date names; unknown seconds read as 0."""
    age: timedelta
    """Now minus `issue_time`; negative for a date ahead of now."""
    secret_id: str
    """The id of the secret that opened the message."""
    primary_secret: bool
    """False: the AA still encodes with an old secret."""
    deviations: tuple[Deviation, ...] = ()
    """What was repaired, each kind once."""
    deviation_details: tuple[DeviationDetail, ...] = ()
    """Each repair with its place."""
    replay_until: datetime | None
    """Until when a message with this date can be accepted; `None`: for ever."""
    replay_key: str
    """The same for every message that can be made from this one. To act once, store it until `replay_until`."""
    reopened: bool
    """Whether this message was opened before. A reload of the page is a reopening too."""
    first_open_time: datetime | None
    """When it was opened first; `None` from a service that does not remember."""
    authenticated: bool
    """Whether the message carried a right tag."""

    @property
    def accepted(self) -> bool:
        """Whether the status is SUCCESS and the error code is 0."""
        return self.callback.status is CallbackStatus.SUCCESS and self.callback.errorcode == 0


@dataclass(frozen=True)
class Secret:
    """A secret, named but never shown."""

    id: str
    state: SecretState


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """One FIU and one AA that share secrets, as the service's keyring has them."""

    fiu_id: str
    aa_id: str
    profile: str
    """iv, v1.0, v1.1, v1.2, v1.3, v1.4 or v1.5."""
    scheme: Scheme
    webview_url: str
    """Empty: no web view."""
    handles: tuple[str, ...]
    """The user-id handles that this AA serves."""
    secrets: tuple[Secret, ...]
    """In the order in which decoding tries them."""
    redirect_hosts: tuple[str, ...]
    """The hosts that redirects may lead to; empty: any."""
    max_age: timedelta | None
    """How far a date may lie from now, in the past and in the future; `None` from a service that does not tell."""
    date_style: str
    """millis, tenths or full."""
    list_syntax: str
    """repeated, comma, braces or json."""
    check_resdate: bool
    """Whether the date of a callback is checked."""
    reopen: Reopen
    authentication: Authentication
