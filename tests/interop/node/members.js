// The members of `ecreq` and `ecres`: written in the format's order and with its escapes, read back strictly. A message
// that differs from what this codec would write throws a WireError; `parseRedirect` requires only the grammar.

import { WireError, percentEncode } from './codec.js';

const LISTS = ['srcref', 'fipid'];
const REDIRECT = [
  'txnid',
  'sessionid',
  'userid',
  'redirect',
  'srcref',
  'fipid',
  'email',
  'pan',
  'dob',
  'isoLanguageCode',
];
const CALLBACK = ['txnid', 'sessionid', 'userid', 'status', 'errorcode', 'srcref'];
/** These members are sent even if they are empty. */
const ALWAYS = ['txnid', 'sessionid', 'userid', 'redirect', 'status', 'errorcode'];

/** The plaintext of `ecreq`; `lists` is repeated, comma, braces or json. */
export const writeRedirect = (members, lists) => write(REDIRECT, members, lists);
/** The plaintext of `ecres`; `status` is S or F. */
export const writeCallback = (members, lists) => write(CALLBACK, members, lists);
/** The members of a plaintext of `ecreq`. */
export const readRedirect = (text, lists) => read(REDIRECT, text, lists);
/** The members of `ecreq` in any order and with any escapes, as a server reads them. */
export const parseRedirect = (text) => parse(REDIRECT, text);
/** The members of a plaintext of `ecres`. */
export function readCallback(text, lists) {
  const members = read(CALLBACK, text, lists);
  return { ...members, errorcode: Number(members.errorcode) };
}

function write(names, members, lists = 'repeated') {
  const pairs = [];
  for (const name of names) {
    const value = members[name] ?? '';
    if (LISTS.includes(name)) {
      for (const item of writeList(value || [], lists)) pairs.push([name, item]);
    } else if (value !== '' || ALWAYS.includes(name)) {
      pairs.push([name, name === 'redirect' ? escapeRedirect(value) : escape(String(value))]);
    }
  }
  for (const name of Object.keys(members.extra ?? {}).sort()) pairs.push([name, escape(members.extra[name])]);
  return pairs.map((pair) => pair.join('=')).join('&');
}

function writeList(items, lists) {
  if (items.length === 0) return [];
  const joined = items.map(escape).join(',');
  switch (lists) {
    case 'repeated':
      return items.map(escape);
    case 'comma':
      return [joined];
    case 'braces':
      return [`{${joined}}`];
    case 'json':
      return [escape(JSON.stringify(items))];
    default:
      throw new TypeError(`no such list syntax: ${lists}`);
  }
}

/** Few characters are escaped, so that a reader that never decodes reads most values right. */
function escape(value) {
  return value.replace(/[%&=+# \u0000-\u001f\u007f-\u{10ffff}]/gu, encodeURIComponent);
}

/**
 * Raw if nothing needs an escape, and otherwise escaped as a whole, because readers take a raw scheme in front for a
 * URL that is not escaped.
 */
function escapeRedirect(url) {
  return /^[A-Za-z0-9._~:/@-]*$/.test(url) ? url : percentEncode(url);
}

function read(names, text, lists = 'repeated') {
  const members = parse(names, text, lists);
  // Checks order, escapes and lists at once.
  if (write(names, members, lists) !== text) throw new WireError(`members not as the format writes them: ${text}`);
  return members;
}

function parse(names, text, lists = 'repeated') {
  const members = { extra: {} };
  const seen = new Set();
  for (const name of names) members[name] = LISTS.includes(name) ? [] : '';
  for (const pair of text.split('&')) {
    const at = pair.indexOf('=');
    if (at < 1) throw new WireError(`no member: ${pair}`);
    const name = pair.slice(0, at);
    const value = decodeURIComponent(pair.slice(at + 1));
    if (LISTS.includes(name) && names.includes(name)) members[name].push(...readList(value, lists));
    else if (seen.has(name)) throw new WireError(`${name} twice`);
    else if (names.includes(name)) members[name] = value;
    else members.extra[name] = value;
    seen.add(name);
  }
  return members;
}

function readList(value, lists) {
  switch (lists) {
    case 'repeated':
      return [value];
    case 'comma':
      return value.split(',');
    case 'braces':
      return value.slice(1, -1).split(',');
    default:
      return JSON.parse(value);
  }
}
