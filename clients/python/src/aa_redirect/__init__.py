"""A client for aa-redirect, the service that encodes and decodes the browser redirects between FIUs and AAs.

`Client` calls and waits, `AsyncClient` is the same for asyncio. If a call does not succeed, both raise `RedirectError`
and nothing else. Arguments and results are immutable, and print no member of a message, no URL and no secret.
"""

from importlib.metadata import version

from aa_redirect._aio import AsyncClient
from aa_redirect._client import Client
from aa_redirect._errors import FieldViolation, Reason, RedirectError
from aa_redirect._options import CallOptions, Tls
from aa_redirect._types import (
    NOT_COMPARED,
    Authentication,
    Callback,
    CallbackParams,
    CallbackStatus,
    Deviation,
    DeviationDetail,
    DeviationReport,
    Expected,
    FrozenMap,
    Leg,
    NotCompared,
    OpenedCallback,
    OpenedRedirect,
    Pairing,
    Redirect,
    RedirectParams,
    Reopen,
    RequestorType,
    Scheme,
    SealedCallback,
    SealedRedirect,
    Secret,
    SecretState,
)

__version__ = version("aa-redirect")

__all__ = [
    "NOT_COMPARED",
    "AsyncClient",
    "Authentication",
    "CallOptions",
    "Callback",
    "CallbackParams",
    "CallbackStatus",
    "Client",
    "Deviation",
    "DeviationDetail",
    "DeviationReport",
    "Expected",
    "FieldViolation",
    "FrozenMap",
    "Leg",
    "NotCompared",
    "OpenedCallback",
    "OpenedRedirect",
    "Pairing",
    "Reason",
    "Redirect",
    "RedirectError",
    "RedirectParams",
    "Reopen",
    "RequestorType",
    "Scheme",
    "SealedCallback",
    "SealedRedirect",
    "Secret",
    "SecretState",
    "Tls",
]
