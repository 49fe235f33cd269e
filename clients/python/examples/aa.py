"""An Account Aggregator: reads the URL with which the user's browser arrives, and prints the one that leads back.

python aa.py [address [errorcode]]         127.0.0.1:50051 and 0, which accepts, without them
"""

import logging
import sys

from aa_redirect import Client, DeviationReport, RedirectError

AA_ID = "alpha-aa"


def tell_sender(report: DeviationReport) -> None:
    # The service repaired what the FIU did wrong; another reader may not. Who, what and where, but nothing of the user.
    logging.warning("%s", report)


def main(address: str = "127.0.0.1:50051", errorcode: str = "0") -> None:
    # One client for the whole process: it reconnects by itself.
    with Client(address, on_deviations=tell_sender) as client:
        # aa_id says who we are: without it a message for another AA of this service would open as well.
        opened = client.decode_redirect(sys.stdin.readline().strip(), aa_id=AA_ID)
        if opened.reopened:
            # A reload of the page, or a copy of the URL: go on with the user's session, or begin anew.
            logging.warning("opened before, first at %s", opened.first_open_time)
        # Here the user logs in and decides. Show the consents that the AA itself holds for opened.redirect.srcref.
        # The answer goes to the URL, with the members and under the secret that the request came with.
        answer = client.answer_redirect(opened, errorcode=int(errorcode))
        # A backend answers the browser with 303, this `Location` and `Cache-Control: no-store`.
        print(answer.location)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except RedirectError as error:
        sys.exit(str(error))
