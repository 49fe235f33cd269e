"""An FIU: prints the URL for the user's browser, reads the URL with which it comes back, and prints what became of it.

python fiu.py [address]         127.0.0.1:50051 without one
"""

import sys

from aa_redirect import Client, Redirect, RedirectError, RequestorType

FIU_ID = "fiu@sandbox"


def main(address: str = "127.0.0.1:50051") -> None:
    # One client for the whole process: it reconnects by itself.
    with Client(address) as client:
        sent = client.encode_redirect(
            fiu_id=FIU_ID,
            # No aa_id: the handle behind the `@` picks the AA. No txnid: the service makes one.
            redirect=Redirect(
                userid="9999988888@alpha",
                sessionid="loan-4711",
                redirect="https://app.fiu.example/aa/return?lead=42",
                srcref=["0b054f6a-a0b3-4424-a668-2b53090bad6f"],
            ),
            requestor_type=RequestorType.FIU,
        )
        # A backend answers the browser with 303, this `Location` and `Cache-Control: no-store`, and keeps
        # `sent.expected` with the user's session: it is what the callback is compared with.
        print(sent.location, flush=True)

        # The whole URL as it arrives: taking it apart first is where `+` and padding get lost.
        url = sys.stdin.readline().strip()
        opened = client.decode_callback(url, fiu_id=FIU_ID, expected=sent.expected)
        if opened.reopened:
            # A reload of the page, or a copy of the URL: show the outcome again, but act only once.
            print(f"opened before, first at {opened.first_open_time}", file=sys.stderr)
        # A callback is a hint, no proof: ask the AA, server to server, before acting on a consent.
        if opened.accepted:
            print(f"accepted: {', '.join(opened.callback.srcref)}")
        else:
            print(f"not accepted: {opened.callback.errorcode} {opened.error_message}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except RedirectError as error:
        sys.exit(str(error))
