"""Every option of a client and of a call: addresses, TLS, tokens, time limits, headers."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from certificates import Authority
from conftest import Make
from support import FIU, REDIRECT, Script, Server, wait_for

from aa_redirect import CallOptions, Client, Reason, RedirectError, Tls, _options
from aa_redirect._proto import redirect_pb2 as pb

ANSWER = pb.EncodeRedirectResponse(url="https://aa.example/")


def encode(client: Client, options: CallOptions = CallOptions()) -> object:  # noqa: B008 (it does not change)
    return client.encode_redirect(fiu_id=FIU, redirect=REDIRECT, options=options)


def unreachable(client: Client) -> str:
    with pytest.raises(RedirectError) as raised:
        encode(client)
    assert raised.value.reason is Reason.LOCAL_UNREACHABLE
    return raised.value.message


def call_until_all_answered(client: Client, *servers: Server) -> None:
    wait_for(lambda: encode(client) and all(server.calls for server in servers))


# --- addresses --------------------------------------------------------------------------------------------------------


def test_a_unix_socket_is_an_address(make: Make, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    with Server(listen=address):
        encode(make(address))


def test_several_unix_sockets_are_used_in_turn(make: Make, tmp_path: Path) -> None:
    addresses = [f"unix:{tmp_path}/{name}" for name in "ab"]
    with Server(listen=addresses[0]) as first, Server(listen=addresses[1]) as second:
        client = make(addresses)
        call_until_all_answered(client, first, second)


def test_a_name_is_an_address(make: Make, server: Server) -> None:
    encode(make(server.address.replace("127.0.0.1", "localhost")))


def test_several_addresses_are_used_in_turn(make: Make) -> None:
    with Server() as first, Server() as second:
        client = make([first.address, second.address])
        call_until_all_answered(client, first, second)


def test_addresses_of_both_versions_of_ip_go_together(make: Make) -> None:
    with Server() as first, Server(listen="[::1]:0") as second:
        client = make([first.address, second.address])
        call_until_all_answered(client, first, second)


def test_an_address_that_nobody_serves_fails_no_call_as_long_as_another_does(make: Make, server: Server) -> None:
    client = make(["127.0.0.1:1", server.address])
    for _ in range(10):
        encode(client)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ([], "no address"),
        ("", "neither host:port"),
        ("fiu.example", "neither host:port"),
        ("https://fiu.example:1", "neither host:port"),
        ("fiu.example:0", "neither host:port"),
        ("fiu.example:70000", "neither host:port"),
        (["a.example:1", "b.example:1"], "must be IP addresses"),
        (["unix:/a", "127.0.0.1:1"], "do not go with"),
        ("unix:", "do not go with"),
        ("unix:/a,b", "no comma"),
    ],
)
def test_a_malformed_address_is_refused_at_once(address: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Client(address)


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "ours")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "theirs")


def tls_server(authority: Authority, name: str = "127.0.0.1", *settings: object) -> Server:
    certificate, key = authority.issue(name)
    return Server("--tls-cert", certificate, "--tls-key", key, "--sandbox", *settings)


def test_a_server_with_the_right_certificate_is_called_over_tls(make: Make, authority: Authority) -> None:
    with tls_server(authority) as server:
        encode(make(server.address, tls=Tls.from_files(ca=authority.file)))


def test_the_name_of_the_certificate_can_be_given(make: Make, authority: Authority) -> None:
    with tls_server(authority, "redirect.internal") as first, tls_server(authority, "redirect.internal") as second:
        addresses = [first.address, second.address]
        client = make(addresses, tls=Tls.from_files(ca=authority.file, server_name="redirect.internal"))
        call_until_all_answered(client, first, second)
        unreachable(make(first.address, tls=Tls.from_files(ca=authority.file)))
        with pytest.raises(ValueError, match="server_name"):
            Client(addresses, tls=Tls.from_files(ca=authority.file))


def test_a_certificate_of_another_authority_is_refused(make: Make, authority: Authority, other: Authority) -> None:
    with tls_server(other) as server:
        assert "CERTIFICATE_VERIFY_FAILED" in unreachable(make(server.address, tls=Tls.from_files(ca=authority.file)))
        unreachable(make(server.address, tls=Tls()))


def test_a_certificate_of_another_name_is_refused(make: Make, authority: Authority) -> None:
    with tls_server(authority, "127.0.0.2") as server:
        unreachable(make(server.address, tls=Tls.from_files(ca=authority.file)))


def test_plain_text_and_tls_do_not_meet(make: Make, server: Server, authority: Authority) -> None:
    unreachable(make(server.address, tls=Tls.from_files(ca=authority.file)))
    with tls_server(authority) as over_tls:
        unreachable(make(over_tls.address))


def test_mutual_tls_shows_the_certificate(make: Make, authority: Authority, other: Authority) -> None:
    with tls_server(authority, "127.0.0.1", "--tls-client-ca", other.file) as server:
        certificate, key = other.issue("backend")
        encode(make(server.address, tls=Tls.from_files(ca=authority.file, certificate=certificate, key=key)))
        unreachable(make(server.address, tls=Tls.from_files(ca=authority.file)))
        certificate, key = authority.issue("backend")
        unreachable(make(server.address, tls=Tls.from_files(ca=authority.file, certificate=certificate, key=key)))


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ValueError, match="both a certificate and its key"):
        Tls(certificate=b"x")


def test_other_addresses_are_called_over_tls_unless_plain_text_is_wanted() -> None:
    made = {}
    for address, plaintext in [("127.0.0.1:1", False), ("unix:/a", False), ("10.0.0.1:1", False), ("10.0.0.1:1", True)]:
        connection = _options.connection(
            address,
            tls=None,
            plaintext=plaintext,
            token=None,
            token_over_plaintext=False,
            timeout=1,
            on_deviations=None,
        )
        made[address, plaintext] = connection.credentials is not None
    assert list(made.values()) == [False, False, True, False]
    with pytest.raises(ValueError, match="exclude each other"):
        Client("10.0.0.1:1", tls=Tls(), plaintext=True)
    with pytest.raises(ValueError, match="no TLS on a Unix socket"):
        Client("unix:/a", tls=Tls())


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_is_sent_in_plain_text_to_this_machine(make: Make) -> None:
    with Script(ANSWER) as script:
        encode(make(script.address, token="secret-token"))
    assert script.metadata[0]["authorization"] == "Bearer secret-token"


def test_a_token_is_sent_over_tls(make: Make, authority: Authority, tmp_path: Path) -> None:
    callers = tmp_path / "callers.toml"
    callers.write_text(f'[[caller]]\nname = "b"\ntoken_sha256 = "{sha256(b"secret-token").hexdigest()}"\n')
    with tls_server(authority, "127.0.0.1", "--callers", callers) as server:
        encode(make(server.address, tls=Tls.from_files(ca=authority.file), token="secret-token"))


def test_a_token_does_not_leave_this_machine_in_plain_text_unless_insisted_on() -> None:
    with pytest.raises(ValueError, match="token_over_plaintext"):
        Client("10.0.0.1:1", plaintext=True, token="secret-token")
    with pytest.raises(ValueError, match="token_over_plaintext"):
        Client(["127.0.0.1:1", "10.0.0.1:1"], plaintext=True, token="secret-token")
    for address in ("10.0.0.1:1", "[2001:db8::1]:1"):
        Client(address, plaintext=True, token="secret-token", token_over_plaintext=True).close()
    for address in ("[::1]:1", "localhost:1", "127.9.9.9:1", "unix:/a"):
        Client(address, token="secret-token").close()


@pytest.mark.parametrize("token", ["", "two words", "line\n", "é"])
def test_a_token_that_no_header_can_carry_is_refused(make: Make, server: Server, token: str) -> None:
    with pytest.raises(ValueError, match="the token is empty or") as raised:
        Client(server.address, token=token)
    assert not token or token not in str(raised.value)
    with pytest.raises(ValueError, match="the token is empty or"):
        encode(make(server.address, token=lambda: token))


# --- time limits and headers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 90_000])
def test_a_time_limit_that_no_call_can_have_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match="the timeout is"):
        Client("127.0.0.1:1", timeout=timeout)
    with pytest.raises(ValueError, match="the timeout is"):
        CallOptions(timeout=timeout)


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_the_ids_of_the_browsers_request_are_passed_on(make: Make) -> None:
    with Script(ANSWER) as script:
        client = make(script.address)
        encode(client, CallOptions.from_headers({"x-request-id": "abc-1", "traceparent": TRACE, "cookie": "c"}))
        encode(client, CallOptions(request_id="bad\nid", traceparent="bad"))
        encode(client)
    first, second, third = script.metadata
    assert (first["x-request-id"], first["traceparent"], first.get("cookie")) == ("abc-1", TRACE, None)
    for sent in (second, third):
        assert not {"x-request-id", "traceparent", "authorization"} & sent.keys()


def test_the_service_logs_the_call_under_the_id_that_was_passed_on(client: Client, server: Server) -> None:
    request_id = str(uuid.uuid4())
    encode(client, CallOptions(request_id=request_id, traceparent=TRACE))
    entry = server.logged(request_id=request_id)
    assert (entry["method"], entry["trace_id"]) == ("EncodeRedirect", TRACE[3:35])
    with pytest.raises(RedirectError) as raised:
        client.decode_redirect("fi=x", aa_id="", options=CallOptions(request_id="mine"))
    assert raised.value.request_id == "mine"


def test_the_service_sees_which_client_calls(make: Make) -> None:
    with Script(ANSWER) as script:
        encode(make(script.address))
    assert str(script.metadata[0]["user-agent"]).startswith("aa-redirect-python/0.1.0 ")


class Counting(grpc.UnaryUnaryClientInterceptor):
    def __init__(self) -> None:
        self.methods: list[str] = []

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        self.methods.append(client_call_details.method)
        return continuation(client_call_details, request)


class AsyncCounting(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self) -> None:
        self.methods: list[str] = []

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        self.methods.append(client_call_details.method.decode())
        return await continuation(client_call_details, request)


def test_interceptors_see_every_call(make: Make, server: Server, request: pytest.FixtureRequest) -> None:
    interceptor = AsyncCounting() if "async" in request.node.name else Counting()
    encode(make(server.address, interceptors=[interceptor]))
    assert interceptor.methods == ["/aa.redirect.v1.RedirectService/EncodeRedirect"]


# --- what is printed --------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def test_nothing_that_is_printed_or_logged_shows_a_user_a_url_or_a_secret(
    make: Make,
    server: Server,
    authority: Authority,
    logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    _, key = authority.issue("k")
    client = make(server.address, token="secret-token")
    sealed = client.encode_redirect(fiu_id=FIU, redirect=REDIRECT)
    opened = client.decode_redirect(sealed.location.replace("%3D", ""), aa_id="alpha-aa")
    answer = client.answer_redirect(opened)
    back = client.decode_callback(answer.location, fiu_id=FIU, expected=sealed.expected)
    tls = Tls(ca=b"x", certificate=b"y", key=key.read_bytes())
    results = [REDIRECT, sealed, sealed.params, sealed.expected, opened, opened.redirect]
    results += [answer, answer.params, back, back.callback, client, tls]
    printed = "".join(f"{thing} {thing!r} {thing:} {[thing]}" for thing in results)
    printed += logged.text + "".join(capfd.readouterr())
    assert "OpenedCallback(fiu_id='fiu@sandbox', aa_id='alpha-aa'" in printed
    hidden = [REDIRECT.userid, REDIRECT.sessionid, "lead=42", *REDIRECT.srcref, sealed.txnid, sealed.params.ecreq[:20]]
    hidden += [sealed.params.fi, answer.params.ecres[:20], "secret-token", "PRIVATE KEY", "webview?"]
    assert [text for text in hidden if text in printed] == []
