"""An Account Aggregator: opens the redirect that a browser brought, and sends the browser back with the outcome.

Reads the URL from standard input and prints the one to return to; `fiu_backend.py` shows the whole way.
"""

import sys

from aa.redirect.v1 import redirect_pb2 as pb
from aa.redirect.v1.redirect_pb2_grpc import RedirectServiceStub
from redirect_client import call, connect, parser, run

AA_ID = "alpha-aa"
CONSENT_REJECTED = 1


def open_redirect(stub: RedirectServiceStub, url: str) -> pb.DecodeRedirectResponse:
    """Who sends which user with which consent handles. Take each txnid once, until `replay_until`."""
    opened = call(stub.DecodeRedirect, pb.DecodeRedirectRequest(aa_id=AA_ID, url=url))
    for deviation in opened.deviations:
        # Read all the same, but the FIU should hear of it.
        print(f"{opened.fiu_id} sends {pb.Deviation.Name(deviation)}", file=sys.stderr)
    return opened


def answer(stub: RedirectServiceStub, opened: pb.DecodeRedirectResponse, accepted: bool) -> str:
    """The URL to send the browser back to."""
    asked = opened.redirect
    request = pb.EncodeCallbackRequest(
        fiu_id=opened.fiu_id,
        aa_id=opened.aa_id,
        callback=pb.Callback(
            # As the request brought them, byte for byte: the FIU finds its session by them.
            txnid=asked.txnid,
            sessionid=asked.sessionid,
            userid=asked.userid,
            status=pb.CALLBACK_STATUS_SUCCESS if accepted else pb.CALLBACK_STATUS_FAILURE,
            errorcode=0 if accepted else CONSENT_REJECTED,
            srcref=asked.srcref if accepted else [],
        ),
        redirect_url=asked.redirect,
        # The secret that opened the request: an FIU that still has the old one can read nothing else.
        secret_id=opened.secret_id,
    )
    return call(stub.EncodeCallback, request).url


def main():
    arguments = parser("An AA's side of the redirect: reads its URL from standard input, prints the callback's.")
    arguments.add_argument("--reject", action="store_true", help="answer as if the user had rejected the consent")
    chosen = arguments.parse_args()
    with connect(chosen.address) as channel:
        stub = RedirectServiceStub(channel)
        opened = open_redirect(stub, sys.stdin.readline().strip())
        # Here the user sees opened.redirect.srcref and decides.
        print(answer(stub, opened, accepted=not chosen.reject))


if __name__ == "__main__":
    run(main)
