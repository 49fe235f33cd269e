// The results of calls. A result keeps its message in a private field, which getters read. Printing, JSON and spread do
// not reach it.

import { inspect } from 'node:util';

import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';

import { nameOf } from './enums.js';
import type { CallbackStatus, Deviation, RequestorType, Unknown } from './enums.js';
import { RedirectError } from './errors.js';
import * as pb from './gen/aa/redirect/v1/redirect_pb.js';
import type { EncodeRedirectRequest, Expected } from './requests.js';

/** A repair, and the place where it was made. */
export interface DeviationDetail {
  /** What was repaired. */
  readonly deviation: Deviation | Unknown;
  /** The parameter or member, such as `fi` or `srcref`; empty for the whole URL or text; `extra` for an extra member. */
  readonly place: string;
}

/** Prints its name, and values that are not the user's data. */
abstract class Printed {
  /** What prints. */
  protected abstract shown(): Readonly<Record<string, unknown>>;

  toString(): string {
    const parts = Object.entries(this.shown()).map(([name, value]) => `${name}=${String(value)}`);
    return `${this.constructor.name}(${parts.join(' ')})`;
  }

  toJSON(): Readonly<Record<string, unknown>> {
    return this.shown();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** The members of an opened redirect. */
export class RedirectMembers extends Printed {
  readonly #m: pb.Redirect;
  /** @internal */
  constructor(message: pb.Redirect | undefined) {
    super();
    this.#m = present(message);
    Object.freeze(this);
  }
  get txnid(): string {
    return this.#m.txnid;
  }
  get sessionid(): string {
    return this.#m.sessionid;
  }
  get userid(): string {
    return this.#m.userid;
  }
  /** The URL to return to, as exact text. */
  get redirect(): string {
    return this.#m.redirect;
  }
  get srcref(): readonly string[] {
    return Object.freeze([...this.#m.srcref]);
  }
  get fipid(): readonly string[] {
    return Object.freeze([...this.#m.fipid]);
  }
  get email(): string {
    return this.#m.email;
  }
  get pan(): string {
    return this.#m.pan;
  }
  get dob(): string {
    return this.#m.dob;
  }
  get isoLanguageCode(): string {
    return this.#m.isoLanguageCode;
  }
  /** Members beyond the guideline's, by name. Its prototype is null: a name may be anything. */
  get extra(): Readonly<Record<string, string>> {
    return frozen(this.#m.extra);
  }
  protected override shown(): Readonly<Record<string, unknown>> {
    return {};
  }
}

/** The members of an opened callback. */
export class CallbackMembers extends Printed {
  readonly #m: pb.Callback;
  /** @internal */
  constructor(message: pb.Callback | undefined) {
    super();
    this.#m = present(message);
    Object.freeze(this);
  }
  get txnid(): string {
    return this.#m.txnid;
  }
  get sessionid(): string {
    return this.#m.sessionid;
  }
  get userid(): string {
    return this.#m.userid;
  }
  get status(): CallbackStatus | Unknown {
    return nameOf(pb.CallbackStatus, this.#m.status) ?? 'UNKNOWN_0';
  }
  get errorcode(): number {
    return this.#m.errorcode;
  }
  get srcref(): readonly string[] {
    return Object.freeze([...this.#m.srcref]);
  }
  /** Members beyond the guideline's, by name. Its prototype is null: a name may be anything. */
  get extra(): Readonly<Record<string, string>> {
    return frozen(this.#m.extra);
  }
  protected override shown(): Readonly<Record<string, unknown>> {
    return { status: this.status, errorcode: this.errorcode };
  }
}

/** A redirect for the user's browser. */
export class SealedRedirect extends Printed {
  readonly #m: pb.EncodeRedirectResponse;
  readonly #expected: Expected;
  /** @internal */
  constructor(
    message: pb.EncodeRedirectResponse,
    { aaId, redirect: { sessionid = '', userid } }: EncodeRedirectRequest,
  ) {
    super();
    this.#m = message;
    const expected = { txnid: message.txnid, sessionid, userid, ...(aaId === undefined ? {} : { aaId }) };
    // JSON contains it, for session stores. Printing does not show it.
    const value = (): string => 'Expected(members not shown)';
    this.#expected = Object.freeze(Object.defineProperty(expected, inspect.custom, { value }));
    Object.freeze(this);
  }
  /**
   * The URL of the AA's web view with the sealed parameters, as exact text for the `Location` header. Keep it out of
   * logs: it leads to the user's data. Throws a RedirectError (`LOCAL_WEBVIEW_MISSING`) for a pairing without a web view:
   * build the URL from `query`.
   */
  get location(): string {
    if (this.#m.url !== '') return this.#m.url;
    throw new RedirectError({
      reason: 'LOCAL_WEBVIEW_MISSING',
      code: status.FAILED_PRECONDITION,
      serviceMessage: 'the pairing has no web view URL: name one in the keyring, or build the URL from the query',
      method: 'EncodeRedirect',
      tries: 1,
    });
  }
  /** `location` as a URL. */
  get url(): URL {
    return new URL(this.location);
  }
  /** The parameters as a query without `?`, percent-encoded. */
  get query(): string {
    return this.#m.query;
  }
  /** The parameters before percent-encoding. */
  get params(): Readonly<Record<'fi' | 'reqdate' | 'ecreq' | 'iv' | 'requestorType', string>> {
    const { fi, reqdate, ecreq, iv, requestorType } = present(this.#m.params);
    return Object.freeze({ fi, reqdate, ecreq, iv, requestorType });
  }
  /** The `txnid` that was given or made. */
  get txnid(): string {
    return this.#m.txnid;
  }
  /** What the callback must match: keep it with the user's session for `decodeCallback`. */
  get expected(): Expected {
    return this.#expected;
  }
  /** Names the secret that sealed. */
  get secretId(): string {
    return this.#m.secretId;
  }
  /** The instant that `reqdate` was written from. */
  get issueTime(): Date {
    return date(this.#m.issueTime);
  }
  /** The end of the pairing's window. Send the browser before it. */
  get expireTime(): Date {
    return date(this.#m.expireTime);
  }
  protected override shown(): Readonly<Record<string, unknown>> {
    return { secretId: this.secretId };
  }
}

/** The way back for the user's browser. */
export class SealedCallback extends Printed {
  readonly #m: pb.EncodeCallbackResponse;
  /** @internal */
  constructor(message: pb.EncodeCallbackResponse) {
    super();
    this.#m = message;
    Object.freeze(this);
  }
  /** The FIU's URL with the sealed parameters, as exact text for the `Location` header. Keep it out of logs. */
  get location(): string {
    return this.#m.url;
  }
  /** `location` as a URL. */
  get url(): URL {
    return new URL(this.location);
  }
  /** The parameters as a query without `?`, percent-encoded. */
  get query(): string {
    return this.#m.query;
  }
  /** The parameters before percent-encoding. */
  get params(): Readonly<Record<'fi' | 'resdate' | 'ecres' | 'iv', string>> {
    const { fi, resdate, ecres, iv } = present(this.#m.params);
    return Object.freeze({ fi, resdate, ecres, iv });
  }
  /** Names the secret that sealed. */
  get secretId(): string {
    return this.#m.secretId;
  }
  /** The instant that `resdate` was written from. */
  get issueTime(): Date {
    return date(this.#m.issueTime);
  }
  /** The end of the pairing's window. */
  get expireTime(): Date {
    return date(this.#m.expireTime);
  }
  protected override shown(): Readonly<Record<string, unknown>> {
    return { secretId: this.secretId };
  }
}

/** What every opened message has. */
abstract class Opened<M extends pb.DecodeRedirectResponse | pb.DecodeCallbackResponse> extends Printed {
  readonly #m: M;
  /** @internal */
  constructor(message: M) {
    super();
    this.#m = message;
  }
  /** The FIU's id. */
  get fiuId(): string {
    return this.#m.fiuId;
  }
  /** The AA's id. */
  get aaId(): string {
    return this.#m.aaId;
  }
  /** The instant that the date names; unknown seconds are 0. */
  get issueTime(): Date {
    return date(this.#m.issueTime);
  }
  /** Now minus `issueTime` in milliseconds; negative for a date ahead. */
  get ageMillis(): number {
    return durationMs(present<Duration>(this.#m.age));
  }
  /** Names the secret that opened the message. An AA gives it to `encodeCallback`. */
  get secretId(): string {
    return this.#m.secretId;
  }
  /** False if the other side still seals with an old secret. */
  get primarySecret(): boolean {
    return this.#m.primarySecret;
  }
  /** The repairs, each with its place; none for a clean message. */
  get deviations(): readonly DeviationDetail[] {
    return details(this.#m);
  }
  /** Whether this message was opened before, as far as the service remembers. A reload of the page opens it again, too. */
  get reopened(): boolean {
    return this.#m.reopened;
  }
  /** When this message was first opened, as far as the service remembers. */
  get firstOpenTime(): Date | undefined {
    return this.#m.firstOpenTime && date(this.#m.firstOpenTime);
  }
  /** The same for every message that an attacker could make from this one. To act only once, store it until `replayUntil`. */
  get replayKey(): string {
    return this.#m.replayKey;
  }
  /**
   * The last instant at which a message with this date could still be accepted; undefined if the pairing does not check
   * `resdate`, because then a message never expires.
   */
  get replayUntil(): Date | undefined {
    return this.#m.replayUntil && date(this.#m.replayUntil, Math.ceil);
  }
  /** Whether the message carried a right tag (the pairing's setting `authentication`). */
  get authenticated(): boolean {
    return this.#m.authenticated;
  }
  protected override shown(): Readonly<Record<string, unknown>> {
    return { fiuId: this.fiuId, aaId: this.aaId, secretId: this.secretId, reopened: this.reopened };
  }
}

/** What an FIU asks for. */
export class OpenedRedirect extends Opened<pb.DecodeRedirectResponse> {
  /** The members. Return `txnid`, `sessionid` and `userid` unchanged. */
  readonly redirect: RedirectMembers;
  /** Undefined if the parameter was absent. */
  readonly requestorType: RequestorType | Unknown | undefined;
  /** @internal */
  constructor(message: pb.DecodeRedirectResponse) {
    super(message);
    this.redirect = new RedirectMembers(message.redirect);
    this.requestorType = nameOf(pb.RequestorType, message.requestorType);
    Object.freeze(this);
  }
}

/** The outcome of a request. */
export class OpenedCallback extends Opened<pb.DecodeCallbackResponse> {
  /** The outcome. Ask the AA for the consent before you act: only the secret shows where the callback comes from. */
  readonly callback: CallbackMembers;
  /** The guideline's text for the error code. */
  readonly errorMessage: string;
  /** @internal */
  constructor(message: pb.DecodeCallbackResponse) {
    super(message);
    this.callback = new CallbackMembers(message.callback);
    this.errorMessage = message.errorMessage;
    Object.freeze(this);
  }
  /** Whether the status is SUCCESS and the error code is 0. An AA may contradict itself (`STATUS_MISMATCH`). */
  get accepted(): boolean {
    return this.callback.status === 'SUCCESS' && this.callback.errorcode === 0;
  }
}

/** A message that aa-redirect always sets. If it is absent, something other than aa-redirect answered. */
function present<T>(message: T | undefined): T {
  if (message !== undefined) return message;
  throw new RedirectError({
    reason: 'LOCAL_UNEXPECTED_ANSWER',
    code: status.INTERNAL,
    serviceMessage: 'the answer lacks a field that aa-redirect always sets',
    method: '',
    tries: 1,
  });
}

/** A `Date` has only milliseconds. The format cuts dates and does not round them, so this cuts too. */
function date(timestamp: Timestamp | undefined, toMillis = Math.floor): Date {
  const { seconds, nanos } = present(timestamp);
  return new Date(Number(seconds) * 1000 + toMillis(nanos / 1e6));
}

function frozen(map: Record<string, string>): Readonly<Record<string, string>> {
  return Object.freeze(Object.assign(Object.create(null) as Record<string, string>, map));
}

/** The deviations with their places. An older server sends only the kinds. */
function details(message: pb.DecodeRedirectResponse | pb.DecodeCallbackResponse): readonly DeviationDetail[] {
  const placed = message.deviationDetails.map(({ deviation, place }) => ({ deviation, place }));
  const bare = message.deviations
    .filter((kind) => !placed.some(({ deviation }) => deviation === kind))
    .map((deviation) => ({ deviation, place: '' }));
  const named = [...placed, ...bare].map(({ deviation, place }) =>
    Object.freeze({ deviation: nameOf(pb.Deviation, deviation) ?? 'UNKNOWN_0', place }),
  );
  return Object.freeze(named);
}
