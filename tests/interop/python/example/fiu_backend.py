"""An FIU: sends the user's browser to the Account Aggregator, and reads what the browser brings back.

With a sandbox server (`aa-redirect` without a keyring) running, from the folder above:

    export PYTHONPATH=gen
    txnid=$(python3 -c 'import uuid; print(uuid.uuid4())')
    python example/fiu_backend.py redirect "$txnid" | python example/aa_backend.py |
        python example/fiu_backend.py callback "$txnid"
"""

import sys

from aa.redirect.v1 import redirect_pb2 as pb
from aa.redirect.v1.redirect_pb2_grpc import RedirectServiceStub
from redirect_client import call, connect, parser, run

FIU_ID = "fiu@sandbox"


def redirect(stub: RedirectServiceStub, txnid: str, userid: str) -> str:
    """The URL to send the browser to. Keep `txnid` with the user's session: it must come back."""
    request = pb.EncodeRedirectRequest(
        fiu_id=FIU_ID,
        # No aa_id: the handle of the user id (`…@alpha`) picks the AA.
        redirect=pb.Redirect(
            txnid=txnid,
            sessionid="loan-4711",
            userid=userid,
            redirect="https://app.fiu.example/aa/return?lead=42",
            srcref=["0b054f6a-a0b3-4424-a668-2b53090bad6f"],
        ),
        requestor_type=pb.REQUESTOR_TYPE_FIU,
    )
    return call(stub.EncodeRedirect, request).url


def callback(stub: RedirectServiceStub, txnid: str, url: str) -> str:
    """What became of it, from the URL that the browser asked this backend for."""
    opened = call(stub.DecodeCallback, pb.DecodeCallbackRequest(fiu_id=FIU_ID, url=url))
    outcome = opened.callback
    # The service remembers nothing and the format authenticates nothing. Take a txnid only from the session that it was
    # made for and only once; forget it no sooner than opened.replay_until.
    if outcome.txnid != txnid:
        sys.exit("this callback belongs to another redirect")
    # Ask the AA itself, server to server, before acting on a consent: a callback is a hint to do so, no proof.
    if outcome.status == pb.CALLBACK_STATUS_SUCCESS:
        return f"accepted: {', '.join(outcome.srcref)}"
    return f"not accepted: {outcome.errorcode} {opened.error_message}"


def main():
    arguments = parser("An FIU's side of the redirect. `callback` reads the URL from standard input.")
    arguments.add_argument("step", choices=["redirect", "callback"])
    arguments.add_argument("txnid", help="a UUID, the same for both steps")
    arguments.add_argument("--userid", default="9999988888@alpha")
    chosen = arguments.parse_args()
    with connect(chosen.address) as channel:
        stub = RedirectServiceStub(channel)
        if chosen.step == "redirect":
            print(redirect(stub, chosen.txnid, chosen.userid))
        else:
            print(callback(stub, chosen.txnid, sys.stdin.readline().strip()))


if __name__ == "__main__":
    run(main)
