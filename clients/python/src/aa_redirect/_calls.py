"""The five calls as data: the message to send, and how to read the answer. Knows no channel: both clients use it."""

from __future__ import annotations

import functools
import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Generic, ParamSpec, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from aa_redirect import _types as t
from aa_redirect._errors import Reason, RedirectError
from aa_redirect._proto import redirect_pb2 as pb

Answer = TypeVar("Answer")
P = ParamSpec("P")
Note = Callable[[t.DeviationReport], None] | None
"""The argument `on_deviations` of a client."""
_log = logging.getLogger("aa_redirect")


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """One logical call; each of its tries sends the same message."""

    method: str
    message: Any
    answer: type[Any]
    convert: Callable[[Any, str], Answer]

    def read(self, answer: bytes, request_id: str) -> Answer:
        """The answer to a call with this request id.

        gRPC does not parse it, because it would hide bytes that cannot be read.
        """
        try:
            message = self.answer.FromString(answer)
        except DecodeError as error:
            raise RedirectError(
                Reason.LOCAL_UNEXPECTED_ANSWER,
                f"not an answer of aa-redirect, so look at what is between: {error}",
                request_id=request_id,
                method=self.method,
                tries=1,
            ) from error
        return self.convert(message, request_id)

    @property
    def path(self) -> str:
        """The name of the method in gRPC."""
        return f"/aa.redirect.v1.RedirectService/{self.method}"


def _sendable(build: Callable[P, Call[Answer]]) -> Callable[P, Call[Answer]]:
    """Refuses a text that is not Unicode. The service would refuse it too, but protobuf cannot send it."""

    @functools.wraps(build)
    def checked(*args: P.args, **kwargs: P.kwargs) -> Call[Answer]:
        try:
            return build(*args, **kwargs)
        except UnicodeEncodeError:
            # Without the cause, which holds the text.
            raise RedirectError(
                Reason.FIELD_INVALID,
                "a text of the request has half of a surrogate pair, so that it is no Unicode and cannot be sent",
                code=grpc.StatusCode.INVALID_ARGUMENT,
            ) from None

    return checked


# --- encode -----------------------------------------------------------------------------------------------------------


@_sendable
def encode_redirect(
    fiu_id: str, aa_id: str, redirect: t.Redirect, requestor_type: t.RequestorType, issue_time: datetime | None
) -> Call[t.SealedRedirect]:
    def read(answer: pb.EncodeRedirectResponse, _: str) -> t.SealedRedirect:
        return t.SealedRedirect(
            maybe_location=answer.url,
            query=answer.query,
            params=t.RedirectParams(
                fi=answer.params.fi,
                reqdate=answer.params.reqdate,
                ecreq=answer.params.ecreq,
                iv=answer.params.iv,
                requestor_type=answer.params.requestor_type,
            ),
            txnid=answer.txnid,
            secret_id=answer.secret_id,
            issue_time=_instant(answer.issue_time),
            expire_time=_instant(answer.expire_time),
            expected=t.Expected(txnid=answer.txnid, sessionid=redirect.sessionid, userid=redirect.userid, aa_id=aa_id),
        )

    message = pb.EncodeRedirectRequest(
        fiu_id=fiu_id,
        aa_id=aa_id,
        redirect=pb.Redirect(
            txnid=redirect.txnid,
            sessionid=redirect.sessionid,
            userid=redirect.userid,
            redirect=redirect.redirect,
            srcref=redirect.srcref,
            fipid=redirect.fipid,
            email=redirect.email,
            pan=redirect.pan,
            dob=redirect.dob,
            iso_language_code=redirect.iso_language_code,
            extra=redirect.extra,
        ),
        requestor_type=cast("pb.RequestorType", int(requestor_type)),
        issue_time=_timestamp(issue_time),
    )
    return Call("EncodeRedirect", message, pb.EncodeRedirectResponse, read)


@_sendable
def encode_callback(
    fiu_id: str, aa_id: str, callback: t.Callback, redirect_url: str, *, secret_id: str, issue_time: datetime | None
) -> Call[t.SealedCallback]:
    def read(answer: pb.EncodeCallbackResponse, _: str) -> t.SealedCallback:
        return t.SealedCallback(
            location=answer.url,
            query=answer.query,
            params=t.CallbackParams(
                fi=answer.params.fi, resdate=answer.params.resdate, ecres=answer.params.ecres, iv=answer.params.iv
            ),
            secret_id=answer.secret_id,
            issue_time=_instant(answer.issue_time),
            expire_time=_instant(answer.expire_time),
        )

    message = pb.EncodeCallbackRequest(
        fiu_id=fiu_id,
        aa_id=aa_id,
        callback=pb.Callback(
            txnid=callback.txnid,
            sessionid=callback.sessionid,
            userid=callback.userid,
            status=cast("pb.CallbackStatus", int(callback.status)),
            errorcode=callback.errorcode,
            srcref=callback.srcref,
            extra=callback.extra,
        ),
        redirect_url=redirect_url,
        secret_id=secret_id,
        issue_time=_timestamp(issue_time),
    )
    return Call("EncodeCallback", message, pb.EncodeCallbackResponse, read)


def answer_redirect(
    opened: t.OpenedRedirect, errorcode: int, srcref: Iterable[str] | None, extra: t.FrozenMap
) -> Call[t.SealedCallback]:
    asked = opened.redirect
    if srcref is None:
        srcref = asked.srcref if errorcode == 0 else ()
    callback = t.Callback(
        txnid=asked.txnid,
        sessionid=asked.sessionid,
        userid=asked.userid,
        status=t.CallbackStatus.SUCCESS if errorcode == 0 else t.CallbackStatus.FAILURE,
        errorcode=errorcode,
        srcref=tuple(srcref),
        extra=extra,
    )
    return encode_callback(
        opened.fiu_id, opened.aa_id, callback, asked.redirect, secret_id=opened.secret_id, issue_time=None
    )


# --- decode -----------------------------------------------------------------------------------------------------------


@_sendable
def decode_redirect(source: str | t.RedirectParams, aa_id: str, attempt_id: str, note: Note) -> Call[t.OpenedRedirect]:
    def read(answer: pb.DecodeRedirectResponse, request_id: str) -> t.OpenedRedirect:
        _report(note, t.Leg.REQUEST, answer, request_id)
        members = answer.redirect
        return t.OpenedRedirect(
            redirect=t.Redirect(
                txnid=members.txnid,
                sessionid=members.sessionid,
                userid=members.userid,
                redirect=members.redirect,
                srcref=members.srcref,
                fipid=members.fipid,
                email=members.email,
                pan=members.pan,
                dob=members.dob,
                iso_language_code=members.iso_language_code,
                extra=members.extra,
            ),
            requestor_type=t.RequestorType(answer.requestor_type),
            **_opened(answer),
        )

    message = pb.DecodeRedirectRequest(aa_id=aa_id, attempt_id=attempt_id or str(uuid.uuid4()))
    if isinstance(source, t.RedirectParams):
        message.params.CopyFrom(pb.RedirectParams(**vars(source)))
    else:
        message.url = source
    return Call("DecodeRedirect", message, pb.DecodeRedirectResponse, read)


@_sendable
def decode_callback(
    source: str | t.CallbackParams, fiu_id: str, expected: t.Expected | t.NotCompared, attempt_id: str, note: Note
) -> Call[t.OpenedCallback]:
    def read(answer: pb.DecodeCallbackResponse, request_id: str) -> t.OpenedCallback:
        if isinstance(expected, t.Expected):
            _compare(expected, answer, request_id)
        _report(note, t.Leg.CALLBACK, answer, request_id)
        members = answer.callback
        return t.OpenedCallback(
            callback=t.Callback(
                txnid=members.txnid,
                sessionid=members.sessionid,
                userid=members.userid,
                status=t.CallbackStatus(members.status),
                errorcode=members.errorcode,
                srcref=members.srcref,
                extra=members.extra,
            ),
            error_message=answer.error_message,
            **_opened(answer),
        )

    message = pb.DecodeCallbackRequest(fiu_id=fiu_id, attempt_id=attempt_id or str(uuid.uuid4()))
    if isinstance(expected, t.Expected):
        message.expected.CopyFrom(pb.ExpectedCallback(**vars(expected)))
    elif expected is not t.NOT_COMPARED:
        raise TypeError("expected: give an `Expected`, or `NOT_COMPARED` to leave the comparison out")
    if isinstance(source, t.CallbackParams):
        message.params.CopyFrom(pb.CallbackParams(**vars(source)))
    else:
        message.url = source
    return Call("DecodeCallback", message, pb.DecodeCallbackResponse, read)


def _compare(expected: t.Expected, answer: pb.DecodeCallbackResponse, request_id: str) -> None:
    """Repeats the comparison of the service: an older service that does not know the field opens any callback."""
    came = answer.callback
    differs = [name for name in ("txnid", "sessionid", "userid") if getattr(came, name) != getattr(expected, name)]
    if expected.aa_id and answer.aa_id != expected.aa_id:
        differs.append("aa_id")
    if differs:
        fields = ", ".join(differs)
        raise RedirectError(
            Reason.NOT_EXPECTED,
            f"the callback opens, but is not the expected one: {fields} differ; "
            "treat it as an attack or as the callback of another user",
            code=grpc.StatusCode.FAILED_PRECONDITION,
            metadata={"fields": fields, "fiu_id": answer.fiu_id, "aa_id": answer.aa_id},
            request_id=request_id,
            method="DecodeCallback",
            tries=1,
        )


def _opened(answer: pb.DecodeRedirectResponse | pb.DecodeCallbackResponse) -> dict[str, Any]:
    """The fields that both results have."""
    return {
        "fiu_id": answer.fiu_id,
        "aa_id": answer.aa_id,
        "issue_time": _instant(answer.issue_time),
        "age": answer.age.ToTimedelta(),
        "secret_id": answer.secret_id,
        "primary_secret": answer.primary_secret,
        "deviations": tuple(map(t.Deviation, answer.deviations)),
        "deviation_details": _deviation_details(answer),
        "replay_until": _instant(answer.replay_until) if answer.HasField("replay_until") else None,
        "replay_key": answer.replay_key,
        "reopened": answer.reopened,
        "first_open_time": _instant(answer.first_open_time) if answer.HasField("first_open_time") else None,
        "authenticated": answer.authenticated,
    }


def _deviation_details(
    answer: pb.DecodeRedirectResponse | pb.DecodeCallbackResponse,
) -> tuple[t.DeviationDetail, ...]:
    """Each repair with its place. An older service gives no places."""
    if answer.deviation_details:
        return tuple(t.DeviationDetail(t.Deviation(d.deviation), d.place) for d in answer.deviation_details)
    return tuple(t.DeviationDetail(t.Deviation(d)) for d in answer.deviations)


def _report(
    note: Note, leg: t.Leg, answer: pb.DecodeRedirectResponse | pb.DecodeCallbackResponse, request_id: str
) -> None:
    """Gives the deviations of an answer to the callback, or to the log. An error there does not fail the call."""
    details = _deviation_details(answer)
    if not details:
        return
    found = t.DeviationReport(leg=leg, fiu_id=answer.fiu_id, aa_id=answer.aa_id, details=details, request_id=request_id)
    try:
        if note is None:
            _log.warning("%s", found)
        else:
            note(found)
    except Exception:  # noqa: BLE001 (whatever the caller's code raises)
        _log.exception("on_deviations failed")


# --- pairings ---------------------------------------------------------------------------------------------------------


def list_pairings(page_size: int, page_token: str) -> Call[tuple[list[t.Pairing], str]]:
    def read(answer: pb.ListPairingsResponse, _: str) -> tuple[list[t.Pairing], str]:
        return [_pairing(pairing) for pairing in answer.pairings], answer.next_page_token

    message = pb.ListPairingsRequest(page_size=page_size, page_token=page_token)
    return Call("ListPairings", message, pb.ListPairingsResponse, read)


def _pairing(pairing: pb.Pairing) -> t.Pairing:
    return t.Pairing(
        fiu_id=pairing.fiu_id,
        aa_id=pairing.aa_id,
        profile=pairing.profile,
        scheme=t.Scheme(pairing.scheme),
        webview_url=pairing.webview_url,
        handles=tuple(pairing.handles),
        secrets=tuple(t.Secret(secret.id, t.SecretState(secret.state)) for secret in pairing.secrets),
        redirect_hosts=tuple(pairing.redirect_hosts),
        max_age=pairing.max_age.ToTimedelta() if pairing.HasField("max_age") else None,
        date_style=pairing.date_style,
        list_syntax=pairing.list_syntax,
        check_resdate=pairing.check_resdate,
        reopen=t.Reopen(pairing.reopen),
        authentication=t.Authentication(pairing.authentication),
    )


# --- times ------------------------------------------------------------------------------------------------------------


def _instant(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=timezone.utc)


def _timestamp(instant: datetime | None) -> Timestamp | None:
    if instant is None:
        return None
    if instant.tzinfo is None:
        raise ValueError("issue_time has no time zone: give an aware datetime, such as `datetime.now(timezone.utc)`")
    timestamp = Timestamp()
    timestamp.FromDatetime(instant)
    return timestamp
