import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RequestorType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REQUESTOR_TYPE_UNSPECIFIED: _ClassVar[RequestorType]
    REQUESTOR_TYPE_FIU: _ClassVar[RequestorType]
    REQUESTOR_TYPE_LSP: _ClassVar[RequestorType]

class CallbackStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALLBACK_STATUS_UNSPECIFIED: _ClassVar[CallbackStatus]
    CALLBACK_STATUS_SUCCESS: _ClassVar[CallbackStatus]
    CALLBACK_STATUS_FAILURE: _ClassVar[CallbackStatus]

class Scheme(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCHEME_UNSPECIFIED: _ClassVar[Scheme]
    SCHEME_HKDF_IV: _ClassVar[Scheme]
    SCHEME_PBKDF2: _ClassVar[Scheme]

class SecretState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SECRET_STATE_UNSPECIFIED: _ClassVar[SecretState]
    SECRET_STATE_PRIMARY: _ClassVar[SecretState]
    SECRET_STATE_DECODE_ONLY: _ClassVar[SecretState]

class Reopen(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REOPEN_UNSPECIFIED: _ClassVar[Reopen]
    REOPEN_REPORT: _ClassVar[Reopen]
    REOPEN_REFUSE: _ClassVar[Reopen]

class Authentication(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUTHENTICATION_UNSPECIFIED: _ClassVar[Authentication]
    AUTHENTICATION_OFF: _ClassVar[Authentication]
    AUTHENTICATION_WRITE: _ClassVar[Authentication]
    AUTHENTICATION_REQUIRE: _ClassVar[Authentication]

class Deviation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEVIATION_UNSPECIFIED: _ClassVar[Deviation]
    DEVIATION_BASE64_ALPHABET: _ClassVar[Deviation]
    DEVIATION_BASE64_UNPADDED: _ClassVar[Deviation]
    DEVIATION_PLUS_AS_SPACE: _ClassVar[Deviation]
    DEVIATION_DOUBLE_ENCODED: _ClassVar[Deviation]
    DEVIATION_WHITESPACE: _ClassVar[Deviation]
    DEVIATION_DATE_DIGITS: _ClassVar[Deviation]
    DEVIATION_SECOND_QUESTION_MARK: _ClassVar[Deviation]
    DEVIATION_LIST_SYNTAX: _ClassVar[Deviation]
    DEVIATION_REDIRECT_UNESCAPED: _ClassVar[Deviation]
    DEVIATION_TXNID_NOT_UUID: _ClassVar[Deviation]
    DEVIATION_EXTRA_MEMBER: _ClassVar[Deviation]
    DEVIATION_BLANK_OPTIONAL: _ClassVar[Deviation]
    DEVIATION_STATUS_MISMATCH: _ClassVar[Deviation]
    DEVIATION_STRAY_CHARACTERS: _ClassVar[Deviation]
    DEVIATION_NAME_CASE: _ClassVar[Deviation]
    DEVIATION_INVALID_ESCAPE: _ClassVar[Deviation]
    DEVIATION_REPEATED: _ClassVar[Deviation]
    DEVIATION_HTML_ESCAPED: _ClassVar[Deviation]
    DEVIATION_IN_FRAGMENT: _ClassVar[Deviation]
    DEVIATION_REQUESTOR_TYPE: _ClassVar[Deviation]
    DEVIATION_DATE_ZERO_LOST: _ClassVar[Deviation]
    DEVIATION_RAW_NON_ASCII: _ClassVar[Deviation]

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_FIELD_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_URL_MALFORMED: _ClassVar[ErrorReason]
    ERROR_REASON_PARAMETER_MALFORMED: _ClassVar[ErrorReason]
    ERROR_REASON_DATE_MALFORMED: _ClassVar[ErrorReason]
    ERROR_REASON_DATE_EXPIRED: _ClassVar[ErrorReason]
    ERROR_REASON_DATE_IN_FUTURE: _ClassVar[ErrorReason]
    ERROR_REASON_PAIRING_UNKNOWN: _ClassVar[ErrorReason]
    ERROR_REASON_PAIRING_AMBIGUOUS: _ClassVar[ErrorReason]
    ERROR_REASON_SCHEME_MISMATCH: _ClassVar[ErrorReason]
    ERROR_REASON_REDIRECT_FORBIDDEN: _ClassVar[ErrorReason]
    ERROR_REASON_UNDECIPHERABLE: _ClassVar[ErrorReason]
    ERROR_REASON_CALLER_FORBIDDEN: _ClassVar[ErrorReason]
    ERROR_REASON_CALLER_UNKNOWN: _ClassVar[ErrorReason]
    ERROR_REASON_OVERLOADED: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_READY: _ClassVar[ErrorReason]
    ERROR_REASON_TIMED_OUT: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL_FAULT: _ClassVar[ErrorReason]
    ERROR_REASON_REQUEST_TOO_LARGE: _ClassVar[ErrorReason]
    ERROR_REASON_ALREADY_OPENED: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_EXPECTED: _ClassVar[ErrorReason]
    ERROR_REASON_STORE_UNAVAILABLE: _ClassVar[ErrorReason]
REQUESTOR_TYPE_UNSPECIFIED: RequestorType
REQUESTOR_TYPE_FIU: RequestorType
REQUESTOR_TYPE_LSP: RequestorType
CALLBACK_STATUS_UNSPECIFIED: CallbackStatus
CALLBACK_STATUS_SUCCESS: CallbackStatus
CALLBACK_STATUS_FAILURE: CallbackStatus
SCHEME_UNSPECIFIED: Scheme
SCHEME_HKDF_IV: Scheme
SCHEME_PBKDF2: Scheme
SECRET_STATE_UNSPECIFIED: SecretState
SECRET_STATE_PRIMARY: SecretState
SECRET_STATE_DECODE_ONLY: SecretState
REOPEN_UNSPECIFIED: Reopen
REOPEN_REPORT: Reopen
REOPEN_REFUSE: Reopen
AUTHENTICATION_UNSPECIFIED: Authentication
AUTHENTICATION_OFF: Authentication
AUTHENTICATION_WRITE: Authentication
AUTHENTICATION_REQUIRE: Authentication
DEVIATION_UNSPECIFIED: Deviation
DEVIATION_BASE64_ALPHABET: Deviation
DEVIATION_BASE64_UNPADDED: Deviation
DEVIATION_PLUS_AS_SPACE: Deviation
DEVIATION_DOUBLE_ENCODED: Deviation
DEVIATION_WHITESPACE: Deviation
DEVIATION_DATE_DIGITS: Deviation
DEVIATION_SECOND_QUESTION_MARK: Deviation
DEVIATION_LIST_SYNTAX: Deviation
DEVIATION_REDIRECT_UNESCAPED: Deviation
DEVIATION_TXNID_NOT_UUID: Deviation
DEVIATION_EXTRA_MEMBER: Deviation
DEVIATION_BLANK_OPTIONAL: Deviation
DEVIATION_STATUS_MISMATCH: Deviation
DEVIATION_STRAY_CHARACTERS: Deviation
DEVIATION_NAME_CASE: Deviation
DEVIATION_INVALID_ESCAPE: Deviation
DEVIATION_REPEATED: Deviation
DEVIATION_HTML_ESCAPED: Deviation
DEVIATION_IN_FRAGMENT: Deviation
DEVIATION_REQUESTOR_TYPE: Deviation
DEVIATION_DATE_ZERO_LOST: Deviation
DEVIATION_RAW_NON_ASCII: Deviation
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_FIELD_INVALID: ErrorReason
ERROR_REASON_URL_MALFORMED: ErrorReason
ERROR_REASON_PARAMETER_MALFORMED: ErrorReason
ERROR_REASON_DATE_MALFORMED: ErrorReason
ERROR_REASON_DATE_EXPIRED: ErrorReason
ERROR_REASON_DATE_IN_FUTURE: ErrorReason
ERROR_REASON_PAIRING_UNKNOWN: ErrorReason
ERROR_REASON_PAIRING_AMBIGUOUS: ErrorReason
ERROR_REASON_SCHEME_MISMATCH: ErrorReason
ERROR_REASON_REDIRECT_FORBIDDEN: ErrorReason
ERROR_REASON_UNDECIPHERABLE: ErrorReason
ERROR_REASON_CALLER_FORBIDDEN: ErrorReason
ERROR_REASON_CALLER_UNKNOWN: ErrorReason
ERROR_REASON_OVERLOADED: ErrorReason
ERROR_REASON_NOT_READY: ErrorReason
ERROR_REASON_TIMED_OUT: ErrorReason
ERROR_REASON_INTERNAL_FAULT: ErrorReason
ERROR_REASON_REQUEST_TOO_LARGE: ErrorReason
ERROR_REASON_ALREADY_OPENED: ErrorReason
ERROR_REASON_NOT_EXPECTED: ErrorReason
ERROR_REASON_STORE_UNAVAILABLE: ErrorReason

class Redirect(_message.Message):
    __slots__ = ("txnid", "sessionid", "userid", "redirect", "srcref", "fipid", "email", "pan", "dob", "iso_language_code", "extra")
    class ExtraEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TXNID_FIELD_NUMBER: _ClassVar[int]
    SESSIONID_FIELD_NUMBER: _ClassVar[int]
    USERID_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_FIELD_NUMBER: _ClassVar[int]
    SRCREF_FIELD_NUMBER: _ClassVar[int]
    FIPID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    PAN_FIELD_NUMBER: _ClassVar[int]
    DOB_FIELD_NUMBER: _ClassVar[int]
    ISO_LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    txnid: str
    sessionid: str
    userid: str
    redirect: str
    srcref: _containers.RepeatedScalarFieldContainer[str]
    fipid: _containers.RepeatedScalarFieldContainer[str]
    email: str
    pan: str
    dob: str
    iso_language_code: str
    extra: _containers.ScalarMap[str, str]
    def __init__(self, txnid: _Optional[str] = ..., sessionid: _Optional[str] = ..., userid: _Optional[str] = ..., redirect: _Optional[str] = ..., srcref: _Optional[_Iterable[str]] = ..., fipid: _Optional[_Iterable[str]] = ..., email: _Optional[str] = ..., pan: _Optional[str] = ..., dob: _Optional[str] = ..., iso_language_code: _Optional[str] = ..., extra: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Callback(_message.Message):
    __slots__ = ("txnid", "sessionid", "userid", "status", "errorcode", "srcref", "extra")
    class ExtraEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TXNID_FIELD_NUMBER: _ClassVar[int]
    SESSIONID_FIELD_NUMBER: _ClassVar[int]
    USERID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERRORCODE_FIELD_NUMBER: _ClassVar[int]
    SRCREF_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    txnid: str
    sessionid: str
    userid: str
    status: CallbackStatus
    errorcode: int
    srcref: _containers.RepeatedScalarFieldContainer[str]
    extra: _containers.ScalarMap[str, str]
    def __init__(self, txnid: _Optional[str] = ..., sessionid: _Optional[str] = ..., userid: _Optional[str] = ..., status: _Optional[_Union[CallbackStatus, str]] = ..., errorcode: _Optional[int] = ..., srcref: _Optional[_Iterable[str]] = ..., extra: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RedirectParams(_message.Message):
    __slots__ = ("fi", "reqdate", "ecreq", "iv", "requestor_type")
    FI_FIELD_NUMBER: _ClassVar[int]
    REQDATE_FIELD_NUMBER: _ClassVar[int]
    ECREQ_FIELD_NUMBER: _ClassVar[int]
    IV_FIELD_NUMBER: _ClassVar[int]
    REQUESTOR_TYPE_FIELD_NUMBER: _ClassVar[int]
    fi: str
    reqdate: str
    ecreq: str
    iv: str
    requestor_type: str
    def __init__(self, fi: _Optional[str] = ..., reqdate: _Optional[str] = ..., ecreq: _Optional[str] = ..., iv: _Optional[str] = ..., requestor_type: _Optional[str] = ...) -> None: ...

class CallbackParams(_message.Message):
    __slots__ = ("fi", "resdate", "ecres", "iv")
    FI_FIELD_NUMBER: _ClassVar[int]
    RESDATE_FIELD_NUMBER: _ClassVar[int]
    ECRES_FIELD_NUMBER: _ClassVar[int]
    IV_FIELD_NUMBER: _ClassVar[int]
    fi: str
    resdate: str
    ecres: str
    iv: str
    def __init__(self, fi: _Optional[str] = ..., resdate: _Optional[str] = ..., ecres: _Optional[str] = ..., iv: _Optional[str] = ...) -> None: ...

class EncodeRedirectRequest(_message.Message):
    __slots__ = ("fiu_id", "aa_id", "redirect", "requestor_type", "issue_time")
    FIU_ID_FIELD_NUMBER: _ClassVar[int]
    AA_ID_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_FIELD_NUMBER: _ClassVar[int]
    REQUESTOR_TYPE_FIELD_NUMBER: _ClassVar[int]
    ISSUE_TIME_FIELD_NUMBER: _ClassVar[int]
    fiu_id: str
    aa_id: str
    redirect: Redirect
    requestor_type: RequestorType
    issue_time: _timestamp_pb2.Timestamp
    def __init__(self, fiu_id: _Optional[str] = ..., aa_id: _Optional[str] = ..., redirect: _Optional[_Union[Redirect, _Mapping]] = ..., requestor_type: _Optional[_Union[RequestorType, str]] = ..., issue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EncodeRedirectResponse(_message.Message):
    __slots__ = ("url", "query", "params", "txnid", "secret_id", "issue_time", "expire_time")
    URL_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    TXNID_FIELD_NUMBER: _ClassVar[int]
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    url: str
    query: str
    params: RedirectParams
    txnid: str
    secret_id: str
    issue_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, url: _Optional[str] = ..., query: _Optional[str] = ..., params: _Optional[_Union[RedirectParams, _Mapping]] = ..., txnid: _Optional[str] = ..., secret_id: _Optional[str] = ..., issue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DecodeRedirectRequest(_message.Message):
    __slots__ = ("aa_id", "url", "params", "attempt_id")
    AA_ID_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    aa_id: str
    url: str
    params: RedirectParams
    attempt_id: str
    def __init__(self, aa_id: _Optional[str] = ..., url: _Optional[str] = ..., params: _Optional[_Union[RedirectParams, _Mapping]] = ..., attempt_id: _Optional[str] = ...) -> None: ...

class DecodeRedirectResponse(_message.Message):
    __slots__ = ("fiu_id", "aa_id", "redirect", "requestor_type", "issue_time", "age", "secret_id", "primary_secret", "deviations", "replay_until", "replay_key", "reopened", "first_open_time", "deviation_details", "authenticated")
    FIU_ID_FIELD_NUMBER: _ClassVar[int]
    AA_ID_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_FIELD_NUMBER: _ClassVar[int]
    REQUESTOR_TYPE_FIELD_NUMBER: _ClassVar[int]
    ISSUE_TIME_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_SECRET_FIELD_NUMBER: _ClassVar[int]
    DEVIATIONS_FIELD_NUMBER: _ClassVar[int]
    REPLAY_UNTIL_FIELD_NUMBER: _ClassVar[int]
    REPLAY_KEY_FIELD_NUMBER: _ClassVar[int]
    REOPENED_FIELD_NUMBER: _ClassVar[int]
    FIRST_OPEN_TIME_FIELD_NUMBER: _ClassVar[int]
    DEVIATION_DETAILS_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATED_FIELD_NUMBER: _ClassVar[int]
    fiu_id: str
    aa_id: str
    redirect: Redirect
    requestor_type: RequestorType
    issue_time: _timestamp_pb2.Timestamp
    age: _duration_pb2.Duration
    secret_id: str
    primary_secret: bool
    deviations: _containers.RepeatedScalarFieldContainer[Deviation]
    replay_until: _timestamp_pb2.Timestamp
    replay_key: str
    reopened: bool
    first_open_time: _timestamp_pb2.Timestamp
    deviation_details: _containers.RepeatedCompositeFieldContainer[DeviationDetail]
    authenticated: bool
    def __init__(self, fiu_id: _Optional[str] = ..., aa_id: _Optional[str] = ..., redirect: _Optional[_Union[Redirect, _Mapping]] = ..., requestor_type: _Optional[_Union[RequestorType, str]] = ..., issue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., secret_id: _Optional[str] = ..., primary_secret: bool = ..., deviations: _Optional[_Iterable[_Union[Deviation, str]]] = ..., replay_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replay_key: _Optional[str] = ..., reopened: bool = ..., first_open_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deviation_details: _Optional[_Iterable[_Union[DeviationDetail, _Mapping]]] = ..., authenticated: bool = ...) -> None: ...

class EncodeCallbackRequest(_message.Message):
    __slots__ = ("fiu_id", "aa_id", "callback", "redirect_url", "issue_time", "secret_id")
    FIU_ID_FIELD_NUMBER: _ClassVar[int]
    AA_ID_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URL_FIELD_NUMBER: _ClassVar[int]
    ISSUE_TIME_FIELD_NUMBER: _ClassVar[int]
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    fiu_id: str
    aa_id: str
    callback: Callback
    redirect_url: str
    issue_time: _timestamp_pb2.Timestamp
    secret_id: str
    def __init__(self, fiu_id: _Optional[str] = ..., aa_id: _Optional[str] = ..., callback: _Optional[_Union[Callback, _Mapping]] = ..., redirect_url: _Optional[str] = ..., issue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., secret_id: _Optional[str] = ...) -> None: ...

class EncodeCallbackResponse(_message.Message):
    __slots__ = ("url", "query", "params", "secret_id", "issue_time", "expire_time")
    URL_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    url: str
    query: str
    params: CallbackParams
    secret_id: str
    issue_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, url: _Optional[str] = ..., query: _Optional[str] = ..., params: _Optional[_Union[CallbackParams, _Mapping]] = ..., secret_id: _Optional[str] = ..., issue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExpectedCallback(_message.Message):
    __slots__ = ("txnid", "sessionid", "userid", "aa_id")
    TXNID_FIELD_NUMBER: _ClassVar[int]
    SESSIONID_FIELD_NUMBER: _ClassVar[int]
    USERID_FIELD_NUMBER: _ClassVar[int]
    AA_ID_FIELD_NUMBER: _ClassVar[int]
    txnid: str
    sessionid: str
    userid: str
    aa_id: str
    def __init__(self, txnid: _Optional[str] = ..., sessionid: _Optional[str] = ..., userid: _Optional[str] = ..., aa_id: _Optional[str] = ...) -> None: ...

class DecodeCallbackRequest(_message.Message):
    __slots__ = ("fiu_id", "url", "params", "expected", "attempt_id")
    FIU_ID_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    fiu_id: str
    url: str
    params: CallbackParams
    expected: ExpectedCallback
    attempt_id: str
    def __init__(self, fiu_id: _Optional[str] = ..., url: _Optional[str] = ..., params: _Optional[_Union[CallbackParams, _Mapping]] = ..., expected: _Optional[_Union[ExpectedCallback, _Mapping]] = ..., attempt_id: _Optional[str] = ...) -> None: ...

class DecodeCallbackResponse(_message.Message):
    __slots__ = ("fiu_id", "aa_id", "callback", "error_message", "issue_time", "age", "secret_id", "primary_secret", "deviations", "replay_until", "replay_key", "reopened", "first_open_time", "deviation_details", "authenticated")
    FIU_ID_FIELD_NUMBER: _ClassVar[int]
    AA_ID_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ISSUE_TIME_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_SECRET_FIELD_NUMBER: _ClassVar[int]
    DEVIATIONS_FIELD_NUMBER: _ClassVar[int]
    REPLAY_UNTIL_FIELD_NUMBER: _ClassVar[int]
    REPLAY_KEY_FIELD_NUMBER: _ClassVar[int]
    REOPENED_FIELD_NUMBER: _ClassVar[int]
    FIRST_OPEN_TIME_FIELD_NUMBER: _ClassVar[int]
    DEVIATION_DETAILS_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATED_FIELD_NUMBER: _ClassVar[int]
    fiu_id: str
    aa_id: str
    callback: Callback
    error_message: str
    issue_time: _timestamp_pb2.Timestamp
    age: _duration_pb2.Duration
    secret_id: str
    primary_secret: bool
    deviations: _containers.RepeatedScalarFieldContainer[Deviation]
    replay_until: _timestamp_pb2.Timestamp
    replay_key: str
    reopened: bool
    first_open_time: _timestamp_pb2.Timestamp
    deviation_details: _containers.RepeatedCompositeFieldContainer[DeviationDetail]
    authenticated: bool
    def __init__(self, fiu_id: _Optional[str] = ..., aa_id: _Optional[str] = ..., callback: _Optional[_Union[Callback, _Mapping]] = ..., error_message: _Optional[str] = ..., issue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., secret_id: _Optional[str] = ..., primary_secret: bool = ..., deviations: _Optional[_Iterable[_Union[Deviation, str]]] = ..., replay_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replay_key: _Optional[str] = ..., reopened: bool = ..., first_open_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deviation_details: _Optional[_Iterable[_Union[DeviationDetail, _Mapping]]] = ..., authenticated: bool = ...) -> None: ...

class DeviationDetail(_message.Message):
    __slots__ = ("deviation", "place")
    DEVIATION_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    deviation: Deviation
    place: str
    def __init__(self, deviation: _Optional[_Union[Deviation, str]] = ..., place: _Optional[str] = ...) -> None: ...

class ListPairingsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPairingsResponse(_message.Message):
    __slots__ = ("pairings", "next_page_token")
    PAIRINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    pairings: _containers.RepeatedCompositeFieldContainer[Pairing]
    next_page_token: str
    def __init__(self, pairings: _Optional[_Iterable[_Union[Pairing, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Pairing(_message.Message):
    __slots__ = ("fiu_id", "aa_id", "profile", "scheme", "webview_url", "handles", "secrets", "redirect_hosts", "max_age", "date_style", "list_syntax", "check_resdate", "reopen", "authentication")
    class Secret(_message.Message):
        __slots__ = ("id", "state")
        ID_FIELD_NUMBER: _ClassVar[int]
        STATE_FIELD_NUMBER: _ClassVar[int]
        id: str
        state: SecretState
        def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[SecretState, str]] = ...) -> None: ...
    FIU_ID_FIELD_NUMBER: _ClassVar[int]
    AA_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    WEBVIEW_URL_FIELD_NUMBER: _ClassVar[int]
    HANDLES_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_HOSTS_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    DATE_STYLE_FIELD_NUMBER: _ClassVar[int]
    LIST_SYNTAX_FIELD_NUMBER: _ClassVar[int]
    CHECK_RESDATE_FIELD_NUMBER: _ClassVar[int]
    REOPEN_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_FIELD_NUMBER: _ClassVar[int]
    fiu_id: str
    aa_id: str
    profile: str
    scheme: Scheme
    webview_url: str
    handles: _containers.RepeatedScalarFieldContainer[str]
    secrets: _containers.RepeatedCompositeFieldContainer[Pairing.Secret]
    redirect_hosts: _containers.RepeatedScalarFieldContainer[str]
    max_age: _duration_pb2.Duration
    date_style: str
    list_syntax: str
    check_resdate: bool
    reopen: Reopen
    authentication: Authentication
    def __init__(self, fiu_id: _Optional[str] = ..., aa_id: _Optional[str] = ..., profile: _Optional[str] = ..., scheme: _Optional[_Union[Scheme, str]] = ..., webview_url: _Optional[str] = ..., handles: _Optional[_Iterable[str]] = ..., secrets: _Optional[_Iterable[_Union[Pairing.Secret, _Mapping]]] = ..., redirect_hosts: _Optional[_Iterable[str]] = ..., max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., date_style: _Optional[str] = ..., list_syntax: _Optional[str] = ..., check_resdate: bool = ..., reopen: _Optional[_Union[Reopen, str]] = ..., authentication: _Optional[_Union[Authentication, str]] = ...) -> None: ...
