// A server that benchmarks compare with the service: what a Node backend would write in place of aa-redirect.
// EncodeRedirect and DecodeRedirect of the same proto with this folder's codec, on @grpc/grpc-js in its default
// configuration, in one process.
//
//   node rival/server.js --listen 127.0.0.1:PORT --keyring FILE.json
//
// The keyring is [{ fiu, aa, scheme, secret, webview, max_age_seconds }, …]; `serving` on standard output says that it
// is ready. Each pairing has one secret, dates of 15 digits in milliseconds, and repeated lists. The server refuses
// what differs from the format, and repairs nothing.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

import { REQUEST, mask, open, seal, writeDate, writeQuery } from '../codec.js';
import { parseRedirect, writeRedirect } from '../members.js';

const SECRET_ID = 'primary';
const REQUESTOR_TYPES = {
  REQUESTOR_TYPE_UNSPECIFIED: undefined,
  REQUESTOR_TYPE_FIU: 'FIU',
  REQUESTOR_TYPE_LSP: 'LSP',
};
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const USER_ID = /^[^@\s]\S*@[^@\s]+$/;
const REDIRECT = /^(?!(?:javascript|data|vbscript|file|blob):)[a-z][a-z0-9+.-]*:\/\/[^\\\s\p{Cc}]+$/iu;
const LIST_ITEM = /^(?!\s)[^,{}[\]"&]+(?<!\s)$/;

const { values: settings } = parseArgs({ options: { listen: { type: 'string' }, keyring: { type: 'string' } } });
const keyOf = (fiu, aa) => JSON.stringify([fiu, aa]);
const pairings = new Map(
  JSON.parse(readFileSync(settings.keyring, 'utf8')).map((pairing) => [keyOf(pairing.fiu, pairing.aa), pairing]),
);

async function encodeRedirect({ fiuId, aaId, redirect, requestorType, issueTime }) {
  const wrong = wrongMembers(redirect);
  if (redirect?.txnid === '') wrong.delete('txnid');
  if (!(requestorType in REQUESTOR_TYPES)) wrong.add('requestor_type');
  if (issueTime) wrong.add('issue_time');
  if (wrong.size > 0) throw refusal('INVALID_ARGUMENT', `missing or malformed: ${[...wrong].join(', ')}`);
  const pairing = pairings.get(keyOf(fiuId, aaId));
  if (!pairing) throw refusal('NOT_FOUND', 'no such pairing');

  const txnid = redirect.txnid || randomUUID();
  const now = Date.now();
  const params = await seal(REQUEST, {
    scheme: pairing.scheme,
    secret: pairing.secret,
    date: writeDate(new Date(now), 'millis'),
    sender: fiuId,
    plaintext: writeRedirect({ ...redirect, txnid }),
    requestorType: REQUESTOR_TYPES[requestorType],
  });
  const query = writeQuery(REQUEST, params);
  const { webview = '' } = pairing;
  return {
    url: webview && `${webview}${webview.includes('?') ? '&' : '?'}${query}`,
    query,
    params,
    txnid,
    secretId: SECRET_ID,
    issueTime: time(now),
    expireTime: time(now + pairing.max_age_seconds * 1000),
  };
}

/**
 * Never says why it refuses: a caller that can distinguish bad padding from bad members can decrypt a message with many
 * calls.
 */
async function decodeRedirect(request) {
  try {
    return await openRedirect(request);
  } catch {
    throw refusal('INVALID_ARGUMENT', 'the redirect cannot be opened');
  }
}

async function openRedirect({ aaId, url }) {
  const params = readParameters(url);
  const { minute, issued } = readDate(params.reqdate);
  const fiuId = mask(Buffer.from(params.fi, 'base64'), params.reqdate).toString();
  const pairing = pairings.get(keyOf(fiuId, aaId));
  if (!pairing) throw new Error('no such pairing');

  const now = Date.now();
  const window = pairing.max_age_seconds * 1000;
  // The date has no seconds, so a message is fresh if any instant of its minute is.
  const replayUntil = minute + 60_000 + window;
  if (now > replayUntil || now < minute - window) throw new Error('date outside the window');

  const opened = await open(REQUEST, pairing, params);
  const redirect = parseRedirect(opened.plaintext);
  if (wrongMembers(redirect).size > 0) throw new Error('missing or malformed members');
  const requestorType = Object.keys(REQUESTOR_TYPES).find((name) => REQUESTOR_TYPES[name] === opened.requestorType);
  if (!requestorType) throw new Error('unknown requestorType');
  return {
    fiuId,
    aaId,
    redirect,
    requestorType,
    issueTime: time(issued),
    age: time(now - issued),
    secretId: SECRET_ID,
    primarySecret: true,
    deviations: Object.keys(redirect.extra).length > 0 ? ['DEVIATION_EXTRA_MEMBER'] : [],
    replayUntil: time(replayUntil),
  };
}

/** The format's parameters of a URL or of a query, percent-decoded; other parameters are ignored. */
function readParameters(url) {
  const [beforeFragment] = url.split('#', 1);
  const query = new URLSearchParams(beforeFragment.slice(beforeFragment.indexOf('?') + 1));
  const parameters = {};
  for (const [name, value] of query) {
    if (!REQUEST.parameters.includes(name)) continue;
    if (name in parameters) throw new Error(`${name} twice`);
    parameters[name] = value;
  }
  return parameters;
}

/** The minute that a date of 15 digits names, and the instant if its last digits are milliseconds. */
function readDate(date) {
  const [, day, month, year, hour, at, millis] = /^(\d\d)(\d\d)(\d{4})(\d\d)(\d\d)(\d{3})$/.exec(date);
  const issued = Date.UTC(year, month - 1, day, hour, at, 0, millis);
  // Date.UTC reads 31 February as 3 March.
  if (writeDate(new Date(issued), 'millis') !== date) throw new Error('no date');
  return { minute: issued - Number(millis), issued };
}

/** The names of the required members that are missing or not in their form. */
function wrongMembers(redirect) {
  const { txnid = '', userid = '', redirect: url = '', srcref = [] } = redirect ?? {};
  const wrong = new Set();
  if (!UUID.test(txnid)) wrong.add('txnid');
  if (!USER_ID.test(userid)) wrong.add('userid');
  if (!REDIRECT.test(url)) wrong.add('redirect');
  if (srcref.length === 0 || !srcref.every((item) => LIST_ITEM.test(item))) wrong.add('srcref');
  return wrong;
}

/** Milliseconds as `google.protobuf.Timestamp` or `Duration`. */
function time(millis) {
  return { seconds: Math.trunc(millis / 1000), nanos: (millis % 1000) * 1e6 };
}

function refusal(status, details) {
  return Object.assign(new Error(details), { code: grpc.status[status] });
}

const unary =
  (method) =>
  ({ request }, respond) =>
    method(request).then((response) => respond(null, response), respond);

const { RedirectService } = grpc.loadPackageDefinition(
  protoLoader.loadSync('aa/redirect/v1/redirect.proto', {
    includeDirs: [fileURLToPath(new URL('../../../../proto', import.meta.url))],
    defaults: true,
    enums: String,
    longs: Number,
  }),
).aa.redirect.v1;

const server = new grpc.Server();
// grpc-js answers UNIMPLEMENTED to the methods that are not here.
server.addService(RedirectService.service, {
  encodeRedirect: unary(encodeRedirect),
  decodeRedirect: unary(decodeRedirect),
});
server.bindAsync(settings.listen, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log('serving');
});
