// The arguments of calls. The service checks their forms; proto/aa/redirect/v1/redirect.proto describes them.

import type { CallbackStatus, RequestorType } from './enums.js';

/** What an FIU asks an AA for: the members of `ecreq`. */
export interface Redirect {
  /** A UUID that names this redirect. The service makes one if there is none. */
  readonly txnid?: string;
  /** Any text of the FIU. It comes back byte for byte. */
  readonly sessionid?: string;
  /** A name or mobile number, `@` and the AA's handle: `9999988888@aa`. */
  readonly userid: string;
  /** The absolute URL to return to. A string is sent unchanged, a URL as its `href`. */
  readonly redirect: string | URL;
  /** The consent handles, at least one. */
  readonly srcref: readonly string[];
  /** FIP ids. */
  readonly fipid?: readonly string[];
  /** E-mail address of the user. */
  readonly email?: string;
  /** Permanent account number: `ABCDE1234F`. */
  readonly pan?: string;
  /** Date of birth: `YYYY-MM-DD`. */
  readonly dob?: string;
  /** `en-IN`, `hi-IN` and so on. */
  readonly isoLanguageCode?: string;
  /** Members beyond the guideline's, by name. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** The outcome of a request: the members of `ecres`. */
export interface Callback {
  /** The request's, unchanged. */
  readonly txnid: string;
  /** The request's, unchanged. */
  readonly sessionid?: string;
  /** The request's, unchanged. */
  readonly userid: string;
  /** SUCCESS or FAILURE. */
  readonly status: CallbackStatus;
  /** The guideline's code for FAILURE; 0, or left out, for SUCCESS. */
  readonly errorcode?: number;
  /** The accepted consent handles, at least one for SUCCESS. */
  readonly srcref?: readonly string[];
  /** Members beyond the guideline's, by name. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** The parameters of a request URL, each as it is before percent-encoding. */
export interface RedirectParams {
  readonly fi: string;
  readonly reqdate: string;
  readonly ecreq: string;
  readonly iv?: string;
  readonly requestorType?: string;
}

/** The parameters of a callback URL, each as it is before percent-encoding. */
export interface CallbackParams {
  readonly fi: string;
  readonly resdate: string;
  readonly ecres: string;
  readonly iv?: string;
}

/** What an FIU asks the service to seal. */
export interface EncodeRedirectRequest {
  /** The FIU's id. */
  readonly fiuId: string;
  /** The AA's id. If it is left out, the handle of `redirect.userid` selects the AA. */
  readonly aaId?: string;
  /** The members. */
  readonly redirect: Redirect;
  /** Who asks for the data. If it is left out, the parameter is not sent. */
  readonly requestorType?: RequestorType;
  /** The instant that `reqdate` names; now by default. */
  readonly issueTime?: Date;
}

/** What an AA asks the service to seal. */
export interface EncodeCallbackRequest {
  /** The FIU's id. */
  readonly fiuId: string;
  /** The AA's id. */
  readonly aaId: string;
  /** The outcome. */
  readonly callback: Callback;
  /** The URL to return to, as `redirect` of the request brought it. A string is sent unchanged, a URL as its `href`. */
  readonly redirectUrl: string | URL;
  /** The instant that `resdate` names; now by default. */
  readonly issueTime?: Date;
  /** The secret that opened the request, so that an FIU that still has the old one can read the answer. */
  readonly secretId?: string;
}

/** The outcome of an opened request. */
export interface Outcome {
  /** The guideline's code that says why there is no consent; 0, the default: the user accepted. */
  readonly errorcode?: number;
  /** The accepted consent handles. If they are left out: all of the request if the user accepted, else none. */
  readonly srcref?: readonly string[];
  /** Members that the guideline does not have. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** Where the parameters are read from: the URL or query that the browser brought (`req.originalUrl`), or the parameters. */
export type Source<Params> =
  { readonly url: string | URL; readonly params?: never } | { readonly params: Params; readonly url?: never };

/** What a browser brought to an AA. */
export type DecodeRedirectRequest = Source<RedirectParams> & {
  /** The AA's id. It may be left out if only one pairing of the server fits. */
  readonly aaId?: string;
  /** Names this call for the service. If it is left out, the client makes one. Set it only if you repeat calls yourself. */
  readonly attemptId?: string;
};

/** What the FIU's record says. A callback that differs is refused (`NOT_EXPECTED`). Nothing else detects a spliced one. */
export interface Expected {
  /** What the FIU sent; `SealedRedirect.expected` has all. */
  readonly txnid: string;
  /** What the FIU sent; empty if it is left out. */
  readonly sessionid?: string;
  /** What the FIU sent. */
  readonly userid: string;
  /** The AA to which the user was sent. If it is left out, any AA matches. */
  readonly aaId?: string;
}

/** In place of {@link Expected}: opens the callback without comparing it. The caller then compares it by itself. */
export const NOT_COMPARED: unique symbol = Symbol('NOT_COMPARED');

/** What a browser brought back to an FIU. */
export type DecodeCallbackRequest = Source<CallbackParams> & {
  /** The FIU's id. It may be left out if only one pairing of the server fits. */
  readonly fiuId?: string;
  /** What the FIU's record says, or {@link NOT_COMPARED}. */
  readonly expected: Expected | typeof NOT_COMPARED;
  /** Names this call for the service. If it is left out, the client makes one. Set it only if you repeat calls yourself. */
  readonly attemptId?: string;
};

/** The options of one call. */
export interface CallOptions {
  /** For this call as a whole, in place of the client's. */
  readonly deadlineMillis?: number;
  /** Ends the call. */
  readonly signal?: AbortSignal;
  /** An `x-request-id` to pass on; one that is not of the form `[A-Za-z0-9._-]{1,64}` is left out. */
  readonly requestId?: string | undefined;
  /** A `traceparent` to pass on (W3C Trace Context); one of another form is left out. */
  readonly traceparent?: string | undefined;
}
