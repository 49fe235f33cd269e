// The redirect wire format with Node's own crypto: keys of both schemes, the mask, and sealing and opening a message.
// Writes what the format says and reads only that: what a tolerant reader would repair throws a WireError here.

import { createCipheriv, createDecipheriv, hkdfSync, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const pbkdf2Async = promisify(pbkdf2);
const ZERO_IV = Buffer.alloc(16);
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The two directions; the names are those of the URL parameters. */
export const REQUEST = {
  date: 'reqdate',
  message: 'ecreq',
  parameters: ['fi', 'reqdate', 'ecreq', 'iv', 'requestorType'],
};
export const CALLBACK = { date: 'resdate', message: 'ecres', parameters: ['fi', 'resdate', 'ecres', 'iv'] };

/** The input is not what the format says. */
export class WireError extends Error {}

/** The key of `scheme` (`hkdf-iv` or `pbkdf2`). The salt is the date's characters, verbatim. */
export async function deriveKey(scheme, secret, date) {
  switch (scheme) {
    case 'hkdf-iv':
      return Buffer.from(hkdfSync('sha256', secret, date, '', 32));
    case 'pbkdf2':
      // Not pbkdf2Sync: 65,536 rounds would hold up the event loop for tens of milliseconds.
      return pbkdf2Async(secret, date, 65_536, 32, 'sha256');
    default:
      throw new TypeError(`no such scheme: ${scheme}`);
  }
}

/** The bytes of `value` XOR the date, repeated. Its own inverse, and no encryption. */
export function mask(value, date) {
  const salt = Buffer.from(date);
  return Buffer.from(value).map((byte, at) => byte ^ salt[at % salt.length]);
}

export function encrypt(key, iv, plaintext) {
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  return Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
}

/** The plaintext's bytes; throws on wrong padding, which a wrong key gives 255 times in 256. */
export function decrypt(key, iv, ciphertext) {
  const decipher = createDecipheriv('aes-256-cbc', key, iv);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}

/**
 * Seals `plaintext` into the URL parameters of `leg`, before percent-encoding. `sender` is the FIU's id on the request
 * leg and the AA's on the callback leg; `iv` is random unless given.
 */
export async function seal(leg, { scheme, secret, date, sender, plaintext, requestorType, iv = randomBytes(16) }) {
  const key = await deriveKey(scheme, secret, date);
  const withIv = scheme === 'hkdf-iv';
  return {
    fi: mask(sender, date).toString('base64'),
    [leg.date]: date,
    [leg.message]: urlSafe(encrypt(key, withIv ? iv : ZERO_IV, plaintext)),
    ...(withIv && { iv: iv.toString('base64') }),
    ...(requestorType && { requestorType: mask(requestorType, date).toString('base64') }),
  };
}

/** Opens the URL parameters of `leg`. */
export async function open(leg, { scheme, secret }, parameters) {
  const date = parameters[leg.date];
  const iv = parameters.iv ? readBase64(parameters.iv, 'base64', 'iv') : undefined;
  if ((scheme === 'hkdf-iv') !== Boolean(iv)) throw new WireError(`iv ${iv ? 'given' : 'missing'} with ${scheme}`);
  if (iv && iv.length !== 16) throw new WireError(`iv of ${iv.length} bytes`);
  const unmask = (name) => utf8(mask(readBase64(parameters[name], 'base64', name), date), name);
  const ciphertext = readBase64(parameters[leg.message], 'base64url', leg.message);
  const key = await deriveKey(scheme, secret, date);
  return {
    sender: unmask('fi'),
    requestorType: parameters.requestorType ? unmask('requestorType') : undefined,
    date,
    iv,
    plaintext: utf8(decrypt(key, iv ?? ZERO_IV, ciphertext), leg.message),
  };
}

/** `parameters` as a query string, every value percent-encoded. */
export function writeQuery(leg, parameters) {
  return leg.parameters
    .filter((name) => parameters[name])
    .map((name) => `${name}=${percentEncode(parameters[name])}`)
    .join('&');
}

/** The parameters of a query string that names nothing but those of `leg`, each once, with every value escaped. */
export function readQuery(leg, query) {
  const parameters = {};
  for (const pair of query.split('&')) {
    const [name, value, ...rest] = pair.split('=');
    if (!leg.parameters.includes(name) || name in parameters) throw new WireError(`stray parameter ${name}`);
    if (rest.length > 0 || !/^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+$/.test(value)) {
      throw new WireError(`${name} is not percent-encoded: ${value}`);
    }
    parameters[name] = decodeURIComponent(value);
  }
  return parameters;
}

/** All but RFC 3986's unreserved characters escaped; encodeURIComponent leaves five more. */
export function percentEncode(value) {
  return encodeURIComponent(value).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `instant` as `ddmmyyyyhh24misss` in UTC, in the `style` millis, tenths or full. */
export function writeDate(instant, style) {
  const [, year, month, day, hour, minute, second, millisecond] =
    /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z$/.exec(instant.toISOString());
  const tails = { millis: millisecond, tenths: second + millisecond[0], full: second + millisecond };
  return day + month + year + hour + minute + tails[style];
}

/** URL-safe Base64 with padding, which Node's `base64url` leaves out. */
function urlSafe(bytes) {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

/** Node reads any Base64 and drops other characters, so the only strict reading is to write it again and compare. */
function readBase64(text, alphabet, name) {
  const bytes = Buffer.from(text ?? '', alphabet);
  const again = alphabet === 'base64url' ? urlSafe(bytes) : bytes.toString('base64');
  if (!text || again !== text) throw new WireError(`${name} is no padded ${alphabet}: ${text}`);
  return bytes;
}

function utf8(bytes, name) {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new WireError(`${name} is no UTF-8`);
  }
}
