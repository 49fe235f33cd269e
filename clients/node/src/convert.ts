// Converts what callers give to the messages of the proto. It checks nothing that the service checks.

import { randomUUID } from 'node:crypto';

import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';

import { numberOf } from './enums.js';
import * as pb from './gen/aa/redirect/v1/redirect_pb.js';
import { NOT_COMPARED } from './requests.js';
import type {
  DecodeCallbackRequest,
  DecodeRedirectRequest,
  EncodeCallbackRequest,
  EncodeRedirectRequest,
} from './requests.js';

/** @internal */
export function encodeRedirect(request: EncodeRedirectRequest): pb.EncodeRedirectRequest {
  // Picks the members by name, because an object of the caller may have others.
  const { txnid, sessionid, userid, redirect, srcref, fipid, email, pan, dob, isoLanguageCode, extra } =
    request.redirect;
  return create(pb.EncodeRedirectRequestSchema, {
    ...given({
      fiuId: request.fiuId,
      aaId: request.aaId,
      issueTime: request.issueTime && timestampFromDate(request.issueTime),
    }),
    requestorType: numberOf(pb.RequestorType, request.requestorType, 'requestorType'),
    redirect: given({
      ...{ txnid, sessionid, userid, redirect: text(redirect), srcref: list(srcref), fipid: list(fipid) },
      ...{ email, pan, dob, isoLanguageCode, extra: extra && { ...extra } },
    }),
  });
}

/** @internal */
export function decodeRedirect(request: DecodeRedirectRequest): pb.DecodeRedirectRequest {
  const { fi, reqdate, ecreq, iv, requestorType } = request.params ?? { fi: '', reqdate: '', ecreq: '' };
  return create(pb.DecodeRedirectRequestSchema, {
    ...given({ aaId: request.aaId }),
    attemptId: request.attemptId ?? randomUUID(),
    source: source(request, create(pb.RedirectParamsSchema, given({ fi, reqdate, ecreq, iv, requestorType }))),
  });
}

/** @internal */
export function encodeCallback(request: EncodeCallbackRequest): pb.EncodeCallbackRequest {
  const { txnid, sessionid, userid, status, errorcode, srcref, extra } = request.callback;
  return create(pb.EncodeCallbackRequestSchema, {
    ...given({ fiuId: request.fiuId, aaId: request.aaId, secretId: request.secretId }),
    ...given({ issueTime: request.issueTime && timestampFromDate(request.issueTime) }),
    redirectUrl: text(request.redirectUrl),
    callback: given({
      ...{ txnid, sessionid, userid, errorcode, srcref: list(srcref), extra: extra && { ...extra } },
      status: numberOf(pb.CallbackStatus, status, 'callback.status'),
    }),
  });
}

/** @internal */
export function decodeCallback(request: DecodeCallbackRequest): pb.DecodeCallbackRequest {
  const { fi, resdate, ecres, iv } = request.params ?? { fi: '', resdate: '', ecres: '' };
  const expected = request.expected as DecodeCallbackRequest['expected'] | undefined | null;
  if (expected === undefined || expected === null) {
    throw new TypeError('expected is required: what your record says of this callback; NOT_COMPARED leaves it out');
  }
  return create(pb.DecodeCallbackRequestSchema, {
    ...given({ fiuId: request.fiuId }),
    ...(expected === NOT_COMPARED ? {} : { expected: record(expected) }),
    attemptId: request.attemptId ?? randomUUID(),
    source: source(request, create(pb.CallbackParamsSchema, given({ fi, resdate, ecres, iv }))),
  });
}

function record(expected: Exclude<DecodeCallbackRequest['expected'], symbol>): pb.ExpectedCallback {
  const { txnid, sessionid, userid, aaId } = expected;
  return create(pb.ExpectedCallbackSchema, given({ txnid, sessionid, userid, aaId }));
}

type Case<P> = { case: 'url'; value: string } | { case: 'params'; value: P };

function source<P>(request: { url?: unknown; params?: unknown }, params: P): Case<P> {
  const { url } = request as { url?: string | URL };
  if (url !== undefined && request.params !== undefined) throw new TypeError('give url or params, not both');
  return request.params === undefined ? { case: 'url', value: text(url ?? '') } : { case: 'params', value: params };
}

function text(url: string | URL): string {
  return typeof url === 'string' ? url : url.href;
}

function list(items: readonly string[] | undefined): string[] | undefined {
  return items && [...items];
}

/** Leaves out what is not given, because a message must not have undefined fields. */
function given<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as { [K in keyof T]: Exclude<T[K], undefined> };
}
