"""An AA's backend: /webview takes the user that an FIU sent, and sends the user back with the outcome."""

import logging
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aa_redirect import Client, DeviationReport, RedirectError

# Says who we are. Without it, a message for another AA of this service would open too.
AA_ID = os.environ.get("AA_ID", "beta-aa")


def tell_sender(report: DeviationReport) -> None:
    # The service repaired what the FIU did wrong; other software may not. Log nothing about the user.
    logging.warning("tell the FIU: %s", report)


# One client for the whole process: it reconnects by itself.
client = Client(os.environ.get("AA_REDIRECT_ADDRESS", "127.0.0.1:50051"), on_deviations=tell_sender)


def webview(url: str) -> str:
    opened = client.decode_redirect(url, aa_id=AA_ID)
    if opened.reopened:
        # A reload of the page, or a copy of the URL: go on with the user's session, or begin again.
        logging.warning("opened before, first at %s", opened.first_open_time)
    # Here the user logs in as opened.redirect.userid and decides about its srcref. This user accepts. For a user who
    # rejects, use answer_redirect(opened, errorcode=1). The answer goes back with the members and the secret of the
    # request.
    return client.answer_redirect(opened).location


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/webview":
            return self.send_error(404)
        try:
            location = webview(self.path)
        except RedirectError as error:
            logging.warning("%s", error)
            return self.send_error(400, explain="That did not work: go back to where you came from and start again.")
        self.send_response(303)
        self.send_header("Location", location)
        self.send_header("Cache-Control", "no-store")
        return self.end_headers()

    def log_message(self, *_: object) -> None:
        """Logs nothing: a URL is the user's secret."""


if __name__ == "__main__":
    host, _, port = os.environ.get("LISTEN", "127.0.0.1:8081").partition(":")
    ThreadingHTTPServer((host, int(port)), Page).serve_forever()
