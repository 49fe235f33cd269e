"""The server under test, its keyring, messages sealed by this folder's codec, and the refusals of calls.

The keyring has one pairing for each profile and for each difference from one. Each run makes new secrets, so that no
test passes only because it has the values of a sample.
"""

import json
import os
import queue
import random
import subprocess
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import grpc
import pytest
from aa.redirect.v1 import redirect_pb2 as pb
from aa.redirect.v1 import redirect_pb2_grpc
from aa_redirect import NOT_COMPARED, Callback, CallbackStatus, CallOptions, Client, RedirectError
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from messages import to_redirect
from redirect_codec import Scheme, mask, seal, write_date

HERE = Path(__file__).parent
BINARY = Path(os.environ.get("AA_REDIRECT_BIN", HERE / "../../../target/release/aa-redirect")).resolve()
SEED = os.environ.get("INTEROP_SEED") or str(random.SystemRandom().randrange(10**9))
WINDOW = timedelta(seconds=180)

# The alphabet of secrets of the `hkdf-iv` scheme.
SECRET_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_!#$%&*?@^~"


def seeded(name):
    """Each test has its own generator, so that a test alone gets the same values as in the whole run."""
    return random.Random(f"{SEED}/{name}")


def now():
    return datetime.now(UTC)


# --- keyring ----------------------------------------------------------------------------------------------------------


@dataclass
class Pairing:
    """One entry of the keyring; `settings` holds the differences from its profile."""

    fiu: str
    aa: str
    profile: str
    secrets: dict[str, str]  # by id; the first is the primary one, the others open only
    webview: str = "https://aa.example/webview"
    handles: list[str] = field(default_factory=list)
    settings: dict = field(default_factory=dict)

    @property
    def scheme(self):
        return Scheme.HKDF_IV if self.profile == "iv" else Scheme.PBKDF2

    @property
    def date_style(self):
        return self.settings.get("date", "tenths" if self.profile == "v1.5" else "millis")

    @property
    def lists(self):
        return self.settings.get("lists", "repeated")

    @property
    def primary_id(self):
        return next(iter(self.secrets))

    @property
    def primary(self):
        return self.secrets[self.primary_id]

    def seal(self, leg, plaintext, *, date=None, style=None, secret=None, requestor_type=None):
        """The URL parameters of a message, as they are before percent-encoding. `leg` is request or callback."""
        date = date or write_date(now(), style or self.date_style)
        sealed = seal(self.scheme, secret or self.primary, date, plaintext)
        who, date_name, payload = (self.fiu, "reqdate", "ecreq") if leg == "request" else (self.aa, "resdate", "ecres")
        params = {"fi": mask(who, date), date_name: date, payload: sealed.ciphertext}
        if sealed.iv is not None:
            params["iv"] = sealed.iv
        if requestor_type is not None:
            params["requestorType"] = mask(requestor_type, date)
        return params


    def seal_url(self, plaintext, date, sent=None):
        """The query of a request with this date; `sent` is what the sender makes of the date on its way."""
        params = self.seal("request", plaintext, date=date)
        return to_query(params | {"reqdate": sent or date})


def to_query(params, escape=lambda value: quote(value, safe="")):
    """A query string; `escape` is what a sender does to its values."""
    return "&".join(f"{name}={escape(value)}" for name, value in params.items())


def secret_of_specification(rng):
    return "".join(rng.choices(SECRET_ALPHABET, k=32))


def passphrase(rng):
    # PBKDF2 takes any bytes: here a short secret, and one with characters beyond ASCII.
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=14)) + rng.choice(["", "-पासवर्ड-é-🔑"])


def make_pairings():
    """By short name."""
    rng = seeded("keyring")
    fiu_hosts = {"redirect_hosts": ["fiu.example", "*.fiu.example"]}
    pairings = {
        "iv": Pairing("fiu@interop", "iv-aa", "iv", {}, handles=["iv"], settings=fiu_hosts),
        # The same AA as above, so that its callbacks fit two FIUs.
        "iv-lsp": Pairing("lsp@interop", "iv-aa", "iv", {}, handles=["iv"]),
        "iv-json-full": Pairing(
            "a-long-name-of-a-lending-fiu@interop.example", "json-aa", "iv", {},
            webview="https://aa.example/webview?lang=en&theme=a+b", settings={"lists": "json", "date": "full"},
        ),
        "iv-tenths": Pairing(
            "एफआईयू@interop", "tenths-aa", "iv", {},
            webview="", settings={"date": "tenths", "read_date": "tenths", "padding": False, "max_age_seconds": 600},
        ),
        # The only pairing of either party. In this century both ids give an `fi` with `+`, because the N at index 5
        # meets the year's second digit. Both lengths give an `fi` with padding.
        "iv-alone": Pairing("FINBANK-FIU", "AADHAN-AA1", "iv", {}, settings={"lists": "braces"}),
        # For dates of many years.
        "iv-wide": Pairing("fiu@wide", "wide-aa", "iv", {}, settings={"max_age_seconds": 1_000_000_000}),
        "v1.0": Pairing("fiu@interop", "v10-aa", "v1.0", {}, handles=["v10", "v10-uat"]),
        "v1.1": Pairing("fiu@interop", "v11-aa", "v1.1", {}, settings={"lists": "comma"}),
        "v1.2": Pairing("fiu@interop", "v12-aa", "v1.2", {}, settings={"lists": "braces"}),
        "v1.3": Pairing("fiu@interop", "v13-aa", "v1.3", {}, webview="https://v13.example:8443/"),
        "v1.4": Pairing("fiu@interop", "v14-aa", "v1.4", {}, settings={"date": "full"}),
        "v1.5": Pairing("fiu@interop", "v15-aa", "v1.5", {}, handles=["v15"], settings=fiu_hosts),
    }  # fmt: skip
    for pairing in pairings.values():
        draw = secret_of_specification if pairing.scheme is Scheme.HKDF_IV else passphrase
        pairing.secrets = {"2026-11": draw(rng)}
    pairings["iv"].secrets["2026-05"] = secret_of_specification(rng)
    pairings["v1.5"].secrets["2026-05"] = passphrase(rng)
    return pairings


def write_keyring(folder, pairings):
    """The keyring file and its secret files; returns its path."""

    # A JSON string, number, boolean or list of strings is the same in TOML, as long as no character is escaped as a
    # surrogate pair.
    def toml(value):
        return json.dumps(value, ensure_ascii=False)

    lines = []
    for name, pairing in pairings.items():
        entries = []
        for secret_id, secret in pairing.secrets.items():
            file = f"{name}-{secret_id}"
            (folder / file).write_text(secret + "\n", encoding="utf-8")
            use = "" if secret_id == pairing.primary_id else ', use = "decode"'
            entries.append(f"{{ id = {toml(secret_id)}, file = {toml(file)}{use} }}")
        settings = {"fiu": pairing.fiu, "aa": pairing.aa, "profile": pairing.profile, **pairing.settings}
        if pairing.webview:
            settings["webview"] = pairing.webview
        if pairing.handles:
            settings["handles"] = pairing.handles
        lines += ["[[pairing]]", *(f"{key} = {toml(value)}" for key, value in settings.items())]
        lines += [f"secrets = [{', '.join(entries)}]", ""]
    keyring = folder / "keyring.toml"
    keyring.write_text("\n".join(lines), encoding="utf-8")
    return keyring


# --- server -----------------------------------------------------------------------------------------------------------


class Server:
    """The binary under test on a free port; a context manager that kills it."""

    def __init__(self, *arguments):
        # Variables of the caller's shell must not configure the server under test.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AA_REDIRECT_")}
        command = [BINARY, "--listen", "127.0.0.1:0", "--log", "json", *map(str, arguments)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self._clients = []
        log = []
        for line in self._process.stderr:
            log.append(line)
            entry = json.loads(line)
            if entry["message"] == "serving":
                self.address = entry["listen"]
                break
        else:
            raise RuntimeError(f"the server did not start:\n{''.join(log)}")
        # The tests do not read the log after this, but a full pipe would stop the server.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def stub(self):
        """gRPC's own stub, for a flood: on a connection of its own, where no call is tried again."""
        channel = grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._clients.append(channel)
        return redirect_pb2_grpc.RedirectServiceStub(channel)

    def client(self, timeout=10):
        """A client with a connection of its own, closed with the server."""
        client = Client(self.address, timeout=timeout)
        self._clients.append(client)
        return client

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self._clients:
            client.close()
        self._process.kill()
        self._process.wait()


def dated(request, number):
    """The request with its own date, because calls with the same date share a derivation; a minute has 1,000 dates."""
    minute = now().replace(second=0, microsecond=0) + timedelta(minutes=number // 1000 - 1)
    copy = pb.EncodeRedirectRequest()
    copy.CopyFrom(request)
    copy.issue_time.FromDatetime(minute + timedelta(milliseconds=number % 1000))
    return copy


def flood(server, request, calls=2_000):
    """Makes PBKDF2 calls until the server refuses one. Returns all of them, to be cancelled, and the refused one.

    Uses several connections, because one allows too few streams to fill the queue of derivations.
    """
    stubs = [server.stub() for _ in range(16)]
    for stub in stubs:  # connected before the first call of the flood
        stub.ListPairings(pb.ListPairingsRequest(), timeout=10)
    ended = queue.SimpleQueue()
    in_flight = [stubs[i % len(stubs)].EncodeRedirect.future(dated(request, i), timeout=60) for i in range(calls)]
    for call in in_flight:
        call.add_done_callback(ended.put)
    while (call := ended.get(timeout=60)).code() is grpc.StatusCode.OK:
        pass
    return in_flight, call


def end_flood(server, request, calls, patience=10):
    """Cancels the calls and returns the response of the first one that the server takes again.

    The cancellations are only messages on each connection, so the next call may still find the queue full.
    """
    for call in calls:
        call.cancel()
    stub, give_up = server.stub(), time.monotonic() + patience
    while True:
        try:
            return stub.EncodeRedirect(request, timeout=patience)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED or time.monotonic() > give_up:
                raise
        time.sleep(0.02)


# --- one request and one callback, and how calls about them are refused -----------------------------------------------

DOMAIN = "aa.redirect.v1"
HANDLE = "0b054f6a-a0b3-4424-a668-2b53090bad6f"
TXNID = "2d04747e-21c6-4c23-955b-d46c2f820140"
REQUEST = {
    "txnid": TXNID,
    "sessionid": "S-1",
    "userid": "9999988888@aa",
    "redirect": "https://fiu.example/cb",
    "srcref": [HANDLE],
}
CALLBACK = {"txnid": TXNID, "sessionid": "S-1", "userid": "9999988888@aa", "status": "F", "errorcode": "1"}

both_legs = pytest.mark.parametrize("leg", ["request", "callback"])
DATE = {"request": "reqdate", "callback": "resdate"}
PAYLOAD = {"request": "ecreq", "callback": "ecres"}


# The same in each call, so that the bytes of two refusals can be compared.
SAME_ID = CallOptions(request_id="interop")


def decode(client, leg, source, pairing=None):
    """Decodes a source, with the id of the pairing's own side if one is given."""
    if leg == "request":
        return client.decode_redirect(source, aa_id=pairing.aa if pairing else "", options=SAME_ID)
    fiu_id = pairing.fiu if pairing else ""
    return client.decode_callback(source, fiu_id=fiu_id, expected=NOT_COMPARED, options=SAME_ID)


def encode_redirect(client, pairing, issue_time=None, **changed):
    return client.encode_redirect(
        fiu_id=pairing.fiu, aa_id=pairing.aa, redirect=to_redirect(REQUEST | changed), issue_time=issue_time
    )


ACCEPTED = Callback(txnid=TXNID, userid=REQUEST["userid"], status=CallbackStatus.SUCCESS, srcref=[HANDLE])


def encode_callback(client, pairing, **changed):
    right = {"fiu_id": pairing.fiu, "aa_id": pairing.aa, "callback": ACCEPTED, "redirect_url": REQUEST["redirect"]}
    return client.encode_callback(**right | changed)


class Refusal(NamedTuple):
    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]
    violations: list[str]
    retry_seconds: float | None
    raw: tuple[grpc.StatusCode, str, bytes]


def read_refusal(error):
    """The refusal in an RpcError; that there is exactly one ErrorInfo of the right domain is asserted on the way."""
    status = rpc_status.from_call(error)  # checks that code and message agree with the call's
    assert status is not None, f"{error.code()}: no details"
    assert status.ByteSize() < 4096
    infos, violations, retry = [], [], None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            infos.append(error_details_pb2.ErrorInfo())
            detail.Unpack(infos[-1])
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            assert all(violation.description for violation in bad.field_violations)
            violations += [violation.field for violation in bad.field_violations]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            info = error_details_pb2.RetryInfo()
            detail.Unpack(info)
            retry = info.retry_delay.ToTimedelta().total_seconds()
    assert len(infos) == 1
    assert infos[0].domain == DOMAIN
    assert f"ERROR_REASON_{infos[0].reason}" in pb.ErrorReason.keys()
    details = next(value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin")
    raw = (error.code(), error.details(), details)
    return Refusal(error.code(), infos[0].reason, dict(infos[0].metadata), violations, retry, raw)


def refusal_of(call, *args, **how):
    """The refusal, read here from what the network brought, and what the package makes of it is the same."""
    with pytest.raises(RedirectError) as raised:
        call(*args, **how)
    refusal = read_refusal(raised.value.__cause__)
    error = raised.value
    assert (error.code, error.reason.value, error.metadata) == refusal[:3]
    assert [violation.field for violation in error.violations] == refusal.violations
    return refusal


def check(refusal, code, reason, **metadata):
    assert (refusal.code, refusal.reason) == (code, reason)
    assert metadata.items() <= refusal.metadata.items()
