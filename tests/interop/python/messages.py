"""Random members, as difficult as the contract allows, and the same members in the types of the client package."""

import uuid

from aa_redirect import Callback, CallbackStatus, Redirect

LANGUAGES = "en-IN hi-IN bn-IN mr-IN te-IN ta-IN gu-IN ur-IN kn-IN or-IN ml-IN pa-IN as-IN".split()

# What breaks a codec: escapes and their fragments, separators, form encoding, line ends, scripts, combining marks.
AWKWARD = [
    "&", "=", "%", "+", "#", " ", "?", "/", ":", "@", "|", "{", "}", "[", "]", ",", '"', "'", "\\", "^", "`", "<", "~",
    "%2B", "%25", "%", "\r\n", "\n", "\t", "\x00", "\x7f", "é", "e\u0301", "सहमति", "हिन्दी", "🔑", "👨‍👩‍👧", "क्ष",
    "\u2028", "txnid=", "&srcref=x", "redirect=https://x/?",
]  # fmt: skip
# The parts of these texts that the contract allows in fields that refuse blanks, list marks or control characters.
AWKWARD_IN_USER = [part for part in AWKWARD if part.isprintable() and not any(c in part for c in "@ \\")]
AWKWARD_IN_URL = ["é", "सहमति", "🔑", "%2F", "%20", "+", "~", "'", "(", "|", "%E0%A4%95", "%253D"]
AWKWARD_IN_ITEM = ["%", "=", "+", "#", "?", "|", "%2C", "a b", "हैंडल", "🔑", "é", "/", ":", "@"]

# The guideline's text for each code.
ERRORS = {
    0: "Success: the user accepted",
    1: "Consent is rejected",
    2: "Consent not available",
    3: "Invalid request",
    4: "User authentication failed",
    5: "Consent in pending state",
    6: "Session timeout",
    7: "Account not discovered: the FIP given has no account",
    8: "Account not discovered: the FIP given failed",
    9: "Account not discovered: nothing at any FIP",
    10: "Account not linked: timeout",
    11: "Account not linked: cancelled",
    12: "Account link OTP not attempted: cancelled",
    13: "Account link OTP not attempted: timeout",
    14: "Account link OTP authentication failed: cancelled",
    15: "Account link OTP authentication failed: timeout",
    16: "Account link failed",
    17: "Account link OTP authentication failed for some accounts: cancelled",
    18: "Account link OTP authentication failed for some accounts: timeout",
    19: "Account link failed for some accounts",
    20: "Unknown error",
    99: "Unlisted error code 99",
    4294967295: "Unlisted error code 4294967295",
}


def text(rng, parts=AWKWARD, most=8):
    words = [
        rng.choice(parts) if rng.random() < 0.6 else f"{rng.getrandbits(24):x}" for _ in range(rng.randint(1, most))
    ]
    return "".join(words)


def handles(rng, pairing, most=50):
    # No document says how the JSON form writes characters that JSON itself escapes, so these lists have plain handles.
    parts = ["-", ":", "|"] if pairing.lists == "json" else AWKWARD_IN_ITEM
    count = rng.choice([1, 1, 2, 3, most, rng.randint(1, most)])
    return [
        str(uuid.UUID(int=rng.getrandbits(128))) if rng.random() < 0.7 else f"h{text(rng, parts, 4)}{rng.randrange(99)}"
        for _ in range(count)
    ]


def redirect_url(rng):
    host = rng.choice(["fiu.example", "app.fiu.example", "fiu.example:8443"])
    path = "".join(f"/{text(rng, AWKWARD_IN_URL, 2)}" for _ in range(rng.randint(0, 2)))
    url = f"https://{host}{path}"
    if rng.random() < 0.6:
        names = rng.sample(["lead", "src", "next", "q"], rng.randint(1, 3))
        url += "?" + "&".join(f"{name}={text(rng, AWKWARD_IN_URL, 3)}" for name in names)
    if rng.random() < 0.3:
        url += "#" + text(rng, AWKWARD_IN_URL, 2)
    return url


def userid(rng):
    name = f"{rng.randrange(10**10):010}" if rng.random() < 0.5 else text(rng, AWKWARD_IN_USER, 3)
    return f"{name}@{rng.choice(['aa', 'onemoney', 'aa-uat.example'])}"


def extras(rng):
    names = rng.sample(["fi", "account", "mobile", "x.chid", "aa_version", "z-9", "Vendor"], rng.randint(1, 3))
    return {name: text(rng) for name in names}


def request_members(rng, pairing):
    """Members of `ecreq`, by the format's names; `txnid` may be missing for the service to make one."""
    members = {
        "sessionid": "" if rng.random() < 0.2 else text(rng),
        "userid": userid(rng),
        "redirect": redirect_url(rng),
        "srcref": handles(rng, pairing),
    }
    if rng.random() < 0.8:
        members["txnid"] = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    optional = {
        "fipid": lambda: handles(rng, pairing, 5),
        "email": lambda: f"{text(rng)}@example.in",
        "pan": lambda: "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=5)) + f"{rng.randrange(10**4):04}K",
        "dob": lambda: f"{rng.randint(1930, 2008)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        "isoLanguageCode": lambda: rng.choice(LANGUAGES),
    }
    members |= {name: draw() for name, draw in optional.items() if rng.random() < 0.5}
    return members | (extras(rng) if rng.random() < 0.3 else {})


def callback_members(rng, pairing):
    """Members of `ecres`. The txnid is whatever the request brought, a UUID or not."""
    success = rng.random() < 0.5
    members = {
        "txnid": str(uuid.UUID(int=rng.getrandbits(128))) if rng.random() < 0.8 else f"T{rng.randrange(9999)}",
        "sessionid": "" if rng.random() < 0.2 else text(rng),
        "userid": userid(rng),
        "status": "S" if success else "F",
        "errorcode": "0" if success else str(rng.choice([code for code in ERRORS if code])),
    }
    if success or rng.random() < 0.5:
        members["srcref"] = handles(rng, pairing)
    return members | (extras(rng) if rng.random() < 0.3 else {})


REQUEST_MEMBERS = {
    "txnid": "txnid",
    "sessionid": "sessionid",
    "userid": "userid",
    "redirect": "redirect",
    "srcref": "srcref",
    "fipid": "fipid",
    "email": "email",
    "pan": "pan",
    "dob": "dob",
    "isoLanguageCode": "iso_language_code",
}
CALLBACK_MEMBERS = {name: name for name in ("txnid", "sessionid", "userid", "status", "errorcode", "srcref")}


def to_redirect(members):
    """The package's Redirect of the members."""
    return Redirect(**_fields(members, REQUEST_MEMBERS))


def to_callback(members):
    """The package's Callback of the members."""
    fields = _fields(members, CALLBACK_MEMBERS)
    status = {"S": CallbackStatus.SUCCESS, "F": CallbackStatus.FAILURE}[fields["status"]]
    return Callback(**fields | {"status": status, "errorcode": int(fields["errorcode"])})


def _fields(members, known):
    fields = {known[name]: value for name, value in members.items() if name in known}
    return fields | {"extra": {name: value for name, value in members.items() if name not in known}}
