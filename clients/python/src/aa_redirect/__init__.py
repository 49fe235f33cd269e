"""A client for aa-redirect, which writes and reads the browser redirects between FIUs and Account Aggregators.

`Client` calls and waits, `AsyncClient` is the same for asyncio. Both raise `RedirectError` and nothing else for a call
that does not succeed. What they take and give is immutable, and prints no member of a message, no URL and no secret.
"""

from importlib.metadata import version

from aa_redirect._aio import AsyncClient
from aa_redirect._client import Client
from aa_redirect._errors import FieldViolation, Reason, RedirectError
from aa_redirect._options import CallOptions, Tls
from aa_redirect._types import (
    NOT_CHECKED,
    Authentication,
    Callback,
    CallbackParams,
    CallbackStatus,
    DecodedCallback,
    DecodedRedirect,
    Deviation,
    DeviationDetail,
    DeviationReport,
    EncodedCallback,
    EncodedRedirect,
    Expected,
    FrozenMap,
    Leg,
    NotChecked,
    Pairing,
    Redirect,
    RedirectParams,
    Reopen,
    RequestorType,
    Scheme,
    Secret,
    SecretState,
)

__version__ = version("aa-redirect")

__all__ = [
    "NOT_CHECKED",
    "AsyncClient",
    "Authentication",
    "CallOptions",
    "Callback",
    "CallbackParams",
    "CallbackStatus",
    "Client",
    "DecodedCallback",
    "DecodedRedirect",
    "Deviation",
    "DeviationDetail",
    "DeviationReport",
    "EncodedCallback",
    "EncodedRedirect",
    "Expected",
    "FieldViolation",
    "FrozenMap",
    "Leg",
    "NotChecked",
    "Pairing",
    "Reason",
    "Redirect",
    "RedirectError",
    "RedirectParams",
    "Reopen",
    "RequestorType",
    "Scheme",
    "Secret",
    "SecretState",
    "Tls",
]
