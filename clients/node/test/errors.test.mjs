// What a failed call tells, and which failures are tried again.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';

import { NOT_COMPARED } from 'aa-redirect';
import { create } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';

import pb from '../dist/gen/aa/redirect/v1/redirect_pb.js';
import { fail, fake, hang, refuse } from './fake.mjs';
import { connect, failure, FIU, REDIRECT } from './service.mjs';

const REQUEST = { fiuId: FIU, redirect: REDIRECT };

async function encode(t, answer, reason) {
  const { address } = await fake(t, answer);
  return failure(connect(t, address).encodeRedirect(REQUEST), reason);
}

test('an error has everything that the service sends', async (t) => {
  const violations = [
    { field: 'redirect.userid', description: 'is required' },
    { field: 'redirect.pan', description: 'must be a PAN' },
  ];
  const refusal = refuse('INVALID_ARGUMENT', 'FIELD_INVALID', { violations, requestId: 'r-1', retryMillis: 1500 });
  const error = await encode(t, refusal, 'FIELD_INVALID');
  assert.equal(
    error.message,
    'FIELD_INVALID: what went wrong; redirect.userid: is required; redirect.pan: must be a PAN ' +
      '[EncodeRedirect hint=LOCAL_TIME request_id=r-1 tries=1]',
  );
  assert.equal(String(error), `RedirectError: ${error.message}`);
  assert.deepEqual(error.violations, violations);
  assert.deepEqual({ ...error.metadata }, { hint: 'LOCAL_TIME', fields: 'a, b' });
  const { code, serviceMessage, method, hint, requestId, retryDelayMillis, tries } = error;
  assert.deepEqual(
    { code, serviceMessage, method, hint, requestId, retryDelayMillis, tries },
    {
      ...{ code: grpc.status.INVALID_ARGUMENT, serviceMessage: 'what went wrong', method: 'EncodeRedirect' },
      ...{ hint: 'LOCAL_TIME', requestId: 'r-1', retryDelayMillis: 1500, tries: 1 },
    },
  );
  assert.throws(() => error.violations.push({}), TypeError);
  assert.throws(() => (error.metadata.hint = ''), TypeError);
});

const REASONS = Object.keys(pb.ErrorReason).filter((name) => /^[A-Z]/.test(name) && name !== 'UNSPECIFIED');

for (const reason of [...REASONS, 'MOON_TOO_FULL']) {
  test(`the reason ${reason} arrives`, async (t) => {
    await encode(t, refuse('FAILED_PRECONDITION', reason), reason);
  });
}

test('an error of another domain is not the service’s', async (t) => {
  const foreign = refuse('PERMISSION_DENIED', 'FIELD_INVALID', { domain: 'proxy.example' });
  const error = await encode(t, foreign, 'LOCAL_UNEXPECTED_ANSWER');
  assert.deepEqual([{ ...error.metadata }, error.code], [{}, grpc.status.PERMISSION_DENIED]);
});

test('an error without details is not the service’s, and its text stays one line', async (t) => {
  const error = await encode(t, fail('RESOURCE_EXHAUSTED', 'quota\nof the proxy'), 'LOCAL_UNEXPECTED_ANSWER');
  assert.match(error.message, /not an answer of aa-redirect, so look at what is between: RESOURCE_EXHAUSTED: quota/);
  assert.doesNotMatch(error.message, /\n/);
  assert.equal(error.tries, 1);
});

test('details that cannot be read do not hide the error', async (t) => {
  const metadata = new grpc.Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff]));
  await encode(t, (_, respond) => respond({ code: 13, details: 'x', metadata }), 'LOCAL_UNEXPECTED_ANSWER');
});

test('the call’s own deadline has its reason: the client’s, and the call’s in its place', async (t) => {
  const { address } = await fake(t, hang);
  const impatient = connect(t, { addresses: address, deadlineMillis: 50 });
  const error = await failure(impatient.encodeRedirect(REQUEST), 'LOCAL_DEADLINE_EXCEEDED');
  assert.deepEqual([error.code, error.tries], [grpc.status.DEADLINE_EXCEEDED, 1]);
  const patient = connect(t, address);
  await failure(patient.encodeRedirect(REQUEST, { deadlineMillis: 50 }), 'LOCAL_DEADLINE_EXCEEDED');
});

test('a call to a server that accepts connections and stays silent ends at the deadline', async (t) => {
  const server = createServer((socket) => t.after(() => socket.destroy())).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const client = connect(t, { addresses: `127.0.0.1:${server.address().port}`, deadlineMillis: 100 });
  await failure(client.encodeRedirect(REQUEST), 'LOCAL_DEADLINE_EXCEEDED');
});

test('an aborted call has its reason, before, during and between tries', async (t) => {
  const { address, requests } = await fake(t, hang);
  const client = connect(t, address);
  await failure(client.encodeRedirect(REQUEST, { signal: AbortSignal.abort() }), 'LOCAL_CANCELLED');
  assert.equal(requests.length, 0);
  await failure(client.encodeRedirect(REQUEST, { signal: AbortSignal.timeout(50) }), 'LOCAL_CANCELLED');
  const busy = await fake(t, refuse('RESOURCE_EXHAUSTED', 'OVERLOADED', { retryMillis: 20_000 }));
  await failure(
    connect(t, busy.address).encodeRedirect(REQUEST, { signal: AbortSignal.timeout(100) }),
    'LOCAL_CANCELLED',
  );
});

test('a closed client has its reason, for calls under way and later ones', async (t) => {
  const { address } = await fake(t, hang);
  const client = connect(t, address);
  const underWay = failure(client.encodeRedirect(REQUEST), 'LOCAL_CANCELLED');
  setTimeout(() => client.close(), 50);
  await underWay;
  await failure(client.encodeRedirect(REQUEST), 'LOCAL_CANCELLED');
});

test('if nothing listens the reason is LOCAL_UNREACHABLE', async (t) => {
  const { address, stop } = await fake(t);
  stop();
  const error = await failure(connect(t, address).encodeRedirect(REQUEST), 'LOCAL_UNREACHABLE');
  assert.deepEqual([error.code, error.tries], [grpc.status.UNAVAILABLE, 3]);
  assert.match(error.message, /^LOCAL_UNREACHABLE: no connection to the service, or it was lost: /);
});

test('what cannot be sent is an invalid field, and is not sent', async (t) => {
  const { address, requests } = await fake(t);
  const client = connect(t, address);
  const lone = { ...REQUEST, redirect: { ...REDIRECT, sessionid: '\ud800' } };
  await failure(client.encodeRedirect(lone), 'FIELD_INVALID');
  assert.equal(requests.length, 0);
});

const overloaded = (retryMillis) => refuse('RESOURCE_EXHAUSTED', 'OVERLOADED', { retryMillis });
const notReady = refuse('UNAVAILABLE', 'NOT_READY');
const reset = fail('UNAVAILABLE', 'reset');
const TRIES = {
  'not ready': [[notReady, null], null, 2],
  'store unavailable': [[refuse('UNAVAILABLE', 'STORE_UNAVAILABLE'), null], null, 2],
  'connection lost': [[reset, null], null, 2],
  'connection lost twice': [[reset, reset, null], null, 3],
  'never ready': [[notReady], 'NOT_READY', 3],
  overloaded: [[overloaded(20), null], null, 2],
  'overloaded, as the trailer says': [[refuse('RESOURCE_EXHAUSTED', 'OVERLOADED', { pushback: '20' }), null], null, 2],
  'overloaded without a delay': [[refuse('RESOURCE_EXHAUSTED', 'OVERLOADED'), null], 'OVERLOADED', 1],
  'overloaded for longer than the deadline': [[overloaded(3_600_000), null], 'OVERLOADED', 1],
  'overloaded, never again': [[refuse('RESOURCE_EXHAUSTED', 'OVERLOADED', { pushback: '-1' }), null], 'OVERLOADED', 1],
  'not ready, never again': [[refuse('UNAVAILABLE', 'NOT_READY', { pushback: '-1' }), null], 'NOT_READY', 1],
  'not ready, and no number': [[refuse('UNAVAILABLE', 'NOT_READY', { pushback: 'soon' }), null], 'NOT_READY', 1],
  'too large': [[refuse('RESOURCE_EXHAUSTED', 'REQUEST_TOO_LARGE', { retryMillis: 1 }), null], 'REQUEST_TOO_LARGE', 1],
  'timed out': [[refuse('DEADLINE_EXCEEDED', 'TIMED_OUT'), null], 'TIMED_OUT', 1],
  undecipherable: [[refuse('INVALID_ARGUMENT', 'UNDECIPHERABLE'), null], 'UNDECIPHERABLE', 1],
  'already opened': [[refuse('FAILED_PRECONDITION', 'ALREADY_OPENED'), null], 'ALREADY_OPENED', 1],
  'internal fault': [[refuse('INTERNAL', 'INTERNAL_FAULT'), null], 'INTERNAL_FAULT', 1],
};
for (const [name, [answers, reason, tries]] of Object.entries(TRIES)) {
  test(`${name}: ${tries} ${tries === 1 ? 'try' : 'tries'}`, async (t) => {
    const { address, requests } = await fake(t, ...answers);
    const call = connect(t, address).decodeRedirect({ url: '/' });
    if (reason) assert.equal((await failure(call, reason)).tries, tries);
    else await call;
    assert.equal(requests.length, tries);
  });
}

test('a decode has one attempt id for all its tries', async (t) => {
  const { address, requests } = await fake(t, reset, reset, null);
  const client = connect(t, address);
  for (let turn = 0; turn < 2; turn += 1) {
    await client.decodeRedirect({ url: '/' });
    await client.decodeCallback({ url: '/', expected: NOT_COMPARED });
  }
  const ids = requests.map(({ attemptId }) => attemptId);
  assert.match(ids[0], /^[0-9a-f-]{36}$/);
  assert.deepEqual(ids.slice(0, 3), [ids[0], ids[0], ids[0]]);
  assert.equal(new Set(ids).size, 4);
});

test('a caller’s own attempt id and what it expects are sent', async (t) => {
  const { address, requests } = await fake(t);
  const client = connect(t, address);
  const expected = { txnid: 't', sessionid: 's', userid: 'u', aaId: 'a' };
  const compared = client.decodeCallback({ url: new URL('https://fiu.example/?x'), expected, attemptId: 'job-7' });
  await failure(compared, 'NOT_EXPECTED'); // the client compares too, because an older service does not
  await client.decodeCallback({ params: { fi: 'f', resdate: 'd', ecres: 'e' }, expected: NOT_COMPARED });
  const [one, two] = requests;
  assert.deepEqual([one.attemptId, one.source.value], ['job-7', 'https://fiu.example/?x']);
  const { txnid, sessionid, userid, aaId } = one.expected;
  assert.deepEqual({ txnid, sessionid, userid, aaId }, expected);
  assert.deepEqual([two.expected, two.source.case, two.source.value.ecres], [undefined, 'params', 'e']);
});

test('what a callback must answer cannot be forgotten', async (t) => {
  const { address, requests } = await fake(t);
  await assert.rejects(connect(t, address).decodeCallback({ url: '/' }), /TypeError: expected is required/);
  await assert.rejects(connect(t, address).decodeRedirect({ url: '/', params: {} }), TypeError);
  await assert.rejects(connect(t, address).encodeRedirect({ ...REQUEST, requestorType: 'BANK' }), TypeError);
  await assert.rejects(connect(t, address).encodeRedirect({ ...REQUEST, requestorType: 'toString' }), TypeError);
  assert.equal(requests.length, 0);
});

test('headers are of their form or left out', async (t) => {
  const { address, headers } = await fake(t);
  const client = connect(t, { addresses: address, token: 't0ken.~+/==' });
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  await client.encodeRedirect(REQUEST, { requestId: 'req-1.a_B', traceparent });
  await client.encodeRedirect(REQUEST, { requestId: 'a b', traceparent: '00-xyz' });
  await client.encodeRedirect(REQUEST, { requestId: 'line\nend', traceparent: `${traceparent}-\n` });
  assert.equal(headers[0]['x-request-id'], 'req-1.a_B');
  assert.equal(headers[0].traceparent, traceparent);
  assert.equal(headers[0].authorization, 'Bearer t0ken.~+/==');
  assert.match(headers[0]['user-agent'], /^aa-redirect-node\//);
  for (const others of headers.slice(1)) {
    assert.deepEqual([others['x-request-id'], others.traceparent], [undefined, undefined]);
  }
});

test('each try has the token of its time', async (t) => {
  const { address, headers } = await fake(t, reset, null);
  const tokens = ['first', Promise.resolve('second'), 'third\n'];
  const token = () => tokens.shift() ?? Promise.reject(new RangeError('no more'));
  const client = connect(t, { addresses: address, token });
  await client.encodeRedirect(REQUEST);
  assert.deepEqual(
    headers.map(({ authorization }) => authorization),
    ['Bearer first', 'Bearer second'],
  );
  await assert.rejects(client.encodeRedirect(REQUEST), /no bearer token/);
  await assert.rejects(client.encodeRedirect(REQUEST), RangeError);
  assert.equal(headers.length, 2);
});

test('interceptors see each try, and not the token', async (t) => {
  const { address } = await fake(t, reset, null);
  const seen = [];
  const interceptor = (options, next) =>
    new grpc.InterceptingCall(next(options), {
      start: (metadata, listener, start) => {
        seen.push(metadata.getMap().authorization);
        start(metadata, listener);
      },
    });
  await connect(t, { addresses: address, token: 'secret', interceptors: [interceptor] }).encodeRedirect(REQUEST);
  assert.deepEqual(seen, [undefined, undefined]);
});

test('an unknown deviation is kept, and each is reported once', async (t) => {
  const reports = [];
  const { address } = await fake(t);
  const client = connect(t, { addresses: address, onDeviations: (report) => reports.push(report) });
  const { deviations } = await client.decodeCallback({ url: '/', expected: NOT_COMPARED });
  assert.deepEqual(deviations, [
    { deviation: 'BASE64_ALPHABET', place: 'ecres' },
    { deviation: 'UNKNOWN_99', place: '' },
  ]);
  assert.deepEqual(reports, [{ method: 'DecodeCallback', fiuId: FIU, aaId: 'alpha-aa', deviations }]);
});

test('an AA that contradicts itself accepted nothing', async (t) => {
  const outcomes = [
    [1, 0, true],
    [1, 5, false],
    [2, 0, false],
    [2, 1, false],
  ];
  const answers = outcomes.map(([status, errorcode]) => (_, respond) => {
    const callback = create(pb.CallbackSchema, { status, errorcode });
    respond(null, create(pb.DecodeCallbackResponseSchema, { callback }));
  });
  const { address } = await fake(t, ...answers);
  const client = connect(t, address);
  for (const [status, errorcode, accepted] of outcomes) {
    const opened = await client.decodeCallback({ url: '/', expected: NOT_COMPARED });
    assert.equal(opened.accepted, accepted, `${status} with ${errorcode}`);
  }
});

test('a fault in onDeviations loses no message', async (t) => {
  const { address } = await fake(t);
  const warned = once(process, 'warning');
  const onDeviations = () => {
    throw new Error('no disk');
  };
  await connect(t, { addresses: address, onDeviations }).decodeRedirect({ url: '/' });
  assert.match(String((await warned)[0].message), /onDeviations threw: Error: no disk/);
});
