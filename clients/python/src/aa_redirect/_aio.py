"""The client for asyncio. Options, calls and errors are those of `Client`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio

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


def _is_cancelled(task: asyncio.Task[object] | None) -> bool:
    # Python 3.10 cannot tell whether the task was cancelled.
    return bool(getattr(task, "cancelling", int)())


_NO_OPTIONS = CallOptions()


class AsyncClient:
    """`Client` for asyncio. A cancelled task cancels its call and raises `CancelledError`, as every task does.

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
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    ) -> None:
        """Connects at the first call. Make it inside the running loop; the options are those of `Client`."""
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
            channel = grpc.aio.insecure_channel(made.target, made.channel_options, interceptors=interceptors)
        else:
            channel = grpc.aio.secure_channel(
                made.target, made.credentials, made.channel_options, interceptors=interceptors
            )
        self._channel = channel
        self._closed = False

    async def encode_redirect(
        self,
        *,
        fiu_id: str,
        redirect: Redirect,
        aa_id: str = "",
        requestor_type: RequestorType = RequestorType.UNSPECIFIED,
        issue_time: datetime | None = None,
        options: CallOptions = _NO_OPTIONS,
    ) -> SealedRedirect:
        """As `Client.encode_redirect`."""
        call = _calls.encode_redirect(fiu_id, aa_id, redirect, requestor_type, issue_time)
        return await self._run(call, options)

    async def decode_redirect(
        self, source: str | RedirectParams, *, aa_id: str, options: CallOptions = _NO_OPTIONS
    ) -> OpenedRedirect:
        """As `Client.decode_redirect`."""
        call = _calls.decode_redirect(source, aa_id, options.attempt_id, self._connection.on_deviations)
        return await self._run(call, options)

    async def encode_callback(
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
        """As `Client.encode_callback`."""
        call = _calls.encode_callback(fiu_id, aa_id, callback, redirect_url, secret_id=secret_id, issue_time=issue_time)
        return await self._run(call, options)

    async def answer_redirect(
        self,
        opened: OpenedRedirect,
        *,
        errorcode: int = 0,
        srcref: Sequence[str] | None = None,
        extra: Mapping[str, str] | None = None,
        options: CallOptions = _NO_OPTIONS,
    ) -> SealedCallback:
        """As `Client.answer_redirect`."""
        call = _calls.answer_redirect(opened, errorcode, srcref, FrozenMap(extra))
        return await self._run(call, options)

    async def decode_callback(
        self,
        source: str | CallbackParams,
        *,
        fiu_id: str,
        expected: Expected | NotCompared,
        options: CallOptions = _NO_OPTIONS,
    ) -> OpenedCallback:
        """As `Client.decode_callback`."""
        call = _calls.decode_callback(source, fiu_id, expected, options.attempt_id, self._connection.on_deviations)
        return await self._run(call, options)

    async def list_pairings(self, *, page_size: int = 0, options: CallOptions = _NO_OPTIONS) -> AsyncIterator[Pairing]:
        """As `Client.list_pairings`."""
        page_token = ""
        while True:
            call = _calls.list_pairings(page_size, page_token)
            pairings, page_token = await self._run(call, options)
            for pairing in pairings:
                yield pairing
            if not page_token:
                return

    async def _run(self, call: _calls.Call[Answer], options: CallOptions) -> Answer:
        request_id = options.checked_request_id()
        metadata = self._connection.metadata(request_id, options.checked_traceparent())
        method: grpc.aio.UnaryUnaryMultiCallable[Any, bytes] = self._channel.unary_unary(
            call.path,
            request_serializer=type(call.message).SerializeToString,
        )
        effort = Effort(call.method, request_id, options.timeout or self._connection.timeout)
        while True:
            if self._closed:
                raise closed(effort.so_far())
            try:
                answer = await method(call.message, timeout=effort.begin(), metadata=metadata)
                break
            except asyncio.CancelledError:
                # Closing the client ends its calls in the same way as cancelling the task.
                if self._closed and not _is_cancelled(asyncio.current_task()):
                    raise closed(effort.so_far()) from None
                raise
            except grpc.RpcError as error:
                failure = read_error(error, effort.so_far())
                pause = effort.pause(failure)
                if pause is None:
                    raise failure from error
            await asyncio.sleep(pause)
        return call.read(answer, request_id)

    async def close(self) -> None:
        """Ends the connection; calls in flight end with `Reason.LOCAL_CANCELLED`."""
        self._closed = True
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self._connection.target!r})"
