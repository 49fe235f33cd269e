// Starts the release binary as the server under test, and holds what all tests share.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { RedirectClient, RedirectError } from 'aa-redirect';

const inRepository = (path) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** The keyring that the binary serves without settings. */
export const SANDBOX = inRepository('sandbox/keyring.toml');

function program() {
  const { AA_REDIRECT_BIN } = process.env;
  const candidates = [
    AA_REDIRECT_BIN,
    inRepository('target/release/aa-redirect'),
    inRepository('target/debug/aa-redirect'),
  ];
  const found = candidates.find((path) => path && existsSync(path));
  if (!found) throw new Error('no server: cargo build --release, or set AA_REDIRECT_BIN');
  return found;
}

/** A folder of the test. */
export function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'aa-redirect-node-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Files in a folder of the test. */
export function files(t, contents) {
  const path = folder(t);
  for (const [name, content] of Object.entries(contents)) writeFileSync(join(path, name), content, { mode: 0o600 });
  return path;
}

/** Starts the binary on a free port, unless the arguments name another address; it ends with the test. */
export async function serve(t, ...args) {
  const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AA_REDIRECT_')));
  const child = spawn(program(), [...listen, ...args, '--log', 'json'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const exit = once(child, 'exit');
  const cleanUp = () => child.kill('SIGKILL');
  process.once('exit', cleanUp);
  const kill = async (signal = 'SIGKILL') => {
    child.kill(signal);
    await exit;
  };
  t.after(async () => {
    process.removeListener('exit', cleanUp);
    await kill();
  });
  const log = [];
  const lines = createInterface({ input: child.stderr });
  const address = await new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      if (log.length < 100) log.push(line);
      if (line.includes('"serving"')) resolve(JSON.parse(line).listen);
    });
    lines.once('close', () => reject(new Error(`the server ended before it served:\n${log.join('\n')}`)));
  });
  return { address, kill, signal: (name) => child.kill(name) };
}

/** A client that closes when the test ends, with a deadline that is long enough for a slow machine. */
export function connect(t, options) {
  const client = new RedirectClient({
    deadlineMillis: 60_000,
    ...(typeof options === 'string' ? { addresses: options } : options),
  });
  t.after(() => client.close());
  return client;
}

/** The RedirectError of a call, which must have this reason. */
export async function failure(call, reason) {
  const error = await call.then(
    () => assert.fail(`it did not fail with ${reason}`),
    (error) => error,
  );
  assert.ok(error instanceof RedirectError, String(error));
  assert.equal(error.reason, reason, error.message);
  return error;
}

export const FIU = 'fiu@sandbox';
export const AA = 'alpha-aa';
/** Stands for the data that no printed text may contain. */
export const USER = '9876501234@alpha';

export const REDIRECT = {
  sessionid: 'basket-42',
  userid: USER,
  redirect: 'https://fiu.example/cb?lead=42',
  srcref: ['0b054f6a-a0b3-4424-a668-2b53090bad6f'],
};

/** The callback with which the AA sends the user of a sealed redirect back. */
export function answer(client, sealed, errorcode = 0) {
  const { sessionid, userid, srcref } = REDIRECT;
  const outcome = errorcode === 0 ? { status: 'SUCCESS', srcref } : { status: 'FAILURE', errorcode };
  const callback = { txnid: sealed.txnid, sessionid, userid, ...outcome };
  return client.encodeCallback({ fiuId: FIU, aaId: AA, callback, redirectUrl: REDIRECT.redirect });
}

/** What the FIU remembers of a sealed redirect. */
export const record = (sealed) => ({ txnid: sealed.txnid, sessionid: 'basket-42', userid: USER, aaId: AA });

/** Parameters in the right form that nobody sealed. The server gets as far with them as it can without a key. */
export function forged(sender, date) {
  const masked = Buffer.from(sender).map((byte, at) => byte ^ date.charCodeAt(at % date.length));
  return {
    fi: Buffer.from(masked).toString('base64'),
    reqdate: date,
    ecreq: Buffer.alloc(160).toString('base64').replaceAll('+', '-').replaceAll('/', '_'),
    iv: Buffer.alloc(16).toString('base64'),
  };
}

export function today() {
  const [year, month, day, hour, minute, , millis] = new Date().toISOString().split(/\D/);
  return `${day}${month}${year}${hour}${minute}${millis}`;
}

/** A request that costs the server one key derivation, because no other number has its date. */
export function slow(n) {
  const minute = Math.floor(Date.now() / 60_000) - 1 + Math.floor(n / 1000);
  return {
    fiuId: FIU,
    aaId: 'beta-aa',
    redirect: { ...REDIRECT, userid: '9876501234@beta' },
    issueTime: new Date(minute * 60_000 + (n % 1000)),
  };
}
