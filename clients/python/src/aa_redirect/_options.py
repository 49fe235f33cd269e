"""The options of a client and of a call, and the channel that they describe. A wrong one is a `ValueError` at once."""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import grpc

from aa_redirect._types import DeviationReport

DEFAULT_TIMEOUT = 2.0
Token = str | Callable[[], str]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, kw_only=True)
class Tls:
    """How the two ends prove who they are, all in PEM. `Tls()` trusts the authorities that gRPC comes with."""

    ca: bytes | None = None
    """The authorities that may have signed the server's certificate; `None`: those that gRPC comes with."""
    certificate: bytes | None = None
    """This client's certificate and those between it and its authority, for mutual TLS."""
    key: bytes | None = field(default=None, repr=False)
    """The private key of `certificate`."""
    server_name: str = ""
    """The name that the server's certificate must have; empty: the host of the address."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("mutual TLS needs both a certificate and its key")

    @classmethod
    def from_files(
        cls,
        *,
        ca: str | Path | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        server_name: str = "",
    ) -> Tls:
        """Reads the PEM files. They are read once: make a new client for new ones."""

        def read(file: str | Path | None) -> bytes | None:
            return None if file is None else Path(file).read_bytes()

        return cls(ca=read(ca), certificate=read(certificate), key=read(key), server_name=server_name)


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """What one call does otherwise than the client, and what ties it to the request of the browser."""

    timeout: float | None = None
    """The time limit in seconds, for all tries together; `None`: the client's."""
    request_id: str = ""
    """`x-request-id`. One that has not the form `[A-Za-z0-9._-]{1,64}` is replaced by a new one."""
    traceparent: str = ""
    """The W3C trace context. One of another form is not sent."""

    def __post_init__(self) -> None:
        if self.timeout is not None:
            check_timeout(self.timeout)

    @classmethod
    def from_headers(cls, headers: Mapping[str, str], *, timeout: float | None = None) -> CallOptions:
        """Passes on `x-request-id` and `traceparent` of an HTTP request; the names of `headers` are lower-case."""
        return cls(
            timeout=timeout,
            request_id=headers.get("x-request-id", ""),
            traceparent=headers.get("traceparent", ""),
        )

    def checked_request_id(self) -> str:
        """The id of the call: the given one, or a new one."""
        return self.request_id if _REQUEST_ID.fullmatch(self.request_id) else str(uuid.uuid4())

    def checked_traceparent(self) -> str | None:
        """The trace context, if it has its form."""
        return self.traceparent if _TRACEPARENT.fullmatch(self.traceparent) else None


def check_timeout(timeout: float) -> float:
    """The time limit, if a call can have it."""
    if not 0 < timeout < 86_400:
        raise ValueError(f"the timeout is {timeout} s: give seconds, more than 0 and less than a day")
    return timeout


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Checked options of a client: what a channel is made of."""

    target: str
    channel_options: tuple[tuple[str, str | int], ...]
    credentials: grpc.ChannelCredentials | None = field(repr=False)
    token: Token | None = field(repr=False)
    timeout: float
    on_deviations: Callable[[DeviationReport], None] | None

    def metadata(self, request_id: str, traceparent: str | None) -> tuple[tuple[str, str | bytes], ...]:
        """What goes with each try of a call."""
        metadata = {"x-request-id": request_id}
        if traceparent:
            metadata["traceparent"] = traceparent
        if self.token is not None:
            token = self.token if isinstance(self.token, str) else self.token()
            metadata["authorization"] = f"Bearer {check_token(token)}"
        return tuple(metadata.items())


def connection(
    address: str | Sequence[str],
    *,
    tls: Tls | None,
    token: Token | None,
    allow_plaintext_token: bool,
    timeout: float,
    on_deviations: Callable[[DeviationReport], None] | None,
) -> Connection:
    """Checks the options of a client."""
    addresses = (address,) if isinstance(address, str) else tuple(address)
    target, hosts = _target(addresses)
    options: list[tuple[str, str | int]] = [
        ("grpc.primary_user_agent", f"aa-redirect-python/{version('aa-redirect')}"),
        # All addresses of a name, in turn.
        ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
        # The retries are this package's own: gRPC's would hide why the last one failed.
        ("grpc.enable_retries", 0),
        # gRPC waits up to two minutes before it tries a server again that was away.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        # A peer that vanished without a word is noticed while calls wait for it.
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
    ]
    if tls is not None:
        if len(addresses) > 1 and not tls.server_name:
            raise ValueError("several addresses with TLS need `server_name`: the name that all their certificates have")
        if tls.server_name:
            options += [
                ("grpc.ssl_target_name_override", tls.server_name),
                ("grpc.default_authority", tls.server_name),
            ]
    elif len(addresses) > 1:
        # gRPC would make an `:authority` of all addresses with their commas, which HTTP/2 servers refuse.
        options.append(("grpc.default_authority", "localhost" if hosts[0] is None else addresses[0]))
    if isinstance(token, str):
        check_token(token)
    if token is not None and tls is None and not allow_plaintext_token and not all(map(_is_loopback, hosts)):
        raise ValueError(
            "a token over plain text can be read on the way: give `tls`, or `allow_plaintext_token=True` "
            "where something else encrypts (a mesh)"
        )
    return Connection(
        target=target,
        channel_options=tuple(options),
        credentials=None if tls is None else grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate),
        token=token,
        timeout=check_timeout(timeout),
        on_deviations=on_deviations,
    )


def check_token(token: str) -> str:
    """The token, if a header can carry it; the error does not show it."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token is empty or has characters that a header cannot carry")
    return token


def _target(addresses: Sequence[str]) -> tuple[str, list[str | None]]:
    """The name of the addresses in gRPC, and the host of each; a Unix socket has none."""
    if not addresses:
        raise ValueError("no address: give `host:port` or `unix:path`, or several IP addresses with ports")
    sockets = [address.removeprefix("unix:") for address in addresses if address.startswith("unix:")]
    if sockets:
        if len(sockets) < len(addresses) or not all(sockets) or any("," in path for path in sockets):
            raise ValueError("Unix sockets (`unix:path`, no comma) do not mix with other addresses")
        return "unix:" + ",".join(sockets), [None] * len(sockets)
    hosts = [_host(address) for address in addresses]
    versions = {_ip_version(host) for host in hosts}
    if len(addresses) == 1 and versions == {None}:
        return f"dns:///{addresses[0]}", list(hosts)
    if None in versions:
        raise ValueError(
            "several addresses are IP addresses; give one DNS name instead, and all its addresses are used"
        )
    if len(versions) > 1:
        raise ValueError("several addresses are all IPv4 or all IPv6")
    return f"ipv{versions.pop()}:{','.join(addresses)}", list(hosts)


def _host(address: str) -> str:
    match = _HOST_PORT.fullmatch(address)
    if not match or not 0 < int(match["port"]) < 65_536:
        raise ValueError(f"{address!r} is no address: give `host:port`, `[IPv6]:port` or `unix:path`")
    return match["host"].strip("[]")


def _ip_version(host: str) -> int | None:
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None


def _is_loopback(host: str | None) -> bool:
    if host is None or host == "localhost":
        return True
    return _ip_version(host) is not None and ipaddress.ip_address(host).is_loopback
