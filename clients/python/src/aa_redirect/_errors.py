"""The one error of this package, and how it is read from what gRPC gives.

Decide by `reason`, which never changes. The text is for people, and says what is wrong and what to do.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "aa.redirect.v1"


class Reason(str, enum.Enum):
    """Why a call did not succeed: the reasons of the service, then those of this package."""

    FIELD_INVALID = "FIELD_INVALID"
    """Fields of the request are missing or malformed; `violations` has each. The caller fixes them."""
    URL_MALFORMED = "URL_MALFORMED"
    """The URL cannot be read, lacks a parameter, or repeats one. The sender or the browser caused it."""
    PARAMETER_MALFORMED = "PARAMETER_MALFORMED"
    """A parameter is not Base64, has an impossible length or does not unmask to an id. The sender caused it."""
    DATE_MALFORMED = "DATE_MALFORMED"
    """The date cannot be read. The sender caused it."""
    DATE_EXPIRED = "DATE_EXPIRED"
    """The date is older than the window: a slow user, or a wrong clock."""
    DATE_IN_FUTURE = "DATE_IN_FUTURE"
    """The date is ahead of the window: a wrong clock, or not UTC."""
    PAIRING_UNKNOWN = "PAIRING_UNKNOWN"
    """The service has no pairing of these two."""
    PAIRING_AMBIGUOUS = "PAIRING_AMBIGUOUS"
    """Several pairings fit: name the other party."""
    SCHEME_MISMATCH = "SCHEME_MISMATCH"
    """`iv` does not fit the pairing's profile."""
    REDIRECT_FORBIDDEN = "REDIRECT_FORBIDDEN"
    """The pairing does not allow the host of the URL to return to."""
    UNDECIPHERABLE = "UNDECIPHERABLE"
    """The message could not be opened; the service never says why."""
    CALLER_FORBIDDEN = "CALLER_FORBIDDEN"
    """These credentials may not use this method."""
    CALLER_UNKNOWN = "CALLER_UNKNOWN"
    """No credentials, or unknown ones."""
    OVERLOADED = "OVERLOADED"
    """The service has too much to do; `retry_delay` says when to try again."""
    NOT_READY = "NOT_READY"
    """The server is shutting down; another one takes the call."""
    TIMED_OUT = "TIMED_OUT"
    """The service noticed that the deadline of the call passed, before this client did."""
    INTERNAL_FAULT = "INTERNAL_FAULT"
    """A fault of the service; its log has the detail under the request id."""
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    """The request has more than 64 KiB."""
    ALREADY_OPENED = "ALREADY_OPENED"
    """The pairing refuses reopenings, and this message was opened before."""
    NOT_EXPECTED = "NOT_EXPECTED"
    """The callback opens, but is not the one in `expected`: an attack, or another user's callback."""
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    """The service cannot remember the message: no room, or the store does not answer. Nothing was recorded."""

    LOCAL_DEADLINE_EXCEEDED = "LOCAL_DEADLINE_EXCEEDED"
    """No answer within the time limit of the call."""
    LOCAL_UNREACHABLE = "LOCAL_UNREACHABLE"
    """No connection (refused, TLS failed), or it was lost before the answer."""
    LOCAL_CANCELLED = "LOCAL_CANCELLED"
    """The call was cancelled, or the client closed, before the answer."""
    LOCAL_UNEXPECTED_ANSWER = "LOCAL_UNEXPECTED_ANSWER"
    """An answer that is not from aa-redirect: a proxy answered, or the address is wrong."""
    LOCAL_WEBVIEW_MISSING = "LOCAL_WEBVIEW_MISSING"
    """The caller asked for the URL of a pairing without a web view: build it from `query`."""

    @classmethod
    def _missing_(cls, value: object) -> Reason | None:
        """A reason that this version does not know becomes a member too, with its text as name and value."""
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        return type(self), (self.value,)

    @property
    def is_local(self) -> bool:
        """Whether this package gives the reason, and not the service."""
        return self.value.startswith("LOCAL_")


@dataclass(frozen=True)
class FieldViolation:
    """A field of the request that is missing or malformed."""

    field: str
    """Its path, such as `redirect.userid`."""
    description: str
    """What is wrong with it."""


class RedirectError(Exception):
    """A call that did not succeed. Its text is fit for a log: it has no member, no URL and no secret."""

    reason: Reason
    """Why. Decide by this."""
    message: str
    """What is wrong, whose side it is on, and what to do, for people."""
    code: grpc.StatusCode
    """The status of gRPC."""
    metadata: Mapping[str, str]
    """The values that the message names, such as `fiu_id` or `age_seconds`."""
    violations: tuple[FieldViolation, ...]
    """All fields at fault, for `Reason.FIELD_INVALID`."""
    request_id: str
    """The id under which the service logged the call; empty if none is known."""
    retry_delay: timedelta | None
    """How long the service asks to wait before the next try."""
    method: str
    """The method that was called, such as `DecodeRedirect`."""
    tries: int
    """How often it was tried."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        metadata: Mapping[str, str] | None = None,
        violations: Iterable[FieldViolation] = (),
        request_id: str = "",
        retry_delay: timedelta | None = None,
        method: str = "",
        tries: int = 0,
    ) -> None:
        # These two are `args`, from which unpickling makes the error again; the rest is in `__dict__`.
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
        self.code = code
        self.metadata = dict(sorted((metadata or {}).items()))
        self.violations = tuple(violations)
        self.request_id = request_id
        self.retry_delay = retry_delay
        self.method = method
        self.tries = tries

    @property
    def hint(self) -> str:
        """The likely mistake that caused this refusal, such as `LOCAL_TIME`; empty if none is known."""
        return self.metadata.get("hint", "")

    def __str__(self) -> str:
        """One line for a log: reason, message, violations; in brackets method, metadata, request id and tries."""
        what = [f"{self.reason.value}: {self.message}"]
        # The message of a single violation says it already.
        unsaid = [v for v in self.violations if self.message != f"{v.field} {v.description}"]
        what += [f"{violation.field}: {violation.description}" for violation in unsaid]
        where = [self.method] if self.method else []
        said = {"fields"} if self.violations else set()
        where += [f"{name}={value}" for name, value in self.metadata.items() if name not in said]
        where += [f"request_id={self.request_id}"] if self.request_id else []
        where += [f"tries={self.tries}"]
        # One line: what a proxy sends must not begin a line of its own in a log.
        return "".join(c if c.isprintable() else " " for c in f"{'; '.join(what)} [{' '.join(where)}]")

    def __repr__(self) -> str:
        return f"RedirectError({self})"


@dataclass(frozen=True)
class Attempted:
    """What the client knows of a failed call."""

    method: str
    request_id: str
    limit: float
    tries: int


def read_error(error: grpc.RpcError, attempted: Attempted) -> RedirectError:
    """Reads the error of a call."""
    # Every error that a call raises is a Call as well; the type of RpcError does not say so.
    call: Any = error
    trailers = tuple(call.trailing_metadata() or ())
    details = _details(trailers)
    info = details.get(error_details_pb2.ErrorInfo)
    if info is None or info.domain != DOMAIN:
        return _foreign(call.code(), call.details() or "", attempted)
    bad = details.get(error_details_pb2.BadRequest, error_details_pb2.BadRequest())
    retry = details.get(error_details_pb2.RetryInfo)
    logged = details.get(error_details_pb2.RequestInfo)
    headers = dict(trailers) | dict(call.initial_metadata() or ())
    return RedirectError(
        Reason(info.reason),
        call.details() or "",
        code=call.code(),
        metadata=info.metadata,
        violations=(FieldViolation(v.field, v.description) for v in bad.field_violations),
        request_id=logged.request_id if logged else str(headers.get("x-request-id", attempted.request_id)),
        retry_delay=_pushback(trailers, retry.retry_delay.ToTimedelta() if retry else None),
        method=attempted.method,
        tries=attempted.tries,
    )


def _details(trailers: Iterable[tuple[str, str | bytes]]) -> dict[Any, Any]:
    """The messages of `google.rpc` in the error, by type."""
    found: dict[Any, Any] = {}
    for key, value in trailers:
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        status = status_pb2.Status()
        try:
            status.MergeFromString(value)
        except DecodeError:
            continue
        for detail in status.details:
            for kind in _KINDS:
                if detail.Is(kind.DESCRIPTOR):
                    found[kind] = message = kind()
                    detail.Unpack(message)
    return found


_KINDS: tuple[Any, ...] = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.RetryInfo,
    error_details_pb2.RequestInfo,
)


def _pushback(trailers: Iterable[tuple[str, str | bytes]], named: timedelta | None) -> timedelta | None:
    """The delay of `grpc-retry-pushback-ms` (gRFC A6), else that of RetryInfo. A negative one means never."""
    for key, value in trailers:
        if key == "grpc-retry-pushback-ms" and isinstance(value, str):
            return timedelta(milliseconds=int(value)) if value.isdecimal() else None
    return named


def _foreign(code: grpc.StatusCode, details: str, attempted: Attempted) -> RedirectError:
    """An error without a reason of the service: it comes from this process, the network or a proxy."""
    match code:
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            reason, message = Reason.LOCAL_DEADLINE_EXCEEDED, f"no answer within {attempted.limit:g} s"
        case grpc.StatusCode.UNAVAILABLE:
            reason, message = Reason.LOCAL_UNREACHABLE, f"no connection to the service, or it was lost: {details}"
        case grpc.StatusCode.CANCELLED:
            reason, message = Reason.LOCAL_CANCELLED, "the call was cancelled, or the client closed, before the answer"
        case _:
            reason = Reason.LOCAL_UNEXPECTED_ANSWER
            message = f"not an answer of aa-redirect, so look at what is between: {code.name}: {details}"
    return RedirectError(
        reason, message, code=code, request_id=attempted.request_id, method=attempted.method, tries=attempted.tries
    )


def closed(attempted: Attempted) -> RedirectError:
    """The error of a call on a client that was closed."""
    return _foreign(grpc.StatusCode.CANCELLED, "", attempted)
