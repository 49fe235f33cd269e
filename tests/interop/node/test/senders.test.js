// Messages as real senders write them: date styles, damaged Base64, unescaped redirects, list syntaxes and the rest.
// The service reads each one, gives back the intended members, and reports exactly what it had to repair.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { CALLBACK, REQUEST, percentEncode, seal, writeDate, writeQuery } from '../codec.js';
import { makePairings } from './pairings.js';
import { call, connect } from './packaged.js';
import { startService, toMillis } from './service.js';

const pairings = makePairings();
let service, client;

before(async () => {
  service = await startService({ pairings: pairings.list });
  client = connect(service.address);
});
after(async () => {
  client?.close();
  await service?.stop();
});

const TXNID = '2d04747e-21c6-4c23-955b-d46c2f820140';
const HANDLES = [
  'cf8ea172-bed3-4722-bce2-8e3dc08b699b',
  'a698a62b-275c-4222-882e-aa1d4f29b76a',
  'aebf3179-9ade-4610-9a6e-03cad7399241',
];
const [A, B, C] = HANDLES;
/** The members of most of the messages. */
const REDIRECT = {
  txnid: TXNID,
  sessionid: 's1',
  userid: '9999988888@aa',
  redirect: 'https://fiu.example/cb',
  srcref: [A],
  fipid: [],
  email: '',
  pan: '',
  dob: '',
  isoLanguageCode: '',
  extra: {},
};
const OUTCOME = {
  txnid: TXNID,
  sessionid: 's1',
  userid: '9999988888@aa',
  status: 'CALLBACK_STATUS_SUCCESS',
  errorcode: 0,
  srcref: [A],
  extra: {},
};
const BEGIN = `txnid=${TXNID}&sessionid=s1&userid=9999988888@aa`;
const REQUEST_TEXT = `${BEGIN}&redirect=https://fiu.example/cb&srcref=${A}`;
const CALLBACK_TEXT = `${BEGIN}&status=S&errorcode=0&srcref=${A}`;

const now = () => new Date();
const millis = () => writeDate(now(), 'millis');
const tenths = () => writeDate(now(), 'tenths');
const full = () => writeDate(now(), 'full');
const url = (leg, parameters) => `https://sender.example/w?${writeQuery(leg, parameters)}`;
const standard = (text) => text.replaceAll('-', '+').replaceAll('_', '/');
const unpadded = (text) => text.replaceAll('=', '');
const mapped = (parameters, change) =>
  Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, change(value)]));

/** The parameters as a sender makes them, sealed again until `fits` holds. */
async function parametersOf(leg, { name = 'iv-aa', date = millis, plaintext, fits = () => true, requestorType }) {
  const pairing = pairings[name];
  const scheme = pairing.profile === 'iv' ? 'hkdf-iv' : 'pbkdf2';
  const secret = pairing.secrets[0].text;
  const sender = leg === REQUEST ? pairing.fiu : pairing.aa;
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const parameters = await seal(leg, { scheme, secret, date: date(), sender, plaintext, requestorType });
    if (fits(parameters)) return parameters;
  }
  // A new key changes neither the text's length nor the padding that follows from it.
  return assert.fail(`no message fits: ${fits}`);
}

/** A request of `sender`, read by the service. `send` makes the source of the call from the parameters. */
function request(
  title,
  { deviations = [], means = {}, send = (p) => ({ url: url(REQUEST, p) }), text = REQUEST_TEXT, check, ...sender },
) {
  test(`request: ${title}`, async () => {
    const name = sender.name ?? 'iv-aa';
    const parameters = await parametersOf(REQUEST, { plaintext: text, ...sender });
    const opened = await call(client, 'decodeRedirect', { aaId: name, ...send(parameters) });
    assert.deepEqual(opened.redirect, { ...REDIRECT, ...means });
    assert.equal(opened.fiuId, pairings[name].fiu);
    assert.deepEqual(
      opened.deviations,
      deviations.map((deviation) => `DEVIATION_${deviation}`),
    );
    check?.(opened, parameters);
  });
}

/** A callback of `sender`, read by the service in the same way. */
function callback(
  title,
  { deviations = [], means = {}, send = (p) => ({ url: url(CALLBACK, p) }), text = CALLBACK_TEXT, ...sender },
) {
  test(`callback: ${title}`, async () => {
    const name = sender.name ?? 'iv-aa';
    const parameters = await parametersOf(CALLBACK, { plaintext: text, ...sender });
    const opened = await call(client, 'decodeCallback', { fiuId: pairings[name].fiu, ...send(parameters) });
    assert.deepEqual(opened.callback, { ...OUTCOME, ...means });
    assert.equal(opened.aaId, name);
    assert.deepEqual(
      opened.deviations,
      deviations.map((deviation) => `DEVIATION_${deviation}`),
    );
  });
}

// Dates. Fifteen digits are clean in each reading, and name at least a minute.
const sameMinute = ({ issueTime }) => assert.ok(Math.abs(toMillis(issueTime) - Date.now()) < 61_000);
request('a Node or Python client dates in tenths of seconds', { date: tenths, check: sameMinute });
request('a Go or Java client sends milliseconds to an AA that writes tenths', {
  name: 'v1.5-aa',
  date: () => `${full().slice(0, 12)}756`,
  check: sameMinute,
});
request('a Java client pads the seconds to three digits', {
  name: 'v1.0-aa',
  date: () => `${full().slice(0, 12)}0${full().slice(12, 14)}`,
  check: sameMinute,
});
request('a date of 14 digits', {
  date: () => full().slice(0, 14),
  deviations: ['DATE_DIGITS'],
  check: ({ issueTime }, { reqdate }) =>
    assert.equal(writeDate(new Date(toMillis(issueTime)), 'full').slice(0, 14), reqdate),
});
request('a date of 17 digits', {
  name: 'v1.5-aa',
  date: full,
  deviations: ['DATE_DIGITS'],
  check: ({ issueTime }, { reqdate }) => assert.equal(writeDate(new Date(toMillis(issueTime)), 'full'), reqdate),
});
request('a date of 17 digits is clean where the pairing writes such dates', { name: 'iv-full-aa', date: full });
request('blanks around the date are no part of salt and mask', {
  send: (p) => ({ params: { ...p, reqdate: ` ${p.reqdate}\r\n` } }),
  deviations: ['WHITESPACE'],
});
callback('a date of 14 digits', { date: () => full().slice(0, 14), deviations: ['DATE_DIGITS'] });

// Base64.
request('padding stripped from every parameter', {
  fits: ({ ecreq }) => ecreq.includes('='),
  send: (p) => ({ url: url(REQUEST, mapped(p, unpadded)) }),
  deviations: ['BASE64_UNPADDED'],
});
request('padding stripped by Node’s base64url', {
  name: 'v1.5-aa',
  date: tenths,
  send: (p) => ({ url: url(REQUEST, { ...p, ecreq: unpadded(p.ecreq) }) }),
  fits: ({ ecreq }) => ecreq.includes('='),
  deviations: ['BASE64_UNPADDED'],
});
const hasBoth = ({ ecreq, ecres }) => /-/.test(ecreq ?? ecres) && /_/.test(ecreq ?? ecres);
request('the standard alphabet in ecreq, escaped', {
  fits: hasBoth,
  send: (p) => ({ url: url(REQUEST, { ...p, ecreq: standard(p.ecreq) }) }),
  deviations: ['BASE64_ALPHABET'],
});
request('the URL-safe alphabet in iv', {
  fits: ({ iv }) => /[+/]/.test(iv),
  send: (p) => ({ url: url(REQUEST, { ...p, iv: p.iv.replaceAll('+', '-').replaceAll('/', '_') }) }),
  deviations: ['BASE64_ALPHABET'],
});
const raw = (parameters) =>
  Object.entries(parameters)
    .map((pair) => pair.join('='))
    .join('&');
request('the standard alphabet in ecreq, and nothing escaped', {
  fits: hasBoth,
  send: (p) => ({ url: `https://sender.example/w?${raw({ ...p, ecreq: standard(p.ecreq) })}` }),
  deviations: ['BASE64_ALPHABET', 'PLUS_AS_SPACE'],
});
request('the standard alphabet in ecreq, each + turned into a blank by a web framework', {
  fits: hasBoth,
  send: (p) => ({ params: { ...p, ecreq: standard(p.ecreq).replaceAll('+', ' ') } }),
  deviations: ['BASE64_ALPHABET', 'PLUS_AS_SPACE'],
});
// A date that ends in 1 makes the O at the end of this FIU's id a `+`.
const plusInFi = {
  name: 'plus-aa',
  date: () => `${full().slice(0, 12)}001`,
  fits: ({ fi, iv }) => fi.includes('+') && !iv.includes('+'),
};
request('a + of fi, unescaped', { ...plusInFi, send: (p) => ({ url: `?${raw(p)}` }), deviations: ['PLUS_AS_SPACE'] });
request('a + of fi, turned into a blank and escaped again', {
  ...plusInFi,
  send: (p) => ({ url: `?${writeQuery(REQUEST, { ...p, fi: p.fi.replaceAll('+', ' ') })}` }),
  deviations: ['PLUS_AS_SPACE'],
});
request('a + of fi, escaped, is clean', plusInFi);
request('every parameter escaped twice', {
  send: (p) => ({ url: url(REQUEST, mapped(p, percentEncode)) }),
  deviations: ['DOUBLE_ENCODED'],
});
request('parameters that the caller has not decoded', {
  send: (p) => ({ params: mapped(p, percentEncode) }),
  deviations: ['DOUBLE_ENCODED'],
});
request('line ends of a MIME encoder', {
  send: (p) => ({ url: url(REQUEST, { ...p, ecreq: `${p.ecreq.replace(/.{76}/g, '$&\r\n')}\r\n` }) }),
  deviations: ['WHITESPACE'],
});
request('blanks around ecreq', {
  send: (p) => ({ url: url(REQUEST, { ...p, ecreq: ` ${p.ecreq} ` }) }),
  // Without padding a blank could be a `+`; with padding it can only be a blank.
  fits: ({ ecreq }) => ecreq.endsWith('='),
  deviations: ['WHITESPACE'],
});
callback('the standard alphabet in ecres, and nothing escaped', {
  fits: hasBoth,
  send: (p) => ({ url: `https://fiu.example/cb?${raw({ ...p, ecres: standard(p.ecres) })}` }),
  deviations: ['BASE64_ALPHABET', 'PLUS_AS_SPACE'],
});

// URLs.
request('parameters that the guideline does not have, and a fragment', {
  requestorType: 'LSP',
  send: (p) => ({ url: `https://aa.example/w?fip=HDFC&${writeQuery(REQUEST, p)}&aaVersion=2&chid=#top` }),
  check: ({ requestorType }) => assert.equal(requestorType, 'REQUESTOR_TYPE_LSP'),
});
request('parameters in another order, as a query string alone', {
  send: (p) => ({ url: writeQuery(REQUEST, p).split('&').reverse().join('&') }),
});
callback('a second question mark after a redirect that had a query', {
  send: (p) => ({ url: `https://fiu.example/cb?lead=42?${writeQuery(CALLBACK, p)}` }),
  deviations: ['SECOND_QUESTION_MARK'],
});
callback('a question mark in a value of the FIU’s own is none of ours', {
  send: (p) => ({ url: `https://fiu.example/cb?next=/home?tab=1&${writeQuery(CALLBACK, p)}` }),
});

// The redirect.
request('a redirect with a query, unescaped', {
  text: `${BEGIN}&redirect=https://fiu.example/cb?a=1&b=2&c=%20x&srcref=${A}`,
  means: { redirect: 'https://fiu.example/cb?a=1&b=2&c=%20x' },
  deviations: ['REDIRECT_UNESCAPED'],
});
request('a redirect with one parameter, unescaped', {
  name: 'v1.2-aa',
  text: `${BEGIN}&redirect=https://fiu.example/cb?a=1&srcref=${A}`,
  means: { redirect: 'https://fiu.example/cb?a=1' },
  deviations: ['REDIRECT_UNESCAPED'],
});
request('a redirect with a query, unescaped and last', {
  text: `${BEGIN}&srcref=${A}&redirect=https://fiu.example/cb?a=1&b=2`,
  means: { redirect: 'https://fiu.example/cb?a=1&b=2' },
  deviations: ['REDIRECT_UNESCAPED'],
});
request('a redirect escaped twice', {
  text: `${BEGIN}&redirect=${percentEncode(percentEncode('https://fiu.example/cb?x=1'))}&srcref=${A}`,
  means: { redirect: 'https://fiu.example/cb?x=1' },
  deviations: ['DOUBLE_ENCODED'],
});

// Lists.
const LISTS = {
  'with commas': HANDLES.join(),
  'in braces': `{${HANDLES}}`,
  'in braces, escaped': percentEncode(`{${HANDLES}}`),
  'as JSON': JSON.stringify(HANDLES),
  'as JSON, escaped': percentEncode(JSON.stringify(HANDLES)),
  'in brackets': `[${HANDLES}]`,
  'in brackets, with blanks': `[${HANDLES.join(', ')}]`,
  'with commas, one missing': `${A},,${B},${C}`,
  'as an escaped join': HANDLES.join('%26srcref%3D'),
};
for (const [style, list] of Object.entries(LISTS)) {
  request(`a list ${style}`, {
    text: `${BEGIN}&redirect=https://fiu.example/cb&srcref=${list}`,
    means: { srcref: HANDLES },
    deviations: ['LIST_SYNTAX'],
  });
}
request('repeated handles where the pairing has commas are clean', {
  name: 'v1.1-aa',
  text: `${REQUEST_TEXT}&srcref=${B}&srcref=${C}`,
  means: { srcref: HANDLES },
});
request('braces where the pairing has braces are clean', {
  name: 'iv-tenths-aa',
  date: tenths,
  text: `${BEGIN}&redirect=https://fiu.example/cb&srcref={${HANDLES}}&fipid={HDFC,ICICI}`,
  means: { srcref: HANDLES, fipid: ['HDFC', 'ICICI'] },
});
request('a list of banks with commas', {
  text: `${REQUEST_TEXT}&fipid=HDFC,ICICI`,
  means: { fipid: ['HDFC', 'ICICI'] },
  deviations: ['LIST_SYNTAX'],
});
request('a bar is an ordinary character of an item', {
  text: `${BEGIN}&redirect=https://fiu.example/cb&srcref=a|b`,
  means: { srcref: ['a|b'] },
});
callback('the accepted handles with commas', {
  text: `${BEGIN}&status=S&errorcode=0&srcref=${A},${B}`,
  means: { srcref: [A, B] },
  deviations: ['LIST_SYNTAX'],
});

// Members.
request('any order of members', { text: REQUEST_TEXT.split('&').sort().join('&') });
request('a transaction id that is no UUID', {
  text: REQUEST_TEXT.replace(TXNID, 'T1234'),
  means: { txnid: 'T1234' },
  deviations: ['TXNID_NOT_UUID'],
});
request('members that the guideline does not have', {
  text: `${REQUEST_TEXT}&fi=dnpkeHY%3D&mobile=9999988888`,
  means: { extra: { fi: 'dnpkeHY=', mobile: '9999988888' } },
  deviations: ['EXTRA_MEMBER'],
});
request('blank optional members, in the order of the alphabet, as OneMoney’s guide has them', {
  text: `dob=&email=&fipid=&pan=&redirect=https://fiu.example/cb&sessionid=s1&srcref=${A}&txnid=${TXNID}&userid=9999988888@aa`,
  deviations: ['BLANK_OPTIONAL'],
});
request('no session id', { text: REQUEST_TEXT.replace('sessionid=s1&', ''), means: { sessionid: '' } });
request('raw Devanagari and emoji, unescaped', {
  text: REQUEST_TEXT.replace('s1', 'सत्र-१🏦'),
  means: { sessionid: 'सत्र-१🏦' },
  deviations: ['RAW_NON_ASCII'],
});
const plus = REQUEST_TEXT.replace('s1', 'a+b%20c%2Bd');
for (const name of ['iv-aa', 'v1.1-aa', 'v1.2-aa']) {
  request(`a + is itself where the @ of userid is raw, ${name}`, { name, text: plus, means: { sessionid: 'a+b c+d' } });
  request(`a + is a blank where a form encoder escaped the @ of userid, ${name}`, {
    name,
    text: plus.replace('@', '%40'),
    means: { sessionid: 'a b c+d' },
  });
}
request('a % that begins no escape stands for itself', {
  text: REQUEST_TEXT.replace('s1', '100%-%4'),
  means: { sessionid: '100%-%4' },
  deviations: ['INVALID_ESCAPE'],
});
request('a BOM, a question mark and ampersands that part nothing', {
  text: `\ufeff?${REQUEST_TEXT.replace('&', '&&')}&`,
  deviations: ['STRAY_CHARACTERS'],
});
request('names in another case', {
  text: REQUEST_TEXT.replace('srcref', 'srcRef'),
  send: (p) => ({ url: url(REQUEST, p).replace('reqdate', 'reqDate') }),
  deviations: ['NAME_CASE'],
});
request('a member and a parameter twice, with one value each', {
  text: `${REQUEST_TEXT}&txnid=${TXNID}`,
  send: (p) => ({ url: `${url(REQUEST, p)}&reqdate=${p.reqdate}` }),
  deviations: ['REPEATED'],
});
request('a requestorType that no guideline has', {
  requestorType: 'AA',
  deviations: ['REQUESTOR_TYPE'],
  check: ({ requestorType }) => assert.equal(requestorType, 'REQUESTOR_TYPE_UNSPECIFIED'),
});
request('ampersands escaped for HTML', {
  send: (p) => ({ url: url(REQUEST, p).replaceAll('&', '&amp;') }),
  deviations: ['HTML_ESCAPED'],
});
callback('parameters behind the # of a single-page application', {
  send: (p) => ({ url: `https://fiu.example/#/cb?${writeQuery(CALLBACK, p)}` }),
  deviations: ['IN_FRAGMENT'],
});
callback('success with an error code', {
  text: CALLBACK_TEXT.replace('errorcode=0', 'errorcode=3'),
  means: { errorcode: 3 },
  deviations: ['STATUS_MISMATCH'],
});
callback('failure without an error code', {
  text: CALLBACK_TEXT.replace('status=S', 'status=F'),
  means: { status: 'CALLBACK_STATUS_FAILURE' },
  deviations: ['STATUS_MISMATCH'],
});
callback('a transaction id that is no UUID and an echo of the redirect', {
  text: `status=S&errorcode=0&txnid=T1234&sessionid=s1&srcref=${A}&userid=9999988888@aa&redirect=https%3A%2F%2Ff.in%2Fc`,
  means: { txnid: 'T1234', extra: { redirect: 'https://f.in/c' } },
  deviations: ['TXNID_NOT_UUID', 'EXTRA_MEMBER'],
});

request('all at once, each kind once and in order', {
  date: () => full().slice(0, 14),
  fits: (p) => hasBoth(p) && p.ecreq.includes('=') && p.iv.includes('='),
  text: `txnid=T1234&userid=9999988888@aa&pan=&redirect=https://fiu.example/cb?a=1&b=2&srcref=${A},${B}&srcref=[${C}]&account=1`,
  means: {
    txnid: 'T1234',
    sessionid: '',
    redirect: 'https://fiu.example/cb?a=1&b=2',
    srcref: HANDLES,
    extra: { account: '1' },
  },
  send: (p) => ({
    url: `https://aa.example/w?lang=en?${raw({ ...p, fi: percentEncode(percentEncode(p.fi)), ecreq: unpadded(standard(p.ecreq)), iv: `${percentEncode(p.iv)}%0D%0A` })}`,
  }),
  deviations: [
    'BASE64_ALPHABET',
    'BASE64_UNPADDED',
    'PLUS_AS_SPACE',
    'DOUBLE_ENCODED',
    'WHITESPACE',
    'DATE_DIGITS',
    'SECOND_QUESTION_MARK',
    'LIST_SYNTAX',
    'REDIRECT_UNESCAPED',
    'TXNID_NOT_UUID',
    'EXTRA_MEMBER',
    'BLANK_OPTIONAL',
  ],
});
