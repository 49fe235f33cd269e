// Reads the details of a refused call: the reason to decide by, and what to log.

import grpc from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RetryInfo } from 'nice-grpc-error-details';
// google.rpc.Status, which holds the others; the package's index leaves it out.
import { Status } from 'nice-grpc-error-details/lib/proto/google/rpc/status.js';

/** A call that was refused. */
export class Refusal extends Error {
  /** The gRPC status code. */
  code;
  /** A name of ErrorReason without its prefix; undefined if the gRPC library refused the call, as with UNAVAILABLE. */
  reason;
  domain;
  /** The variables of the message, such as `age_seconds`. */
  metadata = {};
  /** Every field that is wrong, as `{ field, description }`. */
  violations = [];
  /** How long to wait before the next try; undefined: do not try again. */
  retryMillis;

  constructor(cause) {
    super(cause.details, { cause });
    this.code = cause.code;
  }

  /** For a log: it has no payload, user id or secret, because the errors of the service have none. */
  toString() {
    const lines = [`${this.reason ?? grpc.status[this.code]}: ${this.message}`];
    for (const [name, value] of Object.entries(this.metadata)) lines.push(`  ${name} = ${value}`);
    for (const { field, description } of this.violations) lines.push(`  ${field} ${description}`);
    return lines.join('\n');
  }
}

/** The Refusal of an error that @grpc/grpc-js gave. */
export function readRefusal(error) {
  const refusal = new Refusal(error);
  const [binary] = error.metadata?.get('grpc-status-details-bin') ?? [];
  for (const { typeUrl, value } of binary ? Status.decode(binary).details : []) {
    switch (typeUrl) {
      case 'type.googleapis.com/google.rpc.ErrorInfo':
        ({ reason: refusal.reason, domain: refusal.domain, metadata: refusal.metadata } = ErrorInfo.decode(value));
        break;
      case 'type.googleapis.com/google.rpc.BadRequest':
        refusal.violations = BadRequest.decode(value).fieldViolations.map(({ field, description }) => ({
          field,
          description,
        }));
        break;
      case 'type.googleapis.com/google.rpc.RetryInfo': {
        const { seconds, nanos } = RetryInfo.decode(value).retryDelay;
        refusal.retryMillis = Number(seconds) * 1000 + nanos / 1e6;
        break;
      }
    }
  }
  return refusal;
}
