"""The client that calls and waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from aa_redirect import _calls
from aa_redirect._errors import closed, read_error
from aa_redirect._options import DEFAULT_TIMEOUT, CallOptions, Tls, Token, connection
from aa_redirect._retry import Effort
from aa_redirect._types import (
    Callback,
    CallbackParams,
    DeviationReport,
    Expected,
    FrozenMap,
    NotCompared,
    OpenedCallback,
    OpenedRedirect,
    Pairing,
    Redirect,
    RedirectParams,
    RequestorType,
    SealedCallback,
    SealedRedirect,
)

if TYPE_CHECKING:
    from typing_extensions import Self

Answer = TypeVar("Answer")
_NO_OPTIONS = CallOptions()


class Client:
    """A connection to aa-redirect. Make one for the whole process: it reconnects by itself, and all threads may use it.

    Every call has one time limit for up to three tries. The client tries again if no server can be reached or the
    server is shutting down, and if the service is overloaded, after the delay that the service names. A retry of a
    decode call is safe: all tries carry the same `attempt_id`, under which the service gives its first answer again.

    Raises:
        ValueError: for an option that cannot work.
    """

    def __init__(
        self,
        address: str | Sequence[str],
        *,
        tls: Tls | None = None,
        plaintext: bool = False,
        token: Token | None = None,
        token_over_plaintext: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
        on_deviations: Callable[[DeviationReport], None] | None = None,
        interceptors: Sequence[grpc.UnaryUnaryClientInterceptor] = (),
    ) -> None:
        """Connects at the first call.

        Args:
            address: `host:port`, where all addresses of a DNS name are used in turn; `unix:path`; or several of
                `IP:port`, used in turn.
            tls: what to trust and to show. Without it, loopback and Unix sockets are called in plain text, and other
                addresses over TLS with the roots that come with gRPC.
            plaintext: plain text to other addresses too, for use behind a mesh that adds TLS.
            token: a bearer token, or a function that gives it for each call.
            token_over_plaintext: send the token in plain text to other addresses too.
            timeout: the time limit of a call in seconds, all its tries included.
            on_deviations: gets what the service repaired in a message; by default the logger `aa_redirect` warns.
            interceptors: of gRPC, such as those of OpenTelemetry.
        """
        self._connection = connection(
            address,
            tls=tls,
            token=token,
            plaintext=plaintext,
            token_over_plaintext=token_over_plaintext,
            timeout=timeout,
            on_deviations=on_deviations,
        )
        made = self._connection
        if made.credentials is None:
            channel = grpc.insecure_channel(made.target, made.channel_options)
        else:
            channel = grpc.secure_channel(made.target, made.credentials, made.channel_options)
        self._channel = channel
        self._closed = False
        self._calls = grpc.intercept_channel(channel, *interceptors) if interceptors else channel

    def encode_redirect(
        self,
        *,
        fiu_id: str,
        redirect: Redirect,
        aa_id: str = "",
        requestor_type: RequestorType = RequestorType.UNSPECIFIED,
        issue_time: datetime | None = None,
        options: CallOptions = _NO_OPTIONS,
    ) -> SealedRedirect:
        """As the FIU: the URL to send the browser to. Keep `expected` of the result with the user's session.

        Args:
            fiu_id: the FIU's id.
            redirect: the members.
            aa_id: the AA's id; empty: the handle of `redirect.userid` selects the AA.
            requestor_type: who asks for the data.
            issue_time: the date to write, an aware datetime; `None`: now.
            options: of this call.
        """
        call = _calls.encode_redirect(fiu_id, aa_id, redirect, requestor_type, issue_time)
        return self._run(call, options)

    def decode_redirect(
        self, source: str | RedirectParams, *, aa_id: str, options: CallOptions = _NO_OPTIONS
    ) -> OpenedRedirect:
        """As the AA: opens what a browser brought.

        Args:
            source: the whole URL as it arrived, its query string, or the parameters.
            aa_id: the AA's own id. It may be empty if only one pairing of the service fits.
            options: of this call.
        """
        call = _calls.decode_redirect(source, aa_id, options.attempt_id, self._connection.on_deviations)
        return self._run(call, options)

    def encode_callback(
        self,
        *,
        fiu_id: str,
        aa_id: str,
        callback: Callback,
        redirect_url: str,
        secret_id: str = "",
        issue_time: datetime | None = None,
        options: CallOptions = _NO_OPTIONS,
    ) -> SealedCallback:
        """As the AA: the URL that sends the browser back. `answer_redirect` fills it in from the request.

        Args:
            fiu_id: the FIU's id.
            aa_id: the AA's id.
            callback: the members.
            redirect_url: the URL to return to: `redirect` of the request.
            secret_id: that of the opened request, for an FIU that still has the old secret; empty: the primary one.
            issue_time: the date to write, an aware datetime; `None`: now.
            options: of this call.
        """
        call = _calls.encode_callback(fiu_id, aa_id, callback, redirect_url, secret_id=secret_id, issue_time=issue_time)
        return self._run(call, options)

    def answer_redirect(
        self,
        opened: OpenedRedirect,
        *,
        errorcode: int = 0,
        srcref: Sequence[str] | None = None,
        extra: Mapping[str, str] | None = None,
        options: CallOptions = _NO_OPTIONS,
    ) -> SealedCallback:
        """As the AA: `encode_callback` for an opened request, with its ids, members, return URL and secret.

        Args:
            opened: what `decode_redirect` gave.
            errorcode: 0: the user accepted; else the guideline's code that says why not.
            srcref: the accepted consent handles; `None`: all of the request's on success, and none on a failure.
            extra: members that the guideline does not have.
            options: of this call.
        """
        call = _calls.answer_redirect(opened, errorcode, srcref, FrozenMap(extra))
        return self._run(call, options)

    def decode_callback(
        self,
        source: str | CallbackParams,
        *,
        fiu_id: str,
        expected: Expected | NotCompared,
        options: CallOptions = _NO_OPTIONS,
    ) -> OpenedCallback:
        """As the FIU: opens what a browser brought back, and refuses what is not the answer to `expected`.

        Args:
            source: the whole URL as it arrived, its query string, or the parameters.
            fiu_id: the FIU's own id. It may be empty if only one pairing of the service fits.
            expected: what the user's session says, from `SealedRedirect.expected`; or `NOT_COMPARED`, if the caller
                compares by itself. Nothing else detects a callback that was made from two others.
            options: of this call.
        """
        call = _calls.decode_callback(source, fiu_id, expected, options.attempt_id, self._connection.on_deviations)
        return self._run(call, options)

    def list_pairings(self, *, page_size: int = 0, options: CallOptions = _NO_OPTIONS) -> Iterator[Pairing]:
        """The pairings that this caller may use, ordered by FIU id and AA id, fetched page by page.

        Args:
            page_size: how many to fetch at a time; 0: the service's default.
            options: of the call of each page.
        """
        page_token = ""
        while True:
            call = _calls.list_pairings(page_size, page_token)
            pairings, page_token = self._run(call, options)
            yield from pairings
            if not page_token:
                return

    def _run(self, call: _calls.Call[Answer], options: CallOptions) -> Answer:
        request_id = options.checked_request_id()
        metadata = self._connection.metadata(request_id, options.checked_traceparent())
        method: grpc.UnaryUnaryMultiCallable[Any, bytes] = self._calls.unary_unary(
            call.path,
            request_serializer=type(call.message).SerializeToString,
        )
        effort = Effort(call.method, request_id, options.timeout or self._connection.timeout)
        while True:
            if self._closed:
                raise closed(effort.so_far())
            try:
                answer = method(call.message, timeout=effort.begin(), metadata=metadata)
                break
            except grpc.RpcError as error:
                failure = read_error(error, effort.so_far())
                pause = effort.pause(failure)
                if pause is None:
                    raise failure from error
            time.sleep(pause)
        return call.read(answer, request_id)

    def close(self) -> None:
        """Ends the connection; calls in flight end with `Reason.LOCAL_CANCELLED`."""
        self._closed = True
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._connection.target!r})"
