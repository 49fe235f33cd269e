"""The options of a client and of a call, and the channel that they describe.

A wrong option raises a `ValueError` at once.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    """How server and client prove who they are, all in PEM. `Tls()` trusts the authorities that gRPC comes with."""

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
    """What one call does differently from its client, and what connects it with the request of the browser."""

    timeout: float | None = None
    """The time limit in seconds, for all tries together; `None`: the client's."""
    request_id: str = ""
    """`x-request-id`, of the form `[A-Za-z0-9._-]{1,64}`. One of another form is not sent."""
    traceparent: str = ""
    """The W3C trace context. One of another form is not sent."""
    attempt_id: str = ""
    """The name of a decode call, the same in each repetition; empty: a new one. Set it only to repeat a call."""

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
        """The id, or an empty text in place of one of another form."""
        return self.request_id if _REQUEST_ID.fullmatch(self.request_id) else ""

    def checked_traceparent(self) -> str:
        """The trace context, or an empty text in place of one of another form."""
        return self.traceparent if _TRACEPARENT.fullmatch(self.traceparent) else ""


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

    def metadata(self, request_id: str, traceparent: str) -> tuple[tuple[str, str | bytes], ...]:
        """The metadata of each try of a call."""
        token = self.token if self.token is None or isinstance(self.token, str) else self.token()
        headers = {
            "x-request-id": request_id,
            "traceparent": traceparent,
            "authorization": "" if token is None else f"Bearer {check_token(token)}",
        }
        return tuple((name, value) for name, value in headers.items() if value)


def connection(
    address: str | Sequence[str],
    *,
    tls: Tls | None,
    plaintext: bool,
    token: Token | None,
    token_over_plaintext: bool,
    timeout: float,
    on_deviations: Callable[[DeviationReport], None] | None,
) -> Connection:
    """Checks the options of a client."""
    addresses = (address,) if isinstance(address, str) else tuple(address)
    target, hosts = _target(addresses)
    local = all(map(_is_local, hosts))
    if tls is not None and plaintext:
        raise ValueError("tls and plaintext exclude each other")
    if tls is None and not plaintext and not local:
        tls = Tls()
    if isinstance(token, str):
        check_token(token)
    if token is not None and tls is None and not local and not token_over_plaintext:
        raise ValueError("the token would travel in plain text: use tls, or insist with token_over_plaintext")
    return Connection(
        target=target,
        channel_options=_CHANNEL_OPTIONS + tuple(_authority(addresses, hosts, tls)),
        credentials=None if tls is None else grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate),
        token=token,
        timeout=check_timeout(timeout),
        on_deviations=on_deviations,
    )


_CHANNEL_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.primary_user_agent", f"aa-redirect-python/{version('aa-redirect')}"),
    # All addresses, in turn.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    # A service config in DNS would change that.
    ("grpc.service_config_disable_resolution", 1),
    # `_retry` retries.
    ("grpc.enable_retries", 0),
    # A server that is back is found within a second.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # The client notices a connection that a firewall has dropped before a user waits for it.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients of one process do not share a connection, because the server limits the calls on each connection.
    ("grpc.use_local_subchannel_pool", 1),
)


def _authority(
    addresses: Sequence[str], hosts: Sequence[str | None], tls: Tls | None
) -> Iterator[tuple[str, str | int]]:
    """`:authority` and the name that the certificate must have, if the target does not give them."""
    if tls is not None and hosts[0] is None:
        raise ValueError("the service speaks no TLS on a Unix socket")
    if tls is not None and tls.server_name:
        yield "grpc.ssl_target_name_override", tls.server_name
        yield "grpc.default_authority", tls.server_name
    elif hosts[0] is None:
        # By default gRPC sends the path. It is not a valid authority, so HTTP/2 servers refuse it.
        yield "grpc.default_authority", "localhost"
    elif len(addresses) > 1:
        if tls is not None:
            raise ValueError("several addresses with TLS need `server_name`: the name that all their certificates have")
        # By default gRPC sends all addresses with commas, which is not a valid authority either.
        yield "grpc.default_authority", addresses[0]


def check_token(token: str) -> str:
    """The token, if a header can carry it; the error does not show it."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token is empty or has characters that a header cannot carry")
    return token


def _target(addresses: Sequence[str]) -> tuple[str, Sequence[str | None]]:
    """The name of the addresses in gRPC, and the host of each; a Unix socket has none."""
    if not addresses:
        raise ValueError("no address: give one or more of `host:port` and `unix:path`")
    sockets = [address.removeprefix("unix:") for address in addresses if address.startswith("unix:")]
    if sockets:
        if len(sockets) < len(addresses) or not all(sockets) or any("," in path for path in sockets):
            raise ValueError("Unix sockets (`unix:path`, no comma) do not go with other addresses")
        return "unix:" + ",".join(sockets), [None] * len(sockets)
    split = [_split(address) for address in addresses]
    hosts = [host for host, _ in split]
    if len(addresses) == 1:
        return f"dns:///{addresses[0]}", hosts
    # A list of gRPC has IP addresses of one version only. If both come, the IPv4 ones are written as IPv6 (RFC 4291,
    # 2.5.5.2).
    ips = [_ip("127.0.0.1" if host == "localhost" else host) for host in hosts]
    if None in ips:
        raise ValueError("several addresses must be IP addresses: for one DNS name, all its addresses are used in turn")
    if all(isinstance(ip, ipaddress.IPv4Address) for ip in ips):
        return "ipv4:" + ",".join(f"{ip}:{port}" for ip, (_, port) in zip(ips, split, strict=True)), hosts
    mapped = [f"::ffff:{ip}" if isinstance(ip, ipaddress.IPv4Address) else str(ip) for ip in ips]
    return "ipv6:" + ",".join(f"[{ip}]:{port}" for ip, (_, port) in zip(mapped, split, strict=True)), hosts


def _split(address: str) -> tuple[str, int]:
    match = _HOST_PORT.fullmatch(address)
    if not match or not 0 < int(match["port"]) < 65_536:
        raise ValueError(f"address {address!r} is neither host:port nor unix:path")
    return match["host"].strip("[]"), int(match["port"])


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_local(host: str | None) -> bool:
    """Whether the bytes stay on this machine; a Unix socket has no host."""
    ip = None if host is None else _ip(host)
    return host is None or host == "localhost" or (ip is not None and ip.is_loopback)
