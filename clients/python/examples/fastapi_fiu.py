"""An FIU's backend with FastAPI: /consent sends the browser to the AA, /aa/return takes it back.

pip install fastapi uvicorn && uvicorn fastapi_fiu:app --port 3000 --no-access-log

An access log has the whole URLs, and they are the user's secrets.
"""

import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Cookie, FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from aa_redirect import AsyncClient, CallOptions, DeviationReport, Expected, Reason, Redirect, RedirectError

FIU_ID = "fiu@sandbox"
# In the memory of this process, only for the example. Keep yours with your sessions.
sessions: dict[str, Expected] = {}
# For these reasons the user may try again. Every other reason means that this URL does not work, or that our own
# request is wrong.
LATER = {Reason.OVERLOADED, Reason.NOT_READY, Reason.STORE_UNAVAILABLE, Reason.TIMED_OUT}
LATER |= {Reason.LOCAL_UNREACHABLE, Reason.LOCAL_DEADLINE_EXCEEDED}


def tell_sender(report: DeviationReport) -> None:
    logging.warning("tell the AA: %s", report)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    address = os.environ.get("AA_REDIRECT_ADDRESS", "127.0.0.1:50051")
    async with AsyncClient(address, on_deviations=tell_sender) as app.state.client:
        yield


app = FastAPI(lifespan=lifespan)


@app.exception_handler(RedirectError)
async def refused(_: Request, error: RedirectError) -> Response:
    logging.warning("%s", error)
    if error.reason in LATER:
        return PlainTextResponse("Try again in a moment.", 503)
    return PlainTextResponse("This link does not work: start again.", 400)


@app.get("/consent")
async def consent(request: Request, user: str = "9999988888@beta") -> Response:
    # In your backend: the user who is logged in, and the consent handle that the AA gave.
    redirect = Redirect(userid=user, redirect=str(request.url_for("aa_return")), srcref=[secrets.token_hex(16)])
    options = CallOptions.from_headers(request.headers)  # passes on x-request-id and traceparent
    sent = await request.app.state.client.encode_redirect(fiu_id=FIU_ID, redirect=redirect, options=options)
    session = secrets.token_urlsafe()
    sessions[session] = sent.expected
    response = RedirectResponse(sent.location, 303, {"Cache-Control": "no-store"})
    response.set_cookie("session", session, httponly=True, secure=request.url.scheme == "https", samesite="lax")
    return response


@app.get("/aa/return")
async def aa_return(request: Request, session: Annotated[str, Cookie()] = "") -> Response:
    if session not in sessions:
        raise HTTPException(400, "this browser began no consent here")
    opened = await request.app.state.client.decode_callback(
        str(request.url), fiu_id=FIU_ID, expected=sessions[session], options=CallOptions.from_headers(request.headers)
    )
    if opened.reopened:
        logging.warning("a reloaded page, or a replay: %s", opened)
    # A reload is answered again; act on a consent once, and only after you have asked the AA, server to server.
    return PlainTextResponse("accepted" if opened.accepted else opened.error_message)
