"""The server under test, its keyring, and messages sealed by this folder's codec.

The keyring has one pairing for each profile and for each departure from one, with secrets drawn anew for each run, so
that nothing is right by being the same as in a sample.
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
from urllib.parse import quote

import grpc
from aa.redirect.v1 import redirect_pb2 as pb
from aa.redirect.v1 import redirect_pb2_grpc
from aa_redirect import Client

from redirect_codec import Scheme, mask, seal, write_date

HERE = Path(__file__).parent
BINARY = Path(os.environ.get("AA_REDIRECT_BIN", HERE / "../../../target/release/aa-redirect")).resolve()
SEED = os.environ.get("INTEROP_SEED") or str(random.SystemRandom().randrange(10**9))
WINDOW = timedelta(seconds=180)

# The alphabet of secrets of the `hkdf-iv` scheme.
SECRET_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_!#$%&*?@^~"


def seeded(name):
    """A generator of its own for each test, so that running one alone repeats what it does among the others."""
    return random.Random(f"{SEED}/{name}")


def now():
    return datetime.now(UTC)


# --- keyring ----------------------------------------------------------------------------------------------------------


@dataclass
class Pairing:
    """One entry of the keyring; `settings` holds the departures from its profile."""

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
    """A query string; `escape` stands for what a sender does to its values."""
    return "&".join(f"{name}={escape(value)}" for name, value in params.items())


def secret_of_specification(rng):
    return "".join(rng.choices(SECRET_ALPHABET, k=32))


def passphrase(rng):
    # Nothing but bytes to PBKDF2: a short one, and one whose UTF-8 is not its characters.
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=14)) + rng.choice(["", "-पासवर्ड-é-🔑"])


def make_pairings():
    """By short name."""
    rng = seeded("keyring")
    fiu_hosts = {"redirect_hosts": ["fiu.example", "*.fiu.example"]}
    pairings = {
        "iv": Pairing("fiu@interop", "iv-aa", "iv", {}, handles=["iv"], settings=fiu_hosts),
        # The same AA as above: what it sends fits two FIUs.
        "iv-lsp": Pairing("lsp@interop", "iv-aa", "iv", {}, handles=["iv"]),
        "iv-json-full": Pairing(
            "a-long-name-of-a-lending-fiu@interop.example", "json-aa", "iv", {},
            webview="https://aa.example/webview?lang=en&theme=a+b", settings={"lists": "json", "date": "full"},
        ),
        "iv-tenths": Pairing(
            "एफआईयू@interop", "tenths-aa", "iv", {},
            webview="", settings={"date": "tenths", "read_date": "tenths", "padding": False, "max_age_seconds": 600},
        ),
        # The only pairing of either party. Either id gives an `fi` with `+` in this century: N at index 5 meets the
        # year's second digit. Either length leaves an `fi` with padding.
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
        # Nobody reads the log from here on, and a full pipe would stop the server.
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
    """The request with a date of its own: calls that share one share a derivation, and a minute has 1,000 of them."""
    minute = now().replace(second=0, microsecond=0) + timedelta(minutes=number // 1000 - 1)
    copy = pb.EncodeRedirectRequest()
    copy.CopyFrom(request)
    copy.issue_time.FromDatetime(minute + timedelta(milliseconds=number % 1000))
    return copy


def flood(server, request, calls=2_000):
    """PBKDF2 calls in flight until the server sheds one: all of them, to be cancelled, and the one shed.

    Over several connections, since one allows too few streams to fill the queue of derivations.
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

    Cancelling only sends word of it on each connection, so a call right behind may still find the queue full.
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
