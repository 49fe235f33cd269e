// What a TypeScript program may and may not write. Only `tsc --strict` reads this file; it never runs.

import { NOT_COMPARED, RedirectClient, RedirectError } from 'aa-redirect';
import type * as types from 'aa-redirect';
import type { CallbackStatus, Deviation, Reason, Unknown } from 'aa-redirect';

import type * as pb from '../dist/gen/aa/redirect/v1/redirect_pb.js';

const client = new RedirectClient({ addresses: ['a:1', 'unix:/b'], tls: { roots: 'pem' }, token: 't' });
const redirect = { userid: 'u@aa', redirect: new URL('https://fiu.example/'), srcref: ['h'] } as const;

export async function right(): Promise<void> {
  const sealed = await client.encodeRedirect({ fiuId: 'f', redirect, requestorType: 'FIU', issueTime: new Date() });
  const url: URL = sealed.url;
  const expected = { txnid: sealed.txnid, userid: 'u@aa' };
  const opened = await client.decodeCallback(
    { url, expected },
    { signal: AbortSignal.timeout(1), requestId: undefined },
  );
  await client.decodeCallback({ params: { fi: 'f', resdate: 'd', ecres: 'e' }, expected: NOT_COMPARED });
  const status: CallbackStatus | Unknown = opened.callback.status;
  const kinds: (Deviation | Unknown)[] = opened.deviations.map(({ deviation }) => deviation);
  const until: Date | undefined = opened.replayUntil;
  const request = await client.decodeRedirect({ url: '/' });
  await client.encodeRedirect({ fiuId: 'f', redirect: request.redirect });
  for await (const { fiuId, maxAgeMillis } of client.pairings()) console.log(fiuId, maxAgeMillis, status, kinds, until);
}

export function reasons(error: unknown): Reason | undefined {
  if (!(error instanceof RedirectError)) return undefined;
  switch (error.reason) {
    case 'DATE_EXPIRED':
    case 'LOCAL_UNREACHABLE':
    case 'A_REASON_OF_TOMORROW':
      return error.reason;
    default:
      return undefined;
  }
}

export async function wrong(): Promise<void> {
  // @ts-expect-error: `expected` is required
  await client.decodeCallback({ url: '/' });
  // @ts-expect-error: undefined does not count as leaving it out
  await client.decodeCallback({ url: '/', expected: undefined });
  // @ts-expect-error: a URL or parameters, not both
  await client.decodeRedirect({ url: '/', params: { fi: '', reqdate: '', ecreq: '' } });
  // @ts-expect-error: a status of the enum
  const status: CallbackStatus = 'S';
  console.log(status);
  const opened = await client.decodeRedirect({ url: '/' });
  // @ts-expect-error: results do not change
  opened.redirect.userid = 'x';
  // @ts-expect-error: their lists do not change either
  opened.redirect.srcref.push('x');
}

/** True if two unions have the same members. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
type Names<E> = Exclude<keyof E, 'UNSPECIFIED'>;

export const unionsAreThoseOfTheProto: [
  Same<types.RequestorType, Names<typeof pb.RequestorType>>,
  Same<types.CallbackStatus, Names<typeof pb.CallbackStatus>>,
  Same<types.Scheme, Names<typeof pb.Scheme>>,
  Same<types.SecretState, Names<typeof pb.SecretState>>,
  Same<types.Reopen, Names<typeof pb.Reopen>>,
  Same<types.Authentication, Names<typeof pb.Authentication>>,
  Same<types.Deviation, Names<typeof pb.Deviation>>,
  Same<types.ServiceReason, Names<typeof pb.ErrorReason>>,
] = [true, true, true, true, true, true, true, true];
