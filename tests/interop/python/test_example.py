"""The example backends, run as programs against a sandbox server: FIU to AA to FIU, and what they show when refused."""

import os
import subprocess
import sys
import uuid

import pytest
import redirect_client
from aa.redirect.v1 import redirect_pb2 as pb

from support import HERE, Server, end_flood, flood

HANDLE = "0b054f6a-a0b3-4424-a668-2b53090bad6f"


@pytest.fixture(scope="module")
def sandbox():
    with Server() as server:
        yield server


@pytest.fixture
def program(sandbox):
    def run(name, *arguments, stdin=""):
        environment = os.environ | {"PYTHONPATH": str(HERE / "gen"), "AA_REDIRECT_ADDRESS": sandbox.address}
        command = [sys.executable, HERE / "example" / name, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment, timeout=60)

    return run


def test_an_accepted_consent_travels_from_fiu_to_aa_and_back(program):
    txnid = str(uuid.uuid4())
    sent = program("fiu_backend.py", "redirect", txnid)
    assert sent.stdout.startswith("https://alpha.example/webview?fi="), sent.stderr
    returned = program("aa_backend.py", stdin=sent.stdout)
    assert returned.stdout.startswith("https://app.fiu.example/aa/return?lead=42&fi="), returned.stderr
    assert returned.stderr == ""  # no deviation either
    read = program("fiu_backend.py", "callback", txnid, stdin=returned.stdout)
    assert (read.stdout, read.stderr, read.returncode) == (f"accepted: {HANDLE}\n", "", 0)


def test_a_rejected_consent_comes_back_with_its_reason(program):
    txnid = str(uuid.uuid4())
    sent = program("fiu_backend.py", "redirect", txnid)
    returned = program("aa_backend.py", "--reject", stdin=sent.stdout)
    read = program("fiu_backend.py", "callback", txnid, stdin=returned.stdout)
    assert (read.stdout, read.returncode) == ("not accepted: 1 Consent is rejected\n", 0)


def test_a_callback_of_another_redirect_is_not_taken(program):
    sent = program("fiu_backend.py", "redirect", str(uuid.uuid4()))
    returned = program("aa_backend.py", stdin=sent.stdout)
    read = program("fiu_backend.py", "callback", str(uuid.uuid4()), stdin=returned.stdout)
    assert (read.stdout, read.returncode) == ("", 1)


def test_the_fields_at_fault_are_shown(program):
    sent = program("fiu_backend.py", "redirect", "T1234", "--userid", "nobody")
    assert (sent.stdout, sent.returncode) == ("", 1)
    first, *lines = sent.stderr.splitlines()
    assert first.startswith("FIELD_INVALID: ")
    assert any(line.startswith("  redirect.txnid ") for line in lines)
    assert any(line.startswith("  redirect.userid ") for line in lines)


def test_the_metadata_of_a_refusal_is_shown(program):
    opened = program("aa_backend.py", stdin="https://alpha.example/webview?fi=AAAA&ecreq=AAAA")
    assert (opened.stdout, opened.returncode) == ("", 1)
    assert opened.stderr.startswith("URL_MALFORMED: ")
    assert "  parameter: reqdate\n" in opened.stderr


def test_a_server_that_is_not_there_is_named_as_unavailable(program):
    sent = program("fiu_backend.py", "redirect", str(uuid.uuid4()), "--address", "127.0.0.1:1")
    assert (sent.stdout, sent.returncode) == ("", 1)
    assert sent.stderr.startswith("UNAVAILABLE: ")


def test_an_overloaded_server_is_asked_again_after_the_delay_that_it_names(monkeypatch):
    request = pb.EncodeRedirectRequest(
        fiu_id="fiu@sandbox",
        redirect=pb.Redirect(userid="u@gamma", redirect="https://fiu.example/cb", srcref=[HANDLE]),
    )
    delays = []
    with Server("--kdf-threads", 1) as server:
        calls, shed = flood(server, request)

        def wait(seconds):
            # In place of the wait, the reason for it goes away.
            delays.append(seconds)
            end_flood(server, request, calls)

        def method(request, timeout):
            # The server's own refusal of a call of the flood: whether the next one finds the queue full is chance.
            if not delays:
                raise shed
            return server.stub().EncodeRedirect(request, timeout=timeout)

        monkeypatch.setattr(redirect_client, "sleep", wait)
        response = redirect_client.call(method, request)
    assert response.query
    assert len(delays) == 1
    assert delays[0] > 0


def test_a_final_refusal_is_not_asked_again(monkeypatch, sandbox):
    monkeypatch.setattr(redirect_client, "sleep", lambda _: pytest.fail("waited"))
    with pytest.raises(redirect_client.Refused) as refused:
        redirect_client.call(sandbox.stub().DecodeRedirect, pb.DecodeRedirectRequest(url="https://alpha.example/"))
    assert refused.value.reason == "URL_MALFORMED"
