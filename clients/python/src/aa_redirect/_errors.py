"""The one error of this package, and how it is read from what gRPC gives.

Decide by `reason`, which never changes; the text is for people, and alone it says what is wrong and what to do.
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
    """The URL cannot be read, or lacks or repeats a parameter. The sender's or the browser's doing."""
    PARAMETER_MALFORMED = "PARAMETER_MALFORMED"
    """A parameter is no Base64, has an impossible length or unmasks to nothing sensible. The sender's doing."""
    DATE_MALFORMED = "DATE_MALFORMED"
    """The date cannot be read. The sender's doing."""
    DATE_EXPIRED = "DATE_EXPIRED"
    """The date is older than the window: a slow user, or a wrong clock."""
    DATE_IN_FUTURE = "DATE_IN_FUTURE"
    """The date is ahead of the window: a wrong clock, or no UTC."""
    PAIRING_UNKNOWN = "PAIRING_UNKNOWN"
    """The service has no pairing of these two."""
    PAIRING_AMBIGUOUS = "PAIRING_AMBIGUOUS"
    """Several pairings fit: name the other party."""
    SCHEME_MISMATCH = "SCHEME_MISMATCH"
    """`iv` does not fit the pairing's profile."""
    REDIRECT_FORBIDDEN = "REDIRECT_FORBIDDEN"
    """The pairing does not allow the host of the URL to return to."""
    UNDECIPHERABLE = "UNDECIPHERABLE"
    """The message could not be opened; the service tells nobody why."""
    CALLER_FORBIDDEN = "CALLER_FORBIDDEN"
    """These credentials may not use this method."""
    CALLER_UNKNOWN = "CALLER_UNKNOWN"
    """No credentials, or unknown ones."""
    OVERLOADED = "OVERLOADED"
    """The service has too much to do; `retry_delay` says when to try again."""
    NOT_READY = "NOT_READY"
    """The server is ending; another one takes the call."""
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
    """What the service must remember has no room or no store; nothing was recorded."""

    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    """Of this package: no answer within the time limit of the call."""
    CONNECTION_FAILED = "CONNECTION_FAILED"
    """Of this package: no server could be reached, or the connection broke."""
    CANCELLED = "CANCELLED"
    """Of this package: the client was closed, or the call was cancelled, before the answer."""
    NO_WEBVIEW = "NO_WEBVIEW"
    """Of this package: the pairing has no web view, so there is no URL."""
    NOT_FROM_SERVICE = "NOT_FROM_SERVICE"
    """Of this package: something between client and service answered; `code` is all that is known."""
    UNRECOGNIZED = "UNRECOGNIZED"
    """Of this package: a reason of a newer service; `reason_name` has it."""


_LOCAL = frozenset(list(Reason)[list(Reason).index(Reason.DEADLINE_EXCEEDED) :])
SERVICE_REASONS = {reason.value: reason for reason in Reason if reason not in _LOCAL}


@dataclass(frozen=True)
class FieldViolation:
    """A field of the request that is missing or malformed."""

    field: str
    """Its path, such as `redirect.userid`."""
    description: str
    """What is wrong with it."""


class RedirectError(Exception):
    """A call that did not succeed. Its text goes to a log as it is: no member, no URL and no secret is in it."""

    reason: Reason
    """Why. Decide by this."""
    reason_name: str
    """The reason as it was sent, for `Reason.UNRECOGNIZED`; else the name of `reason`."""
    message: str
    """What is wrong, whose side it is on, and what to do, for people."""
    code: grpc.StatusCode
    """The status of gRPC."""
    metadata: Mapping[str, str]
    """The variables of the message, such as `fiu_id` or `age_seconds`."""
    violations: tuple[FieldViolation, ...]
    """All fields at fault, for `Reason.FIELD_INVALID`."""
    request_id: str
    """The id under which the service logged the call; empty if there was no call."""
    retry_delay: timedelta | None
    """After how long the service wants to be asked again."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        reason_name: str = "",
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        metadata: Mapping[str, str] | None = None,
        violations: Iterable[FieldViolation] = (),
        request_id: str = "",
        retry_delay: timedelta | None = None,
    ) -> None:
        # These two are `args`, from which unpickling makes the error anew; the rest is in `__dict__`.
        super().__init__(reason, message)
        self.reason = reason
        self.reason_name = reason_name or reason.value
        self.message = message
        self.code = code
        self.metadata = dict(sorted((metadata or {}).items()))
        self.violations = tuple(violations)
        self.request_id = request_id
        self.retry_delay = retry_delay

    @property
    def hint(self) -> str:
        """The usual mistake that would explain this refusal, such as `LOCAL_TIME`; empty: none is known."""
        return self.metadata.get("hint", "")

    @property
    def is_local(self) -> bool:
        """Whether this package gave the reason, and not the service."""
        return self.reason in _LOCAL and self.reason is not Reason.UNRECOGNIZED

    def __str__(self) -> str:
        parts = [f"{self.reason_name}: {self.message}"]
        parts += [f"{violation.field}: {violation.description}" for violation in self.violations]
        text = "; ".join(parts) + (f" (request id {self.request_id})" if self.request_id else "")
        # One line: what a proxy sends must not begin a line of its own in a log.
        return "".join(c if c.isprintable() else " " for c in text)

    def __repr__(self) -> str:
        return f"RedirectError({self})"


def read_error(error: grpc.RpcError, request_id: str, limit: float, tries: int) -> RedirectError:
    """What became of a call; `limit` is its time limit in seconds, `tries` how often it was tried so far."""
    # Every error that a call raises is a Call as well; the type of RpcError does not say so.
    call: Any = error
    code: grpc.StatusCode = call.code()
    details = _details(call.trailing_metadata() or ())
    info = details.get(error_details_pb2.ErrorInfo)
    if info is None or info.domain != DOMAIN:
        return _foreign(code, call.details() or "", request_id, limit, tries)
    bad = details.get(error_details_pb2.BadRequest, error_details_pb2.BadRequest())
    retry = details.get(error_details_pb2.RetryInfo)
    logged = details.get(error_details_pb2.RequestInfo)
    return RedirectError(
        SERVICE_REASONS.get(info.reason, Reason.UNRECOGNIZED),
        call.details() or "",
        reason_name=info.reason,
        code=code,
        metadata=info.metadata,
        violations=(FieldViolation(v.field, v.description) for v in bad.field_violations),
        request_id=logged.request_id if logged else request_id,
        retry_delay=retry.retry_delay.ToTimedelta() if retry else _pushback(call.trailing_metadata() or ()),
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


def _pushback(trailers: Iterable[tuple[str, str | bytes]]) -> timedelta | None:
    """`grpc-retry-pushback-ms` (gRFC A6); a negative one means never."""
    for key, value in trailers:
        if key == "grpc-retry-pushback-ms" and isinstance(value, str) and value.isdecimal():
            return timedelta(milliseconds=int(value))
    return None


def _foreign(code: grpc.StatusCode, details: str, request_id: str, limit: float, tries: int) -> RedirectError:
    """An error that carries no reason of the service: of this process, the network or a proxy."""
    times = "1 try" if tries == 1 else f"{tries} tries"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        reason, message = Reason.DEADLINE_EXCEEDED, f"no answer within {limit:g} s ({times})"
    elif code is grpc.StatusCode.UNAVAILABLE:
        reason, message = Reason.CONNECTION_FAILED, f"the service cannot be reached, or went away ({times}): {details}"
    elif code is grpc.StatusCode.CANCELLED:
        reason, message = Reason.CANCELLED, "the client was closed, or the call was cancelled, before the answer came"
    else:
        reason = Reason.NOT_FROM_SERVICE
        message = f"{code.name} without a reason of {DOMAIN}, so not from the service itself: {details}"
    return RedirectError(reason, message, code=code, request_id=request_id)


def closed(request_id: str) -> RedirectError:
    """The error of a call on a client that was closed."""
    return RedirectError(
        Reason.CANCELLED, "the client is closed", code=grpc.StatusCode.CANCELLED, request_id=request_id
    )
