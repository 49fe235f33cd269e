"""Tests Envoy as front proxy and as sidecar (`deploy/envoy/front.yaml`, `sidecar.yaml`) in the situations that a
platform team meets."""
from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from support.calls import RedirectServiceStub, channel, credentials, load, messages, redirect_request
from support.certificates import Authority
from support.envoy import Envoy
from support.processes import ROOT, Service, free_port

BACKEND = "spiffe://mesh/ns/lending/sa/backend"
STRANGER = "spiffe://mesh/ns/other/sa/stranger"
CALLERS = f"""
[[caller]]
name = "lending-backend"
san = "{BACKEND}"
methods = ["EncodeRedirect", "DecodeRedirect"]
"""


class Replica:
    """One replica at fixed addresses, so that it can be started again."""

    def __init__(self, folder: Path, *more: object) -> None:
        callers = folder / "callers.toml"
        callers.write_text(CALLERS)
        self.address = f"127.0.0.1:{free_port()}"
        self._arguments = [
            "--listen", "127.0.0.1:0", "--trusted-listen", self.address, "--keyring", ROOT / "sandbox/keyring.toml",
            "--callers", callers, "--drain-delay", "4", *more,
        ]
        self.start()

    def start(self) -> None:
        self.service = Service(*self._arguments)


@dataclass
class Front:
    replicas: list[Replica]
    envoy: Envoy
    ca: Authority
    target: str

    def credentials(self, name: str, identity: str) -> grpc.ChannelCredentials:
        return credentials(self.ca.file, *self.ca.issue(name, identity))


def tls_files(ca: Authority) -> dict[str, Path]:
    certificate, key = ca.issue("envoy", "localhost")
    return {
        "/etc/envoy/tls/tls.crt": certificate, "/etc/envoy/tls/tls.key": key, "/etc/envoy/tls/client-ca.crt": ca.file,
    }


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    ca = Authority(tmp_path)
    replicas = [Replica(tmp_path), Replica(tmp_path)]
    try:
        with Envoy("front", tmp_path, [replica.address for replica in replicas], tls_files(ca)) as envoy:
            envoy.wait_healthy(2)
            yield Front(replicas, envoy, ca, f"localhost:{envoy.port}")
    finally:
        for replica in replicas:
            replica.service.__exit__()


async def encode(stub) -> None:
    await stub.EncodeRedirect(redirect_request(), timeout=10)


def test_a_rolling_restart_of_two_replicas_at_400_calls_a_second_fails_no_call(front: Front) -> None:
    def roll() -> None:
        for replica in front.replicas:
            assert replica.service.stop(signal.SIGTERM) == 0, replica.service.output()
            replica.start()
            front.envoy.wait_healthy(2)

    backend = front.credentials("backend", BACKEND)
    result = asyncio.run(load(front.target, backend, 400, 12, encode, during=roll))
    assert result.failed == {}
    print(f"roll: {result.calls} calls in {result.seconds:.0f} s, none failed")


def test_a_killed_replica_fails_no_call_that_may_be_repeated(front: Front) -> None:
    backend = front.credentials("backend", BACKEND)
    kill = front.replicas[0].service.process.kill
    result = asyncio.run(load(front.target, backend, 400, 5, encode, during=kill))
    assert front.replicas[0].service.process.poll() == -signal.SIGKILL
    assert result.failed == {}
    print(f"kill -9 while encoding: {result.calls} calls, none failed")


def test_a_killed_replica_fails_at_most_the_decodes_that_it_had_in_flight(front: Front) -> None:
    backend = front.credentials("backend", BACKEND)
    with channel(front.target, backend) as opened:
        url = RedirectServiceStub(opened).EncodeRedirect(redirect_request()).url

    async def decode(stub) -> None:
        await stub.DecodeRedirect(messages.DecodeRedirectRequest(aa_id="alpha-aa", url=url), timeout=10)

    result = asyncio.run(load(front.target, backend, 400, 5, decode, during=front.replicas[0].service.process.kill))
    assert all(outcome.startswith("UNAVAILABLE") for outcome in result.failed), result.failed
    # A call takes milliseconds, so there are never more calls in flight than start in a tenth of a second.
    assert sum(result.failed.values()) <= 40, result.failed
    print(f"kill -9 while decoding: {result.calls} calls, {sum(result.failed.values())} failed")


def test_an_identity_that_a_caller_writes_itself_counts_for_nothing(front: Front) -> None:
    spoof = [("x-forwarded-client-cert", f"URI={BACKEND}")]
    stranger = front.credentials("stranger", STRANGER)
    with channel(front.target, stranger) as opened, pytest.raises(grpc.RpcError) as refused:
        RedirectServiceStub(opened).EncodeRedirect(redirect_request(), metadata=spoof, timeout=10)
    assert reason(refused.value) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNKNOWN")
    # The same header from the backend itself has no effect.
    with channel(front.target, front.credentials("backend", BACKEND)) as opened:
        assert RedirectServiceStub(opened).EncodeRedirect(redirect_request(), metadata=spoof, timeout=10).url


def test_a_caller_is_held_to_its_methods(front: Front) -> None:
    backend = front.credentials("backend", BACKEND)
    with channel(front.target, backend) as opened, pytest.raises(grpc.RpcError) as refused:
        RedirectServiceStub(opened).ListPairings(messages.ListPairingsRequest(), timeout=10)
    assert reason(refused.value) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_FORBIDDEN")


def test_without_a_certificate_of_the_ca_nobody_connects(front: Front, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = credentials(front.ca.file, *Authority(elsewhere, "other").issue("backend", BACKEND))
    bare = grpc.ssl_channel_credentials(front.ca.file.read_bytes())
    for secure in (other, bare):
        with channel(front.target, secure) as opened, pytest.raises(grpc.RpcError) as refused:
            RedirectServiceStub(opened).EncodeRedirect(redirect_request(), timeout=10)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


def test_an_overload_reaches_callers_and_envoy_never_retries_it(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    replica = Replica(tmp_path, "--kdf-threads", "1")
    sheds: list[error_details_pb2.RetryInfo | None] = []
    begin, numbers = datetime.now(UTC).replace(microsecond=0), itertools.count()

    async def flood(stub) -> None:
        # Each has its own date, so that no two share a key: such a date has a minute and a millisecond, and no second.
        # The queue of derivations has 1,024 places.
        request = redirect_request("beta")
        minute, millisecond = divmod(next(numbers), 1000)
        request.issue_time.FromDatetime(begin + timedelta(minutes=minute - 2, milliseconds=millisecond))
        try:
            await stub.EncodeRedirect(request, timeout=50)
        except grpc.aio.AioRpcError as error:
            code, why, retry = refusal(error)
            assert (code, why) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"), error
            sheds.append(retry)

    async def both(target: str, secure: grpc.ChannelCredentials):
        # Envoy allows 200 calls at a time on one connection.
        floods = [load(target, secure, 150, 4, flood) for _ in range(8)]
        return await asyncio.gather(load(target, secure, 20, 4, encode), *floods)

    with replica.service, Envoy("front", tmp_path, [replica.address], tls_files(ca)) as envoy:
        envoy.wait_healthy(1)
        secure = credentials(ca.file, *ca.issue("backend", BACKEND))
        cheap, *floods = asyncio.run(both(f"localhost:{envoy.port}", secure))
        retries = envoy.stat("cluster.aa-redirect.upstream_rq_retry")
    assert all(flood.failed == {} for flood in floods), floods
    assert sheds, "nothing was shed: the flood was too small"
    assert all(retry and retry.retry_delay.ToMilliseconds() > 0 for retry in sheds)
    assert retries == 0
    assert cheap.failed == {}, "calls without PBKDF2 go on beside it"
    print(f"overload: {sum(flood.calls for flood in floods)} calls, {len(sheds)} shed with RetryInfo, {cheap.calls} cheap ones served")


def test_the_sidecar_hands_the_callers_identity_over_a_unix_socket(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    callers = tmp_path / "callers.toml"
    callers.write_text(CALLERS)
    socket = tmp_path / "proxy.sock"
    service = Service(
        "--listen", "127.0.0.1:0", "--trusted-listen", f"unix:{socket}", "--keyring", ROOT / "sandbox/keyring.toml",
        "--callers", callers,
    )
    with service, Envoy("sidecar", tmp_path, [f"unix:{socket}"], tls_files(ca)) as envoy:
        target = f"localhost:{envoy.port}"
        with channel(target, credentials(ca.file, *ca.issue("backend", BACKEND))) as opened:
            assert RedirectServiceStub(opened).EncodeRedirect(redirect_request(), timeout=10).url
        spoof = [("x-forwarded-client-cert", f"URI={BACKEND}")]
        with channel(target, credentials(ca.file, *ca.issue("stranger", STRANGER))) as opened:
            with pytest.raises(grpc.RpcError) as refused:
                RedirectServiceStub(opened).EncodeRedirect(redirect_request(), metadata=spoof, timeout=10)
        assert reason(refused.value) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNKNOWN")
        # The service also ignores the header if a caller bypasses Envoy.
        with channel(service.listen[0]) as opened, pytest.raises(grpc.RpcError) as refused:
            RedirectServiceStub(opened).EncodeRedirect(redirect_request(), metadata=spoof, timeout=10)
        assert reason(refused.value) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNKNOWN")


def reason(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    return refusal(error)[:2]


def refusal(error) -> tuple[grpc.StatusCode, str, error_details_pb2.RetryInfo | None]:
    """Code, reason and RetryInfo of a refused call."""
    trailers = {key: value for key, value in error.trailing_metadata() or ()}
    status = rpc_status.status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    found = None
    for detail in status.details:
        detail.Unpack(info)
        if detail.Unpack(retry):
            found = retry
    return error.code(), info.reason, found
