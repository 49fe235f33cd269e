// Why a call failed: read from the details of the status, or named here if the service said nothing.

import { fromBinary } from '@bufbuild/protobuf';
import type { Message } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import type { Any } from '@bufbuild/protobuf/wkt';
import { Metadata, status } from '@grpc/grpc-js';

import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
  StatusSchema,
} from './gen/google/rpc/details_pb.js';

const DOMAIN = 'aa.redirect.v1';

/** Reasons of the service. The proto says when each is given, and whose side is at fault. */
export type ServiceReason =
  | 'FIELD_INVALID'
  | 'URL_MALFORMED'
  | 'PARAMETER_MALFORMED'
  | 'DATE_MALFORMED'
  | 'DATE_EXPIRED'
  | 'DATE_IN_FUTURE'
  | 'PAIRING_UNKNOWN'
  | 'PAIRING_AMBIGUOUS'
  | 'SCHEME_MISMATCH'
  | 'REDIRECT_FORBIDDEN'
  | 'UNDECIPHERABLE'
  | 'CALLER_FORBIDDEN'
  | 'CALLER_UNKNOWN'
  | 'OVERLOADED'
  | 'NOT_READY'
  | 'TIMED_OUT'
  | 'INTERNAL_FAULT'
  | 'REQUEST_TOO_LARGE'
  | 'ALREADY_OPENED'
  | 'NOT_EXPECTED'
  | 'STORE_UNAVAILABLE';

/**
 * Reasons of this package, for failures about which the service said nothing:
 *
 * - `LOCAL_DEADLINE_EXCEEDED`: no answer within the call's deadline
 * - `LOCAL_UNREACHABLE`: no connection, or it was lost before the answer
 * - `LOCAL_CANCELLED`: the signal aborted the call, or the client closed
 * - `LOCAL_UNEXPECTED_ANSWER`: something other than aa-redirect answered
 * - `LOCAL_WEBVIEW_MISSING`: the pairing has no web view, so there is no URL
 */
export type LocalReason =
  | 'LOCAL_DEADLINE_EXCEEDED'
  | 'LOCAL_UNREACHABLE'
  | 'LOCAL_CANCELLED'
  | 'LOCAL_UNEXPECTED_ANSWER'
  | 'LOCAL_WEBVIEW_MISSING';

/** Why a call failed. Reasons never change. One that this package does not know yet is kept as its text. */
export type Reason = ServiceReason | LocalReason | (string & Record<never, never>);

/** A field of the request that is missing or malformed. */
export interface Violation {
  /** Its path in the proto: `redirect.userid`. */
  readonly field: string;
  /** What it must be. */
  readonly description: string;
}

/** What a {@link RedirectError} is made of. */
export interface Failure {
  readonly reason: Reason;
  readonly code: status;
  readonly serviceMessage: string;
  readonly method: string;
  readonly tries: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly violations?: readonly Violation[];
  readonly requestId?: string | undefined;
  readonly retryDelayMillis?: number | undefined;
}

/**
 * Why a call failed. Decide by `reason`, and log the error as it is: its `message` is one line without any payload, user id
 * or secret.
 */
export class RedirectError extends Error {
  override readonly name = 'RedirectError';
  /** The value to decide by. */
  readonly reason: Reason;
  /** The gRPC status. */
  readonly code: status;
  /** What the service says, for people; it may change. */
  readonly serviceMessage: string;
  /** The RPC: `DecodeCallback`. */
  readonly method: string;
  /** The values that the message names. */
  readonly metadata: Readonly<Record<string, string>>;
  /** All fields that are wrong, for `FIELD_INVALID`. */
  readonly violations: readonly Violation[];
  /** The likely cause, such as `LOCAL_TIME` for a date. */
  readonly hint: string | undefined;
  /** Finds the call in the service's log. */
  readonly requestId: string | undefined;
  /** How long the service asks to wait. */
  readonly retryDelayMillis: number | undefined;
  /** The number of tries that were made. */
  readonly tries: number;

  constructor(failure: Failure) {
    super(line(failure));
    this.reason = failure.reason;
    this.code = failure.code;
    this.serviceMessage = failure.serviceMessage;
    this.method = failure.method;
    this.metadata = Object.freeze({ ...failure.metadata });
    this.violations = Object.freeze([...(failure.violations ?? [])]);
    this.hint = failure.metadata?.hint;
    this.requestId = failure.requestId;
    this.retryDelayMillis = failure.retryDelayMillis;
    this.tries = failure.tries;
  }
}

/** Reason, message, violations, and in brackets method, metadata, request id and tries. */
function line(failure: Failure): string {
  const violations = (failure.violations ?? [])
    .filter(({ field, description }) => failure.serviceMessage !== `${field} ${description}`) // the message says it
    .map(({ field, description }) => `; ${field}: ${description}`);
  const variables = Object.entries(failure.metadata ?? {})
    .filter(([name]) => name !== 'fields') // the violations say it
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => ` ${name}=${value}`);
  if (failure.requestId !== undefined) variables.push(` request_id=${failure.requestId}`);
  const text =
    `${failure.reason}: ${failure.serviceMessage}${violations.join('')} ` +
    `[${failure.method}${variables.join('')} tries=${String(failure.tries)}]`;
  // A proxy's message may have line ends.
  return text.replaceAll(/\p{Cc}/gu, ' ');
}

/** A status as @grpc/grpc-js gives it. @internal */
export interface GrpcFailure {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** What a try failed with, and what came with it. @internal */
export interface FailedTry {
  readonly failure: Failure;
  /** `grpc-retry-pushback-ms`; negative: do not try again. */
  readonly pushback: number | undefined;
}

/** @internal */
export function readFailure(method: string, error: GrpcFailure, header: Metadata, tries: number): FailedTry {
  const told = readDetails(error.metadata);
  const pushbackText = text(error.metadata, 'grpc-retry-pushback-ms');
  const pushback = pushbackText === undefined ? undefined : Number.parseInt(pushbackText, 10);
  const common = {
    method,
    tries,
    code: error.code,
    violations: told.violations,
    requestId: told.requestId ?? text(error.metadata, 'x-request-id') ?? text(header, 'x-request-id'),
    retryDelayMillis: pushback !== undefined && pushback >= 0 ? pushback : told.retryDelayMillis,
  };
  if (told.reason !== undefined) {
    const failure = { ...common, reason: told.reason, metadata: told.metadata, serviceMessage: error.details };
    return { failure, pushback };
  }
  const lost = error.code === status.INTERNAL && error.details.startsWith(LOST);
  const code = lost ? status.UNAVAILABLE : error.code;
  const reason = LOCAL[code] ?? 'LOCAL_UNEXPECTED_ANSWER';
  return { failure: { ...common, code, reason, serviceMessage: explain(reason, error) }, pushback };
}

function explain(reason: LocalReason, { code, details }: GrpcFailure): string {
  switch (reason) {
    case 'LOCAL_UNREACHABLE':
      return `no connection to the service, or it was lost: ${details}`;
    case 'LOCAL_UNEXPECTED_ANSWER':
      return `not an answer of aa-redirect, so look at what is between: ${status[code]}: ${details}`;
    default:
      return details;
  }
}

/** What grpc-js says if the connection closes between the request and its answer. It does not say UNAVAILABLE then. */
const LOST = 'Received RST_STREAM with code 0 (Call ended without gRPC status)';

const LOCAL: Partial<Record<status, LocalReason>> = {
  [status.DEADLINE_EXCEEDED]: 'LOCAL_DEADLINE_EXCEEDED',
  [status.CANCELLED]: 'LOCAL_CANCELLED',
  [status.UNAVAILABLE]: 'LOCAL_UNREACHABLE',
};

interface Details {
  reason?: string;
  metadata: Record<string, string>;
  violations: Violation[];
  requestId?: string;
  retryDelayMillis?: number;
}

function readDetails(metadata: Metadata): Details {
  const told: Details = { metadata: {}, violations: [] };
  const [binary] = metadata.get('grpc-status-details-bin');
  if (!Buffer.isBuffer(binary)) return told;
  for (const detail of unpack(StatusSchema, binary)?.details ?? []) readDetail(told, detail);
  return told;
}

function readDetail(told: Details, { typeUrl, value }: Any): void {
  switch (typeUrl.slice(typeUrl.lastIndexOf('/') + 1)) {
    case ErrorInfoSchema.typeName: {
      const info = unpack(ErrorInfoSchema, value);
      if (info?.domain !== DOMAIN) return;
      told.reason = info.reason;
      told.metadata = info.metadata;
      return;
    }
    case BadRequestSchema.typeName: {
      const violations = unpack(BadRequestSchema, value)?.fieldViolations ?? [];
      told.violations = violations.map(({ field, description }) => Object.freeze({ field, description }));
      return;
    }
    case RetryInfoSchema.typeName: {
      const delay = unpack(RetryInfoSchema, value)?.retryDelay;
      if (delay) told.retryDelayMillis = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
      return;
    }
    case RequestInfoSchema.typeName: {
      const id = unpack(RequestInfoSchema, value)?.requestId;
      if (id) told.requestId = id;
    }
  }
}

/** Undefined for bytes that are not such a message: a proxy may send anything. */
function unpack<T extends Message>(schema: GenMessage<T>, bytes: Uint8Array): T | undefined {
  try {
    return fromBinary(schema, bytes);
  } catch {
    return undefined;
  }
}

function text(metadata: Metadata, name: string): string | undefined {
  return metadata.get(name)[0]?.toString();
}
