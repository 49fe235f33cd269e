/**
 * The client of aa-redirect, the service that encodes and decodes the browser redirects between a Financial Information
 * User (FIU) and an Account Aggregator (AA).
 *
 * An FIU calls {@link RedirectClient.encodeRedirect} before the user leaves and {@link RedirectClient.decodeCallback} when
 * the user comes back; an AA calls {@link RedirectClient.decodeRedirect} and {@link RedirectClient.encodeCallback}. A call
 * that fails rejects with a {@link RedirectError}, whose `reason` says what to do.
 *
 * Messages contain the user's data, so results and the client print without their content.
 *
 * @packageDocumentation
 */
export { RedirectClient } from './client.js';
export type {
  Authentication,
  CallbackStatus,
  Deviation,
  Reopen,
  RequestorType,
  Scheme,
  SecretState,
  Unknown,
} from './enums.js';
export { RedirectError } from './errors.js';
export type { Failure, LocalReason, Reason, ServiceReason, Violation } from './errors.js';
export type { ClientOptions, DeviationReport, TlsOptions, Token } from './options.js';
export type { Pairing } from './pairings.js';
export { NOT_COMPARED } from './requests.js';
export type {
  Callback,
  CallbackParams,
  CallOptions,
  DecodeCallbackRequest,
  DecodeRedirectRequest,
  EncodeCallbackRequest,
  EncodeRedirectRequest,
  Expected,
  Outcome,
  Redirect,
  RedirectParams,
  Source,
} from './requests.js';
export type {
  CallbackMembers,
  DeviationDetail,
  OpenedCallback,
  OpenedRedirect,
  RedirectMembers,
  SealedCallback,
  SealedRedirect,
} from './results.js';
export { VERSION } from './version.js';
