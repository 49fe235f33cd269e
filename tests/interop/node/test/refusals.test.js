// Provokes every reason for which the service refuses a call, and reads it as a client does: code, reason, domain,
// metadata, and each wrong field.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import grpc from '@grpc/grpc-js';

import { CALLBACK, REQUEST, deriveKey, encrypt, mask, seal, writeDate, writeQuery } from '../codec.js';
import { readRefusal } from './refusal.js';
import { writeCallback, writeRedirect } from '../members.js';
import { makePairings } from './pairings.js';
import { call, connect, randomSecret, startService } from './service.js';

const { status } = grpc;
const pairings = makePairings();
const REDIRECT = {
  txnid: '2d04747e-21c6-4c23-955b-d46c2f820140',
  sessionid: 's',
  userid: '9999988888@aa',
  redirect: 'https://fiu.example/cb',
  srcref: ['0b054f6a-a0b3-4424-a668-2b53090bad6f'],
};
const ANSWER = { ...REDIRECT, status: 'S', errorcode: 0 };
const FIU = 'fiu@interop';
let service, client;

before(async () => {
  service = await startService({ pairings: pairings.list });
  client = connect(service.address);
});
after(async () => {
  client?.close();
  await service?.stop();
});

/** The refusal of a call, after a check of its code, reason and domain. */
async function refusal(code, reason, method, request, { at = client, ...options } = {}) {
  const error = await call(at, method, request, options).then(
    (answer) => assert.fail(`${method} was not refused with ${reason}: ${JSON.stringify(answer)}`),
    (failure) => failure,
  );
  const refused = readRefusal(error);
  assert.deepEqual(
    [status[refused.code], refused.reason, refused.domain],
    [code, reason, 'aa.redirect.v1'],
    error.message,
  );
  return refused;
}

/**
 * The URL parameters of a message of `pairing` that this test seals, by default with the date of now and without
 * deviations.
 */
async function sealed({ leg = REQUEST, name = 'iv-aa', date = writeDate(new Date(), 'millis'), ...others } = {}) {
  const pairing = pairings[name];
  return seal(leg, {
    scheme: pairing.profile === 'iv' ? 'hkdf-iv' : 'pbkdf2',
    secret: pairing.secrets[0].text,
    date,
    sender: leg === REQUEST ? pairing.fiu : pairing.aa,
    plaintext: leg === REQUEST ? writeRedirect(REDIRECT) : writeCallback(ANSWER),
    ...others,
  });
}

const masked = (id, date) => mask(id, date).toString('base64');
const minutesFromNow = (minutes) => writeDate(new Date(Date.now() + minutes * 60_000), 'millis');

// FIELD_INVALID: all fields at once. Each case has a request, and the paths of all its wrong fields.
const LONG = 'x'.repeat(8193);
const FIELDS = {
  'a redirect with nothing in it': [
    'encodeRedirect',
    {},
    ['fiu_id', 'redirect.userid', 'redirect.redirect', 'redirect.srcref'],
  ],
  'a redirect with a fault in every field': [
    'encodeRedirect',
    {
      fiuId: 'f'.repeat(129),
      aaId: 'a'.repeat(129),
      redirect: {
        txnid: 'T1234',
        sessionid: LONG,
        userid: 'nobody',
        redirect: 'javascript://x/%0aalert(1)',
        srcref: ['a,b'],
        fipid: [' HDFC'],
        email: LONG,
        pan: 'ABCD1234F',
        dob: '2025-02-30',
        isoLanguageCode: 'en-GB',
        extra: { '1st': '' },
      },
      requestorType: 7,
      issueTime: { seconds: 0, nanos: 2_000_000_000 },
    },
    [
      'fiu_id',
      'aa_id',
      'redirect.txnid',
      'redirect.sessionid',
      'redirect.userid',
      'redirect.redirect',
      'redirect.srcref',
      'redirect.fipid',
      'redirect.email',
      'redirect.pan',
      'redirect.dob',
      'redirect.iso_language_code',
      'redirect.extra',
      'requestor_type',
      'issue_time',
    ],
  ],
  'an extra member that has the name of a known one': [
    'encodeRedirect',
    { fiuId: FIU, aaId: 'iv-aa', redirect: { ...REDIRECT, extra: { srcref: 'x' } } },
    ['redirect.extra'],
  ],
  'an issue time outside the window': [
    'encodeRedirect',
    { fiuId: FIU, aaId: 'iv-aa', redirect: REDIRECT, issueTime: { seconds: 1_600_000_000 } },
    ['issue_time'],
  ],
  'a redirect that a browser reads as another host': [
    'encodeRedirect',
    { fiuId: FIU, aaId: 'guarded-aa', redirect: { ...REDIRECT, redirect: 'https://evil.example/\\@fiu.example/' } },
    ['redirect.redirect'],
  ],
  'a list of over 200 entries': [
    'encodeRedirect',
    { fiuId: FIU, aaId: 'iv-aa', redirect: { ...REDIRECT, srcref: Array(201).fill('a') } },
    ['redirect.srcref'],
  ],
  'a callback with nothing in it': [
    'encodeCallback',
    {},
    ['fiu_id', 'aa_id', 'callback.txnid', 'callback.userid', 'callback.status', 'redirect_url'],
  ],
  'a success with an error code, without handles, to a URL that has our parameters': [
    'encodeCallback',
    {
      fiuId: FIU,
      aaId: 'iv-aa',
      callback: { txnid: 't', userid: 'u@aa', status: 'CALLBACK_STATUS_SUCCESS', errorcode: 3, extra: { status: 'S' } },
      redirectUrl: 'https://fiu.example/cb?ecres=x',
      secretId: 'never',
    },
    ['callback.errorcode', 'callback.srcref', 'callback.extra', 'redirect_url', 'secret_id'],
  ],
  'a failure without an error code': [
    'encodeCallback',
    {
      fiuId: FIU,
      aaId: 'iv-aa',
      callback: { txnid: 't', userid: 'u@aa', status: 'CALLBACK_STATUS_FAILURE' },
      redirectUrl: 'https://fiu.example/cb',
    },
    ['callback.errorcode'],
  ],
  'a request to decode without a source': ['decodeRedirect', { aaId: 'iv-aa' }, ['url']],
  'a callback to decode without a source': ['decodeCallback', { fiuId: 'f'.repeat(129) }, ['fiu_id', 'url']],
  'a URL of over 48 KiB': ['decodeRedirect', { aaId: 'iv-aa', url: `https://x/?${'y'.repeat(49_152)}` }, ['url']],
  'parameters with nothing in them': [
    'decodeRedirect',
    { params: {} },
    ['params.fi', 'params.reqdate', 'params.ecreq'],
  ],
  'a negative page size': ['listPairings', { pageSize: -1 }, ['page_size']],
  'a page token of nobody': ['listPairings', { pageToken: 'never given' }, ['page_token']],
};
for (const [name, [method, request, paths]] of Object.entries(FIELDS)) {
  test(`FIELD_INVALID names every fault: ${name}`, async () => {
    const { violations } = await refusal('INVALID_ARGUMENT', 'FIELD_INVALID', method, request);
    assert.deepEqual([...new Set(violations.map(({ field }) => field))].sort(), [...paths].sort());
    for (const { field, description } of violations) assert.ok(description, `${field} has no description`);
  });
}

test('FIELD_INVALID: a message of over 48 KiB is not sealed', async () => {
  const most = '&'.repeat(8192);
  const redirect = { ...REDIRECT, sessionid: most, email: most, extra: { a: most } };
  await refusal('INVALID_ARGUMENT', 'FIELD_INVALID', 'encodeRedirect', { fiuId: FIU, aaId: 'iv-aa', redirect });
});

// URL_MALFORMED, PARAMETER_MALFORMED, DATE_MALFORMED: which parameter, and a problem in words.
const urlWith = (change) => async () => {
  const parameters = await sealed();
  return `https://iv.example/webview?${writeQuery(REQUEST, { ...parameters, ...change?.(parameters) })}`;
};
const DATED = (reqdate) => urlWith(() => ({ reqdate }));
const MALFORMED = [
  ['URL_MALFORMED', 'a URL without ecreq', 'ecreq', urlWith(() => ({ ecreq: undefined }))],
  ['URL_MALFORMED', 'a URL without fi', 'fi', urlWith(() => ({ fi: undefined }))],
  ['URL_MALFORMED', 'a URL with two dates', 'reqdate', async () => `${await urlWith()()}&reqdate=060420210510756`],
  ['PARAMETER_MALFORMED', 'an fi that is no Base64', 'fi', urlWith(() => ({ fi: 'a*b=' }))],
  ['PARAMETER_MALFORMED', 'an fi of an impossible length', 'fi', urlWith(() => ({ fi: 'AAAAA' }))],
  ['PARAMETER_MALFORMED', 'an fi that unmasks to no UTF-8', 'fi', urlWith(() => ({ fi: '////' }))],
  [
    'PARAMETER_MALFORMED',
    'an fi that unmasks to a control character',
    'fi',
    urlWith(({ reqdate }) => ({ fi: masked('f\n', reqdate) })),
  ],
  [
    'PARAMETER_MALFORMED',
    'an fi of 129 bytes',
    'fi',
    urlWith(({ reqdate }) => ({ fi: masked('f'.repeat(129), reqdate) })),
  ],
  ['PARAMETER_MALFORMED', 'an iv of 15 bytes', 'iv', urlWith(() => ({ iv: Buffer.alloc(15).toString('base64') }))],
  [
    'PARAMETER_MALFORMED',
    'an ecreq of 17 bytes',
    'ecreq',
    urlWith(() => ({ ecreq: Buffer.alloc(17).toString('base64') })),
  ],
  ['DATE_MALFORMED', '31 February', 'reqdate', DATED('310220261000000')],
  ['DATE_MALFORMED', 'month 13', 'reqdate', DATED('011320261000000')],
  ['DATE_MALFORMED', 'hour 24', 'reqdate', DATED('010120262400000')],
  ['DATE_MALFORMED', '18 digits', 'reqdate', DATED('010120261000000000')],
  ['DATE_MALFORMED', 'full-width digits', 'reqdate', DATED('０１０１２０２６１００００００')],
  ['DATE_MALFORMED', 'letters', 'reqdate', DATED('2026-01-01T10:00')],
];
for (const [reason, name, parameter, url] of MALFORMED) {
  test(`${reason} names the parameter: ${name}`, async () => {
    const { metadata } = await refusal('INVALID_ARGUMENT', reason, 'decodeRedirect', {
      aaId: 'iv-aa',
      url: await url(),
    });
    assert.equal(metadata.parameter, parameter);
    assert.ok(metadata.problem);
  });
}

test('URL_MALFORMED: a callback is no request', async () => {
  const url = `https://fiu.example/cb?${writeQuery(CALLBACK, await sealed({ leg: CALLBACK }))}`;
  const { metadata } = await refusal('INVALID_ARGUMENT', 'URL_MALFORMED', 'decodeRedirect', { url });
  assert.ok(metadata.parameter && metadata.problem);
});

test('a bad date is reported before a bad parameter', async () => {
  const url = await urlWith(() => ({ reqdate: 'never', iv: 'AA==' }))();
  await refusal('INVALID_ARGUMENT', 'DATE_MALFORMED', 'decodeRedirect', { aaId: 'iv-aa', url });
});

for (const [reason, minutes] of [
  ['DATE_EXPIRED', -10],
  ['DATE_IN_FUTURE', 10],
]) {
  for (const [leg, method, ids] of [
    [REQUEST, 'decodeRedirect', { aaId: 'iv-aa' }],
    [CALLBACK, 'decodeCallback', { fiuId: FIU }],
  ]) {
    test(`${reason} says by how much: ${leg.date} of ${minutes} minutes from now`, async () => {
      const params = await sealed({ leg, date: minutesFromNow(minutes) });
      const { metadata } = await refusal('FAILED_PRECONDITION', reason, method, { ...ids, params });
      assert.equal(metadata.max_age_seconds, '180');
      // The message has no seconds, so the age may be wrong by one minute.
      assert.ok(Math.abs(Number(metadata.age_seconds) + minutes * 60) <= 61, metadata.age_seconds);
    });
  }
}

test('a date is judged before a secret is tried', async () => {
  const params = await sealed({ date: minutesFromNow(-10), secret: randomSecret() });
  await refusal('FAILED_PRECONDITION', 'DATE_EXPIRED', 'decodeRedirect', { aaId: 'iv-aa', params });
});

test('PAIRING_UNKNOWN names the ids: encode', async () => {
  const request = { fiuId: FIU, aaId: 'no-aa', redirect: REDIRECT };
  const { metadata } = await refusal('NOT_FOUND', 'PAIRING_UNKNOWN', 'encodeRedirect', request);
  assert.deepEqual(metadata, { fiu_id: FIU, aa_id: 'no-aa', hint: 'NO_SUCH_AA' });
});

test('PAIRING_UNKNOWN: a handle that no AA of the FIU serves', async () => {
  const request = { fiuId: FIU, redirect: { ...REDIRECT, userid: 'u@nowhere' } };
  const { metadata } = await refusal('NOT_FOUND', 'PAIRING_UNKNOWN', 'encodeRedirect', request);
  assert.deepEqual(metadata, { fiu_id: FIU, hint: 'NO_SUCH_HANDLE' });
});

test('PAIRING_UNKNOWN names the ids: decode', async () => {
  const params = await sealed({ sender: 'no-fiu' });
  const { metadata } = await refusal('NOT_FOUND', 'PAIRING_UNKNOWN', 'decodeRedirect', { aaId: 'iv-aa', params });
  assert.deepEqual(metadata, { fiu_id: 'no-fiu', aa_id: 'iv-aa', hint: 'NO_SUCH_FIU' });
});

test('PAIRING_AMBIGUOUS: an FIU of several AAs, a request that names none', async () => {
  const { metadata } = await refusal('INVALID_ARGUMENT', 'PAIRING_AMBIGUOUS', 'decodeRedirect', {
    params: await sealed(),
  });
  assert.deepEqual(metadata, { fiu_id: FIU });
});

test('PAIRING_AMBIGUOUS: an AA of several FIUs, a callback that names none', async () => {
  const params = await sealed({ leg: CALLBACK });
  const { metadata } = await refusal('INVALID_ARGUMENT', 'PAIRING_AMBIGUOUS', 'decodeCallback', { params });
  assert.deepEqual(metadata, { aa_id: 'iv-aa' });
});

test('the other party may stay unnamed if one pairing fits', async () => {
  const request = await call(client, 'decodeRedirect', { params: await sealed({ name: 'plus-aa' }) });
  const callback = await call(client, 'decodeCallback', { params: await sealed({ name: 'plus-aa', leg: CALLBACK }) });
  assert.deepEqual([request.aaId, callback.fiuId], ['plus-aa', 'interop-plus-fO']);
});

test('SCHEME_MISMATCH: an iv missing, empty, or too many', async () => {
  const { iv, ...without } = await sealed();
  const mismatch = (aaId, params) =>
    refusal('FAILED_PRECONDITION', 'SCHEME_MISMATCH', 'decodeRedirect', { aaId, params });
  assert.ok((await mismatch('iv-aa', without)).metadata.scheme);
  assert.ok((await mismatch('iv-aa', { ...without, iv: '' })).metadata.scheme);
  assert.ok((await mismatch('v1.0-aa', { ...without, iv })).metadata.scheme);
});

test('REDIRECT_FORBIDDEN names the field: encode to a host that the pairing does not allow', async () => {
  const ids = { fiuId: FIU, aaId: 'guarded-aa' };
  const url = 'https://fiu.example.evil.example/cb';
  const forbidden = (method, request) =>
    refusal('PERMISSION_DENIED', 'REDIRECT_FORBIDDEN', method, { ...ids, ...request });
  const redirect = await forbidden('encodeRedirect', { redirect: { ...REDIRECT, redirect: url } });
  assert.deepEqual(redirect.metadata, { field: 'redirect.redirect', fiu_id: FIU, aa_id: 'guarded-aa' });
  const callback = { txnid: 't', userid: 'u@aa', status: 'CALLBACK_STATUS_FAILURE', errorcode: 1 };
  const back = await forbidden('encodeCallback', { callback, redirectUrl: url });
  assert.deepEqual(back.metadata, { field: 'redirect_url', fiu_id: FIU, aa_id: 'guarded-aa' });
});

test('UNDECIPHERABLE is the same to the byte, whatever went wrong', async () => {
  const guarded = { name: 'guarded-aa' };
  const date = writeDate(new Date(), 'millis');
  const text = writeRedirect(REDIRECT);
  const key = await deriveKey('hkdf-iv', pairings['guarded-aa'].secrets[0].text, date);
  const iv = Buffer.alloc(16, 7);
  const raw = (bytes) => encrypt(key, iv, bytes).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
  const flipped = Buffer.from((await sealed({ ...guarded, date })).ecreq, 'base64url');
  // The block before the last decides the padding.
  flipped[flipped.length - 17] ^= 0x80;
  const faults = {
    'another secret': await sealed({ ...guarded, date, secret: randomSecret() }),
    'wrong padding': { ...(await sealed({ ...guarded, date })), ecreq: flipped.toString('base64') },
    'no member': await sealed({ ...guarded, date, plaintext: 'not a message' }),
    'an empty text': await sealed({ ...guarded, date, plaintext: '' }),
    'a member missing': await sealed({ ...guarded, date, plaintext: text.replace(/^txnid=[^&]*&/, '') }),
    'a member twice': await sealed({ ...guarded, date, plaintext: `${text}&txnid=T1` }),
    'an extra member twice': await sealed({ ...guarded, date, plaintext: `${text}&a=1&a=2` }),
    'a name that is empty': await sealed({ ...guarded, date, plaintext: `${text}&=x` }),
    'a raw control character': await sealed({ ...guarded, date, plaintext: text.replace('sessionid=s', 'sessionid=\t') }),
    'a user id without a handle': await sealed({ ...guarded, date, plaintext: text.replace('@aa', '') }),
    'a redirect of a forbidden scheme': await sealed({
      ...guarded,
      date,
      plaintext: text.replace('https:', 'javascript:'),
    }),
    'a redirect to a forbidden host': await sealed({ ...guarded, date, plaintext: text.replace('//fiu', '//evil') }),
    'no UTF-8': {
      ...(await sealed({ ...guarded, date })),
      iv: iv.toString('base64'),
      ecreq: raw(Buffer.concat([Buffer.from(text), Buffer.from([0xff])])),
    },
    'escapes of no UTF-8': await sealed({ ...guarded, date, plaintext: text.replace('sessionid=s', 'sessionid=%FF') }),
  };
  // The message that all of these are made from opens.
  await call(client, 'decodeRedirect', { aaId: 'guarded-aa', params: await sealed({ ...guarded, date }) });
  let first;
  const named = new grpc.Metadata();
  named.set('x-request-id', 'the-same'); // The id is part of the answer.
  for (const [fault, params] of Object.entries(faults)) {
    const request = { aaId: 'guarded-aa', params };
    const refused = await refusal('INVALID_ARGUMENT', 'UNDECIPHERABLE', 'decodeRedirect', request, { metadata: named });
    const { cause, metadata, violations } = refused;
    assert.deepEqual([metadata, violations], [{ fiu_id: FIU, aa_id: 'guarded-aa' }, []], fault);
    const answer = { code: cause.code, message: cause.details, details: cause.metadata.get('grpc-status-details-bin') };
    first ??= answer;
    assert.deepEqual(answer, first, fault);
  }
});

test('UNDECIPHERABLE: a callback of no known status, or with a code that is no number', async () => {
  for (const change of [
    ['status=S', 'status=X'],
    ['errorcode=0', 'errorcode=zero'],
    ['errorcode=0', 'errorcode=4294967296'],
    ['&status=S', ''],
  ]) {
    const params = await sealed({ leg: CALLBACK, plaintext: writeCallback(ANSWER).replace(...change) });
    await refusal('INVALID_ARGUMENT', 'UNDECIPHERABLE', 'decodeCallback', { fiuId: FIU, params });
  }
});

// An idle service begins a derivation. One with another derivation in work refuses at once, with OVERLOADED, a call whose
// deadline is too near.
async function withIdleService(use) {
  const idle = await startService({ pairings: pairings.list });
  const fresh = connect(idle.address);
  try {
    await use(fresh);
  } finally {
    fresh.close();
    await idle.stop();
  }
}

test('TIMED_OUT: the service gives up when the time that the caller named is over', async () => {
  // A client's own deadline would end the call before the answer comes, so only the header is sent.
  const metadata = new grpc.Metadata();
  metadata.set('grpc-timeout', '1m');
  const request = { fiuId: FIU, aaId: 'v1.0-aa', redirect: REDIRECT };
  await withIdleService((fresh) =>
    refusal('DEADLINE_EXCEEDED', 'TIMED_OUT', 'encodeRedirect', request, { metadata, deadline: Infinity, at: fresh }),
  );
});

test("a client's own deadline ends the call with the same code", async () => {
  const request = { fiuId: FIU, aaId: 'v1.0-aa', redirect: REDIRECT };
  await withIdleService((fresh) =>
    assert.rejects(call(fresh, 'encodeRedirect', request, { deadline: Date.now() + 1 }), {
      code: status.DEADLINE_EXCEEDED,
    }),
  );
});

test('REQUEST_TOO_LARGE: a request of over 64 KiB', async () => {
  const extra = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`a${at}`, 'x'.repeat(8000)]));
  const request = { fiuId: FIU, aaId: 'iv-aa', redirect: { ...REDIRECT, extra } };
  await refusal('RESOURCE_EXHAUSTED', 'REQUEST_TOO_LARGE', 'encodeRedirect', request);
});

test('OVERLOADED: a full queue refuses, says when to try again, and serves the retry', async (t) => {
  const slow = await startService({ pairings: pairings.list, args: ['--kdf-threads', '1'] });
  // The service takes 200 calls at a time of one connection, and its queue holds 1,024 derivations.
  const clients = Array.from({ length: 10 }, () => connect(slow.address, { ownConnection: true }));
  t.after(async () => {
    for (const one of clients) one.close();
    await slow.stop();
  });
  const calls = [];
  const request = { fiuId: FIU, aaId: 'v1.0-aa', redirect: REDIRECT };
  const error = await new Promise((resolve, reject) => {
    let open = 1800;
    // Calls that share a date share one derivation. A date in milliseconds has 1,000 values a minute.
    const minute = Math.floor(Date.now() / 60_000) - 1;
    for (let at = 0; at < 1800; at += 1) {
      const issue = { seconds: (minute + Math.floor(at / 1000)) * 60, nanos: (at % 1000) * 1_000_000 };
      const done = (failure) => {
        if (failure) resolve(failure);
        open -= 1;
        if (open === 0) reject(new Error('1,800 calls were served, none was shed'));
      };
      const dated = { ...request, issueTime: issue };
      calls.push(clients[at % clients.length].encodeRedirect(dated, { deadline: Date.now() + 120_000 }, done));
    }
  });
  for (const one of calls) one.cancel();
  const refused = readRefusal(error);
  assert.deepEqual(
    [refused.code, refused.reason, refused.domain],
    [status.RESOURCE_EXHAUSTED, 'OVERLOADED', 'aa.redirect.v1'],
  );
  assert.ok(refused.retryMillis > 0);
  // The server drops cancelled calls without a derivation, so the queue is soon empty.
  assert.ok((await call(clients[0], 'encodeRedirect', request)).url);
});
