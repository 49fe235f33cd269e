// What the service remembers and compares.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { AA, answer, connect, files, FIU, record, REDIRECT, serve } from './service.mjs';

const REQUEST = { fiuId: FIU, redirect: REDIRECT };

/** Writes a keyring with one pairing, of the sandbox's FIU and AA, and adds the given lines to it. */
function keyring(t, lines) {
  const text =
    `[[pairing]]\nfiu = "${FIU}"\naa = "${AA}"\nprofile = "iv"\nhandles = ["alpha"]\n` +
    `webview = "https://alpha.example/webview"\nsecrets = [{ id = "one", file = "secret" }]\n${lines}\n`;
  return `${files(t, { secret: '0123456789abcdefghijklmnopqrstuv', 'keyring.toml': text })}/keyring.toml`;
}

test('a callback that is not the expected one is refused', async (t) => {
  const client = connect(t, (await serve(t)).address);
  const sealed = await client.encodeRedirect(REQUEST);
  const url = (await answer(client, sealed)).location;
  const cases = [
    [{ txnid: 'other' }, 'txnid'],
    [{ sessionid: undefined }, 'sessionid'],
    [{ userid: 'other@alpha' }, 'userid'],
    [{ aaId: 'beta-aa' }, 'aa_id'],
    [{ txnid: '', sessionid: '', userid: '', aaId: '' }, 'txnid, sessionid, userid'],
  ];
  for (const [change, fields] of cases) {
    const call = client.decodeCallback({ fiuId: FIU, url, expected: { ...record(sealed), ...change } });
    const error = await call.then(
      () => assert.fail(fields),
      (failure) => failure,
    );
    assert.deepEqual([error.reason, error.metadata.fields], ['NOT_EXPECTED', fields], error.message);
    assert.ok(error.requestId, 'the service itself compares');
  }
  const { reopened } = await client.decodeCallback({ fiuId: FIU, url, expected: sealed.expected });
  assert.equal(reopened, false);
});

test('an answer is to the opened request', async (t) => {
  const client = connect(t, (await serve(t)).address);
  const sealed = await client.encodeRedirect(REQUEST);
  const opened = await client.decodeRedirect({ aaId: AA, url: sealed.location });
  for (const [outcome, status, errorcode, srcref] of [
    [undefined, 'SUCCESS', 0, REDIRECT.srcref],
    [{ errorcode: 4 }, 'FAILURE', 4, []],
    [{ errorcode: 7, srcref: ['some'] }, 'FAILURE', 7, ['some']],
  ]) {
    const back = await client.answerRedirect(opened, outcome);
    assert.equal(back.secretId, opened.secretId);
    assert.ok(back.location.startsWith(`${REDIRECT.redirect}&`));
    const { callback } = await client.decodeCallback({ fiuId: FIU, url: back.location, expected: sealed.expected });
    assert.deepEqual([callback.status, callback.errorcode, [...callback.srcref]], [status, errorcode, srcref]);
  }
});

test('a second opening is reported', async (t) => {
  const client = connect(t, (await serve(t)).address);
  const { location } = await client.encodeRedirect(REQUEST);
  const first = await client.decodeRedirect({ aaId: AA, url: location });
  const second = await client.decodeRedirect({ aaId: AA, url: location });
  assert.deepEqual([first.reopened, second.reopened], [false, true]);
  assert.ok(first.firstOpenTime instanceof Date);
  assert.deepEqual(second.firstOpenTime, first.firstOpenTime);
  assert.match(first.replayKey, /^[0-9a-f]{32}$/);
  assert.equal(second.replayKey, first.replayKey);
});

test('a second opening is refused if the pairing says so, but a retry of the same attempt is not', async (t) => {
  const client = connect(t, (await serve(t, '--keyring', keyring(t, 'reopen = "refuse"'))).address);
  const { location: url } = await client.encodeRedirect(REQUEST);
  for (let n = 0; n < 2; n += 1) {
    assert.equal((await client.decodeRedirect({ aaId: AA, url, attemptId: 'job-1' })).reopened, false);
  }
  const error = await client.decodeRedirect({ aaId: AA, url }).then(assert.fail, (failure) => failure);
  assert.deepEqual([error.reason, error.tries], ['ALREADY_OPENED', 1], error.message);
  assert.ok(error.metadata.first_open_time);
  for await (const pairing of client.pairings()) {
    const { reopen, authentication, maxAgeMillis, dateStyle, listSyntax, checkResdate } = pairing;
    assert.deepEqual(
      [reopen, authentication, maxAgeMillis, dateStyle, listSyntax, checkResdate],
      ['REFUSE', 'OFF', 180_000, 'millis', 'repeated', true],
    );
  }
});

test('a message with a tag is authenticated', async (t) => {
  const client = connect(t, (await serve(t, '--keyring', keyring(t, 'authentication = "require"'))).address);
  const { location: url } = await client.encodeRedirect(REQUEST);
  const { authenticated, deviations } = await client.decodeRedirect({ aaId: AA, url });
  assert.deepEqual([authenticated, deviations], [true, []]);
});

test('a store that does not answer is tried again and reported', async (t) => {
  const settings = ['--store', 'redis://127.0.0.1:1', '--store-outage', 'closed'];
  const client = connect(t, (await serve(t, '--keyring', keyring(t, ''), ...settings)).address);
  const { location: url } = await client.encodeRedirect(REQUEST);
  const error = await client.decodeRedirect({ aaId: AA, url }).then(assert.fail, (failure) => failure);
  assert.deepEqual([error.reason, error.tries], ['STORE_UNAVAILABLE', 3], error.message);
});

test('each repair has its place', async (t) => {
  const client = connect(t, (await serve(t)).address);
  const url = (await client.encodeRedirect(REQUEST)).location.replaceAll('%3D', '');
  const { deviations } = await client.decodeRedirect({ aaId: AA, url });
  assert.ok(deviations.length > 0);
  for (const { place } of deviations) assert.ok(['fi', 'ecreq', 'iv'].includes(place), place);
});
