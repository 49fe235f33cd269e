// This folder's codec opens what the service seals, and the reverse: both legs, both schemes, every profile, with
// random members. The opening side is strict, so that only the exact format passes.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { CALLBACK, REQUEST, open, readQuery, seal, writeDate, writeQuery } from '../codec.js';
import { readCallback, readRedirect, writeCallback, writeRedirect } from '../members.js';
import { conventions, makePairings } from './pairings.js';
import { Random, SEED, inParallel } from './random.js';
import { call, connect } from './packaged.js';
import { call as callWithPages, connect as connectWithPages } from './service.js';
import { startService, toMillis, toTimestamp } from './service.js';

const WINDOW = 180_000;
const STATUS = { CALLBACK_STATUS_SUCCESS: 'S', CALLBACK_STATUS_FAILURE: 'F' };
const REQUESTOR = { REQUESTOR_TYPE_UNSPECIFIED: undefined, REQUESTOR_TYPE_FIU: 'FIU', REQUESTOR_TYPE_LSP: 'LSP' };

const pairings = makePairings();
const using = (scheme) => pairings.list.filter((pairing) => conventions(pairing).scheme === scheme);
/** 1,024 and 112 messages: a key costs 65,536 rounds in the older scheme, on both sides. */
const RUNS = [
  { scheme: 'hkdf-iv', count: 256, width: 32 },
  { scheme: 'pbkdf2', count: 28, width: 6 },
];
const ivs = new Set();
let service, client;

before(async () => {
  service = await startService({ pairings: pairings.list });
  client = connect(service.address);
});
after(async () => {
  client?.close();
  await service?.stop();
});

for (const { scheme, count, width } of RUNS) {
  const messages = Array.from({ length: count });

  test(`what EncodeRedirect seals with ${scheme} opens strictly (${count})`, async (t) => {
    t.diagnostic(`INTEROP_SEED=${SEED}`);
    const random = new Random(t.name);
    const cases = messages.map((_, at) => {
      const pairing = using(scheme)[at % using(scheme).length];
      // If the AA's id is left out, the handle finds it.
      const handle = random.chance(30) ? pairing.handles?.at(-1) : undefined;
      const redirect = random.redirect({ handle });
      if (pairing.redirect_hosts) redirect.redirect = `https://sub.fiu.example/${random.digits(5)}`;
      if (random.chance(20)) redirect.txnid = '';
      return {
        pairing,
        aaId: handle ? '' : pairing.aa,
        redirect,
        requestorType: random.pick(Object.keys(REQUESTOR)),
        offset: offset(random),
      };
    });
    await inParallel(cases, width, async ({ pairing, aaId, redirect, requestorType, offset }) => {
      const issueTime = offset === undefined ? null : toTimestamp(Date.now() + offset);
      const sent = Date.now();
      const sealed = await call(client, 'encodeRedirect', {
        fiuId: pairing.fiu,
        aaId,
        redirect,
        requestorType,
        issueTime,
      });
      checkTimes(sealed, sealed.params.reqdate, pairing, issueTime, sent);
      assert.equal(sealed.secretId, pairing.secrets[0].id);
      assert.equal(sealed.url, pairing.webview ? joined(pairing.webview, sealed.query) : '');
      const opened = await openStrictly(REQUEST, sealed, pairing);
      assert.equal(opened.sender, pairing.fiu);
      assert.equal(opened.requestorType, REQUESTOR[requestorType]);
      assert.match(
        sealed.txnid,
        redirect.txnid ? /./ : /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
      const expected = { ...redirect, txnid: redirect.txnid || sealed.txnid };
      assert.equal(sealed.txnid, expected.txnid);
      const { lists } = conventions(pairing);
      assert.equal(opened.plaintext, writeRedirect(expected, lists));
      assert.deepEqual(readRedirect(opened.plaintext, lists), expected);
    });
  });

  test(`what EncodeCallback seals with ${scheme} opens strictly (${count})`, async (t) => {
    const random = new Random(t.name);
    const cases = messages.map((_, at) => {
      const pairing = using(scheme)[at % using(scheme).length];
      const url = pairing.redirect_hosts ? `https://sub.fiu.example/${random.digits(5)}` : random.url();
      const secret = random.pick(pairing.secrets);
      return { pairing, secret, callback: random.callback(), url, offset: offset(random) };
    });
    await inParallel(cases, width, async ({ pairing, secret, callback, url, offset }) => {
      const issueTime = offset === undefined ? null : toTimestamp(Date.now() + offset);
      const sent = Date.now();
      const sealed = await call(client, 'encodeCallback', {
        fiuId: pairing.fiu,
        aaId: pairing.aa,
        callback,
        redirectUrl: url,
        issueTime,
        secretId: secret === pairing.secrets[0] ? '' : secret.id,
      });
      checkTimes(sealed, sealed.params.resdate, pairing, issueTime, sent);
      assert.equal(sealed.secretId, secret.id);
      assert.equal(sealed.url, joined(url, sealed.query));
      const opened = await openStrictly(CALLBACK, sealed, pairing, secret);
      assert.equal(opened.sender, pairing.aa);
      const { lists } = conventions(pairing);
      const expected = { ...callback, status: STATUS[callback.status] };
      assert.equal(opened.plaintext, writeCallback(expected, lists));
      assert.deepEqual(readCallback(opened.plaintext, lists), expected);
    });
  });

  test(`what is sealed here with ${scheme} DecodeRedirect opens (${count})`, async (t) => {
    const random = new Random(t.name);
    const cases = messages.map((_, at) => {
      const pairing = using(scheme)[at % using(scheme).length];
      const redirect = random.redirect();
      if (pairing.redirect_hosts) redirect.redirect = `https://fiu.example/${random.digits(5)}`;
      const requestorType = random.pick(Object.keys(REQUESTOR));
      return { pairing, secret: random.pick(pairing.secrets), redirect, requestorType, ...sending(random) };
    });
    await inParallel(cases, width, async ({ pairing, secret, redirect, requestorType, style, offset, asUrl }) => {
      const { scheme, date: own, lists } = conventions(pairing);
      const instant = new Date(Date.now() + (offset ?? 0));
      const parameters = await seal(REQUEST, {
        scheme,
        secret: secret.text,
        date: dateOf(instant, style ?? own),
        sender: pairing.fiu,
        requestorType: REQUESTOR[requestorType],
        plaintext: writeRedirect(redirect, lists),
      });
      const source = asUrl
        ? { url: joined(pairing.webview ?? 'https://aa.example/w', writeQuery(REQUEST, parameters)) }
        : { params: parameters };
      const sent = Date.now();
      const opened = await call(client, 'decodeRedirect', { aaId: pairing.aa, ...source });
      assert.deepEqual(opened.redirect, redirect);
      assert.equal(opened.requestorType, requestorType);
      checkOpened(opened, { pairing, secret, instant, style: style ?? own, sent });
      assert.deepEqual(opened.deviations, [
        ...(isForeign(style, own) ? ['DEVIATION_DATE_DIGITS'] : []),
        ...(Object.keys(redirect.extra).length ? ['DEVIATION_EXTRA_MEMBER'] : []),
      ]);
    });
  });

  test(`what is sealed here with ${scheme} DecodeCallback opens (${count})`, async (t) => {
    const random = new Random(t.name);
    const cases = messages.map((_, at) => {
      const pairing = using(scheme)[at % using(scheme).length];
      return {
        pairing,
        secret: random.pick(pairing.secrets),
        callback: random.callback(),
        back: random.url(),
        ...sending(random),
      };
    });
    await inParallel(cases, width, async ({ pairing, secret, callback, back, style, offset, asUrl }) => {
      const { scheme, date: own, lists } = conventions(pairing);
      const instant = new Date(Date.now() + (offset ?? 0));
      const parameters = await seal(CALLBACK, {
        scheme,
        secret: secret.text,
        date: dateOf(instant, style ?? own),
        sender: pairing.aa,
        plaintext: writeCallback({ ...callback, status: STATUS[callback.status] }, lists),
      });
      const source = asUrl ? { url: joined(back, writeQuery(CALLBACK, parameters)) } : { params: parameters };
      const sent = Date.now();
      const opened = await call(client, 'decodeCallback', { fiuId: pairing.fiu, ...source });
      assert.deepEqual(opened.callback, callback);
      checkOpened(opened, { pairing, secret, instant, style: style ?? own, sent });
      assert.deepEqual(opened.deviations, [
        ...(isForeign(style, own) ? ['DEVIATION_DATE_DIGITS'] : []),
        ...(/^.{8}-.{4}-.{4}-.{4}-.{12}$/.test(callback.txnid) ? [] : ['DEVIATION_TXNID_NOT_UUID']),
        ...(Object.keys(callback.extra).length ? ['DEVIATION_EXTRA_MEMBER'] : []),
      ]);
    });
  });
}

test('every error code of the released guidelines has its text', async () => {
  const texts = {
    0: 'Success: the user accepted',
    1: 'Consent is rejected',
    2: 'Consent not available',
    3: 'Invalid request',
    4: 'User authentication failed',
    5: 'Consent in pending state',
    6: 'Session timeout',
    7: 'Account not discovered: the FIP given has no account',
    8: 'Account not discovered: the FIP given failed',
    9: 'Account not discovered: nothing at any FIP',
    10: 'Account not linked: timeout',
    12: 'Account link OTP not attempted: cancelled',
    14: 'Account link OTP authentication failed: cancelled',
    16: 'Account link failed',
    17: 'Account link OTP authentication failed for some accounts: cancelled',
    19: 'Account link failed for some accounts',
    20: 'Unknown error',
    23: 'Unlisted error code 23',
    99: 'Unlisted error code 99',
  };
  const pairing = pairings['iv-aa'];
  const random = new Random('codes');
  for (const [code, text] of Object.entries(texts)) {
    const status = code === '0' ? 'S' : 'F';
    const plaintext = writeCallback({ ...random.callback(), status, errorcode: Number(code) });
    const date = writeDate(new Date(), 'millis');
    const params = await seal(CALLBACK, {
      scheme: 'hkdf-iv',
      secret: pairing.secrets[0].text,
      date,
      sender: pairing.aa,
      plaintext,
    });
    const opened = await call(client, 'decodeCallback', { fiuId: pairing.fiu, params });
    assert.deepEqual([opened.callback.errorcode, opened.errorMessage], [Number(code), text]);
  }
});

for (const name of ['iv-rotated-aa', 'v1.2-rotated-aa']) {
  test(`an FIU on the old secret of ${name} is read, recognised, and answered under the old one`, async () => {
    const pairing = pairings[name];
    const { scheme } = conventions(pairing);
    const [, old] = pairing.secrets;
    const redirect = new Random(name).redirect();
    const date = writeDate(new Date(), 'millis');
    const params = await seal(REQUEST, {
      scheme,
      secret: old.text,
      date,
      sender: pairing.fiu,
      plaintext: writeRedirect(redirect),
    });
    const request = await call(client, 'decodeRedirect', { aaId: pairing.aa, params });
    assert.deepEqual([request.secretId, request.primarySecret], ['old', false]);
    const { txnid, sessionid, userid, srcref } = request.redirect;
    const answer = await call(client, 'encodeCallback', {
      fiuId: request.fiuId,
      aaId: request.aaId,
      callback: { txnid, sessionid, userid, srcref, status: 'CALLBACK_STATUS_SUCCESS' },
      redirectUrl: request.redirect.redirect,
      secretId: request.secretId,
    });
    assert.equal(answer.secretId, 'old');
    const opened = await open(CALLBACK, { scheme, secret: old.text }, readQuery(CALLBACK, answer.query));
    assert.equal(readCallback(opened.plaintext).txnid, txnid);
    const outcome = await call(client, 'decodeCallback', { fiuId: pairing.fiu, url: answer.url });
    assert.deepEqual([outcome.secretId, outcome.primarySecret], ['old', false]);
  });
}

test('ListPairings shows every pairing in pages, ordered, and no secret', async () => {
  const paging = connectWithPages(service.address);
  const found = [];
  let pageToken = '';
  do {
    const page = await callWithPages(paging, 'listPairings', { pageSize: 4, pageToken });
    assert.ok(page.pairings.length <= 4);
    found.push(...page.pairings);
    pageToken = page.nextPageToken;
  } while (pageToken);
  paging.close();
  const ids = ({ fiu, aa }) => `${fiu}\0${aa}`;
  const order = (a, b) => Buffer.compare(Buffer.from(ids(a)), Buffer.from(ids(b)));
  const expected = [...pairings.list].sort(order).map((pairing) => ({
    fiuId: pairing.fiu,
    aaId: pairing.aa,
    profile: pairing.profile,
    scheme: pairing.profile === 'iv' ? 'SCHEME_HKDF_IV' : 'SCHEME_PBKDF2',
    webviewUrl: pairing.webview ?? '',
    handles: pairing.handles ?? [],
    secrets: pairing.secrets.map(({ id, use }) => ({ id, state: `SECRET_STATE_${use ? 'DECODE_ONLY' : 'PRIMARY'}` })),
    redirectHosts: pairing.redirect_hosts ?? [],
    maxAge: { seconds: 180, nanos: 0 },
    dateStyle: conventions(pairing).date,
    listSyntax: pairing.lists ?? 'repeated',
    checkResdate: true,
    reopen: 'REOPEN_REPORT',
    authentication: 'AUTHENTICATION_OFF',
  }));
  assert.deepEqual(found, expected);
});

/** For some messages the caller gives the date: not now, but well inside the window. */
const offset = (random) => (random.chance(30) ? random.below(2 * 110_000) - 110_000 : undefined);

/** How a sender of this test writes the date and passes the message on. No `style`: that of the pairing. */
const sending = (random) => ({
  style: random.pick([undefined, undefined, 'seconds', 'full']),
  offset: offset(random),
  asUrl: random.chance(50),
});

/** No pairing writes dates of 14 digits. */
const dateOf = (instant, style) =>
  style === 'seconds' ? writeDate(instant, 'full').slice(0, 14) : writeDate(instant, style);
const isForeign = (style, own) => style !== undefined && style !== own;

/** `query` appended to a URL that may have a query and a fragment. */
function joined(url, query) {
  const [, base, fragment] = /^([^#]*)(.*)$/s.exec(url);
  return `${base}${base.includes('?') ? '&' : '?'}${query}${fragment}`;
}

/** Opens what the service sealed: the query is the parameters, strictly escaped, and the IV is there once or never. */
async function openStrictly(leg, { query, params }, pairing, secret = pairing.secrets[0]) {
  const { scheme } = conventions(pairing);
  const parameters = readQuery(leg, query);
  const given = Object.fromEntries(Object.entries(params).filter(([, value]) => value !== ''));
  assert.deepEqual(parameters, given);
  const opened = await open(leg, { scheme, secret: secret.text }, parameters);
  if (scheme === 'hkdf-iv') {
    const iv = opened.iv.toString('hex');
    assert.ok(!ivs.has(iv), `the IV ${iv} comes twice`);
    ivs.add(iv);
  }
  return opened;
}

/** The date on the wire is the one asked for or now's, in the pairing's style. */
function checkTimes({ issueTime, expireTime }, date, pairing, asked, sent) {
  const issued = toMillis(issueTime);
  if (asked) assert.deepEqual(issueTime, asked);
  else assert.ok(issued > sent - 1 && issued <= Date.now() + 1, `issued at ${issued}, sent at ${sent}`);
  assert.equal(toMillis(expireTime), issued + WINDOW);
  assert.equal(date, writeDate(new Date(Math.floor(issued)), conventions(pairing).date));
}

/** Checks everything of a decoded message except its members. */
function checkOpened(opened, { pairing, secret, instant, style, sent }) {
  assert.deepEqual([opened.fiuId, opened.aaId], [pairing.fiu, pairing.aa]);
  assert.deepEqual([opened.secretId, opened.primarySecret], [secret.id, secret === pairing.secrets[0]]);
  // The part of the instant that the digits keep: the minute, and what the style adds.
  const minute = Math.floor(instant / 60_000) * 60_000;
  const kept = {
    millis: minute + (instant % 1000),
    tenths: instant - (instant % 100),
    seconds: instant - (instant % 1000),
    full: +instant,
  };
  assert.equal(toMillis(opened.issueTime), kept[style]);
  const age = toMillis(opened.age);
  assert.ok(
    age > sent - 1 - kept[style] && age <= Date.now() + 1 - kept[style],
    `age ${age} of ${kept[style]} at ${sent}`,
  );
  // Fifteen digits may name any instant of their minute, so the latest of them counts.
  const last = { millis: minute + 60_000, tenths: minute + 60_000 }[style] ?? kept[style];
  const replayUntil = toMillis(opened.replayUntil);
  assert.ok(Math.abs(replayUntil - last - WINDOW) <= 1, `replay until ${replayUntil}, last instant ${last}`);
}
