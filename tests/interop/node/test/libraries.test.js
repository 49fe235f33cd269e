// Messages as JavaScript's libraries write them: members with URLSearchParams, node:querystring, qs, axios and
// hand-made joins; dates with moment, dayjs and luxon at random instants. The service reads the intended members, and
// reports what it had to repair.

import assert from 'node:assert/strict';
import querystring from 'node:querystring';
import { after, before, test } from 'node:test';

import axios from 'axios';
import dayjs from 'dayjs';
import utc from 'dayjs/plugin/utc.js';
import { DateTime } from 'luxon';
import moment from 'moment';
import qs from 'qs';

import { REQUEST, seal, writeDate } from '../codec.js';
import { call, connect } from './packaged.js';
import { Random } from './random.js';
import { randomSecret, startService, toMillis } from './service.js';

dayjs.extend(utc);

const PAIRING = {
  fiu: 'fiu@wild',
  aa: 'wild-aa',
  profile: 'iv',
  max_age_seconds: 1_000_000_000,
  secrets: [{ id: 'one', text: randomSecret() }],
};
let service, client;
before(async () => {
  service = await startService({ pairings: [PAIRING] });
  client = connect(service.address);
});
after(async () => {
  client?.close();
  await service?.stop();
});

/** The members as a sender has them: without absent ones, and with lists as arrays. */
function members(random) {
  const { txnid, sessionid, userid, redirect, srcref, fipid, email, pan, dob, isoLanguageCode } = random.redirect();
  const optional = Object.entries({ email, pan, dob, isoLanguageCode }).filter(([, value]) => value !== '');
  return { txnid, sessionid, userid, redirect, srcref, ...(fipid.length > 0 && { fipid }), ...Object.fromEntries(optional) };
}

/** The service reads what a form encoder makes of any text. It reports a list in another syntax than repeated names. */
const lists = ({ srcref, fipid = [] }) => srcref.length + fipid.length > 0;
const several = ({ srcref, fipid = [] }) => srcref.length > 1 || fipid.length > 1;

const WRITERS = {
  URLSearchParams: {
    write: (all) => {
      const params = new URLSearchParams();
      for (const [name, value] of Object.entries(all)) for (const one of [value].flat()) params.append(name, one);
      return params.toString();
    },
  },
  'URLSearchParams of an object, whose lists are joined': {
    write: (all) => new URLSearchParams(all).toString(),
    deviations: (all) => (several(all) ? ['LIST_SYNTAX'] : []),
  },
  'node:querystring': { write: (all) => querystring.stringify(all) },
  'qs as it comes': { write: (all) => qs.stringify(all), deviations: (all) => (lists(all) ? ['LIST_SYNTAX'] : []) },
  'qs with brackets': {
    write: (all) => qs.stringify(all, { arrayFormat: 'brackets' }),
    deviations: (all) => (lists(all) ? ['LIST_SYNTAX'] : []),
  },
  'qs that repeats': { write: (all) => qs.stringify(all, { arrayFormat: 'repeat' }) },
  'qs with commas': {
    write: (all) => qs.stringify(all, { arrayFormat: 'comma' }),
    deviations: (all) => (several(all) ? ['LIST_SYNTAX'] : []),
  },
  'qs of RFC 1738, with + for a space': { write: (all) => qs.stringify(all, { arrayFormat: 'repeat', format: 'RFC1738' }) },
  axios: {
    write: (all) => axios.getUri({ url: '', params: all }).slice(1),
    deviations: (all) => (lists(all) ? ['LIST_SYNTAX'] : []),
  },
  'axios without brackets': {
    write: (all) => axios.getUri({ url: '', params: all, paramsSerializer: { indexes: null } }).slice(1),
  },
  'encodeURIComponent on every value': {
    write: (all) =>
      Object.entries(all)
        .flatMap(([name, value]) => [value].flat().map((one) => `${name}=${encodeURIComponent(one)}`))
        .join('&'),
  },
  'a form encoder, all of whose text is encoded once more': {
    write: (all) => encodeURIComponent(querystring.stringify(all)),
    deviations: () => ['DOUBLE_ENCODED'],
  },
};

for (const [name, { write, deviations = () => [] }] of Object.entries(WRITERS)) {
  test(`members written by ${name}`, async (t) => {
    const random = new Random(t.name);
    for (let n = 0; n < 100; n += 1) {
      const sent = members(random);
      const plaintext = write(sent);
      const opened = await open({ plaintext });
      const { srcref, fipid, ...others } = opened.redirect;
      const absent = { fipid: [], email: '', pan: '', dob: '', isoLanguageCode: '', extra: {} };
      assert.deepEqual({ ...others, srcref, fipid }, { ...absent, ...sent }, plaintext);
      assert.deepEqual(opened.deviations, deviations(sent).map((kind) => `DEVIATION_${kind}`), plaintext);
    }
  });
}

test('members joined raw, as template strings do', async (t) => {
  const random = new Random(t.name);
  for (let n = 0; n < 100; n += 1) {
    const [txnid, handle, lead] = [random.uuid(), random.uuid(), random.digits(4)];
    const userid = `${random.digits(10)}@aa`;
    const email = `a+${random.digits(2)}@example.com`;
    const redirect = random.chance(50) ? `https://fiu.example/cb?lead=${lead}&next=/home` : 'https://fiu.example/cb';
    const plaintext = `txnid=${txnid}&sessionid=s ${lead}&userid=${userid}&redirect=${redirect}&srcref=${handle}&email=${email}`;
    const opened = await open({ plaintext });
    assert.deepEqual(
      [opened.redirect.sessionid, opened.redirect.userid, opened.redirect.redirect, opened.redirect.email],
      [`s ${lead}`, userid, redirect, email],
    );
    assert.deepEqual(opened.deviations, redirect.includes('?') ? ['DEVIATION_REDIRECT_UNESCAPED'] : []);
  }
});

test('absent members in JavaScript’s words', async () => {
  const [txnid, handle] = ['2d04747e-21c6-4c23-955b-d46c2f820140', '0b054f6a-a0b3-4424-a668-2b53090bad6f'];
  const all = { txnid, sessionid: 's', userid: 'u@aa', redirect: 'https://fiu.example/cb', srcref: handle };
  for (const absent of [null, undefined, NaN]) {
    const plaintext = new URLSearchParams({ ...all, pan: absent, email: absent }).toString();
    const opened = await open({ plaintext });
    assert.deepEqual([opened.redirect.pan, opened.redirect.email], ['', ''], plaintext);
    assert.deepEqual(opened.deviations, ['DEVIATION_BLANK_OPTIONAL'], plaintext);
  }
});

/** The parameters of the outer URL, written by the same libraries. */
const OUTER = {
  URLSearchParams: (params) => `https://aa.example/w?${new URLSearchParams(params)}`,
  'the setter of a URL': (params) => {
    const url = new URL('https://aa.example/w?lang=en');
    for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
    return url.href;
  },
  qs: (params) => `https://aa.example/w${qs.stringify(params, { addQueryPrefix: true })}`,
  axios: (params) => axios.getUri({ url: 'https://aa.example/w', params }),
  encodeURIComponent: (params) =>
    `https://aa.example/w?${Object.entries(params)
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join('&')}`,
};
for (const [name, join] of Object.entries(OUTER)) {
  test(`a URL made by ${name} is clean`, async (t) => {
    const random = new Random(t.name);
    for (let n = 0; n < 50; n += 1) {
      const sent = members(random);
      const opened = await open({ plaintext: querystring.stringify(sent), join });
      assert.deepEqual([opened.redirect.txnid, opened.deviations], [sent.txnid, []]);
    }
  });
}

const MINUTE = 60_000;
const down = (instant, unit) => Math.floor(instant / unit) * unit;
/** Each entry: how the date is written, how the service reads it, and what it reports. */
const DATES = {
  'moment, DDMMYYYYHHmmSSS': [(d) => moment(d).utc().format('DDMMYYYYHHmmSSS'), MINUTE],
  'moment, DDMMYYYYHHmmss': [(d) => moment(d).utc().format('DDMMYYYYHHmmss'), 1000, 'DATE_DIGITS'],
  'moment, DDMMYYYYHHmmssSSS': [(d) => moment(d).utc().format('DDMMYYYYHHmmssSSS'), 1, 'DATE_DIGITS'],
  'moment, DDMMYYYYHHmmsss': [(d) => moment(d).utc().format('DDMMYYYYHHmmsss'), MINUTE, 'DATE_DIGITS?'],
  'moment, DDMMYYYYHHmmssS': [(d) => moment(d).utc().format('DDMMYYYYHHmmssS'), MINUTE],
  'dayjs, DDMMYYYYHHmmSSS': [(d) => dayjs(d).utc().format('DDMMYYYYHHmmSSS'), MINUTE],
  'dayjs, DDMMYYYYHHmmssSSS': [(d) => dayjs(d).utc().format('DDMMYYYYHHmmssSSS'), 1, 'DATE_DIGITS'],
  'dayjs, DDMMYYYYHHmmsss': [(d) => dayjs(d).utc().format('DDMMYYYYHHmmsss'), MINUTE, 'DATE_DIGITS?'],
  'luxon, ddMMyyyyHHmmSSS': [(d) => DateTime.fromJSDate(d, { zone: 'utc' }).toFormat('ddMMyyyyHHmmSSS'), MINUTE],
  'luxon, ddMMyyyyHHmmssSSS': [(d) => DateTime.fromJSDate(d, { zone: 'utc' }).toFormat('ddMMyyyyHHmmssSSS'), 1, 'DATE_DIGITS'],
  'luxon, ddMMyyyyHHmmssS': [(d) => DateTime.fromJSDate(d, { zone: 'utc' }).toFormat('ddMMyyyyHHmmssS'), MINUTE, 'DATE_DIGITS?'],
};
for (const [name, [write, unit, deviation]] of Object.entries(DATES)) {
  test(`dates written by ${name}`, async (t) => {
    const random = new Random(t.name);
    for (let n = 0; n < 200; n += 1) {
      // Up to thirty years away, at every fraction of a minute.
      const instant = new Date(Date.now() + (random.below(2) ? 1 : -1) * (random.below(800_000) * 1_000_000 + random.below(MINUTE)));
      const date = write(instant);
      const opened = await open({ date });
      const told = toMillis(opened.issueTime);
      // Digits that read as milliseconds, which is the pairing's style, name the minute.
      assert.ok(told >= down(instant, MINUTE) && told < down(instant, MINUTE) + MINUTE, `${date} of ${instant.toISOString()}: ${told}`);
      if (unit < MINUTE) assert.equal(told, down(instant, unit), date);
      const expected = deviation?.replace(/\?$/, '');
      const digits = deviation?.endsWith('?') ? date.length !== 15 : expected !== undefined;
      assert.deepEqual(opened.deviations, digits ? [`DEVIATION_${expected}`] : [], date);
    }
  });
}

test('a date that was stored as a number', async (t) => {
  const random = new Random(t.name);
  for (let n = 0; n < 100; n += 1) {
    const instant = new Date(Date.UTC(2026, random.below(12), 1 + random.below(9), random.below(24), random.below(60), 0, random.below(1000)));
    const date = moment(instant).utc().format('DDMMYYYYHHmmSSS');
    const opened = await open({ date, join: (params) => `?${new URLSearchParams({ ...params, reqdate: Number(date) })}` });
    assert.deepEqual(opened.deviations, ['DEVIATION_DATE_ZERO_LOST'], date);
    assert.equal(down(toMillis(opened.issueTime), MINUTE), down(instant, MINUTE));
  }
});

const PLAINTEXT =
  'txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=9999988888@aa&redirect=https://fiu.example/cb&srcref=h';

/** Seals a text with the pairing's secret and has the service open it. */
async function open({ plaintext = PLAINTEXT, date = writeDate(new Date(), 'millis'), join = OUTER.URLSearchParams }) {
  const params = await seal(REQUEST, {
    ...{ scheme: 'hkdf-iv', secret: PAIRING.secrets[0].text, date, sender: PAIRING.fiu, plaintext },
  });
  return call(client, 'decodeRedirect', { aaId: PAIRING.aa, url: join(params) });
}
