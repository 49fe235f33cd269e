// Every reason for which the service refuses a call, provoked at the release binary, and what results hold.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import grpc from '@grpc/grpc-js';

import {
  AA,
  answer,
  connect,
  failure,
  files,
  FIU,
  forged,
  record,
  REDIRECT,
  SANDBOX,
  serve,
  slow,
  today,
  USER,
} from './service.mjs';

test('reasons of the service', async (t) => {
  const { address } = await serve(t);
  const client = connect(t, address);
  const sealed = await client.encodeRedirect({ fiuId: FIU, redirect: REDIRECT });
  const encode = (changes) => client.encodeRedirect({ fiuId: FIU, redirect: { ...REDIRECT, ...changes } });
  const decode = (params, aaId = AA) => client.decodeRedirect({ aaId, params });
  const cases = [
    ['FIELD_INVALID', () => encode({ userid: 'nobody' })],
    ['FIELD_INVALID', () => client.decodeRedirect({})],
    ['URL_MALFORMED', () => client.decodeRedirect({ url: 'https://x/?fi=AAAA' })],
    ['PARAMETER_MALFORMED', () => decode({ ...sealed.params, ecreq: '!' })],
    ['DATE_MALFORMED', () => decode({ ...sealed.params, reqdate: '310220260000000' })],
    ['DATE_EXPIRED', () => decode(forged(FIU, '010120200000000'))],
    ['DATE_IN_FUTURE', () => decode(forged(FIU, '010129990000000'))],
    ['PAIRING_UNKNOWN', () => decode(forged(FIU, today()), 'no-aa')],
    ['PAIRING_AMBIGUOUS', () => client.decodeRedirect({ params: forged(FIU, today()) })],
    ['SCHEME_MISMATCH', () => decode({ ...sealed.params, iv: '' })],
    ['REDIRECT_FORBIDDEN', () => encode({ redirect: new URL('https://evil.example/') })],
    ['UNDECIPHERABLE', () => decode(forged(FIU, today()))],
    ['REQUEST_TOO_LARGE', () => encode({ email: 'x'.repeat(65_536) })],
  ];
  for (const [reason, call] of cases) {
    const error = await failure(call(), reason);
    assert.equal(error.tries, 1, reason);
    assert.ok(error.requestId && error.serviceMessage, error.message);
    if (reason === 'FIELD_INVALID') assert.ok(error.message.includes(error.violations[0].field), error.message);
  }
});

test('all wrong fields are reported', async (t) => {
  const { address } = await serve(t);
  const call = connect(t, address).encodeRedirect({ fiuId: '', redirect: { userid: '', redirect: '', srcref: [] } });
  const { violations } = await failure(call, 'FIELD_INVALID');
  const fields = violations.map(({ field }) => field).sort();
  assert.deepEqual(fields, ['fiu_id', 'redirect.redirect', 'redirect.srcref', 'redirect.userid']);
});

test('a single wrong field is said once', async (t) => {
  const { address } = await serve(t);
  const call = connect(t, address).encodeRedirect({ fiuId: FIU, redirect: { ...REDIRECT, userid: 'nobody' } });
  const error = await failure(call, 'FIELD_INVALID');
  assert.equal(error.violations.length, 1);
  assert.equal(error.message.split(error.violations[0].description).length, 2, error.message);
  assert.ok(error.message.startsWith(`FIELD_INVALID: ${error.serviceMessage} [EncodeRedirect `), error.message);
});

test('reasons of callers', async (t) => {
  const hash = createHash('sha256').update('lender').digest('hex');
  const callers = `[[caller]]\nname = "lender"\ntoken_sha256 = "${hash}"\nmethods = ["ListPairings"]\n`;
  const path = files(t, { 'callers.toml': callers });
  const { address } = await serve(t, '--keyring', SANDBOX, '--callers', `${path}/callers.toml`);
  await failure(connect(t, address).encodeRedirect({ fiuId: FIU, redirect: REDIRECT }), 'CALLER_UNKNOWN');
  const client = connect(t, { addresses: address, token: 'lender' });
  const pairings = [];
  for await (const pairing of client.pairings()) pairings.push(pairing);
  assert.equal(pairings.length, 8);
  const { fiuId, aaId, scheme, secrets, handles } = pairings[0];
  assert.deepEqual([fiuId, aaId, scheme, handles], [FIU, AA, 'HKDF_IV', ['alpha']]);
  assert.deepEqual(secrets, [
    { id: '2026-11', state: 'PRIMARY' },
    { id: '2026-05', state: 'DECODE_ONLY' },
  ]);
  const error = await failure(client.encodeRedirect({ fiuId: FIU, redirect: REDIRECT }), 'CALLER_FORBIDDEN');
  assert.equal(error.metadata.method, 'EncodeRedirect');
});

test('an overloaded service is asked again after its delay', async (t) => {
  const { address } = await serve(t, '--kdf-threads', '1');
  let shed = 0;
  const calls = [];
  for (let n = 0; n < 10; n += 1) {
    // Several connections, because the server limits the calls on each.
    const client = connect(t, { addresses: address, interceptors: [counting((code) => code === 8 && (shed += 1))] });
    for (let m = 0; m < 180; m += 1) calls.push(client.encodeRedirect(slow(n * 180 + m)));
  }
  const results = await Promise.allSettled(calls);
  const failed = results.filter(({ status }) => status === 'rejected').map(({ reason }) => reason);
  for (const error of failed) {
    assert.equal(error.reason, 'OVERLOADED', error.message);
    assert.ok(error.retryDelayMillis > 0 && error.tries === 3, error.message);
  }
  assert.ok(shed > 0 && failed.length < shed, `${shed} tries were shed, ${failed.length} calls failed`);
});

test('a call that a drain cuts succeeds elsewhere', async (t) => {
  // A drain that begins after the last call cuts no call. The test then tries again.
  let cut = 0;
  for (let round = 0; cut === 0 && round < 10; round += 1) cut = await drainUnderCalls(t);
  assert.ok(cut > 0, 'no call was cut');
});

/**
 * Ends one of two servers when the first of many calls has its answer, and returns how many tries that cut. Every call
 * must succeed.
 */
async function drainUnderCalls(t) {
  const ends = await serve(t, '--kdf-threads', '1', '--drain-timeout', '0');
  const stays = await serve(t);
  let cut = 0;
  const interceptors = [counting((code) => code === 14 && (cut += 1))];
  const client = connect(t, { addresses: [ends.address, stays.address], interceptors });
  const calls = Array.from({ length: 200 }, (_, n) => client.encodeRedirect(slow(n)));
  await Promise.race(calls);
  ends.signal('SIGTERM');
  await Promise.all(calls);
  return cut;
}

/** Calls a function with the status of each try. */
function counting(tell) {
  return (options, next) =>
    new grpc.InterceptingCall(next(options), {
      start: (metadata, listener, start) =>
        start(metadata, {
          onReceiveStatus: (status, pass) => {
            tell(status.code);
            pass(status);
          },
        }),
    });
}

test('a redirect goes there and back with the types of the language', async (t) => {
  const { address } = await serve(t);
  const client = connect(t, address);
  const redirect = {
    ...REDIRECT,
    ...{ txnid: '2d04747e-21c6-4c23-955b-d46c2f820140', fipid: ['fip-1', 'fip-2'], email: 'a+b@example.com' },
    ...{ pan: 'ABCDE1234F', dob: '1990-02-28', isoLanguageCode: 'hi-IN', extra: { chid: '1 & 2', constructor: 'x' } },
  };
  const issueTime = new Date(Date.now() - 60_000);
  const sealed = await client.encodeRedirect({ fiuId: FIU, redirect, requestorType: 'LSP', issueTime });
  assert.equal(sealed.url.href, sealed.location);
  assert.equal(sealed.url.search, `?${sealed.query}`);
  assert.deepEqual([sealed.issueTime, sealed.expireTime], [issueTime, new Date(issueTime.getTime() + 180_000)]);
  for (const source of [
    { url: sealed.location },
    { url: sealed.url },
    { url: sealed.query },
    { params: sealed.params },
  ]) {
    const opened = await client.decodeRedirect({ aaId: AA, ...source });
    const members = opened.redirect;
    for (const [name, value] of Object.entries(redirect))
      assert.deepEqual({ ...members[name] }, { ...Object(value) }, name);
    assert.deepEqual([opened.fiuId, opened.aaId, opened.requestorType], [FIU, AA, 'LSP']);
    assert.ok(opened.ageMillis >= 0 && opened.ageMillis < 1_200_000 && opened.replayUntil > new Date());
    assert.deepEqual([opened.primarySecret, opened.secretId, opened.authenticated], [true, '2026-11', false]);
    assert.throws(() => members.srcref.push('x'), TypeError);
    assert.throws(() => (members.extra.chid = 'x'), TypeError);
    assert.throws(() => (opened.reopened = false), TypeError);
    assert.throws(() => (opened.other = 1), TypeError);
    // The members of an opened message can be sealed again unchanged.
    await client.encodeRedirect({ fiuId: FIU, redirect: members });
  }
});

test('a callback goes there and back, and what had to be repaired is handed over with its place', async (t) => {
  const { address } = await serve(t);
  const reports = [];
  const client = connect(t, { addresses: address, onDeviations: (report) => reports.push(report) });
  const sealed = await client.encodeRedirect({ fiuId: FIU, redirect: REDIRECT });
  const back = await answer(client, sealed, 7);
  assert.equal(back.url.href, back.location);
  assert.equal(back.url.search, `?lead=42&${back.query}`);
  for (const source of [{ url: back.location }, { params: back.params }]) {
    const { callback, errorMessage, aaId } = await client.decodeCallback({
      fiuId: FIU,
      ...source,
      expected: record(sealed),
    });
    assert.deepEqual([callback.txnid, callback.sessionid, callback.userid], [sealed.txnid, 'basket-42', USER]);
    assert.deepEqual([callback.status, callback.errorcode, aaId, callback.srcref], ['FAILURE', 7, AA, []]);
    assert.match(errorMessage, /Account not discovered/);
  }
  assert.deepEqual(reports, []);
  const url = back.location.replaceAll('%3D', '');
  const { deviations } = await client.decodeCallback({ fiuId: FIU, url, expected: record(sealed) });
  assert.ok(deviations.length > 0 && deviations.every(({ deviation }) => deviation === 'BASE64_UNPADDED'));
  assert.deepEqual(reports, [{ method: 'DecodeCallback', fiuId: FIU, aaId: AA, deviations }]);
});

test('a pairing without a web view has no URL, but a query', async (t) => {
  const { address } = await serve(t);
  const sealed = await connect(t, address).encodeRedirect({
    fiuId: 'lender@sandbox',
    aaId: 'delta-aa',
    redirect: REDIRECT,
  });
  assert.throws(() => sealed.location, { name: 'RedirectError', reason: 'LOCAL_WEBVIEW_MISSING' });
  assert.throws(() => sealed.url, { reason: 'LOCAL_WEBVIEW_MISSING' });
  assert.match(sealed.query, /^fi=/);
});
